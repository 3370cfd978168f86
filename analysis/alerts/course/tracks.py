"""One fingerprint from evaluation to evaluation: how many in a row agree. ALERTS 5.

Two tracks may run for one fingerprint: what money asks for, and whether a failing signal check stands in its way.

Only other data agree. A bucket of six hours that is read every hour is one. For the worse it is read anew with the next
bucket, or between two with an hour more in what the severity rests on. Milder, or over, it is by whole buckets: after
three, each as grave as the gravest that was read of it.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from analysis.alerts.course.standing import Family, Track
from analysis.alerts.model import LONG, SEVERITIES, Evaluation, Severity
from analysis.alerts.weighing.severity import RULES, least
from analysis.alerts.weighing.windows import HOURS

CLEAN = 3  # buckets in a row before it is milder, or over
AGREE = 2  # evaluations of other data before it is graver; page_fast waits for none
MORE = timedelta(hours=1)  # of data between two buckets, to be read anew
WINDOWS = {rule.severity: [name for name, hours in HOURS.items() if hours in (rule.long, rule.short)] for rule in RULES}
DATA_AT_MOST: Severity = "ticket"  # with a failing check there is no evidence, and without it nobody is woken


def rank(severity: Severity) -> int:
    """0 for digest, up to page_fast."""
    return SEVERITIES.index(severity)


def highest(*severities: Severity) -> Severity:
    """The gravest of them; digest of none."""
    return max(severities, key=rank, default="digest")


def asked(found: Evaluation) -> Severity:
    """What it would ask for if every signal were healthy."""
    if found.severity != "digest" or not found.held_by:
        return found.severity
    return found.allowed if found.evidence.met else "digest"


def says(family: Family, found: Evaluation, before: Track | None) -> Severity | None:
    """The severity that counts; None when it says nothing, as no data do: neither a loss nor that it is over.

    A loss on a cell with a failing check goes on counting, the absence of one does not: it may be the fault's doing.
    The data's own track lasts from a loss (or no data) under a failing check until the check passes again.
    """
    blind = found.no_data or found.now is None
    if family == "money":
        severity = asked(found)
        return None if blind or (found.held_by and severity == "digest") else severity
    if not found.held_by:
        return None if blind else "digest"
    if blind:
        return DATA_AT_MOST
    severity = least(asked(found), DATA_AT_MOST)
    return before.recent[-1] if severity == "digest" and before is not None else severity


def follow(before: Track | None, family: Family, found: Evaluation) -> Track | None:
    """The track after an evaluation; None when there is nothing to follow (any more). A new one has no incident yet."""
    said, at = says(family, found, before), found.unit.at
    if before is None:
        if said is None or said == "digest":
            return None
        return Track(family, found, (said,), _confirmed("digest", (said,), ()), at, "", ends=(said,), read_at=at)
    if said is None:
        kept = replace(before.evaluation, held_by=found.held_by) if found.held_by else before.evaluation
        if not found.no_data and found.now is not None:
            return replace(before, evaluation=found, blind_since=None)
        return replace(before, evaluation=kept, blind_since=before.blind_since or at)
    anew = family == "data" or _bucket(at) != _bucket(_read_at(before))
    is_other = anew or (at - _read_at(before) >= MORE and _rests_on(before.evaluation, said) != _rests_on(found, said))
    recent = (*before.recent, said)[-AGREE:] if is_other else (*before.recent[:-1], said)
    ends = before.ends or before.recent
    ends = (*ends, said)[-CLEAN:] if anew else (*ends[:-1], highest(ends[-1], said))
    confirmed = _confirmed(before.confirmed, recent, ends)
    if confirmed == "digest" == said:
        return None
    return replace(
        before,
        evaluation=found if family == "money" or found.held_by else before.evaluation,
        recent=recent,
        confirmed=confirmed,
        blind_since=None,
        ends=ends,
        read_at=at if is_other else before.read_at,
    )


def _confirmed(before: Severity, recent: tuple[Severity, ...], ends: tuple[Severity, ...]) -> Severity:
    """Graver once the last two agree (page_fast at once), milder once the last three buckets do."""
    if recent[-1] == "page_fast":
        return "page_fast"
    risen = least(*recent[-AGREE:]) if len(recent) >= AGREE else "digest"
    if rank(risen) > rank(before):
        return risen
    fallen = highest(*ends) if len(ends) == CLEAN else before
    return least(before, fallen)


def _read_at(track: Track) -> datetime:
    """When the newest that counts was read; of a track of before that was kept, its newest evaluation."""
    return track.read_at or track.evaluation.unit.at


def _bucket(at: datetime) -> int:
    """The bucket of six hours that is the newest whole one then."""
    return int(at.timestamp()) // (60 * LONG)


def _rests_on(found: Evaluation, severity: Severity) -> tuple[object, ...]:
    """What the data say that the severity was read from: its windows, and the evidence."""
    return found.evidence.value, *(found.effects.get(name) for name in WINDOWS.get(severity, HOURS))
