"""A small shop's units in arrays → `Counts` and `Inputs`, as the warehouse and the pipeline would hand them over.

Money in cents. Every unit has a first day, a device, what it bought before, and order money by module
and category; slates with items out of stock. Truth is set by `lift` (money) and `stock` (items).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analysis.assembly import Event, Inputs
from analysis.calendar import data_cut
from analysis.inference.moments import ArmMoments, CellKey, Moments, pair
from analysis.warehouse.base import CellValue, CheckRows, Counts
from experiments.spec import (
    SEEN_BEFORE,
    Analysis,
    Experiment,
    ExperimentMetrics,
    Fact,
    Guardrail,
    Metric,
    Phase,
    Schedule,
    Slice,
    Variant,
)

Ints = NDArray[np.int64]
START = datetime(2026, 3, 2, tzinfo=UTC)
MODULES, CATEGORIES, DEVICES = ("cart", "homepage"), ("bath", "decor", "rugs"), ("a", "b", "c", "d", "e", "f", "g")

REVENUE = Metric(
    key="revenue_per_unit", label="Revenue per {unit}", kind="mean",
    numerator=Fact.model_validate({"from": "order_lines", "measure": {"sum": "value"}}),
    value_unit="money", direction="increase", role_hint="success",
)  # fmt: skip
CONVERSION = Metric(
    key="conversion", label="Share of {units} who order", kind="proportion",
    numerator=Fact.model_validate({"from": "order_lines", "measure": "any"}),
    value_unit="share", direction="increase",
)  # fmt: skip
OOS = Metric.model_validate(
    {
        "key": "oos_shown_rate", "label": "Share of shown items that are out of stock", "kind": "ratio",
        "numerator": {"from": "slates", "measure": {"sum": "items_out_of_stock"}},
        "denominator": {"from": "slates", "measure": {"sum": "items_stock_known"}},
        "value_unit": "share", "direction": "decrease", "guardrail_margin": "0.05",
    }
)  # fmt: skip
RETURNS = Metric.model_validate(
    {
        "key": "return_value_rate", "label": "Share of order value sent back within 14 days", "kind": "ratio",
        "numerator": {"from": "order_lines", "measure": {"sum": "returned_value"}},
        "denominator": {"from": "order_lines", "measure": {"sum": "value"}}, "mature_days": 14,
        "value_unit": "share", "direction": "decrease", "guardrail_margin": "0.10",
    }
)  # fmt: skip
MARGIN = Metric(
    key="margin_per_unit", label="Margin per {unit}", kind="mean",
    numerator=Fact.model_validate({"from": "order_lines", "measure": {"sum": "margin"}}),
    value_unit="money", direction="increase",
)  # fmt: skip
METRICS = {m.key: m for m in (REVENUE, CONVERSION, OOS, RETURNS, MARGIN)}


@dataclass(frozen=True)
class Truth:
    """What is so in the small shop; the defaults are an A/A run of 14 days."""

    units: int = 3000  # an arm
    days: int = 14
    lift: Mapping[str, float] = field(default_factory=dict)  # arm → multiplies order money
    stock: Mapping[str, float] = field(default_factory=dict)  # arm → multiplies out-of-stock items
    arms: tuple[str, ...] = ("control", "new")
    seed: int = 5
    short: Mapping[str, float] = field(default_factory=dict)  # arm → share of units lost


def inputs(truth: Truth, experiment: Experiment | None = None, **changes: object) -> Inputs:
    """The whole input of a readout; `changes` replace fields of `Inputs`."""
    given = experiment or definition(truth.arms)
    as_of = START + timedelta(days=truth.days)
    made = Inputs(
        phase=Phase(
            number=1, experiment=given, metrics=METRICS,
            slices=(Slice(key="device", kind="context", column="platform"),),
            started_at=START, planned_units=given.analysis.planned_units or 10_000,
            planned_units_assumed=given.analysis.planned_units is None,
        ),
        definition_version=1,
        catalogue=METRICS,
        currency="EUR",
        digits=2,
        time_zone="UTC",
        cut=data_cut(as_of, given.schedule.end_at, UTC_ZONE),
        now=as_of + timedelta(hours=4),
        counts=counts(truth),
        check_rows=clean_checks(truth),
        events=(),
        watched=True,
        engine="arrays",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def definition(
    arms: Sequence[str] = ("control", "new"),
    *,
    days: int = 28,
    success: tuple[str, ...] = ("revenue_per_unit",),
    guardrails: tuple[str, ...] = ("oos_shown_rate",),
    secondary: tuple[str, ...] = ("conversion",),
    strategies: Sequence[str] | None = None,
    **analysis: object,
) -> Experiment:
    """A definition of the small shop's experiment; `analysis` replaces its settings."""
    settings = {"planned_units": 6000, "min_units_per_arm": 500, **analysis}
    return Experiment(
        key="home_new", name="Homepage new", owner="recs-team", assignment="external", modules=MODULES,
        variants=tuple(
            Variant(key=arm, weight="1", is_control=i == 0, strategy=strategies[i] if strategies else None)
            for i, arm in enumerate(arms)
        ),
        schedule=Schedule(start_at=START, end_at=START + timedelta(days=days)),
        metrics=ExperimentMetrics(
            success=success, guardrails=tuple(Guardrail(metric=key) for key in guardrails), secondary=secondary
        ),
        analysis=Analysis.model_validate(settings),
    )  # fmt: skip


def counts(truth: Truth) -> Counts:
    """Exact moments of everybody, of each device, of each module and category, and day by day."""
    people = {arm: _arm(truth, arm, np.random.default_rng([truth.seed, i])) for i, arm in enumerate(truth.arms)}
    everyone = {arm: _moments(p.facts) for arm, p in people.items()}
    cells: dict[CellKey, ArmMoments] = {CellKey.overall(): everyone}
    for d, device in enumerate(DEVICES):
        cells[CellKey("context", "device", (device,), None)] = {
            arm: _moments({key: values[p.device == d] for key, values in p.facts.items()}) for arm, p in people.items()
        }
    for i, module in enumerate(MODULES):
        for j, category in enumerate(CATEGORIES):
            key = CellKey("decomposition", "module_item_category", (module, category), None)
            cells[key] = {arm: _part(p, p.money[:, i, j]) for arm, p in people.items()}
    daily = {
        (START + timedelta(days=n)).date(): {arm: _until(p, n) for arm, p in people.items()}
        for n in range(min(truth.days, 60))
    }
    return Counts(
        cells=cells,
        daily=daily,
        units={arm: m.n for arm, m in everyone.items()},
        excluded={arm: {"two_arms": 2, "bot": 5} for arm in truth.arms},
        days_with_data=truth.days,
        data_as_of=(START + timedelta(days=truth.days, minutes=-19)).replace(tzinfo=None),
        loads=("load-1",),
    )


def clean_checks(truth: Truth) -> dict[str, CheckRows]:
    """Check queries of a shop without a catalogue in which nothing is wrong."""
    arms: list[dict[str, CellValue]] = [{"arm": arm, "units": truth.units} for arm in truth.arms]
    rows: dict[str, list[dict[str, CellValue]]] = {
        "sample_ratio": [],
        "missing_add_to_cart": [],
        "catalogue_join": [],
        "duplicates": [
            {**row, "slates": 9000, "semantic_duplicates": 3, "units_with_duplicates": 2, "id_duplicates": 0,
             "rows_read": 50_000} for row in arms
        ],
        "two_arms": [{**row, "units_in_two_arms": 2, "first_day": "2026-03-04"} for row in arms],
        "order_of_events": [],
        "returns_unlinked": [],
        "unregistered_variant": [],
        "margin_coverage": [],
        "late_events": [],
        "clock_skew": [],
        "met_the_module": [],
        "busy_units": [{**row, "busy_units": 0} for row in arms],
        "identity": [],
        "volume": [],
        "clicks_not_shown": [],
        "orders_shared": [],
        "stock_known": [],
        "spikes": [],
        "catalogue_fields": [],
        "drift": [],
        "rejected_rows": [{"rows_read": 50_000, "rows_rejected": 0, "reason": None, "rows": 0}],
    }  # fmt: skip
    return {name: CheckRows(name, tuple(found)) for name, found in rows.items()}


# --- units -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _People:
    facts: dict[str, Ints]  # fact key → (n,)
    money: Ints  # (n, modules, categories)
    first: Ints  # (n,) day of the first exposure
    device: Ints  # (n,)


UTC_ZONE = ZoneInfo("UTC")
_VALUE, _ANY = REVENUE.facts(None)[0], CONVERSION.facts(None)[0]
_OUT, _KNOWN = OOS.facts(None)
_BACK, _SOLD = RETURNS.facts(None)
(_KEPT,) = MARGIN.facts(None)


def _arm(truth: Truth, arm: str, rng: np.random.Generator) -> _People:
    n = round(truth.units * (1 - truth.short.get(arm, 0.0)))
    keen = rng.gamma(1.0, 1.0, n)
    before = rng.poisson(0.6 * keen) * rng.integers(500, 4000, n)
    orders = rng.poisson(0.15 * keen[:, None, None], (n, len(MODULES), len(CATEGORIES)))
    price = rng.integers(500, 4000, (n, len(MODULES), len(CATEGORIES)))
    money = np.rint(orders * price * (1 + truth.lift.get(arm, 0.0))).astype(np.int64)
    known = rng.integers(100, 300, n)
    out = rng.binomial(known, 0.06 * (1 + truth.stock.get(arm, 0.0)))
    value = money.sum(axis=(1, 2))
    facts = {
        _VALUE.key: value, _VALUE.pre_key: before,
        _ANY.key: (value > 0).astype(np.int64), _ANY.pre_key: (before > 0).astype(np.int64),
        _OUT.key: out, _OUT.pre_key: np.zeros(n, np.int64),
        _KNOWN.key: known, _KNOWN.pre_key: np.zeros(n, np.int64),
        _BACK.key: value // 12, _BACK.pre_key: before // 12,
        _SOLD.key: value, _SOLD.pre_key: before,
        _KEPT.key: value // 4, _KEPT.pre_key: before // 4,
        SEEN_BEFORE: (before > 0).astype(np.int64),
    }  # fmt: skip
    return _People(facts, money, rng.integers(0, truth.days, n), rng.integers(0, len(DEVICES), n))


def _moments(facts: Mapping[str, Ints], left: Sequence[str] | None = None) -> Moments:
    """Sums and products; `left` keeps only products with at least one of these facts."""
    names = list(facts)
    table = np.stack([facts[name] for name in names], axis=1)
    gram = table.T @ table
    wanted = set(names if left is None else left)
    return Moments(
        len(table),
        {name: int(table[:, i].sum()) for i, name in enumerate(names)},
        {
            pair(a, b): int(gram[i, j])
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if i <= j and wanted & {a, b}
        },
        {name: int(np.count_nonzero(table[:, i])) for i, name in enumerate(names)},
    )


def _part(people: _People, value: Ints) -> Moments:
    """The moments of a part: its own money, with the total's covariates."""
    whole = {_VALUE.key: value, _VALUE.pre_key: people.facts[_VALUE.pre_key], SEEN_BEFORE: people.facts[SEEN_BEFORE]}
    own = _moments(whole, [_VALUE.key])
    return Moments(own.n, {_VALUE.key: own.sums[_VALUE.key]}, own.products, {_VALUE.key: own.nonzero[_VALUE.key]})


def _until(people: _People, day: int) -> Moments:
    """Units whose first day has come: what they did is counted whole, which is enough for a band."""
    return _moments({key: values[people.first <= day] for key, values in people.facts.items()})


def stop_event(arm: str, day: date) -> Event:
    """A stop stored on an earlier day."""
    return Event("stop", arm, "revenue_per_unit", day)
