"""Play the demo from an empty folder to published verdicts, step by step, as any shop would do it."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from analysis import words
from analysis.alerts.job.report import RunReport
from analysis.alerts.job.running import once
from analysis.alerts.measures.publish import publish
from analysis.demo.report import read_truth
from analysis.demo.serving import serve_together
from analysis.demo.shop import SEED, STORIES, UNITS, assigner, begin, packaged, plan
from analysis.demo.steps import Step, Tell, silent
from analysis.pipeline import Published, refresh
from analysis.readout import Readout
from analysis.warehouse import DEFAULT, WAREHOUSES
from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.load import LoadReport, ShopTerms, load_file
from analysis.warehouse.loading.reading import read_mapping
from analysis.warehouse.loading.spool import SpoolReport, load_spool
from experiments.errors import UsageError
from experiments.shop import SETTINGS_FILE, Shop, create, open_shop
from experiments.simulator.faults import planted
from experiments.simulator.generator import Logs, simulate, write
from experiments.simulator.plan import Plan
from experiments.simulator.truth import Truth
from experiments.store import Store

LOGS = ("catalogue", "exposures", "outcomes")
DEMO_FILE = "demo.json"  # in the shop's folder: which demo was played there
SERVED_BEFORE = timedelta(days=7)  # the start: what was shown earlier comes of the shop's former log, a file
BATCH_BYTES = 512 << 20  # the whole log: a load of few rows works on one core


@dataclass(frozen=True, slots=True)
class Played:
    """What the demo leaves behind: its shop, what was published, what is true by experiment, what the alerts found."""

    shop: Shop
    readouts: tuple[Readout, ...]
    truth: Mapping[str, Truth]
    watched: RunReport | None  # by the demo with a regression: the other one has nothing to tell


def play(
    home: Path,
    *,
    units: int = UNITS,
    now: datetime,
    by: str,
    seed: int = SEED,
    regression: bool = False,
    step: Step = silent,
) -> Played:
    """Make the demo's shop at `home` and take it to published verdicts; doing it again changes nothing.

    `now` is when they are published; the simulated dates are the plan's own. A demo that was cut off before its shop
    was whole leaves a folder beside it, and begins anew. With a `regression` the homepage's arm loses.
    UsageError when `home` holds something else, or the demo of another size or seed, or another one.
    """
    played = plan(units, seed, regression=regression)
    which = {"units": units, "seed": seed} | ({"regression": 1} if regression else {})
    if (home / SETTINGS_FILE).exists():
        _refuse_another(home, which)
    else:
        _make(home, played, which, by, step)
    shop = open_shop(home)
    for name in LOGS:
        step(f"Load {name}", partial(_load, shop, name, now), _loaded)
    step("Load the exposure log", partial(_load_spool, shop, now), _loaded_spool)
    as_of = played.midnight(played.run_days + played.after_days)
    with Store.open(shop.store_url) as store:
        readouts = [
            step(f"Read {story.key}", partial(_refresh, shop, store, story.key, now, as_of), _read) for story in STORIES
        ]
    looks = [played.midnight(day) for day in range(7, played.run_days + 1, 7)]
    watched = step("Watch for losses", partial(_watch, shop, looks, as_of), _watched) if regression else None
    readings = tuple(each.readout for each in readouts)
    return Played(shop, readings, read_truth(home / "logs" / "truth.json"), watched)


def _refuse_another(home: Path, which: Mapping[str, int]) -> None:
    if not (home / DEMO_FILE).exists():
        raise UsageError(f"{home}: is a shop, but not the demo's; give the demo another folder with --home")
    there = json.loads((home / DEMO_FILE).read_text(encoding="utf-8"))
    if there != which:
        names = sorted(there.keys() | which.keys(), reverse=True)
        differs = ", ".join(f"{name} {there.get(name, 0)} there and {which.get(name, 0)} now" for name in names)
        raise UsageError(f"{home}: holds another demo ({differs}); remove the folder, or give another with --home")


def _make(home: Path, played: Plan, which: Mapping[str, int], by: str, step: Step) -> None:
    """The whole shop in a folder beside, which becomes `home` when everything that the world does has been done."""
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise UsageError(f"{home}: holds something else; give the demo another folder with --home")
    folder = home.with_name(f"{home.name}.unfinished")
    shutil.rmtree(folder, ignore_errors=True)
    shop = create(folder)
    with Store.open(shop.store_url) as store:
        before, running = step("Register and start four experiments", lambda _: begin(shop, store, played, by))
        logs = step("Simulate the shop", partial(_simulate, played, assigner(running)), _simulated)
    _write(logs, folder / "logs", until=played.midnight(0) - SERVED_BEFORE)
    live = logs.exposures.filter(pc.greater_equal(logs.exposures["event_ts"], played.midnight(0) - SERVED_BEFORE))

    def served(tell: Tell) -> int:
        return serve_together(live, (before, running), shop.spool, tell)

    step("Serve and log what it shows", served, lambda rows: f"{words.whole(rows)} exposures logged")
    shop.money_file.write_text(packaged("money.yml"), encoding="utf-8")
    (folder / DEMO_FILE).write_text(json.dumps(which) + "\n", encoding="utf-8")
    folder.rename(home)


def _simulate(played: Plan, assign: Callable[[str, str], str], tell: Tell) -> Logs:
    told = 0

    def say(_: str) -> None:
        nonlocal told
        told += 1
        tell(told, 4 + len(STORIES))

    logs = simulate(played, assign, say=say)
    for story in STORIES:
        if story.fault is not None:
            logs = planted(logs, (story.fault,), seed=played.seed, experiment=story.key)
    return logs


def _write(logs: Logs, folder: Path, *, until: datetime) -> None:
    """What comes to a shop as files: outcomes, catalogue, and of the slots those that its former system logged."""
    folder.mkdir()
    for name in LOGS:
        (folder / f"{name}.mapping.yml").write_text(packaged(f"{name}.mapping.yml"), encoding="utf-8")
    write(replace(logs, exposures=_before(logs.exposures, until)), folder)


def _before(table: pa.Table, until: datetime) -> pa.Table:
    return table.filter(pc.less(table["event_ts"], until))


def _simulated(logs: Logs) -> str:
    return f"{words.whole(logs.exposures.num_rows)} slots shown, {words.whole(logs.outcomes.num_rows)} events"


def _load(shop: Shop, name: str, now: datetime, tell: Tell) -> LoadReport:
    folder = shop.home / "logs"
    mapping = read_mapping(folder / f"{name}.mapping.yml")
    with open_connection(shop.warehouse_path) as connection:
        return load_file(
            connection, folder / f"{name}.parquet", mapping, ShopTerms.of(shop.settings), now=_naive(now), progress=tell
        )


def _load_spool(shop: Shop, now: datetime, tell: Tell) -> SpoolReport:
    with open_connection(shop.warehouse_path) as connection:
        return load_spool(
            connection, shop.spool, ShopTerms.of(shop.settings), now=_naive(now), progress=tell, batch_bytes=BATCH_BYTES
        )


def _loaded(report: LoadReport) -> str:
    if report.already_loaded:
        return "loaded before"
    return f"{words.whole(report.accepted)} rows accepted, {words.whole(report.rejected)} rejected"


def _loaded_spool(report: SpoolReport) -> str:
    if not report.segments:
        return "loaded before"
    return f"{words.whole(report.accepted)} rows accepted, {words.whole(report.rejected)} rejected"


def _refresh(shop: Shop, store: Store, key: str, now: datetime, as_of: datetime, tell: Tell) -> Published:
    told = 0

    def say(_: str) -> None:
        nonlocal told
        told += 1
        tell(told, 4)

    return refresh(shop, store, key, now=now, as_of=as_of, say=say)


def _watch(shop: Shop, looks: Sequence[datetime], as_of: datetime, tell: Tell) -> RunReport:
    """The alerts' job as it would have run in these moments, the last of them when the experiments ended.

    None is more than 14 days after the one before: a run catches up with no more.
    """
    told = 0

    def say(_: str) -> None:
        nonlocal told
        told += 1
        tell(told, told + 1)

    with Store.open(shop.store_url) as store, WAREHOUSES[DEFAULT](shop.warehouse_path) as warehouse:
        publish(shop, store, warehouse, now=as_of)

    def look(at: datetime) -> RunReport:
        return once(shop, as_of=at, clock=lambda: at, say=say)

    return [look(at) for at in looks][-1]


def _watched(report: RunReport) -> str:
    if report.error:
        return report.error
    count = sum(report.open.values())
    return f"{words.whole(count)} incident{'' if count == 1 else 's'} open"


def _read(published: Published) -> str:
    verdict = published.readout.verdict
    return words.verdict_name(verdict.code, verdict.sentence)


def _naive(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(tzinfo=None)
