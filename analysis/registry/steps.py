"""The next legal steps of an experiment: the command, and what it would do."""

from dataclasses import dataclass
from datetime import datetime

from analysis.registry.course import Course
from analysis.words import registry as say
from experiments.lifecycle import ALLOWED, next_step


@dataclass(frozen=True, slots=True)
class Step:
    """One command without its program, and what it does."""

    command: str
    words: str


def next_steps(course: Course, now: datetime) -> tuple[Step, ...]:
    """What the lifecycle allows now. What another system assigns can only be started, stopped and put away here."""
    known, key = course.registered, course.key
    allowed = [word for word in ALLOWED[known.state] if course.assigned is not None or word in say.FOR_ANY]
    own = course.assigned
    if known.state == "stopped" and known.decision is None:
        allowed = ["decide"]
    if own is not None and known.state in ("draft", "scheduled"):
        early = now < own.schedule.start_at
        allowed = [word for word in allowed if word != ("start" if early else "schedule")]
        if own.schedule.end_at is not None and own.schedule.end_at <= now:
            allowed = ["register"]
        elif known.state == "scheduled":
            allowed = ["ramp", *([] if early else ["start"])]
    if known.killed:
        allowed = ["resume", *(word for word in allowed if word != "resume")]
    if own is not None and known.state in ("running", "paused"):
        step = next_step(own, course.phases[-1][1]) if course.phases else None
        if step is not None and step.at <= now and known.state == "running" and not known.killed:
            allowed = ["step", *allowed]
        grows = bool(course.phases) and course.phases[-1][1].traffic_bp < 10_000
        allowed += ["traffic"] if grows else []
        allowed += [] if known.killed else ["kill"]
    return tuple(Step(say.COMMANDS[word].format(key=key), say.STEPS[word]) for word in allowed)
