"""The shape of `alert.v1`: what one notice carries. Its JSON Schema is made from it. ALERTS 6.

It names cells, arms and amounts, never a unit or a person. Amounts are whole minor units of the currency, times ISO in
UTC, changes and shares fractions (−0.02 is 2 % less). A number that cannot be given is null.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from analysis.alerts.model import Kind, Metric, Resolution, Severity

VERSION = "alert.v1"
Number = Annotated[float, Field(allow_inf_nan=False)]
Instant = Annotated[str, Field(description="ISO 8601, UTC", pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
Minor = Annotated[int, Field(description="minor units of the currency")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TheNotice(_Part):
    """Unique by incident and transition."""

    transition: str
    event: Annotated[str, Field(description="the transition's first word: open, worse, repeat, resolved, data")]
    at: Instant
    missed_runs: int


class TheIncident(_Part):
    """Where it stands after the transition."""

    incident_id: str
    module: Annotated[str, Field(description="empty: the whole site")]
    family: str
    window: Annotated[str, Field(description="the deploy it is grouped by; none where there was none")]
    state: Literal["pending", "open", "acked", "resolving", "resolved"]
    severity: Severity
    opened_at: Instant | None
    changed_at: Instant
    held: Annotated[bool, Field(description="a signal check fails, so the money is not believed")]
    silenced_until: Instant | None
    inhibited_by: str
    resolution: Resolution | None


class TheMoney(_Part):
    """Of all cells together, each session once; null of a data alert, and while a failing signal check holds it."""

    currency: str
    digits: Annotated[int, Field(ge=0, le=4, description="a major unit is 10^digits minor ones")]
    expected_minor_a_day: Annotated[int | None, Field(description="shrunk; above 0 is a loss")]
    at_least_minor_a_day: int | None
    lost_so_far_minor: Annotated[
        int | None, Field(description="summed while there were data and nothing was held; null of a data alert")
    ]


class TheRule(_Part):
    """The unit of work's rule, and whom it is about for ever."""

    name: str
    version: int
    fingerprint: str


class ThePlace(_Part):
    """Empty: all of them."""

    module: str
    category: str
    device: str
    name: Annotated[str, Field(description="as a reader sees it")]


class TheComparison(_Part):
    """Which arm is watched, against which."""

    kind: Kind
    key: str
    phase: int
    watched: str
    against: Annotated[str, Field(description="empty: what the seasons lead to expect")]


class TheWindows(_Part):
    """The two windows its severity is judged in; null for a digest."""

    long: str | None
    short: str | None


class TheEffect(_Part):
    """The relative change of sums in a window; null where it is not determined."""

    metric: Metric
    hours: Number
    relative: Number | None
    se: Annotated[Number | None, Field(description="standard error, clustered by unit")]


class TheEvidence(_Part):
    """`value` against `needed`; null and not met where a failing signal check holds the cell."""

    kind: Literal["e_process", "detector", "forecast"]
    value: Number | None
    needed: Number | None
    met: bool
    most: Annotated[Severity, Field(description="what it may wake at most")]
    waits_for: str


class TheCost(_Part):
    """Of one cell, a day; null without data, and where a failing signal check holds it."""

    stake_minor_a_day: Minor
    expected_minor_a_day: int | None
    at_least_minor_a_day: int | None
    unshrunk_minor_a_day: int | None
    burn: Annotated[Number | None, Field(description="expected cost over the daily loss budget")]
    if_shipped_minor_a_day: Annotated[int | None, Field(description="with the watched arm everywhere")]


class TheCheck(_Part):
    """A signal check that fails."""

    id: str
    name: Annotated[str, Field(description="as a reader sees it")]


class TheHealth(_Part):
    """Signal checks that fail on the cell, and whether it has data at all."""

    held_by: tuple[TheCheck, ...]
    no_data: Annotated[
        bool,
        Field(description="none at the notice's time, or when it ended; numbers, if any, are those of `at`"),
    ]


class ACell(_Part):
    """One cell that fires now, or did when it was read last."""

    rule: TheRule
    cell: ThePlace
    comparison: TheComparison
    metric: Metric
    at: Annotated[Instant, Field(description="the bucket end it was read at")]
    severity: Severity
    windows: TheWindows
    effect: Annotated[
        dict[str, TheEffect], Field(description="by window: 15m, 1h, 6h, 1d, 3d, 7d; none where it is held")
    ]
    evidence: TheEvidence
    money: TheCost
    health: TheHealth
    over_because: Annotated[str, Field(description="why nothing more is lost, where its experiment ended; else empty")]


class Alert(_Part):
    """One notice."""

    schema_version: Literal["alert.v1"]
    notice: TheNotice
    incident: TheIncident
    money: TheMoney
    cells: Annotated[tuple[ACell, ...], Field(description="most money first; of what is over as they were read last")]
    hints: tuple[str, ...]
    snapshot: Annotated[
        Instant | None, Field(description="all measures published up to then are in it, later revisions are not")
    ]
    links: dict[str, str]
    title: str
    text: str
