"""What may be said of each metric in each treatment arm, all error rates kept. STATISTICS 4 (gate, designs) and 5.

`read` takes every question of an experiment at once, because the levels depend on how many there are.
The verdict (`analysis.verdict`) is made from what it returns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.inference.designs import critical_value, p_value, student, student_p
from analysis.inference.effects import Sign, absolute, best_side, fieller, guardrail, guardrail_bound
from analysis.inference.multiplicity import HolmStep, holm
from analysis.inference.result import Bounds, Contrast, Undetermined

Role = Literal["success", "guardrail", "secondary"]
Look = Literal["always_valid", "before_planned_look", "planned_look"]  # the last two belong to the fixed design
Status = Literal["better", "worse", "cleared", "breached", "not_clear", "no_material_effect"]

GATE_UNITS = 100  # non-zero units in each compared arm, before any test is read
HARM_ALPHA = 0.05  # over all success metrics and guardrails × treatment arms, one-sided


@dataclass(frozen=True, slots=True)
class Question:
    """One metric in one treatment arm against control.

    `fraction` is n/n* of the two arms. `margin` and `materiality` are fractions of control's mean,
    `margin_abs` is in the contrast's own unit. Margins matter for guardrails only.
    """

    metric: str
    arm: str
    role: Role
    sign: Sign
    contrast: Contrast | Undetermined
    fraction: float
    margin: float | None = None
    margin_abs: float | None = None
    materiality: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer to a question. Nothing is tested unless `gate`; intervals are given regardless.

    `level` is the two-sided level of `absolute` and `relative`, which are the pair of one-sided bounds
    at half of it, `k` their critical value. `guardrail` is the one-sided bound at alpha (relative, or
    absolute under `margin_abs`), None for other roles. `harmed` is the STOP test at `harm_level`, one-sided;
    `harm_absolute` and `harm_relative` are its bounds: "worse by at least". p-values are two-sided
    against "no difference", uncorrected, and None when no test may be read. `not_determined` is set
    when the question has no answer at all.
    """

    status: Status
    gate: bool
    better: bool
    harmed: bool
    immaterial: bool
    level: float
    k: float | None
    absolute: Bounds | Undetermined
    relative: Bounds | Undetermined
    guardrail: Bounds | Undetermined | None
    harm_level: float | None
    harm_absolute: Bounds | None
    harm_relative: Bounds | Undetermined | None
    p_always_valid: float | None
    p_fixed: float | None
    not_determined: Undetermined | None


def read(questions: Sequence[Question], *, alpha: float, look: Look) -> dict[tuple[str, str], Reading]:
    """Answer every question, by (metric, arm). ValueError when a pair is asked twice.

    Success: one-sided toward good at alpha/2, Holm over success metrics × arms. Guardrails: one-sided
    at alpha, no correction (all must clear). Secondary: the interval at alpha; worse never stops.
    Harm: success and guardrails, one-sided at 0.05/m; under the fixed design half of it is spent by the
    e-process before the planned look and half by Student's t at it, so that the sum stays 0.05.
    """
    keys = [(q.metric, q.arm) for q in questions]
    if len(set(keys)) != len(keys):
        raise ValueError("a metric is asked twice of the same arm; ask each pair once")
    steps = holm(
        {(q.metric, q.arm): _toward_good(q, look) for q in questions if q.role == "success"},
        alpha,
    )
    tests = sum(q.role != "secondary" for q in questions)
    harm = HARM_ALPHA / max(tests, 1) / (1 if look == "always_valid" else 2)
    shown = HolmStep(alpha, rejected=False)
    return {key: _answer(q, look, alpha, steps.get(key, shown), harm) for key, q in zip(keys, questions, strict=True)}


def gated(contrast: Contrast | Undetermined) -> bool:
    """Whether both arms have the 100 non-zero units that any test needs."""
    if isinstance(contrast, Undetermined):
        return False
    return min(contrast.nonzero_c, contrast.nonzero_t) >= GATE_UNITS


def critical(question: Question, look: Look, level: float) -> float:
    """The one-sided critical value of this question's design at this look; needs a determined contrast."""
    if look == "planned_look" and isinstance(question.contrast, Contrast):
        return student(question.contrast.dof, level, sides="one")
    return critical_value(question.fraction, level, sides="one")


def _toward_good(q: Question, look: Look) -> float:
    """Twice the one-sided p toward good, so that p ≤ level means the interval at `level` lies on the good side."""
    if isinstance(q.contrast, Undetermined) or not gated(q.contrast):
        return 1.0
    z = q.sign * q.contrast.z
    if look == "planned_look":
        return min(1.0, 2 * student_p(z, q.contrast.dof, sides="one"))
    return min(1.0, 2 * p_value(z, q.fraction, sides="one"))


def _answer(q: Question, look: Look, alpha: float, step: HolmStep, harm_level: float) -> Reading:
    c = q.contrast
    if isinstance(c, Undetermined):
        return _unanswered(c, q, step.level)
    k = critical(q, look, step.level / 2)
    gate = gated(c)
    difference, lift = absolute(c, k), fieller(c, k)
    immaterial = gate and _inside(lift, q.materiality)
    bound, cleared, breached = _limit(q, c, critical(q, look, alpha)) if q.role == "guardrail" else (None, False, False)
    k_harm = critical(q, look, harm_level)
    harmed = gate and _harmed(q, c, k_harm)
    stoppable = q.role != "secondary"
    harm_lift = fieller(c, k_harm)
    z = q.sign * c.z  # positive is toward good
    better = step.rejected if q.role == "success" else gate and z > k
    status: Status = "not_clear"
    if gate and q.role == "guardrail":
        status = "breached" if breached or harmed else "cleared" if cleared else "not_clear"
    elif gate:
        worse = z < -k or harmed
        status = "worse" if worse else "no_material_effect" if immaterial else "better" if better else "not_clear"
    tested = gate and look != "before_planned_look"
    return Reading(
        status=status,
        gate=gate,
        better=better,
        harmed=harmed,
        immaterial=immaterial,
        level=step.level,
        k=k,
        absolute=difference,
        relative=lift,
        guardrail=bound,
        harm_level=harm_level if stoppable else None,
        harm_absolute=best_side(absolute(c, k_harm), q.sign) if stoppable else None,
        harm_relative=_only_best(harm_lift, q.sign) if stoppable else None,
        p_always_valid=_two_sided(c, q.fraction) if tested and look == "always_valid" else None,
        p_fixed=student_p(c.z, c.dof, sides="two") if tested and look == "planned_look" else None,
        not_determined=bound if isinstance(bound, Undetermined) else None,
    )


def _limit(q: Question, c: Contrast, k: float) -> tuple[Bounds | Undetermined, bool, bool]:
    """The bound to draw, and whether the limit is cleared or breached, all at the same k."""
    bound = guardrail_bound(c, k, sign=q.sign, scale="relative" if q.margin_abs is None else "absolute")
    statistic = guardrail(c, sign=q.sign, margin=q.margin, margin_abs=q.margin_abs)
    if isinstance(bound, Undetermined) or isinstance(statistic, Undetermined):
        return bound, False, False
    return bound, statistic.z > k, statistic.z < -k


def _harmed(q: Question, c: Contrast, k: float) -> bool:
    """A success metric against 0, a guardrail against its limit (never where its lift is not determined)."""
    if q.role == "success":
        return q.sign * c.z < -k
    return q.role == "guardrail" and _limit(q, c, k)[2]


def _inside(lift: Bounds | Undetermined, materiality: float | None) -> bool:
    if materiality is None or isinstance(lift, Undetermined) or lift.lo is None or lift.hi is None:
        return False
    return -materiality < lift.lo and lift.hi < materiality


def _only_best(lift: Bounds | Undetermined, sign: Sign) -> Bounds | Undetermined:
    return lift if isinstance(lift, Undetermined) else best_side(lift, sign)


def _two_sided(c: Contrast, fraction: float) -> float:
    """The level at which the shown interval, a pair of one-sided bounds, would just touch zero."""
    return min(1.0, 2 * p_value(abs(c.z), fraction, sides="one"))


def _unanswered(reason: Undetermined, q: Question, level: float) -> Reading:
    return Reading(
        status="not_clear",
        gate=False,
        better=False,
        harmed=False,
        immaterial=False,
        level=level,
        k=None,
        absolute=reason,
        relative=reason,
        guardrail=reason if q.role == "guardrail" else None,
        harm_level=None,
        harm_absolute=None,
        harm_relative=None,
        p_always_valid=None,
        p_fixed=None,
        not_determined=reason,
    )
