"""What was locked is told as it was locked, and what came later is told as exploratory."""

from analysis.pages.views import registry as view
from analysis.pages.views.registry import Book
from analysis.registry import terms
from experiments import lifecycle
from experiments.spec import Assigned
from tests.analysis.registry.conftest import NOW
from tests.helpers import registry_shop as shop
from tests.helpers.assigned_shop import FLAT, KEY, Desk


def test_metrics_and_margins_are_the_locked_ones_and_later_ones_exploratory(book: Book) -> None:
    course = book.course(shop.RAMPED)
    found = terms.metric_terms(course, course.phases[-1], "EUR")
    assert [(each.name, each.role, each.limit, each.standing) for each in found] == [
        ("Revenue per user", "To be improved", "–", "Locked at the start"),
        ("Share of order lines sent back within 14 days", "Guardrail", "at most 20% worse", "Locked at the start"),
        ("Click-through rate", "Also watched", "–", "Exploratory: added after the start"),
    ]


def test_a_metric_dropped_since_stays_in_the_list(desk: Desk) -> None:
    desk.begin(FLAT.rstrip() + "\n  secondary: [ctr, aov]\n")
    desk.propose(FLAT.rstrip() + "\n  secondary: [aov]\n", at=4)
    [course] = view.read(desk.store).courses
    found = {each.name: each.standing for each in terms.metric_terms(course, course.phases[-1], "EUR")}
    assert found["Click-through rate"] == "Locked at the start, dropped since"
    assert found["Average order value"] == "Locked at the start"


def test_a_draft_has_nothing_locked(book: Book) -> None:
    found = terms.metric_terms(book.course(shop.DRAFT), None, "EUR")
    assert {each.standing for each in found} == {"Not locked before the start"}


def test_each_phase_has_its_own_salt(book: Book) -> None:
    found = terms.phase_terms(book.course(shop.PHASES))
    assert [each.salt for each in found] == [f"home_blend.{number}, md5-32/1" for number in (1, 2, 3, 4, 5)]
    assert [each.ended == "–" for each in found] == [False, False, False, False, True]
    assert found[0].ended == found[1].began
    assert {each.buckets for each in found} == {"homepage: [6000, 8000)"}


def test_an_earlier_phase_is_told_as_it_was(book: Book) -> None:
    course = book.course(shop.PHASES)
    arms = [terms.arm_terms(course, begun)[1].serves for begun in course.phases]
    assert arms == [f"als (factors {number})" for number in (64, 128, 192, 256, 320)]


def test_another_systems_arms_have_no_buckets_and_no_salt(book: Book) -> None:
    course = book.course(shop.ELSEWHERE)
    begun = course.phases[-1]
    assert [each.buckets for each in terms.arm_terms(course, begun)] == ["–", "–"]
    assert terms.phase_terms(course)[0].salt == "drawn by the e-mail tool"
    assert terms.conditions(course, begun) == ("Who takes part is decided by the e-mail tool.",)
    assert terms.steps(course, begun, NOW) == ()
    assert terms.overrides(course) == ()


def test_traffic_steps_say_what_was_taken_and_what_is_due(book: Book) -> None:
    course = book.course(shop.RAMPED)
    found = terms.steps(course, course.phases[-1], NOW)
    assert [(each.traffic, each.standing) for each in found] == [
        ("0%", "taken"), ("1%", "taken"), ("20%", "taken"), ("25%", "due, not taken yet"),
    ]  # fmt: skip
    assert found[-1].requires == "sample ratio and guardrails"
    assert [each.standing for each in terms.steps(course, course.phases[-1], course.begin)][-1] == "to come"


def test_an_arm_that_is_switched_off_is_said(desk: Desk) -> None:
    desk.begin(FLAT)
    lifecycle.disable_arm(desk.store, KEY, "als_v2", actor="ann", reason="slow", now=desk.now(3))
    [course] = view.read(desk.store).courses
    assert terms.arm_terms(course, course.phases[-1])[1].standing == "Treatment, disabled: its units meet the control"


def test_targeting_prerequisites_and_forced_units_are_in_words(book: Book) -> None:
    ramped, draft = book.course(shop.RAMPED), book.course(shop.DRAFT)
    assert isinstance(ramped.experiment, Assigned)
    assert terms.conditions(ramped, ramped.phases[-1])[0] == "Only where platform is one of web, ios."
    assert terms.conditions(draft, None) == (
        "Nobody is left out by targeting.", "Only units that are drawn into als_v2 of home_als_v3.",
    )  # fmt: skip
    assert terms.overrides(ramped) == (("qa-1", "als_v2"), ("qa-2", "als_v2"))
