"""Who an experiment is for: conditions on the context's attributes, compiled once into one predicate.

A missing attribute, which is also one that is null, makes every operator false except IS_NULL. Types are never mixed:
`1` and "1" differ, `true` is not 1, and a comparison of size is false unless both are numbers. That a value fits its
operator is checked before, by `experiments.targeting`.
"""

from collections.abc import Callable, Mapping, Sequence

import re2

from experiments.placement import Condition, Operator, Targeting

Predicate = Callable[[Mapping[str, object]], bool]
Test = Callable[[object], bool]


def compile_targeting(written: Targeting | Condition) -> Predicate:
    """The predicate of a group or a condition. An empty `all` is everybody, an empty `any` nobody."""
    if isinstance(written, Condition):
        return _condition(written)
    parts = tuple(compile_targeting(member) for member in written.all or written.any or ())
    if written.any is not None:
        return lambda context: any(part(context) for part in parts)
    return parts[0] if len(parts) == 1 else lambda context: all(part(context) for part in parts)


def _condition(written: Condition) -> Predicate:
    attribute = written.attribute
    if written.operator == "IS_NULL":
        wanted = written.value is not False
        return lambda context: (context.get(attribute) is None) is wanted
    test = OPERATORS[written.operator](written.value)

    def present(context: Mapping[str, object]) -> bool:
        given = context.get(attribute)
        return given is not None and test(given)

    return present


def _same(left: object, right: object) -> bool:
    """Equal and of one kind: text, truth value or number."""
    return _kind(left) == _kind(right) and left == right


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else type(value).__name__


def _equal(wanted: object) -> Test:
    return lambda given: _same(given, wanted)


def _one_of(listed: object) -> Test:
    values = frozenset((_kind(value), value) for value in listed) if isinstance(listed, tuple) else frozenset()
    return lambda given: isinstance(given, str | int | float) and (_kind(given), given) in values


def _not(make: Callable[[object], Test]) -> Callable[[object], Test]:
    def made(value: object) -> Test:
        test = make(value)
        return lambda given: not test(given)

    return made


def _sized(compare: Callable[[float, float], bool]) -> Callable[[object], Test]:
    def made(limit: object) -> Test:
        return lambda given: (
            isinstance(given, int | float)
            and isinstance(limit, int | float)
            and not isinstance(given, bool)
            and compare(given, limit)
        )

    return made


def _matches(pattern: object) -> Test:
    """The pattern is found anywhere in the text; RE2, whose time is linear in it."""
    found = re2.compile(str(pattern)).search
    return lambda given: isinstance(given, str) and found(given) is not None


def _contains(wanted: object) -> Test:
    """A text contains a text; a list contains a value."""

    def test(given: object) -> bool:
        if isinstance(given, str):
            return isinstance(wanted, str) and wanted in given
        return isinstance(given, Sequence) and any(_same(each, wanted) for each in given)

    return test


OPERATORS: Mapping[Operator, Callable[[object], Test]] = {  # IS_NULL beside them: it alone may meet what is missing
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
