"""`truelift audit`: from a registered definition over what was served and logged to what the command says."""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from analysis.cli import audit
from analysis.pipeline import refresh
from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.load import ShopTerms
from analysis.warehouse.loading.spool import load_spool
from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.event_log import Spool
from assignment.exposures import exposure_row
from experiments import lifecycle
from experiments.bundle import bundle_document
from experiments.errors import NotFoundError, TrueliftError, UsageError
from experiments.shop import Shop, create, open_shop
from experiments.store import Store
from tests.helpers.definitions import GOOD, HOLDOUT, assigned, written

BEGAN = datetime(2026, 12, 1, 9, tzinfo=UTC)
PLAIN = (
    ("targeting: {all: [{attribute: platform, operator: ONE_OF, value: [web, ios]}]}\n", ""),
    ('traffic: "0.25"\n', 'traffic: "0.5"\n'),
    (
        "ramp:\n  - {at: 2026-12-01T09:00:00Z, traffic: \"0.01\"}\n"
        "  - {at: 2026-12-02T09:00:00Z, traffic: \"0.25\", require: [srm, guardrails]}\n",
        "",
    ),
)  # fmt: skip


def run(home: Path, *arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    audit.register(app)
    result = CliRunner().invoke(app, [*arguments, "--home", str(home)])
    if isinstance(result.exception, TrueliftError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def serve(shop: Shop, store: Store, now: datetime, units: int = 300) -> None:
    """Decide for each unit what it gets, log it, and load the log."""
    bundle = compile_bundle(bundle_document(store, shop))
    with Spool(shop.spool) as spool:
        for number in range(units):
            context: Mapping[str, object] = {"targetingKey": f"u{number}"}
            decision = evaluate(bundle, "rec.homepage", context, now)
            row = exposure_row(bundle, decision, context, event_id=f"{now:%d}-{number}", at=now)
            spool.append("exposure", row)
    terms = ShopTerms(shop.settings.currency, shop.settings.digits, shop.settings.time_zone)
    with open_connection(shop.warehouse_path) as connection:
        assert load_spool(connection, shop.spool, terms, now=now.replace(tzinfo=None)).accepted == units


@pytest.fixture
def shop(served: Path, tmp_path: Path) -> Shop:
    """A copy of it, to be changed."""
    return open_shop(shutil.copytree(served, tmp_path / "shop"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with an experiment that ran in two phases and logged in both."""
    made = create(tmp_path_factory.mktemp("served") / "shop", currency="EUR")
    (made.holdouts / "global_h2.yml").write_text(HOLDOUT, encoding="utf-8")
    with Store.open(made.store_url) as store:
        lifecycle.register_ground(store, made, actor="test", reason="", now=BEGAN)
        lifecycle.register(store, made, written(made, assigned(*PLAIN), "v3.yml"), actor="test", reason="", now=BEGAN)
        lifecycle.start(store, made, "home_als_v3", actor="test", reason="", now=BEGAN)
        serve(made, store, BEGAN + timedelta(hours=3))
        second = BEGAN + timedelta(days=3)
        text = assigned(
            *PLAIN,
            ('"0.5", is_control', '"0.2", is_control'),
            ('weight: "0.5", strategy: als', 'weight: "0.8", strategy: als'),
            ("start_at: 2026-12-01T09", "start_at: 2026-12-04T09"),
        )
        lifecycle.new_phase(store, made, written(made, text, "v3.yml"), actor="test", reason="", now=second)
        serve(made, store, second + timedelta(hours=3))
    return made.home


def test_every_phase_of_what_truelift_served_is_as_defined(shop: Shop) -> None:
    assert run(shop.home, "home_als_v3") == (
        0, "home_als_v3: 600 exposures recomputed, all as the definition gives them\n"
    )  # fmt: skip
    code, said = run(shop.home, "home_als_v3", "--json")
    told = json.loads(said)
    assert (code, told["ok"], told["counts"]["ok"], told["rows"]) == (0, True, 600, [])


def test_what_is_not_is_counted_and_shown_with_exit_1(shop: Shop) -> None:
    with open_connection(shop.warehouse_path) as connection:
        connection.execute("update exposures set layer_bucket = 10 where event_id in ('01-1', '04-1')")
        connection.execute("update exposures set assignment_reason = 'not_targeted' where event_id = '01-2'")
        unit = connection.execute("select layer_bucket from exposures where event_id = '01-1'").fetchall()
        assert unit == [(10,)]
    code, said = run(shop.home, "home_als_v3")
    assert code == 1
    assert "home_als_v3: 599 exposures recomputed, 2 are not" in said
    assert "  bucket_mismatch: 2\n" in said
    assert "01-1: bucket_mismatch, logged" in said
    assert "in phase 1 for user u1; layer bucket 10 is " in said
    assert "in phase 2 for user u1; layer bucket 10 is " in said
    assert "not recomputed, their cause is not in the log: 1 not_targeted" in said
    code, said = run(shop.home, "home_als_v3", "--json", "--limit", "1")
    told = json.loads(said)
    assert (code, told["ok"], told["counts"]["bucket_mismatch"]) == (1, False, 2)
    assert [row["event_id"] for row in told["rows"]] == ["01-1"]


def test_a_readout_is_withheld_when_the_log_is_not_what_the_definition_gives(shop: Shop) -> None:
    now = BEGAN + timedelta(days=6)
    with Store.open(shop.store_url) as store:
        clean = refresh(shop, store, "home_als_v3", now=now).readout
        assert next(check for check in clean.checks if check.id == "SH-09").state == "pass"
        with open_connection(shop.warehouse_path) as connection:
            connection.execute(
                "update exposures set split_bucket = (split_bucket + 1) % 10000 where event_id like '04-1%'"
            )
        withheld = refresh(shop, store, "home_als_v3", now=now).readout
    check = next(check for check in withheld.checks if check.id == "SH-09")
    assert (check.state, withheld.verdict.code) == ("fail", "WITHHELD")
    assert "do not follow from the unit" in check.sentence


def test_an_experiment_assigned_elsewhere_is_not_applicable(shop: Shop) -> None:
    with Store.open(shop.store_url) as store:
        lifecycle.register(store, shop, written(shop, GOOD), actor="test", reason="", now=BEGAN)
    assert run(shop.home, "home_als_v2") == (0, "home_als_v2: not applicable: assigned by the e-mail tool\n")
    code, said = run(shop.home, "home_als_v2", "--json")
    assert (code, json.loads(said)["assigned_by"]) == (0, "the e-mail tool")


def test_without_its_layer_nothing_can_be_recomputed(shop: Shop) -> None:
    later = BEGAN + timedelta(days=9)
    with Store.open(shop.store_url) as store:
        lifecycle.stop(store, "home_als_v3", "ship", actor="test", reason="done", now=later)
        assert run(shop.home, "home_als_v3")[0] == 0
        (shop.layers / "homepage.yml").unlink()
        (shop.holdouts / "global_h2.yml").unlink()
        lifecycle.register_ground(store, shop, actor="test", reason="", now=later)
    with pytest.raises(UsageError, match="put its file in layers/ back and register it"):
        run(shop.home, "home_als_v3")


def test_an_unknown_experiment_is_named(shop: Shop) -> None:
    with pytest.raises(NotFoundError, match="home_als_v4"):
        run(shop.home, "home_als_v4")
