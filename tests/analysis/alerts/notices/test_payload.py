"""`alert.v1`: every document is of the schema, its file is the generated one, its text says only what it carries."""

import json
import math
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from analysis.alerts.model import SEVERITIES, Cell, Cost, Effect, Notice, Severity
from analysis.alerts.notices.document import Alert
from analysis.alerts.notices.payload import alert_v1, text
from analysis.alerts.notices.schema import FILE, schema
from analysis.alerts.notices.schema import text as schema_text
from analysis.words.alerts import EXPERIMENT_OVER
from tests.helpers.incidents import AT, ENOUGH, EVERYBODY, TRIAL, evaluation, incident, notice

VALIDATOR = Draft202012Validator(schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)
NAMES = {"homepage": "Homepage", "rugs": "Rugs & mats", "SH-02": "Missing add-to-cart"}
PUBLISHED = AT + timedelta(minutes=3)
LINKS = {"inbox": "https://shop.example/alerts?incident=5d1f00aa12345678"}


def made(given: Notice | None = None, *, currency: str = "EUR", digits: int = 2) -> dict[str, Any]:
    told = notice() if given is None else given
    return alert_v1(told, names=NAMES, currency=currency, digits=digits, links=LINKS, snapshot=PUBLISHED)


def examples() -> dict[str, Notice]:
    held = evaluation(Cell("homepage"), held_by=("SH-02", "SH-13"), severity="ticket")
    blind = replace(evaluation(Cell("pdp", "rugs", "mobile"), comparison=EVERYBODY), now=None, no_data=True, effects={})
    unmeasured = replace(held, held_by=(), effects={"6h": Effect("order", 6.0, math.nan, math.inf)}, severity="digest")
    certain = replace(held, evidence=replace(held.evidence, value=math.inf), held_by=())
    site = incident(module="", members=(evaluation(Cell(), comparison=EVERYBODY),), severity="ticket")
    return {
        "page": notice(),
        "missed": notice(missed_runs=3),
        "resolved": notice(incident(state="resolved", members=(), expected=0.0, at_least=0.0), "resolved:4"),
        "found": notice(incident(state="resolved", members=(), expected=0.0, resolution="data_issue"), "resolved:4"),
        "held": notice(incident(members=(held,), held=True), "held:3"),
        "data": notice(incident(members=(held,), family="data"), "data:5"),
        "blind": notice(incident(members=(blind,))),
        "dark": notice(incident(members=(evaluation(Cell("homepage"), at=AT - timedelta(hours=12)),))),
        "unmeasured": notice(incident(members=(unmeasured,), window="none", hints=())),
        "certain": notice(incident(members=(certain,))),
        "site": notice(site),
        "pending": notice(incident(opened_at=None, state="pending", silenced_until=AT, acked_by="ann@shop.example")),
        "inhibited": notice(incident(inhibited_by="not the recommender", silenced_by="ann@shop.example")),
        "many": notice(incident(members=tuple(evaluation(Cell("homepage", f"c{at}")) for at in range(12)))),
    }


def test_the_file_is_the_generated_one() -> None:
    assert FILE.read_text(encoding="utf-8") == schema_text(), "run `python -m analysis.alerts.notices.schema`"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("name", examples())
def test_every_document_is_of_the_schema_and_its_text_is_rendered_from_it(name: str) -> None:
    document = made(examples()[name])
    as_sent = json.loads(json.dumps(document, allow_nan=False))
    VALIDATOR.validate(as_sent)
    assert text(as_sent) == document["text"]
    assert Alert.model_validate_json(json.dumps(as_sent)).model_dump(mode="json") == document


@pytest.mark.parametrize("name", examples())
def test_no_person_and_no_unit_is_named(name: str) -> None:
    sent = json.dumps(made(examples()[name]))
    assert "ann@" not in sent
    assert not re.search(r"user_id|unit_id|visitor", sent)


def test_the_text_says_what_a_reader_needs() -> None:
    said = made(notice(missed_runs=3))["text"]
    assert said.splitlines()[0] == "Homepage is losing about €48k a day (at least €17k)"
    for part in (
        "New (page: to look at now), open since 14 December 2026, 01:00 UTC.",
        "Lost so far: about €12k.",
        "“About” is what to expect, “at least” is 95% sure; amounts are margin (what is kept of sales), not revenue.",
        "Decor on homepage: everybody against holdout global_h2",
        "  Orders were 2.1% lower over 6 hours, give or take 1.6%",
        "  About €34k a day (at least €17k), of €2.5M a day that flows through here",
        "Rugs & mats on homepage: als_v2 against control in experiment home_als_v2",
        "  Orders were 2.10% lower over 3 days, give or take 0.59%",
        "  Now only the sessions in als_v2 lose; shipped to everybody it would lose about €14k a day.",
        "Hint: Deployed 3 hours before: home_als_v2",
        "3 runs were missed before this one.",
        "Inbox: https://shop.example/alerts?incident=5d1f00aa12345678",
        "Incident 5d1f00aa12345678, notice open:page:1, measures of 2026-12-14T06:03:00Z",
    ):
        assert part in said, said


def test_the_text_reads_nothing_but_the_document() -> None:
    document = made()
    document["money"]["lost_so_far_minor"] = 99_000_00
    document["title"] = "Something else"
    document["cells"] = document["cells"][:1]
    said = text(document)
    assert said.startswith("Something else\n")
    assert "about €99k" in said
    assert "Rugs" not in said


def test_only_the_first_five_cells_are_told_and_the_others_counted() -> None:
    document = made(examples()["many"])
    assert len(document["cells"]) == 12
    assert "C4 on homepage" in document["text"]
    assert "C5 on homepage" not in document["text"]
    assert "And 7 more places with less at stake." in document["text"]


def test_windows_are_those_of_the_severity() -> None:
    def of(severity: Severity) -> dict[str, str | None]:
        cell = evaluation(Cell("homepage"), severity=severity)
        found: dict[str, str | None] = made(notice(incident(members=(cell,))))["cells"][0]["windows"]
        return found

    assert of("page_fast") == {"long": "1h", "short": "15m"}
    assert of("page") == {"long": "6h", "short": "1h"}
    assert of("ticket") == {"long": "3d", "short": "6h"}
    assert of("watch") == {"long": "7d", "short": "1d"}
    assert of("digest") == {"long": None, "short": None}


def test_money_is_whole_minor_units_and_printed_by_its_digits() -> None:
    assert made()["money"] == {
        "currency": "EUR", "digits": 2, "expected_minor_a_day": 4_812_300, "at_least_minor_a_day": 1_720_000,
        "lost_so_far_minor": 1_234_567,
    }  # fmt: skip
    assert made(currency="JPY", digits=0)["title"] == "Homepage is losing about ¥4.8M a day (at least ¥1.7M)"
    assert made(currency="KWD", digits=3)["title"].startswith("Homepage is losing about KWD 4,800 a day")


def test_a_loss_that_may_be_none_has_no_least() -> None:
    told = incident(at_least=0.0)
    assert made(notice(told))["title"] == "Homepage is losing about €48k a day"


def test_what_is_not_a_number_is_null_and_an_endless_e_value_the_largest_float() -> None:
    cell = made(examples()["unmeasured"])["cells"][0]
    assert cell["effect"]["6h"] == {"metric": "order", "hours": 6.0, "relative": None, "se": None}
    assert made(examples()["certain"])["cells"][0]["evidence"]["value"] == 1.7976931348623157e308
    blind = made(examples()["blind"])["cells"][0]
    assert blind["money"]["expected_minor_a_day"] is None
    assert blind["health"] == {"held_by": [], "no_data": True}
    assert "No data in the window: that is not the same as no loss." in made(examples()["blind"])["text"]


@pytest.mark.parametrize("name", ["held", "data"])
def test_what_a_failing_check_holds_is_absent_not_warned_of(name: str) -> None:
    document = made(examples()[name])
    [cell] = document["cells"]
    assert cell["health"]["held_by"] == [
        {"id": "SH-02", "name": "Missing add-to-cart"}, {"id": "SH-13", "name": "SH-13"},
    ]  # fmt: skip
    assert cell["effect"] == {}
    assert (cell["evidence"]["value"], cell["evidence"]["met"]) == (None, False)
    assert [value for key, value in cell["money"].items() if key != "stake_minor_a_day"] == [None] * 5
    assert "Signal checks that fail here: Missing add-to-cart and SH-13" in document["text"]
    assert "%" not in document["text"]
    if name == "held":
        assert document["money"]["expected_minor_a_day"] is None
        assert document["title"] == "Homepage: a loss that is not believed while a signal check fails"


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf])
def test_a_sum_that_is_none_is_refused(amount: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        made(notice(incident(expected=amount, members=())))


def test_numbers_that_are_not_of_now_are_said_to_be_of_then() -> None:
    document = made(examples()["dark"])
    [cell] = document["cells"]
    assert cell["health"] == {"held_by": [], "no_data": True}
    assert (cell["at"], cell["money"]["expected_minor_a_day"]) == ("2026-12-13T18:00:00Z", 4_812_300)
    since = "No data since 13 December 2026, 18:00 UTC: that is how it stood then, and whether it goes on is not known."
    assert since in document["text"]
    assert [each["health"]["no_data"] for each in made()["cells"]] == [False, False]


ENDED = "Its experiment ended 2026-12-14 00:00 UTC: nobody meets the arm because of it any more."


def over(at: datetime, **more: object) -> dict[str, Any]:
    """The notice of an incident that is over, as its one cell was read at `at`."""
    cell = replace(evaluation(Cell("homepage"), comparison=TRIAL, at=at), **more)  # type: ignore[arg-type]
    hints = ("It is lost in home_als_v2: stopping the experiment ends it.",)
    return made(
        notice(incident(state="resolved", members=(cell,), expected=0.0, window="none", hints=hints), "resolved:4")
    )


def test_what_is_over_with_its_experiment_says_so_and_nothing_of_missing_data() -> None:
    gone = replace(ENOUGH, waits_for=EXPERIMENT_OVER)
    nothing = Cost(0.0, 0.0, 0.0, 0.0)
    document = over(
        AT - timedelta(hours=6), severity="digest", now=nothing, if_shipped=0.0, why_not=ENDED, evidence=gone
    )
    [cell] = document["cells"]
    assert cell["health"]["no_data"] is False
    assert cell["over_because"] == ENDED
    assert ENDED in document["text"]
    assert document["hints"] == []
    assert document["title"] == "Homepage: over, after a loss of about €12k"
    for wrong in ("No data", "not known", "Hint", "stopping the experiment", "Now only", "Nothing now"):
        assert wrong not in document["text"], document["text"]


def test_what_is_over_is_told_in_the_past() -> None:
    said = over(AT - timedelta(hours=6))["text"]
    assert "Read last at data to 14 December 2026, 00:00 UTC" in said
    assert "Lost about €48k a day (at least €17k), of €2.5M a day that flowed through here" in said
    assert "Only the sessions in als_v2 lost; shipped to everybody it would have lost about €48k a day." in said
    assert over(AT - timedelta(hours=6))["cells"][0]["over_because"] == ""


def test_what_was_over_by_word_of_a_person_while_there_were_no_data_is_not_known_to_be() -> None:
    document = over(AT - timedelta(hours=12))
    assert document["cells"][0]["health"]["no_data"] is True
    assert "No data since 13 December 2026, 18:00 UTC" in document["text"]


def test_the_last_change_is_a_hint_also_of_what_is_over() -> None:
    document = made(notice(incident(state="resolved", expected=0.0), "resolved:4"))
    assert document["hints"] == ["The last change there: home_als_v2, launched 1 December 2026."]


def test_a_data_alert_says_nothing_of_money() -> None:
    document = made(examples()["data"])
    amounts = [value for key, value in document["money"].items() if key not in ("currency", "digits")]
    assert amounts == [None] * 3
    assert "€" not in document["text"]
    assert made(examples()["held"])["money"]["lost_so_far_minor"] == 1_234_567  # before it was held


def test_unknown_keys_and_persons_are_refused_by_the_schema() -> None:
    document = made()
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**document, "unit_id": "u1"})
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**document, "incident": {**document["incident"], "acked_by": "ann"}})
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**document, "schema_version": "alert.v2"})


@given(
    severity=st.sampled_from(SEVERITIES),
    expected=st.floats(-1e12, 1e12),
    least=st.floats(0, 1e12),
    digits=st.integers(0, 4),
    relative=st.floats(-1, 50) | st.just(math.nan),
    event=st.sampled_from(["open:page:1", "worse:page_fast:2", "repeat:3", "resolved:4", "data:5", "other:6"]),
    metric=st.sampled_from(["click", "add_to_cart", "order", "revenue"]),
)
def test_any_notice_makes_a_document_of_the_schema(
    severity: Severity, expected: float, least: float, digits: int, relative: float, event: str, metric: Any
) -> None:
    cell = evaluation(
        Cell("homepage"), severity=severity, expected=expected, at_least=least, relative=relative, metric=metric,
        comparison=TRIAL,
    )  # fmt: skip
    about = incident(severity=severity, expected=expected, at_least=least, members=(cell,))
    document = json.loads(json.dumps(made(Notice(about, event, AT), digits=digits), allow_nan=False))
    VALIDATOR.validate(document)
    assert text(document) == document["text"]
    assert "nan" not in document["text"]
