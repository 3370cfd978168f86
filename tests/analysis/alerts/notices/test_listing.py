"""Where an incident is listed and in which order: nothing that another one tells comes before what is told itself."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from analysis.alerts.model import Cell, Incident, Severity
from analysis.alerts.notices import inbox_text
from analysis.alerts.notices.listing import TABS, ordered, tabs
from analysis.words.alerts import state
from tests.helpers.alert_shop import stands, week
from tests.helpers.incidents import AT, EVERYBODY, evaluation, incident


def one(key: str, module: str = "homepage", severity: Severity = "page", **more: object) -> Incident:
    member = evaluation(Cell(module), severity=severity, comparison=EVERYBODY)
    return incident(key, module=module, severity=severity, members=(member,), **more)  # type: ignore[arg-type]


def test_told_by_itself_by_money_then_held_then_told_elsewhere() -> None:
    found = [
        one("elsewhere", "pdp", expected=90.0, inhibited_by="small"),
        one("held", "cart", expected=80.0, held=True),
        one("small", "email", expected=1.0),
        one("data", "search", family="data", expected=0.0),
        one("large", expected=2.0),
    ]
    assert [each.incident_id for each in ordered(found)] == ["large", "small", "data", "held", "elsewhere"]
    assert set(tabs(found).values()) == {"open"}


def test_a_part_stands_where_its_whole_does() -> None:
    site = one("site", "", "watch")
    by_id, by_site = one("by_id", severity="watch", inhibited_by="site"), one("x", inhibited_by="not the recommender")
    assert tabs([site, by_id, by_site]) == {"site": "watch", "by_id": "watch", "x": "watch"}
    silenced = replace(site, silenced_until=AT)
    assert tabs([silenced, by_id, by_site]) == {"site": "silenced", "by_id": "silenced", "x": "silenced"}
    opened = replace(site, severity="ticket")
    assert tabs([opened, by_id, by_site]) == {"site": "open", "by_id": "open", "x": "open"}
    assert tabs([by_id, by_site]) == {"by_id": "watch", "x": "open"}  # the whole is gone: by its own weight


def test_what_is_lost_together_is_what_somebody_should_look_at() -> None:
    """As the inbox's headline says it: neither what is silenced nor what is watched."""
    incidents, _, silences = week()
    lines = inbox_text.listed(stands(incidents, silences), inbox_text.Print("EUR", 2, {}), every=False)
    assert lines[0] == "Losing about €48k a day (at least €17k) together."
    assert [line.split()[0] for line in lines[1:-1]] == ["1" * 12, "2" * 12, "4" * 12, "5" * 12]


def test_of_what_is_over_the_newest_comes_first() -> None:
    old = one("old", state="resolved")
    assert [
        each.incident_id for each in ordered([replace(old, changed_at=AT.replace(day=1)), one("new", state="resolved")])
    ] == ["new", "old"]


CASES = st.builds(
    one,
    st.text("abcdef", min_size=3, max_size=3),
    st.sampled_from(["", "homepage", "pdp"]),
    st.sampled_from(["page", "ticket", "watch"]),
    state=st.sampled_from(["pending", "open", "acked", "resolving", "resolved"]),
    expected=st.floats(-1e6, 1e6),
    held=st.booleans(),
    silenced_until=st.none() | st.just(AT),
    inhibited_by=st.sampled_from(["", "", "abc", "not the recommender"]),
)


@given(st.lists(CASES, max_size=8, unique_by=lambda each: each.incident_id), st.integers(0, 99))
def test_no_list_begins_with_what_is_not_told_itself_while_another_is(found: list[Incident], seed: int) -> None:
    shown, where = ordered(found), tabs(found)
    mixed = list(found)
    Random(seed).shuffle(mixed)
    assert ordered(mixed) == shown
    assert sorted(each.incident_id for each in shown) == sorted(each.incident_id for each in found)
    assert [where[each.incident_id] for each in shown] == sorted(
        (where[each.incident_id] for each in shown), key=TABS.index
    )
    for tab in ("open", "watch"):
        told = [state(each) not in ("held", "inhibited") for each in shown if where[each.incident_id] == tab]
        assert told == sorted(told, reverse=True)
