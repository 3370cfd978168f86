"""Readouts made by hand, realistic to look at: one a verdict, and one with two treatments.

The numbers come from small formulas, not from data, so pages and exports can be tested without a
warehouse. Sentences are the real ones of `analysis.words`; the last point of a series is its row.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from analysis import words
from analysis.readout import (
    METHOD_VERSION,
    VERDICT_RULE,
    Adjustment,
    Arm,
    ArmValue,
    ArmVerdict,
    Because,
    Check,
    Comparison,
    Currency,
    Day,
    Design,
    ExperimentHead,
    Interval,
    MetricReadout,
    NotDetermined,
    Provenance,
    Question,
    Readout,
    Reason,
    Series,
    SliceCell,
    SliceReadout,
    Status,
    Verdict,
    VerdictCode,
)
from analysis.words import notes

START = date(2026, 12, 1)
MODULES = ("homepage", "product_page", "cart", "email")
CATEGORIES = ("bath", "bedding", "decor", "lighting", "rugs")
K = 3.05


@dataclass(frozen=True)
class MetricCase:
    """A metric's truth in one example: control mean, standard deviation over units, lift by arm."""

    key: str
    label: str
    role: Literal["success", "guardrail", "secondary"]
    value_unit: Literal["money", "count", "share", "ms"]
    direction: Literal["increase", "decrease"]
    mean: float
    deviation: float
    lift: float
    margin: str | None = None
    kind: str = "mean"
    second_lift: float = 0.0


@dataclass(frozen=True)
class Case:
    """One example: who, how far, what is true."""

    code: VerdictCode
    key: str
    name: str
    day: int
    per_arm: int
    metrics: tuple[MetricCase, ...]
    arms: tuple[str, ...] = ("als_v2",)
    status: dict[str, Status] | None = None
    finished: bool = False


def _metrics(revenue: float, returns: float = -0.01, second: float = 0.0) -> tuple[MetricCase, ...]:
    return (
        MetricCase(
            "revenue_per_unit", "Revenue per user", "success", "money", "increase", 4.127, 21.0, revenue,
            second_lift=second,
        ),
        MetricCase(
            "oos_shown_rate", "Share of shown items that are out of stock", "guardrail", "share", "decrease", 0.062,
            0.14, -0.012, "0.05", "ratio",
        ),
        MetricCase(
            "return_rate", "Share of order lines sent back", "guardrail", "share", "decrease", 0.081, 0.5, returns,
            "0.10", "ratio",
        ),
        MetricCase("ctr", "Click-through rate", "secondary", "share", "increase", 0.034, 0.11, 0.028, None, "ratio"),
        MetricCase("aov", "Average order value", "secondary", "money", "increase", 74.2, 310.0, 0.004, None, "ratio"),
    )  # fmt: skip


CASES = {
    "SHIP": Case("SHIP", "home_als_v2", "Homepage ALS v2", 14, 150_000, _metrics(0.071)),
    "HOLD": Case("HOLD", "pdp_similar_v3", "Product page similar items v3", 14, 150_000, _metrics(0.068, 0.07)),
    "STOP": Case("STOP", "cart_bundles", "Cart bundles", 5, 90_000, _metrics(-0.112)),
    "WITHHELD": Case("WITHHELD", "email_top_picks", "E-mail top picks", 9, 60_000, _metrics(0.03)),
    "CANT_TELL": Case("CANT_TELL", "home_freshness", "Homepage freshness boost", 21, 60_000, _metrics(0.012)),
    "TOO_EARLY": Case("TOO_EARLY", "pdp_bandit", "Product page bandit", 3, 8_000, _metrics(0.004)),
    "NO_MATERIAL_EFFECT": Case(
        "NO_MATERIAL_EFFECT", "home_layout", "Homepage carousel order", 28, 1_100_000, _metrics(0.001), finished=True
    ),
    "TWO_TREATMENTS": Case(
        "SHIP", "email_subject", "E-mail picks for two tastes", 14, 150_000, _metrics(0.079, second=0.011),
        ("mens", "womens"),
    ),
}  # fmt: skip


def example(name: str, **changes: object) -> Readout:
    """The example by its verdict code, or TWO_TREATMENTS; `changes` replace top-level fields."""
    return _build(CASES[name]).model_copy(update=changes)


ODD = r"$\alpha$ *a* <b>b</b> _c_ `d` :smile: -> [e](f) :red[g] ~~h~~ www.i.org"  # markup, were it not a name


def odd_names() -> Readout:
    """A reading whose experiment and first metric have a name that looks like markup."""
    reading = example("CANT_TELL")
    head = reading.experiment.model_copy(update={"key": "odd_names", "name": ODD})
    first, *others = reading.metrics or ()
    named = first.model_copy(update={"label": ODD})
    return reading.model_copy(update={"experiment": head, "metrics": (named, *others), "snapshot_id": "0dd" * 5 + "0"})


def exploratory(reading: Readout, key: str) -> Readout:
    """The reading with one metric that its phase did not freeze."""
    metrics = tuple(metric.model_copy(update={"registered": metric.key != key}) for metric in reading.metrics or ())
    return reading.model_copy(update={"metrics": metrics})


def examples() -> dict[str, Readout]:
    """Every example by name."""
    return {name: _build(case) for name, case in CASES.items()}


def _build(case: Case) -> Readout:
    as_of = START + timedelta(days=case.day)
    metrics = tuple(_metric(case, metric) for metric in case.metrics)
    verdicts = tuple(ArmVerdict(arm=arm, verdict=_verdict(case, arm, metrics[0])) for arm in case.arms)
    withheld = case.code == "WITHHELD"
    return Readout(
        snapshot_id=words_id(case.key),
        experiment=ExperimentHead(
            key=case.key, name=case.name, owner="recs-team", hypothesis="+1.5 % revenue per user",
            modules=MODULES[:2], unit_type="user", assignment="external", assigned_by="the shop",
        ),
        phase=1,
        as_of=f"{as_of}T00:00:00Z",
        data_as_of=f"{as_of - timedelta(days=1)}T23:41:07Z",
        published_at=f"{as_of}T04:00:00Z",
        method_version=METHOD_VERSION,
        verdict_rule=VERDICT_RULE,
        currency=Currency(code="EUR", digits=2),
        time_zone="Europe/Berlin",
        day=Day(
            n=case.day, planned=28, started_on=START.isoformat(), ends_on=(START + timedelta(days=27)).isoformat()
        ),
        mode="finished" if case.finished else "running",
        design=Design(
            name="always_valid", alpha="0.05", planned_units=300_000, planned_units_assumed=False, critical_value=K
        ),
        verdict=verdicts[0].verdict,
        verdicts=verdicts,
        arms=tuple(
            Arm(
                key=arm, is_control=i == 0, strategy="popularity" if i == 0 else "als", weight="1",
                units=case.per_arm + 37 * i, units_excluded={"two_arms": 14 + i, "bot": 51 - i},
            )
            for i, arm in enumerate(("control", *case.arms))
        ),
        checks=_checks(case),
        metrics=None if withheld else metrics,
        slices=None if withheld else (_heat_map(case), _devices(case)),
        series=None if withheld else _series(case, metrics),
        questions=None if withheld else _questions(),
        exclusions={"two_arms": 29, "bot": 101},
        warnings=("planned units were assumed: 10,000",) if case.code == "TOO_EARLY" else (),
        provenance=Provenance(
            definition_version=3, definition_digest="d" * 64, metrics_digest="m" * 64, slices_digest="s" * 64,
            moments_digest="0" * 64, checks_digest="c" * 64, settings_digest="e" * 64, loads=("load-1",),
            engine="duckdb 2.0.0",
        ),
    )  # fmt: skip


def words_id(key: str) -> str:
    """A stable stand-in for a snapshot id: 16 hex digits."""
    return f"{sum(ord(letter) * 31**i for i, letter in enumerate(key)):016x}"[-16:]


def _se(case: Case, metric: MetricCase) -> float:
    return metric.deviation * 0.83 * math.sqrt(2 / case.per_arm)


def _metric(case: Case, metric: MetricCase) -> MetricReadout:
    return MetricReadout(
        key=metric.key, label=metric.label, role=metric.role, kind=metric.kind, value_unit=metric.value_unit,
        direction=metric.direction, additive=metric.kind == "mean", registered=True, window_days=None,
        mature_days=14 if metric.key == "return_rate" else 0,
        mature_until=f"{START + timedelta(days=case.day - 14)}T00:00:00Z" if metric.key == "return_rate" else None,
        margin=metric.margin, margin_abs=None, materiality="0.02" if metric.role == "success" else None,
        comparisons=tuple(_comparison(case, metric, arm, i) for i, arm in enumerate(case.arms)),
    )  # fmt: skip


def _comparison(case: Case, metric: MetricCase, arm: str, index: int) -> Comparison:
    lift = metric.lift if index == 0 else metric.second_lift
    unripe = metric.key == "return_rate" and case.day < 14
    difference, half = lift * metric.mean, K * _se(case, metric)
    relative = Interval(
        est=lift, lo=(difference - half) / metric.mean, hi=(difference + half) / metric.mean, method="fieller"
    )
    absolute = Interval(est=difference, lo=difference - half, hi=difference + half)
    per_day = case.per_arm * 2 / case.day
    reason = Reason(code="unripe", words="its first order lines mature on 15 December 2026")
    missing = NotDetermined(not_determined=reason)
    guardrail = None
    if metric.role == "guardrail":
        guardrail = missing if unripe else Interval(est=lift, lo=None, hi=lift + 2.8 / K * half / metric.mean)
    money = metric.key == "revenue_per_unit"
    return Comparison(
        arm=arm,
        against="control",
        control=ArmValue(
            mean=None if unripe else metric.mean, raw=None if unripe else metric.mean * 0.998, n=case.per_arm,
            nonzero=case.per_arm // 9,
        ),
        treatment=ArmValue(
            mean=None if unripe else metric.mean + difference,
            raw=None if unripe else (metric.mean + difference) * 1.001,
            n=case.per_arm + 37 * (index + 1),
            nonzero=case.per_arm // 9 + 11,
        ),
        absolute=missing if unripe else absolute,
        relative=missing if unripe else relative,
        se=None if unripe else _se(case, metric),
        guardrail=guardrail,
        harm=Interval(est=lift, lo=None, hi=lift + 2.9 / K * half / metric.mean) if metric.role == "success" else None,
        money_per_day=Interval(
            est=difference * per_day, lo=(difference - half) * per_day, hi=(difference + half) * per_day,
            basis="the run's own days at 100 % of traffic",
        )
        if money
        else None,
        p_always_valid=None if unripe else min(1.0, 2 * math.exp(-((difference / _se(case, metric)) ** 2) / 2)),
        p_fixed=None,
        adjustment=Adjustment(
            covariates=("x_0123456789ab", "seen_before"), slopes="by_arm", variance_reduction=0.31, days_saved=5,
            words="31% less noise from what users did before: about 5 days saved",
        )
        if money
        else None,
        floored=False,
        gate=True,
        status=_status(metric, relative, unripe=unripe),
        not_determined=reason if unripe else None,
    )  # fmt: skip


def _status(metric: MetricCase, relative: Interval, *, unripe: bool) -> Status:
    assert relative.lo is not None
    assert relative.hi is not None
    if metric.role == "guardrail":
        return "cleared" if not unripe and relative.hi < float(metric.margin or 0) else "not_clear"
    if metric.role == "success" and max(abs(relative.lo), abs(relative.hi)) < 0.02:
        return "no_material_effect"
    return "better" if relative.lo > 0 else "worse" if relative.hi < 0 else "not_clear"


def _verdict(case: Case, arm: str, primary: MetricReadout) -> Verdict:
    comparison = next(c for c in primary.comparisons if c.arm == arm)
    lift, money, harm = comparison.relative, comparison.money_per_day, comparison.harm
    assert isinstance(lift, Interval)
    assert isinstance(money, Interval)
    assert isinstance(harm, Interval)
    change = words.Change(
        primary.label, "lift", (lift.est, lift.lo, lift.hi), "EUR",
        least=abs(harm.hi) if harm.hi is not None and harm.hi < 0 else None, money=(money.est, money.lo, money.hi),
    )  # fmt: skip
    code: VerdictCode = case.code
    if len(case.arms) > 1 and comparison.status != "better":
        code = "CANT_TELL"
    reading = START + timedelta(days=7 * (case.day // 7 + 1))
    several = arm if len(case.arms) > 1 else None
    sentence: Callable[[], str] = {
        "SHIP": lambda: words.ship(change, arm, 2),
        "HOLD": lambda: words.hold_not_cleared(
            change, several, "Share of order lines sent back", "10%",
            words.figures(0.07, -0.031, 0.171, unit="lift"), 9,
        ),
        "STOP": lambda: words.stop(change, several),
        "WITHHELD": lambda: words.withheld(
            "the split is not the one planned (50.9% control, 50% planned)", "data team", "find the lost exposures"
        ),
        "CANT_TELL": lambda: words.cant_tell(change, several, 23, "2%"),
        "TOO_EARLY": lambda: words.too_early(reading, several),
        "NO_MATERIAL_EFFECT": lambda: words.no_material_effect(change, several, "2%"),
    }[code]  # fmt: skip
    cause = {
        "HOLD": Because(rule="guardrail_not_cleared", metric="return_rate", words="its range reaches beyond 10%"),
        "WITHHELD": Because(rule="blocking_check", check="SH-01", words="the split is not the one planned"),
        "TOO_EARLY": Because(rule="min_days", words="3 of 7 full days"),
    }
    because = cause.get(code, Because(rule="success", metric="revenue_per_unit", words="revenue per user decides"))
    return Verdict(
        code=code,
        arm=arm,
        sentence=sentence(),
        because=(because,),
        next_reading=None if code in ("STOP", "WITHHELD") or case.finished else reading.isoformat(),
        owner="data team" if code == "WITHHELD" else None,
        fix="find the lost exposures" if code == "WITHHELD" else None,
    )


def _checks(case: Case) -> tuple[Check, ...]:
    failed = case.code == "WITHHELD"
    return (
        Check(
            id="SH-01", label="Sample ratio", state="fail" if failed else "pass", blocking=True,
            sentence="The split is not the one planned." if failed else "The split is the one planned.",
            figures={"e": 48_211.0 if failed else 0.041, "share_control": 0.509 if failed else 0.5},
            groups=({"group": "Browser: Safari", "units": 21_033, "e": 48_211.0},) if failed else (),
            sql="sql/checks/sample_ratio.sql", since="2026-12-04" if failed else None, owner="data team",
        ),
        Check(
            id="SH-02", label="Missing add-to-cart", state="warn" if case.code == "HOLD" else "pass", blocking=False,
            sentence="Add-to-cart events are there in every browser.", figures={"browsers": 6}, groups=(),
            sql="sql/checks/missing_add_to_cart.sql", since=None, owner="web team",
        ),
        Check(
            id="SH-03", label="Catalogue join", state="unknown", blocking=False,
            sentence="No catalogue was loaded.", figures={}, groups=(), sql="sql/checks/catalogue_join.sql",
            since=None, owner="data team",
        ),
        Check(
            id="SH-09", label="Logged arm is the computed arm", state="not_applicable", blocking=True,
            sentence="Not applicable: assigned by the shop.", figures={}, groups=(), sql=None, since=None,
            owner="recs-team",
        ),
    )  # fmt: skip


def _heat_map(case: Case) -> SliceReadout:
    """Module × category; the cells' differences add up to the total's."""
    revenue = case.metrics[0]
    cells = tuple(
        _cell(case, revenue, arm, {"module": module, "item_category": category}, weight, tilt)
        for index, arm in enumerate(case.arms)
        for (module, category, weight, tilt) in _grid(index)
    )
    return SliceReadout(
        key="module_item_category", label="Module × category", kind="decomposition",
        dimensions=("module", "item_category"), exploratory=False, sums_to_total=True, tau2=None,
        words="Ranges hold for all cells at once; parts share users, so none is drawn towards the others.", cells=cells,
    )  # fmt: skip


def _grid(index: int) -> list[tuple[str, str, float, float]]:
    """Each cell's share of control money and its tilt around the overall lift; tilts weighted by share sum to 0."""
    grid = []
    for i, module in enumerate(MODULES):
        for j, category in enumerate(CATEGORIES):
            share = (4 - i) / 10 * (1, 2, 3, 2, 2)[j] / 10
            grid.append((module, category, share, ((i * 5 + j * 3 + index) % 7 - 3) / 12))
    middle = sum(share * tilt for _, _, share, tilt in grid)
    return [(module, category, share, tilt - middle) for module, category, share, tilt in grid]


def _cell(case: Case, metric: MetricCase, arm: str, values: dict[str, str], share: float, tilt: float) -> SliceCell:
    lift = (metric.lift if arm == case.arms[0] else metric.second_lift) + tilt
    mean = metric.mean * share
    half = 3.9 * _se(case, metric) * math.sqrt(share)
    per_day = case.per_arm * 2 / case.day
    money = Interval(est=lift * mean * per_day, lo=(lift * mean - half) * per_day, hi=(lift * mean + half) * per_day)
    assert money.lo is not None
    assert money.hi is not None
    flag: Literal["gain", "loss", "noise", "more_data"] = (
        "gain" if money.lo > 0 else "loss" if money.hi < 0 else "more_data" if abs(tilt) > 0.2 else "noise"
    )
    return SliceCell(
        values=values, metric=metric.key, arm=arm, units=case.per_arm * 2 + 37,
        control_total=mean * case.per_arm, treatment_total=mean * (1 + lift) * (case.per_arm + 37),
        raw=Interval(est=lift, lo=lift - half / mean, hi=lift + half / mean),
        raw_absolute=Interval(est=lift * mean, lo=lift * mean - half, hi=lift * mean + half),
        shrunk=None, flag=flag, p_material=None, money_per_day=money,
        days_to_decide=None if flag == "noise" else 17 if flag == "more_data" else 0,
    )  # fmt: skip


def _devices(case: Case) -> SliceReadout:
    """A context slice with enough cells for shrinkage."""
    revenue = case.metrics[0]
    cells = []
    for arm in case.arms:
        for i, platform in enumerate(("android", "desktop", "ios", "mobile_web", "tablet", "tv")):
            cell = _cell(
                case, revenue, arm, {"device": platform}, (0.25, 0.3, 0.2, 0.15, 0.07, 0.03)[i], (i - 2.5) / 40
            )
            raw = cell.raw
            assert isinstance(raw, Interval)
            assert raw.lo is not None
            assert raw.hi is not None
            lift = revenue.lift if arm == case.arms[0] else revenue.second_lift
            pulled = 0.3 * raw.est + 0.7 * lift
            half = (raw.hi - raw.lo) / 5
            cells.append(
                SliceCell.model_validate(
                    {
                        **cell.model_dump(),
                        "units": int(case.per_arm * 2 * (0.25, 0.3, 0.2, 0.15, 0.07, 0.03)[i]),
                        "shrunk": {"est": pulled, "lo": pulled - half, "hi": pulled + half},
                        "p_material": 0.5 + 0.06 * i,
                    }
                )
            )
    return SliceReadout(
        key="device", label="Device", kind="context", dimensions=("device",), exploratory=False, sums_to_total=False,
        tau2=0.0004, words="Devices are likely alike: the spread is about what chance gives.", cells=tuple(cells),
    )  # fmt: skip


def _series(case: Case, metrics: tuple[MetricReadout, ...]) -> Series:
    row = metrics[0]
    bands = {}
    for comparison in row.comparisons:
        last = comparison.relative
        assert isinstance(last, Interval)
        assert last.lo is not None
        assert last.hi is not None
        half = (last.hi - last.lo) / 2
        points: list[tuple[str, float | None, float | None, float | None]] = []
        for n in range(1, case.day + 1):
            wide = half * math.sqrt(case.day / n)
            middle = last.est + math.sin(n) * (wide - half) / 3
            points.append(((START + timedelta(days=n - 1)).isoformat(), middle, middle - wide, middle + wide))
        points[-1] = (points[-1][0], last.est, last.lo, last.hi)
        bands[comparison.arm] = tuple(points)
    return {row.key: bands}


def _questions() -> dict[str, Question]:
    return {
        "anyway": Question(answer=None, cannot="no_holdout", words=notes.NO_HOLDOUT),
        "segments": Question(answer=None, cannot=None, words="See the slices."),
        "cost": Question(answer=None, cannot="no_cost_rates", words=notes.NO_COST_RATES),
    }


def scaled(case: Case, day: int) -> Case:
    """The same case on another day."""
    return replace(case, day=day)
