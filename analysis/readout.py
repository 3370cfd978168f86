"""The readout: one frozen, JSON-able value that page, CLI, exports and alerts all read. DATA 6.

Shapes: every estimate is an `Interval` or a `NotDetermined`; a withheld readout has no
`metrics`, `slices`, `series` or `questions` at all. Built by `analysis.assembly`, drawn by pages,
printed by the CLI. Money is in the currency's main unit (euro, not cent) as a float that was divided
once; shares and relative lifts are fractions (0.02 is 2 %).
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

VerdictCode = Literal["WITHHELD", "STOP", "TOO_EARLY", "NO_MATERIAL_EFFECT", "SHIP", "HOLD", "CANT_TELL"]
CheckState = Literal["pass", "warn", "fail", "unknown", "not_applicable"]
Status = Literal["better", "worse", "cleared", "breached", "not_clear", "no_material_effect", "descriptive"]
Number = Annotated[float, Field(allow_inf_nan=False)]
Measure = Literal["share", "change", "odds", "chance", "hours", "days", "index", "deviations"]
Figure = bool | int | Number | str | None  # what a check may show of a group
METHOD_VERSION = "1"
VERDICT_RULE = 1
WITHHOLDABLE = ("metrics", "slices", "series", "questions")


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")  # so that to_json refuses them


class Interval(Part):
    """An estimate with its bounds; a missing bound is an open side (a one-sided guardrail bound)."""

    est: Number
    lo: Number | None
    hi: Number | None
    method: str | None = None
    basis: str | None = None


class NotDetermined(Part):
    """An estimate that cannot be made: a code for machines and the reason in words."""

    not_determined: "Reason"


class Reason(Part):
    code: str
    words: str


Estimate = Interval | NotDetermined


class ExperimentHead(Part):
    key: str
    name: str
    owner: str
    hypothesis: str
    modules: tuple[str, ...]
    unit_type: str
    assignment: str
    assigned_by: str | None


class Currency(Part):
    code: str
    digits: int


class Day(Part):
    n: int  # full business days since the start
    planned: int | None  # full business days from the start to the planned end
    started_on: str  # ISO date in the shop's zone
    ends_on: str | None  # ISO date of the last business day of the schedule


class Design(Part):
    name: Literal["always_valid", "fixed"]
    alpha: str
    planned_units: int
    planned_units_assumed: bool
    critical_value: Number | None  # two-sided k at the comparison's n, the smallest over comparisons


class Because(Part):
    rule: str
    metric: str | None = None
    check: str | None = None
    words: str


class Verdict(Part):
    code: VerdictCode
    arm: str | None
    sentence: str
    because: tuple[Because, ...]
    next_reading: str | None  # ISO date
    owner: str | None
    fix: str | None


class ArmVerdict(Part):
    arm: str
    verdict: Verdict


class Arm(Part):
    key: str
    is_control: bool
    strategy: str | None
    weight: str
    units: int
    units_excluded: dict[str, int]


class Judged(Part):
    """A figure of a check beside its limits. It is as bad as they say, but never worse than the check itself."""

    figure: str  # its name in the check's figures
    measure: str  # what it measures, in words
    unit: Measure
    value: Number
    warn: Number | None  # None: it never warns before it fails
    fail: Number | None  # None: it never fails
    worse: Literal["above", "below"]
    state: CheckState


class Withholds(Part):
    """What a failing check withholds: every result, or some metrics and slices."""

    everything: bool
    metrics: tuple[str, ...] = ()  # labels
    dimensions: tuple[str, ...] = ()


class Check(Part):
    id: str
    label: str
    state: CheckState
    blocking: bool
    sentence: str
    figures: dict[str, Figure]
    groups: tuple[dict[str, Figure], ...]  # the offending groups first, then the others that were looked at
    sql: str | None
    since: str | None
    owner: str
    judged: tuple[Judged, ...] = ()
    browsers: dict[str, CheckState] = {}  # of those that look at each browser
    withholds: Withholds | None = None  # what it withholds now
    more_sql: tuple[str, ...] = ()  # its other queries


class ArmValue(Part):
    """A metric in one arm, in its own unit: `mean` adjusted, `raw` as counted, over n units."""

    mean: Number | None
    raw: Number | None
    n: int
    nonzero: int | None  # units with a non-zero numerator (ratio: denominator)


class Adjustment(Part):
    covariates: tuple[str, ...]
    slopes: Literal["by_arm"]
    variance_reduction: Number | None
    days_saved: Number | None
    words: str


class Comparison(Part):
    arm: str
    against: str
    control: ArmValue
    treatment: ArmValue
    absolute: Estimate
    relative: Estimate
    se: Number | None  # standard error of the absolute difference, in the metric's unit
    guardrail: Estimate | None  # the one-sided bound against the limit, on the margin's scale; None for other roles
    harm: Estimate | None  # the one-sided bound at the level of the harm test; None where there is none
    money_per_day: Estimate | None  # None where the metric is not money per unit
    p_always_valid: Number | None
    p_fixed: Number | None  # only under a fixed design, at its one look
    adjustment: Adjustment | None
    floored: bool  # the smaller arm's variance was floored (STATISTICS 4)
    gate: bool  # ≥ 100 non-zero units in both arms
    status: Status
    not_determined: Reason | None


class MetricReadout(Part):
    key: str
    label: str
    role: Literal["success", "guardrail", "secondary", "descriptive"]
    kind: str
    value_unit: Literal["money", "count", "share", "ms"]
    direction: Literal["increase", "decrease"]
    additive: bool
    registered: bool
    window_days: int | None
    mature_days: int
    mature_until: str | None  # rows younger than this instant are not counted yet
    margin: str | None
    margin_abs: str | None
    materiality: str | None
    comparisons: tuple[Comparison, ...]

    @property
    def name(self) -> str:
        """The label as readers see it: a metric that the phase did not freeze is marked."""
        return self.label if self.registered else f"{self.label} (exploratory)"


CellFlag = Literal["gain", "loss", "no_material_effect", "noise", "more_data", "descriptive"]


class SliceCell(Part):
    values: dict[str, str]
    metric: str
    arm: str
    units: int
    control_total: Number | None
    treatment_total: Number | None
    raw: Estimate  # relative, simultaneous over the slice's cells
    raw_absolute: Estimate  # difference per unit, simultaneous
    shrunk: Estimate | None  # None where errors are not independent (STATISTICS 7.1)
    flag: CellFlag
    p_material: Number | None
    money_per_day: Estimate | None
    days_to_decide: int | None


class SliceReadout(Part):
    key: str
    label: str
    kind: Literal["context", "decomposition", "descriptive"]
    dimensions: tuple[str, ...]
    exploratory: bool
    sums_to_total: bool
    tau2: Number | None
    words: str
    cells: tuple[SliceCell, ...]


class Question(Part):
    """One of the three questions: an answer with its range, or the reason why there is none."""

    answer: Estimate | None
    cannot: str | None
    words: str


class Provenance(Part):
    definition_version: int
    definition_digest: str
    metrics_digest: str
    slices_digest: str
    moments_digest: str
    checks_digest: str
    settings_digest: str
    loads: tuple[str, ...]
    engine: str


# metric key → arm → rows of [ISO date, estimate, lo, hi]: relative lift, cumulative to the end of that day
Series = dict[str, dict[str, tuple[tuple[str, Number | None, Number | None, Number | None], ...]]]


class Readout(Part):
    """readout.v1; `to_json` gives the canonical text, `from_json` reads it back."""

    schema_: Annotated[Literal["readout.v1"], Field(alias="schema")] = "readout.v1"
    snapshot_id: str
    experiment: ExperimentHead
    phase: int
    as_of: str
    data_as_of: str | None
    published_at: str | None
    method_version: str
    verdict_rule: int
    currency: Currency
    time_zone: str
    day: Day
    mode: Literal["running", "finished"]
    design: Design
    verdict: Verdict
    verdicts: tuple[ArmVerdict, ...]  # one per treatment arm
    arms: tuple[Arm, ...]
    checks: tuple[Check, ...]
    metrics: tuple[MetricReadout, ...] | None = None
    slices: tuple[SliceReadout, ...] | None = None
    series: Series | None = None
    questions: dict[str, Question] | None = None
    exclusions: dict[str, int]
    warnings: tuple[str, ...]
    provenance: Provenance

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="constants")

    @property
    def withheld(self) -> bool:
        return self.verdict.code == "WITHHELD"

    @model_validator(mode="after")
    def _withheld_is_absent(self) -> "Readout":
        present = [name for name in WITHHOLDABLE if getattr(self, name) is not None]
        if self.withheld and present:
            raise ValueError(f"a withheld readout carries no {', '.join(present)}")
        if not self.withheld and len(present) != len(WITHHOLDABLE):
            raise ValueError("a readout that is not withheld carries metrics, slices, series and questions")
        return self

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        body: dict[str, Any] = handler(self)
        return {key: value for key, value in body.items() if key not in WITHHOLDABLE or value is not None}

    def metric(self, key: str) -> MetricReadout:
        """The metric's part; KeyError names it when the readout does not carry it."""
        for metric in self.metrics or ():
            if metric.key == key:
                return metric
        raise KeyError(key)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no NaN or Infinity."""
        body = self.model_dump(mode="json", by_alias=True)
        return json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Readout":
        return cls.model_validate_json(text)
