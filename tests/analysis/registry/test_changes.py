"""Every audit row is told with what it changed; a row that was tampered with is told as such."""

from dataclasses import replace

from analysis.pages.views import registry as view
from analysis.pages.views.registry import Book
from analysis.registry.changes import Change, Line, changes
from analysis.registry.course import courses
from experiments.store import AuditRow
from experiments.store.chain import breaks
from tests.helpers import registry_shop as shop
from tests.helpers.assigned_shop import Desk


def told(book: Book, key: str) -> dict[str, Change]:
    """The newest change of each title."""
    found = changes(book.course(key), book.rows, book.broken)
    return {each.title: each for each in reversed(found)}


def tampered(book: Book, key: str, action: str, **to: str) -> tuple[Change, tuple[str, ...]]:
    """The change of one row after somebody wrote into it, and what the chain says."""
    row = next(each for each in book.rows if (each.experiment_key, each.action) == (key, action))
    other = replace(row, **to)  # type: ignore[arg-type]
    rows = tuple(other if each is row else each for each in book.rows)
    course = replace(book.course(key), rows=tuple(other if each == row else each for each in book.course(key).rows))
    broken = breaks(rows)
    found = next(each for each in changes(course, rows, broken) if each.number == row.number)
    return found, broken


def test_each_row_is_told_once_the_newest_first(book: Book) -> None:
    for course in book.courses:
        found = changes(course, book.rows, book.broken)
        numbers = [each.number for each in found]
        assert numbers == sorted(numbers, reverse=True)
        assert {row.number for row in course.rows} <= set(numbers)
        assert all(each.actor and each.title for each in found)


def test_who_when_why_and_what_it_was_then(book: Book) -> None:
    paused = told(book, shop.RAMPED)["Paused"]
    assert (paused.actor, paused.at, paused.reason, paused.state) == (
        "bob", "2026-12-05 13:00 UTC", "prices are wrong", "paused",
    )  # fmt: skip
    assert paused.lines == (Line("state", "running", "paused"),)


def test_a_list_tells_what_it_won(book: Book) -> None:
    found = told(book, shop.RAMPED)
    assert found["Forced units changed"].lines == (Line("overrides", "", "unit_id: qa-2, variant: als_v2", "added"),)
    assert found["Registered"].lines == (Line("metrics.secondary", "", "ctr", "added"),)
    assert found["Traffic raised"].note == "To 20%."


def test_a_new_phase_is_compared_with_the_one_before(book: Book) -> None:
    newest = told(book, shop.PHASES)["New phase"]
    assert newest.note == "Phase 5 began, with 2 metrics and 7 slices locked."
    assert Line("variants[1].params.factors", "256", "320") in newest.lines
    assert Line("salt", "home_blend.4", "home_blend.5") in newest.lines


def test_what_was_decided_and_why_is_told(book: Book) -> None:
    stopped = told(book, shop.OLD)["Stopped"]
    assert stopped.reason == "returns rose by 3 %"
    assert Line("decision", "", "roll_back") in stopped.lines


def test_its_layer_and_its_holdout_are_part_of_its_story_and_others_are_not(book: Book) -> None:
    found = told(book, shop.RAMPED)
    assert found["Layer homepage registered"].note == "The first version."
    assert "Holdout global_h2 registered" in found
    assert "Layer cart registered" not in found
    assert "Layer cart registered" in told(book, shop.LATER)


def test_a_token_named_like_an_experiment_is_not_its_change(book: Book) -> None:
    row = book.rows[-1]
    token = AuditRow(row.number + 1, row.at, "ann", "create_token", shop.OLD, "", None, "{}", row.hash, "x")
    found = courses([book.course(shop.OLD).registered], {}, (*book.rows, token))
    assert token not in found[0].rows


def test_a_row_somebody_changed_is_marked(book: Book) -> None:
    found, broken = tampered(book, shop.OLD, "stop", reason="returns fell")
    assert len(broken) == 1
    assert found.broken == broken[0]
    assert "was changed after it was written" in found.broken


def test_a_row_that_is_no_json_any_more_does_not_end_the_page(book: Book) -> None:
    found, broken = tampered(book, shop.OLD, "stop", after="not json {")
    assert broken
    assert (found.lines, found.note) == ((), "What changed cannot be read: this row is not what was written.")
    for nonsense in ("[]", "3", '{"live": 3, "phase": {"number": "x"}}', '{"live": {"traffic": [1]}}'):
        tampered(book, shop.RAMPED, "traffic", after=nonsense)


def test_a_long_value_is_cut(desk: Desk) -> None:
    desk.propose(shop.definition("one", "cart", "[[0, 5000]]", "2026-12-20T00:00:00Z"))
    desk.propose(shop.definition("one", "cart", "[[0, 5000]]", "2026-12-20T00:00:00Z", name="n" * 500))
    book = view.read(desk.store)
    [line] = changes(book.courses[0], book.rows, book.broken)[0].lines
    assert line.field == "name"
    assert len(line.after) == 201
