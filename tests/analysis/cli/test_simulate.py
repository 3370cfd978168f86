"""`truelift simulate`: files that load, truth that is written, plans and faults that are refused."""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis import cli
from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.load import load_file
from analysis.warehouse.loading.reading import read_mapping
from tests.helpers.loads import EUROS, NOW

PLAN = """\
units: 300
start: 2026-03-02
history_days: 5
run_days: 4
after_days: 1
experiments:
  - key: cart_test
    module: cart
    control: old
    arms:
      old: {}
      one: {lifts: {decor: 0.5}}
      two: {click_lift: 0.5}
"""


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["truelift", "simulate", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return 0 if ended.value.code is None else int(str(ended.value.code))


def test_it_writes_logs_that_load_whole_and_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.yml").write_text(PLAN, encoding="utf-8")
    for folder in ("one", "again"):
        assert run(monkeypatch, "--out", tmp_path / folder, "--plan", tmp_path / "plan.yml", "--seed", 9) == 0
    said = capsys.readouterr().out
    assert "true lifts" in said
    assert "load" in said
    out = tmp_path / "one"
    with open_memory() as connection:
        for name in ("catalogue", "exposures", "outcomes"):
            path = out / f"{name}.parquet"
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), "the same seed, the same files"
            report = load_file(connection, path, read_mapping(out / f"{name}.mapping.yml"), EUROS, now=NOW)
            assert (report.accepted, report.rejected) == (pq.read_metadata(path).num_rows, 0)
        arms = connection.execute("select distinct variant from exposures where variant is not null").fetchall()
    assert {arm for (arm,) in arms} == {"old", "one", "two"}
    truth = json.loads((out / "truth.json").read_text("utf-8"))
    assert truth["cart_test"]["control"] == "old"
    assert set(truth["cart_test"]["arms"]) == {"one", "two"}
    by_clicks = [row["lift"] for row in truth["cart_test"]["arms"]["two"] if row["metric"] == "revenue_per_unit"]
    assert set(by_clicks) <= {0.0, None}


def test_sizes_and_faults_come_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = ("--units", 200, "--days", 3, "--seed", 4)
    assert run(monkeypatch, "--out", tmp_path / "sound", *sizes) == 0
    assert run(monkeypatch, "--out", tmp_path / "bad", *sizes, "--fault", "two_arms", "--fault", "late_events") == 0
    sound, bad = (pq.read_table(tmp_path / name / "exposures.parquet") for name in ("sound", "bad"))
    assert sound.num_rows == bad.num_rows
    differing = {name for name in sound.column_names if not sound[name].equals(bad[name])}
    assert differing == {"variant", "received_ts"}
    assert (tmp_path / "sound" / "truth.json").read_bytes() == (tmp_path / "bad" / "truth.json").read_bytes()
    assert {"home_lift", "pdp_aa"} == set(json.loads((tmp_path / "bad" / "truth.json").read_text("utf-8")))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("units: 300", "units: many"), "units"),
        (("module: cart", "module: footer"), "footer"),
        (("decor: 0.5", "toys: 0.5"), "no category toys"),
        (("    control: old\n", ""), "it needs control"),
        (("units: 300", "shoppers: 300"), "shoppers"),
        (("{click_lift: 0.5}", "{click_lift: 0.5, strategy: random}"), "not both"),
        (("{click_lift: 0.5}", "{params: {neighbours: 3}}"), "params without a strategy"),
        (("{click_lift: 0.5}", "{strategy: als}"), "not built in"),
    ],
)
def test_a_wrong_plan_is_refused_and_nothing_written(
    change: tuple[str, str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "plan.yml").write_text(PLAN.replace(*change), encoding="utf-8")
    assert run(monkeypatch, "--out", tmp_path / "out", "--plan", tmp_path / "plan.yml") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_fault_and_a_missing_plan_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--out", tmp_path / "out", "--units", 100, "--fault", "clock_skw") == 2
    assert "clock_skew" in capsys.readouterr().err
    assert run(monkeypatch, "--out", tmp_path / "out", "--plan", tmp_path / "none.yml") == 2
    assert "there is no such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
