"""What the rooms of the alerts hand to each other. Values only: what is done with them stands in their own files.

Money is in the shop's minor units, times are aware UTC, shares and relative changes are of 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from experiments.spec import digest

Metric = Literal["click", "add_to_cart", "order", "revenue"]
METRICS: tuple[Metric, ...] = ("click", "add_to_cart", "order", "revenue")  # the earliest first

Kind = Literal["experiment", "launch", "forecast"]
Severity = Literal["page_fast", "page", "ticket", "watch", "digest"]
SEVERITIES: tuple[Severity, ...] = ("digest", "watch", "ticket", "page", "page_fast")  # the least first

Resolution = Literal["real_regression", "data_issue", "expected_change", "no_cause_found"]
Arm: TypeAlias = str

LONG, SHORT = 360, 15  # minutes of a bucket
ALL = "all"  # the one arm of a forecast


# --- who is compared, where, and what was counted --------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """Where money flows: the sessions whose first slate is here, so that nothing is counted twice in one level."""

    module: str = ""  # empty: the whole site
    category: str = ""  # empty: the whole module
    device: str = ""  # empty: every device

    @property
    def is_site(self) -> bool:
        """Whether it is the whole site."""
        return not self.module


@dataclass(frozen=True, slots=True, order=True)
class Comparison:
    """Which arm is watched, against which.

    `experiment`: a treatment of a phase that runs, against its control. `launch`: what a module serves everybody
    (`served`), against a holdout (`held_out`). `forecast`: everybody, against what the seasons lead to expect.
    """

    kind: Kind
    key: str  # the experiment, the holdout, or "site"
    phase: int
    watched: Arm
    against: Arm  # empty for a forecast


@dataclass(frozen=True, slots=True)
class Sums:
    """One arm of a cell in one bucket: exact whole numbers, by unit. y is what a unit did, n its sessions.

    `totals` Σ y, `squares` Σ y², `products` Σ n·y, each by metric; of a metric that is not there nothing was counted.
    Sums of two buckets add, with a unit counted once in each.
    """

    units: int
    sessions: int  # Σ n
    sessions_squared: int  # Σ n²
    totals: Mapping[Metric, int]
    squares: Mapping[Metric, int]
    products: Mapping[Metric, int]
    margin: int = 0  # of what was ordered


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one cell counted in [end − minutes, end). A later `revision` of it replaces the earlier."""

    comparison: Comparison
    cell: Cell
    end: datetime
    minutes: int  # LONG or SHORT
    revision: int
    arms: Mapping[Arm, Sums]


@dataclass(frozen=True, slots=True)
class LookArm:
    """One arm of a cell since the phase began: each unit once. Of a metric, `nonzero` units have any."""

    units: int
    nonzero: Mapping[Metric, int]
    totals: Mapping[Metric, int]
    squares: Mapping[Metric, int]


@dataclass(frozen=True, slots=True)
class Look:
    """What a running experiment's cell counted up to `at`, by unit of randomisation."""

    comparison: Comparison
    cell: Cell
    at: datetime
    revision: int
    arms: Mapping[Arm, LookArm]
    planned: float  # n*: the units of the two arms together that the phase was planned for


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is expected to flow through a cell in the 24 hours after `at`, and how the last 28 days earned."""

    cell: Cell
    at: datetime
    sessions: float  # expected, of all arms
    sessions_se: float
    expected: Mapping[Metric, float]  # of the last six hours, by the seasons: what a forecast compares with
    expected_se: Mapping[Metric, float]
    revenue_per_session: float  # minor units
    margin_share: float | None  # of revenue, None where too few lines have a margin
    watched: tuple[tuple[Comparison, float], ...] = ()  # the share of the sessions in each comparison's watched arm


# --- what is made of it ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Effect:
    """The relative change of sums in a window, with its standard error (clustered by unit, autocorrelation in it)."""

    metric: Metric
    hours: float
    relative: float
    se: float


@dataclass(frozen=True, slots=True)
class Stake:
    """Money a day that flows through a cell: sessions × revenue per session × margin, weighted by season."""

    sessions: float  # a day
    revenue_per_session: float
    margin: float  # contribution, share of revenue
    season: float = 1.0  # ω: what traffic does not carry

    @property
    def money(self) -> float:
        """A day, without the season's weight."""
        return self.sessions * self.revenue_per_session * self.margin


@dataclass(frozen=True, slots=True)
class Cost:
    """What a window's effect costs a day; `burn` is the expected cost over the daily loss budget."""

    expected: float  # shrunk, signed: above 0 is a loss
    at_least: float  # by the upper bound of the change; 0 where it may be none
    point: float  # unshrunk
    burn: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Whether a change is real: `value` against `needed` (e-value, or the detector's mean against its bar)."""

    kind: Literal["e_process", "detector", "forecast"]
    value: float
    needed: float
    most: Severity  # what it may wake at most
    waits_for: str = ""  # why nothing is read yet: a gate, a baseline, an A/A replay; empty when it is
    ended: tuple[str, ...] = ()  # of a forecast: experiments that ended there lately; what they brought may be missing

    @property
    def met(self) -> bool:
        """Whether it is enough."""
        return not self.waits_for and self.value >= self.needed


@dataclass(frozen=True, slots=True)
class Baseline:
    """How a cell stood before its last change: frozen, never rolling."""

    change_at: datetime
    reason: str  # first_buckets, launch home_als_v2, accepted (incident …)
    mean: float  # of the relative arm difference
    factor: float  # c ≥ 1: observed spread over the theoretical, autocorrelation in it
    autocorrelation: float
    buckets: int

    @property
    def is_of_nothing(self) -> bool:
        """Whether nothing was left of the watched arm, as somebody accepted: nothing can be lost against it."""
        return self.mean <= -1


@dataclass(frozen=True, slots=True)
class Detector:
    """The state of one Shiryaev–Roberts detector after a bucket: M for each λ, at most 1e12."""

    values: tuple[float, ...]
    end: datetime


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of work: one rule, one cell of one comparison, one metric, one bucket's end."""

    rule: str
    rule_version: int
    comparison: Comparison
    cell: Cell
    metric: Metric
    at: datetime
    revision: int = 0

    @property
    def fingerprint(self) -> str:
        """Whom it is about, for ever: no value and no time. 16 hex digits."""
        about = [self.rule, self.rule_version, self.cell.module, self.cell.category, self.cell.device, self.metric,
                 self.comparison.kind, self.comparison.key, self.comparison.watched]  # fmt: skip
        return digest(about)[:16]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one unit of work found."""

    unit: Unit
    severity: Severity  # that money and evidence agree on; digest when nothing is wrong
    by_money: Severity  # that money alone would ask for
    stake: Stake
    now: Cost | None  # at the severity's long window; None without data
    if_shipped: float  # expected cost a day with the watched arm everywhere; of a launch the same as now
    effects: Mapping[str, Effect]  # "1h", "6h", "3d", "7d", "15m", "1d"
    evidence: Evidence
    held_by: tuple[str, ...] = ()  # signal checks that fail on the cell
    no_data: bool = False
    why_not: str = ""  # the sentence for somebody who expected an alert
    asked: Severity | None = None  # by money, of those that the evidence may wake at most; None in what is older

    @property
    def allowed(self) -> Severity:
        """What money asks for, of what the evidence may wake at most: by its window money and effect are told."""
        return min(self.by_money, self.evidence.most, key=SEVERITIES.index) if self.asked is None else self.asked


@dataclass(frozen=True, slots=True)
class Incident:
    """What is wrong at one place since one change: cells, money counted once, and where it stands."""

    incident_id: str
    module: str
    family: str  # the metric family: money
    window: str  # of the deploy it is grouped by: launch home_als_v2 2026-12-01, or none
    state: Literal["pending", "open", "acked", "resolving", "resolved"]
    severity: Severity
    opened_at: datetime | None
    changed_at: datetime
    members: tuple[Evaluation, ...]  # those that fire now, most money first
    expected: float  # a day, each session once
    at_least: float
    lost_so_far: float
    held: bool = False
    silenced_until: datetime | None = None
    silenced_by: str = ""
    inhibited_by: str = ""  # another incident, or "not the recommender"
    acked_by: str = ""
    resolution: Resolution | None = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to be told once: a transition of an incident. Unique by incident and transition."""

    incident: Incident
    transition: str  # "open:page:1", "worse:page_fast:2", "repeat:3", "resolved:4", "data:5": counts up
    at: datetime
    missed_runs: int = 0
