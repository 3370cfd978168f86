"""What is wrong with a row that a program sent, as problems: field, value, what it may be, and the next step.

What a column may be is read off its contract, so that nobody writes it twice.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from experiments.contracts import (
    EARLIEST,
    FREE_PATTERN,
    LATEST,
    NAME_PATTERN,
    After,
    Closed,
    Column,
    Fault,
    Flag,
    Json,
    Kind,
    Listed,
    Moment,
    Number,
    RequiredWhen,
    Row,
    Text,
    Whole,
    columns,
)
from experiments.errors import Problem, nearest
from experiments.loading import dotted

ROW = "(item)"  # the path of a row as a whole
MOST = 50  # problems told of one row
_MINOR = "minor units"


def row_problems(model: type[Row], given: Mapping[str, object], found: tuple[Fault, ...]) -> list[Problem]:
    """The faults of a row in the order of its contract; what is beyond MOST is counted in one last problem."""
    told = [_problem(model, given, fault) for fault in found[:MOST]]
    if len(found) > MOST:
        told.append(Problem("more", ROW, None, f"has {len(found) - MOST} problems more", (), "mend these first"))
    return told


def not_an_object(given: object) -> Problem:
    """What stands where a row should."""
    return Problem("malformed", ROW, given, "may be a JSON object only", (), "send its fields by name")


def not_encodable(given: object) -> Problem:
    """A row that cannot be written down: a number beyond every column, or endless nesting."""
    said = "holds a number of too many digits, or is nested too deep"
    return Problem("malformed", ROW, given, said, (), "send numbers below 2^63, and flat properties")


def ahead(name: str, given: object, at: datetime, now: datetime, limit: timedelta) -> Problem | None:
    """A time that lies more than `limit` after `now`, if `at` does."""
    if at <= now + limit:
        return None
    minutes = int(limit.total_seconds() / 60)
    said = f"may be at most {minutes} minutes after {now.isoformat()}, the clock of the service"
    return Problem(f"{name}_ahead", name, given, said, (), "correct the sender's clock, or send it when it is so")


def may_be(kind: Kind) -> str:
    """What a column takes, in words."""
    match kind:
        case Text(pattern=pattern, longest=longest, may_be_empty=may_be_empty, nulls=nulls):
            form = {
                NAME_PATTERN: ", without control characters and without white space at its ends",
                FREE_PATTERN: ", without the character NUL",
            }.get(pattern, f" of the form {pattern}")
            none = f", and none of {', '.join(nulls)}" if nulls else ""
            return f"text of {0 if may_be_empty else 1} to {longest:,} characters{form}{none}"
        case Whole(least=least, most=most, unit=unit):
            return f"a whole number from {least:,} to {most:,} ({unit})"
        case Number(least=least, most=most):
            return f"a number from {least:g} to {most:g}"
        case Flag():
            return "true or false"
        case Moment():
            return f"an ISO 8601 time with a zone, from {EARLIEST.year} to {LATEST.year - 1}"
        case Closed(values=values):
            return ", ".join(values)
        case Json():
            return "a JSON object"
        case Listed(most=most):
            return f"a list of at most {most:,} objects"


def _problem(model: type[Row], given: Mapping[str, object], fault: Fault) -> Problem:
    path = dotted(fault.path) or ROW
    if fault.reason == "unknown_field":
        part = _model_at(model, fault.path)
        names = [column.name for column in columns(part)]
        near = nearest(fault.path[-1], names)
        step = "correct its name, or leave it out" if near else f"leave it out; there are {', '.join(names)}"
        return Problem(fault.reason, path, fault.given, "is no field of this contract", near, step)
    if fault.column is None:
        return Problem(fault.reason, path, fault.given, "may be a JSON object only", (), "send its fields by name")
    column = fault.column
    for rule in model.rules:
        if isinstance(rule, After) and fault.reason == f"{rule.later}_not_after_{rule.earlier}":
            said, step = f"may be a time after {rule.earlier} only", f"correct {rule.later} or {rule.earlier}"
            return Problem(fault.reason, path, given.get(rule.later), said, (), step)
    if fault.reason.endswith("_missing"):
        said, value = f"is missing{_wanted(model, given, column)}; it may be {may_be(column.kind)}", fault.given
        value = given.get(column.name) if len(fault.path) == 1 else value
        return Problem(fault.reason, path, value, said, (), f"give {column.name}")
    near = nearest(fault.given, column.kind.values) if isinstance(column.kind, Closed) else ()
    return Problem(fault.reason, path, fault.given, f"may be {may_be(column.kind)}", near, _step(fault, column))


def _step(fault: Fault, column: Column) -> str:
    number = fault.given
    if isinstance(column.kind, Whole) and column.kind.unit == _MINOR and isinstance(number, float):
        if abs(number) < column.kind.most:
            return f"count it in {_MINOR}: where these are cents, {number:.2f} is {round(number * 100)}"
        return f"count it in {_MINOR}"
    return "correct it" if column.required else "correct it, or leave it out where it is not known"


def _wanted(model: type[Row], given: Mapping[str, object], column: Column) -> str:
    """Why a column that may be missing has to be given here."""
    for rule in model.rules:
        if isinstance(rule, RequiredWhen) and column.name in rule.columns and not column.required:
            values = {name: given.get(name) for name in rule.given}
            if all(isinstance(values[name], str) and (not of or values[name] in of) for name, of in rule.given.items()):
                return f", which a row needs where {' and '.join(_said(rule, values))}"
    return ""


def _said(rule: RequiredWhen, values: Mapping[str, object]) -> Iterator[str]:
    for name, of in rule.given.items():
        yield f"{name} is {values[name]}" if of else f"{name} is given"


def _model_at(model: type[Row], path: tuple[str | int, ...]) -> type[Row]:
    """The contract of the object that the last part of the path is a field of."""
    for column in columns(model):
        if len(path) > 1 and column.name == path[0] and isinstance(column.kind, Listed):
            inner = column.kind.model
            return inner if issubclass(inner, Row) else model
    return model
