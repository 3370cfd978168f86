"""The shape of `bundle.v1`, the JSON that says what is assigned how. Cross-checks between its parts are in `bundle`."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from assignment.decision import Trigger
from experiments.designs import Design, Switchback
from experiments.placement import Targeting

UnitType = Literal["user", "session", "device", "cluster_window", "request"]
State = Literal["draft", "scheduled", "running", "paused", "stopped", "archived"]
Edge = Annotated[int, Field(ge=0, le=10_000)]
Text = Annotated[str, Field(min_length=1)]
Range = Annotated[list[Edge], Field(min_length=2, max_length=2)]  # [start, end), in buckets


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SlotDocument(_Value):
    """A place that a storefront asks for by its flag."""

    flag_key: Text
    module: Text
    default_strategy: Text


class LayerDocument(_Value):
    """A set of modules whose experiments exclude each other."""

    key: Text
    salt: str
    unit_type: UnitType
    modules: list[Text]
    slots: list[SlotDocument]


class HoldoutDocument(_Value):
    """Units that meet the holdout's strategy instead of any experiment."""

    key: Text
    salt: str
    unit_type: UnitType
    buckets: list[Range]
    modules: list[Text]
    strategy: Text
    start_at: AwareDatetime | None
    end_at: AwareDatetime | None


class VariantDocument(_Value):
    """An arm with its share [start, end) of the split's buckets."""

    key: Text
    is_control: bool
    strategy: Text
    params: dict[str, JsonValue]
    start: Edge
    end: Edge
    disabled: bool


class TrafficDocument(_Value):
    """From `at` on, `bp` of 10,000 units are let in."""

    at: AwareDatetime
    bp: Edge


class LayerShareDocument(_Value):
    """The layer's buckets that an experiment owns."""

    key: Text
    ranges: list[Range]


class ScheduleDocument(_Value):
    """When it may run: from `start_at` until just before `end_at`."""

    start_at: AwareDatetime | None
    end_at: AwareDatetime | None


class PrerequisiteDocument(_Value):
    """Only units that were drawn into one of these arms there."""

    experiment: Text
    variants: list[Text]


class OverrideDocument(_Value):
    """A unit that always gets this arm, and is never analysed."""

    unit_id: str
    variant: Text


class ExperimentDocument(_Value):
    """One phase of one experiment."""

    key: Text
    state: State
    killed: bool
    order: int
    phase: Annotated[int, Field(ge=1)]
    started_at: AwareDatetime | None
    flag_keys: Annotated[list[Text], Field(min_length=1)]
    modules: list[Text]
    layer: LayerShareDocument
    holdouts: list[Text]
    unit_type: UnitType
    salt: str
    hash_version: Literal["md5-32/1"]
    variants: list[VariantDocument]
    traffic: list[TrafficDocument]
    schedule: ScheduleDocument
    targeting: Targeting | None
    prerequisites: list[PrerequisiteDocument]
    overrides: list[OverrideDocument]
    trigger: Trigger
    design: Design = "ab"  # written where it is another
    switchback: Switchback | None = None  # of design switchback


class BundleDocument(_Value):
    """Everything one configuration version assigns."""

    schema_: Annotated[Literal["bundle.v1"], Field(alias="schema")]
    config_version: Annotated[int, Field(ge=0)]
    layers: list[LayerDocument]
    holdouts: list[HoldoutDocument]
    experiments: list[ExperimentDocument]
