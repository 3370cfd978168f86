"""`truelift schedule` to `archive`, `kill`, `ramp`, `diff`, `verify-audit`: what may be done to an experiment."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.context import Home, actor, hint, instant
from experiments import lifecycle, ranges
from experiments.errors import NotFoundError, UsageError
from experiments.loading import dotted
from experiments.shop import open_shop
from experiments.store import DecisionCode, Registered, Store
from experiments.validate import load_experiment

Key = Annotated[str, typer.Argument(help="An experiment.")]
Arm = Annotated[str, typer.Argument(help="One of its arms.")]
Reason = Annotated[str, typer.Option(help="Why: written into the audit.")]
Revision = Annotated[int | None, typer.Option(help="The revision you looked at; refused when it changed since.")]
Change = Callable[[Store, datetime], Registered]


def schedule(key: Key, reason: Reason = "", revision: Revision = None, home: Home = None) -> None:
    """Let a draft start by itself at its schedule's start_at; `ramp` brings the time."""
    known = _done(home, lambda store, now: lifecycle.schedule(
        store, key, actor=actor(), reason=reason, now=now, expected=revision))  # fmt: skip
    at = known.experiment.schedule.start_at.astimezone(UTC)
    typer.echo(f"{key}: starts {at:%Y-%m-%d %H:%M} UTC, as soon as {hint('ramp')} is called after it")


def pause(key: Key, reason: Reason = "", revision: Revision = None, home: Home = None) -> None:
    """Let everybody meet the control until it is resumed; nobody's arm changes."""
    _told(_done(home, lambda store, now: lifecycle.pause(
        store, key, actor=actor(), reason=reason, now=now, expected=revision)))  # fmt: skip


def resume(key: Key, reason: Reason = "", revision: Revision = None, home: Home = None) -> None:
    """Let what was paused or killed go on, every unit in the arm it had."""
    _told(_done(home, lambda store, now: lifecycle.resume(
        store, key, actor=actor(), reason=reason, now=now, expected=revision)))  # fmt: skip


def kill(key: Key, reason: Reason = "", home: Home = None) -> None:
    """Give everybody the control at once, whatever else is going on; `resume` lifts it."""
    known = _done(home, lambda store, now: lifecycle.kill(store, key, actor=actor(), reason=reason, now=now))
    typer.echo(f"{key}: killed: everybody meets the control ({known.state}); {hint(f'resume {key}')} lifts it")


def stop(
    key: Key,
    decision: Annotated[DecisionCode, typer.Option(help="What was decided.")],
    reason: Annotated[str, typer.Option(help="Why: read with the decision years later.")],
    revision: Revision = None,
    home: Home = None,
) -> None:
    """End an experiment with what was decided and why; also decides what its schedule ended."""
    _told(_done(home, lambda store, now: lifecycle.stop(
        store, key, decision, actor=actor(), reason=reason, now=now, expected=revision)))  # fmt: skip


def archive(key: Key, reason: Reason = "", revision: Revision = None, home: Home = None) -> None:
    """Put a stopped and decided experiment away."""
    _told(_done(home, lambda store, now: lifecycle.archive(
        store, key, actor=actor(), reason=reason, now=now, expected=revision)))  # fmt: skip


def new_phase(
    file: Annotated[Path, typer.Argument(help="The definition of the next phase.")],
    keep_salt: Annotated[bool, typer.Option("--keep-salt", help="Keep the split instead of drawing anew.")] = False,
    reason: Reason = "",
    revision: Revision = None,
    home: Home = None,
) -> None:
    """End the phase that runs and begin the next with another definition; units are drawn anew."""
    shop = open_shop(home)
    with Store.open(shop.store_url) as store:
        phase = lifecycle.new_phase(
            store, shop, file, actor=actor(), reason=reason, now=_now(), keep_salt=keep_salt, expected=revision
        )
    typer.echo(f"{phase.experiment.key}: phase {phase.number} runs, planned for {phase.planned_units:,} units")


def disable(key: Key, arm: Arm, reason: Reason = "", revision: Revision = None, home: Home = None) -> None:
    """Serve the control's recommender to an arm's units, which stay in their arm."""
    _done(home, lambda store, now: lifecycle.disable_arm(
        store, key, arm, actor=actor(), reason=reason, now=now, expected=revision))  # fmt: skip
    typer.echo(f"{key}: {arm} is disabled; {hint(f'enable {key} {arm}')} lifts it")


def enable(key: Key, arm: Arm, reason: Reason = "", revision: Revision = None, home: Home = None) -> None:
    """Serve an arm's own recommender to its units again."""
    _done(home, lambda store, now: lifecycle.enable_arm(
        store, key, arm, actor=actor(), reason=reason, now=now, expected=revision))  # fmt: skip
    typer.echo(f"{key}: {arm} is enabled")


def traffic(
    key: Key,
    share: Annotated[str, typer.Argument(help="A decimal such as 0.25; more than now.")],
    reason: Reason = "",
    revision: Revision = None,
    home: Home = None,
) -> None:
    """Let more units take part from now on; who takes part already goes on."""
    _done(home, lambda store, now: lifecycle.raise_traffic(
        store, key, share, actor=actor(), reason=reason, now=now, expected=revision))  # fmt: skip
    typer.echo(f"{key}: traffic is {share} from now on")


def add_ranges(
    key: Key,
    more: Annotated[list[str], typer.Argument(help="Buckets of its layer, as 6000-7000 (the end is not in it).")],
    reason: Reason = "",
    revision: Revision = None,
    home: Home = None,
) -> None:
    """Give an experiment more buckets of its layer, where they are free."""
    wanted = [_range(one) for one in more]
    _done(home, lambda store, now: lifecycle.add_ranges(
        store, key, wanted, actor=actor(), reason=reason, now=now, expected=revision))  # fmt: skip
    typer.echo(f"{key}: {ranges.shown(wanted)} added")


def override(
    key: Key,
    unit: Annotated[str, typer.Argument(help="A unit id.")],
    arm: Annotated[str | None, typer.Argument(help="The arm to force it into.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Let it be drawn like any other.")] = False,
    reason: Reason = "",
    revision: Revision = None,
    home: Home = None,
) -> None:
    """Force a unit into an arm, or let it go; it is never analysed while forced."""
    if remove == (arm is not None):
        raise UsageError("give the arm to force the unit into, or --remove")
    if arm is None:
        _done(home, lambda store, now: lifecycle.remove_override(
            store, key, unit, actor=actor(), reason=reason, now=now, expected=revision))  # fmt: skip
        typer.echo(f"{key}: {unit} is drawn like any other")
        return
    _done(home, lambda store, now: lifecycle.add_override(
        store, key, unit, arm, actor=actor(), reason=reason, now=now, expected=revision))  # fmt: skip
    typer.echo(f"{key}: {unit} meets {arm}")


def ramp(
    as_of: Annotated[str | None, typer.Option(help="Do what is due at this UTC instant instead of now.")] = None,
    home: Home = None,
) -> None:
    """Do what is due: scheduled starts, ramp steps with green checks, ends; exit 1 and say why if one is held."""
    shop = open_shop(home)
    now = _now() if as_of is None else instant(as_of)
    with Store.open(shop.store_url) as store:
        found = lifecycle.tick(store, shop, now, actor=actor())
    for each in found:
        typer.echo(f"{each.key}: {each.words}" if each.done else f"{each.key}: {each.what} not done: {each.words}")
    if not found:
        typer.echo("Nothing is due.")
    if not all(each.done for each in found):
        raise typer.Exit(1)


def diff(
    key: Key,
    versions: Annotated[list[int] | None, typer.Argument(help="Two versions (default: the newest two).")] = None,
    file: Annotated[Path | None, typer.Option(help="Compare the newest version with this file instead.")] = None,
    home: Home = None,
) -> None:
    """Print every field in which two versions of a definition differ, or the newest and a file."""
    if versions and (len(versions) != 2 or file is not None):
        raise UsageError("give two versions, or --file, or nothing for the newest two versions")
    shop = open_shop(home)
    with Store.open(shop.store_url) as store:
        newest = store.definition(key).version
        one, other = versions or (max(newest - 1, 1), newest)
        before = store.version(key, newest if file else one)
        if file is None:
            after, names = store.version(key, other), f"version {one} and version {other}"
        else:
            around = lifecycle.surroundings(store, store.ground())
            after, names = load_experiment(file, shop, around), f"version {newest} and {file}"
    if after.key != key:
        raise NotFoundError(f"{file} defines {after.key}, not {key}; give the file of {key}")
    found = [each for each in lifecycle.differences(before, after) if not (file and each[0] == ("salt",))]
    typer.echo(f"{key}: {names} differ in {len(found)} field{'' if len(found) == 1 else 's'}")
    for path, old, new in found:
        typer.echo(f"  {dotted(path)}: {old!r} → {new!r}")


def verify_audit(home: Home = None) -> None:
    """Check the audit's chain, and count it against the store; exit 1 and say what is wrong."""
    with Store.open(open_shop(home).store_url) as store:
        rows, broken = store.verified_audit()
    for sentence in broken:
        typer.echo(sentence)
    if broken:
        raise typer.Exit(1)
    count = len(rows)
    typer.echo(f"{count} audit row{'' if count == 1 else 's'}, each as it was written, and as many as the store counts")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (schedule, pause, resume, kill, stop, archive, disable, enable, traffic, override, ramp, diff):
        app.command()(command)
    app.command("new-phase")(new_phase)
    app.command("add-ranges")(add_ranges)
    app.command("verify-audit")(verify_audit)


def _now() -> datetime:
    return datetime.now(UTC)


def _done(home: Path | None, change: Change) -> Registered:
    with Store.open(open_shop(home).store_url) as store:
        return change(store, _now())


def _told(known: Registered) -> None:
    decided = f", decided: {known.decision.decision}" if known.decision else ""
    typer.echo(f"{known.key}: {known.state}{decided} (version {known.version}, revision {known.revision})")


def _range(text: str) -> ranges.Range:
    start, dash, end = text.partition("-")
    if not (dash and start.isdigit() and end.isdigit()):
        raise UsageError(f"{text!r} is not a range; write 6000-7000 for the buckets 6000 to 6999")
    return int(start), int(end)
