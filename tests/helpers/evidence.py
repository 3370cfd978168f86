"""What the signal checks are given, of a healthy shop; and finding one check's answer."""

from collections.abc import Mapping

from analysis.health.checks import Evidence, Health
from analysis.health.pre_period import PrePeriod
from analysis.readout import Check
from analysis.warehouse.base import CellValue, CheckRows, Counts
from experiments.loading import parse, parse_yaml
from experiments.spec import Assigned, Fact, Metric
from tests.helpers.counting import METRICS, Truth, clean_checks, definition
from tests.helpers.definitions import ASSIGNED

Row = dict[str, CellValue]
ALIKE = PrePeriod(0.4, 1.0, 1.0, 2, ("x_1",), (), {"control": {"x_1": 0.0}, "new": {"x_1": 0.01}})
CART = Metric(
    key="add_to_cart_rate", label="Carts", kind="ratio",
    numerator=Fact.model_validate({"from": "sessions", "where": {"has_add_to_cart": True}, "measure": "rows"}),
    denominator=Fact.model_validate({"from": "sessions", "measure": "rows"}), value_unit="share", direction="increase",
)  # fmt: skip
CLICKS = CART.model_copy(
    update={
        "key": "cart_events",
        "numerator": Fact.model_validate(
            {"from": "interactions", "where": {"event_name": ["add_to_cart", "click"]}, "measure": "rows"}
        ),
    }
)


def evidence(
    units: Mapping[str, int] | None = None,
    *,
    excluded: Mapping[str, Mapping[str, int]] | None = None,
    finished_import: bool = False,
    **queries: list[Row],
) -> Evidence:
    """A healthy shop; `queries` replace what a check query returned."""
    rows = {**clean_checks(Truth()), **{name: CheckRows(name, tuple(found)) for name, found in queries.items()}}
    counts = Counts({}, {}, units or {"control": 3000, "new": 3000}, excluded or {}, 14, None, ())
    return Evidence(
        definition(), {**METRICS, CART.key: CART, CLICKS.key: CLICKS}, counts, rows, ALIKE,
        finished_import=finished_import, covariate_names={},
    )  # fmt: skip


def assigned() -> Assigned:
    """A definition that truelift assigns."""
    document, _ = parse_yaml(ASSIGNED)
    assert document is not None
    experiment, problems = parse(Assigned, document)
    assert experiment is not None, problems
    return experiment


def check_of(health: Health, key: str) -> Check:
    """The check of that id."""
    return next(found for found in health.checks if found.id == key)


def held(health: Health, key: str) -> frozenset[str] | None:
    """What the check's hold withholds; KeyError when it holds nothing."""
    return {hold.check: hold.metrics for hold in health.holds}[key]
