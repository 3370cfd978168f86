"""When a result may be read: the e-process that allows a look every day, and Student's t for one planned look.

`fraction` is n/n*: the units of the two arms compared, over those planned for them (STATISTICS 4).
`level` is the error of the test that is run: 0.05 two-sided, or 0.025 for one side of a 95 % interval.
"""

import math
from functools import lru_cache
from typing import Literal

from scipy.special import log_ndtr, stdtr, stdtrit

Sides = Literal["one", "two"]
MIXTURE = 8.0  # x = 8 n/n*: -2 log a + log(1 - 2 log a) at a = 0.05, the tightest boundary at n = n*
_LOG_CAP = 690.0  # e-values above 1e299 are reported as that: enough for any threshold, and JSON can carry it


def e_value(z: float, fraction: float, *, sides: Sides) -> float:
    """Evidence against "no effect" (two) or "effect ≤ 0" (one), from z standard errors: expected ≤ 1 under the null.

    The normal mixture with x = 8·fraction: (1+x)^-½ exp(x z²/(2(1+x))), one-sided times 2 Φ(z √(x/(1+x))).
    Robbins (1970); Howard et al. (2021), propositions 5 and 6; Waudby-Smith et al. (2024).
    """
    x = _x(fraction)
    log_e = x * z * z / (2 * (1 + x)) - math.log1p(x) / 2
    if sides == "one":
        log_e += math.log(2) + float(log_ndtr(z * math.sqrt(x / (1 + x))))
    return math.exp(min(log_e, _LOG_CAP))


def p_value(z: float, fraction: float, *, sides: Sides) -> float:
    """min(1, 1/e): at most its own size with probability that size, however often it is looked at."""
    return min(1.0, 1 / max(e_value(z, fraction, sides=sides), math.exp(-_LOG_CAP)))


@lru_cache(maxsize=4096)
def critical_value(fraction: float, level: float, *, sides: Sides) -> float:
    """k with e_value(k) = 1/level: the test rejects at z ≥ k, the interval is ± k standard errors.

    Two-sided in closed form, √(2(1+x)/x · log(√(1+x)/level)). One-sided by Newton's method from there:
    log e is convex and increasing in z > 0 and not below the two-sided one, so the steps fall
    monotonically on the root.
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    x = _x(fraction)
    slope = x / (1 + x)
    k = math.sqrt(2 / slope * (math.log1p(x) / 2 - math.log(level)))
    if sides == "two":
        return k
    target = math.log1p(x) / 2 - math.log(2 * level)
    for _ in range(100):
        u = k * math.sqrt(slope)
        log_phi = float(log_ndtr(u))
        mills = math.exp(-u * u / 2 - log_phi) / math.sqrt(2 * math.pi)
        step = (u * u / 2 + log_phi - target) / (math.sqrt(slope) * (u + mills))
        k -= step
        if abs(step) < 1e-13 * k:
            break
    return k


def student(dof: float, level: float, *, sides: Sides) -> float:
    """Student's critical value for one planned look: t with upper tail `level` (one) or level/2 (two)."""
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    return -float(stdtrit(dof, level if sides == "one" else level / 2))


def student_p(z: float, dof: float, *, sides: Sides) -> float:
    """Student's p-value of z standard errors: the upper tail (one) or both (two)."""
    return float(stdtr(dof, -z)) if sides == "one" else 2 * float(stdtr(dof, -abs(z)))


def _x(fraction: float) -> float:
    if not fraction > 0:
        raise ValueError(f"fraction n/n* is {fraction}; it is above 0 as soon as a unit was seen")
    return MIXTURE * fraction
