"""What every declaration is made of: frozen values that refuse unknown keys, exact decimals, keys, digests."""

import hashlib
import json
import re
from decimal import Decimal
from math import isfinite
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer


def _decimal(value: object) -> object:
    if isinstance(value, float) and not isfinite(value):  # 1e999
        raise ValueError(f"{value} is no decimal: write digits with a point, in quotes")
    if isinstance(value, bool | float):
        raise ValueError(f'a decimal is written in quotes, for example "{float(value)}"')
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
            raise ValueError(f'{value!r} is no decimal: write digits with a point, for example "0.05"')
        return Decimal(value)
    return Decimal(value) if isinstance(value, int) else value


def _digits(value: Decimal) -> str:
    return f"{value:f}"  # never 1E-7


Exact = Annotated[
    Decimal, BeforeValidator(_decimal), PlainSerializer(_digits, when_used="json"), Field(allow_inf_nan=False)
]
Share = Annotated[Exact, Field(gt=0, lt=1)]
Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{1,62}$")]


class Value(BaseModel):
    """A frozen declaration; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=False)

    def digest(self) -> str:
        """The sha256 of the canonical JSON, 64 hex digits: equal declarations have equal digests."""
        return digest(self.model_dump(mode="json", by_alias=True))


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: the form that is hashed and stored."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """The sha256 of a JSON-able value's canonical form, 64 hex digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
