"""What holds of the lifecycle whatever happens: losses, gaps, faults and people in any order. ALERTS 5.

A script is drawn, played, and every step recorded; the rules are then recounted from the record alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Literal, TypeAlias, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.alerts.course.acts import Act, Matcher
from analysis.alerts.course.lifecycle import Standing, from_json, step, to_json
from analysis.alerts.model import SEVERITIES, Cell, Evaluation, Incident, Notice, Resolution
from tests.helpers.effort import scaled
from tests.helpers.losses import EXPERIMENT, FORECAST, HOME, LAUNCH, START, at, blind, clean, loss

PLACES = [(HOME, LAUNCH), (Cell("homepage", "rugs"), LAUNCH), (Cell(), FORECAST), (Cell("pdp"), FORECAST),
          (Cell("pdp"), EXPERIMENT)]  # fmt: skip
Found = Literal["none", "blind", "clean", "watch", "ticket", "page", "page_fast", "held", "held_clean"]
Did = Literal["ack", "silence", "silence_module", "unsilence", "resolve"]
LASTING: tuple[Found, ...] = ("page", "page", "ticket", "clean")  # drawn more often
Turn: TypeAlias = tuple[float, list[Found], float, list[tuple[Did, int, float]]]

turns = st.tuples(
    st.sampled_from([0.25, 1.0, 6.0, 6.0, 24.0, 48.0]),
    st.lists(st.sampled_from((*get_args(Found), *LASTING)), min_size=len(PLACES), max_size=len(PLACES)),
    st.sampled_from([100.0, 1000.0, 2500.0]),
    st.lists(st.tuples(st.sampled_from(get_args(Did)), st.integers(0, 5), st.sampled_from([7.0, 30.0])), max_size=2),
)
calm = st.tuples(  # long stretches of the same, without which nothing is ever repeated or resolved
    turns, st.integers(1, 5)
).map(lambda drawn: [(drawn[0][0], drawn[0][1], drawn[0][2], drawn[0][3] if i == 0 else []) for i in range(drawn[1])])
scripts = st.lists(calm, min_size=1, max_size=8).map(lambda parts: [turn for part in parts for turn in part])
often = settings(
    max_examples=scaled(40, 400), deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@dataclass(frozen=True)
class Step:
    """One step as it was played."""

    before: Standing
    at: datetime
    found: tuple[Evaluation, ...]
    acts: tuple[Act, ...]
    windows: Mapping[str, str]
    after: Standing
    notices: tuple[Notice, ...]

    def again(self, standing: Standing) -> tuple[Standing, tuple[Notice, ...]]:
        return step(standing, self.at, self.found, self.acts, windows=self.windows)


def played(script: Sequence[Turn]) -> list[Step]:
    """The script from an empty standing."""
    standing, now, steps = Standing(), START, list[Step]()
    for number, (hours, kinds, money, did) in enumerate(script):
        now += timedelta(hours=hours)
        found = tuple(at(one, now) for one in _found(kinds, money))
        acts = tuple(_acts(standing, now, did))
        windows = {"homepage": f"launch {number // 12}"}
        after, notices = step(standing, now, found, acts, windows=windows)
        steps.append(Step(standing, now, found, acts, windows, after, notices))
        standing = after
    return steps


def _found(kinds: Sequence[Found], money: float) -> Iterator[Evaluation]:
    for kind, (cell, comparison) in zip(kinds, PLACES, strict=True):
        if kind == "blind":
            yield blind(cell=cell, comparison=comparison)
        elif kind == "clean":
            yield clean(cell=cell, comparison=comparison)
        elif kind == "held_clean":
            yield clean(cell=cell, comparison=comparison, held_by=["SH-02"])
        elif kind == "held":
            yield loss("page", money, cell=cell, comparison=comparison, held_by=["SH-02"])
        elif kind != "none":
            yield loss(kind, money, cell=cell, comparison=comparison)


def _acts(standing: Standing, now: datetime, did: Sequence[tuple[Did, int, float]]) -> Iterator[Act]:
    for kind, which, hours in did:
        known = sorted(standing.cases)
        key = known[which % len(known)] if known else "unknown"
        ends = now + timedelta(hours=hours)
        if kind == "silence":
            yield Act("silence", "mara", now, "x", key, expires_at=ends)
        elif kind == "silence_module":
            yield Act("silence", "mara", now, "x", matcher=Matcher("homepage", at_most="ticket"), expires_at=ends)
        elif kind == "resolve":
            yield Act("resolve", "mara", now, "x", key, code=get_args(Resolution)[which % 4])
        else:
            yield Act(kind, "mara", now, "x", key)


def incidents(standing: Standing) -> dict[str, Incident]:
    return {key: case.incident for key, case in standing.cases.items()}


def word(notice: Notice) -> str:
    return notice.transition.split(":")[0]


def rank(incident: Incident) -> int:
    return SEVERITIES.index(incident.severity)


def test_the_scripts_reach_every_kind_of_transition() -> None:
    reached: set[str] = set()

    @settings(often, max_examples=scaled(120, 400))
    @given(scripts)
    def look(script: list[Turn]) -> None:
        reached.update(word(notice) for done in played(script) for notice in done.notices)

    look()
    assert reached == {"open", "reopen", "worse", "doubled", "still", "repeat", "resolved", "data"}


# --- what is told -------------------------------------------------------------------------------------------------


@often
@given(scripts)
def test_transitions_are_numbered_from_one_without_gaps(script: list[Turn]) -> None:
    numbers = defaultdict(list)
    for done in played(script):
        for notice in done.notices:
            numbers[notice.incident.incident_id].append(int(notice.transition.split(":")[-1]))
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())


@often
@given(scripts)
def test_no_notice_without_a_transition(script: list[Turn]) -> None:
    """What each notice says did happen since the notice before, recounted without the lifecycle's own memory."""
    known: dict[str, Incident] = {}  # as it was last told, or as it was milder since
    told_at: dict[str, datetime] = {}
    for done in played(script):
        before, after = incidents(done.before), incidents(done.after)
        ended = {act.incident_id for act in done.acts if act.kind == "resolve"}
        for notice in done.notices:
            one, key = notice.incident, notice.incident.incident_id
            last = known.get(key)
            assert one == after[key]
            match word(notice):
                case "open" | "reopen" | "data":
                    assert last is None or last.state == "resolved" or key in ended
                    assert one.state != "acked" or rank(one) <= rank(before[key])
                case "worse":
                    assert last is not None
                    assert rank(one) > rank(last)
                case "doubled":
                    assert before[key].acked_by or any(act.kind == "ack" for act in done.acts)
                    assert not one.acked_by
                case "repeat":
                    wait = timedelta(hours=24 * 7 if one.severity == "ticket" else 24)
                    assert done.at - told_at[key] >= wait
                    assert one.state == "open"
                case "resolved":
                    assert last is not None
                    assert (before[key].state != "resolved", one.state) == (True, "resolved")
                case "still":
                    assert last is not None
                    assert one.silenced_until is None
                case other:
                    raise AssertionError(other)
            known[key], told_at[key] = one, done.at
        for key, one in after.items():
            last = known.get(key)
            if last is not None and last.state != "resolved" and (one.state == "resolved" or rank(one) < rank(last)):
                known[key] = one


@often
@given(scripts)
def test_a_notice_says_the_severity_of_its_incident(script: list[Turn]) -> None:
    for done in played(script):
        for notice in done.notices:
            parts = notice.transition.split(":")
            assert len(parts) == (2 if parts[0] in ("repeat", "resolved", "data") else 3)
            assert parts[1:-1] in ([], [notice.incident.severity])
            assert notice.at == done.at


@often
@given(scripts)
def test_what_is_muted_or_mild_is_never_told(script: list[Turn]) -> None:
    for done in played(script):
        for notice in done.notices:
            one = notice.incident
            if one.state != "resolved":
                assert one.severity not in ("digest", "watch")
                assert (one.held, one.silenced_until, one.inhibited_by) == (False, None, "")


@often
@given(scripts)
def test_an_ack_stops_repeats_until_it_gets_worse(script: list[Turn]) -> None:
    acked: dict[str, float] = {}  # the money when it was acknowledged
    graver: dict[str, int] = {}  # and the severity
    for done in played(script):
        before, after = incidents(done.before), incidents(done.after)
        for act in done.acts:
            one = before.get(act.incident_id)
            if act.kind == "ack" and one is not None and one.state in ("open", "acked", "resolving"):
                acked[act.incident_id], graver[act.incident_id] = one.expected, rank(one)
        for act in done.acts:
            if act.kind == "resolve":
                acked.pop(act.incident_id, None)
        for notice in done.notices:
            key = notice.incident.incident_id
            assert not (word(notice) == "repeat" and key in acked)
            if word(notice) == "doubled":
                assert notice.incident.expected >= 2 * acked[key] > 0
            if word(notice) in ("worse", "doubled") or rank(notice.incident) > graver.get(key, 9):
                acked.pop(key, None)
        acked = {key: money for key, money in acked.items() if key in after and after[key].state != "resolved"}
        assert set(acked) == {key for key, one in after.items() if one.acked_by}


@often
@given(scripts)
def test_a_silence_ends_and_what_is_still_open_is_told_then(script: list[Turn]) -> None:
    for done in played(script):
        assert all(act.expires_at is not None and act.expires_at > done.at for act in done.after.silences)
        before, told = incidents(done.before), {notice.incident.incident_id for notice in done.notices}
        for key, one in incidents(done.after).items():
            if one.state == "resolved":
                continue
            assert one.silenced_until is None or one.silenced_until > done.at
            ended = key in before and before[key].silenced_until is not None and one.silenced_until is None
            loud = one.state in ("open", "acked", "resolving") and not one.held and not one.inhibited_by
            if ended and loud and one.severity not in ("watch", "digest"):
                assert key in told


# --- what resolves ------------------------------------------------------------------------------------------------


@often
@given(scripts)
def test_only_three_clean_buckets_of_six_hours_or_a_person_resolve(script: list[Turn]) -> None:
    """So no data never does, nor a fault of the signals, nor a bucket that is read three times."""
    history: dict[str, dict[int, bool]] = defaultdict(dict)  # of each fingerprint and bucket: whether all was clean
    for done in played(script):
        for one in done.found:
            if one.no_data or (one.held_by and one.severity == "digest"):
                continue
            mine, bucket = history[one.unit.fingerprint], (one.unit.at - START) // timedelta(hours=6)
            mine[bucket] = mine.get(bucket, True) and one.severity == "digest"
        before = incidents(done.before)
        by_hand = {act.incident_id for act in done.acts if act.kind == "resolve"}
        for key, now in incidents(done.after).items():
            if now.state != "resolved" or before[key].state == "resolved" or key in by_hand or now.family == "data":
                continue
            tracks = [track for track in done.before.tracks.values() if track.incident_id == key and track.is_confirmed]
            over = {track.evaluation.unit.fingerprint for track in tracks}
            assert over
            assert all(list(history[fingerprint].values())[-3:] == [True] * 3 for fingerprint in over)
            assert over <= {one.fingerprint for one in done.after.resets}


@often
@given(scripts, st.lists(st.sampled_from([0.25, 6.0, 48.0]), min_size=1, max_size=8))
def test_no_data_never_resolves(script: list[Turn], hours: list[float]) -> None:
    last = played(script)[-1]
    standing, now = last.after, last.at
    stood = {key for key, one in incidents(standing).items() if one.state in ("open", "acked", "resolving")}
    for wait in hours:
        now += timedelta(hours=wait)
        nothing = [at(blind(cell=cell, comparison=comparison), now) for cell, comparison in PLACES]
        standing, _ = step(standing, now, nothing, [], windows={})
    assert stood == {key for key, one in incidents(standing).items() if one.state in ("open", "acked", "resolving")}


@often
@given(scripts)
def test_what_is_lost_only_grows_and_money_is_counted_once(script: list[Turn]) -> None:
    lost: dict[str, float] = defaultdict(float)
    for done in played(script):
        for key, one in incidents(done.after).items():
            assert one.lost_so_far >= lost[key]
            lost[key] = one.lost_so_far
            losses = sum(max(0.0, member.now.expected) for member in one.members if member.now)
            assert one.expected <= losses + 1e-9
            assert one.family == "money" or one.expected == one.lost_so_far == 0.0


# --- a pure function ----------------------------------------------------------------------------------------------


@often
@given(scripts, st.randoms(use_true_random=False))
def test_the_same_input_gives_the_same_output_in_any_order(script: list[Turn], random: Random) -> None:
    for done in played(script):
        written = to_json(done.before)
        mixed = random.sample(done.found, len(done.found)), random.sample(done.acts, len(done.acts))
        shuffled = replace(done, found=tuple(mixed[0]), acts=tuple(mixed[1]))
        for again in (done.again(done.before), done.again(from_json(written)), shuffled.again(done.before)):
            assert again == (done.after, done.notices)
            assert to_json(again[0]) == to_json(done.after)
        assert to_json(done.before) == written


@often
@given(scripts, st.integers(0, 40))
def test_a_replay_of_any_prefix_gives_the_same_standing(script: list[Turn], cut: int) -> None:
    steps = played(script)
    first = steps[: cut % len(steps) + 1]
    standing = Standing()
    for done in first:
        standing, notices = done.again(standing)
        assert notices == done.notices
    assert to_json(standing) == to_json(first[-1].after)
    for done in first[::-1] + first:  # and once more over what stands
        standing, notices = done.again(standing)
        assert notices == ()
    assert to_json(standing) == to_json(first[-1].after)


@often
@given(scripts, turns, st.sampled_from([0.0, 0.1, 6.0, 500.0]))
def test_what_is_older_than_the_standing_changes_nothing(script: list[Turn], late: Turn, hours: float) -> None:
    steps = played(script)
    standing = steps[-1].after
    if standing.at is None:
        return
    when = standing.at - timedelta(hours=hours)
    found = [at(one, when) for one in _found(late[1], late[2])]
    assert step(standing, when, found, steps[-1].acts, windows={}) == (standing, ())
