"""`truelift validate`, `register`, `start`: the words a person reads and the exit codes a script reads."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from analysis.cli import definitions
from experiments import lifecycle
from experiments.errors import NotFoundError, TrueliftError
from experiments.shop import Shop, create
from experiments.store import Store
from tests.helpers import past
from tests.helpers.definitions import ASSIGNED, HOLDOUT, assigned, changed, written


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRUELIFT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path: Path) -> Shop:
    return create(tmp_path / "shop")


def run(*words: str | Path) -> Result:
    app = typer.Typer()
    definitions.register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


def failed(result: Result) -> TrueliftError:
    """The error that `main` turns into words and an exit code."""
    assert isinstance(result.exception, TrueliftError), result.output
    return result.exception


def test_validate_says_ok_with_a_summary_of_each_file(home: Shop) -> None:
    path = written(home)
    result = run("validate", path, "--home", home.home)
    assert result.exit_code == 0, result.output
    assert f"{home.metrics_file}: OK, 0 metrics beside 22 shipped ones" in result.output
    assert f"{home.slices_file}: OK, 7 slices" in result.output
    assert (
        f"{home.money_file}: OK, no loss budget; 0 seasons, 0 entry modules, 0 costs; alerts every 60 minutes, "
        "pages off\n"
        "  note: loss_budget is not set: no money alert can be judged; write what may be lost to regressions in 30 "
        "days\n"
    ) in result.output
    assert f"{path}: OK, home_als_v2: control, als_v2; 1 success, 2 guardrail and 2 secondary metrics" in result.output


def test_validate_says_who_is_told_of_an_incident(home: Shop) -> None:
    notify = home.home / "notify.yml"
    home.money_file.write_text('loss_budget: "75000"\nnotify_tag: alerts\n')
    result = run("validate", "--home", home.home)
    assert result.exit_code == 2
    assert f"{notify}: 1 problem\n  no_match: (file): notify_tag is alerts and there is no notify.yml" in result.output
    notify.write_text("urls:\n  - json://localhost/:\n      tag: [alerts, hook]\ntruelift: {file: told.jsonl}\n")
    result = run("validate", "--home", home.home)
    assert result.exit_code == 0, result.output
    assert f"{notify}: OK, notices go to hook, file" in result.output
    notify.write_text("truelift: {slack: true}\n")
    assert "truelift.slack: slack is not a known field" in run("validate", "--home", home.home).output
    home.money_file.write_text("loss_budget: 75000.5\n")
    assert "notify.yml" not in run("validate", "--home", home.home).output


def test_validate_prints_every_problem_of_every_file_and_exits_2(home: Shop) -> None:
    home.slices_file.write_text("- {key: device, kind: context, column: platfrm}\n")
    home.money_file.write_text("loss_budget: 75000.5\n")
    written(home, changed(("is_control: true", "is_control: false"), ("[ctr, aov]", "[ctrr, aov]")))
    written(home, changed(("unit_type: user", "unit_typ: user")), "other.yml")
    result = run("validate", "--home", home.home)
    assert result.exit_code == 2
    for words in (
        f"{home.slices_file}: 1 problem\n",
        "unknown_value: line 1, [0].column: 'platfrm' is none of platform,",
        f"{home.money_file}: 1 problem\n",
        "value: line 1, loss_budget: a decimal is written in quotes",
        f"{home.definitions / 'home_als_v2.yml'}: 2 problems\n",
        "no_control: line 10, variants: none of control, als_v2 is the control; write is_control: true on one of them",
        "unknown_metric: line 17, metrics.secondary[0]: there is no metric ctrr (nearest: ctr",
        f"{home.definitions / 'other.yml'}: 1 problem\n",
        "(nearest: unit_type); remove it",
    ):
        assert words in result.output


def test_validate_warns_of_a_schedule_beside_the_shops_midnight(tmp_path: Path) -> None:
    home = create(tmp_path / "berlin", time_zone="Europe/Berlin")
    whole = "{start_at: 2026-12-01T00:00:00+01:00, end_at: 2026-12-29T00:00:00+01:00}"
    given = "{start_at: 2026-12-01T09:00:00Z, end_at: 2026-12-29T09:00:00Z}"
    result = run("validate", written(home), "--home", home.home)
    assert result.exit_code == 0
    assert (
        "  warning: schedule: start_at is 2026-12-01 10:00 and end_at is 2026-12-29 10:00 in Europe/Berlin, not a "
        "midnight: only whole business days are read, 27 of them and not 28"
    ) in result.output
    assert "warning" not in run("validate", written(home, changed((given, whole))), "--home", home.home).output
    late = whole.replace("29T00", "29T12")
    result = run("validate", written(home, changed((given, late))), "--home", home.home)
    assert (
        "end_at is 2026-12-29 12:00 in Europe/Berlin, not a midnight: only whole business days are read, 28 of them\n"
        in (result.output)
    )


def test_what_is_too_small_and_who_runs_beside_are_warnings_that_refuse_nothing(home: Shop) -> None:
    with Store.open(home.store_url) as store:
        past.publish(store, past.run())
    (home.holdouts / "global_h2.yml").write_text(HOLDOUT)
    first = written(home, ASSIGNED, "home.yml")
    cart = assigned(
        ("key: home_als_v3", "key: cart_als"), ("modules: [homepage]", "modules: [cart]"), ("rec.homepage", "rec.cart"),
        ("{key: homepage", "{key: cart"),
    )  # fmt: skip
    result = run("validate", first, written(home, cart, "cart.yml"), "--home", home.home)
    assert result.exit_code == 0, result.output
    of_home = result.output.split(f"{first}: OK")[1].split("definitions/cart.yml: OK")[0]
    assert (
        "  warning: power: metrics.guardrails[0]: return_rate with a margin of 20% needs 384,000 users an arm (25 days "
        "at the pace of home_als_v1); planned are 5,000 an arm, assumed, which settle "
    ) in of_home
    assert "  warning: overlap: schedule: cart_als (draft, layer cart) meets the same units from 2026-12-01" in of_home
    assert "  note: revenue_per_unit has no materiality; the planned 5,000 an arm settle a lift of " in of_home
    of_cart = result.output.split("definitions/cart.yml: OK")[1]
    assert "home_als_v3 (draft, layer homepage) meets the same units" in of_cart
    registered = run("register", first, "--home", home.home)
    assert registered.exit_code == 0, registered.output
    assert "home_als_v3: version 1 registered (draft)\n  warning: schedule: " in registered.output
    assert "  warning: power: metrics.guardrails[0]: return_rate " in registered.output
    assert "overlap" not in registered.output  # nothing else is registered


def test_validate_changes_nothing(home: Shop) -> None:
    before = sorted(path.name for path in home.home.iterdir())
    run("validate", written(home), "--home", home.home)
    assert sorted(path.name for path in home.home.iterdir()) == before


def test_from_a_file_to_a_running_experiment(home: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUELIFT_HOME", str(home.home))
    path = written(home)
    first = run("register", path, "--reason", "new idea")
    assert first.exit_code == 0, first.output
    assert first.output.startswith("home_als_v2: version 1 registered (draft)\n")
    assert first.output.endswith("\nNext: truelift start home_als_v2\n")
    assert "home_als_v2: unchanged, still version 1 (draft)" in run("register", path).output
    started = run("start", "home_als_v2", "--reason", "go")
    assert started.exit_code == 0, started.output
    assert (
        "phase 1 runs from 2026-12-01 09:00 UTC, with 5 metrics and 7 slices frozen, planned for 20,000 units\n"
        in started.output
    )
    with Store.open(home.store_url) as store:
        assert [(row.action, row.reason) for row in store.audit()] == [("register", "new idea"), ("start", "go")]
        assert store.audit()[0].actor


def test_a_definition_brings_only_the_layer_and_holdouts_it_names_and_says_so(home: Shop) -> None:
    (home.holdouts / "global_h2.yml").write_text(HOLDOUT)
    cart = (
        HOLDOUT.replace("global_h2", "cart_only").replace("2026-07-01", "2100-07-01") + "end_at: 2101-01-01T00:00:00Z"
    )
    (home.holdouts / "cart_only.yml").write_text(cart.replace("modules: [homepage, pdp]", "modules: [cart]"))
    path = written(home, assigned(("holdouts: [global_h2]\n", "")))
    told = run("register", path, "--home", home.home).output
    assert "registered: layer homepage\n" in told
    assert "holds out" not in told
    with Store.open(home.store_url) as store:
        assert (list(store.ground().layers), list(store.ground().holdouts)) == (["homepage"], [])
    told = run("register", written(home, ASSIGNED), "--home", home.home).output
    assert (
        "registered: holdout global_h2\n"
        "  holdout global_h2: holds out 5% of users on homepage and pdp, who meet no recommendations, from now on\n"
        "  warning: holdout: start_at: 2026-07-01 00:00 UTC has passed: its readout begins there, and members who met "
        "anything else since then count as such\n"
    ) in told
    told = run("register", home.holdouts / "cart_only.yml", "--home", home.home).output
    assert told == (
        "registered: layer cart, layer email, layer pdp, holdout cart_only\n"
        "  holdout cart_only: holds out 5% of users on cart, who meet no recommendations, from 2100-07-01 00:00 UTC on "
        "until 2101-01-01 00:00 UTC\n"
    )
    (home.holdouts / "global_h2.yml").unlink()
    refused = failed(run("register", path, "--home", home.home))
    assert "there is no holdout global_h2; write one of cart_only, or add holdouts/global_h2.yml" in (str(refused))
    said = run(
        "register", written(home, assigned(("holdouts: [global_h2]\n", "")), "o.yml"), "--home", home.home
    ).output
    assert "removed" not in said


def test_an_assumed_plan_is_said(home: Shop) -> None:
    run("register", written(home, changed(("  planned_units: 20000\n", ""))), "--home", home.home)
    output = run("start", "home_als_v2", "--home", home.home).output
    assert "planned for 10,000 units (assumed: write analysis.planned_units to plan it)" in output


def test_a_start_in_another_zone_is_said_in_utc(home: Shop) -> None:
    berlin = changed(("start_at: 2026-12-01T09:00:00Z", "start_at: 2026-12-01T00:00:00+01:00"))
    run("register", written(home, berlin), "--home", home.home)
    assert "runs from 2026-11-30 23:00 UTC" in run("start", "home_als_v2", "--home", home.home).output


def test_what_cannot_be_done_is_an_error_with_exit_2(home: Shop, tmp_path: Path) -> None:
    wrong = written(home, changed(("is_control: true", "is_control: false")))
    assert failed(run("register", wrong, "--home", home.home)).exit_code == 2
    unknown = failed(run("start", "nothing", "--home", home.home))
    assert isinstance(unknown, NotFoundError)
    assert unknown.exit_code == 2
    assert "truelift init" in str(failed(run("validate", wrong, "--home", tmp_path / "none")))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ((("holdouts: [global_h2]", "holdouts: [global_h2]\nsalt: other_key.1"),), "salt_collision"),
        ((("holdouts: [global_h2]", "holdouts: [global_h2]\nsalt: layer.cart"),), "salt_collision"),
    ],
)
def test_validate_refuses_what_register_would(home: Shop, changes: tuple[tuple[str, str], ...], code: str) -> None:
    (home.holdouts / "global_h2.yml").write_text(HOLDOUT)
    first = assigned(("key: home_als_v3\n", "key: other_key\n"), ("ranges: [[0, 6000]]", "ranges: [[6000, 7000]]"))
    assert run("register", written(home, first, "first.yml"), "--home", home.home).exit_code == 0
    with Store.open(home.store_url) as store:
        now = datetime(2026, 12, 2, tzinfo=UTC)
        lifecycle.start(store, home, "other_key", actor="ann", reason="", now=now)
        lifecycle.stop(store, "other_key", "roll_back", actor="ann", reason="it harmed", now=now)
    path = written(home, assigned(*changes), "second.yml")
    told = run("validate", path, "--home", home.home)
    assert told.exit_code == 2, told.output
    assert code in told.output
    refused = failed(run("register", path, "--home", home.home))
    assert code in str(refused)
