"""`truelift readout` and `truelift refresh` as a person types them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from analysis.cli import readouts
from analysis.readout import Readout
from analysis.warehouse.connection import open_connection
from experiments import lifecycle
from experiments.errors import NotFoundError, UsageError
from experiments.shop import create, open_shop
from experiments.store import Store
from tests.helpers.published import shop
from tests.helpers.readouts import example
from tests.helpers.visits import a_log, feed


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop(tmp_path_factory.mktemp("shop") / "shop", [example("SHIP"), example("WITHHELD")])


def _run(home: Path, *words: str) -> str:
    """What is printed; errors of ours come out as they are, `main` turns them into exit codes."""
    app = typer.Typer()
    readouts.register(app)
    done = CliRunner().invoke(app, [*words, "--home", str(home)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_it_prints_the_verdict_first(home: Path) -> None:
    text = _run(home, "readout", "home_als_v2")
    assert text.index("Ship als_v2:") < text.index("Metrics")
    assert example("SHIP").snapshot_id in text


def test_a_name_is_printed_as_it_is(tmp_path: Path) -> None:
    brackets = "[bold]a[/bold] :smile: [/]"
    head = example("SHIP").experiment.model_copy(update={"name": brackets})
    first, *others = example("SHIP").metrics or ()
    metrics = (first.model_copy(update={"label": brackets}), *others)
    home = shop(tmp_path / "shop", [example("SHIP", experiment=head, metrics=metrics)])
    assert _run(home, "readout", "home_als_v2").count(brackets) >= 2


def test_json_is_the_readout_itself(home: Path) -> None:
    text = _run(home, "readout", "home_als_v2", "--json")
    assert Readout.from_json(text) == example("SHIP")
    assert json.loads(text)["schema"] == "readout.v1"


def test_csv_has_a_header_and_only_rows(home: Path) -> None:
    lines = _run(home, "readout", "home_als_v2", "--csv").splitlines()
    assert lines[0].startswith("experiment,phase,snapshot_id")
    assert all(line.startswith("home_als_v2,1,") for line in lines[1:])


def test_html_is_written_to_the_file(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "readout.html"
    assert str(file) in _run(home, "readout", "home_als_v2", "--html", str(file)).replace("\n", "")
    assert "Ship als_v2" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_withheld_has_no_number_of_a_metric_in_any_form(home: Path, form: tuple[str, ...]) -> None:
    text = _run(home, "readout", "email_top_picks", *form)
    assert "find the lost exposures" in " ".join(text.replace("│", " ").split())
    assert "revenue_per_unit" not in text
    assert "€" not in text


def test_a_snapshot_is_named_by_its_id(home: Path) -> None:
    wanted = example("SHIP").snapshot_id
    assert json.loads(_run(home, "readout", "home_als_v2", "--snapshot", wanted, "--json"))["snapshot_id"] == wanted


def test_a_superseded_snapshot_says_so_and_what_the_newest_says(tmp_path: Path) -> None:
    old = example("SHIP", snapshot_id="0" * 16, as_of="2026-11-01T00:00:00Z")
    new = example("HOLD", experiment=old.experiment)
    home = shop(tmp_path / "shop", [old, new])
    said = " ".join(_run(home, "readout", "home_als_v2", "--snapshot", old.snapshot_id).split())
    assert said.startswith(f"Snapshot {old.snapshot_id} is superseded. The newest reading, {new.snapshot_id} as of")
    assert f"says HOLD: {new.verdict.sentence}" in said
    assert Readout.from_json(_run(home, "readout", "home_als_v2", "--snapshot", old.snapshot_id, "--json")) == old
    assert "superseded" not in _run(home, "readout", "home_als_v2", "--snapshot", new.snapshot_id)


def test_one_form_at_a_time(home: Path) -> None:
    with pytest.raises(UsageError, match="--json, --csv and --html exclude each other"):
        _run(home, "readout", "home_als_v2", "--json", "--csv")


def test_an_unknown_experiment_names_the_nearest(home: Path) -> None:
    with pytest.raises(NotFoundError, match="home_als_v2"):
        _run(home, "readout", "home_als")
    with pytest.raises(NotFoundError, match="home_als"):
        _run(home, "refresh", "home_als")


def test_refreshing_nothing_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="truelift start KEY"):
        _run(shop(tmp_path / "shop"), "refresh")


def begun(home: Path, key: str, start_at: str, treatment: str = "new") -> None:
    """One more experiment of a shop, registered and started."""
    shop = open_shop(home)
    file = shop.definitions / f"{key}.yml"
    file.write_text(
        f"key: {key}\nname: {key}\nowner: ann\nassignment: external\nmodules: [homepage]\n"
        f"schedule: {{start_at: {start_at}}}\nmetrics: {{success: [revenue_per_unit]}}\n"
        f'variants: [{{key: control, weight: "1", is_control: true}}, {{key: {treatment}, weight: "1"}}]\n',
        encoding="utf-8",
    )
    with Store.open(shop.store_url) as store:
        now = datetime(2026, 11, 20, tzinfo=UTC)
        lifecycle.register(store, shop, file, actor="ann", reason="", now=now)
        lifecycle.start(store, shop, key, actor="ann", reason="", now=now)


def test_one_experiment_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    made = create(tmp_path / "shop")
    for key in ("one", "under_way"):
        begun(made.home, key, "2026-01-01T00:00:00Z")
    done = _all(made.home)
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert "one: not refreshed: one: no exposure of it is loaded" in said
    assert "under_way: no exposure of it is loaded" in said


def test_an_as_of_that_is_no_time_shows_the_form(home: Path) -> None:
    with pytest.raises(
        UsageError, match=r"--as-of yesterday: not a time; write 2026-11-10, or 2026-11-10T06:00 \(UTC\)"
    ):
        _run(home, "refresh", "home_als_v2", "--as-of", "yesterday")


def test_an_experiment_that_has_not_begun_is_no_failure(tmp_path: Path) -> None:
    made = create(tmp_path / "shop")
    begun(made.home, "far_ahead", "2126-01-01T01:00:00+01:00")
    done = _all(made.home)
    assert (done.exit_code, done.stderr) == (0, "")
    said = " ".join(done.stdout.split())
    assert said.startswith("far_ahead: nothing to read yet: as of 20")
    assert said.endswith("no day of it is over (it starts 2126-01-01 00:00 UTC)")
    with pytest.raises(UsageError, match=r"far_ahead: as of .* no day of it is over"):
        _run(made.home, "refresh", "far_ahead")


def _all(home: Path) -> Result:
    """`refresh` without a key."""
    app = typer.Typer()
    readouts.register(app)
    return CliRunner().invoke(app, ["refresh", "--home", str(home)])


def test_what_the_alerts_read_is_published_with_it_but_not_with_a_look_back(tmp_path: Path) -> None:
    made = create(tmp_path / "shop", modules=("homepage", "pdp"), time_zone="UTC")
    begun(made.home, "home_als_v2", "2026-03-20T09:00:00Z", treatment="als_v2")
    with open_connection(made.warehouse_path) as connection:
        feed(connection, a_log(1, days=21), lambda _: True, 1)
        connection.execute("insert into terms values ('EUR', 2, 'UTC')")
    _run(made.home, "refresh", "home_als_v2", "--as-of", "2026-03-22")
    with Store.open(made.store_url) as store:
        assert store.measures("bucket", 360) == []
        _run(made.home, "refresh", "home_als_v2")
        ends = [row.ended_at for row in store.measures("bucket", 360, "experiment/home_als_v2/1/als_v2/control")]
        assert ends[0] == datetime(2026, 3, 20, 12, tzinfo=UTC)
        assert ends[-1] == datetime(2026, 3, 22, 18, tzinfo=UTC)
        since = store.measures_published_at("bucket")
        _run(made.home, "refresh")
        assert store.measures_published_at("bucket") == since
