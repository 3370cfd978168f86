"""Metrics in their roles: success, guardrail, secondary. An experiment and a holdout name them alike. ASSIGNMENT 4."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from experiments.base import Exact, Key, Share, Value
from experiments.errors import Problem, nearest
from experiments.loading import Document, Json, Path_, entries, value_at

if TYPE_CHECKING:
    from experiments.spec import Metric


class Guardrail(Value):
    """A guardrail as the definition asks for it; margins left out are the metric's own."""

    metric: Key
    margin: Share | None = None
    margin_abs: Annotated[Exact, Field(gt=0)] | None = None


def _guardrail(value: object) -> object:
    return {"metric": value} if isinstance(value, str) else value


class ExperimentMetrics(Value):
    """Which metrics decide, which set limits, which are watched beside them."""

    success: Annotated[tuple[Key, ...], Field(min_length=1)]
    guardrails: tuple[Annotated[Guardrail, BeforeValidator(_guardrail)], ...] = ()
    secondary: tuple[Key, ...] = ()

    def keys(self) -> tuple[str, ...]:
        """Every metric once: success, guardrails, secondary."""
        return tuple(dict.fromkeys((*self.success, *(g.metric for g in self.guardrails), *self.secondary)))

    def role(self, key: str) -> Literal["success", "guardrail", "secondary"]:
        """What the metric is for."""
        if key in self.success:
            return "success"
        return "guardrail" if any(g.metric == key for g in self.guardrails) else "secondary"

    def margins(self, metric: "Metric") -> tuple[Decimal | None, Decimal | None]:
        """A guardrail's margin, relative or absolute (in its value unit): the one asked for, else the metric's own."""
        asked = next((g for g in self.guardrails if g.metric == metric.key), None)
        if asked is not None and (asked.margin_abs is not None or asked.margin is not None):
            return (None, asked.margin_abs) if asked.margin_abs is not None else (asked.margin, None)
        absolute = metric.guardrail_margin_abs
        return (metric.guardrail_margin, None) if absolute is None else (None, absolute)


def roles(document: Document, metrics: Mapping[str, "Metric"]) -> Iterator[Problem]:
    """What is wrong with the metrics a document names under `metrics`: unknown, twice, or without a margin."""
    before: dict[str, str] = {}
    for role in ("success", "guardrails", "secondary"):
        for at, entry in entries(document.value, ("metrics", role)):
            named = value_at(entry, ("metric",)) if isinstance(entry, dict) else entry
            if not isinstance(named, str):
                continue
            if named not in metrics:
                message = f"there is no metric {named}"
                step = "`experiments/metrics.yml` lists the shipped ones; the shop's own are in its metrics.yml"
                yield document.problem(
                    "unknown_metric", at, named, message, near=nearest(named, metrics), next_step=step
                )
            if named in before:
                message = f"{named} is among {before[named]} already"
                yield document.problem("metric_twice", at, named, message, next_step="give it one role")
            before.setdefault(named, role)
            if role == "guardrails" and named in metrics:
                yield from _margin(metrics[named], named, entry, document, at)


def _margin(metric: "Metric", named: str, entry: Json, document: Document, at: Path_) -> Iterator[Problem]:
    own = [name for name in ("margin", "margin_abs") if value_at(entry, (name,)) is not None]
    if len(own) == 2:
        yield document.problem("two_margins", at, entry, "the margin is given twice", next_step="keep one")
    if not own and metric.guardrail_margin is None and metric.guardrail_margin_abs is None:
        message = f"{named} has no margin of its own: how much worse is still acceptable?"
        yield document.problem("no_margin", at, entry, message, next_step=f'write {{metric: {named}, margin: "0.05"}}')
