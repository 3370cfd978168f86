"""What was published for the alerts, each row read from the store once a run. Buckets are by cell and in order.

A cell in which nothing happened has no row. Against an arm beside it that says nothing. Against what the seasons lead
to expect it is a count of zero, while traffic is expected and the rest of the site is there: where that is missing too,
nothing was counted, and nobody knows.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from analysis.alerts.job.due import on_grid
from analysis.alerts.measures import measured
from analysis.alerts.measures.traffic import RECENT, SLOT
from analysis.alerts.model import LONG, METRICS, SHORT, Bucket, Cell, Comparison, Look, Metric, Sums, Traffic
from analysis.alerts.weighing.windows import together
from experiments.store import Store

WEEK, SIX = timedelta(days=7), timedelta(minutes=LONG)
KNOWN = RECENT * SLOT  # how long a cell without rows is expected to have some
_ZERO: Mapping[Metric, int] = dict.fromkeys(METRICS, 0)
NOTHING = Sums(0, 0, 0, _ZERO, _ZERO, _ZERO)
ByCell: TypeAlias = Mapping[Cell, Sequence[Bucket]]


class Shelf:
    """Measures up to an instant: one run's view of them."""

    def __init__(self, store: Store, until: datetime) -> None:
        self._store, self._until = store, until
        self._kept: dict[tuple[Comparison, int], tuple[datetime | None, ByCell]] = {}
        self._comparisons: dict[datetime, tuple[Comparison, ...]] = {}
        self._looks: dict[tuple[Comparison, datetime], Mapping[Cell, Look]] = {}
        self._traffic: dict[datetime, Mapping[Cell, Traffic]] = {}
        self._expected: Mapping[Cell, Mapping[datetime, Traffic]] | None = None

    def comparisons(self, at: datetime) -> tuple[Comparison, ...]:
        """Who is compared with whom at a bucket's end."""
        end = on_grid(at, LONG)
        if end not in self._comparisons:
            self._comparisons[end] = measured.comparisons(self._store, end)
        return self._comparisons[end]

    def week(self, comparison: Comparison, at: datetime) -> ByCell:
        """The buckets of six hours of the last seven days, by cell; no cell without any."""
        kept = self._buckets(comparison, LONG, at - WEEK)
        found = {cell: _within(buckets, at - WEEK, at) for cell, buckets in kept.items()}
        return {cell: buckets for cell, buckets in found.items() if buckets}

    def quarters(self, comparison: Comparison, cell: Cell, at: datetime) -> Sequence[Bucket]:
        """The buckets of a quarter of an hour of the last six hours."""
        return _within(self._buckets(comparison, SHORT, at - SIX).get(cell, ()), at - SIX, at)

    def part(self, comparison: Comparison, cell: Cell, at: datetime) -> Bucket | None:
        """What was counted since the last bucket of six hours ended; None at its end, and where nothing was."""
        start = on_grid(at, LONG)
        quarters = _within(self._buckets(comparison, SHORT, start).get(cell, ()), start, at)
        if not quarters:
            return None
        minutes = (at - start) // timedelta(minutes=1)  # quiet quarters have no rows
        return replace(together(quarters), end=at, minutes=minutes)

    def history(self, comparison: Comparison, cell: Cell, at: datetime) -> Sequence[Bucket]:
        """Every bucket of six hours up to `at`."""
        return _within(self._buckets(comparison, LONG, None).get(cell, ()), None, at)

    def everything(self, comparison: Comparison, at: datetime) -> ByCell:
        """Every bucket of six hours up to `at`, by cell."""
        return {cell: _within(found, None, at) for cell, found in self._buckets(comparison, LONG, None).items()}

    def since(self, comparison: Comparison, cell: Cell, after: datetime, at: datetime) -> Sequence[Bucket]:
        """The buckets of six hours that end in (after, at]."""
        return _within(self._buckets(comparison, LONG, after).get(cell, ()), after, at)

    def look(self, comparison: Comparison, cell: Cell, at: datetime) -> Look | None:
        """What the cell counted since its phase began."""
        key = (comparison, on_grid(at, LONG))
        if key not in self._looks:
            self._looks[key] = {look.cell: look for look in measured.looks(self._store, *key)}
        return self._looks[key].get(cell)

    def traffic(self, at: datetime) -> Mapping[Cell, Traffic]:
        """What is expected to flow, by cell."""
        end = on_grid(at, LONG)
        if end not in self._traffic:
            self._traffic[end] = measured.traffic(self._store, end)
        return self._traffic[end]

    def expected(self, cell: Cell) -> Mapping[datetime, Traffic]:
        """What the seasons led to expect of a cell, by the buckets' ends."""
        if self._expected is None:
            self._expected = measured.expectations(self._store, since=None, until=self._until)
        return self._expected.get(cell, {})

    def has_quarter(self, at: datetime) -> bool:
        """Whether a bucket of a quarter of an hour that ends then is there, of any comparison."""
        return any(
            _within(buckets, at - timedelta(minutes=SHORT), at)
            for comparison in self.comparisons(at)
            for buckets in self._buckets(comparison, SHORT, at - SIX).values()
        )

    def _buckets(self, comparison: Comparison, minutes: int, since: datetime | None) -> ByCell:
        kept = self._kept.get((comparison, minutes))
        if kept is None or (kept[0] is not None and (since is None or since < kept[0])):
            zeros = comparison.kind == "forecast" and minutes == LONG
            back = None if since is None else since - KNOWN if zeros else since
            found: dict[Cell, list[Bucket]] = {}
            for each in measured.buckets(self._store, comparison, minutes=minutes, since=back, until=self._until):
                found.setdefault(each.cell, []).append(each)
            kept = self._kept[comparison, minutes] = (since, _with_zeros(found) if zeros else found)
        return kept[1]


def _with_zeros(found: ByCell) -> ByCell:
    """The same, with a bucket of zero where a cell that is known has none and the site has one."""
    there = [bucket for bucket in found.get(Cell(), ()) if _came(bucket)]
    filled: dict[Cell, Sequence[Bucket]] = {}
    for cell, buckets in found.items():
        own, last, zeros = {bucket.end: bucket for bucket in buckets}, None, []
        for site in there:
            if (here := own.get(site.end)) is not None:
                last = site.end if _came(here) else last
            elif last is not None and site.end - last <= KNOWN:
                zeros.append(replace(site, cell=cell, arms={site.comparison.watched: NOTHING}))
        filled[cell] = sorted([*buckets, *zeros], key=_end)
    return filled


def _came(bucket: Bucket) -> bool:
    return any(arm.sessions > 0 for arm in bucket.arms.values())


def _within(buckets: Sequence[Bucket], after: datetime | None, until: datetime) -> Sequence[Bucket]:
    first = 0 if after is None else bisect_right(buckets, after, key=_end)
    return buckets[first : bisect_right(buckets, until, key=_end)]


def _end(bucket: Bucket) -> datetime:
    return bucket.end


def apart(cells: ByCell, comparison: Comparison) -> set[Cell]:
    """Without cells that counted the same as another: a module's only category, the whole site of one module.

    The whole site stays with a forecast, where it says that it is not the recommender.
    """
    found = set(cells)
    for cell in cells:
        whole = Cell() if not cell.category else Cell(cell.module)
        if cell.is_site or whole not in cells or not _same(cells[cell], cells[whole]):
            continue
        found -= {cell} if cell.category else {whole} if comparison.kind != "forecast" else set()
    return found


def _same(one: Sequence[Bucket], other: Sequence[Bucket]) -> bool:
    return [(each.end, each.arms) for each in one] == [(each.end, each.arms) for each in other]
