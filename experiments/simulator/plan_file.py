"""A plan as a YAML file: what `truelift simulate --plan` reads."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from experiments.errors import DefinitionError, UsageError
from experiments.loading import parse, parse_yaml
from experiments.simulator.plan import Arm, Injected, Module, Plan, Play, Recommended


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ArmFile(_Model):
    """One arm: what it does to orders by category and to clicks, or the strategy that it shows."""

    lifts: Mapping[str, float] = Field(default_factory=dict)
    click_lift: float = 0.0
    strategy: str | None = None
    params: Mapping[str, bool | int | float | str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.strategy is not None and (self.lifts or self.click_lift):
            raise PydanticCustomError("arm", "an arm shows a strategy or has lifts, not both: remove one of them")
        if self.strategy is None and self.params:
            raise PydanticCustomError("arm", "params without a strategy: name the strategy they are for")
        return self

    @property
    def arm(self) -> Arm:
        """As a plan has it."""
        if self.strategy is not None:
            return Recommended(self.strategy, dict(self.params))
        return Injected(dict(self.lifts), self.click_lift)


class PlayFile(_Model):
    """One experiment."""

    key: str
    module: Module
    control: str = "control"
    arms: Mapping[str, ArmFile]


class PlanFile(_Model):
    """The whole file; everything but the experiments has a default."""

    seed: int = 1
    units: int = 24_000
    start: date = date(2026, 9, 28)
    history_days: int = 28
    run_days: int = 28
    after_days: int = 15
    visits_a_day: float = 0.11
    experiments: tuple[PlayFile, ...]


DEFAULT = PlanFile(
    experiments=(
        PlayFile(
            key="home_lift",
            module="homepage",
            arms={"control": ArmFile(), "new": ArmFile(lifts={"decor": 0.4, "bedding": -0.3}, click_lift=0.2)},
        ),
        PlayFile(key="pdp_aa", module="pdp", arms={"control": ArmFile(), "again": ArmFile()}),
    )
)
"""What is played when no file is given: one lift that helps decor and hurts bedding, and one A/A test."""


def read_plan(path: Path) -> PlanFile:
    """The file's content. DefinitionError with every problem and its line, UsageError when there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such file; name a plan, or leave --plan out") from error
    document, problems = parse_yaml(text)
    if document is None or problems:
        raise DefinitionError(str(path), problems)
    found, problems = parse(PlanFile, document)
    if found is None:
        raise DefinitionError(str(path), problems)
    return found


def plan_of(found: PlanFile, **given: int | None) -> Plan:
    """The plan; `given` are fields that take the place of the file's, where they are not None."""
    plays = tuple(
        Play(
            each.key,
            each.module,
            {name: arm.arm for name, arm in each.arms.items()},
            each.control,
        )
        for each in found.experiments
    )
    values = found.model_dump(exclude={"experiments"}) | {name: v for name, v in given.items() if v is not None}
    return Plan(plays=plays, **values)
