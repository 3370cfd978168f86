"""The strategies an arm or a slot may name, and the parameters each takes. A closed list: no other is served.

Those BUILT_IN are each in the file of their name in `experiments/recommenders`; the others a shop serves itself. The
table is read with every definition, so it imports none of them.

Every strategy also takes `value`: what a feature-flag client is answered while the arm is served, of any type.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.errors import nearest

Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: a whole number, a number, a truth value or a text; bounds include their ends."""

    kind: type[int] | type[float] | type[bool] | type[str]
    default: Value | None = None  # what a built-in strategy takes when nothing is written
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


FLAG_VALUE = "value"
_DAYS, _COUNT = Param(float, 14.0, 0.01, 3650), Param(int, 50, 1, 10_000)
_WINDOW = {"window_days": Param(int, 90, 1, 3650)}
_SIMILARITY = Param(str, "cosine", choices=("cosine", "tfidf", "bm25"))
_FACTORS = {
    "factors": Param(int, None, 1, 2_048),
    "iterations": Param(int, None, 1, 1_000),
    "regularization": Param(float, None, 0, 1_000),
}

BUILT_IN: Mapping[str, Mapping[str, Param]] = {
    "no_recommendations": {},
    "random": {},
    "popularity": {"half_life_days": _DAYS},
    "category_popularity": {"half_life_days": _DAYS},
    "item_knn": {**_WINDOW, "neighbours": _COUNT, "similarity": _SIMILARITY},
}
ELSEWHERE: Mapping[str, Mapping[str, Param]] = {
    "recently_viewed": _WINDOW,
    "covisitation": {**_WINDOW, "min_support": _COUNT},
    "user_knn": {**_WINDOW, "neighbours": _COUNT},
    "als": {**_FACTORS, "alpha": Param(float, None, 0, 10_000)},
    "bpr": {**_FACTORS, "learning_rate": Param(float, None, 0, 10)},
    "ease": {"regularization": Param(float, None, 0, 1_000_000)},
    "content": {"neighbours": _COUNT},
    "http": {"url": Param(str), "deadline_ms": Param(int, None, 1, 10_000)},
}
STRATEGIES: Mapping[str, Mapping[str, Param]] = {**BUILT_IN, **ELSEWHERE}


def strategy_fault(name: str) -> tuple[str, tuple[str, ...], str] | None:
    """What is wrong with a strategy's name: the message, the nearest ones and the next step. None when it is known."""
    if name in STRATEGIES:
        return None
    return f"there is no strategy {name}", nearest(name, STRATEGIES), f"choose one of {', '.join(STRATEGIES)}"


def param_fault(strategy: str, name: str, value: object) -> tuple[str, tuple[str, ...], str] | None:
    """What is wrong with one parameter of a known strategy, in the same form. None when it is right."""
    known = STRATEGIES[strategy]
    if name == FLAG_VALUE:
        return None if value is not None else ("value is null", (), "write what the flag is answered, or leave it out")
    if name not in known:
        step = f"remove it; {strategy} takes {', '.join((*known, FLAG_VALUE))}"
        return f"{strategy} has no parameter {name}", nearest(name, (*known, FLAG_VALUE)), step
    param = known[name]
    whole = isinstance(value, int) and not isinstance(value, bool)
    right = {
        int: whole,
        float: whole or isinstance(value, float),
        bool: isinstance(value, bool),
        str: isinstance(value, str),
    }
    if not right[param.kind]:
        wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[param.kind]
        return f"{name} is {wanted}, not {value!r}", (), f"write {wanted}"
    if isinstance(value, str) and param.choices and value not in param.choices:
        choices = ", ".join(param.choices)
        return f"{name} is none of {choices}", nearest(value, param.choices), f"choose one of {choices}"
    if (
        not isinstance(value, int | float)
        or param.low is None
        or param.high is None
        or param.low <= value <= param.high
    ):
        return None
    return f"{name} is {value}, not from {param.low:g} to {param.high:g}", (), "write a number between them"
