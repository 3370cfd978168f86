"""`truelift check` and `truelift load`: log files through a mapping."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from analysis.cli.context import Home, Wait
from analysis.warehouse.connection import kept_terms, open_connection
from analysis.warehouse.loading import sources
from analysis.warehouse.loading.load import LoadReport, RejectedRow, ShopTerms, check_file, load_file
from analysis.warehouse.loading.reading import read_mapping
from analysis.warehouse.loading.spool import SpoolReport, load_spool
from analysis.warehouse.terms import refuse_others
from experiments.contracts import CONTRACTS
from experiments.errors import UsageError, WarehouseBusyError, nearest
from experiments.reasons import explained
from experiments.shop import Shop, open_shop

Mapping = Annotated[str, typer.Option("--mapping", "-m", help="A mapping file, or the name of a ready mapping.")]


def check(
    file: Annotated[Path, typer.Argument(help="Parquet, CSV or JSON lines, also gzipped.")],
    mapping: Mapping,
    home: Home = None,
) -> None:
    """Say what a load would accept and reject, and why. Changes nothing; exit 2 when nothing would be accepted."""
    shop = open_shop(home)
    terms = ShopTerms.of(shop.settings)
    _refuse_other_terms(shop, terms)
    with _progress(file.name) as progress:
        report = check_file(file, read_mapping(mapping, file), terms, now=_now(), progress=progress)
    _print(report, "would be accepted")
    if report.accepted == 0:
        raise UsageError(f"{file}: none of its rows would be accepted; the reasons above say what to change")


def load(
    files: Annotated[list[Path] | None, typer.Argument(help="Parquet, CSV or JSON lines, also gzipped.")] = None,
    mapping: Annotated[
        str | None, typer.Option("--mapping", "-m", help="A mapping file, or the name of a ready mapping.")
    ] = None,
    spool: Annotated[
        bool, typer.Option("--spool", help="Load what the service logged, from the shop's spool/.")
    ] = False,
    home: Home = None,
    wait: Wait = 0.0,
) -> None:
    """Load log files, each whole or not at all; rejected rows are kept with every reason.

    With --spool: every segment of the exposure log that is ready, each event once; run it every few minutes.
    """
    if spool and (files or mapping):
        raise UsageError("--spool loads the shop's own log: give no files and no --mapping with it")
    if not spool and (not files or mapping is None):
        raise UsageError("load what? give log files and --mapping, or --spool for what the service logged")
    shop = open_shop(home)
    if files and mapping is not None:
        _load_files(shop, files, mapping, wait)
    else:
        _load_spool(shop, wait)


def _load_files(shop: Shop, files: list[Path], mapping: str, wait: float) -> None:
    chosen = read_mapping(mapping, files[0])
    failed: list[str] = []
    with open_connection(shop.warehouse_path, wait_seconds=wait) as connection:
        for file in files:
            try:
                with _progress(file.name) as progress:
                    report = load_file(
                        connection, file, chosen, ShopTerms.of(shop.settings), now=_now(), progress=progress
                    )
            except UsageError as error:
                if len(files) == 1:
                    raise
                failed.append(str(error))  # the other files are none the worse
                continue
            _print(report, "accepted")
            if report.accepted + report.duplicates == 0:
                failed.append(f"{file}: none of its rows was accepted; the reasons above say what to change")
    if failed:
        raise UsageError("\n".join(dict.fromkeys(failed)))


def _load_spool(shop: Shop, wait: float) -> None:
    with open_connection(shop.warehouse_path, wait_seconds=wait) as connection, _progress("spool") as progress:
        report = load_spool(connection, shop.spool, ShopTerms.of(shop.settings), now=_now(), progress=progress)
    _print_spool(report)
    if report.unreadable:
        raise UsageError("\n".join(report.unreadable))
    if report.accepted + report.duplicates == 0 and set(report.reasons) - {"torn"}:
        raise UsageError(f"{shop.spool}: none of its lines was accepted; the reasons above say what to change")


def schema(
    contract: Annotated[str, typer.Argument(help="exposure, outcome, catalogue or identity.")],
) -> None:
    """Print the JSON Schema of a contract row, for whoever writes the logs."""
    if contract not in CONTRACTS:
        near = nearest(contract, CONTRACTS)
        raise UsageError(f"{contract}: no such contract{f', nearest {near[0]}' if near else ''}; "
                         f"one of {', '.join(CONTRACTS)}")  # fmt: skip
    typer.echo(json.dumps(CONTRACTS[contract].model_json_schema(), indent=2, ensure_ascii=False))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command()(load)
    app.command()(schema)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _refuse_other_terms(shop: Shop, terms: ShopTerms) -> None:
    """What `load` would refuse; a warehouse that another process has is not waited for."""
    if shop.warehouse_path.exists():
        try:
            with open_connection(shop.warehouse_path) as connection:
                refuse_others(kept_terms(connection), terms)
        except WarehouseBusyError:
            typer.echo("The warehouse is in use: not compared with the settings it was loaded with.", err=True)


@contextmanager
def _progress(name: str) -> Iterator[sources.Progress]:
    """A bar on a terminal, nothing elsewhere."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    )  # fmt: skip
    with bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print(report: LoadReport, accepted: str) -> None:
    out = Console(highlight=False, soft_wrap=True, markup=False)
    if report.already_loaded:
        out.print(f"{report.file}: already loaded under this mapping ({report.load_id}); nothing changed")
    out.print(f"{report.file}: {report.rows_read:,} rows read, {report.emitted:,} contract rows made of them")
    _print_rows(
        out, report, accepted, {reason: [("", row) for row in rows] for reason, rows in report.examples.items()}
    )
    if report.rows_not_emitted:
        out.print(
            f"  rows that no emission wanted: {report.rows_not_emitted:,}, for example {report.not_emitted_example}"
        )
    if report.rows_repeated:
        kept = f"{report.rows_repeated_kept:,} kept (a row may be true twice; an event_id of the source would tell)"
        out.print(f"  exact repeats of an earlier row: {report.rows_repeated:,}, of them {kept}")


def _print_spool(report: SpoolReport) -> None:
    out = Console(highlight=False, soft_wrap=True, markup=False)
    beside = f", {report.moved:,} had been loaded" if report.moved else ""
    beside += f", {report.adopted:,} left by processes that died" if report.adopted else ""
    out.print(f"spool: {report.segments:,} segments loaded{beside}; {report.rows_read:,} lines read")
    examples = {reason: [(f"{file} ", row) for file, row in rows] for reason, rows in report.examples.items()}
    _print_rows(out, report, "accepted", examples)


def _print_rows(
    out: Console, report: LoadReport | SpoolReport, accepted: str, examples: dict[str, list[tuple[str, RejectedRow]]]
) -> None:
    """What was accepted, what was there already, and what was rejected with the first rows of each reason."""
    tables = ", ".join(f"{count:,} {table}" for table, count in report.accepted_by_table.items() if count)
    out.print(f"  {accepted}: {report.accepted:,}" + (f" ({tables})" if tables else ""))
    if report.duplicates:
        out.print(f"  duplicates of rows already there: {report.duplicates:,}, not counted twice")
    if isinstance(report, LoadReport) and report.said_before:
        out.print(
            f"    {report.said_before:,} of them say what another file said, and have no event_id; give event ids "
            f"if it did happen again"
        )
    out.print(f"  rejected: {report.rejected:,}")
    for reason, count in report.reasons.items():
        out.print(f"    {reason}: {count:,} ({explained(reason)})")
        for file, row in examples[reason]:
            others = [other for other in row.reasons if other != reason]
            also = f" (also {', '.join(others)})" if others else ""
            out.print(f"      {file}line {row.line}{also}: {_shortened(row.raw)}")


def _shortened(text: str, width: int = 160) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
