"""How many more days would do, if units keep coming as they did and the estimate stays. Rough, and said as such.

Units grow in proportion to full days, standard errors with one over their root. New units come ever
more slowly (STATISTICS 10), so these are the fewest days. Of a metric that matures, days are ripe days: a day
more ripens one day more, and the last of them ripens `mature_days` after the planned end.
"""

import math
from collections.abc import Callable, Iterator

from analysis.inference.decision import Question, critical
from analysis.inference.designs import critical_value
from analysis.inference.effects import guardrail
from analysis.inference.result import Contrast, Undetermined

FARTHEST = 730  # days: beyond two years nobody waits


def days_to_clear(question: Question, alpha: float, days: int, days_left: int) -> int | None:
    """Days until a guardrail's limit would be cleared at `alpha`; None when this run cannot."""
    c = question.contrast
    if isinstance(c, Undetermined):
        return None
    found = guardrail(c, sign=question.sign, margin=question.margin, margin_abs=question.margin_abs)
    if isinstance(found, Undetermined) or found.z <= 0:
        return None
    return _first(days, days_left, lambda grown: found.z * math.sqrt(grown) > _k(question, alpha, grown))


def days_to_width(question: Question, level: float, half_width: float, target: float, days: int) -> int | None:
    """Days until the lift's range at two-sided `level` is as narrow as ± target; None within two years."""
    c = question.contrast
    if not isinstance(c, Contrast) or not 0 < half_width < math.inf:
        return None
    now = critical(question, "always_valid", level / 2)
    return _first(
        days, FARTHEST, lambda grown: half_width * _k(question, level / 2, grown) / now <= target * math.sqrt(grown)
    )


def _k(question: Question, level: float, grown: float) -> float:
    return critical_value(question.fraction * grown, level, sides="one")


def _first(days: int, farthest: int, enough: Callable[[float], bool]) -> int | None:
    """The fewest whole days after which the growth is enough; growth beyond that only helps."""
    if days < 1:
        return None
    return next((more for more, grown in _ahead(days, farthest) if enough(grown)), None)


def _ahead(days: int, farthest: int) -> Iterator[tuple[int, float]]:
    return ((more, (days + more) / days) for more in range(1, farthest + 1))
