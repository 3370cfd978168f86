"""The eleven steps, one after the other, and which of several experiments on a flag is asked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.decision import Decision
from assignment.hashing import bucket
from tests.helpers.bundles import BEGAN, NOW, Document, arm, bundle, experiment, holdout, layer

FLAG = "rec.homepage"


def decide(document: Document, context: Mapping[str, object], flag: str = FLAG, now: datetime = NOW) -> Decision:
    return evaluate(compile_bundle(document), flag, context, now)


def of_user(document: Document, unit_id: str = "user_1", flag: str = FLAG, now: datetime = NOW) -> Decision:
    return decide(document, {"targetingKey": unit_id}, flag, now)


def user_where(salt: str, least: int, most: int) -> str:
    """A user whose bucket under `salt` lies in [least, most)."""
    return next(name for number in range(100_000) if least <= bucket(salt, name := f"user_{number}") < most)


def test_1_an_unknown_flag_is_not_found() -> None:
    found = of_user(bundle(experiment()), flag="rec.hompage")
    assert (found.error, found.strategy, found.flag_key) == ("FLAG_NOT_FOUND", "", "rec.hompage")


def test_2_an_archived_experiment_serves_control_even_to_the_overridden() -> None:
    one = experiment(state="archived", overrides=[{"unit_id": "user_1", "variant": "als"}])
    found = of_user(bundle(one))
    assert (found.assignment_reason, found.served_variant, found.variant) == ("not_running", "control", None)


@pytest.mark.parametrize("context", [{}, {"targetingKey": 7}])
def test_2_an_archived_experiment_asks_for_no_id(context: Mapping[str, object]) -> None:
    found = decide(bundle(experiment(state="archived")), context)
    assert (found.error, found.assignment_reason, found.served_variant) == (None, "not_running", "control")
    assert found.unit_id is None


@pytest.mark.parametrize(
    ("context", "error"),
    [
        ({}, "TARGETING_KEY_MISSING"),
        ({"targetingKey": None}, "TARGETING_KEY_MISSING"),
        ({"targetingKey": ""}, "TARGETING_KEY_MISSING"),
        ({"targetingKey": 7}, "INVALID_CONTEXT"),
        ({"targetingKey": True}, "INVALID_CONTEXT"),
        ({"targetingKey": ["user_1"]}, "INVALID_CONTEXT"),
        ({"targetingKey": " user_1"}, "INVALID_CONTEXT"),
        ({"targetingKey": "user\n1"}, "INVALID_CONTEXT"),
        ({"targetingKey": "x" * 257}, "INVALID_CONTEXT"),
        ({"targetingKey": "\ud800"}, "INVALID_CONTEXT"),
        ({"user_id": 7, "targetingKey": "user_1"}, "INVALID_CONTEXT"),
    ],
)
def test_3_an_id_that_is_missing_or_wrong_is_an_error_and_serves_control(
    context: Mapping[str, object], error: str
) -> None:
    found = decide(bundle(experiment()), context)
    assert (found.error, found.served_variant, found.strategy) == (error, "control", "control_strategy")
    assert (found.unit_id, found.variant, found.assignment_reason) == (None, None, "none")


@pytest.mark.parametrize("unit_id", ["x", "x" * 256, "user with space", "日本語", "😀", "user\N{NO-BREAK SPACE}1"])
def test_3_any_clean_text_is_an_id(unit_id: str) -> None:
    found = of_user(bundle(experiment()), unit_id)
    assert (found.error, found.split_bucket) == (None, bucket("home.1:split", unit_id))


@pytest.mark.parametrize(
    ("unit_type", "context", "unit_id"),
    [
        ("user", {"targetingKey": "t", "user_id": "u"}, "u"),
        ("user", {"targetingKey": "t", "session_id": "s"}, "t"),
        ("session", {"targetingKey": "t", "session_id": "s", "user_id": "u"}, "s"),
        ("session", {"targetingKey": "t"}, "t"),
        ("device", {"targetingKey": "t", "device_id": "d"}, "d"),
        ("device", {"targetingKey": "t", "device_id": None}, "t"),
        ("request", {"targetingKey": "t", "request_id": "r"}, "r"),
        ("request", {"targetingKey": "t"}, None),
        ("cluster_window", {"targetingKey": "t", "cluster_window_id": "c|2026"}, "c|2026"),
    ],
)
def test_3_each_unit_type_has_its_id(unit_type: str, context: Mapping[str, object], unit_id: str | None) -> None:
    one = experiment(unit_type=unit_type)
    found = decide(bundle(one, layers=[layer("homepage", unit_type)]), context)
    assert (found.unit_type, found.unit_id) == (unit_type, unit_id)
    assert found.error == (None if unit_id else "TARGETING_KEY_MISSING")


@pytest.mark.parametrize("state", ["draft", "scheduled", "running", "paused", "stopped"])
@pytest.mark.parametrize("killed", [False, True])
def test_4_an_override_comes_before_state_targeting_holdout_layer_traffic_and_a_disabled_arm(
    state: str, killed: bool
) -> None:
    one = experiment(
        state=state,
        killed=killed,
        overrides=[{"unit_id": "qa-1", "variant": "als"}],
        targeting={"all": [{"attribute": "country", "operator": "EQ", "value": "DE"}]},
        holdouts=["global"],
        layer={"key": "homepage", "ranges": []},
        traffic=[],
        variants=[arm("control", 0, 5_000), arm("als", 5_000, 10_000, disabled=True, factors=64)],
    )
    found = of_user(bundle(one, holdouts=[holdout(buckets=[[0, 10_000]])]), "qa-1")
    assert (found.assignment_reason, found.variant, found.served_variant) == ("override", "als", "als")
    assert (found.strategy, found.params, found.split_bucket) == ("als_strategy", {"factors": 64}, None)


@pytest.mark.parametrize("state", ["paused", "stopped"])
def test_5_what_does_not_run_serves_control(state: str) -> None:
    found = of_user(bundle(experiment(state=state)))
    assert (found.assignment_reason, found.variant, found.served_variant) == ("not_running", None, "control")
    assert (found.experiment_key, found.phase, found.error) == ("home", 1, None)


@pytest.mark.parametrize("state", ["running", "paused"])
def test_5_a_kill_serves_control_to_everybody(state: str) -> None:
    document = bundle(experiment(state=state, killed=True))
    found = {of_user(document, f"user_{number}").served_variant for number in range(50)}
    assert found == {"control"}
    assert of_user(document).assignment_reason == "killed"


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), "not_running"),
        (datetime(2026, 12, 1, tzinfo=UTC), "split"),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "split"),
        (datetime(2027, 1, 1, tzinfo=UTC), "not_running"),
    ],
)
def test_5_it_runs_from_its_start_until_just_before_its_end(now: datetime, reason: str) -> None:
    assert of_user(bundle(experiment()), now=now).assignment_reason == reason


@pytest.mark.parametrize(
    ("started_at", "reason"),
    [("2026-12-10T12:00:01Z", "not_running"), ("2026-12-10T12:00:00Z", "split"), (None, "not_running")],
)
def test_5_it_runs_from_when_it_was_started_whatever_was_planned(started_at: str | None, reason: str) -> None:
    late = {"start_at": "2026-12-20T00:00:00Z", "end_at": None}
    assert of_user(bundle(experiment(started_at=started_at, schedule=late))).assignment_reason == reason


def test_6_who_is_not_targeted_gets_control() -> None:
    targeting = {"all": [{"attribute": "country", "operator": "EQ", "value": "DE"}]}
    document = bundle(experiment(targeting=targeting, holdouts=["global"]), holdouts=[holdout(buckets=[[0, 10_000]])])
    german = {"targetingKey": "user_1", "country": "DE"}
    assert of_user(document).assignment_reason == "not_targeted"
    assert decide(document, german).assignment_reason == "holdout"


def two(*, before: Document | None = None, **changed: object) -> Document:
    """`second` on the product page asks for arm als of `home`."""
    asks = [{"experiment": "home", "variants": ["als"]}]
    second = experiment(
        key="second", order=2, flag_keys=["rec.pdp"], modules=["pdp"], layer={"key": "pdp", "ranges": [[0, 10_000]]},
        prerequisites=asks, **changed,
    )  # fmt: skip
    return bundle(before or experiment(), second, layers=[layer(), layer("pdp")], holdouts=[holdout()])


DRAWN = next(  # into als of `home`, and a member of the holdout where one is asked
    name
    for number in range(100_000)
    if bucket("home.1:split", name := f"user_{number}") >= 5_000 and bucket("holdout.global:holdout", name) < 500
)


def test_6_a_prerequisite_asks_for_an_arm_drawn_elsewhere() -> None:
    reasons: dict[str | None, set[str]] = {}
    for number in range(200):
        elsewhere = of_user(two(), f"user_{number}").variant
        reasons.setdefault(elsewhere, set()).add(of_user(two(), f"user_{number}", "rec.pdp").assignment_reason)
    assert reasons == {"als": {"split"}, "control": {"not_targeted"}}


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "stopped"},
        {"killed": True},
        {"traffic": []},
        {"layer": {"key": "homepage", "ranges": []}},
        {"targeting": {"any": []}},
        {"overrides": [{"unit_id": DRAWN, "variant": "als"}]},
        {"holdouts": ["global"]},
    ],
)
def test_6_a_unit_in_no_arm_there_does_not_meet_a_prerequisite(changed: Mapping[str, object]) -> None:
    assert of_user(two(), DRAWN, "rec.pdp").assignment_reason == "split"
    assert of_user(two(before=experiment(**changed)), DRAWN, "rec.pdp").assignment_reason == "not_targeted"


def test_6_a_disabled_arm_is_still_the_arm_a_unit_was_drawn_into() -> None:
    off = experiment(variants=[arm("control", 0, 1), arm("als", 1, 10_000, disabled=True)])
    assert of_user(two(before=off), user_where("home.1:split", 1, 10_000), "rec.pdp").assignment_reason == "split"


def test_6_prerequisites_in_a_circle_never_hold_and_harm_nobody_else() -> None:
    circle = experiment(prerequisites=[{"experiment": "second", "variants": ["als", "control"]}])
    document = two(before=circle)
    assert of_user(document).assignment_reason == "not_targeted"
    assert of_user(document, flag="rec.pdp").assignment_reason == "not_targeted"
    assert of_user(document).error is None


def test_6_a_prerequisite_on_an_experiment_that_is_gone_never_holds() -> None:
    document = bundle(experiment(prerequisites=[{"experiment": "gone", "variants": ["als"]}]))
    found = of_user(document)
    assert (found.assignment_reason, found.served_variant, found.error) == ("not_targeted", "control", None)


def test_7_a_holdouts_members_meet_its_strategy() -> None:
    document = bundle(experiment(holdouts=["global"]), holdouts=[holdout()])
    member = user_where("holdout.global:holdout", 0, 500)
    found = of_user(document, member)
    assert (found.assignment_reason, found.strategy, found.params) == ("holdout", "no_recommendations", {})
    assert (found.variant, found.served_variant, found.experiment_key) == (None, None, "home")
    assert of_user(document, user_where("holdout.global:holdout", 500, 10_000)).assignment_reason == "split"


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (BEGAN, None, "holdout"),
        (None, None, "holdout"),
        ("2026-12-10T12:00:00Z", None, "holdout"),
        ("2026-12-10T12:00:01Z", None, "split"),
        (BEGAN, "2026-12-10T12:00:00Z", "split"),
    ],
)
def test_7_a_holdout_holds_in_its_time_only(start: str | None, end: str | None, reason: str) -> None:
    out = holdout(buckets=[[0, 10_000]], start_at=start, end_at=end)
    assert of_user(bundle(experiment(holdouts=["global"]), holdouts=[out])).assignment_reason == reason


def test_7_an_experiment_that_does_not_name_a_holdout_is_not_held_out() -> None:
    document = bundle(experiment(), holdouts=[holdout(buckets=[[0, 10_000]])])
    assert of_user(document).assignment_reason == "split"


def test_7_a_holdout_of_users_holds_them_in_every_session() -> None:
    one = experiment(unit_type="session", holdouts=["global"])
    document = bundle(one, layers=[layer("homepage", "session")], holdouts=[holdout()])
    member = user_where("holdout.global:holdout", 0, 500)
    for session in ("s1", "s2", "s3"):
        held = {"session_id": session, "user_id": member}
        assert decide(document, held).assignment_reason == "holdout"
        assert decide(document, {"session_id": session, "user_id": 7}).assignment_reason == "split"


def test_8_a_unit_outside_the_range_gets_control() -> None:
    document = bundle(experiment(layer={"key": "homepage", "ranges": [[1_000, 2_000], [3_000, 4_000]]}, traffic=[]))
    reasons = {
        at: of_user(document, user_where("layer.homepage:layer", at, at + 500)).assignment_reason
        for at in (0, 1_000, 1_500, 2_000, 3_500, 4_000, 9_000)
    }
    inside = {at for at, reason in reasons.items() if reason == "not_in_traffic"}
    assert inside == {1_000, 1_500, 3_500}
    assert {reasons[at] for at in (0, 2_000, 4_000, 9_000)} == {"not_in_layer"}


def test_9_traffic_is_the_newest_step_that_has_come() -> None:
    steps = [{"at": f"2026-12-{day:02d}T09:00:00Z", "bp": bp} for day, bp in ((2, 100), (3, 2_500), (4, 10_000))]
    document = bundle(experiment(traffic=steps))
    ninth = datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert [of_user(document, now=ninth + timedelta(days=day)).traffic_bp for day in range(5)] == [
        0, 100, 2_500, 10_000, 10_000,
    ]  # fmt: skip
    just_before = of_user(document, now=ninth + timedelta(days=3, microseconds=-1))
    assert just_before.traffic_bp == 2_500


def test_9_traffic_lets_in_the_buckets_below_it() -> None:
    document = bundle(experiment(traffic=[{"at": BEGAN, "bp": 2_500}]))
    reasons = [
        of_user(document, user_where("home.1:traffic", at, at + 1)).assignment_reason for at in (0, 2_499, 2_500, 9_999)
    ]
    assert reasons == ["split", "split", "not_in_traffic", "not_in_traffic"]


def test_10_the_split_follows_the_ranges() -> None:
    thirds = [arm("control", 0, 3_334), arm("als", 3_334, 6_667), arm("tower", 6_667, 10_000)]
    document = bundle(experiment(variants=thirds))
    for start, end, key in (
        (0, 1, "control"),
        (3_333, 3_334, "control"),
        (3_334, 3_335, "als"),
        (9_999, 10_000, "tower"),
    ):
        found = of_user(document, user_where("home.1:split", start, end))
        assert (found.variant, found.split_bucket) == (key, start)


def test_11_a_disabled_arm_keeps_its_units_and_serves_control() -> None:
    off = [arm("control", 0, 5_000), arm("als", 5_000, 10_000, disabled=True, factors=64)]
    found = of_user(bundle(experiment(variants=off)), user_where("home.1:split", 5_000, 10_000))
    assert (found.assignment_reason, found.variant, found.served_variant) == ("arm_disabled", "als", "control")
    assert (found.strategy, found.params) == ("control_strategy", {})


# --- which of several experiments on one flag -----------------------------------------------------------------


def share(key: str, order: int, ranges: list[list[int]], **changed: object) -> Document:
    return experiment(key=key, order=order, layer={"key": "homepage", "ranges": ranges}, **changed)


SHARED = bundle(
    share("old", 1, [[0, 3_000]]),
    share("paused", 2, [[3_000, 6_000]], state="paused"),
    share("new", 3, [[6_000, 8_000]], overrides=[{"unit_id": "user_0", "variant": "als"}]),
    share("draft", 4, [[0, 10_000]], state="draft"),
)


@pytest.mark.parametrize(
    ("at", "experiment_key", "reason"),
    [(0, "old", "split"), (3_000, "paused", "not_running"), (6_000, "new", "split"), (8_000, "new", "not_in_layer")],
)
def test_the_experiment_whose_range_holds_the_unit_is_asked(at: int, experiment_key: str, reason: str) -> None:
    found = of_user(SHARED, user_where("layer.homepage:layer", at, at + 500))
    assert (found.experiment_key, found.assignment_reason) == (experiment_key, reason)


def test_an_override_list_comes_before_ranges() -> None:
    for unit in ("user_0", user_where("layer.homepage:layer", 0, 3_000)):
        named = share("new", 3, [[6_000, 8_000]], overrides=[{"unit_id": unit, "variant": "als"}])
        found = of_user(bundle(share("old", 1, [[0, 3_000]]), named), unit)
        assert (found.experiment_key, found.assignment_reason, found.variant) == ("new", "override", "als")


def test_the_newest_override_list_wins() -> None:
    named = [{"unit_id": "qa", "variant": "als"}]
    document = bundle(share("one", 1, [[0, 1]], overrides=named), share("two", 2, [[1, 2]], overrides=named))
    assert of_user(document, "qa").experiment_key == "two"


def test_without_a_live_one_the_newest_is_asked() -> None:
    document = bundle(share("first", 1, [], state="stopped"), share("second", 2, [], state="archived"))
    found = of_user(document)
    assert (found.experiment_key, found.assignment_reason) == ("second", "not_running")


WAITING = ("draft", "scheduled")
ASKED: list[Mapping[str, object]] = [{}, {"targetingKey": ""}, {"targetingKey": 7}]
ASKED += [{"targetingKey": f"user_{number}"} for number in range(200)]


@pytest.mark.parametrize("state", WAITING)
@pytest.mark.parametrize(
    "before",
    [
        [],
        [share("over", 1, [], state="stopped")],
        [share("gone", 1, [], state="archived")],
        [share("halted", 1, [[0, 5_000]], state="paused")],
        [share("runs", 1, [[0, 5_000]])],
    ],
    ids=["idle", "stopped", "archived", "paused", "running"],
)
def test_what_has_never_started_changes_nothing(before: list[Document], state: str) -> None:
    """Its control differs from the slot's default; a holdout on the module, and contexts without an id, stay too."""
    arms = [arm("old", 0, 5_000), arm("als", 5_000, 10_000)]
    arms[0]["is_control"] = True
    later = share("later", 9, [[5_000, 10_000]], state=state, variants=arms, started_at=None, killed=True)
    without, beside = bundle(*before, holdouts=[holdout()]), bundle(*before, later, holdouts=[holdout()])
    found = [decide(without, context) for context in ASKED]
    assert [decide(beside, context) for context in ASKED] == found
    if not before:
        assert {each.assignment_reason for each in found} == {"none", "holdout"}


@pytest.mark.parametrize("state", WAITING)
def test_a_tester_meets_the_arm_before_the_start(state: str) -> None:
    named = [{"unit_id": "qa", "variant": "als"}]
    later = share("later", 9, [[5_000, 10_000]], state=state, overrides=named)
    for before in ([], [share("over", 1, [], state="stopped")]):
        found = of_user(bundle(*before, later), "qa")
        assert (found.experiment_key, found.assignment_reason, found.served_variant) == ("later", "override", "als")
    assert of_user(bundle(share("runs", 1, [[0, 5_000]]), later), "qa").experiment_key == "runs"


def test_a_slot_without_experiments_serves_its_default() -> None:
    found = of_user(bundle())
    assert (found.assignment_reason, found.strategy, found.experiment_key) == ("none", "popularity", None)
    assert (found.unit_id, found.unit_type, found.hash_version, found.config_version) == ("user_1", "user", None, 7)
    assert decide(bundle(), {}).error is None
    assert decide(bundle(), {"targetingKey": 7}).error == "INVALID_CONTEXT"


def test_a_holdout_holds_on_its_modules_also_without_an_experiment() -> None:
    document = bundle(holdouts=[holdout(buckets=[[0, 10_000]])], layers=[layer(), layer("pdp")])
    found = of_user(document)
    assert (found.assignment_reason, found.strategy, found.experiment_key) == ("holdout", "no_recommendations", None)
    assert of_user(document, flag="rec.pdp").assignment_reason == "none"


def test_one_assignment_follows_a_unit_over_several_slots() -> None:
    both = layer("homepage", "user", "rec.homepage", "rec.cart")
    document = bundle(experiment(flag_keys=["rec.homepage", "rec.cart"]), layers=[both])
    for number in range(50):
        home, cart = (of_user(document, f"user_{number}", flag) for flag in ("rec.homepage", "rec.cart"))
        assert (home.variant, home.split_bucket) == (cart.variant, cart.split_bucket)


# --- whatever goes wrong ---------------------------------------------------------------------------------------


class Angry(dict[str, object]):
    def get(self, *_: object) -> object:
        raise RuntimeError("no")


@pytest.mark.parametrize("context", [Angry(), cast("Mapping[str, object]", None), cast("Mapping[str, object]", ["a"])])
def test_a_context_that_breaks_gets_control_and_an_error(context: Mapping[str, object]) -> None:
    found = decide(bundle(experiment()), context)
    assert (found.error, found.served_variant, found.strategy) == ("GENERAL", "control", "control_strategy")


def test_a_time_without_a_zone_gets_control_and_an_error() -> None:
    assert of_user(bundle(experiment()), now=NOW.replace(tzinfo=None)).error == "GENERAL"


def test_a_flag_that_is_no_text_is_an_error() -> None:
    assert of_user(bundle(experiment()), flag=cast("str", ["rec.homepage"])).error == "GENERAL"
