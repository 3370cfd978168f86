"""What people do: what a matcher matches, and what is refused before it is written down."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analysis.alerts.course.acts import Act, Matcher, refusals
from analysis.alerts.model import Cell, Incident, Severity
from tests.helpers.incidents import TRIAL, evaluation

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
OPEN = Incident("a1", "homepage", "money", "none", "open", "page", NOON, NOON, (), 1.0, 0.0, 0.0)
KNOWN = {"homepage": ("bedding", "decor"), "pdp": ("rugs",), "cart": ()}
SILENCE = Act("silence", "mara", NOON, "sale ends", matcher=Matcher("homepage"), expires_at=NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("matcher", "severity", "matches"),
    [
        (Matcher(), "page_fast", True),
        (Matcher("homepage", "bedding", "order"), "page", True),
        (Matcher("pdp"), "page", False),
        (Matcher(category="decor"), "page", False),
        (Matcher(metric="click"), "page", False),
        (Matcher("homepage", at_most="ticket"), "ticket", True),
        (Matcher("homepage", at_most="ticket"), "page", False),
    ],
)
def test_a_matcher_matches_what_it_names(matcher: Matcher, severity: Severity, matches: bool) -> None:
    assert matcher.matches(Cell("homepage", "bedding", "phone"), "order", severity) is matches


def test_equal_acts_are_one() -> None:
    assert SILENCE.act_id == replace(SILENCE).act_id
    assert SILENCE.act_id != replace(SILENCE, reason="other").act_id


@pytest.mark.parametrize(
    "act",
    [
        SILENCE,
        Act("ack", "mara", NOON, "on it", "a1"),
        Act("unsilence", "mara", NOON, "sale is over", matcher=Matcher("homepage")),
        Act("resolve", "mara", NOON, "rolled back", "a1", code="real_regression"),
    ],
)
def test_a_whole_act_is_not_refused(act: Act) -> None:
    assert refusals(act, [OPEN], [SILENCE], KNOWN) == ()


def test_all_that_is_wrong_is_said_at_once() -> None:
    act = Act("silence", " ", NOON, "", "zz", Matcher(), NOON, "data_issue")
    assert refusals(act, [OPEN]) == (
        "author is empty; say who does it",
        "reason is empty; say why you silence it",
        "incident zz and a matcher are given; give one of them",
        "incident zz is not known; open are: a1",
        "the silence would end 2026-12-01 12:00 UTC and now it is 2026-12-01 12:00 UTC; give a later time",
        "the matcher is empty and would silence everything; name a module, category, metric or severity",
        "code is data_issue, which only a resolve has; leave it out of silence",
    )


@pytest.mark.parametrize(
    ("act", "refused"),
    [
        (replace(SILENCE, matcher=None), "neither an incident nor a matcher is given"),
        (replace(SILENCE, expires_at=None), "the silence has no end; every silence ends"),
        (replace(SILENCE, kind="ack"), "a matcher cannot ack; name the incident"),
        (replace(SILENCE, kind="unsilence"), "expires_at is of a silence; leave it out of unsilence"),
        (Act("resolve", "mara", NOON, "over", "a1"), "code is missing; it is one of real_regression, data_issue"),
    ],
)
def test_an_incomplete_act_is_refused(act: Act, refused: str) -> None:
    assert any(said.startswith(refused) for said in refusals(act, [OPEN]))


def test_what_is_pending_is_not_acknowledged_yet() -> None:
    pending = replace(OPEN, state="pending", opened_at=None)
    assert refusals(Act("ack", "mara", NOON, "on it", "a1"), [pending]) == (
        "incident a1 is pending; nobody is told of it before a second evaluation agrees",
    )
    assert refusals(replace(SILENCE, matcher=None, incident_id="a1"), [pending]) == ()


def test_what_is_over_takes_a_code_only() -> None:
    over = replace(OPEN, state="resolved")
    assert refusals(Act("resolve", "mara", NOON, "was a sale", "a1", code="expected_change"), [over]) == ()
    assert refusals(Act("ack", "mara", NOON, "on it", "a1"), [over]) == (
        "incident a1 is resolved; there is nothing to ack",
    )


@pytest.mark.parametrize(
    ("matcher", "refused"),
    [
        (Matcher("homepgae"), "module homepgae is not known: no layer, definition or measure has it; "
         "nearest: homepage; known: cart, homepage, pdp"),
        (Matcher("homepage", "decro"), "category decro is not known: none was measured on homepage; "
         "nearest: decor; known: bedding, decor"),
        (Matcher("pdp", "decor"), "category decor is not known: none was measured on pdp; known: rugs"),
        (Matcher(category="rgus"), "category rgus is not known: none was measured; nearest: rugs; "
         "known: bedding, decor, rugs"),
        (Matcher("cart", "decor"), "category decor is not known: none was measured on cart; known: none yet"),
    ],
)  # fmt: skip
def test_a_place_that_is_not_there_is_not_silenced(matcher: Matcher, refused: str) -> None:
    assert refusals(replace(SILENCE, matcher=matcher), [OPEN], (), KNOWN) == (refused,)
    assert refusals(replace(SILENCE, matcher=matcher), [OPEN]) == ()  # where nobody knows which there are


@pytest.mark.parametrize("matcher", [Matcher("cart"), Matcher(category="rugs"), Matcher(metric="click")])
def test_a_place_that_is_there_is_silenced(matcher: Matcher) -> None:
    assert refusals(replace(SILENCE, matcher=matcher), [OPEN], (), KNOWN) == ()


@pytest.mark.parametrize(
    ("ends", "refused"),
    [
        (timedelta(days=-1), "the silence would end 2026-11-30 12:00 UTC and now it is 2026-12-01 12:00 UTC; "),
        (timedelta(0), "the silence would end 2026-12-01 12:00 UTC and now it is"),
        (timedelta(days=90, seconds=1), "the silence would end 2027-03-01 12:00 UTC, more than 90 days from now: "),
        (timedelta(days=40_000), "the silence would end 2136-06-07 12:00 UTC, more than 90 days from now: "),
    ],
)
def test_a_silence_ends_later_than_now_and_within_ninety_days(ends: timedelta, refused: str) -> None:
    [said] = refusals(replace(SILENCE, expires_at=NOON + ends), [OPEN])
    assert said.startswith(refused)
    assert refusals(replace(SILENCE, expires_at=NOON + timedelta(days=90)), [OPEN]) == ()


def test_what_is_silenced_for_too_long_may_do_what_is_advised_instead() -> None:
    """The advice is never what would be refused."""
    trial = replace(OPEN, members=(evaluation(Cell("homepage"), comparison=TRIAL),))
    launch = replace(OPEN, members=(evaluation(Cell("homepage")),))
    long = replace(SILENCE, matcher=None, incident_id="a1", expires_at=NOON + timedelta(days=91))
    [of_trial] = refusals(long, [trial])
    assert of_trial.endswith(
        "give an end by 2027-03-01 12:00 UTC, or end it with "
        '`truelift stop home_als_v2 --decision roll_back --reason "…"`'
    )
    [of_launch] = refusals(long, [launch])
    assert of_launch.endswith(
        'or accept what is lost with `truelift alerts resolve a1 --as expected_change --reason "…"`'
    )
    accept = Act("resolve", "mara", NOON, "we knew", "a1", code="expected_change")
    assert refusals(accept, [launch]) == ()
    [of_matcher] = refusals(replace(long, incident_id="", matcher=Matcher("homepage")), [launch])
    assert of_matcher.endswith("give an end by 2027-03-01 12:00 UTC")


def test_only_a_silence_that_runs_can_be_ended() -> None:
    end = Act("unsilence", "mara", NOON, "sale is over", matcher=Matcher("homepage", metric="order"))
    assert refusals(end, [OPEN], [SILENCE]) == (
        "no silence of --module homepage --metric order runs; name one as it was begun: --module homepage",
    )
    by_hand = replace(end, matcher=None, incident_id="a1")
    assert refusals(by_hand, [OPEN], []) == ("no silence of a1 runs; name one as it was begun: none",)
    assert refusals(by_hand, [OPEN], [replace(SILENCE, matcher=None, incident_id="a1")]) == ()


def test_a_loss_of_an_experiment_cannot_be_expected_for_there_is_no_baseline_to_accept() -> None:
    """It would be told again at once: its control goes on standing beside it."""
    accept = Act("resolve", "mara", NOON, "we knew", "a1", code="expected_change")
    trial = replace(OPEN, members=(evaluation(Cell("homepage"), comparison=TRIAL), evaluation(Cell("homepage"))))
    [said] = refusals(accept, [trial])
    assert said == (
        "it is not expected_change: the loss is of experiment home_als_v2, and against its control it would be told "
        'again, there is no baseline to accept; `truelift stop home_als_v2 --decision roll_back --reason "…"`, or '
        "silence the incident until the end, or resolve it as real_regression, data_issue, no_cause_found"
    )
    other = replace(TRIAL, key="cart_als")
    [both] = refusals(accept, [replace(trial, members=(*trial.members, evaluation(Cell("cart"), comparison=other)))])
    assert "of experiments cart_als, home_als_v2, and against their controls" in both
    for key in ("cart_als", "home_als_v2"):
        assert f'`truelift stop {key} --decision roll_back --reason "…"`' in both
    assert refusals(replace(accept, code="real_regression"), [trial]) == ()
    assert refusals(accept, [replace(trial, state="resolved")]) == ()  # what it was, said later, opens nothing
    assert refusals(accept, [replace(OPEN, members=(evaluation(Cell("homepage")),))]) == ()
