"""`truelift validate`, `register`, `start` and `close-stop`: from a file to a running experiment."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.context import Home, actor, hint
from analysis.plan_warnings import advice, adviser
from analysis.words import ground as said
from analysis.words.schedule import beside_midnight
from experiments import lifecycle
from experiments.catalogue import usable_metrics
from experiments.designs import unread
from experiments.errors import DefinitionError
from experiments.layers import Ground
from experiments.loading import read_yaml
from experiments.money import load_money
from experiments.shop import Shop, open_shop
from experiments.spec import Assigned, Experiment
from experiments.store import Store
from experiments.validate import Advice, Checked, Neighbour
from experiments.validate import validate as check_all

Reason = Annotated[str, typer.Option(help="Why: written into the audit.")]


def validate(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Definitions (default: every one in the shop's definitions/).")
    ] = None,
    home: Home = None,
) -> None:
    """Check metrics, slices, money, layers, definitions; print every problem at once. Changes nothing."""
    shop = open_shop(home)
    paths = files or sorted(shop.definitions.glob("*.yml")) + sorted(shop.definitions.glob("*.yaml"))
    with _store(shop) as store:
        around = None if store is None else lifecycle.surroundings(store, Ground())
        checked = [_rehearsed(one, shop, store) for one in check_all(shop, paths, around)] + _notices(shop)
        known = {} if around is None else dict(around.neighbours)
        named = {one.experiment.key: one.experiment for one in checked if one.experiment is not None}
        for key, experiment in named.items():
            known[key] = Neighbour(known[key].state if key in known else "draft", experiment)
        for one in checked:
            typer.echo(_said(one))
            if one.path == shop.money_file and not one.problems:
                _remark(shop)
            if one.experiment is not None:
                _warn(one.experiment, shop, advice(one.experiment, usable_metrics(shop), store, known, shop.settings))
    if any(one.problems for one in checked):
        raise typer.Exit(2)


def register_file(
    file: Annotated[Path, typer.Argument(help="A definition; a layer or holdout registers all of them.")],
    reason: Reason = "",
    revision: Annotated[
        int | None, typer.Option(help="The revision you looked at; refused when it changed since.")
    ] = None,
    home: Home = None,
) -> None:
    """Make a definition known to the store, as its next version; the same content changes nothing.

    The layer and the holdouts that it names are registered with it, as their files are.
    """
    shop, by, now = open_shop(home), actor(), datetime.now(UTC)
    with Store.open(shop.store_url) as store:
        before = store.ground()
        if file.absolute().parent in (shop.layers, shop.holdouts):
            done = lifecycle.register_ground(store, shop, actor=by, reason=reason, now=now)
            for line in said.changes(before, store.ground(), now) if done else ("layers and holdouts: unchanged",):
                typer.echo(line)
            return
        known = lifecycle.register(store, shop, file, actor=by, reason=reason, now=now, expected=revision)
        found, after = adviser(store, shop)(known.experiment), store.ground()
    if known.changed:
        typer.echo(f"{known.key}: version {known.version} registered ({known.state})")
    else:
        typer.echo(f"{known.key}: unchanged, still version {known.version} ({known.state})")
    if known.changed:
        _warn(known.experiment, shop, found)
    for line in said.changes(before, after, now):
        typer.echo(line)
    if known.changed and known.state == "draft":
        later = isinstance(known.experiment, Assigned) and known.experiment.schedule.start_at > now
        word = "schedule" if later else "start"
        typer.echo(f"Next: {hint(f'{word} {known.key}')}")


def start(
    key: Annotated[str, typer.Argument(help="A registered draft.")],
    reason: Reason = "",
    home: Home = None,
) -> None:
    """Freeze a draft with its metrics and slices, and let it run from its schedule's start_at."""
    shop = open_shop(home)
    with Store.open(shop.store_url) as store:
        now = datetime.now(UTC)
        phase = lifecycle.start(store, shop, key, actor=actor(), reason=reason, now=now)
        live = store.live(key, phase.number)
    since = f"{phase.started_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    assumed = " (assumed: write analysis.planned_units to plan it)" if phase.planned_units_assumed else ""
    typer.echo(
        f"{key}: phase {phase.number} runs from {since} UTC, with {len(phase.metrics)} metrics "
        f"and {len(phase.slices)} slices frozen, planned for {phase.planned_units:,} units{assumed}"
    )
    experiment = phase.experiment
    step = lifecycle.next_step(experiment, live) if isinstance(experiment, Assigned) else None
    if step is not None and live.traffic_bp == 0:
        when = "" if step.at <= now else f" after {step.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        typer.echo(f"Traffic is 0: nobody is let in until {hint('ramp')} takes the step to {step.traffic}{when}")
    why_not = unread(experiment.design, experiment.unit_type)
    typer.echo(f"No readout: {why_not}" if why_not else f"Next: load its logs, then {hint(f'refresh {key}')}")


def close_stop(
    key: Annotated[str, typer.Argument(help="A running experiment.")],
    arm: Annotated[str, typer.Argument(help="The treatment arm that was stopped.")],
    reason: Reason = "",
    home: Home = None,
) -> None:
    """Close the stop of an arm after looking into it; its next refresh is read anew."""
    with Store.open(open_shop(home).store_url) as store:
        lifecycle.close_stop(store, key, arm, actor=actor(), reason=reason, now=datetime.now(UTC))
    typer.echo(f"{key}: the stop of {arm} is closed")
    typer.echo(f"Next: {hint(f'refresh {key}')}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(validate)
    app.command("register")(register_file)
    app.command()(start)
    app.command("close-stop")(close_stop)


def _rehearsed(one: Checked, shop: Shop, store: Store | None) -> Checked:
    """With what `register` would refuse of a file that is right by itself."""
    if store is None or one.experiment is None:
        return one
    document, _ = read_yaml(one.path)
    if document is None:
        return one
    now = datetime.now(UTC)
    refused = lifecycle.refusals(store, shop, document, one.experiment, where=str(one.path), now=now)
    return replace(one, problems=refused, experiment=None) if refused else one


@contextmanager
def _store(shop: Shop) -> Iterator[Store | None]:
    """The store; None where none was made yet, which looking at files does not change."""
    if shop.settings.store_url is None and not (shop.home / "registry.sqlite").exists():
        yield None
        return
    with Store.open(shop.store_url) as store:
        yield store


def _warn(experiment: Experiment, shop: Shop, found: Advice) -> None:
    """What is no problem and should be known; a definition with warnings is as good as one without."""
    beside = beside_midnight(experiment.schedule.start_at, experiment.schedule.end_at, shop.settings.zone)
    if beside:
        typer.echo(f"  warning: schedule: {beside}")
    for warning in found.warnings:
        typer.echo(f"  warning: {warning.code}: {warning}")
    for note in found.notes:
        typer.echo(f"  note: {note}")


def _remark(shop: Shop) -> None:
    """What is right in the money settings and should be known today."""
    for remark in load_money(shop).remarks(datetime.now(shop.settings.zone).date()):
        typer.echo(f"  note: {remark}")


def _notices(shop: Shop) -> list[Checked]:
    """Who is told of an incident; nothing where nobody is to be, or money.yml is wrong, which is said already."""
    from analysis.alerts.notices.notify import FILE, channels  # apprise takes its time to load

    path = shop.home / FILE
    try:
        if not path.exists() and load_money(shop).notify_tag is None:
            return []
        load_money(shop)
    except DefinitionError:
        return []
    try:
        names = [channel.name for channel in channels(shop)]
    except DefinitionError as error:
        return [Checked(path, error.problems, "")]
    return [Checked(path, (), f"notices go to {', '.join(names) or 'nobody'}")]


def _said(one: Checked) -> str:
    if not one.problems:
        return f"{one.path}: OK, {one.summary}"
    count = len(one.problems)
    lines = [f"{one.path}: {count} problem{'s' if count > 1 else ''}"]
    return "\n".join([*lines, *(f"  {problem.code}: {problem}" for problem in one.problems)])
