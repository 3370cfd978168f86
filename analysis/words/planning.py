"""What is said of a planned experiment: what its size cannot settle, and what runs beside it."""

import math
from collections.abc import Sequence
from datetime import datetime

from analysis import words

DAYS_IN_WEEKS = 56  # from here on in weeks, from two years on in years
DAYS_IN_YEARS = 730


def cannot_settle(asked: str, needed: str, pace: str, planned: str, *, assumed: bool, settled: str | None) -> str:
    """'return_rate with a margin of 2% needs 12,100,000 users an arm (…); planned are 50,000 an arm, which settle 22%'.

    `pace` says how long that takes. `assumed`: the definition plans no size.
    """
    sized = f"{planned}, assumed" if assumed else planned
    return f"{asked} needs {needed} ({pace}); planned are {sized}, which settle {settled or 'none at all'}"


def units(count: float | None, arms: int, unit_type: str) -> str:
    """'12,100,000 users an arm', rounded up to three digits; `arms` is 0 where they are not alike: then 'in all'."""
    if count is None:
        return f"more {words.units(unit_type)} than there are"
    each = math.ceil(count / arms if arms else count)
    rounding = 10 ** max(0, len(str(each)) - 3)
    shown = words.whole(-(-each // rounding) * rounding)
    return f"{shown} {words.units(unit_type)} {'an arm' if arms else 'in all'}"


def planned(count: int, arms: int) -> str:
    """'50,000 an arm'."""
    return f"{words.whole(count // arms)} an arm" if arms else f"{words.whole(count)} in all"


def pace(days: int | None, key: str, elsewhere: Sequence[str]) -> str:
    """'about 3 years at the pace of home_als_v1'; the modules of a run that was somewhere else are named."""
    run = f"{key} on {words.listed(elsewhere)}" if elsewhere else key
    return f"more than came to {run}" if days is None else f"{_span(days)} at the pace of {run}"


def share(size: float) -> str:
    """A margin or a lift, 2%; what is above two digits of a per cent is not rounded away."""
    return words.amount(float(f"{size:.2g}"), unit="lift")


def not_assessed(metrics: Sequence[str], unit_type: str) -> str:
    """No earlier run to plan by."""
    return (
        f"power is not assessed for {words.listed(metrics)}: no readout of {words.units(unit_type)} that fits is "
        "published yet"
    )


def no_materiality(metric: str, planned: str, settled: str | None, run: str) -> str:
    """What the planned size can tell from nothing, where the definition does not say what matters."""
    what = f"a lift of {settled} or more" if settled else "no lift at all"
    return f"{metric} has no materiality; the planned {planned} settle {what}, by what {run} measured"


def beside(key: str, layer: str, state: str, begin: datetime, end: datetime | None, metrics: Sequence[str]) -> str:
    """Another experiment on the same units."""
    until = f"to {end:%Y-%m-%d}" if end else "without an end"
    return (
        f"{key} ({state}, layer {layer}) meets the same units from {begin:%Y-%m-%d} {until}, and both are decided by "
        f"{words.listed(metrics)}"
    )


def unnamed(key: str, held: str, unit_type: str, modules: Sequence[str], begin: datetime, end: datetime | None) -> str:
    """A holdout that the definition leaves out; `held` is its share, 5%."""
    until = f"to {end:%Y-%m-%d}" if end else "without an end"
    return (
        f"{key} holds out {held} of {words.units(unit_type)} on {words.listed(modules)} from {begin:%Y-%m-%d} {until}, "
        "and this does not name it: its members meet this experiment, which withholds its readout from 5% of them on"
    )


OVERLAP_STEP = (
    "the two splits are independent, so neither biases the other; worry when an arm of one changes what an arm of the "
    "other can do: then use one layer for both, or let one wait"
)
MARGIN_STEP = "choose a wider margin, plan more units, or make it secondary"
MATERIALITY_STEP = "choose a larger materiality, or plan more units"


def _span(days: int) -> str:
    if days <= DAYS_IN_WEEKS:
        return f"{days} day{'' if days == 1 else 's'}"
    if days <= DAYS_IN_YEARS:
        return f"about {words.whole(math.ceil(days / 7))} weeks"
    return f"about {words.whole(math.ceil(days / 365))} years"
