"""What a shop may lose, keeps of a sale and expects of a season: `money.yml`, which alerts weigh by. ALERTS 1 and 2.

Amounts are in the shop's currency, major units, and exact; shares are of 1. Without the file the defaults hold: nothing
may be lost by agreement, so no alert can be judged in money, and whoever reads the settings says so.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from experiments.base import Exact, Key, Value
from experiments.errors import DefinitionError, Problem, nearest
from experiments.layers import read_ground
from experiments.loading import Document, Path_, besides, build, entries, in_order, parse, read_yaml, value_at
from experiments.shop import Settings, Shop

LEAST = Decimal("0.0001")  # of a share: what is smaller is a slip of the pen, and soon 0 to a float
Kept = Annotated[Exact, Field(ge=LEAST, le=1)]  # of revenue
Spread = Annotated[Exact, Field(ge=LEAST, lt=1)]
Budget = Annotated[Exact, Field(ge=Decimal("0.01"), le=10**15)]
Amount = Annotated[Exact, Field(ge=0)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Per = Literal["1000_recommendations", "order", "return", "30_days", "once"]

EVERY = (15, 60, 360)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CELL = re.compile(r"[a-z0-9][a-z0-9_]{1,62}(/\S(.*\S)?)?")


def _tag(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
        raise ValueError(f"{value!r} is not one tag: letters, digits, _ and -, as shop-alerts")
    return value


def _address(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value) or not _has_host(value):
        raise ValueError(f"{value!r} is not where the app is, as https://truelift.example.org")
    return value


def _ping(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+\S*", value) or not _has_host(value):
        raise ValueError(f"{value!r} is no address to ask for, as https://checks.example.org/7c1e")
    return value


def _has_host(value: str) -> bool:
    """Whether somebody could be asked for: a name or number that can be looked up, and a port if any."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
        return value.isprintable() and bool(host.encode("idna").decode("idna"))
    except ValueError:  # also a UnicodeError
        return False


class Place(Protocol):
    """Where money flows; the alerts' cell is one."""

    @property
    def module(self) -> str:
        """Empty: the whole site."""

    @property
    def category(self) -> str:
        """Empty: the whole module."""


class Season(Value):
    """Days on which a loss weighs more than its traffic says: customers paid for and lost. Both ends included."""

    name: Words
    first: date
    last: date
    weight: Annotated[Exact, Field(ge=1, le=10)]
    owner: Words
    expires: date  # the last day on which it weighs, whatever `last` says: somebody looks at it again

    def weighs(self, on: date) -> bool:
        """Whether it does on that day."""
        return self.first <= on <= min(self.last, self.expires)


class Cost(Value):
    """One row of the cost table: what it is paid for, how much at least, probably, at most, and who says so."""

    what: Words
    per: Per
    low: Amount
    base: Amount
    high: Amount
    source: Words
    dated: date


class Money(Value):
    """The shop's money settings."""

    schema_version: Literal[1] = 1
    loss_budget: Budget | None = None  # accepted to lose to regressions per 30 days
    spread: Spread = Decimal("0.03")  # κ: how far changes of a module usually lie from 0
    spreads: dict[Key, Spread] = Field(default_factory=dict)  # by module
    margin: Kept | None = None  # contribution margin; None: of the lines that have one
    margins: dict[str, Kept] = Field(default_factory=dict)  # by module, or module/category
    seasons: tuple[Season, ...] = ()
    entry_modules: tuple[Key, ...] = ()  # where a visit begins: page-fast is for these only
    every_minutes: Literal[15, 60, 360] = 60  # how often the job runs; 15 switches page-fast on
    pages: bool = False  # nobody is woken before an A/A replay was looked at
    costs: tuple[Cost, ...] = ()
    notify_tag: Annotated[str, AfterValidator(_tag)] | None = None
    app_url: Annotated[str, AfterValidator(_address)] | None = None
    ping_url: Annotated[str, AfterValidator(_ping)] | None = None  # asked for after each good run of the alerts

    @property
    def fast(self) -> bool:
        """Whether the job runs often enough for page-fast."""
        return self.every_minutes == EVERY[0]

    def budget_minor(self, digits: int) -> float | None:
        """The loss budget per 30 days in minor units, 10^-digits of the currency."""
        return None if self.loss_budget is None else float(self.loss_budget.scaleb(digits))

    def margin_of(self, cell: Place) -> float | None:
        """The contribution margin that holds there: the category's, else the module's, else the shop's."""
        for named in (f"{cell.module}/{cell.category}", cell.module):
            if named in self.margins:
                return float(self.margins[named])
        return None if self.margin is None else float(self.margin)

    def spread_of(self, module: str) -> float:
        """κ of a module: the standard deviation of the relative changes one expects of it."""
        return float(self.spreads.get(module, self.spread))

    def season_weight(self, on: date) -> float:
        """ω of a business day: 1 out of season, and where a season's entry has expired."""
        return next((float(season.weight) for season in self.seasons if season.weighs(on)), 1.0)

    def remarks(self, on: date) -> tuple[str, ...]:
        """What is no mistake and should be known on that day."""
        return tuple(self._remarks(on))

    def _remarks(self, on: date) -> Iterator[str]:
        if self.loss_budget is None:
            yield (
                "loss_budget is not set: no money alert can be judged; write what may be lost to regressions in 30 days"
            )
        for season in self.seasons:
            if on > season.expires:
                yield (
                    f"season {season.name} expired on {season.expires} and weighs no more; "
                    f"{season.owner} renews or removes it"
                )
            elif season.expires < season.last:
                yield f"season {season.name} weighs until it expires on {season.expires}, not until {season.last}"
        for cost in self.costs:
            if cost.dated > on:
                yield f"cost {cost.what} is dated {cost.dated}, which is still to come"


def load_money(shop: Shop) -> Money:
    """The shop's money settings, the defaults without a file. DefinitionError with every problem of the file."""
    if not shop.money_file.exists():
        return Money()
    money, problems = read_money(shop, read_ground(shop)[0].modules)
    if problems or money is None:
        raise DefinitionError(str(shop.money_file), problems)
    return money


def read_money(shop: Shop, modules: Iterable[str]) -> tuple[Money | None, list[Problem]]:
    """The settings and no problems, or problems in the order of the file. NotFoundError without a file.

    A module is known when one of `modules` (those of the layers) or a file in definitions/ has it; where neither names
    any, every module is.
    """
    document, problems = read_yaml(shop.money_file)
    if document is None:
        return None, problems
    special = [*_dates(document), *_cells(document)]
    money, wrong = parse(Money, document)
    problems += [*special, *besides(wrong, special)]
    together = [*_seasons(document), *_costs(document), *_modules(document, {*modules, *_defined(shop)})]
    problems += besides(together, [*special, *wrong])
    return (None if problems else money), in_order(problems)


def known_modules(shop: Shop) -> frozenset[str]:
    """The modules that a layer or a definition of the shop names."""
    return frozenset({*read_ground(shop)[0].modules, *_defined(shop)})


def summary(money: Money, settings: Settings) -> str:
    """What the settings say, in a line."""
    budget = "no loss budget"
    if money.loss_budget is not None:
        budget = f"a loss budget of {money.loss_budget:,f} {settings.currency} in 30 days"
    counted = [(len(money.seasons), "season"), (len(money.entry_modules), "entry module"), (len(money.costs), "cost")]
    said = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counted)
    pages = "on" if money.pages else "off"
    return f"{budget}; {said}; alerts every {money.every_minutes} minutes, pages {pages}"


# --- what a field's own form cannot say -------------------------------------------------------------------------


def _dates(document: Document) -> Iterator[Problem]:
    for listed, names in (("seasons", ("first", "last", "expires")), ("costs", ("dated",))):
        for at, entry in entries(document.value, (listed,)):
            for name in names:
                given = value_at(entry, (name,))
                if given is not None and not _is_day(given):
                    message = f"{given!r} is not a day"
                    yield document.problem("bad_date", (*at, name), given, message, next_step="write 2026-12-01")


def _is_day(given: object) -> bool:
    if not isinstance(given, str) or not _DAY.fullmatch(given):
        return False
    try:
        date.fromisoformat(given)
    except ValueError:
        return False
    return True


def _cells(document: Document) -> Iterator[Problem]:
    given = value_at(document.value, ("margins",))
    for name in given if isinstance(given, dict) else ():
        if not _CELL.fullmatch(name):
            step = "write homepage, or homepage/decor"
            message = f"{name!r} is neither a module nor a module/category"
            yield document.problem("key_format", ("margins", name), name, message, next_step=step)


def _seasons(document: Document) -> Iterator[Problem]:
    before: list[Season] = []
    for at, entry in entries(document.value, ("seasons",)):
        season, _ = build(Season, entry, document, at)
        if season is None:
            continue
        if season.last < season.first:
            message = f"ends on {season.last}, before its first day {season.first}"
            yield document.problem("season_order", (*at, "last"), str(season.last), message, next_step="swap them")
            continue
        if season.expires < season.first:
            message = f"expires on {season.expires}, before its first day {season.first}: it would never weigh"
            step = f"write {season.last} or later"
            yield document.problem("season_order", (*at, "expires"), str(season.expires), message, next_step=step)
        for other in before:
            if season.first <= other.last and other.first <= season.last:
                message = f"{season.name} overlaps {other.name} ({other.first} to {other.last}): one day has one weight"
                step = "let one end before the other begins"
                yield document.problem("season_overlap", (*at, "first"), str(season.first), message, next_step=step)
        before.append(season)


def _costs(document: Document) -> Iterator[Problem]:
    before: list[tuple[str, str, date]] = []
    for at, entry in entries(document.value, ("costs",)):
        cost, _ = build(Cost, entry, document, at)
        if cost is None:
            continue
        if not cost.low <= cost.base <= cost.high:
            message = f"low {cost.low}, base {cost.base} and high {cost.high} do not rise"
            yield document.problem("cost_order", at, None, message, next_step="write low ≤ base ≤ high")
        if (cost.what, cost.per, cost.dated) in before:
            message = f"{cost.what} per {cost.per} is dated {cost.dated} already"
            step = "remove one, or date it by when it began to hold"
            yield document.problem("cost_twice", (*at, "dated"), str(cost.dated), message, next_step=step)
        before.append((cost.what, cost.per, cost.dated))


def _modules(document: Document, known: set[str]) -> Iterator[Problem]:
    named: list[tuple[Path_, str]] = []
    for at, entry in entries(document.value, ("entry_modules",)):
        if isinstance(entry, str):
            if entry in [name for _, name in named]:
                step = "remove it"
                yield document.problem("module_twice", at, entry, f"{entry} is there already", next_step=step)
            named.append((at, entry))
    for name in ("spreads", "margins"):
        given = value_at(document.value, (name,))
        named += [((name, key), key.split("/")[0]) for key in given] if isinstance(given, dict) else []
    for at, module in named:
        if known and module not in known:
            step = f"modules are {', '.join(sorted(known))}; another one is added to a layer in layers/"
            message = f"no layer and no definition has a module {module}"
            yield document.problem("unknown_module", at, module, message, near=nearest(module, known), next_step=step)


def _defined(shop: Shop) -> Iterator[str]:
    """The modules that the shop's definitions name, also those of another system's assignment."""
    for path in sorted(shop.definitions.glob("*.y*ml")) if shop.definitions.is_dir() else ():
        document, _ = read_yaml(path)
        listed = () if document is None else entries(document.value, ("modules",))
        yield from (module for _, module in listed if isinstance(module, str))
