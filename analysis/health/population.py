"""Checks of who is in the logs: bots, ids that hang together, single visitors who push an item."""

import math

from analysis import words
from analysis.health.findings import (
    DATA_TEAM,
    NOT_RUN,
    WEB_TEAM,
    Evidence,
    Finding,
    Row,
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
from analysis.health.thresholds import ASSUMED_UNITS, MIN_DAYS_BEFORE, MIN_GROUP_UNITS, THRESHOLDS
from analysis.inference.designs import p_value
from analysis.readout import Figure
from analysis.words import health as said
from analysis.words import signals
from experiments.spec import Assigned

MET = Sheet(
    "SH-10", "Visitors meet the module alike", blocking=True, sql="met_the_module", owner=WEB_TEAM,
    judged={"p": "met_p"},
)  # fmt: skip
BOTS = Sheet(
    "SH-11", "Bots and own people", blocking=True, sql="busy_units", owner=DATA_TEAM,
    judged={"marked": "bots", "not_marked": "busy_units", "e_unequal": "unequal_by_arm"},
)  # fmt: skip
IDENTITY = Sheet(
    "SH-12", "Ids that hang together", blocking=False, sql="identity", owner=WEB_TEAM,
    judged={"sharing": "identity", "e_unequal": "unequal_by_arm"},
)  # fmt: skip
SPIKES = Sheet(
    "SH-18", "Items pushed by one visitor", blocking=False, sql="spikes", owner=DATA_TEAM, judged={"z": "spike_z"}
)
MARKED = ("bot", "internal")  # why a unit is not analysed


def met_the_module(given: Evidence) -> Finding:
    """SH-10: of the visitors whom the hash gives to each arm, how many were exposed; withholds where that differs.

    What an arm does begins with the exposure, so it cannot change who has one. Two proportions, pooled, treatment by
    treatment against control, as the always-valid p of z (STATISTICS 4, with n* as where none is planned), times the
    number of treatments.
    """
    if not isinstance(given.experiment, Assigned):
        return MET.not_applicable("which arm a visitor without an exposure belongs to is not known")
    rows = given.of("met_the_module")
    if rows is None:
        return MET.unknown(NOT_RUN)
    units, exposed = by_arm(rows, given.arms, "units"), by_arm(rows, given.arms, "units_exposed")
    if min(units, default=0) < MIN_GROUP_UNITS:
        return MET.unknown(said.too_few(min(units, default=0), MIN_GROUP_UNITS, "visitors of an arm"))
    pairs = [(units[0], exposed[0], n, met) for n, met in zip(units[1:], exposed[1:], strict=True)]
    p = min(1.0, min(map(_unlike, pairs)) * len(pairs))
    shares = [(arm, rate(met, n)) for arm, met, n in zip(given.arms, exposed, units, strict=True)]
    figures: dict[str, Figure] = {"p": p, **{f"exposed {arm}": share for arm, share in shares}}
    state = THRESHOLDS["met_p"].state(p)
    if state == "pass":
        return MET.finding(state, signals.exposed_alike(shares), figures=figures)
    cause = signals.exposed_unlike(shares)
    hold = MET.holding(cause, signals.EXPOSED_FIX) if state == "fail" else None
    groups = [dict(row) for row in rows]
    return MET.finding(state, words.sentence_case(f"{cause}."), figures=figures, groups=groups, hold=hold)


def _unlike(pair: tuple[int, int, int, int]) -> float:
    """The always-valid p of equal proportions: units and exposed of control, then of a treatment."""
    n, a, m, b = pair
    pooled = (a + b) / (n + m)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return p_value((b / m - a / n) / spread, (n + m) / ASSUMED_UNITS, sides="two") if spread > 0 else 1.0


def bots(given: Evidence) -> Finding:
    """SH-11: marked units are left out and counted; withholds when one arm has more of them, which an arm can cause.

    Units that look like a program are looked for before their first exposure, where no arm can have made them so.
    """
    rows = given.of("busy_units")
    if rows is None:
        return BOTS.unknown(NOT_RUN)
    arms = given.arms
    marked = [sum(given.counts.excluded.get(arm, {}).get(why, 0) for why in MARKED) for arm in arms]
    units = [given.counts.units.get(arm, 0) + left for arm, left in zip(arms, marked, strict=True)]
    total = sum(units)
    if total < MIN_GROUP_UNITS:
        return BOTS.unknown(said.too_few(total, MIN_GROUP_UNITS, "units"))
    found, busy, e = rate(sum(marked), total), summed(rows, "busy_units"), inequality(marked, units)
    figures: dict[str, Figure] = {"marked": found, "not_marked": rate(busy, total), "e_unequal": e}
    kind = given.experiment.unit_type
    if is_unequal(e):
        rates = [(arm, rate(part, n)) for arm, part, n in zip(arms, marked, units, strict=True)]
        cause = said.unequal("bots and own people", rates)
        hold = BOTS.holding(cause, signals.LEFT_OUT_FIX)
        return BOTS.finding("fail", words.sentence_case(f"{cause}."), figures=figures, hold=hold)
    state = worst((THRESHOLDS["bots"].state(found), THRESHOLDS["busy_units"].state(rate(busy, total))))
    return BOTS.finding(state, signals.left_out(sum(marked), found, kind, busy), figures=figures)


def identity(given: Evidence) -> Finding:
    """SH-12: units that share an id of the other kind: a person behind two of them meets both arms. Never withholds."""
    rows = given.of("identity")
    if rows is None:
        return IDENTITY.unknown(NOT_RUN)
    linked, kind = summed(rows, "units_linked"), given.experiment.unit_type
    if linked == 0:
        return IDENTITY.not_applicable(f"no id beside the {kind}'s own is logged")
    if linked < MIN_GROUP_UNITS:
        return IDENTITY.unknown(said.too_few(linked, MIN_GROUP_UNITS, "units with a second id"))
    several, sharing = (rate(summed(rows, name), linked) for name in ("units_with_several", "units_sharing"))
    faulty, units = by_arm(rows, given.arms, "units_sharing"), by_arm(rows, given.arms, "units_linked")
    e = inequality(faulty, units)
    figures: dict[str, Figure] = {"several": several, "sharing": sharing, "linked": linked, "e_unequal": e}
    state = "fail" if is_unequal(e) else THRESHOLDS["identity"].state(sharing)
    groups = () if state == "pass" else [_by_browser(rows, name) for name in sorted({text(r, "browser") for r in rows})]
    return IDENTITY.finding(state, signals.identities(linked, several, sharing, kind), figures=figures, groups=groups)


def _by_browser(rows: tuple[Row, ...], browser: str) -> dict[str, Figure]:
    own = [row for row in rows if text(row, "browser") == browser]
    names = ("units_linked", "units_with_several", "units_sharing")
    return {"browser": browser, **{name: summed(own, name) for name in names}}


def spikes(given: Evidence) -> Finding:
    """SH-18: an item whose interactions jump on a day, half of them by one visitor. Nothing is dropped for it."""
    rows = given.of("spikes")
    if rows is None:
        return SPIKES.unknown(NOT_RUN)
    judged = [(row, _burst(row)) for row in rows if whole(row, "days_before") >= MIN_DAYS_BEFORE]
    state = worst([THRESHOLDS["spike_z"].state(z) for _, z in judged] or ["pass"])
    if state == "pass":
        return SPIKES.finding(state, signals.NO_SPIKES, figures={"looked_at": len(rows)})
    bad = sorted((pair for pair in judged if THRESHOLDS["spike_z"].state(pair[1]) != "pass"), key=lambda pair: -pair[1])
    worst_row, z = bad[0]
    sentence = signals.spiked(
        text(worst_row, "item_id"), text(worst_row, "event_day"), whole(worst_row, "interactions"),
        whole(worst_row, "most_of_a_unit"),
    )  # fmt: skip
    groups = [
        {name: row[name] for name in ("item_id", "event_day", "interactions", "most_of_a_unit")} | {"z": z}
        for row, z in bad
    ]
    since = min(text(row, "event_day") for row, _ in bad)
    return SPIKES.finding(state, sentence, figures={"z": z, "items": len(bad)}, groups=groups, since=since)


def _burst(row: Row) -> float:
    """Distance of a day from the item's own days before, in their standard deviations, at least a Poisson's."""
    n = whole(row, "days_before")
    mean = whole(row, "interactions_before") / n
    variance = whole(row, "squares_before") / n - mean**2
    return (whole(row, "interactions") - mean) / math.sqrt(max(variance, mean, 1.0))
