"""When each phase of which a readout is made begins and ends, or will: who is compared when."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from experiments.designs import unread
from experiments.spec import Phase
from experiments.store import Store


def spans(store: Store) -> Iterator[tuple[Phase, datetime | None]]:
    """Every phase of which a readout is made, with when it ended, or will."""
    for phases in store.phases().values():
        for (phase, live), (following, _) in pairwise([*phases, (None, None)]):
            experiment = phase.experiment if phase is not None else None
            if phase is None or experiment is None or unread(experiment.design, experiment.unit_type) is not None:
                continue
            next_start = None if following is None else following.started_at
            ends = (experiment.schedule.end_at, None if live is None else live.ended_at, next_start)
            yield phase, min((end for end in ends if end is not None), default=None)
