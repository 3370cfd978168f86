"""The registry of one shop: everything registered, and the sheet of one experiment, ready to print."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from analysis import words
from analysis.readout import Readout
from analysis.registry import course as courses
from analysis.registry.buckets import Strip, part
from analysis.registry.course import Course, utc
from analysis.registry.overlaps import covering, overlaps
from analysis.registry.timeline import in_order
from analysis.words import registry as say
from experiments import ranges
from experiments.layers import Ground
from experiments.ranges import BUCKETS
from experiments.spec import Assigned, Live, Phase
from experiments.store import AuditRow, Store

Begun = tuple[Phase, Live]
BAND_HEADINGS = ("Draw", "Buckets", "Share", "Means")
OVERLAP_HEADINGS = ("Experiment", "Together", "Layer", "What that means", "Also on")
HOLDOUT_HEADINGS = ("Holdout", "Share", "Its members meet", "Compared with", "From, until", "What that means")


@dataclass(frozen=True, slots=True)
class Book:
    """Everything that is registered, with the whole audit and what is wrong with its chain."""

    courses: tuple[Course, ...]
    ground: Ground
    rows: tuple[AuditRow, ...]
    broken: tuple[str, ...]  # one sentence for each thing that is not as it was written

    def course(self, key: str) -> Course:
        """The experiment of this key."""
        return next(each for each in self.courses if each.key == key)


def read(store: Store) -> Book:
    """The book as the store has it; the audit is checked from its first row each time."""
    rows, broken = store.verified_audit()
    found = courses.courses(store.registered(), store.phases(), rows)
    return Book(found, store.ground(), rows, broken)


def headline(book: Book, now: datetime) -> str:
    """How many run, wait, are done."""
    return say.headline([each.condition(now) for each in book.courses])


def every_row(book: Book, now: datetime) -> tuple[tuple[str, str, str, str, str], ...]:
    """Every experiment: key, name, state, when, whose."""
    return tuple(
        (each.key, each.experiment.name, _state(each, now), say.together(*each.span()), each.experiment.owner)
        for each in in_order(book.courses, now)
    )


def _state(course: Course, now: datetime) -> str:
    known, number = course.registered, course.phases[-1][0].number if course.phases else 0
    decision = None if known.decision is None else known.decision.decision
    return say.state(course.condition(now), number, decision, killed=known.killed)


def sentences(
    course: Course, begun: Begun | None, ground: Ground, reading: Readout | None, now: datetime
) -> tuple[str, ...]:
    """What is tested, on what, whose it is, since when, who is in it, what was decided and why."""
    experiment = course.experiment
    condition, arms = course.condition(now), [variant.key for variant in experiment.treatments]
    number, started = (0, course.begin) if begun is None else (begun[0].number, begun[0].started_at)
    end = course.span()[1]
    told = [
        say.tested(arms, experiment.control.key, experiment.modules, experiment.unit_type, experiment.assigned_by),
        say.hypothesis(experiment.hypothesis),
        say.since(
            experiment.owner, condition, utc(course.begin), number, utc(started), None if end is None else utc(end)
        ),
    ]
    share = part(course, begun, ground)
    if share is not None:
        own = experiment if begun is None else begun[0].experiment
        narrowed = isinstance(own, Assigned) and (own.targeting is not None or bool(own.prerequisites))
        split = () if own.design == "interleaving" else own.variants
        drawn = [(variant.key, say.share(float(own.share([variant])))) for variant in split]
        told.append(say.meets(float(share), drawn, experiment.unit_type, condition, narrowed=narrowed))
    decision = course.registered.decision
    if decision is not None:
        told.append(say.decided(decision.decision, utc(decision.at), decision.reason))
    elif course.phases:
        told.append(say.undecided(condition))
    if reading is not None:
        name = words.verdict_name(reading.verdict.code, reading.verdict.sentence)
        told.append(say.reads(name, datetime.fromisoformat(reading.as_of)))
    return tuple(told)


def facts(course: Course, now: datetime) -> tuple[tuple[str, str], ...]:
    """Name and value of what identifies it."""
    known, own = course.registered, course.assigned
    found = [
        ("Experiment", course.key),
        ("State", _state(course, now)),
        ("Owner", course.experiment.owner),
        ("Version", f"{known.version}, revision {known.revision}"),
        ("Assigned by", course.experiment.assigned_by),
    ]
    if own is not None:
        found += [("Flags", ", ".join(own.flag_key)), ("Layer", own.layer.key)]
    return tuple(found)


def band_rows(strips: Sequence[Strip]) -> tuple[tuple[str, ...], ...]:
    """Every band of the drawing as a row."""
    return tuple(
        (strip.title, f"{band.begin:,} to {band.end - 1:,}", band.share, band.who)
        for strip in strips
        for band in strip.bands
    )


def overlap_rows(course: Course, book: Book) -> tuple[tuple[str, ...], ...]:
    """Every experiment at the same time, with what the two are to each other."""
    return tuple(
        (
            f"{each.name} ({each.key})",
            say.together(each.since, each.until),
            "–" if each.layer is None else each.layer + (f" {ranges.shown(each.buckets)}" if each.buckets else ""),
            say.relation(each.relation, book.course(each.key).experiment.unit_type),
            words.listed([words.pretty(name) for name in each.modules]) if each.modules else "–",
        )
        for each in overlaps(course, book.courses)
    )


def holdout_rows(course: Course, book: Book) -> tuple[tuple[str, ...], ...]:
    """Every holdout over its modules, named by it or not."""
    found = []
    for each in covering(course, book.ground.holdouts):
        if each.holdout is None:
            found.append((each.key, "–", "–", "–", "–", say.holdout_gone()))
            continue
        held = each.holdout
        found.append(
            (
                each.key,
                say.share(sum(end - start for start, end in held.buckets) / BUCKETS),
                words.pretty(held.strategy),
                words.sentence_case(say.COMPARATORS[held.comparator]),
                say.together(utc(held.start_at), None if held.end_at is None else utc(held.end_at)),
                say.covers(named=each.named, strategy=held.strategy),
            )
        )
    return tuple(found)
