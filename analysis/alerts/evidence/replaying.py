"""The A/A replay of a shop: every holdout it published, weighed by its money settings, in sentences. ALERTS 3.

Pages wake people, so they are switched on (`pages: true`) only after somebody has read this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from analysis import words
from analysis.alerts.evidence import changes
from analysis.alerts.evidence.detector import BASELINE_BUCKETS
from analysis.alerts.evidence.replay import Replay, Terms, replay
from analysis.alerts.measures import measured
from analysis.alerts.measures.shelf import ByCell, Shelf, apart
from analysis.alerts.model import LONG, Cell, Comparison, Metric
from analysis.alerts.model import METRICS as EVERY
from analysis.alerts.weighing.conversions import Conversions
from analysis.alerts.weighing.stake import stake, unpriced, watched_share
from analysis.words.inbox import NO_REPLAY
from analysis.words.notices import METRICS, place
from experiments.errors import UsageError
from experiments.money import Money
from experiments.shop import Shop
from experiments.store import Store

ALLOWED = 1.0  # false pages a quarter, over the whole shop


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the replay of one holdout came to; `unpriced` are its cells without a stake, `metrics` what it went by."""

    comparison: Comparison
    found: Replay
    unpriced: tuple[Cell, ...]
    metrics: tuple[Metric, ...]

    @property
    def allows_pages(self) -> bool:
        """Whether it shows no more false pages a quarter than there may be, as it happened and as drawn."""
        rate, drawn = self.found.rate, self.found.drawn_rate
        return rate is not None and rate <= ALLOWED and (drawn is None or drawn <= ALLOWED)


def replayed(
    shop: Shop, store: Store, money: Money, *, at: datetime, drawn: int, rng: np.random.Generator
) -> tuple[Replayed, ...]:
    """Each holdout's history under "nothing happened". UsageError where none was published, or has a price."""
    shelf, budget = Shelf(store, at), money.budget_minor(shop.settings.digits)
    places = store.measured_until(measured.BUCKET, LONG)
    launches = measured.holdouts(store)
    if not launches:
        raise UsageError(NO_REPLAY)
    ships = [each.at for each in changes.launches(store)]
    end = max(places.values())
    conversions = tuple(Conversions(store, shelf).at(end).values())
    traffic, day = shelf.traffic(end), end.astimezone(shop.settings.zone).date()
    watched = {each: _cells(shelf, each, end) for each in (*launches, measured.SITE)}
    priced = {
        each: [cell for cell in cells if not unpriced(cell, each, traffic.get(cell), money)]
        for each, cells in watched.items()
    }
    stakes = {cell: stake(traffic[cell], money, on=day).money for cells in priced.values() for cell in cells}
    paging = len(conversions) * sum(len(priced[each]) for each in launches)
    done = []
    for comparison in launches:
        cells = watched[comparison]
        if not priced[comparison] or budget is None:
            reasons = {str(each) for cell in cells for each in unpriced(cell, comparison, traffic.get(cell), money)}
            raise UsageError(f"holdout {comparison.key}: no cell has a price: {'; '.join(sorted(reasons))}")
        spreads = {cell: float(money.spread_of(cell.module)) for cell in priced[comparison]}
        shares = {cell: watched_share(comparison, traffic[cell]) or 0.0 for cell in priced[comparison]}
        terms = Terms(stakes, budget, float(money.spread), spreads, shares, paging)
        history = [bucket for cell in priced[comparison] for bucket in cells[cell]]
        found = replay(history, conversions, terms, rng=rng, changes=ships, drawn=drawn)
        without = tuple(sorted(set(cells) - set(priced[comparison])))
        done.append(Replayed(comparison, found, without, tuple(each.metric for each in conversions)))
    return tuple(done)


def _cells(shelf: Shelf, comparison: Comparison, end: datetime) -> ByCell:
    """The cells that the job reads, with all their buckets."""
    cells = shelf.everything(comparison, end)
    return {cell: cells[cell] for cell in sorted(apart(cells, comparison))}


def told(given: Sequence[Replayed]) -> list[str]:
    """What came of it, and whether pages may be switched on."""
    lines = []
    for each in given:
        lines += _one(each)
    if all(each.allows_pages for each in given):
        return [*lines, f"No more than {ALLOWED:g} false page a quarter: write `pages: true` into money.yml."]
    return [*lines, "Pages stay off until a replay shows no more than that; tickets are told meanwhile."]


def _one(given: Replayed) -> list[str]:
    found, key = given.found, given.comparison.key
    if found.rate is None:
        wanted = f"{BASELINE_BUCKETS} buckets of six hours, and one more, between two launches"
        return [f"Holdout {key}: nothing can be played yet: no cell has {wanted}."]
    lines = [
        f"Holdout {key}: {found.pages} false page{'' if found.pages == 1 else 's'} in {found.quarters:.1f} quarters as "
        f"it happened: {found.rate:.2f} a quarter, {found.low:.2f} to {found.high:.2f} at 95%; {ALLOWED:g} is "
        "allowed."
    ]
    if found.drawn_rate is not None:
        lines.append(
            f"  {found.drawn_pages} in {found.drawn} quarters drawn from its weeks: {found.drawn_rate:.2f} a quarter."
        )
    lines.append(f"  Played by {words.listed([METRICS[metric] for metric in given.metrics])}.")
    if others := [METRICS[metric] for metric in EVERY if metric not in given.metrics]:
        worth = "what one percent of it is worth in revenue is not known for sure"
        lines.append(f"  Not by {words.listed(others)}: {worth}, so it wakes nobody.")
    worst = sorted(((pages, cell) for cell, pages in found.cells.items() if pages), reverse=True)
    lines += [f"  {place(cell, {})}: {pages}" for pages, cell in worst]
    if found.waiting:
        lines.append(f"  Not played, too little history: {words.listed([place(cell, {}) for cell in found.waiting])}.")
    if given.unpriced:
        lines.append(f"  Not played, no price: {words.listed([place(cell, {}) for cell in given.unpriced])}.")
    return lines
