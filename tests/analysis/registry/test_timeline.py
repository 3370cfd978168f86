"""The timeline shows what asks for somebody first, never leaves the chosen one out, and draws what it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analysis.drawing import BETTER
from analysis.pages.views.registry import Book
from analysis.registry import charts
from analysis.registry.course import Course
from analysis.registry.timeline import LIMIT, Timeline, in_order, timeline
from tests.analysis.registry.conftest import NOW, values
from tests.helpers import registry_shop as shop


def drawn(book: Book, chosen: str = shop.RAMPED) -> Timeline:
    return timeline(book.courses, book.ground.holdouts, NOW, chosen=chosen, every=False)


def many(book: Book, count: int) -> tuple[Course, ...]:
    one = book.course(shop.OLD)
    known = one.registered
    return tuple(replace(one, registered=replace(known, key=f"old_{n:02}")) for n in range(count))


def test_what_runs_stands_first_and_what_ended_last(book: Book) -> None:
    assert [each.key for each in in_order(book.courses, NOW)] == [
        shop.OVER, shop.ELSEWHERE, shop.PHASES, shop.RAMPED, shop.KILLED, shop.LATER, shop.DRAFT, shop.OLD,
    ]  # fmt: skip
    assert [line.state for line in drawn(book).lines] == [
        "■ Run over, not decided", "▶ Running", "▶ Running, phase 5", "▶ Running", "✕ Killed", "○ Scheduled",
        "○ Draft", "– Archived: roll back", "◇ Holdout, 5%",
    ]  # fmt: skip


@pytest.mark.parametrize("every", [False, True])
def test_many_experiments_are_drawn_only_where_all_are_asked_for(book: Book, every: bool) -> None:
    crowd = (*book.courses, *many(book, 50))
    found = timeline(crowd, {}, NOW, chosen="old_49", every=every)
    keys = [line.key for line in found.lines]
    assert "old_49" in keys
    assert [line.key for line in found.lines if line.chosen] == ["old_49"]
    assert (len(keys), found.left_out) == ((58, 0) if every else (LIMIT + 1, 58 - LIMIT - 1))


def test_old_ones_alone_are_shown_rather_than_nothing(book: Book) -> None:
    later = NOW + timedelta(days=400)
    found = timeline(many(book, 3), {}, later, chosen="old_00", every=False)
    assert len(found.lines) == 3


def test_a_plan_far_away_does_not_flatten_what_has_happened(book: Book) -> None:
    far = book.course(shop.LATER)
    schedule = far.experiment.schedule.model_copy(update={"end_at": datetime(2099, 1, 1, tzinfo=UTC)})
    moved = replace(far.registered, experiment=far.experiment.model_copy(update={"schedule": schedule}))
    found = timeline((replace(far, registered=moved),), {}, NOW, chosen=far.key, every=False)
    assert found.begin < NOW < found.end < NOW + timedelta(days=100)


def test_bars_are_as_tall_as_their_traffic_and_never_told_by_colour_alone(book: Book) -> None:
    bars, glyphs, numbers = values(charts.timeline(drawn(book)))[3:6]
    ramped = [bar for bar in bars if bar["name"] == "Homepage ALS v3"]
    heights = [float(str(bar["bottom"])) - float(str(bar["top"])) for bar in ramped if bar["fill"] == BETTER]
    assert heights == sorted(heights)
    assert heights[0] < heights[-1]
    assert [bar["told"] for bar in ramped][2:4] == ["phase 1, 20% traffic", "paused, phase 1"]
    assert {each["text"] for each in glyphs} == {"‖", "✕"}
    assert [each["text"] for each in numbers] == ["2", "3", "4", "5"]


def test_the_chart_says_in_words_what_it_shows(book: Book) -> None:
    told = charts.timeline(drawn(book)).to_dict()["description"]
    assert "Homepage ALS v3: ▶ Running, ran 1 December 2026 to 16 December 2026" in told
    assert "home_old: – Archived: roll back, ran 1 October 2026 to 21 October 2026" in told
    assert "cart_next: ○ Scheduled, planned from 20 December 2026" in told
