"""What was shown for requests, in columns, and one of them as a value."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.recommenders.base import Floats, Index, Integers, Reason

Codes = npt.NDArray[np.int8]
CAUSES = ("nothing_retrieved", "removed_by_rules", "too_few")  # why the cold ladder was used


@dataclass(frozen=True, slots=True)
class Removed:
    """An item that stood before the last one shown, and the rule that removed it."""

    item_id: str
    rule: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One place of a slate, counted from 1. `propensity`: its chance given the places above, None where not drawn."""

    item_id: str
    position: int
    score: float
    propensity: float | None
    source: str  # the strategy it came from
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Slate:
    """What one request was answered with; `fallback_cause` says why the cold ladder filled a place, None if none."""

    items: tuple[Shown, ...]
    strategy: str
    version: str
    rules_version: str
    fallback_cause: str | None
    removed: tuple[Removed, ...]


@dataclass(frozen=True, slots=True)
class Slates:
    """n slates of at most k items, (n, k) each; a slate is filled from the left, then -1 and NaN."""

    items: Integers  # in `index`
    index: Index
    score: Floats
    propensity: Floats  # given the places above; NaN where nothing was drawn
    source: Codes  # in `sources`
    sources: Sequence[str]
    cause: Codes  # (n,), in CAUSES
    removed_row: Integers  # (n_removed,): in which slate …
    removed_item: Integers  # … which item of `index` …
    removed_rule: Integers  # … was removed by which of `rules`
    rules: Sequence[str]
    strategy: str
    version: str
    rules_version: str

    def __len__(self) -> int:
        return len(self.items)

    def one(self, row: int, reasons: Sequence[Reason | None] = ()) -> Slate:
        """Slate `row`, with the reasons of its items if they are given."""
        names, filled = self.index.ids, int((self.items[row] >= 0).sum())
        drawn, given = self.propensity[row], [*reasons, *[None] * (filled - len(reasons))]
        mine = np.flatnonzero(self.removed_row == row)
        cause = int(self.cause[row])
        return Slate(
            items=tuple(
                Shown(
                    item_id=str(names[self.items[row, place]]),
                    position=place + 1,
                    score=float(self.score[row, place]),
                    propensity=None if np.isnan(drawn[place]) else float(drawn[place]),
                    source=self.sources[self.source[row, place]],
                    reason=given[place],
                )
                for place in range(filled)
            ),
            strategy=self.strategy,
            version=self.version,
            rules_version=self.rules_version,
            fallback_cause=None if cause < 0 else CAUSES[cause],
            removed=tuple(
                Removed(str(names[self.removed_item[at]]), self.rules[self.removed_rule[at]]) for at in mine.tolist()
            ),
        )
