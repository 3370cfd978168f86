from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.inference.decision import HARM_ALPHA, Look, Question, Reading, Role, gated, read
from analysis.inference.designs import critical_value, student
from analysis.inference.effects import Sign
from analysis.inference.result import Bounds, Contrast, Undetermined
from tests.helpers.contrasts import contrast_of, swapped

NOTHING = Undetermined("zero_denominator", "nothing to divide by")


def lift(z: float, *, se: float = 1.0) -> Contrast:
    """A control of 100 whose treatment is z standard errors of the difference above it."""
    return contrast_of(100, 100 + z * se, se_c=se / 2**0.5, se_t=se / 2**0.5)


def ask(
    contrast: Contrast | Undetermined,
    role: Role = "success",
    *,
    metric: str = "revenue",
    arm: str = "t",
    sign: Sign = 1,
    margin: float | None = None,
    materiality: float | None = None,
    fraction: float = 1.0,
) -> Question:
    return Question(metric, arm, role, sign, contrast, fraction, margin=margin, materiality=materiality)


def one(question: Question, look: Look = "always_valid") -> Reading:
    return read([question], alpha=0.05, look=look)[question.metric, question.arm]


K = critical_value(1, 0.025, sides="one")  # 3.036
K_GUARD = critical_value(1, 0.05, sides="one")  # 2.768


@pytest.mark.parametrize(
    ("z", "sign", "status"),
    [(K + 0.01, 1, "better"), (K - 0.01, 1, "not_clear"), (-K - 0.01, -1, "better"), (K + 0.01, -1, "worse")],
)
def test_a_success_metric_is_read_toward_its_good_side(z: float, sign: Sign, status: str) -> None:
    reading = one(ask(lift(z), sign=sign))
    assert reading.status == status
    assert reading.better == (status == "better")


def test_harm_is_read_one_sided_at_its_own_level_and_sooner_than_the_interval() -> None:
    z = -(K_GUARD + K) / 2
    reading = one(ask(lift(z)))
    assert reading.harmed
    assert reading.status == "worse"
    assert reading.harm_level == HARM_ALPHA
    assert isinstance(reading.harm_relative, Bounds)
    assert reading.harm_relative.lo is None
    assert reading.harm_relative.hi is not None
    assert reading.harm_relative.hi < 0
    assert reading.harm_absolute is not None
    assert reading.harm_absolute.hi == pytest.approx(z + K_GUARD)


def test_harm_shares_its_level_over_success_guardrails_and_arms() -> None:
    questions = [
        ask(lift(-3.2), metric="a"),
        ask(lift(0), metric="a", arm="u"),
        *(ask(lift(0), "guardrail", metric=f"g{i}", arm=arm, margin=0.05) for i in range(5) for arm in "tu"),
        *(ask(lift(0), "secondary", metric=f"s{i}") for i in range(9)),
    ]
    readings = read(questions, alpha=0.05, look="always_valid")
    assert readings["a", "t"].harm_level == pytest.approx(0.05 / 12)
    assert not readings["a", "t"].harmed
    assert one(ask(lift(-3.2))).harmed
    assert readings["s0", "t"].harm_level is None


def test_holm_over_success_metrics_and_arms_sets_the_levels_shown() -> None:
    questions = [ask(lift(3.5), metric="a"), ask(lift(3.1), metric="b"), ask(lift(0.2), metric="a", arm="u")]
    readings = read(questions, alpha=0.05, look="always_valid")
    assert readings["a", "t"].better
    assert readings["a", "t"].level == pytest.approx(0.05 / 3)
    assert not readings["b", "t"].better  # 3.1 stands alone, but not as the second of three
    assert readings["b", "t"].level == readings["a", "u"].level == pytest.approx(0.05 / 2)
    assert one(ask(lift(3.1))).better


zs = st.floats(-6, 6)


@given(
    z=st.lists(zs, min_size=1, max_size=4),
    sign=st.sampled_from([1, -1]),
    look=st.sampled_from(["always_valid", "planned_look"]),
)
def test_test_and_interval_cannot_disagree(z: list[float], sign: Sign, look: Look) -> None:
    questions = [ask(lift(value), metric=f"m{i}", sign=sign) for i, value in enumerate(z)]
    for reading in read(questions, alpha=0.05, look=look).values():
        assert isinstance(reading.absolute, Bounds)
        assert isinstance(reading.relative, Bounds)
        for bounds in (reading.absolute, reading.relative):
            assert bounds.lo is not None
            assert bounds.hi is not None
            beyond = bounds.lo > 0 if sign == 1 else bounds.hi < 0
            assert reading.better == beyond


@given(z=zs)
def test_the_p_value_is_the_level_at_which_the_interval_touches_zero(z: float) -> None:
    reading = one(ask(lift(z), "secondary"))
    assert isinstance(reading.absolute, Bounds)
    assert reading.absolute.lo is not None
    assert reading.absolute.hi is not None
    assert reading.p_always_valid is not None
    assert (reading.p_always_valid < 0.05) == (reading.absolute.lo > 0 or reading.absolute.hi < 0)
    assert reading.p_fixed is None


@given(z=zs, role=st.sampled_from(["success", "secondary"]))
def test_swapping_arms_flips_the_reading(z: float, role: Role) -> None:
    there, back = one(ask(lift(z), role)), one(ask(swapped(lift(z)), role, sign=-1))
    assert back.status == there.status
    assert (back.better, back.harmed) == (there.better, there.harmed)
    assert isinstance(there.absolute, Bounds)
    assert isinstance(back.absolute, Bounds)
    assert back.absolute.est == -there.absolute.est


@pytest.mark.parametrize(
    ("change", "sign", "status"),
    [
        (1.06, -1, "breached"),  # an out-of-stock rate up 6 % with a margin of 5 %
        (0.94, -1, "cleared"),
        (1.03, -1, "not_clear"),
        (0.94, 1, "breached"),  # revenue, the mirror image
        (1.06, 1, "cleared"),
        (0.97, 1, "not_clear"),
    ],
)
def test_guardrail_signs(change: float, sign: Sign, status: str) -> None:
    se = 0.001 if status != "not_clear" else 0.01
    c = contrast_of(0.08, 0.08 * change, se_c=0.08 * se, se_t=0.08 * se)
    reading = one(ask(c, "guardrail", sign=sign, margin=0.05))
    assert reading.status == status
    assert reading.harmed == (status == "breached")
    assert isinstance(reading.guardrail, Bounds)
    side = reading.guardrail.lo if sign == 1 else reading.guardrail.hi
    assert side is not None
    assert (sign * side > -0.05) == (status == "cleared")
    assert (reading.guardrail.hi if sign == 1 else reading.guardrail.lo) is None


def test_guardrails_need_no_correction_but_stopping_by_one_does() -> None:
    breach = contrast_of(100, 94, se_c=0.24, se_t=0.24)  # G is 2.99 standard errors below its limit
    alone = one(ask(breach, "guardrail", margin=0.05))
    many = read(
        [ask(breach, "guardrail", metric=f"g{i}", margin=0.05) for i in range(12)], alpha=0.05, look="always_valid"
    )
    assert alone.harmed
    assert alone.status == "breached"
    assert not many["g0", "t"].harmed
    assert many["g0", "t"].status == "breached"


def test_a_guardrail_on_an_uncertain_control_is_not_determined() -> None:
    reading = one(ask(contrast_of(10, 30, se_c=4, se_t=4), "guardrail", sign=-1, margin=0.1))
    assert reading.status == "not_clear"
    assert not reading.harmed
    assert reading.not_determined is not None
    assert reading.not_determined.code == "control_uncertain"
    assert isinstance(reading.absolute, Bounds)


def test_an_absolute_margin_reads_a_rare_guardrail() -> None:
    rare = contrast_of(0.0002, 0.0003, se_c=0.0001, se_t=0.0001)
    relative = one(ask(rare, "guardrail", sign=-1, margin=0.1))
    absolute = one(replace(ask(rare, "guardrail", sign=-1, margin=0.1), margin_abs=0.001))
    assert relative.not_determined is not None
    assert absolute.not_determined is None
    assert absolute.status == "cleared"
    assert isinstance(absolute.guardrail, Bounds)
    assert absolute.guardrail.hi == pytest.approx(0.0001 + K_GUARD * rare.se)


@pytest.mark.parametrize("role", ["success", "guardrail", "secondary"])
@pytest.mark.parametrize("nonzero", [(99, 5000), (5000, 99)])
def test_nothing_is_tested_below_the_gate(role: Role, nonzero: tuple[int, int]) -> None:
    for z in (9, -9):
        c = replace(lift(z), nonzero_c=nonzero[0], nonzero_t=nonzero[1])
        assert not gated(c)
        reading = one(ask(c, role, margin=0.01, materiality=0.5))
        assert reading.status == "not_clear"
        assert not any((reading.better, reading.harmed, reading.immaterial, reading.gate))
        assert reading.p_always_valid is None
        assert isinstance(reading.absolute, Bounds)


def test_an_ungated_success_metric_still_counts_in_holm() -> None:
    asleep = replace(lift(9), nonzero_t=3)
    readings = read([ask(asleep, metric="a"), ask(lift(3.1), metric="b")], alpha=0.05, look="always_valid")
    assert readings["b", "t"].level == pytest.approx(0.025)


def test_a_secondary_metric_is_shown_as_worse_and_never_stops() -> None:
    reading = one(ask(lift(-8), "secondary"))
    assert reading.status == "worse"
    assert not reading.harmed
    assert reading.harm_absolute is None
    assert one(ask(lift(8), "secondary")).status == "better"


def test_no_material_effect_is_an_interval_inside_the_materiality() -> None:
    narrow = lift(0.5, se=0.1)
    assert one(ask(narrow, materiality=0.01)).status == "no_material_effect"
    assert one(ask(narrow, materiality=0.003)).status == "not_clear"
    assert one(ask(narrow)).status == "not_clear"
    surely_tiny = one(ask(lift(4, se=0.1), materiality=0.01))
    assert surely_tiny.status == "no_material_effect"
    assert surely_tiny.better


def test_the_fixed_design_reads_students_t_at_its_one_look_only() -> None:
    c = lift(2.2)
    before, at = one(ask(c), "before_planned_look"), one(ask(c), "planned_look")
    assert (before.p_always_valid, before.p_fixed, before.status) == (None, None, "not_clear")
    assert before.k == pytest.approx(K)
    assert at.k == pytest.approx(student(c.dof, 0.05, sides="two"))
    assert at.status == "better"
    assert at.p_fixed == pytest.approx(0.0279, abs=1e-4)
    assert at.p_always_valid is None


def test_the_fixed_design_spends_its_harm_level_in_two_halves() -> None:
    before, at = one(ask(lift(-2.9)), "before_planned_look"), one(ask(lift(-2.0)), "planned_look")
    assert before.harm_level == at.harm_level == HARM_ALPHA / 2
    assert not before.harmed
    assert one(ask(lift(-K - 0.01)), "before_planned_look").harmed
    assert at.harmed
    assert at.status == "worse"


def test_what_cannot_be_estimated_says_so_and_is_counted() -> None:
    readings = read(
        [ask(NOTHING, "guardrail", metric="g", margin=0.1), ask(lift(3.1))], alpha=0.05, look="always_valid"
    )
    assert readings["g", "t"].not_determined is NOTHING
    assert readings["g", "t"].absolute is NOTHING
    assert readings["g", "t"].guardrail is NOTHING
    assert readings["revenue", "t"].harm_level == pytest.approx(HARM_ALPHA / 2)


def test_a_pair_is_asked_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        read([ask(lift(0)), ask(lift(1))], alpha=0.05, look="always_valid")


def test_more_units_than_planned_are_read_too() -> None:
    assert one(ask(lift(3.2), fraction=10)).status == "not_clear"  # k = 3.243 there
    assert one(ask(lift(3.25), fraction=10)).status == "better"
