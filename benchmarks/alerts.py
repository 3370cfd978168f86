"""How often healthy cells page, and how soon a loss does: `python -m benchmarks.alerts [--quarters 40] [--losses 100]`.

A shop of 24 cells (`benchmarks.alerts_shop`) is watched for a quarter after 28 days of baseline, every hour, by the
functions that the job uses: detector, money, severity, lifecycle. Beside it, on the same data, the rule that most have:
"add-to-cart of a session at least 5 % below the same day of last week". Then 2 % fewer add-to-carts on the peak
homepage, and 5 % fewer on a cell of 1,500 sessions a day, from a random quarter of an hour on.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from analysis.alerts.course.lifecycle import step
from analysis.alerts.course.standing import Standing
from analysis.alerts.evidence import detector as watch
from analysis.alerts.evidence.replay import poisson
from analysis.alerts.model import LONG, Baseline, Bucket, Cell, Detector, Evaluation, Metric, Notice, Traffic, Unit
from analysis.alerts.weighing.conversion import Conversion
from analysis.alerts.weighing.evaluate import Inputs, evaluate
from analysis.alerts.weighing.windows import together
from benchmarks.alerts_shop import (
    LAUNCH,
    START,
    STEP,
    Loss,
    Nature,
    Place,
    bucket,
    counted,
    places,
    quarters_of_an_hour,
    stakes,
)
from experiments.money import Money

BASELINE, QUARTER, WEEK, DAY = watch.BASELINE_BUCKETS, watch.BUCKETS_A_QUARTER, 28, 4
WORTH, ERROR, CHANGES = 1.0, 0.1, 20  # one percent less of the metric is one percent less revenue, ± 0.1
MONEY = Money(loss_budget=Decimal(75_000), margin=Decimal("0.35"), entry_modules=("homepage",), pages=True)
NAIVE = 0.05  # below last week
REACH = 100  # a detector so many times below its bar rings at no hour of the six
HOME, SMALL = Cell("homepage"), Cell("pdp", "rugs")
PAGES = ("page", "page_fast")


@dataclass(frozen=True, slots=True)
class Way:
    """How the monitor works: every so many minutes, reading detectors between their buckets too, and its bars."""

    minutes: int = 60
    between: bool = True
    raised: float = 1.0  # times the bars of one detector a cell
    metric: Metric = "add_to_cart"


@dataclass
class Played:
    """What came of it: notices of the monitor, days on which the naive rule rang."""

    notices: list[Notice] = field(default_factory=list)
    naive: dict[Cell, int] = field(default_factory=dict)
    rung: set[Cell] = field(default_factory=set)  # whose detector alone passed the page's bar, whatever the money

    def told(self, *severities: str, cell: Cell | None = None) -> list[Notice]:
        """Of each incident the first notice at one of the severities."""
        first: dict[str, Notice] = {}
        for one in self.notices:
            here = cell is None or any(member.unit.cell == cell for member in one.incident.members)
            if here and one.incident.severity in severities and one.transition.split(":")[0] in ("open", "worse"):
                first.setdefault(one.incident.incident_id, one)
        return list(first.values())


@dataclass
class Watched:
    """One cell while it is watched: all its buckets of six hours, of a quarter of an hour those of the last twelve."""

    place: Place
    bars: watch.Bars
    metric: Metric
    served: float  # the share of the sessions in the watched arm
    baseline: Baseline | None = None
    before: Detector | None = None  # at the end of the six hours before
    after: Detector | None = None  # at the end of these six hours
    long: list[Bucket] = field(default_factory=list)
    short: tuple[Bucket, ...] = ()

    def unit(self, at: datetime) -> Unit:
        """The unit of work at a bucket's end."""
        return Unit("launch_money", 1, LAUNCH, self.place.cell, self.metric, at)

    def detector(self, at: datetime, *, between: bool) -> Detector | None:
        """As it stands at that moment of the newest six hours."""
        if at == self.long[-1].end:
            return self.after
        part = [one for one in self.short if self.long[-1].end - STEP < one.end <= at]
        if between and self.baseline is not None:
            return watch.peek(self.before, self.baseline, together(part), self.metric)
        return self.before

    def evaluation(self, at: datetime, state: Detector | None, money: Money) -> Evaluation:
        """What the cell's unit of work finds."""
        place = self.place
        usual = place.conversion * place.basket
        inputs = Inputs(
            unit=self.unit(at),
            long=[one for one in self.long[-WEEK - 1 :] if at - timedelta(days=7) < one.end <= at],
            short=[one for one in self.short if at - STEP < one.end <= at],
            traffic=Traffic(  # a forecast that is right
                place.cell, at, place.sessions, 0.0, {}, {}, usual, None, ((LAUNCH, self.served),)
            ),
            evidence=watch.by_detector(state, self.bars, replayed=True),
            digits=2,
            baseline=self.baseline,
            conversion=Conversion(self.metric, WORTH, ERROR, CHANGES),
            fast=money.fast,
        )
        return evaluate(inputs, money)

    def rang(self) -> bool:
        """Whether the naive rule did on the day that ends: served arm, against the same day of last week."""
        today, before = (self._rate(self.long[-DAY - back : len(self.long) - back]) for back in (0, WEEK))
        return before > 0 and today <= (1 - NAIVE) * before

    def _rate(self, day: Sequence[Bucket]) -> float:
        sums = [one.arms[LAUNCH.watched] for one in day]
        return sum(one.totals[self.metric] for one in sums) / sum(one.sessions for one in sums)


def play(
    shop: tuple[Place, ...],
    seed: Sequence[int],
    *,
    buckets: int = QUARTER,
    loss: Loss | None = None,
    nature: Nature | None = None,
    way: Way | None = None,
    stop: Callable[[Played], bool] = lambda _: False,
) -> Played:
    """Watch some of the 24 cells for `buckets` of six hours after their baseline, or until `stop`.

    Quarters of an hour are drawn only where a detector is within reach of its bar or an incident stands: elsewhere
    there is no evidence, and an evaluation without evidence changes nothing.
    """
    rng, way, nature = np.random.default_rng(seed), way or Way(), nature or Nature()
    bars = watch.bars(stakes(places()))
    cells = []
    for place in shop:
        bar = bars[place.cell]
        cells.append(
            Watched(place, watch.Bars(bar.page * way.raised, bar.ticket * way.raised), way.metric, nature.served)
        )
    money = MONEY.model_copy(update={"every_minutes": way.minutes})
    found, standing = Played(naive={place.cell: 0 for place in shop}), Standing()
    for index, kinds in enumerate(counted(shop, rng, BASELINE + buckets, loss=loss, nature=nature)):
        for cell, counts in zip(cells, kinds, strict=True):
            cell.long.append(bucket(cell.place, index, counts, rng, revenue=False))
        if index == BASELINE - 1:
            for cell in cells:
                cell.baseline = watch.baseline(
                    cell.long, way.metric, change_at=cell.long[-1].end, reason="first_buckets"
                )
        if index < BASELINE:
            continue
        near = []
        for cell, counts in zip(cells, kinds, strict=True):
            if cell.baseline is None:
                continue
            cell.before, cell.after = cell.after, watch.step(cell.after, cell.baseline, cell.long[-1], way.metric)
            highest = max(watch.mean(cell.before), watch.mean(cell.after))
            if highest * REACH >= cell.bars.ticket or cell.place.cell in _followed(standing):
                drawn = quarters_of_an_hour(cell.place, index, counts, rng, loss=loss)
                cell.short = (*cell.short[-24:], *drawn)
                near.append(cell)
        for end in range(way.minutes, LONG + 1, way.minutes):
            at = START + index * STEP + timedelta(minutes=end)
            standing = _look(near, standing, at, found, money, way)
        if index % DAY == DAY - 1:
            for cell in cells:
                found.naive[cell.place.cell] += cell.rang()
        if stop(found):
            break
    return found


def _look(near: Sequence[Watched], standing: Standing, at: datetime, found: Played, money: Money, way: Way) -> Standing:
    """One run of the monitor."""
    followed, evaluations = _followed(standing), []
    for cell in near:
        state = cell.detector(at, between=way.between)
        if watch.mean(state) >= cell.bars.page:
            found.rung.add(cell.place.cell)
        if watch.mean(state) >= cell.bars.ticket or cell.place.cell in followed:
            evaluations.append(cell.evaluation(at, state, money))
    if not evaluations and not standing.cases:
        return standing
    standing, notices = step(standing, at, evaluations, (), windows={})
    found.notices += notices
    over = {reset.fingerprint for reset in standing.resets}
    for cell in near:
        if cell.unit(at).fingerprint in over:
            cell.before = cell.after = watch.reset(at)
    return standing


def _followed(standing: Standing) -> set[Cell]:
    return {track.evaluation.unit.cell for track in standing.tracks.values()}


# --- what is counted -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Healthy:
    """Over some quarters in which nothing happened: what rang."""

    quarters: int
    pages: int
    tickets: int
    evidence: int  # cells whose detector alone passed the page's bar
    naive: int
    naive_small: int  # on the cell of 1,500 sessions a day


def healthy(
    quarters: int,
    *,
    way: Way | None = None,
    nature: Nature | None = None,
    seed: int = 3,
    said: Callable[[str], None] = lambda _: None,
) -> Healthy:
    """Play quarters of 24 healthy cells."""
    pages = tickets = evidence = naive = small = 0
    for quarter in range(quarters):
        found = play(places(), [seed, quarter], way=way, nature=nature)
        pages += len(found.told(*PAGES))
        tickets += len(found.told("ticket"))
        evidence += len(found.rung)
        naive += sum(found.naive.values())
        small += found.naive[SMALL]
        said(f"quarter {quarter + 1} of {quarters}: {pages} pages, {naive:,} by the naive rule")
    return Healthy(quarters, pages, tickets, evidence, naive, small)


def detected(
    runs: int,
    loss: float,
    cell: Cell,
    *,
    days: int,
    way: Way | None = None,
    nature: Nature | None = None,
    seed: int = 2,
    said: Callable[[str], None] = lambda _: None,
) -> tuple[list[float], int]:
    """Hours from a loss to the page about it, inf where none came within `days`, and days on which the naive rule rang.

    The loss begins at a random quarter of an hour of a day, a week or so after the baseline.
    """
    place = next(one for one in places() if one.cell == cell)
    hours, naive = [], 0
    for run in range(runs):
        since = BASELINE + WEEK + int(np.random.default_rng([seed, run, 1]).integers(0, 96)) / 24
        began = START + since * STEP

        def after(found: Played, began: datetime = began) -> list[float]:
            told = [(one.at - began).total_seconds() / 3600 for one in found.told(*PAGES, cell=cell)]
            return [hour for hour in told if hour > 0]

        found = play(
            (place,),
            [seed, run],
            buckets=WEEK + DAY * (days + 2),
            loss=Loss(cell, loss, since),
            way=way,
            nature=nature,
            stop=lambda found: bool(after(found)),
        )
        hours.append(min(after(found), default=float("inf")))
        naive += found.naive[cell]
        said(f"loss {run + 1} of {runs}")
    return hours, naive


def within(hours: Sequence[float], limit: float) -> float:
    """The share that was paged within so many hours."""
    return float(np.mean(np.array(hours) <= limit))


def main() -> None:
    """Play and print the table of docs/methods/alerts.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quarters", type=int, default=40)
    parser.add_argument("--losses", type=int, default=200)
    given = parser.parse_args()

    def said(words: str) -> None:
        print(f"\r  {words}".ljust(78), end="", flush=True, file=sys.stderr)

    print(f"24 healthy cells, {given.quarters} quarters; a quarter:")
    print(f"  {'':<42}{'pages':>7}{'95 %':>14}{'tickets':>9}{'evidence':>10}{'naive':>7}{'small':>7}")
    for label, way, nature in (
        ("by add-to-cart", Way(), Nature()),
        ("effect that wanders by 0.3 s", Way(), Nature(wander=0.3, wander_kept=0.5)),
        ("by click", Way(metric="click"), Nature()),
    ):
        calm = healthy(given.quarters, way=way, nature=nature, said=said)
        low, high = (bound / calm.quarters for bound in poisson(calm.pages))
        counts = (calm.pages, calm.tickets, calm.evidence, calm.naive, calm.naive_small)
        page, ticket, evidence, naive, small = (count / calm.quarters for count in counts)
        print(
            f"\r  {label:<42}{page:>7.2f}{f'{low:.2f} – {high:.2f}':>14}{ticket:>9.2f}{evidence:>10.2f}"
            f"{naive:>7.0f}{small:>7.1f}"
        )
    print(f"2 % fewer add-to-carts on the peak homepage, {given.losses} losses, paged within")
    print(f"  {'':<42}{'12 h':>7}{'24 h':>7}{'30 h':>7}{'48 h':>7}")
    for label, way, nature in (
        ("as it is, read every hour", Way(), Nature()),
        ("read at the ends of six hours only", Way(between=False), Nature()),
        ("as it is, read every 15 minutes", Way(minutes=15), Nature()),
        ("as it is, four detectors a cell", Way(raised=4.0), Nature()),
        ("as it is, 30 % held out", Way(), Nature(served=0.7)),
        ("as it is, 10 % held out", Way(), Nature(served=0.9)),
        ("as it is, effect that wanders by 0.3 s", Way(), Nature(wander=0.3, wander_kept=0.5)),
    ):
        hours, rang = detected(given.losses, 0.02, HOME, days=2, way=way, nature=nature, said=said)
        shares = "".join(f"{within(hours, limit):>7.1%}" for limit in (12, 24, 30, 48))
        print(f"\r  {label:<42}{shares}   naive rule {rang}".ljust(78))
    hours, rang = detected(given.losses, 0.05, SMALL, days=28, said=said)
    paged = len(hours) - hours.count(float("inf"))
    print(f"\r5 % fewer on 1,500 sessions a day, {given.losses} losses of four weeks:".ljust(79))
    print(f"  {paged} pages, naive rule {rang}")


if __name__ == "__main__":
    main()
