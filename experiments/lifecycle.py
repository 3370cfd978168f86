"""What may be done to an experiment, by whom: the functions that the command line and HTTP share. ASSIGNMENT 5.

draft → running so far. Files are proposals and the store is the truth: after `start` a phase is read with what it
froze, whatever the files say.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from experiments.errors import ConflictError, DefinitionError, NotFoundError, Problem, TransitionError
from experiments.loading import Document, Json, Path_, in_order, read_yaml
from experiments.shop import Shop
from experiments.spec import Experiment, ExperimentMetrics, Metric, Phase
from experiments.store import Event, Registered, Store
from experiments.validate import load_experiment, load_metrics, load_slices

ASSUMED_UNITS = 10_000  # n* of all arms when the definition plans none: STATISTICS 4
TEXTS = ("name", "owner", "hypothesis")  # may change while running, as may the secondary metrics


def register(store: Store, shop: Shop, path: Path, *, actor: str, reason: str, now: datetime) -> Registered:
    """Make the definition in `path` its key's next version; the same content stays the version it is.

    Stored with it: the metrics it names and those their covariates name, as they stand in the catalogue now. Of a
    running experiment only the texts and the secondary metrics may change, and the metrics its phase froze stay frozen.
    DefinitionError with every problem, ConflictError when somebody registered another version meanwhile.
    """
    catalogue = load_metrics(shop).metrics
    load_slices(shop)
    experiment = load_experiment(path, shop)
    metrics = used(experiment, catalogue)
    current = store.find(experiment.key)
    if current is not None and current.state != "draft":
        phase = store.phase(experiment.key)
        document, _ = read_yaml(path)
        problems = list(_immutable(phase, experiment, document)) if document else []
        if problems:
            raise DefinitionError(str(path), in_order(problems))
        metrics = {**metrics, **{key: metric for key, metric in phase.metrics.items() if key in metrics}}
    return store.save_definition(
        experiment,
        metrics,
        expected_version=0 if current is None else current.version,
        actor=actor,
        reason=reason,
        now=now,
    )


def start(store: Store, shop: Shop, key: str, *, actor: str, reason: str, now: datetime) -> Phase:
    """Freeze a draft's first phase: the definition, its metrics, the shop's slices and the planned number of units.

    The clock of an assignment made elsewhere is the definition's `schedule.start_at`, past or future, not the moment of
    this call: its exposures happened when the logs say, often before anybody registered it here. `planned_units` is the
    definition's, else 10,000, marked as assumed (there is no accrual to expect before the first data).
    NotFoundError for an unknown key, TransitionError unless it is a draft, ConflictError when a metric's entry changed
    since it was registered.
    """
    current = store.definition(key)
    if current.state != "draft":
        since = store.phase(key).started_at.astimezone(UTC)
        raise TransitionError(
            f"{key} is {current.state} since {since:%Y-%m-%d %H:%M} UTC: only a draft can be started; "
            f"`truelift refresh {key}` reads it"
        )
    _refuse_drift(current, load_metrics(shop).metrics)
    planned = current.experiment.analysis.planned_units
    phase = Phase(
        number=1,
        experiment=current.experiment,
        metrics=dict(current.metrics),
        slices=load_slices(shop),
        started_at=current.experiment.schedule.start_at,
        planned_units=ASSUMED_UNITS if planned is None else planned,
        planned_units_assumed=planned is None,
    )
    store.save_phase(key, phase, expected_version=current.version, actor=actor, reason=reason, now=now)
    return phase


def close_stop(store: Store, key: str, arm: str, *, actor: str, reason: str, now: datetime) -> Event:
    """Close every stop of a treatment arm that stands: a person has looked into it. A later harm stops it again.

    TransitionError when no stop of the arm stands, or without a reason; NotFoundError for an unknown key or arm.
    """
    phase = store.phase(key)
    arms = [variant.key for variant in phase.experiment.treatments]
    if arm not in arms:
        raise NotFoundError(f"{key} has no treatment arm {arm!r}; its arms are {', '.join(arms)}")
    if not reason.strip():
        raise TransitionError(f"{key}: closing a stop is written into the audit; say why with --reason")
    own = [event for event in store.events(key, phase.number) if event.arm == arm]
    closed = [event.at for event in own if event.kind == "stop_closed"]
    standing = [event.at for event in own if event.kind == "stop" and all(event.at > at for at in closed)]
    if not standing:
        raise TransitionError(f"{key}: no stop of {arm} stands; `truelift readout {key}` shows its verdict")
    event = Event(key, phase.number, "stop_closed", "", arm, max(standing), now)
    store.record_event(event, actor=actor, reason=reason)
    return event


def used(experiment: Experiment, catalogue: Mapping[str, Metric]) -> dict[str, Metric]:
    """The experiment's metrics and those that their covariates name, by key."""
    keys = experiment.metrics.keys()
    own = {key: catalogue[key] for key in keys}
    named = [key for metric in own.values() if isinstance(metric.covariates, list) for key in metric.covariates]
    return {**own, **{key: catalogue[key] for key in named}}


def amended(phase: Phase, registered: Registered) -> Phase:
    """The frozen phase with the texts and secondary metrics of the newest version: what a readout shows.

    Secondary metrics that the phase did not freeze are exploratory: `phase.experiment.metrics.keys()` lacks them.
    """
    newest = registered.experiment
    frozen = phase.experiment
    metrics = frozen.metrics.model_copy(update={"secondary": newest.metrics.secondary})
    texts = {name: getattr(newest, name) for name in TEXTS}
    return phase.model_copy(
        update={
            "experiment": frozen.model_copy(update={**texts, "metrics": metrics}),
            "metrics": {**registered.metrics, **phase.metrics},
        }
    )


def _refuse_drift(current: Registered, catalogue: Mapping[str, Metric]) -> None:
    changed = [key for key, metric in current.metrics.items() if catalogue.get(key) != metric]
    if changed:
        raise ConflictError(
            f"{current.key}: {', '.join(changed)} changed in the metric catalogue after version {current.version} was "
            f"registered; register the definition again, then start it"
        )


def _immutable(phase: Phase, experiment: Experiment, document: Document) -> Iterator[Problem]:
    """Every field that differs from the frozen one and may not."""
    free = {**{name: getattr(experiment, name) for name in TEXTS}}
    metrics: ExperimentMetrics = phase.experiment.metrics.model_copy(update={"secondary": experiment.metrics.secondary})
    allowed = phase.experiment.model_copy(update={**free, "metrics": metrics})
    before = allowed.model_dump(mode="json", by_alias=True)
    after = experiment.model_dump(mode="json", by_alias=True)
    for path, old, new in _differences(before, after, ()):
        message = f"{path[0]} cannot change in phase {phase.number} (running): it was {old!r}, now {new!r}"
        step = f"write {old!r} again, or register the change under another key"
        yield document.problem("immutable_field", path, new, message, next_step=step)


def _differences(before: Json, after: Json, path: Path_) -> Iterator[tuple[Path_, Json, Json]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from _differences(before.get(key), after.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differences(old, new, (*path, index))
    elif before != after:
        yield path, before, after
