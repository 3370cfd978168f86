"""The words for an experiment's life, on a shop's folder: what they say, and what then stands in the store."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from sqlalchemy import create_engine, text
from typer.testing import CliRunner, Result

from analysis.cli import definitions, lifecycle
from experiments.errors import ConflictError, TransitionError, UsageError
from experiments.shop import Shop, create
from experiments.store import Store
from tests.helpers.assigned_shop import FLAT, KEY
from tests.helpers.definitions import HOLDOUT, INTERLEAVING, layer_of, written

BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
TEXT = FLAT.replace("2026-12-01T09:00:00Z", f"{BEGAN:%Y-%m-%dT%H:%M:%SZ}").replace(
    "2026-12-29T09:00:00Z", f"{BEGAN + timedelta(days=28):%Y-%m-%dT%H:%M:%SZ}"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name in [name for name in os.environ if name.startswith("TRUELIFT_")]:
        monkeypatch.delenv(name)
    shop = create(tmp_path / "shop")
    (shop.holdouts / "global_h2.yml").write_text(HOLDOUT)
    return shop


def run(shop: Shop, *words: str | Path) -> Result:
    app = typer.Typer()
    definitions.register(app)
    lifecycle.register(app)
    return CliRunner().invoke(app, [*(str(word) for word in words), "--home", str(shop.home)])


def said(shop: Shop, *words: str | Path) -> str:
    result = run(shop, *words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.fixture
def running(home: Shop) -> Shop:
    said(home, "register", written(home, TEXT))
    said(home, "start", KEY)
    return home


def test_an_experiments_life_from_file_to_archive(home: Shop) -> None:
    path = written(home, TEXT)
    assert f"{path}: OK, {KEY}: control, als_v2" in said(home, "validate")
    assert f"Next: truelift start {KEY}" in said(home, "register", path)
    assert "phase 1 runs" in said(home, "start", KEY)
    assert said(home, "pause", KEY) == f"{KEY}: paused (version 1, revision 2)\n"
    assert said(home, "resume", KEY) == f"{KEY}: running (version 1, revision 3)\n"
    assert "traffic is 0.5 from now on" in said(home, "traffic", KEY, "0.5")
    assert "[6000, 7000) added" in said(home, "add-ranges", KEY, "6000-7000")
    assert "als_v2 is disabled" in said(home, "disable", KEY, "als_v2")
    assert "als_v2 is enabled" in said(home, "enable", KEY, "als_v2")
    assert "qa-9 meets control" in said(home, "override", KEY, "qa-9", "control")
    assert "qa-9 is drawn like any other" in said(home, "override", KEY, "qa-9", "--remove")
    assert "killed: everybody meets the control" in said(home, "kill", KEY)
    said(home, "resume", KEY)
    stopped = said(home, "stop", KEY, "--decision", "ship", "--reason", "it pays")
    assert "stopped, decided: ship" in stopped
    assert "archived, decided: ship" in said(home, "archive", KEY)
    with Store.open(home.store_url) as store:
        actions = [row.action for row in store.audit(KEY)]
    assert actions == [
        "register", "start", "pause", "resume", "traffic", "ranges", "disable", "enable", "override", "override",
        "kill", "resume", "stop", "archive",
    ]  # fmt: skip
    assert "audit rows, each as it was written, and as many as the store counts" in said(home, "verify-audit")


def test_validate_knows_what_is_registered_and_makes_no_store(running: Shop, tmp_path: Path) -> None:
    other = written(running, TEXT.replace(KEY, "second"), "second.yml")
    result = run(running, "validate", other)
    assert result.exit_code == 2
    assert (
        "layer_overlap: line 8, layer.ranges: [0, 6000) of layer homepage belongs to home_als_v3 (running)"
        in result.output
    )
    fresh = create(tmp_path / "fresh")
    said(fresh, "validate")
    assert not (fresh.home / "registry.sqlite").exists()


def test_a_layer_is_registered_by_its_file(home: Shop) -> None:
    path = home.layers / "homepage.yml"
    assert said(home, "register", path).startswith(
        "registered: layer cart, layer email, layer homepage, layer pdp, hold"
    )
    assert said(home, "register", path) == "layers and holdouts: unchanged\n"


def test_what_begins_later_is_scheduled_and_started_by_the_clock(home: Shop) -> None:
    begin = datetime.now(UTC) + timedelta(days=3)
    later = TEXT.replace(f"start_at: {BEGAN:%Y-%m-%dT%H:%M:%SZ}", f"start_at: {begin:%Y-%m-%dT%H:%M:%SZ}")
    assert f"Next: truelift schedule {KEY}" in said(home, "register", written(home, later))
    assert f"{KEY}: starts {begin:%Y-%m-%d %H:%M} UTC" in said(home, "schedule", KEY)
    assert said(home, "ramp") == "Nothing is due.\n"
    after = begin + timedelta(minutes=1)
    assert said(home, "ramp", "--as-of", f"{after:%Y-%m-%dT%H:%M:%S}") == f"{KEY}: phase 1 runs\n"
    with Store.open(home.store_url) as store:
        assert store.definition(KEY).state == "running"


def test_a_held_step_is_said_and_the_exit_code_is_1(running: Shop) -> None:
    begin = datetime.now(UTC) + timedelta(days=1)
    step = f"ramp:\n  - {{at: {begin:%Y-%m-%dT%H:%M:%SZ}, traffic: '0.5', require: [srm]}}\nschedule:"
    ramped = TEXT.replace('traffic: "0.25"\n', "").replace("schedule:", step)
    said(running, "register", written(running, ramped))
    due = f"{begin + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}"
    result = run(running, "ramp", "--as-of", due)
    assert result.exit_code == 1
    assert f"{KEY}: step not done: 0.25 → 0.5 held: srm: nothing is published of phase 1 yet" in result.output
    assert said(running, "ramp") == "Nothing is due.\n"


def test_a_new_phase_from_a_file(running: Shop) -> None:
    start = datetime.now(UTC) - timedelta(seconds=0)
    with Store.open(running.store_url) as store:
        assert store.phase(KEY).started_at <= start
    text_of_two = TEXT.replace(f"start_at: {BEGAN:%Y-%m-%dT%H:%M:%SZ}", f"start_at: {start:%Y-%m-%dT%H:%M:%S.%fZ}")
    assert f"{KEY}: phase 2 runs" in said(running, "new-phase", written(running, text_of_two))


def test_diff_says_what_changed_between_versions_and_from_a_file(running: Shop) -> None:
    path = written(running, TEXT.replace("owner: recs-team", "owner: others"))
    drift = said(running, "diff", KEY, "--file", path)
    assert drift == f"{KEY}: version 1 and {path} differ in 1 field\n  owner: 'recs-team' → 'others'\n"
    said(running, "register", path)
    assert "version 1 and version 2 differ in 1 field" in said(running, "diff", KEY)
    assert "version 2 and version 1 differ in 1 field\n  owner: 'others' → 'recs-team'" in said(
        running, "diff", KEY, "2", "1"
    )
    assert isinstance(run(running, "diff", KEY, "1").exception, UsageError)


def test_what_was_changed_since_it_was_looked_at_is_refused(running: Shop) -> None:
    said(running, "pause", KEY, "--revision", "1")
    result = run(running, "resume", KEY, "--revision", "1")
    assert isinstance(result.exception, ConflictError)
    assert result.exception.exit_code == 1


def test_what_a_state_does_not_allow_says_what_it_does(running: Shop) -> None:
    result = run(running, "archive", KEY)
    assert isinstance(result.exception, TransitionError)
    assert "from here `truelift pause home_als_v3`" in str(result.exception)
    assert isinstance(run(running, "override", KEY, "qa-9").exception, UsageError)
    assert isinstance(run(running, "add-ranges", KEY, "6000").exception, UsageError)


def test_a_row_that_was_changed_is_named_and_the_exit_code_is_1(running: Shop) -> None:
    engine = create_engine(running.store_url)
    with engine.begin() as connection:
        connection.execute(text("drop trigger audit_no_update"))
        connection.execute(text("update audit set actor = 'eve' where action = 'start'"))
    engine.dispose()
    result = run(running, "verify-audit")
    assert result.exit_code == 1
    assert "(start home_als_v3) was changed after it was written" in result.output


@pytest.mark.parametrize("hours", [-1, 24])
def test_a_start_says_when_nobody_is_let_in_yet(home: Shop, hours: int) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
    ramp = f"ramp:\n  - {{at: {at:%Y-%m-%dT%H:%M:%SZ}, traffic: '0.01'}}\nschedule:"
    said(home, "register", written(home, TEXT.replace('traffic: "0.25"\n', "").replace("schedule:", ramp)))
    told = said(home, "start", KEY)
    when = f" after {at:%Y-%m-%d %H:%M} UTC" if hours > 0 else ""
    assert "Traffic is 0: nobody is let in until " in told
    assert f"takes the step to 0.01{when}\nNext: load" in told


def test_what_has_no_readout_is_not_sent_to_refresh(home: Shop) -> None:
    (home.layers / "search.yml").write_text(layer_of("search", "request"))
    text = INTERLEAVING.replace("2026-12-01T09:00:00Z", f"{BEGAN:%Y-%m-%dT%H:%M:%SZ}")
    told = said(home, "register", written(home, text))
    assert "no readout: an interleaving says which" in told
    assert "published yet" not in told
    told = said(home, "start", "rank_duel")
    assert "No readout: an interleaving says which" in told
    assert "refresh" not in told


def test_what_is_over_cannot_be_killed_and_a_killed_draft_can_be_resumed(home: Shop) -> None:
    said(home, "register", written(home, TEXT))
    said(home, "kill", KEY)
    assert "draft" in said(home, "resume", KEY)
    said(home, "start", KEY)
    said(home, "stop", KEY, "--decision", "ship", "--reason", "it pays")
    said(home, "archive", KEY)
    result = run(home, "kill", KEY)
    assert isinstance(result.exception, TransitionError)
    assert "is archived: nobody meets it any more" in str(result.exception)
