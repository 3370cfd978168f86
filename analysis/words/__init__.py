"""Every sentence a reader sees about a result, and how its numbers are printed. READOUT.

Numbers keep two significant digits of the interval's half-width, minus is U+2212, money carries the
shop's currency. Words for readers: likely, at least, between, about. Inputs are plain numbers: lifts
and shares as fractions (0.02 is 2 %), money in the currency's main unit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

MINUS = "\u2212"
NOT_FOR_READERS = ("significant", "proves", "p-value", "confidence")
ValueUnit = Literal["lift", "money", "count", "share", "points", "ms"]
Signs = Literal["always", "minus"]
Triple = tuple[float, float | None, float | None]
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "BRL": "R$", "ILS": "₪", "TRY": "₺"}
SUFFIXES: Mapping[ValueUnit, str] = {"lift": "%", "share": "%", "points": " points", "ms": " ms"}
VERDICT_NAMES = {
    "WITHHELD": "Withheld", "STOP": "Stop", "TOO_EARLY": "Too early", "NO_MATERIAL_EFFECT": "No material effect",
    "SHIP": "Ship", "HOLD": "Hold", "CANT_TELL": "Can't tell",
}  # fmt: skip
KEEP = "Keep"  # what a holdout's verdict begins with when what its units go without is worth having
ADDS = {"none": "recommendations", "non_personalised": "personalisation", "champion": "what is new"}
"""What a holdout's units go without, by what they meet instead."""
ONE = ("personalisation", "what is new")  # spoken of as it, not them
AS_IT_SHOULD_BE = "As it should be"  # what an A/A test's verdict begins with when it found nothing
NONE = "(none)"  # a dimension without a value
PRETTY = {NONE: "None given", "pdp": "Product page"}
UNIT_NAMES = {"cluster_window": "cluster windows"}  # others take an s


# --- numbers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figures:
    """An estimate and its bounds as printed; a missing bound is an open side."""

    est: str
    lo: str | None
    hi: str | None

    @property
    def between(self) -> str:
        """'between A and B', or the one-sided form."""
        if self.lo is not None and self.hi is not None:
            return f"between {self.lo} and {self.hi}"
        if self.lo is not None:
            return f"at least {self.lo}"
        return f"at most {self.hi}" if self.hi is not None else f"about {self.est}"

    @property
    def span(self) -> str:
        """'A to B' for tables, or the one-sided form."""
        return f"{self.lo} to {self.hi}" if self.lo is not None and self.hi is not None else self.between


def figures(
    est: float,
    lo: float | None,
    hi: float | None,
    *,
    unit: ValueUnit,
    currency: str = "EUR",
    signs: Signs = "always",
) -> Figures:
    """An interval as printed: two significant digits of its half-width, the same for all three numbers."""
    style = Style(unit, currency, _precision(est, lo, hi, unit), max(abs(v) for v in (est, lo, hi) if v is not None))
    texts = [None if value is None else style.text(value, signs) for value in (est, lo, hi)]
    return Figures(texts[0] or "", texts[1], texts[2])


@dataclass(frozen=True, slots=True)
class Style:
    """How the numbers of one interval are printed: `places` decimals (negative: tens, hundreds) for all of them."""

    unit: ValueUnit
    currency: str
    places: int
    largest: float  # decides between 41,300, 41k and 1.2M

    def text(self, value: float, signs: Signs) -> str:
        """The number with its unit; a plus only where `signs` is 'always'."""
        rounded = round(value * _scale(self.unit), self.places)
        sign = MINUS if rounded < 0 else "+" if signs == "always" and rounded > 0 else ""
        size = abs(rounded)
        if self.unit == "money":
            return f"{sign}{symbol(self.currency)}{self._thousands(size)}"
        text = f"{size:,.{max(0, self.places)}f}"
        return f"{sign}{text}{SUFFIXES.get(self.unit, '')}"

    def _thousands(self, size: float) -> str:
        if self.places <= -5 and self.largest >= 1e6:
            return f"{size / 1e6:,.{max(0, 6 + self.places)}f}M"
        if self.places <= -3 and self.largest >= 1e4:
            return f"{size / 1e3:,.0f}k"
        return f"{size:,.{2 if self.places == 1 else max(0, self.places)}f}"


def amount(value: float, *, unit: ValueUnit, currency: str = "EUR") -> str:
    """One number without an interval (a margin, a mean): three significant digits, no trailing zeros."""
    scaled = value * _scale(unit)
    places = max(0, _places(scaled, digits=3)) if scaled else 0
    while places > 0 and round(scaled, places) == round(scaled, places - 1):
        places -= 1
    return Style(unit, currency, places, abs(value)).text(value, "minus")


def difference_unit(value_unit: Literal["money", "count", "share", "ms"]) -> ValueUnit:
    """The unit of a difference: shares differ by points, everything else by its own unit."""
    return "points" if value_unit == "share" else value_unit


def whole(value: int) -> str:
    """A count with thousands separators."""
    return f"{value:,}".replace("-", MINUS)


def symbol(currency: str) -> str:
    """The currency's sign, or its code and a space where it has none of its own."""
    return SYMBOLS.get(currency, f"{currency} ")


def _scale(unit: ValueUnit) -> float:
    return 100.0 if unit in ("lift", "share", "points") else 1.0


def _precision(est: float, lo: float | None, hi: float | None, unit: ValueUnit) -> int:
    """Decimals for an interval. A bound that is not zero is never printed as zero: its sign is what decides."""
    bounds = [value * _scale(unit) for value in (lo, hi) if value is not None]
    middle = est * _scale(unit)
    width = (bounds[1] - bounds[0]) / 2 if len(bounds) == 2 else bounds[0] - middle if bounds else middle
    places = _places(width)
    while places < 8 and any(bound != 0 and round(bound, places) == 0 for bound in bounds):
        places += 1
    return places


def _places(width: float, digits: int = 2) -> int:
    """Decimal places (negative: tens, hundreds) that show `digits` significant digits of `width`."""
    size = abs(width)
    if not math.isfinite(size) or size == 0:
        return 0
    first = math.floor(math.log10(size))
    if round(size, digits - 1 - first) >= 10 ** (first + 1):
        first += 1
    return digits - 1 - first


# --- names and dates -------------------------------------------------------------------------------------


def units(unit_type: str) -> str:
    """The plural a reader knows: users, sessions, devices."""
    return UNIT_NAMES.get(unit_type, f"{unit_type}s")


def label(template: str, unit_type: str) -> str:
    """A metric's label with {unit} and {units} filled in."""
    return template.replace("{units}", units(unit_type)).replace("{unit}", unit_type)


def inside(text: str) -> str:
    """A label as it stands inside a sentence: lower case, unless it begins with an abbreviation."""
    return text if len(text) > 1 and text[1].isupper() else text[:1].lower() + text[1:]


def sentence_case(text: str) -> str:
    """A text as it stands at the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def pretty(name: str) -> str:
    """A key as a reader sees it: `product_page` is Product page, `(direct)` is Direct, `(none)` is None given."""
    if name in PRETTY:
        return PRETTY[name]
    text = name.strip("()").replace("_", " ")
    return sentence_case(text) if text.islower() else text


def verdict_name(code: str, sentence: str) -> str:
    """A verdict's name for readers: Can't tell; As it should be where an A/A test found nothing; Keep for a holdout."""
    if sentence.startswith(f"{KEEP} "):
        return KEEP
    return AS_IT_SHOULD_BE if sentence.startswith(f"{AS_IT_SHOULD_BE}:") else VERDICT_NAMES[code]


def day(when: date) -> str:
    """8 December 2026."""
    return f"{when.day} {when:%B %Y}"


def days(count: int) -> str:
    """1 more day, 3 more days."""
    return f"{whole(count)} more day{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# --- verdicts --------------------------------------------------------------------------------------------


def withheld(cause: str, owner: str, fix: str) -> str:
    """A blocking check failed."""
    return f"Results withheld: {cause}. Any lift could be an artefact. The {owner} must {fix}."


@dataclass(frozen=True, slots=True)
class Change:
    """One metric's change in one arm, as a sentence speaks of it.

    `change` is (estimate, low, high) of the relative lift (`scale` 'lift'), or of the difference in the
    metric's own unit where the lift is not determined. `least` is the smallest harm the data allow, a
    positive number on the same scale. `money` is (estimate, low, high) a day.
    """

    label: str
    scale: ValueUnit
    change: Triple
    currency: str
    least: float | None = None
    money: Triple | None = None

    @property
    def name(self) -> str:
        """The label inside a sentence."""
        return inside(self.label)

    @property
    def spread(self) -> Figures:
        """Signed figures of the change."""
        return figures(*self.change, unit=self.scale, currency=self.currency)

    @property
    def moved(self) -> str:
        """'up 2.0% (between 0.3% and 3.7%)': a word for the sign, then sizes; a range over zero keeps its signs."""
        word = "down" if self.change[0] < 0 else "up"
        sizes = self._sizes()
        if sizes is not None:
            return f"{word} {sizes.est} ({sizes.between})"
        return f"{word} {self.spread.est.lstrip('+' + MINUS)} ({self.spread.between})"

    @property
    def worth(self) -> str | None:
        """'worth about €4,100 a day (between €500 and €7,700)'; signs only where the range holds both."""
        if self.money is None:
            return None
        low = self.money[1]
        shown = figures(
            *self.money,
            unit="money",
            currency=self.currency,
            signs="minus" if low is not None and low > 0 else "always",
        )
        return f"worth about {shown.est.lstrip('+')} a day ({shown.between})"

    @property
    def harm(self) -> str:
        """'worse by 3.0% (at least 1.0%)': sizes."""
        size = figures(abs(self.change[0]), self.least, None, unit=self.scale, currency=self.currency, signs="minus")
        return f"worse by {size.est} ({size.between})" if self.least is not None else f"worse by {size.est}"

    @property
    def loss(self) -> str | None:
        """'about €4,100 a day', without a sign."""
        if self.money is None:
            return None
        return f"about {figures(*self.money, unit='money', currency=self.currency).est.lstrip('+' + MINUS)} a day"

    def _sizes(self) -> Figures | None:
        est, lo, hi = self.change
        if lo is None or hi is None or lo * hi <= 0:
            return None
        low, high = sorted((abs(lo), abs(hi)))
        return figures(abs(est), low, high, unit=self.scale, currency=self.currency, signs="minus")


def _to(arm: str | None) -> str:
    return f" {arm}" if arm else ""


def stop(change: Change, arm: str | None, allowed: str | None = None) -> str:
    """A success metric is harmed, or a guardrail is beyond its limit (`allowed`)."""
    text = f"Stop{_to(arm)}: {change.name} is {change.harm}"
    if allowed is not None:
        text += f", and you allowed {allowed}"
    return f"{text}, {change.loss}." if change.loss is not None else f"{text}."


def stopped_earlier(name: str, arm: str | None, since: date, today: Figures | None) -> str:
    """A stop that was called on an earlier day and that nobody has closed."""
    text = f"Stop{_to(arm)}: {inside(name)} was worse on {day(since)}, and the stop stands until a person closes it"
    return f"{text}; today it spans {today.span}." if today is not None else f"{text}."


def too_early(first_reading: date | None, arm: str | None, missing: str | None = None) -> str:
    """Before the first reading; `missing` says which arm has no exposures."""
    when = f"First reading on {day(first_reading)}." if first_reading else "No date for a first reading yet."
    about = f"Too early to read {arm}." if arm else "Too early to read."
    if missing:
        return f"{about} {when} Meanwhile {missing}."
    return f"{about} {when} We are watching for harm meanwhile: none found."


def no_material_effect(change: Change, arm: str | None, materiality: str) -> str:
    """Every success interval lies inside its materiality."""
    of = f" of {arm}" if arm else ""
    shown = f"{change.spread.between} on {change.name}"
    return f"No material effect{of}: {shown}; you said only {materiality} or more matters."


def ship(change: Change, arm: str, guardrails: int) -> str:
    """A success metric is up and every guardrail is cleared."""
    return _all_clear(f"Ship {arm}: {change.name} is {change.moved}", change, guardrails)


def keep(change: Change, adds: str, guardrails: int) -> str:
    """The same of a holdout: what its units go without is worth having."""
    pronoun = "it" if adds in ONE else "them"
    return _all_clear(f"{KEEP} {adds}: {change.name} is {change.moved} with {pronoun}", change, guardrails)


def _all_clear(text: str, change: Change, guardrails: int) -> str:
    if change.worth:
        text += f", {change.worth}"
    if guardrails == 0:
        return f"{text}. No guardrail was asked for."
    which = {1: "The guardrail is inside its limit", 2: "Both guardrails are inside their limits"}
    inside_limits = which.get(guardrails, f"All {guardrails} guardrails are inside their limits")
    return f"{text}. {inside_limits}."


def hold_not_cleared(
    change: Change, arm: str | None, guardrail: str, allowed: str, spread: Figures, more_days: int | None
) -> str:
    """A success metric is up, and a guardrail may still be beyond its limit."""
    settle = f"{sentence_case(days(more_days))} would settle it." if more_days else "It cannot be settled in this run."
    return (
        f"Hold{_to(arm)}: {change.name} is {change.moved}, but {inside(guardrail)} may be worse than the {allowed} "
        f"you allowed ({spread.span}). {settle}"
    )


def hold_mixed(change: Change, arm: str | None, worse: Change) -> str:
    """One success metric is up while another is down."""
    return f"Hold{_to(arm)}: {change.name} is {change.moved}, but {worse.name} is {worse.moved}."


def hold_unmeasured(change: Change, arm: str | None, guardrails: Sequence[tuple[str, str]]) -> str:
    """A success metric is up, and guardrails, given with their causes, could not be measured."""
    return f"Hold{_to(arm)}: {change.name} is {change.moved}, but {not_measured(guardrails)}."


def not_measured(guardrails: Sequence[tuple[str, str]]) -> str:
    """'we could not measure returns: no return is logged', or all of them with their causes in brackets."""
    if len(guardrails) == 1:
        name, cause = guardrails[0]
        return f"we could not measure {inside(name)}: {cause}"
    return f"we could not measure {listed([f'{inside(name)} ({cause})' for name, cause in guardrails])}"


def cant_tell(change: Change | None, arm: str | None, more_days: int | None, target: str | None) -> str:
    """Neither up nor down nor small enough."""
    of = f" about {arm}" if arm else ""
    if change is None:
        return f"Can't tell yet{of}: no success metric could be measured."
    text = f"Can't tell yet{of}: anywhere from {change.spread.span} on {change.name}."
    if more_days and target:
        text += f" {sentence_case(days(more_days))} for ±{target}."
    return text


def cant_tell_between_readings(arm: str | None, next_reading: date) -> str:
    """A day between two readings, on which the range would have decided."""
    of = f" about {arm}" if arm else ""
    return f"Can't tell yet{of}: benefit is read in whole weeks, next reading on {day(next_reading)}."


def cant_tell_at_the_end(change: Change | None, arm: str | None, cause: str | None = None) -> str:
    """The run is over and nothing is decided."""
    text = f"We ran {arm or 'it'} as planned and still can't tell"
    if change is not None:
        return f"{text}: anywhere from {change.spread.span} on {change.name}."
    return f"{text}: {cause}." if cause else f"{text}."


def cant_tell_without_data(arm: str | None, cause: str) -> str:
    """The run is over, and what it should have brought is not there."""
    return f"Can't tell{f' about {arm}' if arm else ''}: {cause}."


def as_it_should_be(change: Change | None) -> str:
    """An A/A test without a difference."""
    if change is None:
        return f"{AS_IT_SHOULD_BE}: no difference found."
    return f"{AS_IT_SHOULD_BE}: no difference found ({change.spread.between} on {change.name})."


def differs_without_cause(change: Change, arm: str | None) -> str:
    """An A/A test with a difference: the split or the logs are to be looked at."""
    return (
        f"Hold{_to(arm)}: every arm runs the same strategy, yet {change.name} is {change.moved}. Look into the split "
        "and the logs before you trust another experiment on them."
    )


def first_crossing(name: str, when: date, today: Figures | None) -> str:
    """A dated event: the first day on which a range lay on one side of zero."""
    text = f"the range of {inside(name)} cleared zero on {day(when)}"
    return f"{text}; today it spans {today.span}" if today is not None else text


# --- reasons for a verdict -------------------------------------------------------------------------------

READ_AT_THE_END = "a fixed design is read once, at its planned end"
READ_IN_WEEKS = "benefit is read in whole weeks, so that every weekday counts alike"
SAME_STRATEGY = "every arm runs the same strategy"
NOTHING_MEASURED = "no success metric could be measured"


def harm_found(name: str, role: Literal["success", "guardrail"]) -> str:
    """Why STOP."""
    return f"{inside(name)} is worse" if role == "success" else f"{inside(name)} is beyond its limit"


def latched(since: date) -> str:
    """Why STOP, although today's range would not say so."""
    return f"stopped on {day(since)}, not closed yet"


def gate_not_met(unit_type: str) -> str:
    """Too few units that did anything."""
    return f"fewer than 100 {units(unit_type)} of an arm did anything this metric counts"


def short_of_days(full_days: int, min_days: int) -> str:
    """Not enough full days."""
    return f"{whole(full_days)} of {whole(min_days)} full days"


def short_of_units(smallest: int, min_units: int, unit_type: str) -> str:
    """Not enough units in an arm."""
    return f"{whole(smallest)} of the {whole(min_units)} {units(unit_type)} each arm needs"


def no_exposures(arms: Sequence[str]) -> str:
    """Arms in which nobody was seen."""
    return f"{listed(arms)} {'has' if len(arms) == 1 else 'have'} no exposures"


def days_without_data(silent: int, full_days: int) -> str:
    """Days of the run on which nothing at all is logged."""
    return f"{whole(silent)} of the {whole(full_days)} days have no data"


def inside_materiality(name: str, materiality: str | None) -> str:
    """Why NO MATERIAL EFFECT."""
    return f"{inside(name)} moved less than the {materiality} that matters"


def is_up(name: str) -> str:
    """Why SHIP or HOLD."""
    return f"{inside(name)} is better"


def is_worse(name: str) -> str:
    """Why HOLD, although another success metric is better."""
    return f"{inside(name)} is worse"


def beyond_limit(name: str, allowed: str | None, spread: Figures) -> str:
    """A guardrail that looks worse than allowed, not surely enough for a STOP."""
    return f"Meanwhile {inside(name)} looks worse than the {allowed} you allowed ({spread.span})."


def cleared(name: str) -> str:
    """A guardrail inside its limit."""
    return f"{inside(name)} is inside its limit"


def not_cleared(name: str, allowed: str | None, spread: Figures | None) -> str:
    """A guardrail that may be beyond its limit."""
    span = f", its range is {spread.span}" if spread is not None else ""
    return f"{inside(name)} may be worse than the {allowed} allowed{span}"


def unmeasured(name: str, cause: str) -> str:
    """A metric without a number."""
    return f"{inside(name)} could not be measured: {cause}"


def undecided(name: str, cause: str | None) -> str:
    """A success metric that says neither up nor down nor small enough."""
    return unmeasured(name, cause) if cause else f"the range of {inside(name)} is still too wide to decide"
