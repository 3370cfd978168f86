"""`truelift tick`: what one run on a timer does, says and ends with."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from analysis import due, tick
from analysis.alerts.measures import measured
from analysis.alerts.model import Cell
from analysis.cli import tick as word
from analysis.tick import Run, Stage, Work, gravest, run
from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.load import load_file
from analysis.warehouse.terms import ShopTerms
from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.event_log import Spool
from assignment.exposures import exposure_row
from experiments import lifecycle
from experiments.bundle import bundle_document
from experiments.errors import BusyError, DefinitionError, NotFoundError, StoreError, TrueliftError, UsageError
from experiments.shop import Shop, create, open_shop
from experiments.store import Store
from tests.analysis.test_locking import held_elsewhere
from tests.helpers import held_out_shop
from tests.helpers.alert_measures import HOLDOUT as LAUNCH
from tests.helpers.alert_measures import HOME, STEP, Made, publish
from tests.helpers.definitions import ASSIGNED, HOLDOUT, written
from tests.helpers.held_out_shop import BEGAN
from tests.helpers.loads import same_names, write_rows

UNITS = 40


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An experiment that runs, a holdout that is read long after, and nothing logged."""
    later = held_out_shop.HOLDOUT.replace("start_at: 2026-03-02", "start_at: 2100-06-01")
    return held_out_shop.shop(tmp_path_factory.mktemp("begun"), holdout=later)


@pytest.fixture
def shop(begun: Shop, tmp_path: Path) -> Shop:
    """A copy of it."""
    return open_shop(shutil.copytree(begun.home, tmp_path / "shop"))


def purchase(unit: int, at: datetime) -> dict[str, object]:
    return {
        "event_id": f"p{at:%d%H}-{unit}", "event_ts": at.isoformat(), "unit_type": "user", "unit_id": f"u{unit}",
        "event_name": "purchase", "order_id": f"o{at:%d%H}-{unit}", "item_id": "i", "item_category": "decor",
        "quantity": 1, "value": 5000, "currency": "EUR",
    }  # fmt: skip


def visited(shop: Shop, day: int, *, bought: bool = True) -> None:
    """Some come to the homepage on that day after the start; every second one buys."""
    at = BEGAN + timedelta(days=day, hours=10)
    with Store.open(shop.store_url) as store:
        bundle = compile_bundle(bundle_document(store, shop))
    with Spool(shop.spool) as spool:
        for unit in range(UNITS):
            context: Mapping[str, object] = {"targetingKey": f"u{unit}"}
            decision = evaluate(bundle, "rec.homepage", context, at)
            spool.append("exposure", exposure_row(bundle, decision, context, event_id=f"e{day}-{unit}", at=at))
            if bought and unit % 2:
                spool.append("outcome", purchase(unit, at + timedelta(minutes=10)))


def filed(shop: Shop, at: datetime, units: range, now: datetime) -> None:
    """Orders of that moment come as a file."""
    path = write_rows(shop.home / f"orders-{at:%d%H}-{units.start}.jsonl", [purchase(unit, at) for unit in units])
    with open_connection(shop.warehouse_path) as connection:
        terms = ShopTerms.of(shop.settings)
        report = load_file(connection, path, same_names("outcome"), terms, now=now.replace(tzinfo=None))
    assert report.accepted == len(units)


def ran(shop: Shop, now: datetime) -> dict[str, Stage]:
    """The stages that count and decide, by name; none of them failed."""
    stages = {name: tick.STAGES[name] for name in ("load", "refresh", "ramp")}
    ended = {stage.name: stage for stage in run(Run(shop, now, "clock"), stages)}
    assert [(stage.name, stage.exit_code) for stage in ended.values()] == [("load", 0), ("refresh", 0), ("ramp", 0)]
    return ended


def snapshots(shop: Shop) -> list[str]:
    with Store.open(shop.store_url) as store:
        return [head.snapshot_id for key in ("home_als", "holdout.everybody") for head in store.snapshots(key)]


def typed(shop: Shop, *words: str) -> tuple[int, str, str]:
    """What the command ends with, and prints on both streams; errors of ours come out as they are."""
    app = typer.Typer()
    word.register(app)
    done = CliRunner().invoke(app, ["--home", str(shop.home), *words])
    if isinstance(done.exception, TrueliftError):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


# --- what is due --------------------------------------------------------------------------------------------------


def test_a_day_is_loaded_and_read_once_and_what_nobody_remembers_is_published_once(shop: Shop) -> None:
    morning = BEGAN + timedelta(days=1, minutes=15)
    visited(shop, 0)
    first = ran(shop, morning)
    assert first["load"].words == "1 segment, 60 lines: 60 accepted, 0 duplicates, 0 rejected"
    assert first["refresh"].words == "home_als TOO EARLY"
    assert first["ramp"].words == "nothing is due"
    assert len(snapshots(shop)) == 1
    again = ran(shop, morning + timedelta(hours=1))
    assert again["load"].words.startswith("0 segments")
    assert again["refresh"].words == "1 not due"
    text = held_out_shop.EXPERIMENT.replace("[revenue_per_unit]}", "[revenue_per_unit], secondary: [aov]}")
    with Store.open(shop.store_url) as store:
        lifecycle.register(store, shop, written(shop, text, "home_als.yml"), actor="ann", reason="also", now=morning)
    assert ran(shop, morning)["refresh"].words == "home_als TOO EARLY"
    assert len(snapshots(shop)) == 2
    tick.memory_path(shop).write_text("{", encoding="utf-8")
    assert ran(shop, morning + timedelta(days=1))["refresh"].words == "home_als TOO EARLY"
    assert len(made := snapshots(shop)) == 3
    tick.memory_path(shop).unlink()
    assert ran(shop, morning + timedelta(days=1))["refresh"].words == "home_als TOO EARLY (unchanged)"
    assert snapshots(shop) == made


def test_before_a_day_is_over_nothing_is_read(shop: Shop) -> None:
    ended = tick.refresh(Run(shop, BEGAN + timedelta(hours=12), "clock"))
    assert ended == Stage("no experiment has a day to read")
    assert not shop.warehouse_path.exists()


def test_a_file_with_rows_of_a_day_that_was_read_makes_it_due_again_and_a_late_row_of_the_log_does_not(
    shop: Shop,
) -> None:
    morning = BEGAN + timedelta(days=1, hours=1)
    visited(shop, 0, bought=False)
    with Store.open(shop.store_url) as store:  # as if the day had been read
        asked = due.to_read(store, shop, morning)
    due.remember(tick.memory_path(shop), {key: due.reading(one, shop, morning, 0) for key, one in asked.items()})
    with Spool(shop.spool) as spool:
        for unit in range(30, 40):
            spool.append("outcome", purchase(unit, BEGAN + timedelta(hours=23)))
    ended = ran(shop, morning)
    assert "50 accepted" in ended["load"].words
    assert ended["refresh"].words == "1 not due"
    filed(shop, BEGAN + timedelta(days=1, hours=0.5), range(2), morning)  # of today
    assert ran(shop, morning)["refresh"].words == "1 not due"
    filed(shop, BEGAN + timedelta(hours=20), range(20), morning)  # of yesterday
    assert ran(shop, morning)["refresh"].words == "home_als TOO EARLY"
    assert len(snapshots(shop)) == 1
    assert ran(shop, morning)["refresh"].words == "1 not due"


def test_a_warehouse_that_was_built_anew_is_read_anew(shop: Shop) -> None:
    path = tick.memory_path(shop)
    known = {"home_als": due.Read(1, 1, "2026-03-03T00:00:00", 7)}
    due.remember(path, known)
    assert due.remembered(path) == known
    filed(shop, BEGAN + timedelta(hours=20), range(3), BEGAN)  # the first load
    with open_connection(shop.warehouse_path) as connection:
        before = BEGAN.replace(tzinfo=None) + timedelta(days=1)
        assert due.newest_file(connection, before, known.values()) == 1
        assert due.newest_file(connection, BEGAN.replace(tzinfo=None), known.values()) == 0


def test_the_business_day_is_the_shops(tmp_path: Path) -> None:
    berlin = create(tmp_path / "berlin", time_zone="Europe/Berlin")
    assert due.day_began(berlin, datetime(2026, 3, 2, 23, 30, tzinfo=UTC)) == datetime(2026, 3, 2, 23)
    assert due.day_began(berlin, datetime(2026, 3, 2, 22, 30, tzinfo=UTC)).date() == date(2026, 3, 1)


# --- measures -----------------------------------------------------------------------------------------------------


def test_what_the_alerts_read_is_published_once_and_again_when_rows_come_late(shop: Shop) -> None:
    given = Run(shop, BEGAN + timedelta(days=2), "clock")
    assert tick.measures(given) == Stage("nothing is loaded")
    visited(shop, 0)
    visited(shop, 1)
    tick.load(given)
    first = tick.measures(given)
    assert first.exit_code == 0
    assert re.fullmatch(r"[1-9]\d* new, 0 revised, up to 2026-03-03 06:00 UTC", first.words)
    with Store.open(shop.store_url) as store:
        places = {measured.comparison_of(place).key for place in store.measured_places("bucket", 360, at_six(1))}
        (site,) = measured.buckets(store, measured.SITE, Cell(), minutes=360, since=at_six(0, 6), until=at_six(0, 12))
    assert places == {"home_als", "site"}
    assert (site.arms["all"].sessions, site.arms["all"].totals["order"]) == (UNITS, UNITS // 2)
    assert tick.measures(given).words == "0 new, 0 revised, up to 2026-03-03 06:00 UTC"
    filed(shop, BEGAN + timedelta(hours=10, minutes=20), range(0, UNITS, 2), given.now)
    again = tick.measures(given)
    assert re.fullmatch(
        r"0 new, [1-9]\d* revised, up to 2026-03-03 06:00 UTC; rows came late from 2026-03-02 10:20 UTC on", again.words
    )


def at_six(day: int, hour: int = 6) -> datetime:
    return BEGAN + timedelta(days=day, hours=hour)


def test_measures_are_not_taken_under_other_settings(shop: Shop) -> None:
    visited(shop, 0)
    given = Run(shop, BEGAN + timedelta(days=2), "clock")
    tick.load(given)
    other = replace(shop, settings=shop.settings.model_copy(update={"currency": "JPY"}))
    with pytest.raises(UsageError, match="EUR"):
        tick.measures(replace(given, shop=other))


# --- alerts -------------------------------------------------------------------------------------------------------

MONEY = """
schema_version: 1
loss_budget: "75000"
margin: "0.35"
pages: true
every_minutes: 360
seasons:
  - {name: sale, first: 2026-01-01, last: 2026-01-20, weight: "1.1", owner: bo, expires: 2026-01-31}
"""
SALE = "season sale expired on 2026-01-31 and weighs no more; bo renews or removes it"
MEASURED = datetime(2026, 9, 1, tzinfo=UTC)
LOST, UNTIL = MEASURED + 120 * STEP, MEASURED + 126 * STEP


@pytest.fixture(scope="module")
def measured_loss(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose homepage loses 4 % from `LOST` on, measured up to `UNTIL`; no alerts have run yet."""
    made = create(tmp_path_factory.mktemp("shops") / "losing")
    made.money_file.write_text(MONEY, encoding="utf-8")
    (made.home / "notify.yml").write_text("version: 1\ntruelift: {file: told.jsonl}\n", encoding="utf-8")
    loss = Made(LAUNCH, cells=(HOME,), change=lambda _, at: -0.04 if at > LOST else 0.0)
    with Store.open(made.store_url) as store:
        publish(store, loss, UNTIL, since=MEASURED, quarters=STEP)
    return made.home


@pytest.fixture
def losing(measured_loss: Path, tmp_path: Path) -> Shop:
    """A copy of it."""
    return open_shop(shutil.copytree(measured_loss, tmp_path / "losing"))


def at(shop: Shop, now: datetime, say: Callable[[str], None] = print) -> Run:
    """A run at that time, whatever time it is."""
    return Run(shop, now, "clock", say=say, clock=lambda: now)


def test_an_open_alert_is_said_and_no_failure(losing: Shop) -> None:
    words: list[str] = []
    given = at(losing, UNTIL, words.append)
    assert tick.alerts(given) == Stage(f"56 bucket ends evaluated, 1 open, 1 delivered; {SALE}")
    assert any(re.search("incident .*, open:(ticket|page):1: told on file", each) for each in words)
    assert tick.alerts(given) == Stage(f"0 bucket ends evaluated, 1 open; {SALE}")
    (told,) = (losing.home / "told.jsonl").read_text("utf-8").splitlines()
    assert json.loads(told)["incident"]["severity"] in ("ticket", "page")


def test_what_keeps_the_alerts_from_their_work_is_a_failure_with_its_code(losing: Shop) -> None:
    (losing.home / "told.jsonl").mkdir()
    undelivered = tick.alerts(at(losing, UNTIL))
    assert (undelivered.exit_code, "1 undelivered" in undelivered.words) == (4, True)
    (losing.home / "told.jsonl").rmdir()
    behind = tick.alerts(at(losing, UNTIL + timedelta(days=2)))
    assert (behind.exit_code, "no bucket is published that ends near" in behind.words) == (3, True)
    losing.money_file.write_text(f"{MONEY}oops: 1\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match="oops is not a known field"):
        tick.alerts(at(losing, UNTIL))
    with Store.open(losing.store_url) as store, store.alerts.lock() as free:
        assert free
        losing.money_file.write_text(MONEY, encoding="utf-8")
        assert tick.alerts(at(losing, UNTIL)).exit_code == 5


def test_without_a_loss_budget_no_alerts_are_run_and_that_is_said(losing: Shop) -> None:
    losing.money_file.unlink()
    assert tick.alerts(at(losing, UNTIL)) == Stage(
        "not run; loss_budget is not set: no money alert can be judged; "
        "write what may be lost to regressions in 30 days"
    )
    with Store.open(losing.store_url) as store:
        assert store.alerts.runs() == []


# --- ramp ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def ramping(tmp_path: Path) -> Shop:
    """Scheduled for nine o'clock: 1 % at once, 25 % a day later when the checks are green."""
    made = create(tmp_path / "ramping")
    (made.holdouts / "global_h2.yml").write_text(HOLDOUT, encoding="utf-8")
    with Store.open(made.store_url) as store:
        now = datetime(2026, 11, 1, tzinfo=UTC)
        lifecycle.register_ground(store, made, actor="ann", reason="", now=now)
        lifecycle.register(store, made, written(made, ASSIGNED, "v3.yml"), actor="ann", reason="", now=now)
        lifecycle.schedule(store, "home_als_v3", actor="ann", reason="", now=now)
    return made


def test_a_step_that_is_held_is_said_and_no_failure(ramping: Shop) -> None:
    began = tick.ramp(Run(ramping, datetime(2026, 12, 1, 9, tzinfo=UTC), "clock"))
    assert began == Stage("home_als_v3: phase 1 runs; home_als_v3: traffic 0 → 0.01")
    held = tick.ramp(Run(ramping, datetime(2026, 12, 2, 9, tzinfo=UTC), "clock"))
    assert held.exit_code == 0
    assert held.words.startswith("home_als_v3: 0.01 → 0.25 held: srm: nothing is published of phase 1 yet")


def test_what_may_not_start_is_a_failure(ramping: Shop) -> None:
    ramping.metrics_file.write_text("metrics: {revenue_per_unit: {}}\n", encoding="utf-8")
    refused = tick.ramp(Run(ramping, datetime(2026, 12, 1, 9, tzinfo=UTC), "clock"))
    assert refused.exit_code == 1
    assert refused.words.startswith("home_als_v3: start not done: ")


# --- failures -----------------------------------------------------------------------------------------------------


def says(words: str, code: int = 0) -> Work:
    return lambda _: Stage(words, code)


def fails(error: Exception) -> Work:
    def work(_: Run) -> Stage:
        raise error

    return work


def test_one_stage_hides_no_other(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    stages = {
        "load": says("well"),
        "refresh": fails(UsageError("home_als: none of it\n  is loaded")),
        "ramp": fails(ZeroDivisionError("division by zero")),
        "measures": fails(FileNotFoundError(2, "No such file", "x.sql")),
        "alerts": says("3 open", 4),
    }
    ended = list(run(Run(shop, BEGAN, "clock"), stages))
    assert [stage.line for stage in ended] == [
        "load: well",
        "refresh: FAILED (2): home_als: none of it is loaded",
        "ramp: FAILED (1): ZeroDivisionError: division by zero",
        "measures: FAILED (1): x.sql: No such file",
        "alerts: FAILED (4): 3 open",
    ]
    assert "Traceback" in capsys.readouterr().err
    assert gravest([stage.exit_code for stage in ended]) == 1


def test_nothing_is_counted_of_a_log_that_is_not_loaded(shop: Shop) -> None:
    visited(shop, 0)
    (shop.spool / "broken.ready").mkdir()
    ended = {stage.name: stage for stage in run(Run(shop, BEGAN + timedelta(days=1), "clock"))}
    assert ended["load"].exit_code == 2
    assert "broken.ready: cannot be read (Is a directory)" in ended["load"].words
    assert "60 accepted" in ended["load"].words
    assert "not done: the exposure log is not loaded" in ended["refresh"].words
    assert ended["ramp"].words == "nothing is due"
    assert snapshots(shop) == []


def test_one_experiment_that_cannot_be_read_hides_no_other(shop: Shop) -> None:
    visited(shop, 0)
    text = held_out_shop.EXPERIMENT.replace("home_als\n", "cart_als\n").replace("homepage", "cart")
    text = text.replace("overrides: [{unit_id: u7, variant: als}]\n", "").replace("holdouts: [everybody]\n", "")
    with Store.open(shop.store_url) as store:
        lifecycle.register(store, shop, written(shop, text, "cart_als.yml"), actor="ann", reason="", now=BEGAN)
        lifecycle.start(store, shop, "cart_als", actor="ann", reason="", now=BEGAN)
    given = Run(shop, BEGAN + timedelta(days=1), "clock")
    tick.load(given)
    ended = tick.refresh(given)
    assert ended.exit_code == 2
    assert ended.words.startswith("cart_als not refreshed: cart_als: ")
    assert ended.words.endswith("; home_als TOO EARLY")
    assert tick.refresh(given).words.endswith("; 1 not due")


@pytest.mark.parametrize(
    ("codes", "code"),
    [((), 0), ((0, 0), 0), ((0, 3), 3), ((3, 4), 4), ((4, 5, 0), 5), ((5, 2), 2), ((2, 1, 4), 1), ((0, 7), 7)],
)
def test_of_several_exit_codes_the_gravest_is_the_runs(codes: tuple[int, ...], code: int) -> None:
    assert gravest(codes) == code


def test_a_busy_warehouse_is_named_and_the_rest_goes_on(shop: Shop) -> None:
    visited(shop, 0)
    with open_connection(shop.warehouse_path):
        ended = list(run(Run(shop, BEGAN + timedelta(days=1), "clock"), {"load": tick.load, "ramp": tick.ramp}))
    assert [stage.exit_code for stage in ended] == [5, 0]
    assert "is using the warehouse" in ended[0].words


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from analysis import tick
from experiments.shop import open_shop
given = tick.Run(open_shop(Path(sys.argv[1])), datetime.fromisoformat(sys.argv[2]), "clock")
for _ in tick.run(given, {"load": tick.load, "refresh": lambda _: os.kill(os.getpid(), signal.SIGKILL)}):
    pass
"""


def test_a_tick_that_is_killed_leaves_whole_stages_and_no_lock(shop: Shop) -> None:
    visited(shop, 0)
    morning = BEGAN + timedelta(days=1)
    words = [sys.executable, "-c", KILLED, str(shop.home), morning.isoformat()]
    assert subprocess.run(words, cwd=Path(__file__).parents[3], check=False).returncode == -signal.SIGKILL
    assert '"pid"' in tick.lock_path(shop).read_text("utf-8")  # it said who it was, and could not take it back
    (ended,) = run(Run(shop, morning, "clock"), {"load": tick.load})
    assert ended == Stage("0 segments, 0 lines: 0 accepted, 0 duplicates, 0 rejected", 0, "load")


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Work]:
    """Stages of our own."""
    stages: dict[str, Work] = {"load": says("well"), "ramp": says("held: `truelift refresh home_als`")}
    monkeypatch.setattr(tick, "STAGES", stages)
    return stages


def test_the_command_prints_a_line_a_stage(shop: Shop, staged: dict[str, Work]) -> None:
    code, said, _ = typed(shop)
    hint = f"`truelift refresh home_als --home {shop.home}`"
    assert (code, said) == (0, f"load: well\nramp: held: {hint}\n")
    staged["alerts"] = says("mail: no such host", 4)
    code, said, _ = typed(shop)
    assert (code, said.splitlines()[-1]) == (4, "alerts: FAILED (4): mail: no such host")


def test_a_second_one_at_once_learns_who_is_at_it(shop: Shop, staged: dict[str, Work]) -> None:
    ticks: list[str] = []

    def counted(_: Run) -> Stage:
        ticks.append("ran")
        return Stage("well")

    staged["load"] = counted
    with held_elsewhere(tick.lock_path(shop)) as process:
        with pytest.raises(BusyError, match=rf"tick\.lock: process {process.pid} \(.*is running a tick of") as refused:
            typed(shop)
        assert refused.value.exit_code == 5
        assert ticks == []
        process.kill()
        process.wait()
    assert typed(shop)[0] == 0
    assert ticks == ["ran"]


def test_without_a_place_for_the_lock_nothing_runs(shop: Shop, staged: dict[str, Work]) -> None:
    tick.lock_path(shop).mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        typed(shop)
    assert staged


def test_the_command_goes_from_the_log_to_the_alerts(shop: Shop) -> None:
    shop.money_file.write_text(MONEY.replace("360", "60"), encoding="utf-8")
    for day in range(2):
        visited(shop, day)
    code, said, told = typed(shop, "--wait", "5")  # long after the experiment began
    lines = said.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["load", "refresh", "ramp", "measures", "alerts"]
    assert lines[0] == "load: 2 segments, 120 lines: 120 accepted, 0 duplicates, 0 rejected"
    assert lines[1].startswith("refresh: home_als ")
    assert lines[2] == "ramp: nothing is due"
    assert lines[4].startswith("alerts: FAILED (3): no bucket is published that ends near")
    assert "home_als: counting to the end of" in told
    assert code == 3
    assert set(json.loads(tick.memory_path(shop).read_text("utf-8"))) == {"home_als"}
    with Store.open(shop.store_url) as store:
        (beat,) = store.alerts.runs()
        standing = store.alerts.standing()
    assert beat.code == 3
    assert standing is not None
    assert standing.at == BEGAN + timedelta(days=1, hours=10)  # what is there was evaluated all the same


def test_a_shop_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="truelift init"):
        typed(Shop(tmp_path / "none", create(tmp_path / "any").settings))
