"""What is true: the lift of every arm over its control, by metric and slice.

*replayed*: everybody is played in the control and then in the arm, with the same random numbers, and both courses of
events are counted. That is the effect on the very visits that took place: what an experiment estimates.

*analytic*: from the chances of an order in both, without the luck of who ordered; for money and orders alone, and
where every arm is injected: what a strategy sells is not what somebody came for.

Of several experiments at once each is true beside the arms that the others really had.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from experiments.simulator.count import (
    BY_LINE,
    METRICS,
    Counted,
    Exposed,
    Slice,
    count,
    exposed,
    slices,
)
from experiments.simulator.items import ITEMS_PER_CATEGORY, Floats
from experiments.simulator.plan import CATEGORY_KEYS, Module, Play
from experiments.simulator.play import Chosen, Played, Stage, everybody, lines, playing, ways

Method = Literal["replayed", "analytic"]


@dataclass(frozen=True, slots=True)
class TrueLift:
    """One arm's effect on one metric, of all units or in one cell of a slice (`slice` and `value`, else None).

    `difference` is treatment minus control in the metric's own unit, money in minor units; `lift` is relative to
    control. Null where a denominator is 0.
    """

    arm: str
    metric: str
    slice: str | None
    value: str | None
    control: float | None
    treatment: float | None
    method: Method

    @property
    def difference(self) -> float | None:
        """Treatment minus control."""
        if self.control is None or self.treatment is None:
            return None
        return self.treatment - self.control

    @property
    def lift(self) -> float | None:
        """Relative to control."""
        return None if not self.control or self.treatment is None else self.treatment / self.control - 1

    def to_json(self) -> dict[str, object]:
        """As truth.json has it."""
        return {
            "metric": self.metric,
            "slice": None if self.slice is None else {self.slice: self.value},
            "control": self.control,
            "treatment": self.treatment,
            "difference": self.difference,
            "lift": self.lift,
            "method": self.method,
        }


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one experiment."""

    key: str
    module: Module
    control: str
    units: int  # analysed: exposed in the run and no bots
    lifts: tuple[TrueLift, ...]

    def of(
        self,
        metric: str,
        arm: str | None = None,
        *,
        method: Method = "replayed",
        slice: str | None = None,
        value: str | None = None,
    ) -> TrueLift:
        """The one asked for; `arm` may be left out where there is one. KeyError where there is none."""
        for each in self.lifts:
            if (each.metric, each.method, each.slice, each.value) == (metric, method, slice, value) and (
                arm is None or each.arm == arm
            ):
                return each
        raise KeyError(f"{self.key}: no {method} truth of {metric} for {arm} in {slice} {value}")

    def to_json(self) -> dict[str, object]:
        """As truth.json has it."""
        arms: dict[str, list[dict[str, object]]] = {}
        for each in self.lifts:
            arms.setdefault(each.arm, []).append(each.to_json())
        return {"module": self.module, "control": self.control, "units": self.units, "arms": arms}


def truth(stage: Stage, chosen: Chosen, play: Play) -> Truth:
    """The play's truth: one course of events for its control and one for each other arm."""
    world = stage.world

    def course(arm: str) -> Played:
        return playing(stage, everybody(stage, chosen, play.key, arm))

    before = course(play.control)
    who = exposed(world, play, before)
    cuts = slices(world, play, who)
    control = count(world, play, before, who)
    found: list[TrueLift] = []
    for arm in play.treatments:
        found += _replayed(arm, cuts, control, count(world, play, course(arm), who))
        if not stage.offers:
            found += _analytic(stage, chosen, play, arm, who)
    return Truth(play.key, play.module, play.control, int(who.analysed.sum()), tuple(found))


def _replayed(arm: str, cuts: tuple[Slice, ...], control: Counted, treated: Counted) -> Iterator[TrueLift]:
    for metric, (top, bottom) in METRICS.items():
        c, t = (_ratio(world.total(top), world.total(bottom)) for world in (control, treated))
        yield TrueLift(arm, metric, None, None, c, t, "replayed")
        for cut in cuts:
            if cut.group is None and not {top, bottom} <= BY_LINE:
                continue
            tables = [(_parts(world, top, cut), _parts(world, bottom, cut)) for world in (control, treated)]
            for row, value in enumerate(cut.values):
                c, t = (_ratio(float(over[row]), float(under[row])) for over, under in tables)
                if c is not None or t is not None:
                    yield TrueLift(arm, metric, cut.key, value, c, t, "replayed")


def _parts(counted: Counted, name: str, cut: Slice) -> Floats:
    if cut.group is not None:
        return counted.by_unit(name, cut.group, len(cut.values))
    return counted.by_line(name, cut.key, len(cut.values))


def _ratio(top: float, bottom: float) -> float | None:
    return top / bottom if bottom else None


def _analytic(stage: Stage, chosen: Chosen, play: Play, arm: str, who: Exposed) -> Iterator[TrueLift]:
    world = stage.world
    came, basket, units = world.came, world.basket, float(who.analysed.sum())
    counts = who.meets(came.unit, came.at)
    value = lines(world, np.ones(len(came.unit), dtype=np.bool_)).value
    both = [
        ways(stage, everybody(stage, chosen, play.key, each)).chance.sum(axis=0) * counts
        for each in (play.control, arm)
    ]
    money = [
        np.bincount(basket.item // ITEMS_PER_CATEGORY, chance[basket.visit] * value, minlength=len(CATEGORY_KEYS))
        for chance in both
    ]
    said: list[tuple[str, str | None, float, float]] = [
        ("revenue_per_unit", None, float(money[0].sum()), float(money[1].sum())),
        ("orders_per_unit", None, float(both[0].sum()), float(both[1].sum())),
    ]
    said += [("revenue_per_unit", key, float(c), float(t)) for key, c, t in zip(CATEGORY_KEYS, *money, strict=True)]
    for metric, category, c, t in said:
        cut = None if category is None else "item_category"
        yield TrueLift(arm, metric, cut, category, _ratio(c, units), _ratio(t, units), "analytic")
