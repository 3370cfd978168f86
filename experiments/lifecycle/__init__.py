"""What may be done to an experiment, by whom: the functions that the command line and HTTP share. ASSIGNMENT 5."""

from experiments.lifecycle.edits import (
    add_override,
    add_ranges,
    disable_arm,
    enable_arm,
    raise_traffic,
    remove_override,
)
from experiments.lifecycle.ground import register_ground
from experiments.lifecycle.proposals import amended, differences, propose, refusals, register, surroundings, used
from experiments.lifecycle.ramp import Outcome, next_step, tick
from experiments.lifecycle.steps import (
    ALLOWED,
    ASSUMED_UNITS,
    archive,
    close_stop,
    kill,
    new_phase,
    pause,
    propose_phase,
    resume,
    schedule,
    start,
    stop,
)

__all__ = [
    "ALLOWED",
    "ASSUMED_UNITS",
    "Outcome",
    "add_override",
    "add_ranges",
    "amended",
    "archive",
    "close_stop",
    "differences",
    "disable_arm",
    "enable_arm",
    "kill",
    "new_phase",
    "next_step",
    "pause",
    "propose",
    "propose_phase",
    "raise_traffic",
    "refusals",
    "register",
    "register_ground",
    "remove_override",
    "resume",
    "schedule",
    "start",
    "stop",
    "surroundings",
    "tick",
    "used",
]
