"""A slice is shown when it says more than the row above it."""

from analysis.exports.slices import shown
from tests.helpers.readouts import example


def test_slices_of_a_success_metric_with_two_cells_or_more_are_shown() -> None:
    readout = example("TWO_TREATMENTS")
    found = [(part.key, metric) for part, metric in shown(readout, "womens")]
    assert found == [("module_item_category", "revenue_per_unit"), ("device", "revenue_per_unit")]


def test_one_cell_is_not_a_slice_and_other_metrics_have_their_place_elsewhere() -> None:
    readout = example("SHIP")
    grid, devices = readout.slices or ()
    single = grid.model_copy(update={"cells": grid.cells[:1]})
    other = devices.model_copy(update={"cells": tuple(c.model_copy(update={"metric": "ctr"}) for c in devices.cells)})
    assert list(shown(readout.model_copy(update={"slices": (single, other)}), "als_v2")) == []


def test_a_held_slice_keeps_its_place_to_say_why() -> None:
    readout = example("SHIP")
    held = (readout.slices or ())[0].model_copy(update={"cells": (), "words": "Not shown: the join is broken."})
    assert list(shown(readout.model_copy(update={"slices": (held,)}), "als_v2")) == [(held, None)]
