"""`truelift refresh` and `truelift readout`: compute and publish, and print what was published."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from analysis import words
from analysis.calendar import business_day
from analysis.cli.context import Home, Wait, as_typed, hint, instant
from analysis.readout import Readout
from experiments.errors import TrueliftError, UsageError
from experiments.shop import open_shop
from experiments.store import Store

PIPED_WIDTH = 120  # characters, where there is no terminal to ask


def refresh(
    key: Annotated[
        str | None, typer.Argument(help="An experiment, or holdout.KEY (default: every one that is read).")
    ] = None,
    phase: Annotated[int | None, typer.Option(min=1, help="A phase (default: the newest).")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Read it as of this instant (UTC) instead of now: full days before it count."
        ),
    ] = None,
    wait: Wait = 0.0,
    home: Home = None,
) -> None:
    """Recompute an experiment from its logs and publish the readout; the same inputs publish nothing new.

    Without KEY one experiment that cannot be read does not keep the others from it; the exit code says so. One that
    has not begun is no failure. What the alerts read is published with it, not with --as-of.
    """
    from analysis import pipeline, subjects
    from analysis.alerts.measures.publish import publish
    from analysis.warehouse import DEFAULT, WAREHOUSES

    shop = open_shop(home)
    out, progress = _console(), _console(stderr=True)
    moment = None if as_of is None else instant(as_of)
    with Store.open(shop.store_url) as store:
        keys = (key,) if key is not None else subjects.to_be_read(store)
        if not keys:
            raise UsageError("no experiment is running; `truelift start KEY` starts a registered one")
        failed: list[TrueliftError] = []
        read = 0
        now = datetime.now(UTC)
        for each in keys:
            try:
                asked = subjects.subject(store, shop, each, phase)
                too_early = pipeline.nothing_yet(asked.phase, shop.settings.zone, moment or now)
                if key is None and too_early is not None:
                    out.print(f"{each}: nothing to read yet: {too_early}")
                    continue
                made = pipeline.refresh(
                    shop, store, each, now=now, as_of=moment, phase=phase, wait_seconds=wait,
                    say=lambda text: progress.print(text, style="dim"),
                )  # fmt: skip
            except TrueliftError as error:
                if key is not None:
                    raise
                progress.print(f"{each}: not refreshed: {as_typed(str(error))}", style="red")
                failed.append(error)
                continue
            readout, read = made.readout, read + 1
            state = "published" if made.new else "unchanged, published before"
            name = words.verdict_name(readout.verdict.code, readout.verdict.sentence).upper()
            out.print(f"{each}: {name} · snapshot {readout.snapshot_id} ({state})")
            out.print(f"  {readout.verdict.sentence}")
            newest = store.latest(each)
            if key is not None:
                other = newest is not None and newest.snapshot_id != readout.snapshot_id
                named = f" --snapshot {readout.snapshot_id}" if other else ""
                out.print(f"Next: {hint(f'readout {key}{named}')}")
        if moment is None and read:
            with WAREHOUSES[DEFAULT](shop.warehouse_path, wait_seconds=wait) as warehouse:
                publish(shop, store, warehouse, now=now)
    if failed:
        raise typer.Exit(max(error.exit_code for error in failed))


def readout(
    key: Annotated[str, typer.Argument(help="An experiment, or holdout.KEY.")],
    snapshot: Annotated[str | None, typer.Option(help="A snapshot's id (default: the latest).")] = None,
    phase: Annotated[int | None, typer.Option(min=1, help="The latest of this phase.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print readout.v1 as JSON.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print every number with its range as CSV; `> FILE` keeps it.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write one HTML file that works offline.")] = None,
    home: Home = None,
) -> None:
    """Print the published verdict with its reasons and numbers, or hand it on as JSON, CSV or HTML."""
    from analysis.notebook import published

    if sum((as_json, as_csv, html is not None)) > 1:
        raise UsageError("--json, --csv and --html exclude each other; give one")
    shop = open_shop(home)
    with Store.open(shop.store_url) as store:
        found = published(store, key, snapshot_id=snapshot, phase=phase)
        newest = found if snapshot is None else published(store, key, phase=found.phase)
    if newest.snapshot_id != found.snapshot_id:
        files = as_json or as_csv or html is not None
        _console(stderr=files).print(as_typed(_superseded(found, newest)), style="yellow")
    if as_json:
        typer.echo(found.to_json())
    elif as_csv:
        from analysis.exports.csv import to_csv

        typer.echo(to_csv(found), nl=False)
    elif html is not None:
        from analysis.exports.html import to_html

        _write(html, to_html(found))
        typer.echo(f"{key}: written to {html}")
    else:
        from analysis.exports.terminal import for_a_person

        console = _console()
        console.width = console.width if console.is_terminal else max(console.width, PIPED_WIDTH)
        console.print(for_a_person(found))


def _superseded(found: Readout, newest: Readout) -> str:
    """A reading that is not its phase's newest says so, and what the newest one says."""
    name = words.verdict_name(newest.verdict.code, newest.verdict.sentence).upper()
    day = words.day(business_day(datetime.fromisoformat(newest.as_of), ZoneInfo(newest.time_zone)))
    return (
        f"Snapshot {found.snapshot_id} is superseded. The newest reading, {newest.snapshot_id} as of {day}, "
        f"says {name}: {newest.verdict.sentence} "
        f"`truelift readout {newest.experiment.key} --phase {newest.phase}` prints it."
    )


def _console(*, stderr: bool = False) -> Console:
    """Prints a name as it is written, also where it looks like markup."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def _write(file: Path, text: str) -> None:
    """The whole text in the file, or the file as it was."""
    if not file.parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.parent}; make it, or name a file in one that is there")
    if file.is_dir():
        raise UsageError(f"{file}: is a folder, not a file; name a file in it, such as {file / 'readout.html'}")
    if file.exists() and not file.is_file():  # a pipe or a device
        file.write_text(text, encoding="utf-8")
        return
    place = file.resolve()
    partial = place.with_name(f".{place.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(refresh)
    app.command()(readout)
