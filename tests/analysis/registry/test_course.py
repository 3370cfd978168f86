"""A course is cut where something changed, and ends where its schedule does, whoever noted it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from analysis.pages.views import registry as view
from analysis.pages.views.registry import Book
from analysis.registry.course import Course, segments, waits
from experiments import lifecycle
from tests.analysis.registry.conftest import NOW
from tests.helpers import registry_shop as shop
from tests.helpers.assigned_shop import BEGIN, FLAT, KEY, Desk


def cut(course: Course, now: datetime = NOW) -> list[tuple[str, int, float, float, int]]:
    """Kind, phase, hours from the first start to begin and end, traffic."""
    zero = course.begin
    return [
        (each.kind, each.phase, (each.begin - zero) / timedelta(hours=1), (each.end - zero) / timedelta(hours=1),
         each.traffic_bp)
        for each in segments(course, now)
    ]  # fmt: skip


def test_traffic_and_a_pause_cut_a_phase(book: Book) -> None:
    assert cut(book.course(shop.RAMPED)) == [
        ("running", 1, 0, 1, 0),
        ("running", 1, 1, 48, 100),
        ("running", 1, 48, 100, 2000),
        ("paused", 1, 100, 150, 2000),
        ("running", 1, 150, 360, 2000),
    ]


def test_a_kill_lasts_until_it_is_lifted_or_a_phase_begins(desk: Desk) -> None:
    desk.begin(FLAT)
    lifecycle.kill(desk.store, KEY, actor="ann", reason="", now=desk.now(2))
    [course] = view.read(desk.store).courses
    assert course.condition(desk.now(3)) == "killed"
    assert [each[0] for each in cut(course, desk.now(3))] == ["running", "killed"]
    lifecycle.resume(desk.store, KEY, actor="ann", reason="", now=desk.now(4))
    [course] = view.read(desk.store).courses
    assert cut(course, desk.now(5)) == [
        ("running", 1, 0, 2, 2500), ("killed", 1, 2, 4, 2500), ("running", 1, 4, 5, 2500),
    ]  # fmt: skip


def test_phases_follow_one_another_without_a_gap(book: Book) -> None:
    found = segments(book.course(shop.PHASES), NOW)
    assert [each.phase for each in found] == [1, 2, 3, 4, 5]
    assert all(one.end == next_.begin for one, next_ in pairwise(found))
    assert found[-1].end == NOW


def test_how_each_stands(book: Book) -> None:
    assert {each.key: each.condition(NOW) for each in book.courses} == {
        shop.RAMPED: "running",
        shop.PHASES: "running",
        shop.ELSEWHERE: "running",
        shop.KILLED: "killed",
        shop.OVER: "over",
        shop.LATER: "scheduled",
        shop.DRAFT: "draft",
        shop.OLD: "archived",
    }


def test_a_run_is_over_when_its_schedule_is(book: Book) -> None:
    over = book.course(shop.OVER)
    assert segments(over, NOW)[-1].end == datetime(2026, 12, 5, tzinfo=UTC)
    assert over.closed_at is None  # nobody has said so
    assert over.condition(datetime(2026, 12, 4, tzinfo=UTC)) == "running"
    assert over.condition(datetime(2026, 10, 31, tzinfo=UTC)) == "waiting"


def test_what_began_before_it_was_registered_never_waited(book: Book) -> None:
    assert waits(book.course(shop.ELSEWHERE), NOW) is None
    draft = book.course(shop.DRAFT)
    assert waits(draft, NOW) == (draft.registered.registered_at, NOW)


def test_an_undecided_stop_waits_for_a_decision(desk: Desk) -> None:
    desk.begin(FLAT)
    lifecycle.stop(desk.store, KEY, None, actor="ann", reason="its schedule ended", now=desk.now(9))
    [course] = view.read(desk.store).courses
    assert (course.condition(NOW), course.closed_at) == ("undecided", desk.now(9))
    lifecycle.stop(desk.store, KEY, "ship", actor="ann", reason="it sells more", now=desk.now(10))
    [course] = view.read(desk.store).courses
    assert course.condition(NOW) == "stopped"


def test_without_any_audit_row_the_phases_still_tell_what_ran(book: Book) -> None:
    known = book.course(shop.RAMPED)
    bare = Course(known.registered, known.phases, ())
    assert {each.kind for each in segments(bare, NOW)} == {"running"}
    assert segments(bare, NOW)[0].begin == BEGIN


@given(st.integers(-1000, 2000))
def test_segments_never_overlap_and_never_reach_beyond_now(book: Book, hours: int) -> None:
    now = BEGIN + timedelta(hours=hours)
    for course in book.courses:
        found = segments(course, now)
        assert all(each.begin < each.end <= now for each in found)
        assert all(one.end <= next_.begin for one, next_ in pairwise(found))
