"""Many tests, one error rate: Holm's step-down, with the level each interval is then shown at. STATISTICS 5."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class HolmStep:
    """The level at which this test was decided, and how: its interval at `level` agrees with `rejected`."""

    level: float
    rejected: bool


def holm(p: Mapping[Name, float], alpha: float) -> dict[Name, HolmStep]:
    """Holm (1979): the j-th smallest p is tested at alpha/(m - j + 1) until one fails.

    A rejected test keeps its step's level; all others are shown at alpha/(m - rejected), the level
    of the step that failed. Equal p-values keep the order of the mapping.
    """
    ordered = sorted(p, key=lambda name: p[name])
    steps: dict[Name, HolmStep] = {}
    for done, name in enumerate(ordered):
        level = alpha / (len(ordered) - done)
        if p[name] > level:
            steps.update((rest, HolmStep(level, rejected=False)) for rest in ordered[done:])
            break
        steps[name] = HolmStep(level, rejected=True)
    return {name: steps[name] for name in p}
