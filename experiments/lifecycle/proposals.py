"""From a file or a request to a registered definition, and what a running phase lets change. ASSIGNMENT 4 and 5.

Files are proposals and the store is the truth: after `start` a phase is read with what it froze, whatever the files
say.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from experiments import ranges
from experiments.differences import Difference, differing
from experiments.errors import DefinitionError, Problem
from experiments.layers import Ground, load_ground
from experiments.lifecycle.ground import named_ground, refuse_pulled_away
from experiments.loading import Document, Json, Path_, in_order, read_yaml, value_at
from experiments.own_checks import FINISHED, Around, Neighbour
from experiments.placement import RangesStep, TrafficStep
from experiments.shop import Shop
from experiments.spec import Assigned, Experiment, ExperimentMetrics, Live, Metric, Phase
from experiments.store import Registered, Store
from experiments.validate import check_document, load_metrics, load_slices

TEXTS = ("name", "owner", "hypothesis")  # may change while running, as may the secondary metrics
GROWING = ("traffic", "ramp", "overrides")  # may change too where truelift assigns; traffic upwards only


def register(
    store: Store, shop: Shop, path: Path, *, actor: str, reason: str, now: datetime, expected: int | None = None
) -> Registered:
    """Make the definition in `path` its key's next version; the same content stays the version it is.

    DefinitionError with every problem, ConflictError when somebody registered another version meanwhile, or when the
    experiment is no longer at the `expected` revision (None: whichever it is at).
    """
    document, problems = read_yaml(path)
    if document is None:
        raise DefinitionError(str(path), problems)
    return propose(
        store, shop, document, where=str(path), also=problems, actor=actor, reason=reason, now=now, expected=expected
    )


def propose(
    store: Store,
    shop: Shop,
    document: Document,
    *,
    where: str,
    actor: str,
    reason: str,
    now: datetime,
    also: Sequence[Problem] = (),
    expected: int | None = None,
) -> Registered:
    """The same of a document that was read already; `also` is what was wrong in reading it.

    Stored with it: the metrics it names and those their covariates name, as they stand in the catalogue now; where
    truelift assigns, the layer and the holdouts it names too, and the salt `<key>.<phase>` where none is written. Of
    what runs only the texts and the secondary metrics may change, and where truelift assigns overrides, more traffic
    and more of the layer. The metrics a phase froze stay frozen.
    """
    experiment, ground = checked(store, shop, document, where=where, now=now, also=also)
    current = store.find(experiment.key)
    experiment = _salted(store, current, experiment, document, where)
    metrics = used(experiment, load_metrics(shop).metrics)
    live: tuple[int, Live] | None = None
    if current is not None and current.state in ("running", "paused"):
        phase = store.phase(experiment.key)
        live, problems = _while_running(store, phase, current, experiment, document, now)
        if problems:
            raise DefinitionError(where, in_order(problems))
        metrics = {**metrics, **{key: metric for key, metric in phase.metrics.items() if key in metrics}}
    if ground is not None:
        store.save_ground(ground, actor=actor, reason=reason or f"with {experiment.key}", now=now)
    return store.save_definition(
        experiment,
        metrics,
        expected_version=0 if current is None else current.version,
        expected_revision=expected,
        actor=actor,
        reason=reason,
        now=now,
        live=live,
    )


def refusals(
    store: Store, shop: Shop, document: Document, experiment: Experiment, *, where: str, now: datetime
) -> tuple[Problem, ...]:
    """What registering a definition that is right by itself would be refused for: taken salts, modules, flags.

    Not what a running phase holds fast: the same file may be meant for `new-phase`. Nor anything of an experiment that
    is over: its file says what was.
    """
    current = store.find(experiment.key)
    if current is not None and current.state in FINISHED:
        return ()
    found: list[Problem] = []
    try:
        _salted(store, current, experiment, document, where)
    except DefinitionError as error:
        found.extend(error.problems)
    if isinstance(experiment, Assigned):
        try:
            refuse_pulled_away(store, named_ground(store, load_ground(shop), experiment, where), where, now)
        except DefinitionError as error:
            found.extend(error.problems)
    return tuple(in_order(found))


def checked(
    store: Store,
    shop: Shop,
    document: Document,
    *,
    where: str,
    now: datetime | None = None,
    also: Sequence[Problem] = (),
) -> tuple[Experiment, Ground | None]:
    """A definition that is right beside everything the shop has, with the ground to register if truelift assigns it.

    That is what is registered, with the layer and the holdouts that the definition names as their files are now.
    Without `now` holdouts that have begun are looked at only where an experiment names them.
    """
    catalogue = load_metrics(shop).metrics
    load_slices(shop)
    files = around = None
    if value_at(document.value, ("assignment",)) == "truelift":
        files = load_ground(shop)
        around = surroundings(store, files)
    experiment, problems = check_document(document, catalogue, around)
    if also or problems or experiment is None:
        raise DefinitionError(where, in_order([*also, *problems]))
    if files is None or not isinstance(experiment, Assigned):
        return experiment, None
    ground = named_ground(store, files, experiment, where)
    refuse_pulled_away(store, ground, str(shop.home), now)
    return experiment, ground


def surroundings(store: Store, ground: Ground) -> Around:
    """Everything registered that a definition is checked against, on this ground."""
    neighbours = {known.key: Neighbour(known.state, known.experiment) for known in store.registered()}
    return Around(ground, neighbours, {**ground.salts, **store.salts()})


def used(experiment: Experiment, catalogue: Mapping[str, Metric]) -> dict[str, Metric]:
    """The experiment's metrics and those that their covariates name, by key."""
    keys = experiment.metrics.keys()
    own = {key: catalogue[key] for key in keys}
    named = [key for metric in own.values() if isinstance(metric.covariates, list) for key in metric.covariates]
    return {**own, **{key: catalogue[key] for key in named}}


def amended(phase: Phase, registered: Registered) -> Phase:
    """The frozen phase with what the newest version may change of it: what a readout shows.

    Secondary metrics that the phase did not freeze are exploratory: `phase.experiment.metrics.keys()` lacks them.
    """
    newest = registered.experiment
    frozen = phase.experiment
    free: tuple[str, ...] = TEXTS
    if isinstance(newest, Assigned) and isinstance(frozen, Assigned):
        free += (*GROWING, "layer")
    metrics = frozen.metrics.model_copy(update={"secondary": newest.metrics.secondary})
    texts = {name: getattr(newest, name) for name in free}
    return phase.model_copy(
        update={
            "experiment": frozen.model_copy(update={**texts, "metrics": metrics}),
            "metrics": {**registered.metrics, **phase.metrics},
        }
    )


def differences(before: Experiment, after: Experiment) -> tuple[Difference, ...]:
    """Every field in which two definitions differ, with its path: before, after; None where it is not there."""
    return tuple(differing(_json(before), _json(after)))


def _salted(
    store: Store, current: Registered | None, experiment: Experiment, document: Document, where: str
) -> Experiment:
    """The definition with its salt. DefinitionError for a salt that another has, or a key whose experiment is over."""
    if isinstance(experiment, Assigned) and experiment.salt is None:
        experiment = experiment.model_copy(update={"salt": _salt(store, current, experiment.key)})
        _refuse_taken(store, experiment, document, where)
    if current is not None and current.state in FINISHED and experiment != current.experiment:
        message = f"{experiment.key} is {current.state}, and a key is never used again"
        problem = document.problem("key_reused", ("key",), experiment.key, message, next_step="choose another key")
        raise DefinitionError(where, [problem])
    return experiment


def _salt(store: Store, current: Registered | None, key: str) -> str:
    """The salt of the phase that runs, else `<key>.1`: a first phase is all that a definition can begin."""
    if current is not None and current.state in ("running", "paused"):
        frozen = store.phase(key).experiment
        if isinstance(frozen, Assigned) and frozen.salt is not None:
            return frozen.salt
    if current is not None and isinstance(current.experiment, Assigned) and current.experiment.salt is not None:
        return current.experiment.salt
    return f"{key}.1"


def _refuse_taken(store: Store, experiment: Assigned, document: Document, where: str) -> None:
    owner = store.salts().get(str(experiment.salt))
    if owner is not None and owner != f"experiment {experiment.key}":
        message = f"{experiment.salt} would be its salt, and is the salt of {owner}"
        step = "write another salt, which is unique for ever"
        problem = document.problem("salt_collision", ("salt",), experiment.salt, message, next_step=step)
        raise DefinitionError(where, [problem])


def _while_running(
    store: Store, phase: Phase, current: Registered, experiment: Experiment, document: Document, now: datetime
) -> tuple[tuple[int, Live] | None, list[Problem]]:
    """What becomes of what is live, and every field that differs from the frozen one and may not."""
    problems = list(_immutable(phase, current, experiment, document))
    before = current.experiment
    if problems or not isinstance(experiment, Assigned) or not isinstance(before, Assigned):
        return None, problems
    live = store.live(experiment.key, phase.number)
    grown = live
    if (experiment.traffic, experiment.ramp) != (before.traffic, before.ramp):
        reaches = experiment.ramp[-1].traffic if experiment.ramp else experiment.traffic or "1"
        points = ranges.basis_points(reaches)
        if points < live.traffic_bp:
            was = ranges.share_text(live.traffic_bp)
            at: Path_ = ("ramp",) if experiment.ramp else ("traffic",)
            message = f"would fall from {was} to {reaches}: who took part would be put out"
            problems.append(
                document.problem("traffic_decreasing", at, reaches, message, next_step="let traffic grow only")
            )
        elif points > live.traffic_bp and not experiment.ramp:
            step = TrafficStep(at=now, bp=points)
            grown = grown.model_copy(update={"traffic": (*live.traffic, step)})
    if ranges.merged(experiment.layer.ranges) != ranges.merged(before.layer.ranges):
        more = RangesStep(at=now, ranges=experiment.layer.ranges)
        grown = grown.model_copy(update={"layer": (*live.layer, more)})
    return (None if grown == live else (phase.number, grown)), problems


def _immutable(phase: Phase, current: Registered, experiment: Experiment, document: Document) -> Iterator[Problem]:
    free: dict[str, object] = {name: getattr(experiment, name) for name in TEXTS}
    metrics: ExperimentMetrics = phase.experiment.metrics.model_copy(update={"secondary": experiment.metrics.secondary})
    before = current.experiment
    own = isinstance(experiment, Assigned)
    if isinstance(experiment, Assigned) and isinstance(before, Assigned):
        free |= {name: getattr(experiment, name) for name in GROWING}
        same = experiment.layer.key == before.layer.key
        if same and ranges.covers(experiment.layer.ranges, before.layer.ranges):
            free["layer"] = experiment.layer
        elif same:
            free["layer"] = experiment.layer
            lost = ranges.overlap(before.layer.ranges, ranges.free(experiment.layer.ranges))
            message = f"{ranges.shown(lost)} cannot be taken away in phase {phase.number} ({current.state})"
            step = "write the buckets again; more may be added"
            given = [list(one) for one in experiment.layer.ranges]
            yield document.problem("immutable_field", ("layer", "ranges"), given, message, next_step=step)
    allowed = phase.experiment.model_copy(update={**free, "metrics": metrics})
    for path, old, new in differing(_json(allowed), _json(experiment)):
        message = f"{path[0]} cannot change in phase {phase.number} ({current.state}): it was {old!r}, now {new!r}"
        other = f"start phase {phase.number + 1} with `truelift new-phase FILE`"
        step = f"write {old!r} again, or {other if own else 'register the change under another key'}"
        yield document.problem("immutable_field", path, new, message, next_step=step)


def _json(experiment: Experiment) -> Json:
    given: Json = experiment.model_dump(mode="json", by_alias=True)
    return given
