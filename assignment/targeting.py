"""Who an experiment is for: conditions on the context's attributes, compiled once into one predicate.

`{"all": […]}` and `{"any": […]}` hold conditions `{"attribute", "operator", "value"}` or further such groups. A missing
attribute, which is also one that is null, makes every operator false except IS_NULL. Types are never mixed: `1` and
"1" differ, `true` is not 1, and a comparison of size is false unless both are numbers.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import re2

from experiments.errors import Problem, nearest

Predicate = Callable[[Mapping[str, object]], bool]
Test = Callable[[object], bool]
_LONGEST_PATTERN = 1_000  # characters


def compile_targeting(written: object, path: str) -> tuple[Predicate, list[Problem]]:
    """The predicate of a targeting group, and everything that is wrong with it. An empty `all` is everybody."""
    if not isinstance(written, Mapping) or len(written) != 1 or next(iter(written)) not in ("all", "any"):
        if isinstance(written, Mapping) and "attribute" in written:
            return _condition(written, path)
        step = 'write {"all": [{"attribute": …, "operator": …, "value": …}]}'
        return _nobody, [_problem(path, written, "is neither all, nor any, nor a condition", step)]
    [(name, members)] = written.items()
    if not isinstance(members, list):
        return _nobody, [_problem(f"{path}.{name}", members, "is not a list of conditions", "write a list")]
    compiled = [compile_targeting(member, f"{path}.{name}[{index}]") for index, member in enumerate(members)]
    problems = [problem for _, found in compiled for problem in found]
    parts = tuple(predicate for predicate, _ in compiled)
    if name == "all":
        return (parts[0] if len(parts) == 1 else _every(parts)), problems
    return _some(parts), problems


def _condition(written: Mapping[str, object], path: str) -> tuple[Predicate, list[Problem]]:
    attribute, operator, value = written.get("attribute"), written.get("operator"), written.get("value")
    problems = [
        _problem(
            f"{path}.{name}", written[name], "is not a known field", "remove it; known: attribute, operator, value"
        )
        for name in written
        if name not in ("attribute", "operator", "value")
    ]
    if not isinstance(attribute, str) or not attribute:
        problems.append(_problem(f"{path}.attribute", attribute, "is no name", "write the attribute's name"))
    if operator == "IS_NULL":
        if value is not None and not isinstance(value, bool):
            problems.append(_problem(f"{path}.value", value, "is neither true nor false", "write true or false"))
        return _null(str(attribute), value is not False), problems
    if not isinstance(operator, str) or operator not in OPERATORS:
        near = nearest(operator, (*OPERATORS, "IS_NULL"))
        step = f"write one of {', '.join((*OPERATORS, 'IS_NULL'))}"
        problems.append(
            Problem("targeting_type", f"{path}.operator", operator, f"{operator!r} is no operator", near, step)
        )
        return _nobody, problems
    try:
        test = OPERATORS[operator](value)
    except _WrongValueError as error:
        problems.append(_problem(f"{path}.value", value, str(error), f"write what {operator} compares with"))
        return _nobody, problems
    return _present(str(attribute), test), problems


class _WrongValueError(Exception):
    """A value that its operator cannot compare with."""


def _scalar(value: object) -> object:
    if not isinstance(value, (str, bool, int, float)):
        raise _WrongValueError("is not one text, number or truth value")
    return value


def _same(left: object, right: object) -> bool:
    """Equal and of one kind: text, truth value or number."""
    return _kind(left) == _kind(right) and left == right


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else type(value).__name__


def _equal(value: object) -> Test:
    wanted = _scalar(value)
    return lambda given: _same(given, wanted)


def _one_of(value: object) -> Test:
    if not isinstance(value, list) or not value:
        raise _WrongValueError("is not a list with at least one value")
    wanted = frozenset((_kind(_scalar(each)), each) for each in value)
    return lambda given: isinstance(given, (str, int, float)) and (_kind(given), given) in wanted


def _not(make: Callable[[object], Test]) -> Callable[[object], Test]:
    def made(value: object) -> Test:
        test = make(value)
        return lambda given: not test(given)

    return made


def _number(value: object) -> float:
    if _kind(value) != "number" or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _WrongValueError("is not a number")
    return value


def _sized(compare: Callable[[float, float], bool]) -> Callable[[object], Test]:
    def made(value: object) -> Test:
        limit = _number(value)
        return lambda given: isinstance(given, (int, float)) and not isinstance(given, bool) and compare(given, limit)

    return made


def _matches(value: object) -> Test:
    """The pattern is found anywhere in the text; RE2, whose time is linear in it."""
    if not isinstance(value, str) or len(value) > _LONGEST_PATTERN:
        raise _WrongValueError(f"is not a pattern of at most {_LONGEST_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(value, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        raise _WrongValueError(f"is no RE2 pattern ({said.decode() if isinstance(said, bytes) else said})") from error
    return lambda given: isinstance(given, str) and pattern.search(given) is not None


def _contains(value: object) -> Test:
    """A text contains a text; a list contains a value."""
    wanted = _scalar(value)

    def test(given: object) -> bool:
        if isinstance(given, str):
            return isinstance(wanted, str) and wanted in given
        return isinstance(given, Sequence) and any(_same(each, wanted) for each in given)

    return test


OPERATORS: Mapping[str, Callable[[object], Test]] = {  # IS_NULL beside them: it alone may meet a missing attribute
    "EQ": _equal,
    "NE": _not(_equal),
    "ONE_OF": _one_of,
    "NOT_ONE_OF": _not(_one_of),
    "GT": _sized(lambda given, limit: given > limit),
    "GTE": _sized(lambda given, limit: given >= limit),
    "LT": _sized(lambda given, limit: given < limit),
    "LTE": _sized(lambda given, limit: given <= limit),
    "MATCHES": _matches,
    "CONTAINS": _contains,
}


def _present(attribute: str, test: Test) -> Predicate:
    def predicate(context: Mapping[str, object]) -> bool:
        given = context.get(attribute)
        return given is not None and test(given)

    return predicate


def _null(attribute: str, wanted: bool) -> Predicate:
    return lambda context: (context.get(attribute) is None) is wanted


def _every(parts: tuple[Predicate, ...]) -> Predicate:
    return lambda context: all(part(context) for part in parts)


def _some(parts: tuple[Predicate, ...]) -> Predicate:
    return lambda context: any(part(context) for part in parts)


def _nobody(_: Mapping[str, object]) -> bool:
    return False


def _problem(path: str, value: object, message: str, step: str) -> Problem:
    return Problem("targeting_type", path, value, f"{value!r} {message}", (), step)
