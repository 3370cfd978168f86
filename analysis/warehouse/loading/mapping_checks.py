"""What must hold across the keys of a mapping: known columns, required columns, constants and verbs that fit."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from pydantic import ValidationError

from analysis.warehouse.loading.mapping import (
    ID_PARTS,
    SAME_NAMES,
    SHOP_CURRENCY,
    Emission,
    LogMapping,
    Reference,
    Scalar,
    Take,
    path_steps,
)
from experiments.contracts import CONTRACTS, Column, Listed, Moment, RequiredWhen, Whole, adapter, columns
from experiments.currencies import EXPONENTS
from experiments.errors import Problem, nearest
from experiments.loading import Document

Path_ = tuple[str | int, ...]


class Found(NamedTuple):
    """A problem before it has its line."""

    code: str
    path: Path_
    value: object
    message: str
    near: tuple[str, ...] = ()
    next_step: str = ""


def cross_checks(mapping: LogMapping, document: Document) -> list[Problem]:
    """Every problem of a mapping whose keys and types are right."""
    return [
        document.problem(found.code, found.path, found.value, found.message, near=found.near, next_step=found.next_step)
        for found in _all(mapping)
    ]


def constant(column: Column, value: Scalar, mapping: LogMapping) -> Scalar | datetime:
    """A constant of `set` as the contract takes it: a day or a time without a zone is the mapping's zone's."""
    if isinstance(column.kind, Moment) and isinstance(value, str) and mapping.time_zone in available_timezones():
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return value
        return at.replace(tzinfo=ZoneInfo(str(mapping.time_zone))) if at.tzinfo is None else at
    return value


def _all(mapping: LogMapping) -> Iterator[Found]:
    if mapping.time_zone is not None and mapping.time_zone not in available_timezones():
        near = nearest(mapping.time_zone, available_timezones())
        yield Found("time_zone", ("time_zone",), mapping.time_zone, f"{mapping.time_zone!r} is no IANA time zone", near)
    for currency, dated in mapping.rates.items():
        if currency not in EXPONENTS:
            yield _no_currency(("rates", currency), currency)
        for day, rate in dated.items():
            if not 0 < rate < 10**9 or len(rate.as_tuple().digits) > 12:
                at = ("rates", currency, day.isoformat())
                yield Found("rate", at, str(rate), f"{rate} is no rate: above 0, with at most 12 digits")
    for index, part in enumerate(mapping.event_id.from_):
        if part not in ID_PARTS:
            yield from _check_path(("event_id", "from", index), part)
    for index, emission in enumerate(mapping.emit):
        yield from _check_emission(("emit", index), emission, mapping)


def _no_currency(at: Path_, code: str) -> Found:
    return Found("currency", at, code, f"{code!r} is no ISO 4217 currency", nearest(code, EXPONENTS))


def _check_path(at: Path_, path: str) -> Iterator[Found]:
    try:
        path_steps(path)
    except ValueError:
        said = f"{path!r} is not a path; write column, column.field or list[key=name].field"
        yield Found("path", at, path, said)


def _check_emission(at: Path_, emission: Emission, mapping: LogMapping) -> Iterator[Found]:
    contract = {column.name: column for column in columns(CONTRACTS[emission.to])}
    given = {} if isinstance(emission.columns, str) else emission.columns
    for path in emission.when:
        yield from _check_path((*at, "when", path), path)
    if emission.each is not None:
        yield from _check_path((*at, "each"), emission.each)
    for where, names in (("set", list(emission.set)), ("columns", list(given))):
        for name in names:
            if name not in contract:
                near, step = nearest(name, contract), f"{emission.to} has {', '.join(contract)}"
                said = f"{emission.to} has no column {name}"
                yield Found("unknown_column", (*at, where, name), name, said, near, "" if near else step)
    for name in given.keys() & emission.set.keys():
        yield Found("given_twice", (*at, "columns", name), name, f"{name} is in set too", (), "keep one of them")
    for where, take in emission.takes().items():
        group, name = where.split(".", 1)
        if name in contract:
            yield from _check_take((*at, group, name), contract[name], take, emission)
    for name, value in emission.set.items():
        if name in contract and not isinstance(value, Take):
            yield from _check_constant((*at, "set", name), emission.to, contract[name], value, mapping)
    yield from _check_supplied(at, emission, mapping)
    if "unit_type" in contract and mapping.unit_type is not None:
        yield from _check_constant(("unit_type",), emission.to, contract["unit_type"], mapping.unit_type, mapping)
    priced = any(take.money for take in emission.takes().values())
    if "currency" in {*given, *emission.set} and priced:
        said = "the currency comes with money:"
        yield Found("given_twice", (*at, "columns", "currency"), None, said, (), "leave currency out")


def _check_supplied(at: Path_, emission: Emission, mapping: LogMapping) -> Iterator[Found]:
    """Required columns, and those that the constants of `set` make required."""
    if emission.columns == SAME_NAMES:
        if emission.each is not None:
            said = "same_names takes whole rows"
            yield Found("each", (*at, "each"), emission.each, said, (), "name the columns, or leave each out")
        return
    supplied = {*emission.columns, *emission.set, "event_id", *(("unit_type",) if mapping.unit_type else ())}
    needed = [column.name for column in columns(CONTRACTS[emission.to]) if column.required]
    for rule in CONTRACTS[emission.to].rules:
        if isinstance(rule, RequiredWhen):
            fixed = {name: emission.set.get(name) for name in rule.given}
            if all(fixed[name] in values if values else fixed[name] is not None for name, values in rule.given.items()):
                needed += rule.columns
    for name in dict.fromkeys(needed):
        if name not in supplied:
            yield Found("required_column", (*at, "columns", name), None, f"{emission.to} needs {name}", (),
                        "give it in columns or set")  # fmt: skip


def _check_take(at: Path_, column: Column, take: Take, emission: Emission) -> Iterator[Found]:
    money = isinstance(column.kind, Whole) and column.kind.unit == "minor units"
    if take.money is not None and not money:
        yield Found("verb", (*at, "money"), None, f"{column.name} is not money", (), "leave money out")
    if money and not take.money and not take.values and "integer" not in (take.as_ or ()):
        said = f"{column.name} is money, and nothing says in which unit it is"
        step = "write money: shop for 12.99 of the shop's currency, as: integer for whole smallest units such as 1299"
        yield Found("money_unit", at, None, said, (), step)
    if take.money is not None and take.money.code not in (None, SHOP_CURRENCY, *EXPONENTS):
        yield _no_currency((*at, "money"), str(take.money.code))
    if (take.times or take.abs) and not isinstance(column.kind, Whole):
        yield Found("verb", at, None, f"times and abs are for whole numbers and money, not for {column.name}")
    if any(verb.startswith("epoch") for verb in take.as_ or ()) and not isinstance(column.kind, Moment):
        yield Found("verb", (*at, "as"), list(take.as_ or ()), f"{column.name} is not a time")
    if take.values is not None and len({type(value) for value in take.values.values()}) > 1:
        yield Found("verb", (*at, "values"), None, "the values are of several types", (), "quote the texts")
    references: list[tuple[str, Take | Reference]] = [("", take)]
    references += [("times", take.times)] if take.times is not None else []
    for name, reference in references:
        yield from _check_reference((*at, name) if name else at, reference, emission)
    if take.money is not None and take.money.code is None:
        yield from _check_reference((*at, "money"), Reference(column=take.money.column, each=take.money.each), emission)
    if isinstance(column.kind, Listed):
        yield from _check_items((*at, "columns"), column.kind, take)
    elif take.columns is not None:
        yield Found("verb", (*at, "columns"), None, f"{column.name} is not a list", (), "leave columns out")


def _check_reference(at: Path_, reference: Take | Reference, emission: Emission) -> Iterator[Found]:
    if reference.column is not None:
        yield from _check_path((*at, "column"), reference.column)
    if reference.each is not None:
        if emission.each is None:
            yield Found("each", (*at, "each"), reference.each, "there is no list element here", (),
                        "give the emission its each:")  # fmt: skip
        elif reference.each != ".":
            yield from _check_path((*at, "each"), reference.each)


def _check_items(at: Path_, kind: Listed, take: Take) -> Iterator[Found]:
    inner = {part.name: part for part in columns(kind.model)}
    for name, part in (take.columns or {}).items():
        if name not in inner:
            yield Found("unknown_column", (*at, name), name, f"an item has no column {name}", nearest(name, inner),
                        f"an item has {', '.join(inner)}")  # fmt: skip
        elif part.each is None or part.times or part.money or part.columns or part.values or part.abs:
            said = "of an element one can take each, with as"
            yield Found("each", (*at, name), None, said, (), "write {each: field}, or {each: .} for the element itself")
        elif part.each != ".":
            yield from _check_path((*at, name, "each"), part.each)
    if take.columns is not None and "item_id" not in take.columns:
        yield Found("required_column", (*at, "item_id"), None, "an item needs item_id", (), "give it in columns")


def _check_constant(at: Path_, to: str, column: Column, value: Scalar, mapping: LogMapping) -> Iterator[Found]:
    try:
        adapter(CONTRACTS[to], column.name).validate_python(constant(column, value, mapping))
    except ValidationError as error:
        for found in error.errors(include_url=False):
            if found["type"] == "no_zone":
                yield Found("naive_time", at, value, f"{value!r} has no time zone", (), "write a Z, or give time_zone:")
            else:
                allowed = str((found.get("ctx") or {}).get("expected", "")).replace("'", "").replace(" or ", ", ")
                near = nearest(value, allowed.split(", ")) if found["type"] == "literal_error" else ()
                yield Found(
                    "constant", at, value, f"{value!r}: {found['msg'].replace('Input should', 'it should')}", near
                )
