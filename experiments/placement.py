"""Where an experiment that truelift assigns stands: layers, holdouts, targeting, traffic. ASSIGNMENT 2 to 4.

Shapes only; whether a module, a layer or a bucket is free is `own_checks`'s.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Discriminator, Field, JsonValue, StringConstraints, Tag, model_validator

from experiments import ranges
from experiments.base import Key, Value
from experiments.designs import AssignedUnit
from experiments.metric_roles import ExperimentMetrics

UnitType = Literal["user", "session", "device"]
HOLDOUT_PREFIX = "holdout."  # of the key under which a holdout is read
HELD, REST = "holdout", "rest"  # the arms of that readout: who is held out is the control
HASH_VERSION: Literal["md5-32/1"] = "md5-32/1"
Salt = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.:]{2,94}$")]
FlagKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{1,94}$")]
Traffic = Annotated[str, StringConstraints(pattern=r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$")]
UnitId = Annotated[
    str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,254}[^\s\x00-\x1f\x7f-\x9f])?$")
]
Edge = Annotated[int, Field(ge=0, le=ranges.BUCKETS)]
BucketRange = tuple[Edge, Edge]
BucketRanges = Annotated[tuple[BucketRange, ...], Field(min_length=1)]
Params = dict[str, JsonValue]
Operator = Literal["EQ", "NE", "ONE_OF", "NOT_ONE_OF", "GT", "GTE", "LT", "LTE", "MATCHES", "CONTAINS", "IS_NULL"]
Check = Literal["srm", "guardrails"]


def _in_order(given: tuple[ranges.Range, ...]) -> None:
    for start, end in given:
        if start >= end:
            raise ValueError(f"[{start}, {end}) holds no bucket: write the start, then a greater end")
    if sum(end - start for start, end in given) != sum(end - start for start, end in ranges.merged(given)):
        raise ValueError(f"{ranges.shown(given)} overlap one another; write each bucket once")


class LayerUse(Value):
    """The buckets of a layer that an experiment owns."""

    key: Key
    ranges: BucketRanges

    @model_validator(mode="after")
    def _ordered(self) -> "LayerUse":
        _in_order(self.ranges)
        return self


class Prerequisite(Value):
    """Only units that are assigned to one of these arms there."""

    experiment: Key
    variants: Annotated[tuple[Key, ...], Field(min_length=1)]


class Condition(Value):
    """A comparison of one attribute of the context; the value's type is the operator's."""

    attribute: Annotated[str, Field(min_length=1)]
    operator: Operator
    value: bool | int | float | str | tuple[bool | int | float | str, ...] | None = None


def _shape(value: object) -> str:
    fields = value if isinstance(value, dict) else getattr(type(value), "model_fields", ())
    return "a group" if "all" in fields or "any" in fields else "a condition"


Member = Annotated[
    Annotated[Condition, Tag("a condition")] | Annotated["Targeting", Tag("a group")], Discriminator(_shape)
]


class Targeting(Value):
    """All, or any, of some conditions; groups may hold groups."""

    all: tuple[Member, ...] | None = None
    any: tuple[Member, ...] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Targeting":
        if (self.all is None) == (self.any is None):
            raise ValueError("targeting is {all: [conditions]} or {any: [conditions]}")
        return self


class Override(Value):
    """A unit that always meets this arm and is never analysed."""

    unit_id: UnitId
    variant: Key


class RampStep(Value):
    """From `at` on this share takes part, once what it requires is green."""

    at: AwareDatetime
    traffic: Traffic
    require: tuple[Check, ...] = ()


class Exposure(Value):
    """Who says that a slot was shown: the page when it renders, or the service when it answers."""

    trigger: Literal["render", "serve"] = "render"


class TrafficStep(Value):
    """From `at` on, `bp` of 10,000 buckets take part."""

    at: AwareDatetime
    bp: Edge


class RangesStep(Value):
    """From `at` on, these buckets of the layer belong to the experiment."""

    at: AwareDatetime
    ranges: BucketRanges


class Slot(Value):
    """A place a storefront asks for by its flag, and what it meets there without any experiment."""

    flag_key: FlagKey
    module: Key
    default_strategy: str


class Layer(Value):
    """Modules whose experiments exclude one another. `layers/<key>.yml`."""

    key: Key
    salt: Salt
    unit_type: AssignedUnit = "user"
    modules: Annotated[tuple[Key, ...], Field(min_length=1)]
    slots: Annotated[tuple[Slot, ...], Field(min_length=1)]


class Holdout(Value):
    """Units that meet no experiment on these modules, so that all can be weighed together. `holdouts/<key>.yml`.

    Its readout is the experiment `holdout.<key>`, whose key has to be as short as any other.
    """

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{1,54}$")]
    owner: str = "the shop"
    salt: Salt
    unit_type: UnitType = "user"
    buckets: BucketRanges
    modules: Annotated[tuple[Key, ...], Field(min_length=1)]
    strategy: str = "no_recommendations"
    comparator: Literal["none", "non_personalised", "champion"] = "none"
    metrics: ExperimentMetrics | None = None  # None: revenue per unit, conversion and order value beside it
    planned_units: Annotated[int, Field(ge=2)] | None = None  # of both arms of its readout
    start_at: AwareDatetime
    end_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Holdout":
        _in_order(self.buckets)
        if self.end_at is not None and self.end_at <= self.start_at:
            raise ValueError("end_at is not after start_at")
        return self
