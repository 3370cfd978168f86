"""From a contrast to effects: difference, lift (Fieller), and the distance from a guardrail's limit. STATISTICS 4, 5.

k is the design's own critical value: the interval keeps every value the design's test would not reject.
"""

import math
from dataclasses import dataclass
from typing import Literal

from analysis.inference.result import Bounds, Contrast, Undetermined

Sign = Literal[1, -1]  # +1: an increase is good; -1: a decrease is good
Scale = Literal["relative", "absolute"]


def absolute(c: Contrast, k: float) -> Bounds:
    """Treatment minus control, in the metric's unit, ± k standard errors."""
    half = k * c.se
    return Bounds(c.difference, c.difference - half, c.difference + half)


def fieller(c: Contrast, k: float) -> Bounds | Undetermined:
    """The lift mean_t/mean_c - 1 as a fraction, with Fieller's set { r - 1: (m_t - r m_c)² ≤ k² Var(m_t - r m_c) }.

    Undetermined when the control mean is not above zero by more than k of its standard errors: the
    set is unbounded there. Fieller (1954); Franz (2007), section 4.
    """
    refusal = _unbounded(c, k)
    if refusal is not None:
        return refusal
    kk = k * k
    a = c.mean_c**2 - kk * c.v_cc
    b = c.mean_t * c.mean_c - kk * c.v_tc
    spread = c.mean_t**2 * c.v_cc - 2 * c.mean_t * c.mean_c * c.v_tc + c.mean_c**2 * c.v_tt
    root = k * math.sqrt(max(0.0, spread - kk * (c.v_tt * c.v_cc - c.v_tc**2)))
    return Bounds(c.mean_t / c.mean_c - 1, (b - root) / a - 1, (b + root) / a - 1)


@dataclass(frozen=True, slots=True)
class GuardrailStatistic:
    """G > 0 means inside the limit: G = s·(m_t - (1 - sM) m_c), or s·(m_t - m_c) + M for an absolute margin.

    In the metric's unit, with its variance. z is G in its standard errors.
    """

    value: float
    variance: float

    @property
    def z(self) -> float:
        """G in standard errors: large is safe, very negative is breached."""
        return self.value / math.sqrt(self.variance)


def guardrail(
    c: Contrast, *, sign: Sign, margin: float | None = None, margin_abs: float | None = None
) -> GuardrailStatistic | Undetermined:
    """How far the treatment is inside its limit: `margin` is a fraction of control, `margin_abs` in the metric's unit.

    An absolute margin wins where both are given. Undetermined when a relative margin meets a control
    mean that is not positive. ValueError without any margin.
    """
    if margin_abs is not None:
        return GuardrailStatistic(sign * c.difference + margin_abs, c.variance)
    if margin is None:
        raise ValueError("a guardrail needs a margin or a margin_abs; give one of them")
    if c.mean_c <= 0:
        return _not_positive()
    limit = 1 - sign * margin
    return GuardrailStatistic(
        sign * (c.mean_t - limit * c.mean_c), c.v_tt - 2 * limit * c.v_tc + limit * limit * c.v_cc
    )


def guardrail_bound(c: Contrast, k: float, *, sign: Sign, scale: Scale) -> Bounds | Undetermined:
    """The one-sided bound a guardrail is drawn with: the worst the treatment may be; the good side is open.

    On the relative scale it is the r where (m_t - r m_c) is k standard errors away, which is the root
    of Fieller's set on that side: it clears the limit exactly when G > k SE(G).
    """
    bounds = absolute(c, k) if scale == "absolute" else fieller(c, k)
    return bounds if isinstance(bounds, Undetermined) else worst_side(bounds, sign)


def worst_side(bounds: Bounds, sign: Sign) -> Bounds:
    """Only the bound on the bad side: "no worse than this"."""
    return Bounds(bounds.est, bounds.lo, None) if sign == 1 else Bounds(bounds.est, None, bounds.hi)


def best_side(bounds: Bounds, sign: Sign) -> Bounds:
    """Only the bound on the good side: "no better than this", which is how far a harm is certain."""
    return Bounds(bounds.est, None, bounds.hi) if sign == 1 else Bounds(bounds.est, bounds.lo, None)


def _unbounded(c: Contrast, k: float) -> Undetermined | None:
    if c.mean_c <= 0:
        return _not_positive()
    if k * k * c.v_cc >= c.mean_c**2:
        return Undetermined("control_uncertain", "the control's own mean is too uncertain to divide by")
    return None


def _not_positive() -> Undetermined:
    return Undetermined("control_not_positive", "the control's mean is not above zero, so there is no lift")
