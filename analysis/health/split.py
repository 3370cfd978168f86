"""Checks of who got what: the split, units in two arms, unknown variants, arms alike beforehand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from analysis import words
from analysis.health.findings import (
    DATA_TEAM,
    NOT_RUN,
    WEB_TEAM,
    Evidence,
    Finding,
    Sheet,
    by_arm,
    inequality,
    is_unequal,
    rate,
    summed,
    text,
    whole,
    worst,
)
from analysis.health.pre_period import PrePeriod
from analysis.health.sample_ratio import chi_square_p, evidence
from analysis.health.thresholds import MIN_GROUP_UNITS, MIN_ROWS, MIN_SHARE_OFF, THRESHOLDS
from analysis.inference.result import Undetermined
from analysis.readout import CheckState, Figure
from analysis.warehouse.base import CellValue
from analysis.words import health as said
from experiments.spec import Assigned, HeldOut

SAMPLE_RATIO = Sheet(
    "SH-01", "Sample ratio", blocking=True, sql="sample_ratio", owner=DATA_TEAM, judged={
        "e": "sample_ratio_e", "p": "sample_ratio_p", "e_worst_group": "group_ratio_e",
        "p_worst_group": "group_ratio_p",
    },
)  # fmt: skip
DUPLICATES = Sheet(
    "SH-04", "Duplicates", blocking=False, sql="duplicates", owner=WEB_TEAM,
    judged={"by_id": "duplicates", "semantic": "slots_repeated", "e_unequal": "unequal_by_arm"},
)  # fmt: skip
TWO_ARMS = Sheet(
    "SH-07", "Units in two arms", blocking=True, sql="two_arms", owner=DATA_TEAM,
    judged={"rate": "two_arms", "e_unequal": "unequal_by_arm"},
)  # fmt: skip
AUDIT = Sheet(
    "SH-09", "Logged arm is the computed arm", blocking=True, sql=None, owner=DATA_TEAM,
    judged={"rate": "audit", "members_met_else": "members_met_else"},
)  # fmt: skip
PRE_PERIOD = Sheet("SH-15", "Arms alike before", blocking=True, sql=None, owner=DATA_TEAM, judged={"p": "pre_period_p"})
REGISTERED = Sheet("SH-16", "Only registered variants", blocking=True, sql="unregistered_variant", owner=DATA_TEAM)


OUTCOMES = ("slates", "semantic_duplicates")  # counts of what an arm did, not of units


# --- SH-01 -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Split:
    """The units of one group by arm, and the evidence against the planned shares."""

    group: str | None  # None: all units
    units: tuple[int, ...]
    e: float  # all units: the largest over the days
    p: float  # χ²
    off: float  # the largest distance of an arm's share from its plan

    def state(self, groups: int, *, finished_import: bool) -> CheckState:
        """Limits times the number of groups tested; 1 for all units."""
        if self.off < MIN_SHARE_OFF:
            return "pass"
        of = "sample" if self.group is None else "group"
        if finished_import:
            return THRESHOLDS[f"{of}_ratio_p"].state(self.p * groups)
        return THRESHOLDS[f"{of}_ratio_e"].state(self.e / groups)

    def figures(self, arms: Sequence[str]) -> dict[str, Figure]:
        """For the readout."""
        shown: dict[str, Figure] = {"group": self.group or "all units", "e": self.e, "p": self.p}
        for arm, units in zip(arms, self.units, strict=True):
            shown[f"units {arm}"] = units
        return shown


def sample_ratio(given: Evidence) -> Finding:
    """SH-01: all units, and every group of 100 units or more by browser and context slice."""
    arms, weights = given.arms, given.weights
    counts = tuple(given.counts.units.get(arm, 0) for arm in arms)
    if sum(counts) < MIN_GROUP_UNITS:
        return SAMPLE_RATIO.unknown(said.too_few(sum(counts), MIN_GROUP_UNITS, "units"))
    days = _daily_evidence(given)
    overall = _split(None, counts, weights, max((e for _, e in days), default=0.0))
    everybody = _groups(given)
    groups = [_split(name, units, weights) for name, units in everybody.items() if sum(units) >= MIN_GROUP_UNITS]
    judged = [(overall, overall.state(1, finished_import=given.finished_import))]
    judged += [(group, group.state(len(groups), finished_import=given.finished_import)) for group in groups]
    told = {split.group: found for split, found in judged}
    browsers = {text(row, "value") for row in given.of("sample_ratio") or () if text(row, "dimension") == "browser"}
    by_browser = {name: told.get(said.group("browser", [name]), "unknown") for name in browsers}
    state = worst(found for _, found in judged)
    figures: dict[str, Figure] = {
        "e": overall.e,
        "p": overall.p,
        "judged_by": "chi_square" if given.finished_import else "e",
        "groups": len(groups),
        **{f"share {arm}": rate(units, sum(counts)) for arm, units in zip(arms, counts, strict=True)},
    }
    if groups:  # as they are held against the limits: there are many, and the worst is looked for
        off = [group for group in groups if group.off >= MIN_SHARE_OFF]
        figures["e_worst_group"] = max((group.e for group in off), default=0.0) / len(groups)
        figures["p_worst_group"] = min(1.0, min((group.p for group in off), default=1.0) * len(groups))
    unjudged = ("e", "e_worst_group") if given.finished_import else ("p", "p_worst_group")
    if state == "pass":
        return SAMPLE_RATIO.finding(
            state, said.split_as_planned(len(groups)), figures=figures, browsers=by_browser, unjudged=unjudged
        )
    offending = [split for split, found in judged if found == state]
    cause = _cause(offending[0], arms, weights)
    return SAMPLE_RATIO.finding(
        state,
        words.sentence_case(f"{cause}."),
        figures=figures,
        groups=(split.figures(arms) for split in _distinct(offending)),
        since=_first_day(days, state) if offending[0] is overall else None,
        hold=SAMPLE_RATIO.holding(cause, said.SPLIT_FIX) if state == "fail" else None,
        browsers=by_browser,
        unjudged=unjudged,
    )


def _distinct(splits: Sequence[Split]) -> list[Split]:
    """Without those that hold the very numbers of one before: a slice with one value repeats the whole."""
    first: dict[tuple[int, ...], Split] = {}
    for split in splits:
        first.setdefault(split.units, split)
    return list(first.values())


def _split(group: str | None, units: Sequence[int], weights: Sequence[Fraction], past: float = 0.0) -> Split:
    total = sum(units)
    off = max(abs(n / total - float(w)) for n, w in zip(units, weights, strict=True))
    return Split(group, tuple(units), max(past, evidence(units, weights)), chi_square_p(units, weights), off)


def _daily_evidence(given: Evidence) -> list[tuple[str, float]]:
    """The evidence at the end of each day so far: its maximum stays valid (STATISTICS 6)."""
    days = []
    for day, arms in sorted(given.counts.daily.items()):
        units = [arms[arm].n if arm in arms else 0 for arm in given.arms]
        if sum(units) >= MIN_GROUP_UNITS:
            days.append((day.isoformat(), evidence(units, given.weights)))
    return days


def _first_day(days: Sequence[tuple[str, float]], state: CheckState) -> str | None:
    limit = THRESHOLDS["sample_ratio_e"].fail if state == "fail" else THRESHOLDS["sample_ratio_e"].warn
    return next((day for day, e in days if e >= limit), None)


def _groups(given: Evidence) -> Mapping[str, tuple[int, ...]]:
    """Units by arm for each browser and each cell of a context slice, under the group's name."""
    groups = dict(_context_groups(given))
    for row in given.of("sample_ratio") or ():
        if text(row, "dimension") == "overall" or text(row, "arm") not in given.arms:
            continue
        name = said.group(text(row, "dimension"), [text(row, "value")])
        units = list(groups.get(name, (0,) * len(given.arms)))
        units[given.arms.index(text(row, "arm"))] = whole(row, "units")
        groups[name] = tuple(units)
    return groups


def _context_groups(given: Evidence) -> Iterator[tuple[str, tuple[int, ...]]]:
    for key, arms in given.counts.cells.items():
        if key.kind == "context" and key.slice and key.window_days is None:
            units = tuple(arms[arm].n if arm in arms else 0 for arm in given.arms)
            yield said.group(key.slice, key.values), units


def _cause(split: Split, arms: Sequence[str], weights: Sequence[Fraction]) -> str:
    total = sum(split.units)
    seen = [(arm, n / total, float(w)) for arm, n, w in zip(arms, split.units, weights, strict=True)]
    return said.split_off(seen, split.group)


# --- SH-04, SH-07 ----------------------------------------------------------------------------------------


def duplicates(given: Evidence) -> Finding:
    """SH-04: rows that came twice; they are no harm unless one arm has more of them."""
    rows = given.of("duplicates")
    if rows is None:
        return DUPLICATES.unknown(NOT_RUN)
    slates = summed(rows, "slates")
    if slates < MIN_ROWS:
        return DUPLICATES.unknown(said.too_few(slates, MIN_ROWS, "slots"))
    loaded, by_id = max((whole(r, "rows_read") for r in rows), default=0), max(whole(r, "id_duplicates") for r in rows)
    semantic = rate(summed(rows, "semantic_duplicates"), slates)
    units, faulty = by_arm(rows, given.arms, "units"), by_arm(rows, given.arms, "units_with_duplicates")
    e = inequality(faulty, units)
    figures: dict[str, Figure] = {"by_id": rate(by_id, loaded), "semantic": semantic, "e_unequal": e}
    sentence = said.duplicates(rate(by_id, loaded), semantic)
    if is_unequal(e):
        rates = [(arm, rate(f, n)) for arm, f, n in zip(given.arms, faulty, units, strict=True)]
        cause = said.unequal("repeated slots", rates)
        hold = DUPLICATES.holding(cause, said.DUPLICATES_FIX)
        return DUPLICATES.finding(
            "fail", words.sentence_case(f"{cause}."), figures=figures, groups=_shown(rows), hold=hold
        )
    state = worst((THRESHOLDS["duplicates"].state(rate(by_id, loaded)), THRESHOLDS["slots_repeated"].state(semantic)))
    return DUPLICATES.finding(state, sentence, figures=figures, groups=() if state == "pass" else _shown(rows))


def two_arms(given: Evidence) -> Finding:
    """SH-07: units seen in more than one arm, by the arm they were first seen in.

    A unit that is split again at random meets arm a first and another one later with probability w_a (1 - w_a), not
    w_a: between two arms that is half and half, whatever the weights. That is what the arms are compared with.
    """
    rows = given.of("two_arms")
    if rows is None:
        return TWO_ARMS.unknown(NOT_RUN)
    if isinstance(given.experiment, HeldOut) and not summed(rows, "units_in_two_arms"):
        return TWO_ARMS.not_applicable(said.ARM_BY_HASH)
    units, faulty = by_arm(rows, given.arms, "units"), by_arm(rows, given.arms, "units_in_two_arms")
    if sum(units) < MIN_GROUP_UNITS:
        return TWO_ARMS.unknown(said.too_few(sum(units), MIN_GROUP_UNITS, "units"))
    again = [n * (sum(units) - n) for n in units]
    share, e, kind = rate(sum(faulty), sum(units)), inequality(faulty, again), given.experiment.unit_type
    figures: dict[str, Figure] = {"rate": share, "units": sum(faulty), "e_unequal": e}
    state: CheckState = "fail" if is_unequal(e) else THRESHOLDS["two_arms"].state(share)
    since = min((text(r, "first_day") for r in rows if r.get("first_day") is not None), default=None)
    sentence, hold = said.two_arms(share, sum(faulty), kind), None
    if state == "fail":
        rates = [(arm, rate(f, n)) for arm, f, n in zip(given.arms, faulty, units, strict=True)]
        unequal = said.unequal(f"{words.units(kind)} seen in more than one arm", rates)
        hold = TWO_ARMS.holding(unequal if is_unequal(e) else said.two_arms_cause(share, kind), said.TWO_ARMS_FIX)
        sentence = words.sentence_case(f"{hold.cause}.")
    if state == "pass":
        return TWO_ARMS.finding(state, sentence, figures=figures)
    return TWO_ARMS.finding(state, sentence, figures=figures, groups=_shown(rows), since=since, hold=hold)


def _shown(rows: Sequence[Mapping[str, Figure]]) -> list[dict[str, Figure]]:
    """The groups without how many slots an arm was shown: that is an outcome, and a withheld readout shows none."""
    return [{name: value for name, value in row.items() if name not in OUTCOMES} for row in rows]


# --- SH-09, SH-15, SH-16 ---------------------------------------------------------------------------------


def audit(given: Evidence) -> Finding:
    """SH-09: every exposure recomputed from salt, ranges and traffic, where truelift made the split.

    Of a holdout those at which it was asked: a member must have been held out, and nobody else. And whoever decided it,
    a member that met anything but the holdout's strategy is none: too many of those leave nothing to compare.
    """
    if not isinstance(given.experiment, Assigned | HeldOut):
        return AUDIT.not_applicable(f"assigned by {given.experiment.assigned_by}")
    rows = given.of("hash_audit")
    if rows is None:
        return AUDIT.unknown(NOT_RUN)
    counts = {text(row, "class"): whole(row, "exposures") for row in rows}
    total = sum(counts.values())
    if total == 0 and not summed(given.of("holdout_members") or (), "met_else"):
        return AUDIT.unknown(said.too_few(0, 1, "exposures"))
    wrong = {name: count for name, count in counts.items() if count and name != "ok"}
    found = rate(sum(wrong.values()), total)
    state, sentence = THRESHOLDS["audit"].state(found), said.recomputed(total, wrong)
    if total == 0:
        sentence = said.unknown(said.too_few(0, 1, "exposures"))
    held_out = isinstance(given.experiment, HeldOut)
    fix = said.held_out_fix(given.experiment.key) if held_out else said.RECOMPUTED_FIX
    hold = AUDIT.holding(said.recomputed_cause(found), fix) if state == "fail" else None
    figures: dict[str, Figure] = {"rate": found, "exposures": total}
    groups: list[dict[str, Figure]] = [
        {"what is wrong": said.MISMATCH[name], "exposures": n} for name, n in wrong.items()
    ]
    recomputed = AUDIT.finding(state, sentence, figures=figures, groups=groups, hold=hold)
    return _with_members(given, recomputed, fix) if held_out else recomputed


def _with_members(given: Evidence, recomputed: Finding, fix: str) -> Finding:
    """What was recomputed of a holdout, with what its members met."""
    seen = given.of("holdout_members") or ()
    members, served = summed(seen, "members"), summed(seen, "met_else")
    if not served:
        return recomputed
    share, met, check = rate(served, members), given.of("holdout_met_else") or (), recomputed.check
    cause = said.members_met_else(share, served, given.experiment.unit_type, _place(met[0]))
    found, sentence = THRESHOLDS["members_met_else"].state(share), check.sentence
    if found != "pass":  # no more is said of exposures that are as they should be
        told = words.sentence_case(f"{cause}.")
        sentence = told if check.state == "pass" else f"{sentence} {told}"
    elsewhere: list[dict[str, Figure]] = [
        {"what is wrong": _place(row), "units": whole(row, "members"), "exposures": whole(row, "exposures")}
        for row in met
    ]
    return AUDIT.finding(
        worst((check.state, found)),
        sentence,
        figures={**check.figures, "members_met_else": share, "members": members},
        groups=(*check.groups, *elsewhere),
        hold=AUDIT.holding(cause, fix) if found == "fail" else recomputed.hold,
    )


def _place(met: Mapping[str, CellValue]) -> str:
    return said.met_place(met.get("experiment_key"), text(met, "reason"))


def pre_period(given: Evidence) -> Finding:
    """SH-15: one test over all covariates, valid at every look."""
    found = given.pre_period
    if isinstance(found, Undetermined):
        return PRE_PERIOD.unknown(found.words)
    state = THRESHOLDS["pre_period_p"].state(found.p)
    figures: dict[str, Figure] = {"p": found.p, "e": found.e, "covariates": len(found.covariates)}
    if state == "pass":
        return PRE_PERIOD.finding(state, said.alike_before(len(found.covariates)), figures=figures)
    hold = PRE_PERIOD.holding(said.UNLIKE_BEFORE, said.UNLIKE_BEFORE_FIX) if state == "fail" else None
    sentence = words.sentence_case(f"{said.UNLIKE_BEFORE}.")
    return PRE_PERIOD.finding(state, sentence, figures=figures, groups=_measures(given, found), hold=hold)


def _measures(given: Evidence, found: PrePeriod) -> list[dict[str, Figure]]:
    """What differed, most first, by name: how much is a metric's number, and a withheld readout shows none."""
    gaps = {key: max(abs(arm.get(key, 0.0)) for arm in found.differences.values()) for key in found.covariates}
    ordered = sorted(found.covariates, key=lambda key: -gaps[key])
    return [{"measure": said.measure(given.covariate_names.get(key, key))} for key in ordered]


def registered(given: Evidence) -> Finding:
    """SH-16: a variant in the logs that the definition does not know."""
    if isinstance(given.experiment, HeldOut):
        return REGISTERED.not_applicable(said.ARMS_BY_HASH)
    rows = given.of("unregistered_variant")
    if rows is None:
        return REGISTERED.unknown(NOT_RUN)
    if not rows:
        return REGISTERED.finding("pass", said.ALL_REGISTERED)
    count = summed(rows, "slates")
    cause = said.unregistered([text(row, "variant") for row in rows], count)
    return REGISTERED.finding(
        "fail",
        words.sentence_case(f"{cause}."),
        figures={"rows": count, "units": summed(rows, "units")},
        groups=_shown(rows),
        since=min(text(row, "first_day") for row in rows),
        hold=REGISTERED.holding(cause, said.UNREGISTERED_FIX),
    )
