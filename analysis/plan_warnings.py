"""What a right definition may run into: too few units, others on the same units, a holdout it does not name.

One function for the command line and HTTP. Nothing here refuses; what cannot be looked at is said, never passed over.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from analysis.assembly.frame import sign
from analysis.history import Past, earlier
from analysis.inference.planning import (
    Effect,
    Trial,
    power,
    shared_power,
    smallest_effect,
    success_level,
    units_needed,
)
from analysis.words import amount, difference_unit
from analysis.words import planning as words
from analysis.words.ground import share
from experiments.designs import unread
from experiments.errors import Problem
from experiments.lifecycle import ASSUMED_UNITS, used
from experiments.own_checks import FINISHED, Neighbour
from experiments.placement import Holdout
from experiments.shop import Settings, Shop
from experiments.spec import Assigned, Experiment, Metric, Schedule
from experiments.store import Store
from experiments.validate import Advice, load_metrics

Advise = Callable[[Experiment], Advice]


def adviser(store: Store, shop: Shop) -> Advise:
    """Advice on a definition beside everything that is registered, with the shop's metrics as they are then."""

    def advise(experiment: Experiment) -> Advice:
        others = {known.key: Neighbour(known.state, known.experiment) for known in store.registered()}
        return advice(experiment, load_metrics(shop).metrics, store, others, shop.settings)

    return advise


def advice(
    experiment: Experiment,
    catalogue: Mapping[str, Metric],
    store: Store | None,
    others: Mapping[str, Neighbour],
    settings: Settings,
) -> Advice:
    """Warnings and notes on a definition without problems; `store` is None where nothing was ever registered."""
    metrics = used(experiment, catalogue)
    why_not = unread(experiment.design, experiment.unit_type)
    unnamed = () if store is None else _unnamed(experiment, store.ground().holdouts.values())
    if why_not is not None:
        return Advice((*_overlaps(experiment, others), *unnamed), (f"no readout: {why_not}",))
    aims = tuple(_aims(experiment, metrics, settings))
    asked = {aim.metric.key: aim.metric for aim in aims}
    known = {} if store is None else earlier(store, experiment, tuple(asked.values()), metrics)
    warnings: list[Problem] = []
    notes: list[str] = []
    for aim in aims:
        past = known.get(aim.metric.key)
        if past is None:
            continue
        if aim.said is None:
            notes.append(_without_materiality(experiment, aim, past))
        else:
            warnings += _power(experiment, aim, past, settings)
    missing = [key for key in asked if key not in known]
    if missing:
        notes.append(words.not_assessed(missing, experiment.unit_type))
    return Advice((*warnings, *_overlaps(experiment, others), *unnamed), tuple(notes))


@dataclass(frozen=True, slots=True)
class _Aim:
    """One thing the definition wants to settle, as it says it; None where it does not say what change matters."""

    metric: Metric
    effect: Effect
    said: str | None
    path: str


def _aims(experiment: Experiment, metrics: Mapping[str, Metric], settings: Settings) -> Iterator[_Aim]:
    """Every success metric with its materiality, every guardrail with its margin."""
    for index, key in enumerate(experiment.metrics.success):
        metric, own = metrics[key], key in experiment.analysis.materiality
        material = experiment.analysis.material(metric)
        path = f"analysis.materiality.{key}" if own else f"metrics.success[{index}]"
        effect = Effect("lift", float(material or 0), sign(metric))
        said = None if material is None else f"with a materiality of {words.share(float(material))}"
        yield _Aim(metric, effect, said, path)
    for index, guardrail in enumerate(experiment.metrics.guardrails):
        metric = metrics[guardrail.metric]
        margin, absolute = experiment.metrics.margins(metric)
        path = f"metrics.guardrails[{index}]"
        if absolute is not None:
            effect = Effect("margin_abs", float(absolute) * float(metric.scale(settings.digits)), sign(metric))
            yield _Aim(metric, effect, f"with a margin of {_size(metric, effect, settings)}", path)
        elif margin is not None:
            effect = Effect("margin", float(margin), sign(metric))
            yield _Aim(metric, effect, f"with a margin of {_size(metric, effect, settings)}", path)


def _trial(experiment: Experiment, aim: _Aim) -> Trial:
    """Control against the smallest treatment arm, which is the last to settle; levels as STATISTICS 5 has them."""
    analysis, asked = experiment.analysis, experiment.metrics
    alpha, tests = float(analysis.alpha), len(asked.success) * len(experiment.treatments)
    return Trial(
        control=float(experiment.share([experiment.control])),
        treatment=min(float(experiment.share([variant])) for variant in experiment.treatments),
        level=success_level(alpha, tests) if aim.effect.kind == "lift" else alpha,
        power=shared_power(float(analysis.power), len(asked.guardrails)),
        design=analysis.design,
    )


def _power(experiment: Experiment, aim: _Aim, past: Past, settings: Settings) -> Iterator[Problem]:
    trial, planned, arms = _trial(experiment, aim), _planned(experiment), _alike(experiment)
    if power(past.noise, aim.effect, trial, planned) >= trial.power:
        return
    needed = units_needed(past.noise, aim.effect, trial)
    settled = smallest_effect(past.noise, aim.effect, trial, planned)
    size = None if settled is None else _size(aim.metric, replace(aim.effect, size=settled), settings)
    takes = None if needed is None else past.accrual.days(needed)
    ripens = aim.metric.mature_days + (aim.metric.window_days or experiment.analysis.outcome_days or 0)
    message = words.cannot_settle(
        f"{aim.metric.key} {aim.said}",
        words.units(needed, arms, experiment.unit_type),
        words.pace(None if takes is None else takes + ripens, past.key, _elsewhere(experiment, past)),
        words.planned(planned, arms),
        assumed=experiment.analysis.planned_units is None,
        settled=size,
    )
    step = words.MATERIALITY_STEP if aim.effect.kind == "lift" else words.MARGIN_STEP
    yield Problem("power", aim.path, aim.effect.size, message, (), step)


def _without_materiality(experiment: Experiment, aim: _Aim, past: Past) -> str:
    planned, arms = _planned(experiment), _alike(experiment)
    settled = smallest_effect(past.noise, aim.effect, _trial(experiment, aim), planned)
    shown = None if settled is None else words.share(settled)
    return words.no_materiality(aim.metric.key, words.planned(planned, arms), shown, past.key)


def _size(metric: Metric, effect: Effect, settings: Settings) -> str:
    if effect.kind != "margin_abs":
        return words.share(effect.size)
    value = effect.size / float(metric.scale(settings.digits))
    return amount(value, unit=difference_unit(metric.value_unit), currency=settings.currency)


def _planned(experiment: Experiment) -> int:
    return experiment.analysis.planned_units or ASSUMED_UNITS


def _alike(experiment: Experiment) -> int:
    """How many arms there are, where all have the same share; else 0."""
    weights = {Decimal(variant.weight) for variant in experiment.variants}
    return len(experiment.variants) if len(weights) == 1 else 0


def _elsewhere(experiment: Experiment, past: Past) -> tuple[str, ...]:
    """The modules of the earlier run, where they are others."""
    return () if set(past.modules) == set(experiment.modules) else past.modules


def _overlaps(experiment: Experiment, others: Mapping[str, Neighbour]) -> Iterator[Problem]:
    """Experiments that are not stopped, on another layer, on the same unit type, in the same time, for the same metric.

    Those of one layer exclude each other. Where nothing that decides is shared, or one is a prerequisite of the other
    and so meant to meet its units, there is nothing to warn of. Other systems' splits have no layer to compare.
    """
    for key, other in others.items():
        theirs = other.experiment
        if key == experiment.key or other.state in FINISHED:
            continue
        if not isinstance(experiment, Assigned) or not isinstance(theirs, Assigned):
            continue
        if experiment.layer.key == theirs.layer.key or experiment.unit_type != theirs.unit_type:
            continue
        shared = [metric for metric in experiment.metrics.success if metric in theirs.metrics.success]
        if (
            shared
            and _meet(experiment.schedule, theirs.schedule)
            and not (_needs(experiment, key) or _needs(theirs, experiment.key))
        ):
            begin, end = theirs.schedule.start_at, theirs.schedule.end_at
            message = words.beside(key, theirs.layer.key, other.state, begin, end, shared)
            yield Problem("overlap", "schedule", key, message, (), words.OVERLAP_STEP)


def _unnamed(experiment: Experiment, holdouts: Iterable[Holdout]) -> Iterator[Problem]:
    """Registered holdouts on a module of the experiment, on its units and in its time, that it does not name."""
    if not isinstance(experiment, Assigned):
        return
    for each in holdouts:
        shared = [module for module in experiment.modules if module in each.modules]
        span = Schedule(start_at=each.start_at, end_at=each.end_at)
        if each.key in experiment.holdouts or each.unit_type != experiment.unit_type or not shared:
            continue
        if _meet(experiment.schedule, span):
            message = words.unnamed(each.key, share(each), experiment.unit_type, shared, each.start_at, each.end_at)
            step = f"write holdouts: [{', '.join([*experiment.holdouts, each.key])}]"
            yield Problem("holdout", "holdouts", list(experiment.holdouts), message, (), step)


def _meet(first: Schedule, second: Schedule) -> bool:
    return (first.end_at is None or second.start_at < first.end_at) and (
        second.end_at is None or first.start_at < second.end_at
    )


def _needs(experiment: Assigned, key: str) -> bool:
    return any(needs.experiment == key for needs in experiment.prerequisites)
