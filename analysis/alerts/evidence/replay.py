"""How often would the monitor have paged this shop for nothing? To be looked at before pages are enabled. ALERTS 3.

A/A from published sums: a shopper cannot be moved to the other arm any more, but two things can be done.

- The history as it happened, between its known changes, once with the arms as they are and once exchanged, so that a
  gain nobody caused counts as a loss too. It shows everything the detector meets, slow drift and outages included; what
  it counts may also be a real loss nobody noticed. There is little of it, and the interval says so.
- Quarters drawn from it: whole weeks in random order, each with its arms exchanged or not, centred on their own
  period's mean. It shows what the shop's own noise does (tails, hour of the week, neighbours alike, cells that move
  together), many times over; it shows nothing that lasts longer than a week, and no day that the history has not.

Both count a page where the evidence and the money of six hours agree, by any of the metrics that are watched. The
hour's check, the second evaluation and the grouping of cells into incidents are left out, so the real monitor pages
rather less.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

import numpy as np
from scipy.special import gammaincinv

from analysis.alerts.evidence.detector import (
    BASELINE_BUCKETS,
    BUCKETS_A_QUARTER,
    Bars,
    Deviation,
    advance,
    bars,
    by_detector,
    deviation,
    reset,
    stood,
)
from analysis.alerts.model import LONG, Baseline, Bucket, Cell, Detector, Effect, Metric, Stake
from analysis.alerts.weighing.conversion import Conversion, in_money
from analysis.alerts.weighing.money import cost
from analysis.alerts.weighing.severity import RULES

STEP = timedelta(minutes=LONG)
WEEK = 28  # buckets
DRAWN_WEEKS = (BASELINE_BUCKETS + BUCKETS_A_QUARTER) // WEEK
SAME_INCIDENT = timedelta(hours=24)
PAGE = next(rule for rule in RULES if rule.severity == "page")
_Line: TypeAlias = tuple[Cell, Conversion]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the monitor pages by: stakes a day by cell (minor units), loss budget of 30 days, κ by cell.

    Bars are by the stakes of all cells that are watched, also where nothing is played; a loss is priced with the part
    of its cell's that flows through the watched arm.
    """

    stakes: Mapping[Cell, float]
    budget: float
    spread: float
    spreads: Mapping[Cell, float] = field(default_factory=dict)  # where they differ
    shares: Mapping[Cell, float] = field(default_factory=dict)  # of the stakes in the watched arm, where not all
    paging: int = 0  # detectors that may page on all these cells, which share the false alarms


@dataclass(frozen=True, slots=True)
class Replay:
    """What it came to. A quarter is 91 days of the whole shop."""

    quarters: float  # played as they happened, both ways round
    pages: int  # in them
    low: float  # 95 % interval of false pages a quarter
    high: float
    drawn: int  # quarters drawn; 0 where the history has too few whole weeks
    drawn_pages: int  # in them
    cells: Mapping[Cell, int]  # pages as they happened, of every cell that could be played
    waiting: tuple[Cell, ...]  # cells without 112 buckets and one more between two changes

    @property
    def rate(self) -> float | None:
        """False pages a quarter as it happened; None where nothing could be played."""
        return self.pages / self.quarters if self.quarters else None

    @property
    def drawn_rate(self) -> float | None:
        """False pages a quarter of those drawn; None where none could be."""
        return self.drawn_pages / self.drawn if self.drawn else None


def replay(
    history: Sequence[Bucket],
    conversions: Sequence[Conversion],
    terms: Terms,
    *,
    rng: np.random.Generator,
    changes: Sequence[datetime] = (),
    drawn: int = 100,
) -> Replay:
    """Play the monitor over buckets of six hours of one launch's cells, under "nothing happened".

    `history` in any order, newest revisions; `conversions` of the metrics that are watched; `changes` are the launches
    and deploys in it. A cell's pages of several metrics within a day are one. ValueError for another comparison, other
    buckets, or a cell without a stake.
    """
    cells = _by_cell(history, terms)
    high = bars(terms.stakes, paging=terms.paging)
    played, pages, waiting = 0, {}, []
    known: dict[_Line, list[list[Deviation]]] = {}
    for cell, buckets in cells.items():
        lines = {each: [_periods(_deviations(way, each.metric), changes) for way in (buckets, _exchanged(buckets))]
                 for each in conversions}  # fmt: skip
        lengths = [_played(both) for both in lines.values()]
        if not any(lengths):
            waiting.append(cell)
            continue
        played += max(lengths)
        pages[cell] = 0
        for way in (0, 1):
            rung = [
                end
                for each, both in lines.items()
                for period in both[way]
                for end in _false_pages(period, high[cell], cell, each, terms)
            ]
            pages[cell] += _apart(rung)
        known |= {(cell, each): both[0] for each, both in lines.items() if _played(both)}
    quarters = played / (BUCKETS_A_QUARTER * len(pages)) if pages else 0.0
    total = sum(pages.values())
    low, top = poisson(total)
    noise = _noise(known)
    drawn_pages = [_drawn(noise, high, terms, rng) for _ in range(drawn)] if noise else []
    return Replay(
        quarters=quarters,
        pages=total,
        low=low / quarters if quarters else 0.0,
        high=top / quarters if quarters else math.inf,
        drawn=len(drawn_pages),
        drawn_pages=sum(drawn_pages),
        cells=pages,
        waiting=tuple(waiting),
    )


def _played(both: Sequence[Sequence[Sequence[Deviation]]]) -> int:
    """Buckets after the baselines of all periods, both ways round."""
    return sum(max(0, len(period) - BASELINE_BUCKETS) for periods in both for period in periods)


def _apart(rung: Sequence[datetime]) -> int:
    """How many pages these are: one within a day of another is the same."""
    pages, last = 0, None
    for end in sorted(rung):
        pages += last is None or end - last > SAME_INCIDENT
        last = end
    return pages


def poisson(count: int, level: float = 0.05) -> tuple[float, float]:
    """The exact interval of an expected count, from what was counted. Garwood (1936)."""
    low = 0.0 if count == 0 else float(gammaincinv(count, level / 2))
    return low, float(gammaincinv(count + 1, 1 - level / 2))


def _by_cell(history: Sequence[Bucket], terms: Terms) -> dict[Cell, list[Bucket]]:
    kinds = {bucket.comparison for bucket in history}
    if len(kinds) > 1 or any(kind.kind != "launch" for kind in kinds):
        said = ", ".join(sorted(f"{kind.kind} {kind.key}" for kind in kinds))
        raise ValueError(f"a replay is of one launch, with its holdout; these are buckets of {said}")
    if any(bucket.minutes != LONG for bucket in history):
        raise ValueError(f"buckets that are not of {LONG} minutes; a replay takes those")
    found: dict[Cell, list[Bucket]] = {}
    for bucket in sorted(history, key=lambda one: (one.cell, one.end)):
        found.setdefault(bucket.cell, []).append(bucket)
    without = [cell for cell in found if cell not in terms.stakes]
    if without:
        raise ValueError(f"{len(without)} cells have no stake, {without[0]} first; give one of every cell")
    return found


def _exchanged(buckets: Sequence[Bucket]) -> list[Bucket]:
    kind = buckets[0].comparison
    turned = replace(kind, watched=kind.against, against=kind.watched)
    return [replace(bucket, comparison=turned) for bucket in buckets]


def _deviations(buckets: Sequence[Bucket], metric: Metric) -> list[Deviation]:
    return [found for bucket in buckets if (found := deviation(bucket, metric))]


def _periods(found: Sequence[Deviation], changes: Sequence[datetime]) -> list[list[Deviation]]:
    """What lies between two changes; the bucket in which one fell belongs to neither side."""
    marks = sorted(changes)
    periods: list[list[Deviation]] = [[] for _ in range(len(marks) + 1)]
    for one in found:
        if not any(one.end - STEP < mark < one.end for mark in marks):
            periods[sum(mark < one.end for mark in marks)].append(one)
    return periods


def _false_pages(
    period: Sequence[Deviation], high: Bars, cell: Cell, conversion: Conversion, terms: Terms
) -> list[datetime]:
    """When it would page after the first 112 buckets of a period. A page resets the detector."""
    if len(period) <= BASELINE_BUCKETS:
        return []
    baseline = stood(period[:BASELINE_BUCKETS], change_at=period[BASELINE_BUCKETS - 1].end, reason="replay")
    if baseline is None:
        return []
    state: Detector | None = None
    pages = []
    for found in period[BASELINE_BUCKETS:]:
        state = advance(state, baseline, found)
        evidence = by_detector(state, high, replayed=True)
        if evidence.met and evidence.most != "ticket" and _costs(found, baseline, cell, conversion, terms):
            pages.append(found.end)
            state = reset(found.end)
    return pages


def _costs(found: Deviation, baseline: Baseline, cell: Cell, conversion: Conversion, terms: Terms) -> bool:
    """Whether these six hours alone cost what a page asks for."""
    off, se = found.relative - baseline.mean, found.se * baseline.factor
    change = in_money(Effect(conversion.metric, PAGE.long, off, se), conversion)
    stake = Stake(terms.shares.get(cell, 1.0), terms.stakes[cell], 1.0)
    spread = terms.spreads.get(cell, terms.spread)
    return cost(change, stake, spread=spread, budget=terms.budget, upper=None).burn >= PAGE.burn


def _noise(periods: Mapping[_Line, Sequence[Sequence[Deviation]]]) -> list[dict[_Line, list[Deviation]]]:
    """Whole weeks of what is left of the lines' deviations when each period's mean is taken away.

    Weeks count from the first bucket of all; one that a change cuts is left out, and fewer than 8 are none.
    """
    starts = [period[0].end for each in periods.values() for period in each if period]
    if not starts:
        return []
    first = min(starts)
    weeks: dict[int, dict[_Line, list[Deviation]]] = {}
    for line, each in periods.items():
        for period in each:
            own = stood(period, change_at=period[-1].end, reason="replay") if period else None
            if own is None:
                continue
            for one in period:
                number = (one.end - first) // (WEEK * STEP)
                left = replace(one, relative=one.relative - own.mean)
                weeks.setdefault(number, {}).setdefault(line, []).append(left)
    whole = {line: [number for number, held in weeks.items() if len(held.get(line, ())) == WEEK] for line in periods}
    common = sorted(set.intersection(*(set(numbers) for numbers in whole.values())) if whole else set())
    return [weeks[number] for number in common] if len(common) * WEEK > BASELINE_BUCKETS + WEEK * 3 else []


def _drawn(
    noise: Sequence[Mapping[_Line, list[Deviation]]], high: Mapping[Cell, Bars], terms: Terms, rng: np.random.Generator
) -> int:
    """False pages of one quarter drawn from the weeks, with its own 28 days of baseline."""
    weeks = rng.integers(0, len(noise), DRAWN_WEEKS)
    turns = rng.choice((-1, 1), DRAWN_WEEKS)
    start = min(one.end for one in next(iter(noise[0].values())))
    rung: dict[Cell, list[datetime]] = {}
    for cell, conversion in noise[0]:
        line = [
            Deviation(start + (place * WEEK + i) * STEP, int(turn) * one.relative, one.se)
            for place, (week, turn) in enumerate(zip(weeks, turns, strict=True))
            for i, one in enumerate(noise[int(week)][cell, conversion])
        ]
        rung.setdefault(cell, []).extend(_false_pages(line, high[cell], cell, conversion, terms))
    return sum(map(_apart, rung.values()))
