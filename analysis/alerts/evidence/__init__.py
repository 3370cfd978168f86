"""Whether a change is real: the e-process beside a control, the detector after a launch, and its replay."""
