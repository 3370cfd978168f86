"""The demo: from assignment to verdicts that come close to what is true, and one that shows no number."""

import inspect
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis import cli
from analysis.cli.demo import demo
from analysis.demo.play import DEMO_FILE, Played, play
from analysis.demo.report import Comparison, comparisons
from analysis.demo.shop import STORIES, UNITS, assigner, begin, plan
from analysis.demo.steps import Result, Tell, silent
from analysis.exports.html import to_html
from analysis.readout import Interval
from analysis.warehouse.connection import open_connection
from assignment.hashing import bucket
from experiments.errors import UsageError
from experiments.shop import create
from experiments.store import Store
from tests.helpers.effort import scaled

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SHOPPERS = scaled(4_000, UNITS)
WHOLE = SHOPPERS == UNITS
KEYS = ("pdp_similar", "home_als_v2", "cart_addons", "email_aa")
WITHHELD = "cart_addons"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "demo-shop"


@pytest.fixture(scope="module")
def played(home: Path) -> Played:
    return play(home, units=SHOPPERS, now=NOW, by="test")


def beside(played: Played, key: str) -> list[Comparison]:
    readout = next(each for each in played.readouts if each.experiment.key == key)
    return comparisons(readout, played.truth[key])


@pytest.mark.slow
def test_each_verdict_is_the_one_its_story_leads_to(played: Played) -> None:
    said = {each.experiment.key: each.verdict for each in played.readouts}
    assert tuple(said) == KEYS == tuple(story.key for story in STORIES)
    assert said["pdp_similar"].code in (("SHIP",) if WHOLE else ("SHIP", "HOLD", "CANT_TELL"))
    assert said["home_als_v2"].code == "CANT_TELL"
    assert said[WITHHELD].code == "WITHHELD"
    assert said["email_aa"].code == "CANT_TELL"
    assert not WHOLE or "As it should be" in said["email_aa"].sentence
    assert {each.mode for each in played.readouts} == {"finished"}


@pytest.mark.slow
def test_the_intervals_hold_what_is_true(played: Played) -> None:
    found = [each for key in KEYS if key != WITHHELD for each in beside(played, key)]
    assert len(found) == 12, "two totals of each experiment, and six categories of the homepage's"
    measured = [each for each in found if isinstance(each.found, Interval)]
    assert len(measured) >= (12 if WHOLE else 10), "a small shop's e-mail has too few users"
    assert not [each for each in measured if not each.inside]
    truths = {each.what: each.true for each in beside(played, "home_als_v2")}
    assert truths["revenue, decor"] > 0.15 > -0.2 > truths["revenue, bedding"]


@pytest.mark.slow
def test_what_is_withheld_shows_no_number(played: Played, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readout = next(each for each in played.readouts if each.experiment.key == WITHHELD)
    body = json.loads(readout.to_json())
    assert {"metrics", "slices", "series", "questions"}.isdisjoint(body)
    assert all(each.found is None and each.inside is None for each in beside(played, WITHHELD))
    states = {check.id: check for check in readout.checks}
    assert states["SH-01"].state == "fail"
    assert "safari" in str(states["SH-01"].groups).lower()
    assert states["SH-10"].state == "fail" or not WHOLE
    assert states["SH-09"].state == "pass", "who is logged is logged in the arm that was drawn"
    assert "per user" not in to_html(readout)
    assert run(capsys, "readout", WITHHELD, "--home", str(home))[0] == 0


@pytest.mark.slow
def test_no_check_of_the_others_fails(played: Played) -> None:
    for readout in played.readouts:
        if readout.experiment.key != WITHHELD:
            states = {check.id: check.state for check in readout.checks}
            assert "fail" not in states.values(), states
            assert states["SH-09"] == states["SH-01"] == states["SH-07"] == "pass"


@pytest.mark.slow
def test_every_exposure_is_the_one_that_the_definition_gives(
    played: Played, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in KEYS:
        code, said = run(capsys, "audit", key, "--json", "--home", str(home))
        told = json.loads(said)
        assert code == 0
        assert told["ok"]
        assert told["counts"]["ok"] > played.truth[key].units
        assert set(told["not_recomputed"]) == {"not_running"}, "the slots after the end"


@pytest.mark.slow
def test_the_log_has_the_slots_before_the_start_and_the_idle_ones_too(played: Played) -> None:
    start = plan(SHOPPERS).midnight(0).replace(tzinfo=None)
    with open_connection(played.shop.warehouse_path) as connection:
        asked = "select distinct assignment_reason, flag_key is not null, strategy is not null from exposures where "
        assert connection.execute(f"{asked} event_ts < ? order by all", [start]).fetchall() == [
            ("none", False, False), ("none", True, True),
        ], "of the former system's log, and of the service's"  # fmt: skip
        arms = connection.execute(
            "select experiment_key, variant, strategy, count(*) from exposures where assignment_reason = 'split' "
            "group by all order by all"
        ).fetchall()
    assert [row[:3] for row in arms if row[0] == "email_aa"] == [
        ("email_aa", "again", "popularity"), ("email_aa", "control", "popularity"),
    ]  # fmt: skip
    assert {row[0] for row in arms} == set(KEYS)


@pytest.mark.slow
def test_again_changes_nothing(played: Played, home: Path) -> None:
    def state() -> tuple[object, ...]:
        with Store.open(played.shop.store_url) as store:
            published = [head.snapshot_id for key in KEYS for head in store.snapshots(key)]
            audit = len(store.audit())
        with open_connection(played.shop.warehouse_path) as connection:
            tables = ("exposures", "outcomes", "catalogue", "rejected", "loads")
            rows = [connection.execute(f"select count(*) from {table}").fetchone() for table in tables]
        return published, audit, rows

    before = state()
    again = play(home, units=SHOPPERS, now=datetime(2026, 12, 1, tzinfo=UTC), by="test")
    assert [each.snapshot_id for each in again.readouts] == [each.snapshot_id for each in played.readouts]
    assert again.truth == played.truth
    assert state() == before


@pytest.mark.slow
def test_the_command_says_the_verdicts_the_truth_and_what_next(
    played: Played, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TRUELIFT_CALLED", "./run")
    code, said = run(capsys, "demo", "--home", str(home), "--units", str(SHOPPERS))
    assert code == 0
    unwrapped = re.sub(r"\s+", " ", said)
    for readout in played.readouts:
        assert re.sub(r"\s+", " ", readout.verdict.sentence) in unwrapped
    assert f"./run app --home {home}" in unwrapped
    for word in ("loaded before", "In truth: Helps decor", "where?experiment=home_als_v2", "withheld"):
        assert word in unwrapped


def test_a_demo_that_was_cut_off_begins_anew(tmp_path: Path) -> None:
    def cut(name: str, do: Callable[[Tell], Result], said: Callable[[Result], str] = lambda _: "") -> Result:
        if name.startswith("Simulate"):
            raise KeyboardInterrupt
        return silent(name, do, said)

    home = tmp_path / "demo-shop"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            play(home, units=1_000, now=NOW, by="test", step=cut)
        assert not home.exists()
        assert (tmp_path / "demo-shop.unfinished").is_dir()


def test_the_same_unit_has_the_same_arm_wherever_it_is_asked(tmp_path: Path) -> None:
    shop, played = create(tmp_path / "shop"), plan(1_000)
    with Store.open(shop.store_url) as store:
        before, running = begin(shop, store, played, "test")
    assert before.bundle.config_version < running.bundle.config_version
    assign = assigner(running)
    arms = [assign("home_als_v2", f"u{number:07d}") for number in range(2_000)]
    assert arms == ["control" if bucket("home_als_v2.1:split", f"u{n:07d}") < 5_000 else "als_v2" for n in range(2_000)]


def test_the_command_plays_the_whole_shop_if_not_told_otherwise() -> None:
    assert inspect.signature(demo).parameters["units"].default == UNITS


def test_it_does_not_touch_another_shop(tmp_path: Path) -> None:
    create(tmp_path / "shop")
    with pytest.raises(UsageError, match="not the demo's"):
        play(tmp_path / "shop", units=1_000, now=NOW, by="test")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="something else"):
        play(tmp_path / "full", units=1_000, now=NOW, by="test")


def test_it_does_not_mix_two_sizes(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    (shop.home / DEMO_FILE).write_text('{"units": 2000, "seed": 1}', encoding="utf-8")
    with pytest.raises(UsageError, match="units 2000 there and 1000 now"):
        play(shop.home, units=1_000, now=NOW, by="test")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """A command's exit code and what it printed."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["truelift", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(str(ended.value.code or 0)), capsys.readouterr().out
