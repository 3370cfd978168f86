"""What something else says better: a whole its parts, the site its modules, one fault in many places. ALERTS 5."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analysis.alerts.course.inhibition import NOT_THE_RECOMMENDER, checks, inhibited, named, with_broken_splits
from analysis.alerts.model import Cell, Comparison, Evaluation, Incident
from tests.helpers.losses import EXPERIMENT, FORECAST, HOME, LAUNCH, Play, loss

AT = datetime(2026, 12, 1, tzinfo=UTC)
SITE, RUGS, DECOR, PDP = Cell(), Cell("homepage", "rugs"), Cell("homepage", "decor"), Cell("pdp")


def incident(key: str, *members: Evaluation, **given: object) -> Incident:
    values = {"state": "open", "severity": "ticket", "family": "money", "opened_at": AT, **given}
    return Incident(
        key, members[0].unit.cell.module, str(values.pop("family")), "none", values.pop("state"),  # type: ignore[arg-type]
        values.pop("severity"), values.pop("opened_at"), AT, members, 1.0, 0.0, 0.0, **values,  # type: ignore[arg-type]
    )  # fmt: skip


def of(cell: Cell, comparison: Comparison) -> Evaluation:
    return loss("ticket", cell=cell, comparison=comparison)


def test_a_site_wide_drop_over_everything_of_the_same_forecast() -> None:
    site = incident("s", of(SITE, FORECAST))
    parts = [incident("h", of(HOME, FORECAST)), incident("r", of(Cell("pdp", "rugs"), FORECAST))]
    assert inhibited([site, *parts]) == {"h": "s", "r": "s"}
    assert named(site) == NOT_THE_RECOMMENDER


@pytest.mark.parametrize(
    ("site", "module", "se", "explained"),
    [(-0.07, -0.07, 0.01, True), (-0.07, -0.16, 0.02, True), (-0.07, -1.0, 0.1, False), (-0.5, -1.0, 0.1, True),
     (-0.07, -0.5, 0.3, True), (0.01, -0.2, 0.05, True)],
)  # fmt: skip
def test_a_module_that_fell_much_further_than_the_site_is_told_by_itself(
    site: float, module: float, se: float, explained: bool
) -> None:
    """A module that is dark takes the site down with it: that is no day on which nobody came."""

    def fallen(cell: Cell, comparison: Comparison, relative: float) -> Incident:
        found = of(cell, comparison)
        effects = {name: replace(each, relative=relative, se=se) for name, each in found.effects.items()}
        return incident(cell.module or "site", replace(found, effects=effects))

    given = [fallen(SITE, FORECAST, site), fallen(HOME, FORECAST, module)]
    assert inhibited(given) == ({"homepage": "site"} if explained else {})
    arms = [fallen(SITE, EXPERIMENT, site), fallen(HOME, EXPERIMENT, module)]
    assert inhibited(arms) == {"homepage": "site"}  # of an arm the whole site holds what its modules lose


def test_a_concurrent_arm_is_not_explained_by_the_day() -> None:
    site = incident("s", of(SITE, FORECAST))
    assert inhibited([site, incident("h", of(HOME, LAUNCH))]) == {}
    assert inhibited([site, incident("h", of(HOME, FORECAST), of(RUGS, LAUNCH))]) == {}


def test_the_whole_site_of_a_comparison_over_its_modules() -> None:
    site = incident("s", of(SITE, EXPERIMENT))
    assert inhibited([site, incident("h", of(HOME, EXPERIMENT)), incident("p", of(PDP, LAUNCH))]) == {"h": "s"}
    assert named(site) == "s"


def test_the_homepage_over_its_categories() -> None:
    home, rugs = incident("h", of(HOME, LAUNCH), of(DECOR, LAUNCH)), incident("r", of(RUGS, LAUNCH))
    assert inhibited([home, rugs]) == {"r": "h"}
    assert inhibited([home, incident("p", of(Cell("pdp", "rugs"), LAUNCH))]) == {}
    assert inhibited([incident("d", of(DECOR, LAUNCH)), rugs]) == {}
    assert named(home) == "h"


@pytest.mark.parametrize(
    "given",
    [{"held": True}, {"severity": "watch"}, {"state": "resolved"}, {"state": "pending"}, {"family": "data"}],
)
def test_what_is_not_believed_milder_or_over_inhibits_nothing(given: dict[str, object]) -> None:
    assert inhibited([incident("s", of(SITE, FORECAST), **given), incident("h", of(HOME, FORECAST))]) == {}


@pytest.mark.parametrize("given", [{"state": "acked"}, {"state": "resolving"}, {"silenced_until": AT}])
def test_what_somebody_knows_of_goes_on_inhibiting(given: dict[str, object]) -> None:
    assert inhibited([incident("s", of(SITE, FORECAST), **given), incident("h", of(HOME, FORECAST))]) == {"h": "s"}


def test_one_fault_is_told_once_by_the_widest_then_the_first() -> None:
    def fault(key: str, cell: Cell, *failing: str, hours: int = 0) -> Incident:
        member = loss("ticket", cell=cell, held_by=failing)
        return incident(key, member, family="data", opened_at=AT + timedelta(hours=hours))

    home, pdp, cart = fault("h", HOME, "SH-02", hours=2), fault("p", PDP, "SH-02"), fault("c", Cell("cart"), "SH-13")
    assert inhibited([home, pdp, cart]) == {"h": "p"}
    assert inhibited([home, pdp, fault("s", SITE, "SH-02", "SH-13", hours=5), cart]) == {"h": "s", "p": "s", "c": "s"}
    assert checks(fault("s", SITE, "SH-13", "SH-02")) == ("SH-02", "SH-13")
    assert named(home) == "h"


def test_a_broken_split_is_its_experiments_everywhere_and_nobody_elses() -> None:
    second, other_arm = replace(EXPERIMENT, phase=EXPERIMENT.phase + 1), replace(EXPERIMENT, watched="popular")
    found = with_broken_splits(
        [
            loss(comparison=EXPERIMENT, held_by=["SH-01"]), loss(comparison=EXPERIMENT, cell=PDP, held_by=["SH-02"]),
            loss(comparison=other_arm), loss(comparison=second), loss(comparison=LAUNCH),
        ]
    )  # fmt: skip
    assert [one.held_by for one in found] == [("SH-01",), ("SH-02", "SH-01"), ("SH-01",), (), ()]
    assert [one.held_by for one in with_broken_splits([loss(held_by=["SH-01"]), loss(cell=PDP)])] == [("SH-01",), ()]


def test_a_part_is_told_when_it_gets_graver_than_its_whole() -> None:
    play = Play()
    whole, part = loss("ticket", cell=SITE, comparison=EXPERIMENT), loss("ticket", comparison=EXPERIMENT)
    play.step(whole, part)
    assert play.step(whole, part) == ("open:ticket:1",)
    graver = loss("page", comparison=EXPERIMENT)
    play.step(whole, graver)
    assert play.step(whole, graver) == ("open:page:1",)
    assert [notice.incident.module for notice in play.told] == ["", "homepage"]
