"""For any sequence of changes: nobody changes arm inside a phase, no bucket has two owners, the audit chain holds."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from experiments import lifecycle, ranges
from experiments.bundle import bundle_document
from experiments.errors import ConflictError, DefinitionError, TrueliftError
from experiments.shop import create
from experiments.spec import Assigned
from experiments.store import Store
from tests.helpers.assigned_shop import BEGIN, FLAT, KEY, Desk
from tests.helpers.definitions import written
from tests.helpers.effort import scaled

MANY = settings(max_examples=scaled(25, 400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
UNITS = [f"u{number}" for number in range(60)]
shares = st.sampled_from(["0.3", "0.5", "0.75", "1", "0.1"])
spans = st.tuples(st.integers(0, 99), st.integers(1, 30)).map(lambda two: (two[0] * 100, min(10_000, sum(two) * 100)))
weights = st.integers(1, 9_999).map(lambda points: (ranges.share_text(points), ranges.share_text(10_000 - points)))
moves = st.one_of(
    st.sampled_from(["pause", "resume", "kill", "disable_arm", "enable_arm"]).map(lambda word: (word, None)),
    shares.map(lambda share: ("traffic", share)),
    spans.map(lambda span: ("ranges", span)),
    weights.map(lambda pair: ("register", pair)),
    weights.map(lambda pair: ("new_phase", pair)),
    st.sampled_from(UNITS[:5]).map(lambda unit: ("override", unit)),
)


def text(pair: tuple[str, str], start: datetime) -> str:
    """The definition with these weights, from `start` on."""
    first, second = (f'weight: "{share}"' for share in pair)
    given = FLAT.replace('control, weight: "0.5"', f"control, {first}")
    given = given.replace('als_v2, weight: "0.5"', f"als_v2, {second}")
    return given.replace("start_at: 2026-12-01T09:00:00Z", f"start_at: {start:%Y-%m-%dT%H:%M:%SZ}")


def move(desk: Desk, what: str, value: object, at: float) -> None:
    """One change, of whatever kind."""
    store, now = desk.store, desk.now(at)
    simple: dict[str, Callable[..., object]] = {
        "pause": lifecycle.pause, "resume": lifecycle.resume, "kill": lifecycle.kill,
    }  # fmt: skip
    if what in simple:
        simple[what](store, KEY, actor="a", reason="", now=now)
    elif what in ("disable_arm", "enable_arm"):
        getattr(lifecycle, what)(store, KEY, "als_v2", actor="a", reason="", now=now)
    elif what == "traffic":
        lifecycle.raise_traffic(store, KEY, str(value), actor="a", reason="", now=now)
    elif what == "ranges" and isinstance(value, tuple):
        lifecycle.add_ranges(store, KEY, [value], actor="a", reason="", now=now)
    elif what == "override":
        lifecycle.add_override(store, KEY, str(value), "als_v2", actor="a", reason="", now=now)
    elif what == "register" and isinstance(value, tuple):
        desk.propose(text(value, store.phase(KEY).experiment.schedule.start_at), at=at)
    elif isinstance(value, tuple):
        path = written(desk.shop, text(value, now))
        lifecycle.new_phase(store, desk.shop, path, actor="a", reason="", now=now)


@MANY
@given(st.lists(moves, min_size=1, max_size=8))
def test_no_unit_changes_its_arm_inside_a_phase_and_none_that_took_part_is_put_out(
    wanted: list[tuple[str, object]],
) -> None:
    with TemporaryDirectory() as folder, Store.open("sqlite://") as store:
        desk = Desk(store, create(Path(folder) / "shop"))
        desk.begin(text(("0.5", "0.5"), BEGIN))
        arms: dict[tuple[int | None, str], str] = {}
        for index, (what, value) in enumerate(wanted):
            before = store.definition(KEY).revision
            try:
                move(desk, what, value, at=1 + index)
            except TrueliftError:
                assert store.definition(KEY).revision == before  # refused is not half done
            bundle = compile_bundle(bundle_document(store, desk.shop))
            now = desk.now(1.5 + index)
            met: set[tuple[int | None, str]] = set()
            reasons = set()
            for unit in UNITS:
                decision = evaluate(bundle, "rec.homepage", {"targetingKey": unit, "platform": "web"}, now)
                reasons.add(decision.assignment_reason)
                if decision.assignment_reason in ("split", "arm_disabled"):
                    assert decision.variant is not None
                    who = (decision.phase, unit)
                    met.add(who)
                    assert arms.setdefault(who, decision.variant) == decision.variant
            phase = store.phase(KEY).number
            forced = {each for each in UNITS[:5] if desk_forces(desk, each)}
            if not reasons & {"killed", "not_running"}:
                missing = {who for who in arms if who[0] == phase and who[1] not in forced} - met
                assert not missing
        assert store.verify_audit() == ()


def desk_forces(desk: Desk, unit: str) -> bool:
    """Whether the newest definition forces the unit."""
    experiment = desk.store.definition(KEY).experiment
    assert isinstance(experiment, Assigned)
    return any(each.unit_id == unit for each in experiment.overrides)


@MANY
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.lists(spans, min_size=1, max_size=3)), min_size=1, max_size=8))
def test_no_bucket_of_a_layer_has_two_owners_whatever_is_registered(
    wanted: list[tuple[str, list[tuple[int, int]]]],
) -> None:
    with TemporaryDirectory() as folder, Store.open("sqlite://") as store:
        desk = Desk(store, create(Path(folder) / "shop"))
        for name, given_ranges in wanted:
            said = ", ".join(f"[{start}, {end}]" for start, end in given_ranges)
            definition = FLAT.replace(KEY, f"exp_{name}").replace("[[0, 6000]]", f"[{said}]")
            owned = _owned(store)
            mine = owned.pop(f"exp_{name}", ())
            disjoint = sum(e - s for s, e in given_ranges) == sum(e - s for s, e in ranges.merged(given_ranges))
            fits = disjoint and all(not ranges.overlap(given_ranges, other) for other in owned.values())
            try:
                desk.propose(definition)
            except TrueliftError:
                assert not fits
                assert _owned(store).get(f"exp_{name}", ()) == mine
            else:
                assert fits
            everything = [one for each in _owned(store).values() for one in each]
            assert sum(e - s for s, e in everything) == sum(e - s for s, e in ranges.merged(everything))


def _owned(store: Store) -> dict[str, tuple[ranges.Range, ...]]:
    known = [each.experiment for each in store.registered()]
    return {each.key: each.layer.ranges for each in known if isinstance(each, Assigned)}


@MANY
@given(st.lists(st.integers(1, 9_999), min_size=2, max_size=2) | st.integers(1, 9_999).map(lambda n: [n, 10_000 - n]))
def test_weights_that_do_not_sum_to_one_are_never_registered(points: list[int]) -> None:
    with TemporaryDirectory() as folder, Store.open("sqlite://") as store:
        desk = Desk(store, create(Path(folder) / "shop"))
        first, second = (ranges.share_text(each) for each in points)
        if sum(points) == ranges.BUCKETS:
            assert desk.propose(text((first, second), BEGIN)).version == 1
            return
        with pytest.raises(DefinitionError, match="weights_sum"):
            desk.propose(text((first, second), BEGIN))
        assert store.registered() == []


@MANY
@given(st.lists(st.sampled_from(["ann", "ben"]), min_size=2, max_size=8), st.data())
def test_whoever_writes_from_an_old_revision_gets_a_conflict_and_changes_nothing(
    writers: list[str], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder, Store.open("sqlite://") as store:
        desk = Desk(store, create(Path(folder) / "shop"))
        desk.begin(FLAT.replace('"0.25"', '"0.01"'))
        seen = dict.fromkeys(("ann", "ben"), store.definition(KEY).revision)
        for number, who in enumerate(writers):
            if data.draw(st.booleans(), label=f"{who} looks first"):
                seen[who] = store.definition(KEY).revision
            current, share = store.definition(KEY).revision, ranges.share_text(200 + number * 100)
            now = BEGIN + timedelta(hours=number + 1)
            try:
                made = lifecycle.raise_traffic(
                    store, KEY, share, actor=who, reason="", now=now, expected=seen[who]
                )  # fmt: skip
            except ConflictError:
                assert seen[who] != current
                assert store.definition(KEY).revision == current
            else:
                assert seen[who] == current
                seen[who] = made.revision
        assert store.verify_audit() == ()
