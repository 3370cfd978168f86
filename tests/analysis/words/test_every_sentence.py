"""Every sentence that the alerts can make, for a matrix of cases: none says nan, None or 1 places, none is torn."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import product
from typing import get_args

import pytest

from analysis.alerts.course.acts import Act, Matcher
from analysis.alerts.course.inhibition import NOT_THE_RECOMMENDER
from analysis.alerts.course.standing import Case, Closed, Standing
from analysis.alerts.model import (
    METRICS,
    SEVERITIES,
    Cell,
    Evaluation,
    Evidence,
    Incident,
    Notice,
    Resolution,
)
from analysis.alerts.notices import inbox_text
from analysis.alerts.notices.digest import digest
from analysis.alerts.notices.heartbeat import beat
from analysis.alerts.notices.payload import alert_v1
from analysis.alerts.weighing.severity import least
from analysis.pages.views import alerts as view
from analysis.words import NOT_FOR_READERS
from analysis.words import alerts as say
from tests.helpers.incidents import AT, EVERYBODY, LAUNCH, TRIAL, evaluation, incident

NAMES: Mapping[str, str] = {"SH-02": "Missing add-to-cart", "SH-13": "Volume and freshness"}
PLACES = (
    Cell(), Cell("homepage"), Cell("homepage", "decor"), Cell("homepage", "(none)"), Cell("pdp", "", "mobile"),
    Cell("pdp", "outdoor_living", "(none)"), Cell("(none)", "(none)"),
)  # fmt: skip
COMPARED = (EVERYBODY, LAUNCH, TRIAL)
STATES: tuple[dict[str, object], ...] = (
    {}, {"state": "pending", "opened_at": None, "lost": 0.0}, {"state": "acked", "acked_by": "ann"},
    {"state": "resolving", "expected": -50.0, "at_least": 0.0}, {"state": "resolved", "expected": 0.0, "at_least": 0.0},
    *({"state": "resolved", "expected": 0.0, "lost": lost, "resolution": code}
      for code, lost in zip(get_args(Resolution), (0.0, 0.3, 1e9, 42.0), strict=True)),
    {"silenced_until": AT + timedelta(days=1), "silenced_by": "bob"}, {"inhibited_by": "c3d4e5f6a7b8"},
    {"inhibited_by": NOT_THE_RECOMMENDER}, {"held": True}, {"at_least": 0.0}, {"at_least": 48_123_00.0},
    {"expected": 0.2, "at_least": 0.1, "lost": 0.1}, {"hints": say.hints(
        window="launch home_als_v2 2026-12-01", blind_since=AT, takes_in=["homepage", "(none)", "pdp"])},
)  # fmt: skip
EVENTS = ("open:page:1", "worse:page_fast:2", "doubled:page:3", "still:ticket:4", "repeat:5", "resolved:6", "data:7")


def evaluations() -> Iterator[Evaluation]:
    """Cells in every condition."""
    for cell, compared, metric in product(PLACES, COMPARED, METRICS):
        yield evaluation(cell, comparison=compared, metric=metric)
    for cell, compared, severity in product(PLACES[1:4], COMPARED, SEVERITIES):
        one = evaluation(cell, comparison=compared, severity=severity)
        kind = "forecast" if compared == EVERYBODY else "detector" if compared == LAUNCH else "e_process"
        for by_money, value, waits in product(
            ("page_fast", "page", "ticket", "digest"), (0.03, 1e9), ("", "a baseline")
        ):
            evidence = Evidence(kind, value, 400.0, "ticket" if kind == "forecast" else "page", waits)  # type: ignore[arg-type]
            agreed = least(by_money, evidence.most) if evidence.met else "digest"  # type: ignore[arg-type]
            yield replace(one, severity=agreed, by_money=by_money, evidence=evidence)  # type: ignore[arg-type]
        for relative, se, sessions in product(
            (-1.0, -0.3, -0.021, -0.00001, 0.0, 0.004, 3.0), (0.0, 0.002, 0.9), (0.2, 1, 1500)
        ):
            effects = {name: replace(each, relative=relative, se=se) for name, each in one.effects.items()}
            yield replace(one, effects=effects, stake=replace(one.stake, sessions=sessions))
        yield replace(one, now=None, effects={}, no_data=True)
        yield replace(one, effects={})
        yield replace(one, held_by=("SH-02",))
        yield replace(one, held_by=("SH-02", "SH-99"))


def incidents() -> Iterator[Incident]:
    for place, compared, severity, more in product(PLACES, COMPARED, SEVERITIES, STATES):
        held = ("SH-02", "SH-13") if more.get("held") else ()
        one = evaluation(place, comparison=compared, severity=severity, held_by=held)
        others = tuple(evaluation(Cell(place.module or "cart", f"c_{at}"), severity=severity) for at in range(6))
        for members in ((one,), (one, others[0]), (one, *others), ()):
            found = incident("a1b2c3d4e5f6", module=place.module, severity=severity, members=members, **more)  # type: ignore[arg-type]
            yield found
            if more in (STATES[0], STATES[4]):
                checks = tuple(replace(each, held_by=("SH-02",)) for each in members)
                yield replace(found, members=checks, family="data", expected=0.0, at_least=0.0, lost_so_far=0.0)


def of_incident(one: Incident) -> Iterator[str]:
    """What the page, the list, one incident and the digest say of it."""
    yield say.title(one, currency="EUR", digits=2, names=NAMES)
    yield say.sentence(one, currency="EUR", digits=2, names=NAMES)
    yield from one.hints
    standing = Standing(at=AT, cases={one.incident_id: Case(one)})
    [row] = view.inbox(standing, (), view.Print("EUR", 2, NAMES, True)).rows
    yield row.sentence
    yield from (f"{name}: {value}" for name, value in row.figures)
    yield from (cell for cells in row.cells for cell in cells)
    printed = inbox_text.Print("EUR", 2, NAMES)
    yield from inbox_text.listed(standing, printed, every=True)
    yield from inbox_text.shown(one, printed, (), ())
    yield from digest(
        standing, (), since=AT - timedelta(days=7), until=AT + timedelta(days=1), currency="EUR", digits=2, names=NAMES
    ).splitlines()


@cache
def every() -> tuple[str, ...]:
    """Each text once, line by line."""
    lines: dict[str, None] = {}

    def add(*texts: str) -> None:
        lines.update(dict.fromkeys(line.strip() for text in texts for line in text.splitlines() if line.strip()))

    some = list(incidents())
    for one in some:
        add(*of_incident(one))
    for at, (one, event) in enumerate(product(some[:: len(some) // 150 or 1], EVENTS)):
        notice = Notice(one, event, AT, at % 3)
        add(alert_v1(notice, names=NAMES, currency="EUR", digits=2, links={}, snapshot=None)["text"])
    muting = (None, incident(), incident(silenced_until=AT, silenced_by="bob", lost=0.0), incident(inhibited_by="a1"))
    for found, within, pages in product(evaluations(), muting, (True, False)):
        add(say.why_not(found, within, currency="EUR", digits=2, names=NAMES, pages=pages))
    add(*of_weeks())
    later = AT + timedelta(hours=9)
    beats = product((None, AT, later), (None, "", "no disk"), (None, AT), (15, 60, 360), (True, False))
    for looked, wrong, read, minutes, waits in beats:
        add(beat(looked, wrong, read=read, minutes=minutes, now=later, waits=waits).told)
    return tuple(lines)


def of_weeks() -> Iterator[str]:
    """Digests with rules that were right, silences of every kind, and cells that lose little."""
    codes = (*get_args(Resolution), None)
    matchers = (
        Matcher("homepage"), Matcher("homepage", "(none)"), Matcher(category="decor"), Matcher(metric="click"),
        Matcher("pdp", metric="order", at_most="ticket"), Matcher(at_most="watch"),
    )  # fmt: skip
    for count in (0, 1, 2, 12):
        closed = tuple(Closed(f"{code}{at}", "loss", 1, "page", AT, 1.0, code) for code in codes for at in range(count))
        only = tuple(one for one in closed if one.resolution is None)
        ends = AT + timedelta(days=1)
        silences = [Act("silence", "ann", AT, "a sale", matcher=each, expires_at=ends) for each in matchers][:count]
        small = tuple(
            replace(one, why_not=say.why_not(one, currency="EUR", digits=2, names=NAMES, pages=True))
            for at in range(count)
            for one in [evaluation(Cell("pdp", f"c_{at}"), severity="digest", expected=90.0 * at, at_least=0.0)]
        )
        for told in (closed, only):
            standing = Standing(at=AT, closed=told, silences=tuple(silences))
            yield digest(standing, small, since=AT - timedelta(days=7), until=AT, currency="EUR", digits=2, names=NAMES)
            yield "\n".join(inbox_text.precisions(told))
        for act in silences:
            yield inbox_text.done(act)


COUNTED = "session|place|incident|run|notice|page|line|check|minute|hour|day|cell|data issue|expected change|bucket end"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (r"\b(nan|None|inf|null|True|False)\b", "a value that is none"),
        (rf"(?<![\d.,€])\b1 ({COUNTED})s\b", "one of several"),
        (rf"(?<![\d.,€])\b(0|[2-9]|\d{{2,}}) ({COUNTED})\b", "several of one"),
        (r" {2,}|\s[.,;:](\s|$)|\.\.|,,|;\.|:\.|\(\)|, *$", "torn"),
        (r"\b([A-Za-z]+)[,:]? \1\b", "the same word twice"),
        (r"€-|−|\s-\d", "a sign where a size is meant"),
        (r"about €0(\.0+)?\b(?!\.)", "about nothing"),
        (r"€\d[\d,]*[1-9]\d[\d,]*[1-9]\d*(?![\d.k])", "more digits than are meant"),
        (r"(?!.*give or take)([1-9]\d*\.\d{3,}|[1-9]\d{2,}\.\d+|[1-9]\d\.\d{2,})%", "more digits than are meant"),
        (r"\bSH-(02|13)\b", "a check that has a name"),
        (r"None given|\(none\)|_|\bcells?\b", "a word of ours"),
        ("|".join(NOT_FOR_READERS), "a word that readers misread"),
    ],
)
def test_no_line_says(wrong: str, why: str) -> None:
    keys = r"home_als_v2|als_v2|global_h2|loss_budget|[a-z_]+:[a-z_]*:?\d+"  # as a shop and the protocol name them
    columns = r"^a1b2c3d4e5f6  (.*?) {2,}"  # of the list
    found = [line for line in every() if re.search(wrong, re.sub(columns, r"\1 ", re.sub(keys, "x", line)))]
    assert found[:5] == [], f"{why}: {len(found)} of {len(every())}"


def test_a_sentence_is_whole() -> None:
    for one in incidents():
        told = say.sentence(one, currency="EUR", digits=2, names=NAMES)
        assert not told or re.fullmatch(r"[A-Z].*\.", told), told
    for found, pages in product(evaluations(), (True, False)):
        told = say.why_not(found, currency="EUR", digits=2, names=NAMES, pages=pages)
        assert not told or re.fullmatch(r"[A-Z].*\.", told), told


def test_whoever_was_not_told_is_told_why() -> None:
    for found in evaluations():
        told = say.why_not(found, currency="EUR", digits=2, names=NAMES, pages=True)
        assert told, found
