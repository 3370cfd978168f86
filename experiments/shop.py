"""A shop is a folder: its settings, its definitions, its warehouse and its store. ARCHITECTURE, decision 10.

`truelift.toml` holds the settings; an environment variable TRUELIFT_<NAME> overrides one, an unknown name is refused.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files as packaged
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from experiments.currencies import EXPONENTS
from experiments.errors import DefinitionError, NotFoundError, Problem, UsageError, nearest
from experiments.freeze import window

SETTINGS_FILE = "truelift.toml"
MODULES = ("homepage", "pdp", "cart", "email")  # what init makes layers for; a shop's own are as good


class Settings(BaseSettings):
    """What holds for a whole shop; the environment wins over the file."""

    model_config = SettingsConfigDict(env_prefix="TRUELIFT_", extra="forbid", frozen=True, env_ignore_empty=True)

    currency: str = "EUR"  # ISO 4217: the one currency everything is reported in
    money_digits: Annotated[int, Field(ge=0, le=4)] | None = None  # None: the currency's own
    time_zone: str = "UTC"  # IANA: where a business day begins
    store_url: str | None = None  # None: registry.sqlite in the shop's folder
    warehouse: Path | None = None  # None: warehouse.duckdb in the shop's folder; relative to it
    margin_floor: Annotated[Decimal, Field(ge=-1, le=1)] | None = None  # of the price, for what is recommended
    freeze: tuple[str, ...] = ()  # when no ramp takes a step: "friday 16:00-24:00", "christmas 2026-12-18/2027-01-02"

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str) -> str:
        if value not in EXPONENTS:
            raise PydanticCustomError("currency", "is not an ISO 4217 currency code")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise PydanticCustomError("time_zone", "is not an IANA time zone")
        return value

    @field_validator("freeze")
    @classmethod
    def _readable_freeze(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for written in value:
            try:
                window(written)
            except ValueError as error:
                raise PydanticCustomError("freeze", "{said}", {"said": str(error)}) from None
        return value

    @property
    def digits(self) -> int:
        """How many decimal digits an amount has: money is whole numbers of 10^-digits."""
        return EXPONENTS[self.currency] if self.money_digits is None else self.money_digits

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which business days are cut."""
        return ZoneInfo(self.time_zone)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment over what the file gave; no .env file, no secrets folder."""
        return env_settings, init_settings


@dataclass(frozen=True, slots=True)
class Shop:
    """Where everything of one shop lies."""

    home: Path
    settings: Settings

    @property
    def definitions(self) -> Path:
        """The folder of experiment definitions, one YAML file each."""
        return self.home / "definitions"

    @property
    def layers(self) -> Path:
        """The folder of layers, one YAML file each."""
        return self.home / "layers"

    @property
    def holdouts(self) -> Path:
        """The folder of holdouts, one YAML file each."""
        return self.home / "holdouts"

    @property
    def metrics_file(self) -> Path:
        """The shop's own metrics, beside the shipped ones."""
        return self.home / "metrics.yml"

    @property
    def slices_file(self) -> Path:
        """The slices every experiment is cut by."""
        return self.home / "slices.yml"

    @property
    def money_file(self) -> Path:
        """What may be lost, margins, seasons and costs: by these alerts weigh a loss."""
        return self.home / "money.yml"

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB file."""
        return self.home / (self.settings.warehouse or "warehouse.duckdb")

    @property
    def lock_path(self) -> Path:
        """The lock of whoever has the warehouse open."""
        return self.warehouse_path.with_name("warehouse.lock")

    @property
    def store_url(self) -> str:
        """The store, as a SQLAlchemy URL."""
        return self.settings.store_url or f"sqlite:///{self.home / 'registry.sqlite'}"

    @property
    def spool(self) -> Path:
        """Where a service appends exposures and outcomes until they are loaded."""
        return self.home / "spool"

    @property
    def published(self) -> Path:
        """What the service reads."""
        return self.home / "published"


def open_shop(home: Path | None = None) -> Shop:
    """The shop at `home`, else at TRUELIFT_HOME, else at ./shop.

    NotFoundError when there is none; DefinitionError with every wrong setting.
    """
    folder = (home or Path(os.environ.get("TRUELIFT_HOME") or "shop")).absolute()
    file = folder / SETTINGS_FILE
    if not file.is_file():
        raise NotFoundError(f"{folder}: not a shop, it has no {SETTINGS_FILE}; make one with `truelift init {folder}`")
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(str(file), [Problem("toml", "(file)", SETTINGS_FILE, str(error))]) from error
    return Shop(folder, _settings(str(file), given))


def create(home: Path, *, modules: Sequence[str] = MODULES, **settings: object) -> Shop:
    """Make a shop's folder with commented example files; what the environment overrides is not written into them.

    Each module gets a layer of its own. DefinitionError when a setting is wrong, UsageError when a module's name is or
    when one of the files is there already.
    """
    wrong = [name for name in modules if not re.fullmatch(r"[a-z0-9][a-z0-9_]{1,62}", name)]
    if wrong:
        raise UsageError(f"module {', '.join(map(repr, wrong))}: 2 to 63 of a-z, 0-9 and _, the first not _")
    folder = home.absolute()
    given = {name: value for name, value in settings.items() if value is not None}
    shop = Shop(folder, _settings(str(folder / SETTINGS_FILE), given))
    files = {
        folder / SETTINGS_FILE: _settings_text(given),
        shop.metrics_file: _template("metrics.yml"),
        shop.slices_file: _template("slices.yml"),
        shop.money_file: _template("money.yml"),
        **{shop.layers / f"{name}.yml": _template("layer.yml").replace("MODULE", name) for name in modules},
    }
    there = [str(path.relative_to(folder)) for path in files if path.exists()]
    if there or (folder.exists() and not folder.is_dir()):
        named, verb = ", ".join(there) or "a file of that name", "are" if len(there) > 1 else "is"
        raise UsageError(f"{folder}: {named} {verb} there already and init overwrites nothing; choose another folder")
    for room in (shop.definitions, shop.layers, shop.holdouts, shop.spool, shop.published):
        room.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return shop


def _settings(where: str, given: Mapping[str, object]) -> Settings:
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = [
            _problem(str(e["loc"][0]) if e["loc"] else "(file)", e["type"], e["input"], e["msg"])
            for e in error.errors()
        ]
        raise DefinitionError(where, problems) from error


def _problem(name: str, kind: str, value: object, message: str) -> Problem:
    known = tuple(Settings.model_fields)
    match kind:
        case "extra_forbidden":
            step = f"remove it; settings are {', '.join(known)}"
            return Problem("unknown_field", name, value, f"{name} is not a setting", nearest(name, known), step)
        case "currency":
            near = nearest(str(value).upper(), EXPONENTS)
            return Problem("currency", name, value, f"{value!r} {message}", near, "write three capital letters, as EUR")
        case "time_zone":
            near = nearest(value, available_timezones())
            return Problem("time_zone", name, value, f"{value!r} {message}", near, "write a zone as Europe/Berlin")
        case "freeze":
            return Problem(
                "freeze", "freeze", value, message, (), 'write "friday 16:00-24:00", or a name and two dates'
            )
    return Problem(
        "wrong_type", name, value, f"{message[:1].lower()}{message[1:].replace('Input', 'it')}, not {value!r}"
    )


def _settings_text(given: Mapping[str, object]) -> str:
    values = {name: given.get(name, field.default) for name, field in Settings.model_fields.items()}
    meanings = {
        "currency": "ISO 4217; every amount is reported in it",
        "time_zone": "IANA; a business day begins at its midnight",
        "money_digits": "digits kept of an amount; left out: the currency's own",
        "store_url": "left out: registry.sqlite in this folder",
        "warehouse": "relative to this folder",
        "margin_floor": "recommend nothing with a smaller share of its price as margin; read when a service starts",
        "freeze": "when no ramp takes a step, in time_zone",
    }
    examples = {
        "money_digits": EXPONENTS[str(values["currency"])],
        "store_url": "postgresql://user@host/truelift",
        "warehouse": "warehouse.duckdb",
        "margin_floor": "0.10",
        "freeze": ["friday 16:00-24:00", "christmas 2026-12-18/2027-01-02"],
    }
    lines = ["# This shop's settings. The environment overrides each: TRUELIFT_CURRENCY, TRUELIFT_TIME_ZONE, …"]
    for name, meaning in meanings.items():
        value = values[name]
        start, shown = ("# ", examples[name]) if value in (None, ()) else ("", value)
        said = json.dumps(shown if isinstance(shown, int | list | tuple) else str(shown))
        lines.append(f"{start}{name} = {said}  # {meaning}")
    return "\n".join(lines) + "\n"


def _template(name: str) -> str:
    return (packaged("experiments") / "templates" / name).read_text(encoding="utf-8")
