"""The mapping file: how a shop's own log rows become contract rows. Closed verbs, no code, no SQL.

`LogMapping` is what a file says, frozen. docs/bring-your-logs.md is the language's guide; reading.py reads one,
mapping_checks.py holds what is checked across keys, mapping_sql.py turns the verbs into SQL.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, PrivateAttr, Tag, model_validator
from pydantic_core import PydanticCustomError

from experiments.contracts import CURRENCY_PATTERN
from experiments.spec import Exact, Value

ID_PARTS = ("file_digest", "line", "emit_index", "row_kind")
SAME_NAMES = "same_names"
SHOP_CURRENCY = "shop"

Scalar = bool | int | float | str
As = Literal["integer", "string", "epoch_s", "epoch_ms", "epoch_us"]

_ROW_NUMBER = re.compile(r"[^%]*%(?:0[1-9][0-9]?)?d[^%]*")
_STEP = re.compile(r"([^.\[\]]+)(?:\[([^.\[\]=]+)=([^\[\]]*)\])?")


# --- paths -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a field, and of a key–value list the element whose `key[0]` is `key[1]`."""

    field: str
    key: tuple[str, str] | None = None


def path_steps(path: str) -> tuple[Step, ...]:
    """`a.b[key=name].c` → its steps. ValueError when it is no path."""
    steps: list[Step] = []
    place = 0
    while place <= len(path):
        match = _STEP.match(path, place)
        if match is None or path[match.end() : match.end() + 1] not in ("", "."):
            raise ValueError(path)
        field, key, value = match.groups()
        steps.append(Step(field, None if key is None else (key, value)))
        place = match.end() + 1
    return tuple(steps)


PathText = Annotated[str, Field(min_length=1)]


# --- the file ----------------------------------------------------------------------------------------------------


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _reference(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


def _currency(value: object) -> object:
    return {"code": value} if isinstance(value, str) else value


def _condition(value: object) -> object:
    return value if isinstance(value, Mapping) else {"eq": value}


def _exactly_one(given: Mapping[str, object]) -> None:
    if sum(value is not None for value in given.values()) != 1:
        raise PydanticCustomError("value_error", "{said}", {"said": f"write exactly one of {', '.join(given)}"})


class FileFormat(Value):
    """How the file is written; what is left out is told by its name (.csv, .jsonl, .ndjson, .parquet, .gz)."""

    format: Literal["parquet", "csv", "jsonl"] | None = None
    compression: Literal["none", "gzip"] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    encoding: str = "utf-8"
    nulls: list[str] = Field(default_factory=list)  # texts that mean null, besides the empty field of a CSV file


class Reference(Value):
    """A value of the source row (`column`) or of the list element at hand (`each`)."""

    column: PathText | None = None
    each: PathText | None = None

    @model_validator(mode="after")
    def _one(self) -> "Reference":
        _exactly_one({"column": self.column, "each": self.each})
        return self


class MoneyIn(Value):
    """The currency of an amount: fixed (`code`; `shop` is the shop's own), or read from the row."""

    code: str | None = None
    column: PathText | None = None
    each: PathText | None = None

    @model_validator(mode="after")
    def _one(self) -> "MoneyIn":
        _exactly_one({"code": self.code, "column": self.column, "each": self.each})
        if self.code not in (None, SHOP_CURRENCY) and not re.fullmatch(CURRENCY_PATTERN, str(self.code)):
            said = f"{self.code!r} is no currency code; write USD, or {{column: …}} where the row says it"
            raise PydanticCustomError("value_error", "{said}", {"said": said})
        return self


class Take(Value):
    """Where a contract column's value comes from, and the verbs applied to it, in the order of this list."""

    column: PathText | None = None
    each: PathText | None = None
    row_number: str | None = None
    as_: Annotated[list[As], BeforeValidator(_listed), Field(min_length=1)] | None = Field(None, alias="as")
    values: Annotated[dict[str, Scalar], Field(min_length=1)] | None = None
    times: Annotated[Reference, BeforeValidator(_reference)] | None = None
    abs: bool = False
    money: Annotated[MoneyIn, BeforeValidator(_currency)] | None = None
    columns: dict[str, "Take"] | None = None  # of a list: what is taken of each element

    @model_validator(mode="after")
    def _one(self) -> "Take":
        _exactly_one({"column": self.column, "each": self.each, "row_number": self.row_number})
        if self.row_number is not None and not _ROW_NUMBER.fullmatch(self.row_number):
            said = f'{self.row_number!r} is no row number; write one %d, or %08d for leading zeros: "c%08d"'
            raise PydanticCustomError("value_error", "{said}", {"said": said})
        return self


class When(Value):
    """What a source value must be; all that is given must hold. `gt` and `lt` compare numbers; one prefix is enough."""

    eq: Scalar | None = None
    in_: list[Scalar] | None = Field(None, alias="in")
    gt: int | float | None = None
    lt: int | float | None = None
    prefix: Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)] | None = None
    null: bool | None = None

    @model_validator(mode="after")
    def _some(self) -> "When":
        if not self.model_fields_set:
            raise PydanticCustomError("value_error", "write at least one of eq, in, gt, lt, prefix, null")
        return self


def _form(value: object) -> str:
    return "object" if isinstance(value, Mapping | Take) else "plain"


Given = Annotated[Annotated[Take, Tag("object")] | Annotated[Scalar, Tag("plain")], Discriminator(_form)]
Columns = Annotated[
    Annotated[dict[str, Take], Tag("object")] | Annotated[Literal["same_names"], Tag("plain")], Discriminator(_form)
]


class Emission(Value):
    """One contract row per source row that meets `when` (per element of the list `each`)."""

    to: Literal["exposure", "outcome", "catalogue", "identity"]
    when: dict[str, Annotated[When, BeforeValidator(_condition)]] = Field(default_factory=dict)
    each: PathText | None = None
    set: dict[str, Given] = Field(default_factory=dict)
    columns: Columns = Field(default_factory=dict)

    def takes(self) -> dict[str, Take]:
        """What is read from the row, by key path within the emission (`columns.unit_id`, `set.order_id`)."""
        read = {} if isinstance(self.columns, str) else {f"columns.{name}": take for name, take in self.columns.items()}
        return read | {f"set.{name}": value for name, value in self.set.items() if isinstance(value, Take)}


class EventId(Value):
    """What an event_id is made of where no column gives it: paths of the row, or ID_PARTS.

    `row_kind` is the event's name, or the slot's module and experiment: two mappings of one file make two of them.
    """

    from_: Annotated[list[PathText], Field(min_length=1)] = Field(list(ID_PARTS), alias="from")


class LogMapping(Value):
    """A mapping file. Frozen; equal mappings have equal digests."""

    file: FileFormat = FileFormat()
    time_zone: str | None = None  # of times that say none
    money_digits: Annotated[int, Field(ge=0, le=6)] | None = None  # refused where the shop's differ
    unit_type: str | None = None
    emit: Annotated[list[Emission], Field(min_length=1)]
    rates: dict[str, dict[date, Exact]] = Field(default_factory=dict)  # of 1 in the shop's money, from that day on
    event_id: EventId = EventId()
    _name: str = PrivateAttr("mapping")

    @property
    def name(self) -> str:
        """The file's name, for messages; no part of the digest."""
        return self._name

    def called(self, name: str) -> Self:
        """The same, by the name of its file."""
        self._name = name
        return self

    @property
    def own_event_ids(self) -> bool:
        """Whether the source names its events, so that a row is known again in another file."""
        given = any("columns.event_id" in one.takes() or isinstance(one.columns, str) for one in self.emit)
        return given or not set(self.event_id.from_) <= set(ID_PARTS)
