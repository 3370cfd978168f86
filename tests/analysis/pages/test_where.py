"""The map of gains and losses: ranges, never a sum of cells, kinds of slice kept apart."""

import re

from analysis.readout import Readout
from tests.analysis.pages.conftest import OpenPage, charts, plain, said
from tests.helpers.readouts import CATEGORIES, MODULES, example


def with_margins(reading: Readout) -> Readout:
    """The reading with the one-dimensional slice whose cells are the heat map's totals by module."""
    assert reading.slices is not None
    grid = reading.slices[0]
    cells = tuple(
        cell.model_copy(update={"values": {"module": cell.values["module"]}})
        for cell in grid.cells
        if cell.values["item_category"] == "decor"
    )
    by_module = grid.model_copy(update={"key": "module", "label": "Module", "dimensions": ("module",), "cells": cells})
    return reading.model_copy(update={"slices": (by_module, *reading.slices)})


def test_headline_counts_cells_and_names_the_best_and_the_worst_as_ranges(open_page: OpenPage) -> None:
    reading = example("NO_MATERIAL_EFFECT")
    client = open_page("where", [reading])
    headline = plain(client.subheader[0].value)
    cells = reading.slices[0].cells if reading.slices else ()
    gains, losses = (sum(cell.flag == flag for cell in cells) for flag in ("gain", "loss"))
    assert headline.startswith(f"Revenue per user: {gains} of 20 cells are better, {losses} are worse")
    assert re.search(r"Best: \w+ on homepage, \+€[\d,]+ to \+€[\d,]+ a day\.", said(client))
    assert re.search(r"Worst: \w+ on [\w ]+, −€[\d,]+ to −€[\d,]+ a day\.", said(client))


def test_heat_map_shows_every_cell_with_flag_and_range_and_noise_without_a_point(open_page: OpenPage) -> None:
    (chart,) = charts(open_page("where", [example("SHIP")]))
    assert len({(value["x"], value["y"]) for value in chart.rows}) == len(MODULES) * len(CATEGORIES)
    noise = [value for value in chart.rows if value["reading"] == "Noise"]
    assert noise
    for value in noise:
        assert re.fullmatch(r"~ ±€[\d,.]+k?", str(value["text"]))
        assert value["fill"] == "#EEEEEE"


def test_totals_are_the_slices_own_and_not_sums(open_page: OpenPage) -> None:
    reading = with_margins(example("SHIP"))
    totals = [row for row in charts(open_page("where", [reading]))[0].rows if row["reading"] == "Total"]
    assert {(value["x"], value["y"]) for value in totals} == {
        *((name, "Total") for name in ("Homepage", "Product page", "Cart", "Email")),
        ("Total", "Total"),
    }
    overall = next(value for value in totals if value["x"] == value["y"])
    assert overall["text"] == "+€2,100\nto +€10,400"  # the metric's own row


def test_material_only_keeps_gains_and_losses(open_page: OpenPage) -> None:
    client = open_page("where", [example("NO_MATERIAL_EFFECT")])
    client.segmented_control(key="show").set_value("Material only").run()
    assert {row["reading"] for row in charts(client)[0].rows} == {"Better", "Worse"}


def test_kinds_of_slice_are_kept_apart(open_page: OpenPage) -> None:
    client = open_page("where", [example("SHIP")])
    assert "Parts share users" in said(client)
    client.segmented_control(key="kind").set_value("Groups of users").run()
    text = said(client)
    assert "Parts share users" not in text
    assert "Every user is counted once, in the group of the first exposure." in text
    assert "Devices are likely alike" in text
    assert {row["name"] for row in charts(client)[0].rows} >= {"Android", "Desktop"}


def test_groups_open_on_a_slice_with_something_to_compare(open_page: OpenPage) -> None:
    reading = example("SHIP")
    assert reading.slices is not None
    devices = reading.slices[1]
    values = {"first_module": "homepage", "first_page_category": "(none)"}
    only = devices.cells[0].model_copy(update={"values": values})
    changes = {"key": "first_module_page_category", "label": "Module × page category", "dimensions": tuple(values)}
    single = devices.model_copy(update={**changes, "cells": (only,)})
    reading = reading.model_copy(update={"slices": (reading.slices[0], single, devices)})
    client = open_page("where", [reading], address={"experiment": "home_als_v2", "kind": "context"})
    assert client.selectbox(key="slice").options == ["Device", "Module × page category"]
    assert {row["name"] for row in charts(client)[0].rows} >= {"Android", "Desktop"}


def test_totals_are_said_once_and_do_not_contradict_the_parts(open_page: OpenPage) -> None:
    text = said(open_page("where", [example("SHIP")]))
    assert "not added up" not in text


def test_arm_of_the_address_is_drawn(open_page: OpenPage) -> None:
    reading = example("TWO_TREATMENTS")
    mens, womens = (
        charts(open_page("where", [reading], address={"experiment": "email_subject", "arm": arm}))[0]
        for arm in ("mens", "womens")
    )
    assert "of mens" in mens.name
    assert "of womens" in womens.name
    assert [row["range"] for row in mens.rows] != [row["range"] for row in womens.rows]


def test_address_chooses_kind_slice_and_show(open_page: OpenPage) -> None:
    asked = {"kind": "context", "slice": "device", "metric": "revenue_per_unit"}  # keys are taken like names
    client = open_page("where", [example("SHIP")], address={"experiment": "home_als_v2", **asked})
    assert {row["name"] for row in charts(client)[0].rows} >= {"Android", "Desktop"}
    client = open_page("where", [example("SHIP")], address={"experiment": "home_als_v2", "show": "Material only"})
    assert {row["reading"] for row in charts(client)[0].rows} == {"Better"}


def test_withheld_page_has_nothing_but_the_cause(open_page: OpenPage) -> None:
    client = open_page("where", [example("WITHHELD")])
    assert charts(client) == []
    assert "No metric is shown, exported or sent while this check fails." in said(client)
    assert "Results withheld" in said(client)
    assert "€" not in said(client)


def test_reading_without_slices_says_so(open_page: OpenPage) -> None:
    client = open_page("where", [example("SHIP", slices=())])
    assert "This reading was not cut into slices." in said(client)
    assert charts(client) == []
