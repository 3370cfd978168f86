"""What holds for any bundle and any context."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import cast, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from assignment.allocation import evaluate
from assignment.bundle import Bundle, compile_bundle
from assignment.decision import AssignmentReason, Decision, ErrorCode
from assignment.explanation import explain
from assignment.hashing import BUCKETS
from experiments.errors import DefinitionError
from tests.helpers.bundles import NOW, Document, arm, bundle, experiment, holdout, layer
from tests.helpers.effort import scaled

EXAMPLES = scaled(ci=200, full=5_000)
STATES = ("draft", "scheduled", "running", "paused", "stopped", "archived")
KEYS = ("one", "two", "three")
MOMENTS = st.datetimes(datetime(2026, 11, 20), datetime(2027, 1, 20), timezones=st.just(UTC))

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(object()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
contexts = st.dictionaries(
    st.sampled_from(["targetingKey", "user_id", "session_id", "country", "age"]) | st.text(), anything
) | st.fixed_dictionaries({"targetingKey": st.text() | st.integers(0, 50).map(lambda n: f"user_{n}")})


def edges(count: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, BUCKETS - 1), min_size=count, max_size=count, unique=True).map(sorted)


@st.composite
def conditions(draw: st.DrawFn) -> Document:
    operator, value = draw(
        st.sampled_from(
            [
                ("EQ", "DE"), ("NE", 7), ("ONE_OF", ["DE", 1]), ("NOT_ONE_OF", [True]), ("GT", 3), ("LTE", 9.5),
                ("MATCHES", "^.{2}$"), ("CONTAINS", "D"), ("IS_NULL", True), ("IS_NULL", None),
            ]
        )
    )  # fmt: skip
    return {"attribute": draw(st.sampled_from(["country", "age"])), "operator": operator, "value": value}


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Three experiments of one flag on disjoint layer ranges, in any state, and one on another layer."""
    bounds = [0, *draw(edges(2)), BUCKETS]
    shared = [
        draw(parts(key, {"key": "homepage", "ranges": [[bounds[index], bounds[index + 1]]]}, order=index))
        for index, key in enumerate(KEYS)
    ]
    alone = draw(parts("alone", {"key": "pdp", "ranges": [[0, BUCKETS]]}, order=9))
    alone |= {"flag_keys": ["rec.pdp"], "modules": ["pdp"], "holdouts": []}
    return bundle(*shared, alone, layers=[layer(), layer("pdp")], holdouts=[holdout(buckets=[[0, 1_000]])])


@st.composite
def parts(draw: st.DrawFn, key: str, share: Document, order: int) -> Document:
    cut = draw(st.integers(1, BUCKETS - 1))
    days = sorted(draw(st.sets(st.integers(1, 28), max_size=3)))
    bps = sorted(draw(st.lists(st.integers(0, BUCKETS), min_size=len(days), max_size=len(days))))
    needs = draw(st.lists(st.sampled_from([*KEYS, "alone", "gone"]), max_size=2))
    return experiment(
        key=key,
        order=order,
        layer=share,
        state=draw(st.sampled_from(STATES) | st.just("running")),
        killed=draw(st.booleans()),
        variants=[arm("control", 0, cut), arm("als", cut, BUCKETS, disabled=draw(st.booleans()))],
        traffic=[{"at": f"2026-12-{day:02d}T00:00:00Z", "bp": bp} for day, bp in zip(days, bps, strict=True)],
        targeting=draw(st.none() | st.fixed_dictionaries({"any": st.lists(conditions(), max_size=2)})),
        prerequisites=[{"experiment": each, "variants": ["als"]} for each in needs],
        overrides=draw(st.sampled_from([[], [{"unit_id": "user_7", "variant": "als"}]])),
        holdouts=draw(st.sampled_from([[], ["global"]])),
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents(), st.sampled_from(["rec.homepage", "rec.pdp", "rec.none", ""]), contexts, MOMENTS)
def test_every_context_gets_a_whole_decision(
    document: Document, flag: str, context: Mapping[str, object], now: datetime
) -> None:
    made = compile_bundle(document)
    found = evaluate(made, flag, context, now)
    assert isinstance(found, Decision)
    assert found.assignment_reason in get_args(AssignmentReason)
    assert found.error is None or found.error in get_args(ErrorCode)
    assert found.error == "FLAG_NOT_FOUND" or found.strategy
    assert (found.variant is not None) == (found.assignment_reason in ("split", "arm_disabled", "override"))
    assert (found.split_bucket is not None) == (found.assignment_reason in ("split", "arm_disabled"))
    assert found.error is None or found.unit_id is None
    assert evaluate(made, flag, context, now) == found
    assert explain(made, flag, context, now).decision == found


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents(), st.data(), st.sampled_from(["draft", "scheduled"]), st.integers(-1, 9), contexts, MOMENTS)
def test_what_has_never_started_changes_no_decision(
    document: Document, data: st.DataObject, state: str, order: int, context: Mapping[str, object], now: datetime
) -> None:
    """Whatever else is on the slot, and whenever it was registered; its testers aside."""
    later = data.draw(parts("later", {"key": "homepage", "ranges": [[0, BUCKETS]]}, order))
    later |= {"state": state, "started_at": None, "overrides": []}
    among = cast("list[Document]", document["experiments"])
    beside = compile_bundle({**document, "experiments": [*among, later]})
    assert evaluate(beside, "rec.homepage", context, now) == evaluate(
        compile_bundle(document), "rec.homepage", context, now
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents(), st.data())
def test_a_mutilated_document_is_refused_or_assigns(document: Document, data: st.DataObject) -> None:
    """Any value replaced by anything: DefinitionError, or a bundle that answers; never another exception."""
    broken = cast("Document", mutilated(document, data))
    try:
        made = compile_bundle(broken)
    except DefinitionError:
        return
    for flag in (*made.slots, "rec.none"):
        found = evaluate(made, flag, {"targetingKey": "user_1", "country": "DE"}, NOW)
        assert found.error in (None, "FLAG_NOT_FOUND", "TARGETING_KEY_MISSING")


def mutilated(value: object, data: st.DataObject) -> object:
    """One value somewhere inside, replaced or left out."""
    whole: object = copy.deepcopy(value)
    at = whole
    while True:
        names: list[object] = list(at) if isinstance(at, dict) else list(range(len(at))) if isinstance(at, list) else []
        name = data.draw(st.sampled_from(names))
        holder = cast("dict[object, object]", at)
        inner = holder[name]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 3)) == 0:
            if data.draw(st.booleans()):
                del holder[name]
            else:
                holder[name] = data.draw(anything)
            return whole
        at = inner


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents(), st.lists(MOMENTS, min_size=2, max_size=4), st.integers(0, 500))
def test_growing_traffic_never_moves_a_unit(document: Document, moments: list[datetime], number: int) -> None:
    """In time order a unit is out, then in one arm; only what stops an experiment takes it out again."""
    made = compile_bundle(without_prerequisites(document))
    arms = [
        drawn(made, "rec.pdp", f"user_{number}", now)
        for now in sorted(moments)
        if now < datetime(2027, 1, 1, tzinfo=UTC)
    ]
    first = next((index for index, variant in enumerate(arms) if variant is not None), len(arms))
    assert len(set(arms[first:])) <= 1


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents(), st.integers(0, 500), MOMENTS)
def test_disjoint_ranges_of_a_layer_never_assign_a_unit_twice(document: Document, number: int, now: datetime) -> None:
    """Each experiment asked alone: at most one of the layer's draws the unit, and it is the one the flag answers."""
    document = without_prerequisites(document)
    written = cast("list[Document]", document["experiments"])[: len(KEYS)]
    layers, holdouts = (cast("list[Document]", document[name]) for name in ("layers", "holdouts"))
    alone = [compile_bundle(bundle(each, layers=layers, holdouts=holdouts)) for each in written]
    drawing = [
        str(each["key"])
        for each, one in zip(written, alone, strict=True)
        if drawn(one, "rec.homepage", f"user_{number}", now)
    ]
    assert len(drawing) <= 1
    together = evaluate(compile_bundle(document), "rec.homepage", {"targetingKey": f"user_{number}"}, now)
    if together.assignment_reason in ("split", "arm_disabled"):
        assert drawing == [together.experiment_key]


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents(), st.integers(0, 500), st.sampled_from(KEYS))
def test_changing_one_salt_moves_no_other_experiment(document: Document, number: int, changed: str) -> None:
    document = without_prerequisites(document)
    other = copy.deepcopy(document)
    for each in cast("list[Document]", other["experiments"]):
        if each["key"] == changed:
            each["salt"] = "another.1"
    before, after = (
        evaluate(compile_bundle(each), "rec.homepage", {"targetingKey": f"user_{number}"}, NOW)
        for each in (document, other)
    )
    assert before.experiment_key == after.experiment_key
    if before.experiment_key != changed:
        assert before == after


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents(), st.integers(0, 500), st.integers(-12, 12))
def test_the_zone_a_moment_is_written_in_changes_nothing(document: Document, number: int, hours: int) -> None:
    made = compile_bundle(document)
    context = {"targetingKey": f"user_{number}"}
    elsewhere = NOW.astimezone(timezone(timedelta(hours=hours)))
    assert evaluate(made, "rec.homepage", context, NOW) == evaluate(made, "rec.homepage", context, elsewhere)


def without_prerequisites(document: Document) -> Document:
    experiments = cast("list[Document]", document["experiments"])
    return {**document, "experiments": [{**each, "prerequisites": []} for each in experiments]}


def drawn(made: Bundle, flag: str, unit_id: str, now: datetime) -> str | None:
    found = evaluate(made, flag, {"targetingKey": unit_id}, now)
    return found.variant if found.assignment_reason in ("split", "arm_disabled") else None


LEGAL = st.sampled_from(
    ["traffic_up", "more_ranges", "disable", "enable", "pause", "resume", "kill", "revive", "override", "stop"]
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(LEGAL, min_size=1, max_size=12), st.integers(1, BUCKETS - 1), st.integers(0, 2_000))
def test_no_legal_sequence_of_changes_moves_a_unit_to_another_arm(changes: list[str], cut: int, number: int) -> None:
    """Inside one phase, whatever is done to it: a unit is in its arm or in none, and its arm is always the same."""
    arms = [arm("control", 0, cut), arm("als", cut, BUCKETS)]
    one = experiment(variants=arms, layer={"key": "homepage", "ranges": [[0, 1_000]]}, traffic=[])
    found: list[str | None] = []
    for change in ["", *changes]:
        one = changed_by(one, change)
        found.append(drawn(compile_bundle(bundle(one)), "rec.homepage", f"user_{number}", NOW))
    assert len({variant for variant in found if variant is not None}) <= 1
    quiet = [each for each in changes if each in ("traffic_up", "more_ranges", "disable", "enable", "override")]
    if quiet == changes:  # nothing stopped it: who was let in stays in
        first = next((index for index, variant in enumerate(found) if variant is not None), len(found))
        assert None not in found[first:]


def changed_by(one: Document, change: str) -> Document:
    traffic, ranges = cast("list[Document]", one["traffic"]), cast("Document", one["layer"])["ranges"]
    arms = cast("list[Document]", one["variants"])
    bp = cast("int", traffic[-1]["bp"]) if traffic else 0
    at = f"2026-12-{len(traffic) + 1:02d}T00:00:00Z"
    match change:
        case "traffic_up" if len(traffic) < 9:
            return {**one, "traffic": [*traffic, {"at": at, "bp": min(BUCKETS, bp + 2_500)}]}
        case "more_ranges":
            [[start, end]] = cast("list[list[int]]", ranges)
            return {**one, "layer": {"key": "homepage", "ranges": [[start, min(BUCKETS, end + 3_000)]]}}
        case "disable" | "enable":
            return {**one, "variants": [arms[0], {**arms[1], "disabled": change == "disable"}]}
        case "pause" | "resume" | "stop":
            return {**one, "state": {"pause": "paused", "resume": "running", "stop": "stopped"}[change]}
        case "kill" | "revive":
            return {**one, "killed": change == "kill"}
        case "override":
            return {**one, "overrides": [{"unit_id": "user_none", "variant": "als"}]}
    return one
