"""The demo's shop: play it, take its logs to verdicts, and lay these beside what was injected.

The steps are the ones that any shop takes: load through a mapping, register, start, refresh.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import pyarrow.parquet as pq
from rich.console import Console

from analysis import words
from analysis.pipeline import Published, refresh
from analysis.readout import Estimate, Interval, Readout
from analysis.warehouse.connection import open_connection
from analysis.warehouse.load import LoadReport, ShopTerms, load_file
from analysis.warehouse.mapping import read_mapping
from assignment.hashing import bucket
from experiments import lifecycle
from experiments.errors import UsageError
from experiments.shop import SETTINGS_FILE, Shop, create, open_shop
from experiments.simulator.generator import Logs, simulate, write
from experiments.simulator.plan import CATEGORY_KEYS, Plan, lifted
from experiments.simulator.truth import Truth
from experiments.store import Store

SEED = 1
# Orders that come through the homepage, by what the visitor came for.
LIFTS = {"decor": 0.9, "bedding": -0.9, "garden": 0.2, "kitchen": 0.2, "lighting": 0.2}
PLAYS = (lifted("home_als_v2", "homepage", "als_v2", LIFTS, click_lift=0.2), lifted("pdp_aa", "pdp", "again"))
LOGS = ("catalogue", "exposures", "outcomes")
Result = TypeVar("Result")
Do = Callable[[], Result]


@dataclass(frozen=True, slots=True)
class Played:
    """What the demo leaves behind: its shop, what was published, and what was injected, by experiment."""

    shop: Shop
    readouts: tuple[Readout, ...]
    truth: Mapping[str, Truth]


def plan(units: int) -> Plan:
    """What the demo plays: four weeks of history, four of experiment, and two in which parcels come back."""
    return Plan(seed=SEED, plays=PLAYS, units=units)


def assign(experiment: str, unit: str) -> str:
    """Half and half by the public hash, with a salt of its own for each experiment."""
    (treatment,) = next(play.treatments for play in PLAYS if play.key == experiment)
    return "control" if bucket(f"{experiment}.1:split", unit) < 5_000 else treatment


def play(home: Path, *, units: int, now: datetime, by: str, console: Console | None = None) -> Played:
    """Make the demo's shop at `home` and take it from logs to published verdicts; doing it again changes nothing.

    `now` is when it is registered and published; the simulated dates are the plan's own. UsageError when the folder
    holds another shop, or another demo's logs.
    """
    step = _Steps(console)
    shop = _shop(home)
    played = plan(units)
    logs = step("Simulate the shop", partial(simulate, played, assign), _simulated)
    _write(logs, home / "logs")
    as_of = played.midnight(played.run_days + played.after_days)
    with Store.open(shop.store_url) as store:
        step("Register and start two experiments", partial(_begin, store, shop, now, by))
        for name in LOGS:
            step(f"Load {name}", partial(_load, shop, home / "logs", name, now), _loaded)
        readouts = [
            step(f"Read {each.key}", partial(refresh, shop, store, each.key, now=now, as_of=as_of), _read).readout
            for each in PLAYS
        ]
    return Played(shop, tuple(readouts), logs.truth)


class _Steps:
    """Says what is being done and how long it took; silent without a console."""

    def __init__(self, console: Console | None) -> None:
        self._console = console

    def __call__(self, name: str, do: Do[Result], said: Callable[[Result], str] = lambda _: "") -> Result:
        began = perf_counter()
        with self._console.status(f"{name} …") if self._console else nullcontext():
            result = do()
        if self._console:
            self._console.print(f"{name:<34} {perf_counter() - began:5.1f} s   {said(result)}", markup=False)
        return result


def _simulated(logs: Logs) -> str:
    return f"{words.whole(logs.exposures.num_rows)} slots shown, {words.whole(logs.outcomes.num_rows)} events"


def _loaded(report: LoadReport) -> str:
    if report.already_loaded:
        return "loaded before"
    return f"{words.whole(report.accepted)} rows accepted, {words.whole(report.rejected)} rejected"


def _read(published: Published) -> str:
    verdict = published.readout.verdict
    return words.verdict_name(verdict.code, verdict.sentence)


def _shop(home: Path) -> Shop:
    if not (home / SETTINGS_FILE).exists():
        create(home)
    elif not (home / "definitions" / f"{PLAYS[0].key}.yml").exists():
        raise UsageError(f"{home}: is a shop, but not the demo's; give the demo another folder with --home")
    shop = open_shop(home)
    for each in PLAYS:
        definition = shop.definitions / f"{each.key}.yml"
        if not definition.exists():
            definition.write_text(_packaged(definition.name), encoding="utf-8")
    return shop


def _write(logs: Logs, folder: Path) -> None:
    """Write the logs and their mappings, unless they are there already."""
    if not (folder / "truth.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in LOGS:
            (folder / f"{name}.mapping.yml").write_text(_packaged(f"{name}.mapping.yml"), encoding="utf-8")
        write(logs, folder)
        return
    for name in LOGS:
        if not pq.read_table(folder / f"{name}.parquet").equals(getattr(logs, name)):
            raise UsageError(
                f"{folder}: holds the logs of another demo (another size or version); remove the shop's folder, or "
                "give another with --home"
            )


def _begin(store: Store, shop: Shop, now: datetime, by: str) -> None:
    for each in PLAYS:
        path = shop.definitions / f"{each.key}.yml"
        known = lifecycle.register(store, shop, path, actor=by, reason="the demo", now=now)
        if known.state == "draft":
            lifecycle.start(store, shop, each.key, actor=by, reason="the demo", now=now)


def _load(shop: Shop, folder: Path, name: str, now: datetime) -> LoadReport:
    terms = ShopTerms.of(shop.settings)
    mapping = read_mapping(folder / f"{name}.mapping.yml")
    with open_connection(shop.warehouse_path) as connection:
        naive = now.astimezone(UTC).replace(tzinfo=None)
        return load_file(connection, folder / f"{name}.parquet", mapping, terms, now=naive)


def _packaged(name: str) -> str:
    return (files("experiments") / "simulator" / "demo" / name).read_text(encoding="utf-8")


# --- how close it came -------------------------------------------------------------------------------------


def comparisons(readout: Readout, truth: Truth) -> list[tuple[str, float, Estimate]]:
    """(what, the injected lift, the estimated one), for the totals and, where there is any effect, each category."""
    totals: list[tuple[str, float, Estimate]] = [
        ("revenue per user", _injected(truth, "revenue_per_unit"), _lift(readout, "revenue_per_unit")),
        ("orders per user", _injected(truth, "orders_per_unit"), _lift(readout, "orders_per_unit")),
    ]
    if totals[0][1] == 0:
        return totals
    cells = {
        cell.values["item_category"]: cell.raw
        for part in readout.slices or ()
        if part.key == "item_category"
        for cell in part.cells
        if cell.metric == "revenue_per_unit"
    }
    parts = [(key, _injected(truth, "revenue_per_unit", key)) for key in CATEGORY_KEYS]
    return [*totals, *((f"revenue, {name}", true, cells[name]) for name, true in parts if name in cells)]


def _injected(truth: Truth, metric: str, category: str | None = None) -> float:
    """The relative lift that the chances of an order give."""
    of = {} if category is None else {"slice": "item_category", "value": category}
    return truth.of(metric, method="analytic", **of).lift or 0.0


def covers(found: Interval, true: float) -> bool:
    """Whether the interval holds the true value; an open side holds everything."""
    return (found.lo is None or found.lo <= true) and (found.hi is None or true <= found.hi)


def _lift(readout: Readout, metric: str) -> Estimate:
    return readout.metric(metric).comparisons[0].relative
