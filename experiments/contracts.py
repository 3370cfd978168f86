"""The contract rows: the only place that defines their names, types, units, nullability and bounds.

    exposure    one rendered slot ("slate"): who saw which arm, where, when        ASSIGNMENT 7
    outcome     one thing a unit did; a purchase is one order line
    catalogue   what an item was from valid_from on: price, margin, stock, category
    identity    one link from an anonymous id to a user

The DuckDB tables, the bulk checks of a load and the JSON Schema for producers are derived from these
models. A row is refused for every reason at once; a reason is `<column>_<fault>`, for example
`unit_missing` (the column unit_id is spoken of as `unit`), `value_negative`, `currency_unknown`.

Instants are UTC with microseconds (finer digits are cut), money is in minor units of the shop's currency.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

MONEY_LIMIT = 10**12  # minor units, either way of zero
TEXT_LIMIT = 256  # characters
EARLIEST, LATEST = (
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2200, 1, 1, tzinfo=UTC),
)  # instants lie in [EARLIEST, LATEST)

# One pattern for Python's re, for RE2 in the bulk checks and for the JSON Schema.
_CONTROL = r"\x00-\x1f\x7f-\x9f"
_SPACE = " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
NAME_PATTERN = f"[^{_CONTROL}{_SPACE}](?:[^{_CONTROL}]*[^{_CONTROL}{_SPACE}])?"
FREE_PATTERN = r"[^\x00]*"
CURRENCY_PATTERN = "[A-Z]{3}"
NULL_TEXTS = ("NULL", "Null", "null", "None", "none", "NaN", "nan", "undefined", "(null)", "\\N")  # no one's id
_DAY = r"([12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))"
_CLOCK = r"((?:[01][0-9]|2[0-3]):[0-5][0-9])(?::([0-5][0-9])(?:[.,]([0-9]{1,9}))?)?"
_ZONE = r"(Z|UTC|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)"
INSTANT_PATTERN = f"{_DAY}(?:[T ]{_CLOCK}(?: ?{_ZONE})?)?"  # groups: day, hour and minute, second, fraction, zone
_INSTANT = re.compile(INSTANT_PATTERN)


# --- kinds of column: one marker says it to pydantic, to SQL and to the JSON Schema ------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """Text of 1 to `longest` characters (0 to `longest` when `may_be_empty`)."""

    pattern: str = NAME_PATTERN
    mismatch: str = "bad_characters"  # the fault when the pattern does not match
    longest: int = TEXT_LIMIT
    may_be_empty: bool = False
    nulls: tuple[str, ...] = ()  # texts that only say that there is no value: as if it were missing

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        shortest = 0 if self.may_be_empty else 1
        text = core_schema.str_schema(
            strict=True, min_length=shortest, max_length=self.longest, pattern=f"^(?:{self.pattern})$"
        )
        return core_schema.no_info_after_validator_function(self._some, text) if self.nulls else text

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = handler(schema)
        return {**made, "not": {"enum": list(self.nulls)}} if self.nulls else made

    def _some(self, text: str) -> str:
        if text in self.nulls:
            raise PydanticCustomError("missing", "Input should be an id, not a text that stands for none")
        return text


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number in [least, most]; `unit` says of what."""

    least: int
    most: int
    unit: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.int_schema(strict=True, ge=self.least, le=self.most)


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number in [least, most]; read by no metric."""

    least: float
    most: float

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.float_schema(strict=True, ge=self.least, le=self.most, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.bool_schema(strict=True)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant with a zone, kept as UTC."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(instant)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^(?:{_DAY}[T ]{_CLOCK} ?{_ZONE})$"}


@dataclass(frozen=True, slots=True)
class Closed:
    """One of these texts."""

    values: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.values))


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON object, kept as it came."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of at most `most` rows of `model`."""

    model: type[BaseModel]
    most: int

    def __get_pydantic_core_schema__(self, source: type[object], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.list_schema(handler.generate_schema(self.model), strict=True, max_length=self.most)


Kind = Text | Whole | Number | Flag | Moment | Closed | Json | Listed


def instant(value: object) -> datetime:
    """The instant in UTC. Takes aware datetimes and ISO 8601 texts with a zone; a bare date or time has none."""
    if isinstance(value, datetime):
        given = value
    elif isinstance(value, str) and (match := _INSTANT.fullmatch(value)):
        day, minute, second, fraction, zone = match.groups()
        zone = "+00:00" if zone in ("Z", "UTC") else (zone or "")
        zone = f"{zone[:3]}:{zone[-2:]}" if len(zone) == 5 else zone
        try:
            given = datetime.fromisoformat(f"{day}T{minute or '00:00'}:{second or '00'}{zone}")
        except ValueError:
            raise PydanticCustomError("not_time", "not a day of the calendar") from None
        given = given.replace(microsecond=int((fraction or "")[:6].ljust(6, "0")))
    else:
        raise PydanticCustomError("not_time", "not an ISO 8601 time")
    if given.tzinfo is None:
        raise PydanticCustomError("no_zone", "a time without a zone")
    given = given.astimezone(UTC)
    if not EARLIEST <= given < LATEST:
        raise PydanticCustomError("out_of_range", "not between 1970 and 2200")
    return given


# --- rules over several columns ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequiredWhen:
    """`columns` must be given where every text column of `given` has one of its values (none listed: any text)."""

    given: Mapping[str, tuple[str, ...]]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class After:
    """`later`, where both are given, lies after `earlier`; the fault is `<later>_not_after_<earlier>`."""

    earlier: str
    later: str


Rule = RequiredWhen | After


class Row(BaseModel):
    """A contract row. Unknown fields are refused; nothing is coerced, nothing repaired."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = handler.resolve_ref_schema(handler(schema))
        conditions = [_required_when(rule) for rule in cls.rules if isinstance(rule, RequiredWhen)]
        return {**made, "allOf": conditions} if conditions else made

    @model_validator(mode="wrap")
    @classmethod
    def _every_reason(cls, data: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Field faults and rule faults together: pydantic alone stops before the rules when a field is wrong."""
        faults: list[InitErrorDetails] = []
        made: Self | None = None
        try:
            made = handler(data)
        except ValidationError as error:
            faults += [_again(found) for found in error.errors(include_url=False)]
        if isinstance(data, Mapping):
            wrong = {str(fault["loc"][0]) for fault in faults if fault.get("loc")}
            faults += [_said(*found, data) for found in _broken(cls.rules, data, wrong)]
        if made is None or faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return made


def _required_when(rule: RequiredWhen) -> JsonSchemaValue:
    given = {
        name: {"type": "string", **({"enum": list(values)} if values else {})} for name, values in rule.given.items()
    }
    there = {name: {"not": {"type": "null"}} for name in rule.columns}
    return {
        "if": {"properties": given, "required": list(rule.given)},
        "then": {"properties": there, "required": list(rule.columns)},
    }


def _again(found: ErrorDetails) -> InitErrorDetails:
    """A field's error as part of the row's: the same type, place and input."""
    said = PydanticCustomError(found["type"], "{said}", {"said": found["msg"]})
    return InitErrorDetails(type=said, loc=found["loc"], input=found["input"])


def _said(column: str, fault: str, data: Mapping[str, object]) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(fault, "{said}", {"said": fault}), loc=(column,), input=data)


def _broken(rules: tuple[Rule, ...], data: Mapping[str, object], wrong: set[str]) -> Iterator[tuple[str, str]]:
    missing: dict[str, None] = {}
    for rule in rules:
        match rule:
            case RequiredWhen(given, columns):
                holds = all(
                    isinstance(data.get(column), str) and (not values or data[column] in values)
                    for column, values in given.items()
                )
                missing |= {column: None for column in columns if holds and data.get(column) is None}
            case After(earlier, later) if not {earlier, later} & wrong:
                first, second = data.get(earlier), data.get(later)
                if first is not None and second is not None and instant(second) <= instant(first):
                    yield later, f"not_after_{earlier}"
    yield from ((column, "missing") for column in missing)


# --- the rows ----------------------------------------------------------------------------------------------------

Name = Annotated[str, Text()]
Id = Annotated[str, Text(nulls=NULL_TEXTS)]
FreeText = Annotated[str, Text(FREE_PATTERN, longest=4096, may_be_empty=True)]
Currency = Annotated[str, Text(CURRENCY_PATTERN, mismatch="unknown")]
Instant = Annotated[datetime, Moment()]
Money = Annotated[int, Whole(-MONEY_LIMIT, MONEY_LIMIT, "minor units")]
PositiveMoney = Annotated[int, Whole(0, MONEY_LIMIT, "minor units")]
Count = Annotated[int, Whole(0, 10**9, "pieces")]
Milliseconds = Annotated[int, Whole(0, 10**10, "ms")]
Bucket = Annotated[int, Whole(0, 9999, "bucket")]
Bool = Annotated[bool, Flag()]

UnitType = Literal["user", "session", "device", "cluster_window", "request"]
AssignmentReason = Literal[
    "split", "arm_disabled", "burn_in", "interleaved", "override", "holdout", "not_in_layer", "not_in_traffic",
    "not_targeted", "not_running", "killed", "none",
]  # fmt: skip
EventName = Literal["view", "click", "add_to_cart", "purchase", "refund", "cancel", "open", "unsubscribe"]
Browser = Literal[
    "chrome", "chrome_mobile", "safari", "safari_mobile", "firefox", "firefox_mobile", "edge", "opera",
    "samsung_internet", "in_app_webview", "native_app", "other",
]  # fmt: skip


class Item(Row):
    """One item of a slate. `position` counts from 1."""

    item_id: Id
    position: Annotated[int, Whole(1, 10**6, "place, from 1")] | None = None
    score: Annotated[float, Number(-1e308, 1e308)] | None = None
    propensity: Annotated[float, Number(0, 1)] | None = None
    source: Name | None = None


class Exposure(Row):
    """A rendered slot: the moment the arms could differ for the unit, logged for control as for treatment."""

    event_id: Id
    event_ts: Instant
    received_ts: Instant | None = None
    experiment_key: Name | None = None
    phase: Annotated[int, Whole(1, 10**6, "phase, from 1")] | None = None
    flag_key: Name | None = None
    module: Name
    layer_key: Name | None = None
    page_category: Name | None = None
    unit_type: UnitType
    unit_id: Id
    user_id: Id | None = None
    session_id: Id | None = None
    device_id: Id | None = None
    variant: Name | None = None
    served_variant: Name | None = None
    assignment_reason: AssignmentReason
    split_bucket: Bucket | None = None
    traffic_bucket: Bucket | None = None
    layer_bucket: Bucket | None = None
    traffic_bp: Annotated[int, Whole(0, 10000, "10^-4 of the traffic")] | None = None
    hash_version: Literal["md5-32/1"] | None = None
    config_version: Name | None = None
    strategy: Name | None = None
    strategy_version: Name | None = None
    fallback: Bool | None = None
    fallback_cause: Name | None = None
    trigger: Literal["render", "serve"] | None = None
    request_id: Id | None = None
    platform: Name | None = None
    browser: Browser | None = None
    country: Name | None = None
    app_version: Name | None = None
    latency_ms: Milliseconds | None = None
    items: Annotated[list[Item], Listed(Item, 1000)] | None = None
    would_differ: Bool | None = None
    is_bot: Bool | None = None
    is_internal: Bool | None = None
    schema_version: Literal["exposure.v1"] | None = None

    rules: ClassVar[tuple[Rule, ...]] = (
        RequiredWhen(
            {"assignment_reason": ("split", "arm_disabled", "burn_in", "override")},
            ("experiment_key", "phase", "variant"),
        ),
        RequiredWhen({"assignment_reason": ("interleaved",)}, ("experiment_key", "phase")),
        # Assigned by truelift (a hash version is given): the audit recomputes every step.
        RequiredWhen(
            {"assignment_reason": ("split", "arm_disabled", "burn_in"), "hash_version": ()},
            ("split_bucket", "traffic_bucket", "layer_bucket", "traffic_bp", "config_version"),
        ),
        RequiredWhen(
            {"assignment_reason": ("interleaved",), "hash_version": ()},
            ("traffic_bucket", "layer_bucket", "traffic_bp", "config_version"),
        ),
    )


class Outcome(Row):
    """One thing a unit did. A purchase is one order line: value = line total, net of discount and tax."""

    event_id: Id
    event_ts: Instant
    received_ts: Instant | None = None
    unit_type: UnitType
    unit_id: Id
    user_id: Id | None = None
    session_id: Id | None = None
    device_id: Id | None = None
    event_name: EventName
    value: PositiveMoney | None = None
    margin: Money | None = None
    quantity: Count | None = None
    discount: PositiveMoney | None = None
    currency: Currency | None = None
    item_id: Id | None = None
    order_id: Id | None = None
    module: Name | None = None
    item_category: Name | None = None
    query: FreeText | None = None
    request_id: Id | None = None
    browser: Browser | None = None
    platform: Name | None = None
    dwell_ms: Milliseconds | None = None
    properties: Annotated[dict[str, object], Json()] | None = None
    schema_version: Literal["outcome.v1"] | None = None

    rules: ClassVar[tuple[Rule, ...]] = (RequiredWhen({"event_name": ("purchase",)}, ("order_id", "value")),)


class Catalogue(Row):
    """What an item was from `valid_from` until its next row, or `valid_to` if that comes first."""

    item_id: Id
    category: Name | None = None  # a path, "living/sofas"; its top level is the item_category
    brand: Name | None = None
    variant_group: Name | None = None
    price: PositiveMoney | None = None
    margin: Money | None = None
    stock: Annotated[int, Whole(-(10**9), 10**9, "pieces")] | None = None  # oversold is below 0
    valid_from: Instant
    valid_to: Instant | None = None
    ship_days: Annotated[int, Whole(0, 1000, "days")] | None = None
    schema_version: Literal["catalogue.v1"] | None = None

    rules: ClassVar[tuple[Rule, ...]] = (After("valid_from", "valid_to"),)


class Identity(Row):
    """A link from an anonymous id to a user; of several for one anonymous id the first seen wins."""

    anonymous_id: Id
    user_id: Id
    first_seen: Instant
    schema_version: Literal["identity.v1"] | None = None


CONTRACTS: Mapping[str, type[Row]] = {
    "exposure": Exposure,
    "outcome": Outcome,
    "catalogue": Catalogue,
    "identity": Identity,
}


# --- what is derived ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a contract, as SQL and mappings see it."""

    name: str
    kind: Kind
    required: bool

    @property
    def subject(self) -> str:
        """What reasons call it: unit_id is `unit`."""
        return "unit" if self.name == "unit_id" else self.name


def columns(model: type[BaseModel]) -> tuple[Column, ...]:
    """The model's columns in order."""
    return tuple(Column(name, _kind(field.annotation, tuple(field.metadata)), field.is_required())
                 for name, field in model.model_fields.items())  # fmt: skip


def _kind(annotation: object, metadata: tuple[object, ...]) -> Kind:
    for marker in metadata:
        if isinstance(marker, Kind):
            return marker
    arguments = get_args(annotation)
    if arguments and all(isinstance(value, str) for value in arguments):
        return Closed(arguments)
    inner = next(part for part in arguments if part is not type(None))
    if hasattr(inner, "__metadata__"):
        return _kind(get_args(inner)[0], tuple(inner.__metadata__))
    return _kind(inner, ())


@cache
def adapter(model: type[BaseModel], name: str) -> TypeAdapter[object]:
    """A validator of one column alone, for constants."""
    field = model.model_fields[name]
    marked: type[object] = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation  # type: ignore[assignment]
    return TypeAdapter(marked)


_FAULTS: Mapping[str, str] = {
    "missing": "missing",
    "string_type": "not_text",
    "string_too_short": "empty",
    "string_too_long": "too_long",
    "int_type": "not_integer",
    "int_from_float": "not_integer",
    "float_type": "not_number",
    "finite_number": "not_number",
    "bool_type": "not_boolean",
    "dict_type": "not_object",
    "list_type": "not_list",
    "too_long": "too_long",
    "less_than_equal": "too_large",
    "model_type": "not_object",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing against a row: its reason, where it stands, what was given there, and what the column takes."""

    reason: str
    path: tuple[str | int, ...]  # of the row; empty for the row as a whole
    given: object  # None where nothing is
    column: Column | None  # None where the contract has none of that name, and for the row as a whole


def reasons(model: type[Row], row: str | bytes) -> frozenset[str]:
    """Why the contract refuses this row, given as one JSON object; empty when it does not."""
    return frozenset(fault.reason for fault in faults(model, row))


def faults(model: type[Row], row: str | bytes) -> tuple[Fault, ...]:
    """The same with place and value."""
    try:
        model.model_validate_json(row)
    except ValidationError as error:
        return tuple(_found(model, found) for found in error.errors(include_url=False))
    return ()


def _found(model: type[BaseModel], found: ErrorDetails) -> Fault:
    where = tuple(part for part in found["loc"] if isinstance(part, str))
    kind, given = found["type"], found["input"]
    if kind == "extra_forbidden":
        return Fault("unknown_field", found["loc"], given, None)
    if kind in ("json_invalid", "model_type", "model_attributes_type") and not where:
        return Fault("malformed", (), given, None)
    inner, *rest = where
    column = next(column for column in columns(model) if column.name == inner)
    subject = column.subject
    if len(found["loc"]) > 1 and not rest:
        return Fault(f"{subject}_not_object", found["loc"], given, None)  # an element, as a whole
    if rest and isinstance(column.kind, Listed):
        part = next(part for part in columns(column.kind.model) if part.name == rest[0])
        column, subject = part, f"{subject}_{part.subject}"
    told = None if kind == "missing" and isinstance(given, Mapping) else given  # pydantic gives what it is missing in
    return Fault(f"{subject}_{_fault(column, kind, given)}", found["loc"], told, column)


def _fault(column: Column, kind: str, given: object) -> str:
    if kind != "missing" and given is None:
        return "missing"
    match column.kind, kind:
        case Closed(), "literal_error":
            return "unknown" if isinstance(given, str) else "not_text"
        case Text(mismatch=mismatch), "string_pattern_mismatch":
            return mismatch
        case ((Whole(least=least) | Number(least=least)), "greater_than_equal"):
            return "negative" if least == 0 else "too_small"
        case _:
            return _FAULTS.get(kind, kind)
