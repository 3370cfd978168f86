"""What must hold between the parts of a `bundle.v1` before it may assign anybody; all problems at once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from assignment.document import BundleDocument, ExperimentDocument, LayerDocument, Range
from assignment.hashing import BUCKETS, check_salt, check_unit_id
from experiments.designs import DAY_MINUTES, DESIGN_UNITS
from experiments.errors import Problem, UsageError, nearest
from experiments.loading import Document
from experiments.targeting import targeting_problems


def problems_of(written: BundleDocument, document: Document) -> list[Problem]:
    """Every contradiction of a bundle, written as `document`."""
    return [
        *_unique("layers", "key", [layer.key for layer in written.layers]),
        *_unique("holdouts", "key", [holdout.key for holdout in written.holdouts]),
        *_unique("experiments", "key", [experiment.key for experiment in written.experiments]),
        *_unique("layers", "modules", [module for layer in written.layers for module in layer.modules]),
        *_unique("layers", "flag_key", [slot.flag_key for layer in written.layers for slot in layer.slots]),
        *_salts(written),
        *(
            problem
            for index, layer in enumerate(written.layers)
            for problem in _layer(written, layer, f"layers[{index}]")
        ),
        *(
            problem
            for index, holdout in enumerate(written.holdouts)
            for problem in _ranges(holdout.buckets, f"holdouts[{index}].buckets")
        ),
        *(
            problem
            for index, experiment in enumerate(written.experiments)
            for problem in _experiment(written, experiment, f"experiments[{index}]")
        ),
        *(
            problem
            for index in range(len(written.experiments))
            for problem in targeting_problems(document, ("experiments", index, "targeting"))
        ),
    ]


def _unique(where: str, what: str, values: Sequence[str]) -> Iterator[Problem]:
    for value, times in Counter(values).items():
        if times > 1:
            yield Problem("duplicate_key", where, value, f"{what} {value!r} is written {times} times", (), "keep one")


def _salts(written: BundleDocument) -> Iterator[Problem]:
    """Valid, and no two with the same one."""
    salts = [
        *((f"layers[{index}].salt", layer.salt) for index, layer in enumerate(written.layers)),
        *((f"holdouts[{index}].salt", holdout.salt) for index, holdout in enumerate(written.holdouts)),
        *((f"experiments[{index}].salt", experiment.salt) for index, experiment in enumerate(written.experiments)),
    ]
    owners: dict[str, str] = {}
    for path, salt in salts:
        try:
            check_salt(salt)
        except UsageError as error:
            yield Problem("key_format", path, salt, str(error))
        if salt in owners:
            message = f"{salt!r} is also {owners[salt]}: the two would not be independent"
            yield Problem("salt_collision", path, salt, message, (), "give each its own")
        owners.setdefault(salt, path)


def _layer(written: BundleDocument, layer: LayerDocument, path: str) -> Iterator[Problem]:
    for index, slot in enumerate(layer.slots):
        if slot.module not in layer.modules:
            message = f"{slot.module!r} is not a module of layer {layer.key}"
            near = nearest(slot.module, layer.modules)
            yield Problem("unknown_module", f"{path}.slots[{index}].module", slot.module, message, near)
    live = [
        (start, end, experiment.key)
        for experiment in written.experiments
        if experiment.layer.key == layer.key and experiment.state in ("running", "paused")
        for start, end in _pairs(experiment.layer.ranges)
    ]
    clocks = {
        (experiment.switchback.cluster, experiment.switchback.window_minutes): experiment.key
        for experiment in written.experiments
        if experiment.layer.key == layer.key and experiment.state in ("running", "paused") and experiment.switchback
    }
    if len(clocks) > 1:
        message = f"{' and '.join(clocks.values())} have other cells on one layer: a visit would be in both"
        value = [list(clock) for clock in clocks]
        yield Problem("switchback_mismatch", path, value, message, (), "give them the same cluster and window_minutes")
    for (start, end, one), (second, last, other) in pairwise(sorted(live)):
        if second < end and one != other:
            message = f"{one} [{start}, {end}) and {other} [{second}, {last}) share buckets of layer {layer.key}"
            yield Problem("layer_overlap", path, [second, min(end, last)], message, (), "let one of them give way")


def _experiment(written: BundleDocument, one: ExperimentDocument, path: str) -> Iterator[Problem]:
    yield from _place(written, one, path)
    yield from _design(one, path)
    yield from _variants(one, path)
    yield from _ranges(one.layer.ranges, f"{path}.layer.ranges")
    for before, after in pairwise(one.traffic):
        if after.at <= before.at:
            message = f"{after.at.isoformat()} does not come after {before.at.isoformat()}"
            yield Problem("schedule_order", f"{path}.traffic", after.at.isoformat(), message, (), "put them in order")
        if after.bp < before.bp:
            message = f"traffic falls from {before.bp} to {after.bp}: units would leave the test"
            yield Problem("ramp_decreasing", f"{path}.traffic", after.bp, message, (), "keep it or let it grow")
    known = {holdout.key for holdout in written.holdouts}
    yield from _known("unknown_holdout", f"{path}.holdouts", one.holdouts, known)
    yield from _prerequisites(written, one, path)
    arms = {variant.key for variant in one.variants}
    yield from _known("unknown_variant", f"{path}.overrides", [each.variant for each in one.overrides], arms)
    yield from _unique(f"{path}.overrides", "unit_id", [each.unit_id for each in one.overrides])
    for index, each in enumerate(one.overrides):
        try:
            check_unit_id(each.unit_id)
        except UsageError as error:
            yield Problem("unit_id", f"{path}.overrides[{index}].unit_id", each.unit_id, str(error))


def _place(written: BundleDocument, one: ExperimentDocument, path: str) -> Iterator[Problem]:
    layers = {layer.key: layer for layer in written.layers}
    layer = layers.get(one.layer.key)
    if layer is None:
        yield from _known("unknown_layer", f"{path}.layer.key", [one.layer.key], layers)
        return
    if one.unit_type != layer.unit_type:
        message = f"{one.unit_type} is not {layer.unit_type}, the unit of layer {layer.key}"
        yield Problem("unit_mismatch_layer", f"{path}.unit_type", one.unit_type, message, (), "choose another layer")
    yield from _unique(f"{path}.flag_keys", "flag_key", one.flag_keys)
    for flag in one.flag_keys:
        if flag not in {slot.flag_key for slot in layer.slots}:
            message = f"{flag!r} is not a slot of layer {layer.key}: experiments on one flag share its layer"
            near = nearest(flag, (slot.flag_key for slot in layer.slots))
            yield Problem("flag_conflict", f"{path}.flag_keys", flag, message, near, "choose the flag's layer")


def _design(one: ExperimentDocument, path: str) -> Iterator[Problem]:
    wanted = DESIGN_UNITS.get(one.design)
    if wanted is not None and one.unit_type != wanted:
        message = f"{one.unit_type} is not the unit of design {one.design}, which is {wanted}"
        yield Problem("unit_mismatch_design", f"{path}.unit_type", one.unit_type, message, (), f"write {wanted}")
    if (one.design == "switchback") != (one.switchback is not None):
        message = f"design {one.design} has {'no' if one.switchback is None else 'a'} switchback"
        yield Problem("switchback", f"{path}.switchback", one.design, message, (), "give it to a switchback alone")
    windows = one.switchback
    if windows is not None and (
        DAY_MINUTES % windows.window_minutes or windows.burn_in_minutes >= windows.window_minutes
    ):
        message = f"windows of {windows.window_minutes} minutes, {windows.burn_in_minutes} of them burn-in"
        step = "let a window divide a day and be longer than its burn-in"
        yield Problem("window_length", f"{path}.switchback", windows.window_minutes, message, (), step)
    if one.design == "interleaving" and len(one.variants) != 2:
        message = f"{len(one.variants)} arms; two teams draft one list"
        yield Problem("too_many_variants", f"{path}.variants", len(one.variants), message, (), "name two")


def _variants(one: ExperimentDocument, path: str) -> Iterator[Problem]:
    yield from _unique(f"{path}.variants", "key", [variant.key for variant in one.variants])
    controls = [variant.key for variant in one.variants if variant.is_control]
    if len(controls) != 1:
        said = f"{len(controls)} controls ({', '.join(controls)})" if controls else "no control"
        yield Problem("no_control", f"{path}.variants", controls, f"{said}; exactly one arm is the control")
    at = 0
    for index, variant in enumerate(one.variants):
        if variant.start != at or variant.end <= variant.start:
            message = f"[{variant.start}, {variant.end}) does not begin at {at} and end after it"
            value = [variant.start, variant.end]
            yield Problem(
                "weights_sum", f"{path}.variants[{index}]", value, message, (), "let ranges follow each other"
            )
        at = variant.end
    if at != BUCKETS:
        message = f"the arms' ranges end at {at}, not {BUCKETS}"
        yield Problem("weights_sum", f"{path}.variants", at, message, (), "give the missing buckets to an arm")


def _prerequisites(written: BundleDocument, one: ExperimentDocument, path: str) -> Iterator[Problem]:
    arms = {each.key: {variant.key for variant in each.variants} for each in written.experiments}
    for index, before in enumerate(one.prerequisites):
        at = f"{path}.prerequisites[{index}]"
        if not before.variants:
            yield Problem("too_few", f"{at}.variants", [], "names no arm: nobody could meet it", (), "name one")
        if before.experiment in arms:
            yield from _known("unknown_variant", f"{at}.variants", before.variants, arms[before.experiment])


def _known(code: str, path: str, values: Iterable[str], known: Iterable[str]) -> Iterator[Problem]:
    names = sorted(known)
    for value in values:
        if value not in names:
            said = ", ".join(names) or "none"
            yield Problem(code, path, value, f"{value!r} is not known; known: {said}", nearest(value, names))


def _ranges(written: Sequence[Range], path: str) -> Iterator[Problem]:
    for index, (start, end) in enumerate(_pairs(written)):
        if start >= end:
            message = f"[{start}, {end}) holds no bucket"
            yield Problem("range", f"{path}[{index}]", [start, end], message, (), "let it end after it begins")
    for (start, end), (second, last) in pairwise(sorted(_pairs(written))):
        if second < end:
            message = f"[{start}, {end}) and [{second}, {last}) share buckets"
            yield Problem("range", path, [second, min(end, last)], message, (), "write them once")


def _pairs(written: Iterable[Range]) -> list[tuple[int, int]]:
    return [(pair[0], pair[1]) for pair in written]
