"""The shop's own count of what happened: facts of the units exposed to one experiment, and metrics made of them.

An independent count of the same definitions that the platform has: from the first exposure to the end of the run, over
units that are no bots; sessions from the one under way; returns and cancellations within 14 days of the order. It sees
arrays of the simulator and none of its logs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from experiments.simulator import times
from experiments.simulator.items import ITEMS_PER_CATEGORY, Flags, Floats, Integers
from experiments.simulator.plan import BROWSERS, CATEGORY_KEYS, DAY, DEVICES, MODULES, SECOND, Play
from experiments.simulator.play import ELSEWHERE, Lines, Played, Slates
from experiments.simulator.world import APART, World

MATURE_DAYS, ATTRIBUTION_DAYS, COVARIATE_DAYS = 14, 7, 28
OWNERS = (*MODULES, "(search)", "(direct)")
SEARCH, DIRECT = len(MODULES), len(MODULES) + 1
PLATFORMS = tuple(sorted({platform for platform, *_ in DEVICES}))
PER_UNIT = "units"

METRICS: Mapping[str, tuple[str, str]] = {  # metric → the facts it divides
    "revenue_per_unit": ("value", PER_UNIT),
    "net_revenue_per_unit": ("net_value", PER_UNIT),
    "margin_per_unit": ("margin", PER_UNIT),
    "orders_per_unit": ("orders", PER_UNIT),
    "conversion": ("ordering_units", PER_UNIT),
    "sessions_per_unit": ("sessions", PER_UNIT),
    "aov": ("value", "orders"),
    "items_per_order": ("pieces", "orders"),
    "revenue_per_session": ("value", "sessions"),
    "revenue_per_slate": ("value", "slates"),
    "ctr": ("clicked_slates", "slates"),
    "add_to_cart_rate": ("cart_sessions", "sessions"),
    "cart_abandonment_rate": ("abandoned_sessions", "cart_sessions"),
    "oos_shown_rate": ("items_out", "items_shown"),
    "oos_click_rate": ("clicks_out", "clicks"),
    "return_rate": ("returned_lines", "lines"),
    "return_value_rate": ("returned_value", "value"),
    "cancellation_rate": ("cancelled_lines", "lines"),
    "discount_share": ("discount", "value"),
    "fallback_rate": ("fallback_slates", "slates"),
    "latency_per_slate": ("latency", "slates"),
}
"""The shipped metrics that the simulator counts."""

BY_LINE = {
    PER_UNIT, "value", "net_value", "margin", "orders", "ordering_units", "pieces", "discount", "lines",
    "returned_lines", "returned_value", "cancelled_lines",
}  # fmt: skip
"""Facts that have parts by what was bought and through which module."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """Who met the experiment, (n_units,): the instant of the first exposure, -1 for nobody who is analysed."""

    first: Integers
    end: int
    page: Integers  # the category of the first exposure's page, -1 where it has none
    bought_before: Flags
    affinity: Integers  # the category most was spent on before, -1 without orders

    @property
    def analysed(self) -> Flags:
        """Who is counted."""
        answer: Flags = self.first >= 0
        return answer

    def counts(self, unit: Integers, at: Integers) -> Flags:
        """Whether what each unit did at each instant is counted."""
        answer: Flags = (self.first[unit] >= 0) & (at >= self.first[unit]) & (at < self.end)
        return answer

    def meets(self, unit: Integers, at: Integers) -> Flags:
        """Whether visits that begin at these instants are counted: the one of the first exposure is under way then."""
        first = self.first[unit]
        answer: Flags = (first >= 0) & (at + APART > first) & (at < self.end)
        return answer


def exposed(world: World, play: Play, played: Played) -> Exposed:
    """Who meets the play's module in the run. No arm of it changes that."""
    plan, came, shown = world.plan, world.came, played.slates
    start, end = plan.run_span
    mine = np.flatnonzero((shown.module == MODULES.index(play.module)) & (shown.at >= start) & (shown.at < end))
    unit = came.unit[shown.visit[mine]]
    who, where = np.unique(unit, return_index=True)  # slates come in order of time
    first, page = np.full(plan.units, -1), np.full(plan.units, -1)
    first[who] = shown.at[mine][where]
    if play.module == "pdp":
        page[who] = came.category[shown.visit[mine]][where]
    first[world.folk.bot] = -1
    before = _pre_period(world, first, played.lines)
    return Exposed(first, end, page, before.sum(axis=1) > 0, np.where(before.any(axis=1), before.argmax(axis=1), -1))


def _pre_period(world: World, first: Integers, bought: Lines) -> Integers:
    """Spent in the 28 days before the day of the first exposure, (n_units, n_categories)."""
    came, n = world.came, len(CATEGORY_KEYS)
    unit, day = came.unit[bought.visit], came.at[bought.visit] // DAY
    into = first[unit] // DAY - day
    rows = np.flatnonzero((first[unit] >= 0) & (into > 0) & (into <= COVARIATE_DAYS))
    cell = unit[rows] * n + bought.item[rows] // ITEMS_PER_CATEGORY
    spent = np.bincount(cell, weights=bought.value[rows], minlength=world.plan.units * n)
    return spent.reshape(-1, n).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something countable: whose, how much, and of a line its category and the owner of its order; (n,) each."""

    unit: Integers
    amount: Integers
    category: Integers | None = None
    owner: Integers | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """Every fact of one course of events."""

    facts: Mapping[str, Fact]
    who: Exposed

    def total(self, name: str) -> float:
        """Of all analysed units."""
        return float(self.facts[name].amount.sum())

    def by_unit(self, name: str, group: Integers, size: int) -> Floats:
        """By the group of the unit, (size,); units of group -1 are in none."""
        fact = self.facts[name]
        of = group[fact.unit]
        return _summed(of[of >= 0], fact.amount[of >= 0], size)

    def by_line(self, name: str, part: str, size: int) -> Floats:
        """By the category ("item_category") or the owner ("module") of the line, (size,). Every part has all units."""
        fact = self.facts[name]
        if name == PER_UNIT:
            return np.full(size, self.total(name))
        of = fact.category if part == "item_category" else fact.owner
        if of is None:
            raise ValueError(f"{name} has no parts by {part}")
        if name in ("orders", "ordering_units"):  # an order counts once in each of its parts
            whole = self.facts["order_ids" if name == "orders" else "line_units"]
            seen = np.unique(np.stack([whole.amount, of]), axis=1)
            return _summed(seen[1], np.ones(seen.shape[1]), size)
        return _summed(of, fact.amount, size)


def _summed(of: Integers, amount: Integers | Floats, size: int) -> Floats:
    total: Floats = np.asarray(np.bincount(of, weights=amount, minlength=size), dtype=np.float64)
    return total


def count(world: World, play: Play, played: Played, who: Exposed) -> Counted:
    """The facts of the play's units."""
    facts = dict(_line_facts(world, played, who))
    facts |= dict(_session_facts(world, played, who))
    facts |= dict(_slate_facts(world, play, played, who))
    analysed = np.flatnonzero(who.analysed)
    facts[PER_UNIT] = Fact(analysed, np.ones(len(analysed), dtype=np.int64))
    return Counted(facts, who)


def _line_facts(world: World, played: Played, who: Exposed) -> Iterator[tuple[str, Fact]]:
    came, bought = world.came, played.lines
    at = came.at[bought.visit] + times.ORDERED
    row = np.flatnonzero(who.counts(came.unit[bought.visit], at))
    visit, item, value = bought.visit[row], bought.item[row], bought.value[row]
    unit, category = came.unit[visit], item // ITEMS_PER_CATEGORY
    owner = _owners(world, played, who)[visit]
    days = (at[row] + bought.after[row]) // DAY - at[row] // DAY
    back = np.where((bought.refund[row] >= 0) & (days <= MATURE_DAYS), bought.refund[row], 0)
    stopped = world.basket.cancelled[visit] >= 0  # within a day
    amounts: dict[str, Integers] = {
        "value": value,
        "net_value": np.where(stopped, 0, value - back),
        "margin": world.shelf.margin[item] * bought.quantity[row],
        "pieces": bought.quantity[row],
        "discount": bought.discount[row],
        "lines": np.ones_like(row),
        "returned_lines": ((bought.refund[row] >= 0) & (days <= MATURE_DAYS)).astype(np.int64),
        "returned_value": back,
        "cancelled_lines": stopped.astype(np.int64),
        "order_ids": visit,
        "line_units": unit,
    }
    for name, amount in amounts.items():
        yield name, Fact(unit, amount, category, owner)
    orders, people = np.unique(visit), np.unique(unit)
    yield "orders", Fact(came.unit[orders], np.ones_like(orders), category, owner)
    yield "ordering_units", Fact(people, np.ones_like(people), category, owner)


def _session_facts(world: World, played: Played, who: Exposed) -> Iterator[tuple[str, Fact]]:
    came = world.came
    mine = who.meets(came.unit, came.at)
    has_order = played.way >= 0
    has_cart = came.fills_cart | has_order
    for name, flag in (
        ("sessions", np.ones_like(has_order)),
        ("cart_sessions", has_cart),
        ("abandoned_sessions", has_cart & ~has_order),
    ):
        rows = np.flatnonzero(mine & flag)
        yield name, Fact(came.unit[rows], np.ones_like(rows))


def _slate_facts(world: World, play: Play, played: Played, who: Exposed) -> Iterator[tuple[str, Fact]]:
    shown = played.slates
    unit = world.came.unit[shown.visit]
    rows = np.flatnonzero((shown.module == MODULES.index(play.module)) & who.counts(unit, shown.at))
    unit, items, at = unit[rows], shown.items[rows], shown.at[rows]
    out = world.shelf.is_out(np.maximum(items, 0), at[:, None]) & (items >= 0)
    amounts: dict[str, Integers] = {
        "slates": np.ones_like(rows),
        "clicked_slates": ((shown.browsed[rows] >= 0) | (shown.ordered[rows] >= 0)).astype(np.int64),
        "items_shown": (items >= 0).sum(axis=1),
        "items_out": out.sum(axis=1),
        "fallback_slates": shown.fallback[rows].astype(np.int64),
        "latency": shown.latency_ms[rows],
    }
    for name, amount in amounts.items():
        yield name, Fact(unit, amount)
    slate, place, at = _clicks(world, shown)
    unit = world.came.unit[shown.visit[slate]]
    rows = np.flatnonzero((shown.module[slate] == MODULES.index(play.module)) & who.counts(unit, at))
    clicked = shown.items[slate[rows], place[rows]]
    yield "clicks", Fact(unit[rows], np.ones_like(rows))
    yield "clicks_out", Fact(unit[rows], world.shelf.is_out(clicked, at[rows]).astype(np.int64))


def _clicks(world: World, shown: Slates) -> tuple[Integers, Integers, Integers]:
    """Row, place and instant of every click on a slate."""
    browsed, ordered = np.flatnonzero(shown.browsed >= 0), np.flatnonzero(shown.ordered >= 0)
    led = world.came.at[shown.visit[ordered]] + times.LED + shown.module[ordered] * SECOND
    return (
        np.concatenate([browsed, ordered]),
        np.concatenate([shown.browsed[browsed], shown.ordered[ordered]]),
        np.concatenate([shown.at[browsed] + times.BROWSED, led]),
    )


def _owners(world: World, played: Played, who: Exposed) -> Integers:
    """Row of OWNERS of each visit's order: the last click, from the first exposure on, in the seven days before it."""
    came, shown = world.came, played.slates
    slate, _, clicked_at = _clicks(world, shown)
    found = np.flatnonzero((played.way == ELSEWHERE) & played.searched)
    unit = np.concatenate([came.unit[shown.visit[slate]], came.unit[found]])
    at = np.concatenate([clicked_at, came.at[found] + times.FOUND])
    owner = np.concatenate([shown.module[slate], np.full(len(found), SEARCH)])
    counts = who.counts(unit, at)
    unit, at, owner = unit[counts], at[counts], owner[counts]
    order = np.lexsort((at, unit))
    unit, at, owner = unit[order], at[order], owner[order]

    begin, end = world.plan.log_span
    span = end - begin + DAY
    bought_at = came.at + times.ORDERED
    last = np.searchsorted(unit * span + at - begin, came.unit * span + bought_at - begin, side="right") - 1
    if not len(unit):
        return np.full(len(came.unit), DIRECT)
    near = (last >= 0) & (unit[last] == came.unit) & (bought_at - at[last] <= ATTRIBUTION_DAYS * DAY)
    return np.where(near, owner[last], DIRECT)


@dataclass(frozen=True, slots=True)
class Slice:
    """How units (`group`, (n_units,), -1 in none) or, without a group, lines are cut."""

    key: str
    values: tuple[str, ...]
    group: Integers | None


def slices(world: World, play: Play, who: Exposed) -> tuple[Slice, ...]:
    """The cuts that a readout shows: of units by their first exposure and what they did before, of lines by kind."""
    device = world.folk.device
    platform = np.array([PLATFORMS.index(each) for each, *_ in DEVICES])[device]
    found = [
        Slice("device", PLATFORMS, platform),
        Slice("browser", BROWSERS, device),
        Slice("bought_before", ("New", "Returning"), who.bought_before.astype(np.int64)),
        Slice("affinity", (*CATEGORY_KEYS, "(none)"), np.where(who.affinity < 0, len(CATEGORY_KEYS), who.affinity)),
        Slice("item_category", CATEGORY_KEYS, None),
        Slice("module", OWNERS, None),
    ]
    if play.module == "pdp":
        found.insert(4, Slice("first_page_category", CATEGORY_KEYS, who.page))
    return tuple(found)
