"""One incident's money, each session once: against a recount over single sessions. ALERTS 5."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.alerts.course.grouping import by_money, group_key, incident_id, money, total
from analysis.alerts.model import Cell, Evaluation, Incident
from tests.helpers.effort import scaled
from tests.helpers.losses import EXPERIMENT, FORECAST, HOME, LAUNCH, blind, loss

RUGS, DECOR = Cell("homepage", "rugs"), Cell("homepage", "decor")
PHONE, RUGS_PHONE, RUGS_DESK = (
    Cell("homepage", device="phone"), Cell("homepage", "rugs", "phone"), Cell("homepage", "rugs", "desktop"),
)  # fmt: skip
OTHER_ARM = replace(EXPERIMENT, watched="popular")


def test_the_group_is_module_family_and_deploy() -> None:
    windows = {"homepage": "launch als_v2 2026-12-01"}
    assert group_key(loss(cell=RUGS), "money", windows) == ("homepage", "money", "launch als_v2 2026-12-01")
    assert group_key(loss(cell=Cell("pdp")), "data", windows) == ("pdp", "data", "none")
    assert group_key(loss(cell=Cell()), "money", {"": "deploy 7"}) == ("", "money", "deploy 7")


def test_an_incident_is_named_by_its_group_and_its_beginning() -> None:
    key = group_key(loss(), "money", {})
    assert incident_id(key, "2026-12-01T06:00:00+00:00") == incident_id(key, "2026-12-01T06:00:00+00:00")
    assert len({incident_id(key, "a"), incident_id(key, "b"), incident_id(("pdp", "money", "none"), "a")}) == 3


def test_categories_add_up() -> None:
    found = [loss(expected=30.0, at_least=10.0, cell=RUGS), loss(expected=12.0, at_least=0.0, cell=DECOR)]
    assert money(found) == (42.0, 10.0)
    assert money([]) == (0.0, 0.0)
    assert money([blind()]) == (0.0, 0.0)


def test_a_module_instead_of_its_categories_even_when_they_are_more() -> None:
    """Decor gains what rugs lose in part: the whole says what the homepage loses."""
    assert money([loss(expected=20.0, at_least=5.0), loss(expected=50.0, at_least=30.0, cell=RUGS)]) == (20.0, 5.0)


def test_a_category_instead_of_its_devices_and_categories_or_devices() -> None:
    rugs = [loss(expected=7.0, cell=RUGS_PHONE), loss(expected=4.0, cell=RUGS_DESK)]
    assert money(rugs)[0] == 11.0
    assert money([*rugs, loss(expected=9.0, cell=RUGS)])[0] == 9.0
    assert money([*rugs, loss(expected=25.0, cell=PHONE)])[0] == 25.0  # the phone's rugs are in both


def test_one_metric_of_a_cell_the_gravest_then_the_surest() -> None:
    clicks = loss("ticket", expected=90.0, at_least=40.0, metric="click")
    orders = loss("page", expected=70.0, at_least=0.0, metric="order")
    carts = loss("page", expected=60.0, at_least=20.0, metric="add_to_cart")
    for found in ([clicks, orders, carts], [carts, orders, clicks]):
        assert money(found) == (60.0, 20.0)


def test_the_arms_of_an_experiment_add_up_and_other_comparisons_do_not() -> None:
    arms = [loss(expected=10.0, at_least=1.0, comparison=EXPERIMENT), loss(expected=5.0, comparison=OTHER_ARM)]
    assert money(arms) == (15.0, 1.0)
    assert money([*arms, loss(expected=14.0, comparison=LAUNCH)]) == (15.0, 1.0)
    assert money([*arms, loss(expected=16.0, comparison=FORECAST)]) == (16.0, 0.0)


CELLS = [HOME, RUGS, DECOR, PHONE, RUGS_PHONE, RUGS_DESK]


@settings(max_examples=scaled(300, 5000), deadline=None)
@given(
    st.dictionaries(st.tuples(st.sampled_from(CELLS), st.sampled_from(["click", "order"])), st.just(None), max_size=12),
    st.lists(st.integers(0, 9), min_size=4, max_size=4),
)
def test_no_session_is_counted_twice(chosen: dict[tuple[Cell, str], None], lost: list[int]) -> None:
    """Every session lost something once; a cell's loss is the sum over its sessions, whatever overlaps it."""
    sessions = dict(zip(product(["rugs", "decor"], ["phone", "desktop"]), lost, strict=True))

    def losing(cell: Cell) -> int:
        return sum(
            money
            for (category, device), money in sessions.items()
            if cell.category in ("", category) and cell.device in ("", device)
        )

    found = [loss(expected=float(losing(cell)), cell=cell, metric=metric) for cell, metric in chosen]  # type: ignore[arg-type]
    expected, _ = money(found)
    assert expected <= sum(lost)
    assert expected >= max([one.now.expected for one in found if one.now], default=0.0)
    assert money(found[::-1]) == money(found)
    if any(cell == HOME for cell, _ in chosen):
        assert expected == sum(lost)


def test_members_are_ordered_by_money() -> None:
    found = [loss(expected=1.0, cell=RUGS), blind(cell=DECOR), loss(expected=2.0)]
    assert [one.unit.cell for one in by_money(found)] == [HOME, RUGS, DECOR]


# --- over all incidents --------------------------------------------------------------------------------------------


def incident(key: str, expected: float, *cells: Cell, **given: object) -> Incident:
    at = datetime(2026, 12, 1, tzinfo=UTC)
    members: tuple[Evaluation, ...] = tuple(loss(cell=cell) for cell in cells)
    values = {"state": "open", "family": "money", **given}
    return Incident(
        key, cells[0].module, str(values.pop("family")), "none", values.pop("state"), "page", at, at, members,  # type: ignore[arg-type]
        expected, expected / 2, 0.0, **values,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("incidents", "summed"),
    [
        ([], 0.0),
        ([incident("a", 10.0, HOME), incident("b", 4.0, Cell("pdp"))], 14.0),
        ([incident("a", 10.0, RUGS), incident("b", 4.0, DECOR)], 14.0),
        ([incident("a", 10.0, RUGS), incident("b", 4.0, HOME)], 10.0),
        ([incident("a", 10.0, PHONE), incident("b", 4.0, DECOR)], 10.0),
        ([incident("a", 10.0, Cell()), incident("b", 40.0, HOME), incident("c", 5.0, Cell("pdp"))], 45.0),
        ([incident("a", 10.0, HOME, held=True), incident("b", 4.0, Cell("pdp"), inhibited_by="a")], 0.0),
        ([incident("a", 10.0, HOME, state="resolved"), incident("b", 4.0, Cell("pdp"), state="pending")], 0.0),
        ([incident("a", 10.0, HOME, family="data"), incident("b", 4.0, HOME, state="acked")], 4.0),
    ],
)
def test_the_sum_over_incidents_counts_a_session_once(incidents: list[Incident], summed: float) -> None:
    assert total(incidents) == total(incidents[::-1]) == (summed, summed / 2)
