"""The squares and the bars of drift: what is drawn, and that no state hangs on colour alone."""

import altair as alt
import pytest

from analysis.drawing import contrast
from analysis.readout import CheckState
from analysis.signals import charts
from analysis.signals.charts import EDGES, FILLS, Moved, Square
from analysis.words import trust as say

STATES: tuple[CheckState, ...] = ("pass", "warn", "fail", "unknown", "not_applicable")


def values(chart: alt.LayerChart) -> list[list[dict[str, object]]]:
    """Each layer's rows, wherever Altair put them."""
    spec = chart.to_dict()
    given = [layer.get("data", spec.get("data")) for layer in spec["layer"]]
    return [data["values"] if "values" in data else spec["datasets"][data["name"]] for data in given]


def test_each_state_has_its_own_glyph_and_its_text_can_be_read() -> None:
    found = [Square("Late events", name, name, "…", say.STATES[name]) for name in STATES]
    chart = charts.squares(["Late events"], STATES, found, description="states")
    rows = values(chart)[0]
    assert len({row["short"] for row in rows}) == len(STATES)
    assert all(contrast(str(row["ink"]), str(row["fill"])) >= 4.5 for row in rows)
    assert [row["left"] for row in rows] == pytest.approx([0.04, 1.04, 2.04, 3.04, 4.04])


def test_unknown_and_not_applicable_do_not_look_like_a_pass() -> None:
    assert FILLS["pass"] not in (FILLS["unknown"], FILLS["not_applicable"])
    assert EDGES["unknown"] != EDGES["not_applicable"]


def test_a_row_is_as_high_as_its_name_and_a_place_without_a_square_is_empty() -> None:
    long = "Catalogue and margins are complete"
    chart = charts.squares(
        ["Late events", long], ["All", "Safari"], [Square(long, "Safari", "fail", "…")], description=""
    )
    (row,) = values(chart)[0]
    assert row["top"] == charts.ROW + 2
    assert row["what"] == f"{long}, Safari"
    assert chart.to_dict()["height"] > 2 * charts.ROW


def test_a_bar_for_each_measure_and_a_tick_where_there_is_a_limit() -> None:
    moved = [Moved("Browsers of the slots", 0.3, 0.04, 0.1, "Safari"), Moved("Amounts", 0.01, 0.001, None, "under 10")]
    chart = charts.drift(moved, description="drift")
    bars, _, ticks = values(chart)
    assert [bar["to"] for bar in bars] == [0.3, 0.04, 0.01, 0.001]
    assert [tick["from"] for tick in ticks] == [0.1]
    assert chart.to_dict()["description"] == "drift"
