"""`truelift alerts` as a scheduler and a person type it: every exit code, one JSON line, and what people do."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analysis.alerts.job.doing import current
from analysis.alerts.job.running import once
from experiments.shop import Shop, create
from experiments.store import Store
from tests.helpers import published
from tests.helpers.alert_measures import HOLDOUT, HOME, STEP, Made, publish
from tests.helpers.commands import ROOT, Commands, Ended
from tests.helpers.readouts import example
from tests.helpers.signals import reading

START = datetime(2026, 9, 1, tzinfo=UTC)
LOST, UNTIL = START + 120 * STEP, START + 126 * STEP
MONEY = """\
schema_version: 1
loss_budget: "37500"
margin: "0.35"
pages: true
every_minutes: 360
app_url: https://shop.example.org
"""
DIPS = {place for first in (150, 200, 250) for place in range(first, first + 8)}
NOTIFY = "version: 1\ntruelift: {file: told.jsonl}\n"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("streams")
    with Commands(folder, "analysis.cli.alerts", "analysis.alerts.job.running") as started:
        yield started


@pytest.fixture(scope="module")
def losing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose homepage loses 4 % from `LOST` on, measured up to `UNTIL`; the last run was at `LOST`."""
    shop = create(tmp_path_factory.mktemp("shops") / "losing")
    with Store.open(shop.store_url) as store:
        change = lambda _, at: -0.04 if at > LOST else 0.0  # noqa: E731
        publish(store, Made(HOLDOUT, cells=(HOME,), change=change), UNTIL, since=START)
    shop.money_file.write_text(MONEY, encoding="utf-8")
    assert once(shop, as_of=LOST, clock=lambda: LOST).code == 0
    return shop.home


@pytest.fixture
def shop(losing: Path, tmp_path: Path) -> Shop:
    """A copy of it with settings and a channel."""
    return copied(losing, tmp_path / "shop")


def copied(home: Path, to: Path, money: str = MONEY, notify: str = NOTIFY) -> Shop:
    shop = create(to)
    (to / "registry.sqlite").write_bytes((home / "registry.sqlite").read_bytes())
    shop.money_file.write_text(money, encoding="utf-8")
    (to / "notify.yml").write_text(notify, encoding="utf-8")
    return shop


def asked(command: Commands, shop: Shop, *words: str, at: datetime | None = None) -> Ended:
    when = ("--as-of", f"{at:%Y-%m-%dT%H:%M}") if at is not None else ()
    return command("alerts", *words, *when, "--home", str(shop.home))


def told(shop: Shop) -> list[dict[str, dict[str, object]]]:
    file = shop.home / "told.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def test_evaluated_and_delivered_is_0_and_then_nothing_is_due_99(command: Commands, shop: Shop) -> None:
    done = asked(command, shop, "run", at=UNTIL)
    assert (done.code, done.line["outcome"]) == (0, "evaluated and delivered")
    assert (done.line["evaluated"], done.line["delivered"], done.line["open"]) == (6, 1, {"page": 1})
    assert done.line["missed_runs"] == 5
    [notice] = told(shop)
    name = f"incident {notice['incident']['incident_id']}, {notice['notice']['transition']}"
    assert f"{name}: told on file\n" in done.err  # the log is on stderr
    assert set(re.findall(r"[a-z_]+:[a-z_]+:\d", done.err)) == {notice["notice"]["transition"]} == {"open:page:2"}
    assert notice["links"] == {
        "inbox": f"https://shop.example.org/alerts?incident={notice['incident']['incident_id']}",
        "readout": f"https://shop.example.org/readout?experiment=holdout.{HOLDOUT.key}",
    }
    with Store.open(shop.store_url) as store:
        published_at = store.measures_published_at("bucket")
    assert published_at is not None
    assert datetime.fromisoformat(str(notice["snapshot"])) == published_at
    again = asked(command, shop, "run", at=UNTIL + timedelta(hours=3))
    assert (again.code, again.line["evaluated"], again.err) == (99, 0, "")
    assert asked(command, shop, "run", at=LOST).code == 99  # also when an earlier time is asked for
    assert len(told(shop)) == 1


def test_exit_on_alert_says_a_page_20(command: Commands, shop: Shop) -> None:
    assert asked(command, shop, "run", "--exit-on-alert", at=UNTIL).code == 20
    assert asked(command, shop, "run", "--exit-on-alert", at=UNTIL).code == 20
    assert asked(command, shop, "run", at=UNTIL).code == 99


def test_exit_on_alert_says_a_ticket_10(command: Commands, losing: Path, tmp_path: Path) -> None:
    shop = copied(losing, tmp_path / "shop", MONEY.replace("pages: true", "pages: false"))
    assert asked(command, shop, "run", "--exit-on-alert", at=UNTIL).code == 10


def test_exit_on_alert_says_a_held_alert_30(command: Commands, shop: Shop) -> None:
    readout = example("SHIP")
    [volume] = [each for each in reading("SHIP").checks if each.id == "SH-13"]
    checks = (volume.model_copy(update={"state": "fail"}),)
    head = readout.experiment.model_copy(update={"modules": ("homepage",)})
    day = UNTIL - timedelta(days=2)
    with Store.open(shop.store_url) as store:
        store.save_definition(
            published.definition(readout), {}, expected_version=0, actor="ann", reason="", now=START
        )  # fmt: skip
        published.publish(
            store,
            readout.model_copy(update={"checks": checks, "experiment": head, "as_of": f"{day:%Y-%m-%d}T00:00:00Z"}),
        )
    done = asked(command, shop, "run", "--exit-on-alert", at=UNTIL)
    assert (done.code, done.line["held"]) == (30, 1)
    assert [each["incident"]["family"] for each in told(shop)] == ["data"]
    assert told(shop)[0]["cells"][0]["health"]["held_by"] == [{"id": "SH-13", "name": "Volume and freshness"}]  # type: ignore[index]


def test_an_undelivered_notice_is_4_and_kept_until_it_is_delivered(command: Commands, shop: Shop) -> None:
    (shop.home / "told.jsonl").mkdir()
    for hours in (0, 1):
        done = asked(command, shop, "run", at=UNTIL + timedelta(hours=hours))
        assert (done.code, done.line["undelivered"]) == (4, 1)
        assert "told.jsonl" in done.err
    assert "1 notice waits in the outbox: the next run sends it again." in asked(command, shop, "list").out
    (shop.home / "told.jsonl").rmdir()
    done = asked(command, shop, "run", at=UNTIL + timedelta(hours=2))
    assert (done.code, done.line["delivered"], len(told(shop))) == (0, 1, 1)


def test_another_run_holds_the_lock_5(command: Commands, shop: Shop) -> None:
    with Store.open(shop.store_url) as store:
        with store.alerts.lock() as free:
            assert free
            done = asked(command, shop, "run", at=UNTIL)
        assert (done.code, done.line["outcome"]) == (5, "another run holds the lock")
        assert "another run of the alerts holds the lock" in done.err
        assert current(store, UNTIL).at == LOST


@pytest.mark.parametrize(
    ("money", "notify", "said"),
    [
        (MONEY.replace('loss_budget: "37500"\n', ""), NOTIFY, "loss_budget: is not set"),
        (f"{MONEY}notify_tag: oncall\n", "version: 1\nurls: []\n", "no url has the tag oncall"),
        (f"{MONEY}oops: 1\n", NOTIFY, "oops"),
    ],
)
def test_settings_that_cannot_be_used_are_2(
    command: Commands, losing: Path, tmp_path: Path, money: str, notify: str, said: str
) -> None:
    shop = copied(losing, tmp_path / "shop", money, notify)
    done = asked(command, shop, "run", at=UNTIL)
    assert done.code == done.line["code"] == 2
    assert said in done.err
    assert said in str(done.line["error"])
    with Store.open(shop.store_url) as store:
        assert [run.code for run in store.alerts.runs()] == [2, 0]  # monitoring is down, and it is known why
        assert current(store, UNTIL).at == LOST


def test_no_shop_a_future_time_and_an_unknown_time_are_2(command: Commands, shop: Shop, tmp_path: Path) -> None:
    done = command("alerts", "run", "--home", str(tmp_path / "none"))
    assert (done.code, done.line["code"]) == (2, 2)
    done = asked(command, shop, "run", at=datetime.now(UTC) + timedelta(days=1))
    assert (done.code, "lies in the future" in done.err) == (2, True)
    for given in ("soon", "2026-10-26T25:01", ""):
        done = command("alerts", "run", "--as-of", given, "--home", str(shop.home))
        assert (done.code, done.line["code"], done.line["as_of"]) == (2, 2, None)
        assert f"--as-of {given}: not a time" in done.err
        assert f"--as-of {given}: not a time" in str(done.line["error"])


def test_a_time_before_all_data_is_printed_whole(command: Commands, shop: Shop) -> None:
    done = command("alerts", "run", "--as-of", "0001-01-01T06:00", "--home", str(shop.home))
    assert (done.code, done.line["as_of"]) == (3, "0001-01-01T06:00:00Z")
    assert "near 0001-01-01 06:00 UTC" in done.err


def test_data_that_are_behind_are_3(command: Commands, shop: Shop) -> None:
    done = asked(command, shop, "run", at=UNTIL + timedelta(days=2))
    assert (done.code, done.line["outcome"], done.line["delivered"]) == (3, "data not ready", 1)
    assert "the newest ends at" in done.err


def test_a_store_that_cannot_be_reached_is_1(command: Commands, shop: Shop) -> None:
    gone = {"TRUELIFT_STORE_URL": f"sqlite:///{shop.home}/gone/registry.sqlite"}
    done = command("alerts", "run", "--home", str(shop.home), environment=gone)
    assert (done.code, done.line["outcome"]) == (1, "error: run it again")


def test_the_program_itself_ends_with_the_code(shop: Shop) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "analysis.cli", "alerts", "run", "--as-of", f"{UNTIL:%Y-%m-%dT%H:%M}",
         "--exit-on-alert", "--home", str(shop.home)],
        capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.returncode == 20
    assert json.loads(run.stdout)["open"] == {"page": 1}


def test_people_see_acknowledge_silence_and_resolve(command: Commands, shop: Shop) -> None:
    assert "\nNothing is open.\nThe last run ended" in asked(command, shop, "list").out
    asked(command, shop, "run", at=UNTIL)
    listed = asked(command, shop, "list").out
    with Store.open(shop.store_url) as store:
        [incident] = current(store, datetime.now(UTC)).incidents
    key = incident.incident_id
    assert f"{key}  Page, open" in listed
    assert "Homepage is losing " in listed
    assert "The last run ended" in listed

    wrong = asked(command, shop, "ack", key, "--reason", " ")
    assert (wrong.code, "reason is empty" in wrong.err) == (2, True)
    assert asked(command, shop, "ack", key[:5], "--reason", "looking into it").code == 0
    assert "Page, acknowledged" in asked(command, shop, "list").out
    near = asked(command, shop, "show", "x" + key[1:])
    assert (near.code, key in near.err) == (2, True)

    assert asked(command, shop, "silence", key, "--reason", "known").code == 2  # until when?
    assert asked(command, shop, "silence", key, "--reason", "known", "--for", "3x").code == 2
    assert asked(command, shop, "silence", "--reason", "no", "--for", "3d").code == 2  # what?
    assert asked(command, shop, "silence", key, "--reason", "known", "--for", "3d").code == 0
    assert "Page, silenced" in asked(command, shop, "list").out
    assert asked(command, shop, "unsilence", key, "--reason", "not so well known").code == 0
    assert "Page, silenced" not in asked(command, shop, "list").out
    until = f"{datetime.now(UTC) + timedelta(days=80):%Y-%m-%d}"
    assert asked(command, shop, "silence", "--module", "homepage", "--metric", "revenue", "--reason", "sale",
                 "--until", until).code == 0  # fmt: skip
    assert "Page, silenced" in asked(command, shop, "list").out

    shown = asked(command, shop, "show", key).out
    for said in (
        "Homepage: revenue",
        "open:ticket:1 on file: left out",
        "open:page:2 on file: delivered",
        "looking into it",
        "known",
    ):
        assert said in shown
    assert asked(command, shop, "resolve", key, "--as", "nothing", "--reason", "x").code == 2
    assert asked(command, shop, "resolve", key, "--as", "real_regression", "--reason", "fixed").code == 0
    assert "\n\nNothing is open.\n" in asked(command, shop, "list").out
    assert key in asked(command, shop, "list", "--all").out
    assert "1 of 1 real" in asked(command, shop, "precision").out
    assert "Ended this week: 1 incident" in asked(command, shop, "digest").out


def test_that_nobody_looks_is_said_before_everything_else(command: Commands, shop: Shop, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    down = "Monitoring is down. The last run that looked ended on 1 October 2026, 00:00 UTC, "
    for asked_for in ("list", "digest"):
        lines = asked(command, shop, asked_for).out.splitlines()
        assert lines[0].startswith(down)
        assert lines[1] == ""
    never = create(tmp_path / "never")
    assert asked(command, never, "list").out.startswith("The alerts never ran. Nobody watches what is lost.")
    assert asked(command, never, "digest").out.startswith("The alerts never ran.")
    with Store.open(shop.store_url) as store:
        store.alerts.end(store.alerts.begin(now, now), finished_at=now, code=99, body="{}")
    assert asked(command, shop, "list").out.startswith("Nothing is open.")
    assert asked(command, shop, "digest").out.startswith("Alerts from ")


def test_a_digest_of_a_week_whose_end_nobody_kept_is_refused(command: Commands, shop: Shop) -> None:
    assert asked(command, shop, "run", at=UNTIL).code == 0
    earlier = asked(command, shop, "digest", "--until", f"{UNTIL - STEP:%Y-%m-%dT%H:%M}")
    assert (earlier.code, earlier.out) == (2, "")
    assert f"lies before {UNTIL:%Y-%m-%dT%H:%M}, up to which the alerts have read" in earlier.err
    later = asked(command, shop, "digest", "--until", f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}")
    assert (later.code, "lies in the future; leave it out for now" in later.err) == (2, True)
    assert "--until soon: not a time" in asked(command, shop, "digest", "--until", "soon").err
    told = asked(command, shop, "digest", "--until", f"{UNTIL:%Y-%m-%dT%H:%M}").out
    assert "Open: 1 incident, together losing" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("silence", "--module", "homepgae", "--for", "3d"), "module homepgae is not known: no layer, definition or "
         "measure has it; nearest: homepage; known:"),
        (("silence", "--module", "homepage", "--category", "decor", "--for", "3d"), "category decor is not known"),
        (("silence", "--module", "homepage", "--metric", "ordr", "--for", "3d"), "'ordr' is not one of"),
        (("silence", "--module", "homepage", "--until", "2020-01-01"), "would end 2020-01-01 00:00 UTC and now it is"),
        (("silence", "--module", "homepage", "--until", "2099-01-01"), "more than 90 days from now: what nobody"),
        (("silence", "--module", "homepage", "--for", "99999w"), "more than 90 days from now"),
        (("silence", "--module", "homepage", "--for", "999999w"), "beyond the calendar"),
        (("silence", "--module", "homepage", "--for", "0d"), "not a span; write 4h, 3d or 2w"),
        (("silence", "--module", "homepage", "--for", "²d"), "not a span; write 4h, 3d or 2w"),
        (("silence", "--module", "homepage", "--until", "soon"), "--until soon: not a time"),
        (("silence", "--module", "homepage", "--until", "9999-12-31T23:59-14:00"), "not a time"),
        (("unsilence", "--module", "homepage"), "no silence of --module homepage runs; name one as it was begun"),
    ],
)  # fmt: skip
def test_a_silence_of_nothing_or_for_ever_is_refused(
    command: Commands, shop: Shop, words: tuple[str, ...], said: str
) -> None:
    done = asked(command, shop, *words, "--reason", "a sale")
    told = " ".join(done.err.replace("│", " ").split())
    assert (done.code, said in told) == (2, True), told
    assert asked(command, shop, *words, "--reason", " ").code == 2
    with Store.open(shop.store_url) as store:
        assert store.alerts.acts() == []


def test_a_run_that_gave_up_to_another_is_not_the_last_one(command: Commands, shop: Shop) -> None:
    assert asked(command, shop, "run", at=UNTIL).code == 0
    with Store.open(shop.store_url) as store, store.alerts.lock() as free:
        assert free
        assert asked(command, shop, "run", at=UNTIL + STEP).code == 5
    listed = asked(command, shop, "list").out
    assert ": evaluated and delivered." in listed
    assert "another run holds the lock" not in listed


def test_a_replay_says_how_many_pages_would_have_been_false(command: Commands, tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    shop.money_file.write_text(MONEY, encoding="utf-8")
    nothing = asked(command, shop, "replay")
    assert (nothing.code, "no holdout is published" in nothing.err) == (2, True)
    for part in (
        "is not known, which is not none",
        "register a holdout in holdouts/",
        "or write `pages: true` into money.yml on your own responsibility",
        "an experiment's evidence (e ≥ 20, always valid) needs no replay",
    ):
        assert part in nothing.err, nothing.err
    with Store.open(shop.store_url) as store:
        publish(store, Made(HOLDOUT, cells=(HOME,)), START + 100 * STEP, since=START, quarters=STEP, seed=3)
    early = asked(command, shop, "replay")
    assert (early.code, "nothing can be played yet" in early.out) == (1, True)
    with Store.open(shop.store_url) as store:
        publish(store, Made(HOLDOUT, cells=(HOME,)), START + 300 * STEP, since=START, quarters=STEP, seed=3)
    negative = asked(command, shop, "replay", "--seed", "-1")
    assert (negative.code, "for '--seed': Input should be greater than or equal to 0" in negative.err) == (2, True)
    done = asked(command, shop, "replay", "--drawn", "20")
    assert done.out == asked(command, shop, "replay", "--drawn", "20").out
    assert "Holdout global_h2: 1 false page in 1.0 quarters as it happened: 0.97 a quarter" in done.out
    assert "in 20 quarters drawn from its weeks" in done.out
    assert (done.code, "write `pages: true` into money.yml" in done.out) == (0, True)


def test_a_replay_of_a_shop_that_dips_now_and_then_keeps_pages_off(command: Commands, tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    shop.money_file.write_text(MONEY, encoding="utf-8")
    dips = Made(HOLDOUT, cells=(HOME,), change=lambda _, at: -0.08 if (at - START) // STEP in DIPS else 0.0)
    with Store.open(shop.store_url) as store:
        publish(store, dips, START + 300 * STEP, since=START, quarters=STEP)
    done = asked(command, shop, "replay", "--drawn", "0")
    assert (done.code, "Pages stay off" in done.out) == (1, True)
    assert "  Homepage: " in done.out
