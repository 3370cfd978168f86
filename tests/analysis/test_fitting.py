"""What a shop's slots, arms and holdouts name is fitted on its logs, and served."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner

from analysis.cli import fit as command
from analysis.cli.serve_worker import application
from analysis.fitting import fit_shop, wanted
from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.spool import load_spool
from analysis.warehouse.training import training_data
from assignment.bundle import compile_bundle
from assignment.service.auth import digest_of
from experiments import lifecycle
from experiments.bundle import bundle_document
from experiments.errors import UsageError
from experiments.recommenders.base import Request
from experiments.recommenders.fitted import Fitted
from experiments.recommenders.pipeline import Pipeline, ladder
from experiments.recommenders.published import load_published
from experiments.shop import create
from experiments.store import Store
from experiments.store.values import Token
from tests.helpers.assigned_shop import FLAT, KEY, Desk
from tests.helpers.loads import EUROS, load, same_names, write_rows
from tests.helpers.serving import listening

NOW = datetime.now(UTC)
KNN = "strategy: item_knn, params: {neighbours: 5}"
ITEMS = [f"{category}-{number}" for category in ("decor", "rugs") for number in range(8)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A shop with 300 views and 100 order lines of the last days, whose experiment gives item_knn to one arm."""
    shop = create(tmp_path / "shop", time_zone="Europe/Berlin")
    begins, ends = NOW - timedelta(days=2), NOW + timedelta(days=60)
    text = FLAT.replace("2026-12-01", f"{begins:%Y-%m-%d}").replace("2026-12-29", f"{ends:%Y-%m-%d}")
    with open_connection(shop.warehouse_path) as connection:
        rows = [
            {
                "event_id": f"e{number}", "event_ts": (NOW - timedelta(hours=number / 10)).isoformat(),
                "unit_type": "user", "unit_id": f"u{number % 30}", "item_id": ITEMS[number * number % 16],
                **({"event_name": "purchase", "order_id": f"o{number}", "value": 900} if number % 4 == 0
                   else {"event_name": "view"}),
            }
            for number in range(1, 401)
        ]  # fmt: skip
        load(connection, write_rows(tmp_path / "outcomes.jsonl", rows), same_names("outcome"), EUROS)
        listed = [
            {"item_id": item, "category": item.split("-")[0], "stock": 0 if item == "rugs-1" else 5,
             "valid_from": (NOW - timedelta(days=30)).isoformat()}
            for item in ITEMS
        ]  # fmt: skip
        load(connection, write_rows(tmp_path / "catalogue.jsonl", listed), same_names("catalogue"), EUROS)
    with Store.open(shop.store_url) as store:
        made = Desk(store, shop)
        made.propose(text.replace("strategy: als, params: {factors: 64}", KNN))
        lifecycle.start(store, shop, KEY, actor="ann", reason="go", now=NOW - timedelta(hours=1))
        store.add_token(Token("t1", "all", digest_of("secret"), ("evaluate",), NOW, None, None), actor="ann", reason="")
        yield made


def test_everything_that_is_named_is_wanted_once(desk: Desk) -> None:
    second = FLAT.replace(KEY, "second").replace("[[0, 6000]]", "[[6000, 10000]]").replace("qa-1", "qa-2")
    desk.propose(second, at=-24)
    wants, elsewhere = wanted(compile_bundle(bundle_document(desk.store, desk.shop)))
    assert {(want.strategy, tuple(want.params.items())): want.named_by for want in wants} == {
        ("popularity", (("half_life_days", 14.0),)): (
            f"{KEY} control", "second control", "rec.homepage", "the cold ladder",
        ),
        ("item_knn", (("window_days", 90), ("neighbours", 5), ("similarity", "cosine"))): (f"{KEY} als_v2",),
        ("no_recommendations", ()): ("holdout global_h2",),
        ("category_popularity", (("half_life_days", 14.0),)): ("the cold ladder",),
    }  # fmt: skip
    assert elsewhere == {"als": ["second als_v2"]}


def test_what_is_fitted_is_published_as_of_then(desk: Desk) -> None:
    as_of = NOW - timedelta(hours=20)
    made = fit_shop(desk.shop, desk.store, as_of=as_of, seed=0)
    assert {each.name for each in made.fitted} == {
        "popularity", "item_knn", "no_recommendations", "category_popularity",
    }  # fmt: skip
    assert len(made.written) == 4
    with open_connection(desk.shop.warehouse_path) as connection:
        everything = training_data(connection, NOW + timedelta(days=1))
    report = made.fitted[0].report
    assert 0 < report.orders == len(everything.until(as_of).orders) < len(everything.orders) == 100
    assert [each.version for each in load_published(desk.shop.published, NOW).models] == [
        each.version for each in made.fitted
    ]
    again = fit_shop(desk.shop, desk.store, as_of=as_of, seed=0)
    assert again.written == ()


def test_a_shop_without_logs_has_nothing_to_learn_from(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    with Store.open(shop.store_url) as store, pytest.raises(UsageError, match="no logs are loaded"):
        fit_shop(shop, store, as_of=NOW, seed=0)


def test_the_command_fits_and_the_service_answers_with_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    command.register(app)
    done = CliRunner().invoke(app, ["--home", str(desk.shop.home)])
    assert done.exit_code == 0, done.output
    assert "300 interactions, 100 order lines, 16 catalogue rows" in done.output
    assert f"neighbours 5, similarity cosine  {KEY} als_v2" in done.output
    assert "4 new in" in done.output
    wrong = CliRunner().invoke(app, ["--home", str(desk.shop.home), "--as-of", "yesterday"])
    assert isinstance(wrong.exception, UsageError)

    fitted = {each.name: each for each in load_published(desk.shop.published, NOW).models}
    monkeypatch.setenv("TRUELIFT_HOME", str(desk.shop.home))
    monkeypatch.setenv("TRUELIFT_SERVE_DEADLINE_MS", "10000")  # this machine may be busy
    seen: set[str] = set()
    causes: set[str | None] = set()
    with listening(application()) as url:
        for unit in (f"u{number}" for number in range(30)):
            said = _ask(url, unit)
            strategy = str(said["strategy"])
            seen.add(strategy)
            items, cause = _expected(fitted, strategy, unit, desk)
            assert (said["items"], said.get("fallback_cause")) == (items, cause)
            causes.add(cause)
    with open_connection(desk.shop.warehouse_path) as connection:
        assert load_spool(connection, desk.shop.spool, EUROS, now=NOW.replace(tzinfo=None)).rejected == 0
        logged = connection.execute("select distinct strategy, strategy_version from exposures").fetchall()
        ladder_used = connection.execute("select distinct fallback, fallback_cause from exposures").fetchall()
    assert {cause for _, cause in ladder_used} == causes > {None}
    assert all(used == (cause is not None) for used, cause in ladder_used)
    assert dict(logged) == {name: fitted[name].version for name in seen}
    assert seen == {"popularity", "item_knn", "no_recommendations"}  # of the arms, and of who is held out


def test_an_arm_whose_strategy_nobody_fitted_falls_back_and_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arm's parameters changed after the last fit: control's recommender serves, and the cause is logged."""
    fit_shop(desk.shop, desk.store, as_of=NOW, seed=0)
    path = next((desk.shop.published / "models").glob("item_knn-*/model.json"))
    text = (desk.shop.published / "models.json").read_text()
    (desk.shop.published / "models.json").write_text(text.replace('"neighbours": 5', '"neighbours": 6'))
    path.write_text(path.read_text().replace('"neighbours": 5', '"neighbours": 6'))
    monkeypatch.setenv("TRUELIFT_HOME", str(desk.shop.home))
    monkeypatch.setenv("TRUELIFT_SERVE_DEADLINE_MS", "10000")  # this machine may be busy
    with listening(application()) as url:
        answers = [_ask(url, f"u{number}") for number in range(30)]
    assert {answer["strategy"] for answer in answers} == {"popularity", "no_recommendations"}
    assert {answer.get("fallback_cause") for answer in answers} == {None, "not_fitted_and_no_list"}


def _ask(url: str, unit: str) -> dict[str, object]:
    body = {"flag_key": "rec.homepage", "limit": 6,
            "context": {"targetingKey": unit, "platform": "web", "session_items": ["decor-3"]}}  # fmt: skip
    answer = httpx.post(f"{url}/v1/recommendations", json=body, headers={"authorization": "Bearer secret"})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def _expected(
    fitted: dict[str, Fitted], strategy: str, unit: str, desk: Desk
) -> tuple[list[dict[str, object]], str | None]:
    request = Request("any", "homepage", 6, NOW, unit, ("decor-3",))
    slate = Pipeline(fitted[strategy], ladder(fitted)).slate(request, load_published(desk.shop.published, NOW).shelf)
    items: list[dict[str, object]] = [{"item_id": shown.item_id, "position": shown.position} for shown in slate.items]
    return items, slate.fallback_cause
