"""Is an experiment's definition right, and everything that is wrong with it at once. ASSIGNMENT 4.

The shape of each field is `spec`'s; here are the checks between fields that every definition has, and what is known but
refused: what only truelift's own assignment can mean, and what this version cannot do yet. `own_checks` has the rest.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.catalogue import load_metrics, load_slices, read_metrics, read_slices, shipped_metrics
from experiments.errors import DefinitionError, Problem, nearest
from experiments.layers import load_ground, read_ground
from experiments.loading import Document, Json, Path_, besides, build, entries, in_order, parse, read_yaml, value_at
from experiments.metric_roles import roles
from experiments.money import Money, read_money
from experiments.money import summary as money_summary
from experiments.own_checks import Around, Neighbour, across, shape
from experiments.shop import Shop
from experiments.spec import Assigned, Experiment, Metric, RelativeMateriality, Schedule, SliceMateriality

__all__ = [
    "Around",
    "Checked",
    "Neighbour",
    "check_document",
    "check_experiment",
    "load_experiment",
    "load_metrics",
    "load_slices",
    "validate",
]

ELSEWHERE = "the units were assigned by another system"
REFUSED_FOR_EXTERNAL: Mapping[str, str] = {
    "salt": f"{ELSEWHERE}, with its own salt",
    "hash_version": f"{ELSEWHERE}, with its own hash",
    "layer": f"{ELSEWHERE}, so no layer of this shop holds them",
    "traffic": f"{ELSEWHERE}, which decided how many took part",
    "ramp": f"{ELSEWHERE}, which decided how many took part",
    "holdouts": f"{ELSEWHERE}, so this shop's holdouts were not kept out",
    "overrides": f"{ELSEWHERE}, so nobody can be forced into an arm here",
    "targeting": f"{ELSEWHERE}, which decided who was asked",
    "prerequisites": f"{ELSEWHERE}, which decided who was asked",
    "flag_key": f"{ELSEWHERE}, so no flag is answered here",
    "exposure": f"{ELSEWHERE}, and the loaded rows say who was exposed when",
}
REFUSED_VARIANT_FIELDS: Mapping[str, str] = {"params": f"{ELSEWHERE}, so no strategy is run here"}

# path → value (None: any) → (what is not in this version, the next step)
NOT_YET: Mapping[Path_, Mapping[str | None, tuple[str, str]]] = {
    ("design",): {
        "switchback": ("reading a switchback of another system", "write design: ab, if single units were assigned"),
        "interleaving": (
            "reading an interleaving of another system",
            "write design: ab, if single units were assigned",
        ),
    },
    ("unit_type",): {
        "cluster_window": ("reading an assignment of clusters", "write the unit that has one arm: user, say"),
        "request": ("reading an assignment of requests", "write the unit that has one arm: user, say"),
    },
    ("analysis", "design"): {
        "group_sequential": ("a group-sequential design", "write design: always_valid, or fixed with one planned end"),
    },
    ("analysis", "looks"): {None: ("a group-sequential design", "remove looks")},
    ("analysis", "returning"): {
        "include": ("analysing units of an earlier phase again", "write returning: exclude"),
    },
}


@dataclass(frozen=True, slots=True)
class Checked:
    """One file: its problems, or in a line what it declares."""

    path: Path
    problems: tuple[Problem, ...]
    summary: str
    experiment: Experiment | None = None  # of a definition without a problem


@dataclass(frozen=True, slots=True)
class Advice:
    """What is said of a definition that is right: what it may run into, and what could not be looked at.

    A warning is shaped like a problem and refuses nothing; its codes are `power`, `overlap` and `holdout`.
    """

    warnings: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def load_experiment(path: Path, shop: Shop, around: Around | None = None) -> Experiment:
    """The definition in `path`, right in every way that can be checked. DefinitionError with all problems.

    `around` is what else there is; without it, the shop's layers and holdouts alone.
    """
    metrics = load_metrics(shop).metrics
    experiment, problems = check_experiment(path, metrics, around or Around(load_ground(shop)))
    if problems or experiment is None:
        raise DefinitionError(str(path), problems)
    return experiment


def validate(shop: Shop, paths: Sequence[Path], around: Around | None = None) -> tuple[Checked, ...]:
    """The shop's metrics, slices, money settings, layers and holdouts, then each definition; nothing is raised.

    `around` brings the registered experiments and their salts. The definitions stand beside each other too, in whatever
    order they are named: one that can be read counts as it is written, whatever else is wrong with it.
    """
    own, wrong_metrics = read_metrics(shop.metrics_file) if shop.metrics_file.exists() else ({}, [])
    slices, wrong_slices = read_slices(shop.slices_file) if shop.slices_file.exists() else ((), [])
    ground, files = read_ground(shop)
    checked = [
        Checked(
            shop.metrics_file, tuple(wrong_metrics), f"{len(own)} metrics beside {len(shipped_metrics())} shipped ones"
        ),
        Checked(shop.slices_file, tuple(wrong_slices), f"{len(slices)} slices"),
        _money(shop, ground.modules),
        *(Checked(file.path, file.problems, file.summary) for file in files),
    ]
    read = [(path, *read_yaml(path)) for path in paths]
    known, unreadable = _beside(replace(around or Around(), ground=ground), [document for _, document, _ in read])
    written = [each.experiment for each in known.neighbours.values() if isinstance(each.experiment, Assigned)]
    mistaken = {problem.path.split(".")[1] for problem in wrong_metrics if problem.path.startswith("metrics.")}
    said = [("unknown_metric", key) for key in mistaken] + [("unknown_experiment", key) for key in unreadable]
    for path, document, problems in read:
        experiment: Experiment | None = None
        if document is not None:
            key = value_at(document.value, ("key",))
            salts = {other.salt: f"experiment {other.key}" for other in written if other.salt and other.key != key}
            beside = replace(known, salts={**salts, **ground.salts, **known.salts})
            experiment, more = check_document(document, {**shipped_metrics(), **own}, beside)
            problems = in_order([*problems, *more])
        if problems or experiment is None:
            kept = tuple(problem for problem in problems if (problem.code, problem.value) not in said)
            checked.append(Checked(path, kept, "once what it names is mended"))
        else:
            checked.append(Checked(path, (), summary(experiment), experiment))
    return tuple(checked)


def _money(shop: Shop, modules: Iterable[str]) -> Checked:
    if not shop.money_file.exists():
        return Checked(shop.money_file, (), f"not there, so the defaults hold: {money_summary(Money(), shop.settings)}")
    money, problems = read_money(shop, modules)
    return Checked(shop.money_file, tuple(problems), "" if money is None else money_summary(money, shop.settings))


def _beside(around: Around, documents: Sequence[Document | None]) -> tuple[Around, tuple[str, ...]]:
    """What there is with every definition that has its shape, and the keys of those that do not."""
    neighbours, unreadable = dict(around.neighbours), []
    for document in documents:
        if document is None:
            continue
        own = value_at(document.value, ("assignment",)) == "truelift"
        experiment, _ = parse(Assigned if own else Experiment, document)
        if experiment is None:
            unreadable.append(str(value_at(document.value, ("key",))))
            continue
        before = neighbours.get(experiment.key)
        neighbours[experiment.key] = Neighbour("draft" if before is None else before.state, experiment)
    return replace(around, neighbours=neighbours), tuple(unreadable)


def summary(experiment: Experiment) -> str:
    """What a definition declares, in a line."""
    arms = ", ".join(variant.key for variant in experiment.variants)
    metrics, start = experiment.metrics, experiment.schedule.start_at
    return (
        f"{experiment.key}: {arms}; {len(metrics.success)} success, {len(metrics.guardrails)} guardrail and "
        f"{len(metrics.secondary)} secondary metrics; {experiment.analysis.design} from {start:%Y-%m-%d}"
    )


def check_experiment(
    path: Path, metrics: Mapping[str, Metric], around: Around | None = None
) -> tuple[Experiment | None, list[Problem]]:
    """The definition and no problems, or problems in the order of the file. NotFoundError without a file."""
    document, problems = read_yaml(path)
    if document is None:
        return None, problems
    experiment, more = check_document(document, metrics, around)
    problems = in_order([*problems, *more])
    return (None if problems else experiment), problems


def check_document(
    document: Document, metrics: Mapping[str, Metric], around: Around | None = None
) -> tuple[Experiment | None, list[Problem]]:
    """The same of a definition that was read already, from a file or a request."""
    own = value_at(document.value, ("assignment",)) == "truelift"
    particular = shape(document) if own else (*_assigner(document), *_refused(document), *_weights(document))
    special = [*_not_yet(document), *particular, *_materiality(document, metrics)]
    experiment, wrong = parse(Assigned if own else Experiment, document)
    problems = [*special, *besides(wrong, [*special, *_spoken_for(document)])]
    together = [*_variants(document), *roles(document, metrics), *_schedule(document), *_twice(document)]
    if own:
        together += across(document, around or Around())
    problems += besides(together, wrong)
    return (None if problems else experiment), in_order(problems)


def _assigner(document: Document) -> Iterator[Problem]:
    given = value_at(document.value, ("assignment",))
    if isinstance(given, str) and given != "external":
        message = f"{given!r} is neither truelift nor external"
        near = nearest(given, ("truelift", "external"))
        step = "write truelift where it assigns the units, external where another system did"
        yield document.problem("unknown_value", ("assignment",), given, message, near=near, next_step=step)
    if given is None and isinstance(document.value, dict):
        step = "write assignment: truelift, or external where another system assigned the units"
        yield document.problem("missing_field", ("assignment",), None, "is missing", next_step=step)


def _not_yet(document: Document) -> Iterator[Problem]:
    assigns = value_at(document.value, ("assignment",)) == "truelift"
    for path, values in NOT_YET.items():
        if assigns and path in (("design",), ("unit_type",)):
            continue  # truelift assigns every design and unit
        given = value_at(document.value, path)
        written = given is not None or path in document.lines
        said = values.get(None) if None in values and written else values.get(given) if isinstance(given, str) else None
        if said:
            yield document.problem(
                "not_in_this_version", path, given, f"{said[0]} is not in this version", next_step=said[1]
            )


def _refused(document: Document) -> Iterator[Problem]:
    for path, reason in _elsewhere(document):
        message = f"{path[-1]} has no meaning here: {reason}"
        given = value_at(document.value, path)
        yield document.problem("refused_for_external", path, given, message, next_step="remove it")


def _spoken_for(document: Document) -> Iterator[Problem]:
    """Where the model's own errors are noise: the entries of materiality, which are looked at one by one."""
    at: Path_ = ("analysis", "materiality")
    given = value_at(document.value, at)
    for key in given if isinstance(given, dict) else ():
        yield document.problem("materiality", (*at, key), None, "")


def _elsewhere(document: Document) -> Iterator[tuple[Path_, str]]:
    for name, reason in REFUSED_FOR_EXTERNAL.items():
        if isinstance(document.value, dict) and name in document.value:
            yield (name,), reason
    for at, variant in entries(document.value, ("variants",)):
        for name, reason in REFUSED_VARIANT_FIELDS.items():
            if isinstance(variant, dict) and name in variant:
                yield (*at, name), reason


def _weights(document: Document) -> Iterator[Problem]:
    """ASSIGNMENT 3: the weights of an assignment made elsewhere are whole-number ratios, "1","1","2"."""
    for at, variant in entries(document.value, ("variants",)):
        weight = value_at(variant, ("weight",))
        path = (*at, "weight")
        if not isinstance(weight, str) or re.fullmatch(r"[1-9][0-9]*", weight):
            if isinstance(weight, int | float):
                step = f'write weight: "{weight}"'
                yield document.problem("wrong_type", path, weight, "a weight is written in quotes", next_step=step)
        elif weight.startswith("-"):
            yield document.problem("negative_weight", path, weight, "a weight is above 0")
        elif re.fullmatch(r"0+(\.0*)?", weight):
            yield document.problem("zero_weight", path, weight, "a weight is above 0", next_step="remove the variant")
        else:
            message = f"{weight!r} is not a whole number: {ELSEWHERE}, so only the ratio of the weights counts"
            step = 'write "1", "1" for equal arms, "9", "1" for nine to one'
            yield document.problem("weight_precision", path, weight, message, next_step=step)


def _variants(document: Document) -> Iterator[Problem]:
    variants = entries(document.value, ("variants",))
    if len(variants) < 2:
        return
    controls = [at for at, variant in variants if value_at(variant, ("is_control",)) is True]
    keys = [value_at(variant, ("key",)) for _, variant in variants]
    if not controls:
        message = f"none of {', '.join(str(key) for key in keys)} is the control"
        yield document.problem(
            "no_control", ("variants",), None, message, next_step="write is_control: true on one of them"
        )
    for at in controls[1:]:
        message = "there is another control, and an experiment has one"
        yield document.problem("several_controls", (*at, "is_control"), True, message, next_step="keep one")


def _schedule(document: Document) -> Iterator[Problem]:
    schedule, _ = parse(Schedule, document, ("schedule",))
    fixed = value_at(document.value, ("analysis", "design")) == "fixed"
    if schedule is None:
        return
    path = ("schedule", "end_at")
    if schedule.end_at is None and fixed:
        message = "a fixed design is read once, at its end"
        yield document.problem("no_end", path, None, message, next_step="write end_at, or design: always_valid")
    if schedule.end_at is not None and schedule.end_at <= schedule.start_at:
        message = f"ends {schedule.end_at.isoformat()}, not after its start {schedule.start_at.isoformat()}"
        yield document.problem(
            "schedule_order", path, str(schedule.end_at), message, next_step="put end_at after start_at"
        )


def _materiality(document: Document, metrics: Mapping[str, Metric]) -> Iterator[Problem]:
    at: Path_ = ("analysis", "materiality")
    given = value_at(document.value, at)
    success = [entry for _, entry in entries(document.value, ("metrics", "success"))]
    for key, entry in given.items() if isinstance(given, dict) else ():
        path = (*at, key)
        fields = set(entry) if isinstance(entry, dict) else set()
        if key == "slices" and "relative" in fields:
            message = "slices are judged in money, because a lift of a small slice is worth little"
            step = 'write slices: {money_per_1000_units: "1.50"}'
            yield document.problem("materiality", path, entry, message, next_step=step)
        elif key != "slices" and "money_per_1000_units" in fields:
            message = "money_per_1000_units stands under slices only; a metric has a relative materiality"
            step = f'write {key}: {{relative: "0.005"}}'
            yield document.problem("materiality", path, entry, message, next_step=step)
        else:
            yield from build(SliceMateriality if key == "slices" else RelativeMateriality, entry, document, path)[1]
        misspelt = any(entry not in metrics for entry in success if isinstance(entry, str))
        if key != "slices" and key not in success and not (misspelt and key in metrics):
            code, message = (
                "materiality_role",
                f"{key} is not a success metric, so nothing is decided by its materiality",
            )
            if key not in metrics:
                code, message = "unknown_metric", f"there is no metric {key}"
            near = nearest(key, [entry for entry in success if isinstance(entry, str)])
            yield document.problem(code, path, key, message, near=near, next_step="name a success metric, or remove it")


def _twice(document: Document) -> Iterator[Problem]:
    for code, path, field in (("variant_twice", ("variants",), "key"), ("module_twice", ("modules",), None)):
        before: list[Json] = []
        for at, entry in entries(document.value, path):
            name = value_at(entry, (field,)) if field else entry
            if isinstance(name, str) and name in before:
                where = (*at, field) if field else at
                yield document.problem(
                    code, where, name, f"{name} is there already", next_step="choose another, or remove it"
                )
            before.append(name)
