"""Only other data agree: what is read every hour of one bucket of six hours is read once. ALERTS 5."""

import json
from dataclasses import replace

import pytest

from analysis.alerts.course.lifecycle import from_json, to_json
from analysis.alerts.model import Effect, Evaluation, Severity
from tests.helpers.losses import EXPERIMENT, FORECAST, LAUNCH, Play, clean, loss, opened


def hours_later(found: Evaluation, name: str, relative: float) -> Evaluation:
    """The same, with other data in one window."""
    return replace(found, effects={**found.effects, name: Effect("order", 1.0, relative, 0.01)})


def test_the_same_bucket_does_not_agree_with_itself_however_often_it_is_read() -> None:
    """Against a forecast a ticket rests on whole buckets only."""
    ticket, play = loss("ticket", comparison=FORECAST), Play()
    play.step(ticket)
    assert [play.step(ticket, hours=1) for _ in range(5)] == [()] * 5
    assert play.only.state == "pending"
    assert play.step(ticket, hours=1) == ("open:ticket:1",)  # at twelve: the next bucket


@pytest.mark.parametrize(
    ("severity", "window", "opens"),
    [("page", "1h", True), ("page", "3d", False), ("ticket", "1h", False), ("ticket", "6h", True)],
)
def test_between_two_buckets_an_hour_more_of_what_it_rests_on_agrees(
    severity: Severity, window: str, opens: bool
) -> None:
    play, first = Play(), loss(severity, comparison=EXPERIMENT)
    play.step(first)
    told = play.step(hours_later(first, window, -0.03), hours=1)
    assert told == ((f"open:{severity}:1",) if opens else ())


def test_more_of_the_evidence_is_other_data_too() -> None:
    """A detector is read with what was counted since its last bucket."""
    play, first = Play(), loss("ticket", comparison=LAUNCH)
    play.step(first)
    assert play.step(replace(first, evidence=replace(first.evidence, value=950.0)), hours=1) == ("open:ticket:1",)


def test_a_quarter_of_an_hour_more_is_not_enough() -> None:
    """Three quarters of the hour are those of the reading before."""
    play, first = Play(), loss("page")
    play.step(first)
    told = [play.step(hours_later(first, "1h", -0.03 - n / 100), hours=0.25) for n in range(4)]
    assert told == [(), (), (), ("open:page:1",)]


def test_what_is_gone_in_the_newest_reading_of_the_same_data_does_not_agree() -> None:
    play, first = opened("ticket"), loss("page")
    play.step(first)
    play.step(loss("ticket"), hours=0.25)  # of the same hour, and no page any more
    assert play.step(first) == ()
    assert play.step(first) == ("worse:page:2",)


def test_three_readings_of_one_clean_bucket_are_one() -> None:
    play = opened()
    told = [play.step(hours_later(clean(), "1h", n / 100), hours=1) for n in range(1, 24)]
    assert told[:17] == [()] * 17
    assert told[17:] == [("resolved:2",), *[()] * 5]  # with the third bucket since, not before


def test_a_bucket_is_as_grave_as_the_gravest_that_was_read_of_it() -> None:
    play = opened()
    for hours, found in ((6, clean()), (6, clean()), (5, loss("page")), (1, clean()), (6, clean())):
        assert play.step(found, hours=hours) == ()
    assert play.step(clean(), hours=5) == ()
    assert play.step(clean(), hours=1) == ("resolved:2",)


def test_a_failing_check_is_counted_by_evaluation() -> None:
    """It is a verdict already, and it is not the bucket's."""
    play = Play()
    play.step(loss("page", held_by=["SH-02"]))
    assert play.step(loss("page", held_by=["SH-02"]), hours=1) == ("data:1",)


def test_a_standing_of_before_goes_on() -> None:
    play = opened("page")
    old = json.loads(to_json(play.standing))
    for track in old["tracks"].values():
        del track["ends"], track["read_at"]
        track["recent"] = ["page", "page", "page"]
    play.standing = from_json(json.dumps(old))
    assert play.step(hours_later(loss("page_fast"), "15m", -0.1), hours=1) == ("worse:page_fast:2",)
    assert [play.step(clean()) for _ in range(3)] == [(), (), ("resolved:3",)]
