"""Checks of how rows come in: late, dated ahead, or too few."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance

from analysis.health.findings import (
    DATA_TEAM,
    NOT_RUN,
    WEB_TEAM,
    Evidence,
    Finding,
    Row,
    Sheet,
    rate,
    summed,
    text,
    whole,
    worst,
)
from analysis.health.thresholds import (
    DROP_Z,
    LAST_DAYS,
    MIN_CLOCK_ROWS,
    MIN_EXPECTED,
    MIN_ROWS,
    THRESHOLDS,
    WEEKS_BEFORE,
)
from analysis.readout import CheckState, Figure
from analysis.words import health as said
from analysis.words import signals

LATE = Sheet(
    "SH-05", "Late events", blocking=False, sql="late_events", owner=DATA_TEAM,
    judged={"late_hour": "late_hour", "late_day": "late_day"},
)  # fmt: skip
CLOCKS = Sheet(
    "SH-06", "Clocks of the browsers", blocking=False, sql="clock_skew", owner=WEB_TEAM, judged={"ahead": "clock_skew"}
)
VOLUME = Sheet(
    "SH-13", "Volume and freshness", blocking=False, sql="volume", owner=DATA_TEAM,
    judged={"largest_drop": "volume", "days_old": "silent_days"},
)  # fmt: skip


# --- SH-05, SH-06 ----------------------------------------------------------------------------------------


def late_events(given: Evidence) -> Finding:
    """SH-05: rows that come over an hour and over a day late: until then their day is not whole. Withholds nothing."""
    rows = given.of("late_events")
    if rows is None:
        return LATE.unknown(NOT_RUN)
    known = summed(rows, "arrivals")
    if summed(rows, "events") > 0 and known == 0:
        return LATE.not_applicable("no arrival time is logged")
    if known < MIN_ROWS:
        return LATE.unknown(said.too_few(known, MIN_ROWS, "rows with an arrival time"))
    hour, day = rate(summed(rows, "hour_late"), known), rate(summed(rows, "day_late"), known)
    figures: dict[str, Figure] = {
        "late_minute": rate(summed(rows, "minute_late"), known),
        "late_hour": hour,
        "late_day": day,
        "rows": known,
    }
    state = worst((THRESHOLDS["late_hour"].state(hour), THRESHOLDS["late_day"].state(day)))
    groups = () if state == "pass" else [dict(row) for row in rows]
    return LATE.finding(state, signals.arrivals(hour, day), figures=figures, groups=groups)


def clock_skew(given: Evidence) -> Finding:
    """SH-06: rows dated after their arrival, in the browser with most of them. Nothing is dropped for it."""
    rows = given.of("clock_skew")
    if rows is None:
        return CLOCKS.unknown(NOT_RUN)
    if not rows:
        return CLOCKS.not_applicable("no arrival time is logged")
    enough = [row for row in rows if whole(row, "arrivals") >= MIN_CLOCK_ROWS]
    if not enough:
        most = max(whole(row, "arrivals") for row in rows)
        return CLOCKS.unknown(said.too_few(most, MIN_CLOCK_ROWS, "rows with an arrival time on one browser"))
    shares = {text(row, "browser"): rate(whole(row, "ahead"), whole(row, "arrivals")) for row in enough}
    browser = max(shares, key=lambda name: shares[name])
    states = {name: THRESHOLDS["clock_skew"].state(found) for name, found in shares.items()}
    return CLOCKS.finding(
        worst(states.values()),
        signals.clocks(browser, shares[browser]),
        figures={"ahead": shares[browser], "browsers": len(shares)},
        groups=[dict(row) for row in enough if states[text(row, "browser")] != "pass"],
        browsers={text(row, "browser"): states.get(text(row, "browser"), "unknown") for row in rows},
    )


# --- SH-13 -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VolumeDay:
    """The rows of one kind and browser on a day, and what the same weekdays before let expect."""

    kind: str
    browser: str
    day: str
    events: int
    expected: float
    z: float

    @property
    def change(self) -> float:
        """Of what was expected."""
        return self.events / self.expected - 1

    @property
    def state(self) -> CheckState:
        """A fall within what the days before vary by is none."""
        return THRESHOLDS["volume"].state(self.change) if self.z < DROP_Z else "pass"

    def figures(self) -> dict[str, Figure]:
        """For the readout."""
        return {
            "kind": self.kind,
            "browser": self.browser,
            "day": self.day,
            "events": self.events,
            "expected": self.expected,
            "change": self.change,
            "z": self.z,
        }


def volume(given: Evidence) -> Finding:
    """SH-13: the last seven days against the same weekdays before, by kind and browser; and how old the newest is.

    A fall hits the arms alike, so it withholds nothing here; an alert on such a day waits for it.
    """
    rows = given.of("volume")
    if rows is None:
        return VOLUME.unknown(NOT_RUN)
    if not rows:
        return VOLUME.unknown(said.too_few(0, MIN_ROWS, "rows"))
    age = min(whole(row, "days_before_end") for row in rows) - 1  # the cut lies at the end of a day
    if not given.finished_import and THRESHOLDS["silent_days"].state(age) == "fail":
        return VOLUME.finding("fail", signals.stale(age), figures={"days_old": age})
    days = _volume_days(rows)
    if not days:
        return VOLUME.unknown(f"no kind of event has {MIN_EXPECTED} rows a day and two of the same weekday before")
    series = len({(day.kind, day.browser) for day in days})
    figures: dict[str, Figure] = {"series": series, "largest_drop": min(day.change for day in days), "days_old": age}
    state = worst(day.state for day in days)
    browsers: dict[str, CheckState] = {text(row, "browser"): "unknown" for row in rows}
    browsers |= {name: worst(day.state for day in days if day.browser == name) for name in {d.browser for d in days}}
    unjudged = ("days_old",) if given.finished_import else ()
    if state == "pass":
        steady = signals.volume_steady(series)
        return VOLUME.finding(state, steady, figures=figures, browsers=browsers, unjudged=unjudged)
    bad = sorted((day for day in days if day.state != "pass"), key=lambda day: day.change)
    deepest = bad[0]
    return VOLUME.finding(
        state,
        signals.volume_fell(deepest.kind, deepest.browser, deepest.day, deepest.change),
        figures=figures,
        groups=[day.figures() for day in bad],
        since=min(day.day for day in bad),
        browsers=browsers,
        unjudged=unjudged,
    )


def _volume_days(rows: Sequence[Row]) -> list[VolumeDay]:
    table: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        table.setdefault((text(row, "kind"), text(row, "browser")), {})[whole(row, "days_before_end")] = row
    found: list[VolumeDay] = []
    for (kind, browser), days in table.items():
        oldest = max(days)
        names = {ago: text(row, "event_day") for (_, _), each in table.items() for ago, row in each.items()}
        for ago in range(1, LAST_DAYS + 1):
            before = [_events(days, past) for past in range(ago + 7, ago + 7 * WEEKS_BEFORE + 1, 7) if past <= oldest]
            if len(before) < 2 or fmean(before) < MIN_EXPECTED or ago not in names:
                continue
            expected, events = fmean(before), _events(days, ago)
            spread = math.sqrt(max(pvariance(before), expected) * (1 + 1 / len(before)))
            found.append(VolumeDay(kind, browser, names[ago], events, expected, (events - expected) / spread))
    return found


def _events(days: Mapping[int, Row], ago: int) -> int:
    """A day without a row has none."""
    row = days.get(ago)
    return 0 if row is None else whole(row, "events")
