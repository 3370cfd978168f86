"""What the registry page says: states, shares, targeting, relations, next steps. Plain inputs, ready texts."""

from collections.abc import Sequence
from datetime import datetime

from analysis import words
from experiments.placement import Condition, Targeting

STATES = {
    "draft": "○ Draft", "scheduled": "○ Scheduled", "waiting": "○ Starts later", "running": "▶ Running",
    "paused": "‖ Paused", "killed": "✕ Killed", "over": "■ Run over, not decided",
    "undecided": "■ Stopped, not decided", "stopped": "● Decided", "archived": "– Archived",
}  # fmt: skip
DECISIONS = {"ship": "ship", "roll_back": "roll back", "inconclusive": "inconclusive"}
DECISION_GLYPHS = {"ship": "▲", "roll_back": "▼", "inconclusive": "■"}
ROLES = {"success": "To be improved", "guardrail": "Guardrail", "secondary": "Also watched"}
BETTER = {"increase": "rises", "decrease": "falls"}
LOCKED, NOT_LOCKED = "Locked at the start", "Not locked before the start"
ADDED, DROPPED = "Exploratory: added after the start", "Locked at the start, dropped since"
TAKEN, DUE, TO_COME, NEVER_TAKEN = "taken", "due, not taken yet", "to come", "never taken"
CHECKS = {"srm": "sample ratio", "guardrails": "guardrails"}
KINDS = {
    "ab": "A/B test",
    "switchback": "switchback: whole windows of a cluster change arms together",
    "interleaving": "interleaving: two rankers draft one list",
}
DESIGNS = {"always_valid": "always-valid: may be read every day", "fixed": "fixed: one look at the planned end"}
COMPARATORS = {
    "none": "no recommendations at all",
    "non_personalised": "recommendations that are the same for everybody",
    "champion": "the recommender in use",
}
HELD, GOES_ON, FREE, NOT_ITS_OWN = "held out", "goes on", "free", "not its own"
TAKES_PART, NOT_YET = "takes part", "not yet"
TRAFFIC, SPLIT, SPLIT_ELSEWHERE = "Traffic", "Split", "Planned split"
NO_PREREQUISITE = "It asks for no other experiment first."
UNREADABLE = "What changed cannot be read: this row is not what was written."
TIMELINE_KEY = (
    "Blue: it ran; the taller, the more traffic. ‖ and a thin line: paused. ✕ and a thin line: killed, everybody met "
    "the control. Dashed frame: the plan. A number: where that phase began. ▲ shipped, ▼ rolled back, ■ inconclusive."
)
BUCKETS_KEY = (
    "Each strip is a draw of its own over 10,000 buckets: a unit has another bucket in each, so that one strip says "
    "nothing about the next. Read them from top to bottom."
)
ELSEWHERE_KEY = "These are planned shares, not buckets: which unit falls where is known to the system that assigns."
NO_OVERLAP = "No other experiment runs, ran or is planned at the same time."
NO_HOLDOUT = "No holdout stands over its modules."
NO_OVERRIDE = "No unit is forced into an arm."
NOTHING_NEXT = "It is put away: nothing follows."
OPEN_READOUT = "Open its readout"
OPEN, AS_TABLE = "Open or ended lately", "Every band as a table"
WHO_MEETS, SAME_TIME, NEXT, CHANGES = "Who meets it", "At the same time", "What may follow", "Every change"
PHASES, STEPS_OF_TRAFFIC = "Its phases", "How its traffic grows"
AUDIT_BROKEN = "The audit chain is broken"
AUDIT_WARNING = (
    "Somebody changed the record after it was written, or a part of it is missing. What this page tells of the past "
    "may not be what happened. Compare it with a backup; `truelift verify-audit` names every row."
)
RELATIONS = {
    "collides": "Shares buckets of its layer: units may be in both. This must not be; stop one of them.",
    "same_layer": "Same layer, other buckets: no unit is in both.",
    "independent": "Other layer, drawn with another salt: units are in both, independently. This is allowed.",
    "other_unit": "Other layer, and it draws {units}: a person may be in both, independently.",
    "elsewhere": "Another system assigns one of them: whether the draws are independent is known there.",
}
ACTIONS = {
    "register": "Registered", "schedule": "Scheduled", "start": "Started", "pause": "Paused", "resume": "Resumed",
    "kill": "Killed", "stop": "Stopped", "decide": "Decided", "archive": "Archived", "new_phase": "New phase",
    "disable": "Arm disabled", "enable": "Arm enabled", "traffic": "Traffic raised", "ranges": "Buckets added",
    "override": "Forced units changed", "stop_closed": "Stop of an arm closed",
}  # fmt: skip
FOR_ANY = ("start", "stop", "archive")  # also where another system assigns
_STOP = 'stop {key} --decision ship|roll_back|inconclusive --reason "…"'
COMMANDS = {
    "register": "register my_test.yml", "schedule": "schedule {key}", "start": "start {key}", "pause": "pause {key}",
    "resume": "resume {key}", "kill": "kill {key}", "stop": _STOP, "decide": _STOP, "archive": "archive {key}",
    "new-phase": "new-phase my_next_phase.yml", "traffic": "traffic {key} 0.5", "ramp": "ramp",
    "step": "ramp",
}  # fmt: skip
STEPS = {
    "register": "its schedule is over before it began: register it with a later end_at first",
    "schedule": "it starts by itself at its start_at",
    "start": "locks metrics, margins, arms and salts, and begins",
    "pause": "everybody meets the control until it is resumed",
    "resume": "it goes on, every unit in the arm it had",
    "kill": "everybody meets the control at once",
    "stop": "ends it, with what was decided and why",
    "decide": "writes down what was decided and why",
    "archive": "puts it away; its key and its salts stay taken",
    "new-phase": "ends this phase and draws the units anew, by another definition",
    "traffic": "lets more units take part; write the share",
    "step": "takes the step of its traffic that is due, if what it requires is green",
    "ramp": "does what is due: it starts once its start_at has passed",
}
_COUNTED = (
    (("running",), "running"), (("paused", "killed"), "paused or killed"), (("over", "undecided"), "to be decided"),
    (("draft", "scheduled", "waiting"), "not begun"), (("stopped", "archived"), "done"),
)  # fmt: skip
_OPERATORS = {
    "EQ": "is {value}", "NE": "is not {value}", "ONE_OF": "is one of {value}", "NOT_ONE_OF": "is none of {value}",
    "GT": "is more than {value}", "GTE": "is at least {value}", "LT": "is less than {value}",
    "LTE": "is at most {value}", "MATCHES": "matches {value}", "CONTAINS": "contains {value}",
}  # fmt: skip


# --- states ----------------------------------------------------------------------------------------------


def headline(conditions: Sequence[str]) -> str:
    """`3 running · 1 paused or killed · 2 done`: how the experiments stand; what is zero is left out."""
    counts = [(sum(each in group for each in conditions), name) for group, name in _COUNTED]
    return " · ".join(f"{words.whole(count)} {name}" for count, name in counts if count)


def state(condition: str, phase: int, decision: str | None, *, killed: bool) -> str:
    """`▶ Running, phase 2`; `● Decided: ship`."""
    text = STATES[condition]
    if condition in ("running", "paused", "killed", "over") and phase > 1:
        text += f", phase {phase}"
    if decision is not None:
        text += f": {DECISIONS[decision]}"
    return f"{text}, killed" if killed and condition != "killed" else text


def ran(kind: str, phase: int, traffic: float) -> str:
    """What a stretch of a bar means."""
    if kind != "running":
        return f"{kind}, phase {phase}"
    return f"phase {phase}, {share(traffic)} traffic"


def holdout_line(share: str) -> str:
    """The state of a holdout's line."""
    return f"◇ Holdout, {share}"


def share(part: float) -> str:
    """A share as printed; never 0 % for what is more."""
    if 0 < part < 0.0001:
        return "under 0.01%"
    return words.amount(part, unit="share")


def moment(at: datetime) -> str:
    """An instant in a table."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def limit(margin: str) -> str:
    """A guardrail's margin."""
    return f"at most {margin} worse"


def arm(*, control: bool, disabled: bool) -> str:
    """What an arm is."""
    name = "Control" if control else "Treatment"
    return f"{name}, disabled: its units meet the control" if disabled else name


# --- sentences -------------------------------------------------------------------------------------------


def tested(treatments: Sequence[str], control: str, modules: Sequence[str], unit_type: str, assigned_by: str) -> str:
    """What is tested, where, on whom, who draws."""
    where = words.listed([words.inside(words.pretty(module)) for module in modules])
    return (
        f"It tests {words.listed(treatments)} against {control} on {where}. "
        f"{words.sentence_case(words.units(unit_type))} are assigned by {assigned_by}."
    )


def hypothesis(text: str) -> str:
    """What was expected."""
    return f"Expected: {text.strip().rstrip('.')}." if text.strip() else "No hypothesis was written down."


def since(owner: str, condition: str, begin: datetime, phase: int, phase_begin: datetime, end: datetime | None) -> str:
    """Whose it is, since when, and until when."""
    first, last = words.day(begin.date()), None if end is None else words.day(end.date())
    until = "no end is planned" if last is None else f"its planned end is {last}"
    match condition:
        case "draft" | "scheduled" | "waiting":
            told = f"It is to start on {first}; {until}."
        case "stopped" | "archived" | "undecided":
            told = f"It ran from {first} to {last}."
        case "over":
            told = f"It began on {first}, and its schedule ended on {last}."
        case _:
            told = f"It began on {first}; {until}."
    again = f" Phase {phase} began on {words.day(phase_begin.date())}." if phase > 1 else ""
    return f"{owner} owns it. {told}{again}"


def decided(decision: str, on: datetime, reason: str) -> str:
    """What was decided, when, and why."""
    return f"Decided on {words.day(on.date())}: {DECISIONS[decision]}, because: {reason.strip().rstrip('.')}."


def undecided(condition: str) -> str:
    """That nothing is decided."""
    return "Nothing is decided yet." + (" It waits for a decision." if condition in ("over", "undecided") else "")


def reads(verdict: str, as_of: datetime) -> str:
    """What the newest reading says."""
    return f"Its newest reading, as of {words.day(as_of.date())}, says: {verdict}."


def meets(part: float, arms: Sequence[tuple[str, str]], unit_type: str, condition: str, *, narrowed: bool) -> str:
    """Which share of all units is in it, and into which arms those are drawn; no arms where each meets both."""
    who = f"{words.units(unit_type)} its targeting lets in" if narrowed else words.units(unit_type)
    verb = {"running": "are in it now", "stopped": "were in it", "archived": "were in it", "undecided": "were in it"}
    drawn = f": {words.listed([f'{name} {amount}' for name, amount in arms])} of those" if arms else ""
    some = "All" if part == 1 else f"About {share(part)} of the"
    return f"{some} {who} {verb.get(condition, 'would be in it')}{drawn}."


def targeted(text: str | None) -> str:
    """Who takes part."""
    return "Nobody is left out by targeting." if text is None else f"Only where {text}."


def targeted_elsewhere(system: str) -> str:
    """Whose business it is."""
    return f"Who takes part is decided by {system}."


def prerequisite(experiment: str, variants: Sequence[str]) -> str:
    """Which other experiment comes first."""
    return f"Only units that are drawn into {' or '.join(variants)} of {experiment}."


def targeting(group: Targeting) -> str:
    """Targeting in words: `platform is one of web, ios and (country is DE or age is at least 18)`."""
    members, joint = (group.all, " and ") if group.all is not None else (group.any or (), " or ")
    told = [_condition(each) if isinstance(each, Condition) else f"({targeting(each)})" for each in members]
    return joint.join(told) or ("anything holds" if group.all is not None else "nothing holds")


def _condition(condition: Condition) -> str:
    if condition.operator == "IS_NULL":
        return f"{condition.attribute} is {'given' if condition.value is False else 'missing'}"
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    return f"{condition.attribute} {_OPERATORS[condition.operator].format(value=', '.join(_plain(v) for v in values))}"


def _plain(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def minimum(days: int, units_per_arm: int, unit_type: str) -> str:
    """From when on it is read."""
    return f"{words.whole(days)} full days and {words.whole(units_per_arm)} {words.units(unit_type)} an arm"


def drawn_by(system: str) -> str:
    """In place of a salt."""
    return f"drawn by {system}"


# --- layers, holdouts, overlaps --------------------------------------------------------------------------


def planned(units: int | None, unit_type: str) -> str:
    """The size it is planned for, all arms together."""
    return "not said" if units is None else f"{words.whole(units)} {words.units(unit_type)}"


def raised(part: float) -> str:
    """To what traffic was raised."""
    return f"To {share(part)}."


def part_of(part: float, what: str) -> str:
    """`5% held out`."""
    return f"{share(part)} {what}"


def layer_strip(key: str) -> str:
    """The title of a layer's strip."""
    return f"Layer {key}, now"


def had_strip(key: str) -> str:
    """The title of what an experiment had of a layer."""
    return f"Its part of layer {key}"


def holdout_strip(key: str) -> str:
    """The title of a holdout's strip."""
    return f"Holdout {key}"


def layer_gone(key: str) -> str:
    """That a layer is not registered any more."""
    return f"Layer {key} is no longer registered; this is what the experiment had of it."


def owner(key: str, state: str) -> str:
    """Who owns buckets: a state other than running is said."""
    return key if state == "running" else f"{key} ({state})"


def relation(kind: str, unit_type: str) -> str:
    """What two experiments at the same time are to each other; `unit_type` is the other's."""
    return RELATIONS[kind].replace("{units}", words.units(unit_type))


def together(begin: datetime, end: datetime | None) -> str:
    """The time two experiments have in common."""
    return f"{begin:%Y-%m-%d} to {f'{end:%Y-%m-%d}' if end is not None else 'no planned end'}"


def covers(*, named: bool, strategy: str) -> str:
    """What a holdout is to an experiment."""
    if named:
        return f"Its members meet {words.inside(words.pretty(strategy))} in place of this experiment."
    return "It is not named here: its members take part in this experiment."


def readout_of(key: str) -> str:
    """A link to another readout."""
    return f"Open the readout of {key}"


def holdout_gone() -> str:
    """A holdout that is named and not registered any more."""
    return "No longer registered: it holds nobody."


# --- audit -----------------------------------------------------------------------------------------------


def action(name: str, key: str) -> str:
    """What a row of the audit is about."""
    word, _, kind = name.rpartition("_")
    if kind in ("layer", "holdout"):
        return f"{words.sentence_case(kind)} {key} {'registered' if word == 'register' else 'removed'}"
    return ACTIONS.get(name, words.pretty(name))


def first_version(action: str) -> str:
    """A row without a before."""
    return "The first version." if action.startswith("register") else ""


def frozen(number: object, metrics: int, slices: int) -> str:
    """What a start locks."""
    return f"Phase {number} began, with {metrics} metrics and {slices} slices locked."


def audit_holds(rows: int) -> str:
    """The chain is whole."""
    return f"All {words.whole(rows)} rows of the audit are as they were written."


def all_of(count: int) -> str:
    """What shows every experiment."""
    return f"All {words.whole(count)}"


def as_list(count: int) -> str:
    """What opens the list of experiments."""
    return "The experiment as a list" if count == 1 else f"All {words.whole(count)} experiments as a list"


def terms_of(phase: int | None) -> str:
    """The heading of what was locked."""
    return "What will be locked at the start" if phase is None else f"What was locked when phase {phase} began"


def earlier(count: int) -> str:
    """What opens older changes."""
    return "1 earlier change" if count == 1 else f"{words.whole(count)} earlier changes"


def forced(count: int) -> str:
    """How many units are forced into an arm."""
    which = "1 unit is" if count == 1 else f"{words.whole(count)} units are"
    return f"{which} forced into an arm, and never analysed."


def others(count: int) -> str:
    """What opens more of a list."""
    return "1 more" if count == 1 else f"{words.whole(count)} more"
