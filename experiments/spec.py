"""What a shop declares: metrics, slices, experiments. Frozen values, unknown keys refused.

These models are the border: YAML or JSON goes in, frozen values come out. Cross-checks between
things (does the metric exist, is there one control) are in `validate`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    TypeAdapter,
    model_serializer,
    model_validator,
)

from experiments import ranges
from experiments.base import Exact as Exact
from experiments.base import Key as Key
from experiments.base import Share as Share
from experiments.base import Value as Value
from experiments.base import canonical as canonical
from experiments.base import digest as digest
from experiments.designs import AssignedUnit, Design, Switchback
from experiments.metric_roles import ExperimentMetrics as ExperimentMetrics
from experiments.metric_roles import Guardrail as Guardrail
from experiments.placement import (
    HASH_VERSION,
    BucketRanges,
    Exposure,
    FlagKey,
    LayerUse,
    Override,
    Params,
    Prerequisite,
    RampStep,
    RangesStep,
    Salt,
    Targeting,
    Traffic,
    TrafficStep,
)

Scalar = bool | int | str
Source = Literal["slates", "interactions", "order_lines", "sessions"]


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column a metric may use: `flag` (0/1, may be unknown), `count`, `money` (minor), `ms`, `micros`, `text`."""

    kind: Literal["flag", "count", "money", "ms", "micros", "text"]
    matures: bool = False  # changes with later refunds and cancels, so the metric must say mature_days


_FLAG, _COUNT, _MONEY, _TEXT = SourceColumn("flag"), SourceColumn("count"), SourceColumn("money"), SourceColumn("text")
_LATE_FLAG, _LATE_MONEY = SourceColumn("flag", matures=True), SourceColumn("money", matures=True)

SOURCES: Mapping[str, Mapping[str, SourceColumn]] = {
    "slates": {
        "items_shown": _COUNT,
        "items_stock_known": _COUNT,
        "items_out_of_stock": _COUNT,
        "clicked": _FLAG,
        "latency_ms": SourceColumn("ms"),
        "is_fallback": _FLAG,
        "cost_micros": SourceColumn("micros"),
    },
    "interactions": {
        "event_name": _TEXT,
        "item_out_of_stock": _FLAG,
        "dwell_ms": SourceColumn("ms"),
        "quantity": _COUNT,
    },
    "order_lines": {
        "order_id": _TEXT,
        "quantity": _COUNT,
        "value": _MONEY,
        "net_value": _LATE_MONEY,
        "margin": _MONEY,
        "net_margin": _LATE_MONEY,
        "discount": _MONEY,
        "returned_value": _LATE_MONEY,
        "is_returned": _LATE_FLAG,
        "is_cancelled": _LATE_FLAG,
    },
    "sessions": {"has_click": _FLAG, "has_add_to_cart": _FLAG, "has_order": _FLAG},
}

# The dimensions in which a source's rows have a native cell (DATA 3); a decomposition slice covers a metric
# only when every one of its sources is listed here for the dimension.
NATIVE_CELLS: Mapping[str, tuple[str, ...]] = {
    "module": ("slates", "interactions", "order_lines", "sessions"),
    "item_category": ("interactions", "order_lines"),
    "page_category": ("slates",),
}


# --- metrics ---------------------------------------------------------------------------------------------


class Bound(Value):
    """A comparison with whole numbers; all given bounds must hold."""

    gte: int | None = None
    lte: int | None = None
    gt: int | None = None
    lt: int | None = None


class SumOf(Value):
    sum: str


class DistinctOf(Value):
    distinct: str


class AtLeastCount(Value):
    distinct: str
    n: Annotated[int, Field(ge=1)]


class AtLeast(Value):
    at_least: AtLeastCount


def _shape(value: object) -> str | None:
    """Which of a union's forms was meant, so that an error speaks of that form only. No form is named like a field."""
    if isinstance(value, bool | int | str):
        return "a scalar"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, float):
        return None
    fields = set(value) if isinstance(value, dict) else set(getattr(type(value), "model_fields", ()))
    named = fields & {"sum", "distinct", "at_least"}
    if len(named) == 1:
        return f"a {named.pop()}"
    return None if named else "a bound"


Measure = Annotated[
    Annotated[Literal["rows", "any"], Tag("a scalar")]
    | Annotated[SumOf, Tag("a sum")]
    | Annotated[DistinctOf, Tag("a distinct")]
    | Annotated[AtLeast, Tag("a at_least")],
    Discriminator(
        _shape,
        custom_error_type="measure",
        custom_error_message="a measure is rows, any, {sum: column}, {distinct: column} "
        "or {at_least: {distinct: column, n: number}}",
    ),
]
Condition = Annotated[
    Annotated[Scalar, Tag("a scalar")] | Annotated[list[Scalar], Tag("a list")] | Annotated[Bound, Tag("a bound")],
    Discriminator(
        _shape,
        custom_error_type="condition",
        custom_error_message="a condition is a value, a list of values, or bounds in whole numbers: {gte|lte|gt|lt: n}",
    ),
]


class Fact(Value):
    """One whole number per unit: which rows of a source, and what is taken of them."""

    source: Source = Field(alias="from")
    where: dict[str, Condition] = {}
    measure: Measure

    @property
    def additive(self) -> bool:
        """Whether the value adds over rows (and so over categories)."""
        return self.measure == "rows" or isinstance(self.measure, SumOf)

    @property
    def binary(self) -> bool:
        """Whether a unit's value is 0 or 1."""
        return self.measure == "any" or isinstance(self.measure, AtLeast)

    def columns(self) -> tuple[str, ...]:
        """The source columns it reads, in the order of first use."""
        used = list(self.where)
        match self.measure:
            case SumOf(sum=column) | DistinctOf(distinct=column):
                used.append(column)
            case AtLeast(at_least=count):
                used.append(count.distinct)
        return tuple(dict.fromkeys(used))


@dataclass(frozen=True, slots=True)
class FactColumn:
    """A fact as a metric uses it: one column of the unit table, with its pre-period twin.

    Equal columns are counted once, whoever asks for them: `key` is the hash of all four fields.
    """

    fact: Fact
    scope: Literal["module", "site"]
    window_days: int | None
    mature_days: int

    @property
    def key(self) -> str:
        """`f_` and 12 hex digits."""
        own = [self.fact.model_dump(mode="json", by_alias=True), self.scope, self.window_days, self.mature_days]
        return f"f_{digest(own)[:12]}"

    @property
    def pre_key(self) -> str:
        """The same fact in the covariate window before the first exposure: `x_` and the same digits."""
        return f"x_{self.key[2:]}"


SEEN_BEFORE = "seen_before"  # 0/1: the unit has any row of any source in the covariate window


class Metric(Value):
    """One entry of metrics.yml."""

    key: Key
    label: str
    kind: Literal["mean", "proportion", "ratio"]
    numerator: Fact
    denominator: Fact | None = None
    value_unit: Literal["money", "count", "share", "ms"]
    direction: Literal["increase", "decrease"]
    scope: Literal["module", "site"] = "module"
    window_days: Annotated[int, Field(ge=1, le=365)] | None = None
    mature_days: Annotated[int, Field(ge=0, le=365)] = 0
    covariates: Literal["own", "none"] | list[Key] = "own"
    guardrail_margin: Share | None = None
    guardrail_margin_abs: Annotated[Exact, Field(gt=0)] | None = None
    materiality: Share | None = None
    role_hint: Literal["success", "guardrail", "secondary", "descriptive"] = "secondary"

    def facts(self, outcome_days: int | None) -> tuple[FactColumn, ...]:
        """Numerator first, then the denominator of a ratio, with `window_days` resolved."""
        given = (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)
        window = self.window_days if self.window_days is not None else outcome_days
        return tuple(FactColumn(fact, self.scope_of(fact), window, self.mature_days) for fact in given)

    def scope_of(self, fact: Fact) -> Literal["module", "site"]:
        """Only slates and interactions know a module; order lines and sessions are always the whole site's."""
        return self.scope if fact.source in ("slates", "interactions") else "site"

    @property
    def additive(self) -> bool:
        """Whether every fact adds over rows, so that parts of a decomposition sum to the total."""
        return all(fact.fact.additive for fact in self.facts(None))

    def scale(self, money_digits: int) -> Fraction:
        """By what a value in the facts' whole units is divided to be in `value_unit`.

        10^money_digits for money per unit or order, 10^6 for a cost in micros, 1 for counts, shares and ms.
        """
        numerator, *denominator = (_fact_scale(fact.fact, money_digits) for fact in self.facts(None))
        return Fraction(numerator, denominator[0] if denominator else 1)

    def native_dimensions(self) -> tuple[str, ...]:
        """The dimensions every source of this metric has a native cell in, if it is additive."""
        if not self.additive:
            return ()
        sources = {fact.fact.source for fact in self.facts(None)}
        return tuple(name for name, native in NATIVE_CELLS.items() if sources <= set(native))


def _fact_scale(fact: Fact, money_digits: int) -> int:
    if not isinstance(fact.measure, SumOf):
        return 1
    kind = SOURCES[fact.source][fact.measure.sum].kind
    if kind == "money":
        return int(10**money_digits)
    return 10**6 if kind == "micros" else 1


class MetricCatalogue(Value):
    """Every metric by key; `digest` covers all of them."""

    schema_version: Literal[1] = 1
    metrics: dict[str, Metric]


# --- slices ----------------------------------------------------------------------------------------------


class PrePeriodTop(Value):
    source: Literal["interactions", "order_lines"] = Field(alias="from")
    by: Literal["item_category"]
    measure: SumOf | Literal["rows"]


class Slice(Value):
    """One entry of slices.yml; frozen with the phase."""

    key: Key
    kind: Literal["context", "decomposition", "descriptive"]
    column: Literal["platform", "browser", "country", "app_version", "position"] | None = None
    pre_period: Fact | None = None
    pre_period_top: PrePeriodTop | None = None
    dimension: Literal["item_category", "page_category", "owner_or_event_module"] | None = None
    labels: dict[int, str] = {}

    @model_validator(mode="after")
    def _one_way(self) -> "Slice":
        context = [self.column, self.pre_period, self.pre_period_top]
        if self.kind == "decomposition" and (self.dimension is None or any(c is not None for c in context)):
            raise ValueError("a decomposition slice names its dimension and nothing else")
        if self.kind == "context" and (self.dimension is not None or sum(c is not None for c in context) != 1):
            raise ValueError("a context slice has exactly one of column, pre_period, pre_period_top")
        if self.kind == "descriptive" and self.column is None:
            raise ValueError("a descriptive slice names its column")
        if self.kind == "context" and self.column == "position":
            raise ValueError("position is an item's, not a unit's first exposure: kind descriptive")
        return self


# --- experiments -----------------------------------------------------------------------------------------


class CostRate(Value):
    low: Exact
    base: Exact
    high: Exact
    source: str
    as_of: datetime | str


class Variant(Value):
    key: Key
    weight: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]{1,4})?$")]  # external: a whole-number ratio, "1","1","1"
    is_control: bool = False
    strategy: str | None = None
    cost_per_1000: CostRate | None = None


class Schedule(Value):
    start_at: AwareDatetime
    end_at: AwareDatetime | None = None


class RelativeMateriality(Value):
    relative: Share


class SliceMateriality(Value):
    money_per_1000_units: Annotated[Exact, Field(gt=0)]


class Analysis(Value):
    design: Literal["always_valid", "fixed"] = "always_valid"
    planned_units: Annotated[int, Field(ge=2)] | None = None
    alpha: Annotated[Share, Field(le=Decimal("0.2"))] = Decimal("0.05")
    power: Share = Decimal("0.8")
    min_days: Annotated[int, Field(ge=1)] = 7
    min_units_per_arm: Annotated[int, Field(ge=2)] = 1000
    covariate_days: Annotated[int, Field(ge=1, le=365)] = 28
    outcome_days: Annotated[int, Field(ge=1, le=365)] | None = None
    returning: Literal["exclude"] = "exclude"
    attribution_days: Annotated[int, Field(ge=1, le=90)] = 7
    comparator: Literal["none", "non_personalised", "champion"] = "champion"
    materiality: dict[str, RelativeMateriality | SliceMateriality] = {}

    def material(self, metric: Metric) -> Decimal | None:
        """From which relative change on the metric matters: the definition's, else the metric's own."""
        given = self.materiality.get(metric.key)
        return given.relative if isinstance(given, RelativeMateriality) else metric.materiality


class Experiment(Value):
    """A definition: what is tested, on whom, by which metrics, and when it may be read.

    This class is one whose units another system assigned; `Assigned` is one that truelift assigns.
    """

    schema_version: Literal[1] = 1
    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{2,62}$")]
    name: str
    owner: str
    hypothesis: str = ""
    design: Design = "ab"
    assignment: Literal["external"]
    assigned_by: str = "the shop"  # the system that split the units, named in the audit's "not applicable"
    modules: Annotated[tuple[Key, ...], Field(min_length=1)]
    unit_type: AssignedUnit = "user"
    variants: Annotated[tuple[Variant, ...], Field(min_length=2)]
    schedule: Schedule
    metrics: ExperimentMetrics
    analysis: Analysis = Analysis()

    @property
    def control(self) -> Variant:
        """The one control (validate refuses any other number)."""
        return next(v for v in self.variants if v.is_control)

    @property
    def treatments(self) -> tuple[Variant, ...]:
        return tuple(v for v in self.variants if not v.is_control)

    def share(self, variants: Iterable[Variant]) -> Decimal:
        """The variants' share of all weights."""
        return sum((Decimal(v.weight) for v in variants), Decimal(0)) / sum(
            (Decimal(v.weight) for v in self.variants), Decimal(0)
        )


class AssignedVariant(Variant):
    """An arm that truelift serves: `weight` is an exact share of the split."""

    weight: Annotated[str, Field(pattern=r"^([0-9]+(\.[0-9]{1,4})?|equal)$")]
    strategy: str
    params: Params = {}


def _flags(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _written_out(variants: tuple[AssignedVariant, ...]) -> tuple[AssignedVariant, ...]:
    if any(variant.weight != "equal" for variant in variants):
        return variants
    shares = [ranges.share_text(points) for points in ranges.equal(len(variants))]
    return tuple(v.model_copy(update={"weight": share}) for v, share in zip(variants, shares, strict=True))


class Assigned(Experiment):
    """A definition whose units truelift assigns: where it is asked for, who takes part, how it grows. ASSIGNMENT 4.

    `weight: equal` on every variant is written out as exact decimals, the first arms taking what does not divide.
    """

    assignment: Literal["truelift"]  # type: ignore[assignment]  # the other half of one closed set
    assigned_by: Literal["truelift"] = "truelift"
    flag_key: Annotated[tuple[FlagKey, ...], BeforeValidator(_flags), Field(min_length=1)]
    layer: LayerUse
    holdouts: tuple[Key, ...] = ()
    salt: Salt | None = None  # None: register writes <key>.<phase>
    hash_version: Literal["md5-32/1"] = HASH_VERSION
    prerequisites: tuple[Prerequisite, ...] = ()
    variants: Annotated[tuple[AssignedVariant, ...], Field(min_length=2), AfterValidator(_written_out)]
    traffic: Traffic | None = None  # None: where the ramp ends, else everybody
    targeting: Targeting | None = None
    overrides: tuple[Override, ...] = ()
    ramp: tuple[RampStep, ...] = ()
    exposure: Exposure = Exposure()
    switchback: Switchback | None = None  # of design switchback

    @model_serializer(mode="wrap")
    def _as_ever(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Without `switchback` where there is none: what was stored before there was one keeps its digest."""
        made: dict[str, object] = handler(self)
        return made if self.switchback is not None else {k: v for k, v in made.items() if k != "switchback"}

    @property
    def splits(self) -> tuple[ranges.Range, ...]:
        """The buckets of each variant, in declaration order."""
        return ranges.split([variant.weight for variant in self.variants])

    @property
    def first_traffic_bp(self) -> int:
        """Basis points of the layer's units that take part from the start: none before a ramp's first step."""
        return 0 if self.ramp else ranges.basis_points(self.traffic or "1")


class HeldOut(Experiment):
    """A holdout as it is read: who is held out is the control, everybody else the treatment. ASSIGNMENT 2.

    Nobody writes one: `analysis.holdouts` makes it of a registered holdout. Weights are the shares of the buckets.
    """

    key: Annotated[str, Field(pattern=r"^holdout\.[a-z0-9][a-z0-9_]{1,62}$")]
    assignment: Literal["holdout"]  # type: ignore[assignment]  # nobody's definition says it
    assigned_by: Literal["truelift"] = "truelift"
    salt: Salt
    buckets: BucketRanges


def _assigner(value: object) -> str | None:
    given = value.get("assignment") if isinstance(value, dict) else getattr(value, "assignment", None)
    return given if isinstance(given, str) else None


Definition = Annotated[
    Annotated[Experiment, Tag("external")] | Annotated[Assigned, Tag("truelift")], Discriminator(_assigner)
]
DEFINITION: TypeAdapter[Experiment] = TypeAdapter(Definition)
Frozen = Annotated[
    Annotated[Experiment, Tag("external")] | Annotated[Assigned, Tag("truelift")] | Annotated[HeldOut, Tag("holdout")],
    Discriminator(_assigner),
]


class Phase(Value):
    """What start freezes: the definition, the metrics and slices it is read with, and n*."""

    number: Annotated[int, Field(ge=1)]
    experiment: Frozen
    metrics: dict[str, Metric]  # the experiment's own, as they stood
    slices: tuple[Slice, ...]
    started_at: AwareDatetime
    planned_units: int  # all arms
    planned_units_assumed: bool = False


class Live(Value):
    """What may change while a phase runs, beside what it froze. Each series begins with the phase and ascends."""

    traffic: tuple[TrafficStep, ...] = ()  # grows only
    layer: tuple[RangesStep, ...] = ()  # the buckets of its layer, grows only
    disabled: tuple[Key, ...] = ()  # arms whose units meet the control's recommender
    ended_at: AwareDatetime | None = None

    @property
    def traffic_bp(self) -> int:
        """The newest step's traffic, 0 before any."""
        return self.traffic[-1].bp if self.traffic else 0
