"""What is wrong with a definition's targeting: groups of conditions whose values fit their operators. ASSIGNMENT 4."""

from collections.abc import Iterator
from typing import get_args

import re2

from experiments.errors import Problem, nearest
from experiments.loading import Document, Json, Path_, entries, value_at
from experiments.placement import Operator

OPERATORS: tuple[str, ...] = get_args(Operator)
LONGEST_PATTERN = 1_000  # characters


def targeting_problems(document: Document, path: Path_) -> Iterator[Problem]:
    """Every condition whose value its operator cannot compare with."""
    given = value_at(document.value, path)
    for name in ("all", "any"):
        for at, _ in entries(document.value, (*path, name)):
            yield from targeting_problems(document, at)
    if isinstance(given, dict) and "operator" in given:
        yield from _condition(document, path, given)


def _condition(document: Document, path: Path_, given: dict[str, Json]) -> Iterator[Problem]:
    operator, value, at = given["operator"], given.get("value"), (*path, "value")
    if not isinstance(operator, str) or operator not in OPERATORS:
        message = f"{operator!r} is no operator"
        step = f"write one of {', '.join(OPERATORS)}"
        near = nearest(operator, OPERATORS)
        yield document.problem("targeting_type", (*path, "operator"), operator, message, near=near, next_step=step)
        return
    fault = _fault(operator, value)
    if fault:
        message, step = fault
        yield document.problem("targeting_type", at, value, f"{operator}: {value!r} is {message}", next_step=step)


def _fault(operator: str, value: Json) -> tuple[str, str] | None:
    match operator:
        case "IS_NULL":
            if value is None or isinstance(value, bool):
                return None
            return "neither true nor false", "leave the value out, or write true or false"
        case "ONE_OF" | "NOT_ONE_OF":
            if isinstance(value, list) and value and all(_scalar(each) for each in value):
                return None
            return "no list of values", "write a list, as [web, ios]"
        case "GT" | "GTE" | "LT" | "LTE":
            if isinstance(value, int | float) and not isinstance(value, bool):
                return None
            return "no number", "write a number without quotes"
        case "MATCHES":
            return _pattern_fault(value)
    return None if _scalar(value) else ("not one value", "write a text, a number, true or false")


def _scalar(value: Json) -> bool:
    return isinstance(value, bool | int | float | str)


def _pattern_fault(value: Json) -> tuple[str, str] | None:
    if not isinstance(value, str) or len(value) > LONGEST_PATTERN:
        return f"no pattern of at most {LONGEST_PATTERN:,} characters", "write a text"
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(value, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        words = said.decode() if isinstance(said, bytes) else str(said)
        return f"no RE2 pattern: {words}", "RE2 has no look-around and no back references; write it without"
    return None
