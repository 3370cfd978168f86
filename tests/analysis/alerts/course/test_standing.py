"""The standing as JSON: what comes back is what was written, an infinite e-value included."""

import math
from datetime import UTC, datetime, timedelta

from analysis.alerts.course.acts import Act, Matcher
from analysis.alerts.course.standing import Case, Closed, Reset, Standing, Track, from_json, to_json
from analysis.alerts.model import Cell, Comparison, Cost, Effect, Evaluation, Evidence, Incident, Stake, Unit

AT = datetime(2026, 12, 1, 6, tzinfo=UTC)
UNIT = Unit("money", 1, Comparison("experiment", "als", 1, "new", "old"), Cell("homepage"), "add_to_cart", AT)
FOUND = Evaluation(
    UNIT, "page", "page", Stake(1e6 / 3, 2.5, 0.35), Cost(1 / 3, 0.1, 0.4, 6.5), 0.7,
    {"6h": Effect("order", 6, -0.02, 0.01)}, Evidence("e_process", math.inf, 20.0, "page_fast"), ("SH-02",),
)  # fmt: skip
INCIDENT = Incident("a1", "homepage", "money", "none", "acked", "page", AT, AT, (FOUND,), 1 / 7, 0.0, 3.0, hints=("x",))
SILENCE = Act("silence", "mara", AT, "sale", matcher=Matcher("homepage", metric="order"), expires_at=AT + timedelta(1))
FULL = Standing(
    AT,
    {"money:f": Track("money", FOUND, ("page", "ticket"), "ticket", AT, "a1", AT)},
    {"a1": Case(INCIDENT, 3, "page", AT, True, 2.5, "ticket", "page", (("money", 1),), AT, AT)},
    (SILENCE,),
    {SILENCE.act_id: AT},
    (Closed("a0", "money", 1, "page", AT, 0.1, "data_issue"),),
    (Reset("f", "a1", True),),
)


def test_nothing_is_lost_on_the_way() -> None:
    assert from_json(to_json(FULL)) == FULL
    assert to_json(from_json(to_json(FULL))) == to_json(FULL)
    assert from_json(to_json(FULL)).tracks["money:f"].evaluation.evidence.value == math.inf


def test_an_empty_standing() -> None:
    assert from_json(to_json(Standing())) == Standing()


def test_a_track_is_held_by_a_failing_check() -> None:
    assert FULL.tracks["money:f"].held
    assert not Track("data", FOUND, (), "digest", AT, "a2").held


def test_the_gravest_is_first() -> None:
    def case(key: str, severity: str, expected: float) -> Case:
        return Case(Incident(key, "m", "money", "", "open", severity, AT, AT, (), expected, 0.0, 0.0))  # type: ignore[arg-type]

    kept = {key: case(key, severity, money) for key, severity, money in
            [("a", "ticket", 9.0), ("b", "page", 1.0), ("c", "page", 2.0), ("d", "page", 2.0)]}  # fmt: skip
    assert [one.incident_id for one in Standing(cases=kept).incidents] == ["c", "d", "b", "a"]
