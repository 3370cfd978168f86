"""The overview: one row an experiment, what waits for a decision."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from analysis import words
from analysis.pages.views.shared import as_it_should_be, comparison_of, glyph, primary, span, stale_days, treatments
from analysis.readout import Check, Interval, Readout, VerdictCode
from analysis.words import pages as say

ACTED_ON = ("SHIP", "STOP", "NO_MATERIAL_EFFECT")  # verdicts that ask somebody to act, at any time


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One experiment. Texts are ready to print; `done` is the share of the planned days, 0 to 1."""

    key: str
    name: str
    owner: str
    modules: str
    verdict: VerdictCode | None = None  # None: no reading yet
    verdict_name: str = ""
    verdict_glyph: str = ""
    metric: str = ""
    lift: str = ""
    money: str = ""
    progress: str = ""
    left: str = ""
    done: float | None = None
    health: str = ""
    stale: str = ""
    at_stake: float = -1.0  # money a day, without its sign; −1 where none is known


@dataclass(frozen=True, slots=True)
class Registration:
    """What the overview needs of a registered experiment, and its newest reading if it has one."""

    key: str
    name: str
    owner: str
    modules: tuple[str, ...]
    reading: Readout | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The headline and the rows: most money a day at stake first, then those without a number, then the unread."""

    headline: str
    rows: tuple[OverviewRow, ...]
    alerts: bool = False  # whether the headline says something of them


def overview(registered: Sequence[Registration], now: datetime, alerts: Sequence[str] = ()) -> Overview:
    """All experiments. A decision waits where a verdict asks somebody to act, or a finished run is undecided.

    An A/A test that found nothing asks for no decision. `alerts` is what the headline says of incidents.
    """
    rows = sorted((_overview_row(each, now) for each in registered), key=_order)
    readings = [each.reading for each in registered if each.reading is not None]
    waiting = sum(_waits(reading) for reading in readings)
    blocked = sum(reading.withheld for reading in readings)
    done = sum(reading.mode == "finished" and not reading.withheld and not _waits(reading) for reading in readings)
    running = len(readings) - waiting - blocked - done
    unread = len(registered) - len(readings)
    headline = say.waiting(waiting, alerts=alerts, blocked=blocked, running=running, done=done, unread=unread)
    return Overview(headline, tuple(rows), bool(alerts))


def _order(row: OverviewRow) -> tuple[float, bool, str]:
    return (-row.at_stake, row.verdict is None, row.name)


def _waits(reading: Readout) -> bool:
    if as_it_should_be(reading.verdict):
        return False
    return reading.verdict.code in ACTED_ON or (reading.mode == "finished" and not reading.withheld)


def _overview_row(each: Registration, now: datetime) -> OverviewRow:
    modules = words.listed([words.pretty(module) for module in each.modules])
    reading = each.reading
    if reading is None:
        return OverviewRow(each.key, each.name, each.owner, modules)
    age = stale_days(reading, now)
    row = OverviewRow(
        key=each.key,
        name=each.name,
        owner=each.owner,
        modules=modules,
        verdict=reading.verdict.code,
        verdict_name=words.verdict_name(reading.verdict.code, reading.verdict.sentence),
        verdict_glyph=glyph(reading.verdict),
        progress=words.sentence_case(say.day_of(reading.day.n, reading.day.planned)),
        left="finished" if reading.mode == "finished" else say.left(reading.day.n, reading.day.planned) or "",
        done=None if not reading.day.planned else min(reading.day.n / reading.day.planned, 1.0),
        health=health(reading.checks),
        stale=say.stale(age) if age is not None else "",
    )
    return row if reading.withheld else _with_numbers(row, reading)


def _with_numbers(row: OverviewRow, reading: Readout) -> OverviewRow:
    metric = primary(reading)
    comparison = comparison_of(metric, reading.verdict.arm or treatments(reading)[0])
    money = comparison.money_per_day
    known = money if isinstance(money, Interval) else None
    return replace(
        row,
        metric=metric.label,
        lift=span(comparison.relative),
        money="" if known is None else span(known, unit="money", currency=reading.currency.code),
        at_stake=-1.0 if known is None else abs(known.est),
    )


def health(checks: Sequence[Check]) -> str:
    """One line: what blocks, else how many checks pass."""
    judged = [check for check in checks if check.state != "not_applicable"]
    return say.health(
        [check.label for check in judged if check.blocking and check.state == "fail"],
        sum(check.state in ("warn", "fail") for check in judged),
        sum(check.state == "unknown" for check in judged),
        len(judged),
    )
