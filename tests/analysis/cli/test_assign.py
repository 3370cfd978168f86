"""`truelift assign`: the arm a service would give, in words and as JSON."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from analysis.cli import assign
from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.hashing import bucket
from experiments.bundle import bundle_document
from experiments.errors import NotFoundError, TrueliftError, UsageError
from experiments.shop import Shop, create
from experiments.store import Store
from tests.helpers.assigned_shop import KEY, Desk
from tests.helpers.definitions import SWITCHBACK, layer_of

AT = "2026-12-02T09:00:00"
WEB = '{"platform": "web"}'


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRUELIFT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    shop = create(tmp_path / "shop")
    with Store.open(shop.store_url) as store:
        made = Desk(store, shop)
        made.begin()
        yield made


def run(shop: Shop, *words: str) -> Result:
    app = typer.Typer()
    assign.register(app)
    return CliRunner().invoke(app, [*words, "--home", str(shop.home), "--as-of", AT])


def failed(result: Result) -> TrueliftError:
    assert isinstance(result.exception, TrueliftError), result.output
    return result.exception


def test_the_arm_is_the_one_that_is_served(desk: Desk) -> None:
    made = compile_bundle(bundle_document(desk.store, desk.shop))
    seen = set()
    for number in range(12):
        unit = f"u{number}"
        decision = evaluate(made, "rec.homepage", {"targetingKey": unit, "platform": "web"}, desk.now(24))
        said = run(desk.shop, "rec.homepage", unit, "--context", WEB)
        assert said.exit_code == 0, said.output
        arm = decision.variant or "no arm"
        assert said.output.startswith(f"rec.homepage: {unit} gets {arm} ({decision.assignment_reason})")
        assert f"strategy {decision.strategy}; {KEY}, phase 1, configuration {made.config_version}" in said.output
        seen.add(decision.assignment_reason)
    assert len(seen) > 1


def test_an_experiment_is_asked_by_its_key_and_explained(desk: Desk) -> None:
    said = run(desk.shop, KEY, "u3", "--context", WEB, "--explain").output.splitlines()
    made = compile_bundle(bundle_document(desk.store, desk.shop))
    salt = made.plans[KEY].split_hash.salt
    assert len(said) == 1 + 11
    assert said[10].endswith(f"bucket {bucket(salt, 'u3'):,} of {salt}-u3")
    assert [line.split()[0] for line in said[1:]] == [str(number) for number in range(1, 12)]


def test_who_is_not_targeted_is_told_at_which_step(desk: Desk) -> None:
    said = run(desk.shop, KEY, "u3", "--explain")
    assert "(not_targeted), served control" in said.output
    assert "6 ✗ targeting" in said.output
    later = [line for line in said.output.splitlines()[1:] if int(line.split()[0]) > 6]
    assert len(later) == 5
    assert all(" · " in line and "not reached; else " in line and "✓" not in line for line in later)
    assert "not reached" not in "".join(said.output.splitlines()[:7])


def test_a_moment_that_is_none_says_what_one_is(desk: Desk) -> None:
    app = typer.Typer()
    assign.register(app)
    asked = CliRunner().invoke(app, ["rec.homepage", "u1", "--as-of", "yesterday", "--home", str(desk.shop.home)])
    assert str(failed(asked)) == "--as-of yesterday: not a time; write 2026-11-10, or 2026-11-10T06:00 (UTC)"


def test_json_holds_decisions_and_steps(desk: Desk) -> None:
    [one] = json.loads(run(desk.shop, KEY, "u3", "--context", WEB, "--json").output)
    assert one["decision"]["unit_id"] == "u3"
    assert [step["number"] for step in one["steps"]] == list(range(1, 12))


def test_a_cluster_is_asked_by_its_name_and_gets_its_window(desk: Desk) -> None:
    (desk.shop.layers / "delivery.yml").write_text(layer_of("delivery", "cluster_window"))
    key = desk.begin(SWITCHBACK).experiment.key
    said = run(desk.shop, key, "berlin", "--explain").output
    assert "cluster_window berlin|2026-12-" in said
    assert ":switchback-berlin|2026-12-" in said


def test_an_id_that_cannot_be_hashed_ends_with_2(desk: Desk) -> None:
    said = run(desk.shop, KEY, " u3")
    assert said.exit_code == 2
    assert "' u3' cannot be assigned: INVALID_CONTEXT: rec.homepage assigns users" in said.output
    assert "the context's user_id is ' u3': it may be text of 1 to 256 characters, without control" in said.output


def test_an_unknown_key_names_the_nearest(desk: Desk) -> None:
    error = failed(run(desk.shop, "rec.hompage", "u3"))
    assert isinstance(error, NotFoundError)
    assert "nearest: rec.homepage" in str(error)


@pytest.mark.parametrize("context", ["{", "[]", "7"])
def test_a_context_that_is_no_object_is_refused(desk: Desk, context: str) -> None:
    assert isinstance(failed(run(desk.shop, KEY, "u3", "--context", context)), UsageError)
