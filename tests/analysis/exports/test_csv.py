"""The CSV file carries every number of the readout, stamped, and nothing of a withheld one."""

import csv
import io

import pytest

from analysis.exports.csv import to_csv
from analysis.exports.rows import COLUMNS
from analysis.readout import Interval, Readout
from tests.helpers.readouts import example, examples, exploratory


def _table(readout: Readout) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(readout))))


@pytest.mark.parametrize("name", examples())
def test_every_row_is_stamped(name: str) -> None:
    readout = example(name)
    rows = _table(readout)
    assert tuple(rows[0]) == COLUMNS
    stamps = {(r["experiment"], r["snapshot_id"], r["verdict_rule"], r["data_as_of"]) for r in rows}
    assert stamps == {(readout.experiment.key, readout.snapshot_id, "1", readout.data_as_of)}


def test_the_rows_are_the_readouts_numbers_in_full() -> None:
    readout = example("TWO_TREATMENTS")
    rows = {(r["section"], r["key"], r["arm"], r["cell"], r["measure"]): r for r in _table(readout)}
    for metric in readout.metrics or ():
        for c in metric.comparisons:
            shown = rows["metric", metric.key, c.arm, "", "relative"]
            assert isinstance(c.relative, Interval)
            assert (float(shown["est"]), float(shown["lo"]), float(shown["hi"])) == (
                c.relative.est, c.relative.lo, c.relative.hi
            )  # fmt: skip
            if isinstance(c.guardrail, Interval):
                assert rows["metric", metric.key, c.arm, "", "guardrail"]["lo"] == ""
    assert readout.series is not None
    day, est, lo, hi = readout.series["revenue_per_unit"]["womens"][-1]
    last = rows["series", "revenue_per_unit", "womens", day, "relative"]
    assert (float(last["est"]), float(last["lo"]), float(last["hi"])) == (est, lo, hi)


def test_a_noise_cell_has_a_range_and_no_point() -> None:
    rows = [r for r in _table(example("CANT_TELL")) if r["section"] == "slice" and r["status"] == "noise"]
    assert rows
    assert all(r["est"] == "" and r["lo"] and r["hi"] for r in rows)


def test_what_is_not_determined_is_empty_and_says_why() -> None:
    rows = [r for r in _table(example("TOO_EARLY")) if r["key"] == "return_rate" and r["measure"] == "relative"]
    assert [(r["est"], r["lo"], r["note"]) for r in rows] == [
        ("", "", "its first order lines mature on 15 December 2026")
    ]


def test_an_exploratory_metric_says_so_on_every_row() -> None:
    reading = exploratory(example("TWO_TREATMENTS"), "revenue_per_unit")  # the one metric with slices and a series
    rows = [r for r in _table(reading) if r["key"].split("/")[-1] == "revenue_per_unit"]
    assert {r["section"] for r in rows} == {"metric", "slice", "series"}
    assert {r["note"] for r in rows} == {"exploratory: added after the phase started"}
    unripe = exploratory(example("TOO_EARLY"), "return_rate")
    assert {r["note"] for r in _table(unripe) if r["key"] == "return_rate"} == {
        "exploratory: added after the phase started; its first order lines mature on 15 December 2026"
    }
    assert "exploratory" not in to_csv(example("SHIP"))


def test_a_withheld_readout_has_verdict_arms_and_checks_only() -> None:
    rows = _table(example("WITHHELD"))
    assert {r["section"] for r in rows} == {"verdict", "arm", "check"}
    assert {r["est"] + r["lo"] + r["hi"] for r in rows} == {""}
    assert "revenue" not in to_csv(example("WITHHELD"))
