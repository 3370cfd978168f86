"""Readings whose checks are real ones: judged by `evaluate` on a few rows of a shop with planted faults."""

from dataclasses import replace
from datetime import date, datetime, timedelta

from analysis.health.checks import evaluate
from analysis.readout import Readout
from analysis.warehouse.base import CheckRows
from tests.helpers.evidence import Row, evidence
from tests.helpers.readouts import example

FIRST = date(2026, 12, 10)


def carts(drop: float, *, day: date = date(2026, 3, 10)) -> list[Row]:
    """Ten days to `day` of two browsers with 2,000 views and 200 carts, safari_mobile's last × drop; opera has 40."""
    return [
        {
            "browser": browser, "event_day": (day - timedelta(days=9 - n)).isoformat(), "views": views,
            "add_to_carts": round(views * 0.1 * (drop if n == 9 and browser == "safari_mobile" else 1)),
            "purchases": 5, "in_run": True,
        }
        for browser, views in (("safari_mobile", 2_000), ("chrome", 2_000), ("opera", 40))
        for n in range(10)
    ]  # fmt: skip


def skewed(ahead: int) -> list[Row]:
    """Rows dated ahead of 10,000 on safari_mobile; chrome has none, opera too few rows."""
    return [
        {"browser": "safari_mobile", "arrivals": 10_000, "ahead": ahead},
        {"browser": "chrome", "arrivals": 10_000, "ahead": 0},
        {"browser": "opera", "arrivals": 500, "ahead": 400},
    ]


def drifting(now: int, module: str = "homepage") -> list[Row]:
    """The fallback filled 20 of 1,000 slots before and `now` of 1,000 since."""
    return [
        {"what": "fallback", "module": module, "period": period, "value": value, "n": n}
        for period, yes in (("before", 20), ("now", now))
        for value, n in (("yes", yes), ("no", 1_000 - yes))
    ]


def reading(
    name: str, *, as_of: date | None = None, units: tuple[int, int] = (3_000, 3_000), **queries: list[Row]
) -> Readout:
    """The example of that name with the checks of such a shop, read on another day where `as_of` names one."""
    found = example(name)
    given = evidence({"control": units[0], "new": units[1]})
    planted = {query: CheckRows(query, tuple(rows)) for query, rows in queries.items()}
    checks = evaluate(replace(given, rows={**given.rows, **planted})).checks
    at = datetime.fromisoformat(found.as_of).date() if as_of is None else as_of
    sid = f"{(hash_of(found.experiment.key) + at.toordinal() * 65_537):016x}"[-16:]
    return found.model_copy(update={"checks": checks, "as_of": f"{at}T00:00:00Z", "snapshot_id": sid})


def hash_of(key: str) -> int:
    """A stable number of a key."""
    return sum(ord(letter) * 31**i for i, letter in enumerate(key))


def course() -> list[Readout]:
    """One experiment over five days: clocks ahead more and more, carts that go missing on the fourth."""
    days = [FIRST + timedelta(days=n) for n in range(5)]
    return [
        reading(
            "CANT_TELL", as_of=day, clock_skew=skewed(5 + 10 * n),
            missing_add_to_cart=carts(0.0 if n >= 3 else 1.0, day=date(2026, 12, 12)), drift=drifting(22 + 25 * n),
        )
        for n, day in enumerate(days)
    ]  # fmt: skip


def withheld() -> Readout:
    """Another experiment, whose split is off; its clocks are wrong too."""
    return reading("WITHHELD", units=(10_000, 9_000), clock_skew=skewed(300))


def healthy() -> Readout:
    """A third one, in which nothing is wrong."""
    return reading("SHIP")
