"""The signal health page: which checks pass, since when, what they withhold, and the SQL to see for oneself."""

import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis import words
from analysis.health.checks import RULES
from analysis.pages.views import health as view
from analysis.pages.views.listing import Registration
from analysis.readout import Check, Readout
from analysis.signals.past import Past
from analysis.words import trust as say
from experiments.catalogue import shipped_metrics
from experiments.spec import Phase
from experiments.store import Store
from tests.analysis.pages.conftest import OpenPage, charts, said, visit
from tests.helpers import published
from tests.helpers.readouts import ODD, example, examples, odd_names
from tests.helpers.signals import course, healthy, reading, withheld

OPEN = course()
NOW = OPEN[-1]
SHOP = [*OPEN, withheld(), healthy()]


def address(found: Readout, **more: str) -> dict[str, str]:
    return {"experiment": found.experiment.key, **more}


def registered(*found: Readout | None) -> list[Registration]:
    return [
        Registration("draft", "Not begun", "recs-team", (), None)
        if each is None
        else Registration(each.experiment.key, each.experiment.name, "recs-team", (), each)
        for each in found
    ]


def past(found: list[Readout]) -> list[Past]:
    return [Past(each.as_of, each.checks) for each in found]


def row(key: str, found: list[Readout] = OPEN, *others: Readout) -> view.Row:
    rows = view.rows(found[-1], past(found), registered(found[-1], *others))
    return next(each for each in rows if each.check.id == key)


def blocks(client: AppTest) -> dict[str, str]:
    """The text of each check's block, by its id."""
    found = {}
    for element in client.html:
        text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", str(element.value))))
        named = re.search(r"(SH-\d\d|drift|contract), (?:data|web) team", text)
        if 'class="signal' in str(element.value)[:30] and named:
            found[named[1]] = text
    return found


# --- the view --------------------------------------------------------------------------------------------


def test_the_headline_says_what_is_wrong_and_where() -> None:
    assert view.headline(NOW.checks) == "8 of 14 pass; add-to-cart is missing on mobile Safari; 2 to look at; 3 unknown"
    assert view.headline(healthy().checks) == "8 of 12 pass; 4 unknown"
    good = [check for check in healthy().checks if check.state in ("pass", "not_applicable")]
    assert view.headline(good) == "All 8 pass"
    assert view.headline([check for check in good if check.state != "pass"]) == "No check applies"


def test_the_grid_has_a_square_for_each_browser_that_is_looked_at_and_one_for_all() -> None:
    grid = view.grid(NOW.checks)
    assert grid.rows[0] == "Missing add-to-cart"
    assert set(grid.rows) == {check.label for check in NOW.checks}
    assert grid.columns == (say.ALL_UNITS, "Chrome", "Opera", "Mobile Safari")
    states = {(each.row, each.column): each.state for each in grid.squares}
    assert states["Missing add-to-cart", "Mobile Safari"] == "fail"
    assert states["Missing add-to-cart", "Opera"] == "unknown"
    assert states["Clocks of the browsers", "Chrome"] == "pass"
    assert ("Duplicates", "Chrome") not in states
    assert "Missing add-to-cart: fails (Chrome passes, Opera unknown, Mobile Safari fails)" in grid.description


def test_a_figure_stands_beside_its_limits() -> None:
    assert row("SH-02").values == (
        ("Largest fall of add-to-carts a view in one browser on one day", "−100%",
         "to look at below −20%, fails below −50%", True),
    )  # fmt: skip
    assert ("Rows that came twice under one event id", "0%", "to look at from 0.5%, fails from 2%", False) in row(
        "SH-04"
    ).values
    assert row("SH-16").values == ()


def test_first_seen_is_the_day_in_the_data_else_the_first_reading_of_those_in_a_row() -> None:
    assert row("SH-02").since == "Since 12 December 2026"
    assert row("SH-06").since == "Since the reading of 12 December 2026"
    assert row("SH-06", OPEN[2:3]).since == "Since the first reading, of 12 December 2026"
    assert row("SH-04").since == ""


def test_what_it_withholds_is_now_or_if_it_failed() -> None:
    assert row("SH-02").withholds == "Withholds carts and carts"
    assert row("SH-01").withholds == "If it failed, it would withhold all results"
    assert row("SH-06").withholds == "Withholds nothing"
    assert row("SH-01", [withheld()]).withholds == "Withholds all results"
    assert view.withheld_now(NOW).startswith("Not shown until this is mended: carts.")
    assert view.withheld_now(withheld()).startswith("All results are withheld")
    assert view.withheld_now(healthy()) == "Nothing is withheld because of the signals."


def test_other_experiments_with_the_same_fault_are_named_and_the_healthy_ones_not() -> None:
    others = (withheld(), healthy())
    assert row("SH-06", OPEN, *others).also == ((withheld().experiment.key, withheld().experiment.name),)
    assert row("SH-02", OPEN, *others).also == ()


def test_a_trend_is_drawn_only_where_earlier_readings_have_the_figure() -> None:
    clocks = row("SH-06")
    assert clocks.line is not None
    assert "0.05% on 10 December 2026, 0.45% on 14 December 2026" in clocks.line.told
    assert row("SH-06", OPEN[-1:]).line is None
    assert row("SH-16").line is None


def test_drift_is_grouped_by_module_the_one_that_moved_most_first() -> None:
    far = [
        {"distribution": what, "module": module, "psi": psi, "js": psi / 8, "moved_most": "yes"}
        for what, module, psi in (
            ("clicked", "cart", 0.02),
            ("fallback", "homepage", 0.3),
            ("browser", "homepage", 0.01),
        )
    ]
    check = next(check for check in NOW.checks if check.id == "drift").model_copy(update={"groups": tuple(far)})
    moved = view.drifts([check])
    assert [each.name for each in moved] == [
        "Share of slots filled by the fallback on homepage", "Browsers of the slots on homepage",
        "Share of slots clicked on cart",
    ]  # fmt: skip
    assert {each.limit for each in moved} == {0.1}
    assert view.drifts(example("SHIP").checks) == ()


def test_the_shop_at_a_glance_is_sorted_worst_first_and_folds_what_is_quiet() -> None:
    shop = view.shop(registered(healthy(), NOW, None, withheld()))
    assert shop.headline == "3 experiments: 1 withheld, 1 with a failing check, 1 in order"
    assert [each.key for each in shop.listed] == [
        withheld().experiment.key, NOW.experiment.key, healthy().experiment.key, "draft"
    ]  # fmt: skip
    assert shop.grid is not None
    assert shop.grid.columns[0] == "Sample ratio"
    assert shop.grid.columns[-1] == say.OTHERS
    assert "Duplicates" not in shop.grid.columns
    quiet = [each for each in shop.grid.squares if each.column == say.OTHERS]
    assert [each.state for each in quiet] == ["pass"] * 3
    assert view.shop(registered(None)).grid is None


def test_two_experiments_of_one_name_stay_two_rows() -> None:
    twin = healthy().model_copy(update={"experiment": healthy().experiment.model_copy(update={"key": "twin"})})
    shop = view.shop(registered(healthy(), twin))
    assert shop.grid is not None
    assert len(set(shop.grid.rows)) == 2


def test_a_reading_from_before_checks_told_their_limits_is_still_shown() -> None:
    old = example("WITHHELD")
    rows = {each.check.id: each for each in view.rows(old, past([old]), registered(old))}
    assert rows["SH-01"].withholds == "Withholds all results"
    assert rows["SH-01"].values == ()
    assert view.grid(old.checks).columns == (say.ALL_UNITS,)


def test_every_check_says_what_is_wrong_with_it() -> None:
    ids = {check.id for check in healthy().checks}
    assert len(ids) == len(RULES)
    assert set(say.BREACH) == ids
    assert set(say.ON_FAILURE) <= ids
    texts = " ".join([*say.BREACH.values(), *say.ON_FAILURE.values(), say.KEY, say.MATRIX_KEY, say.DRIFT_KEY]).lower()
    assert [word for word in words.NOT_FOR_READERS if word in texts] == []


# --- the page --------------------------------------------------------------------------------------------


def test_all_experiments_come_first_with_a_link_to_each(open_page: OpenPage) -> None:
    client = open_page("health", SHOP)
    assert client.title[0].value == "3 experiments: 1 withheld, 1 with a failing check, 1 in order"
    (matrix,) = charts(client)
    assert matrix.name.startswith("Signal checks by experiment. E-mail top picks: 7 of 13 pass; the split is off")
    links = " ".join(str(element.value) for element in client.html)
    for found in (NOW, withheld(), healthy()):
        assert f'href="health?experiment={found.experiment.key}"' in links


def test_one_experiment_shows_every_check_with_limit_trend_history_and_owner(open_page: OpenPage) -> None:
    client = open_page("health", SHOP, address=address(NOW))
    assert client.title[0].value == view.headline(NOW.checks)
    shown = blocks(client)
    assert set(shown) == {check.id for check in NOW.checks}
    assert next(iter(shown)) == "SH-02"
    assert "⊘ fails Missing add-to-cart SH-02, web team Add-to-carts on mobile Safari fell by 100%" in shown["SH-02"]
    assert "−100% (to look at below −20%, fails below −50%)" in shown["SH-02"]
    assert "Since 12 December 2026 · Withholds carts and carts" in shown["SH-02"]
    assert f"Also in {withheld().experiment.name}" in shown["SH-06"]
    drawn = [str(element.value) for element in client.html if '<img class="spark"' in str(element.value)]
    assert any(
        'alt="Rows of the worst browser dated over 5 minutes after their arrival: 0.05%' in each for each in drawn
    )
    grid, drift = charts(client)
    assert grid.name.startswith("Signal checks by browser. Missing add-to-cart: fails")
    assert "Share of slots filled by the fallback on homepage: stability index" in drift.name


def test_its_sql_is_there_to_copy_or_says_whose_parameters_are_missing(open_page: OpenPage) -> None:
    client = open_page("health", SHOP, address=address(NOW))  # registered, but its phase never began here
    codes = [str(code.value) for code in client.code]
    assert any(text.startswith("-- one row per browser and business day") for text in codes)
    assert say.PARAMETERS_UNKNOWN in [str(each.value) for each in client.caption]
    assert len(codes) >= sum(1 for check in NOW.checks if check.sql is not None)


def test_the_sql_has_the_parameters_of_the_phase_and_data_cut(open_page: OpenPage, tmp_path: Path) -> None:
    open_page("health", SHOP)
    experiment = published.definition(NOW)
    begun = datetime(2026, 12, 1, tzinfo=UTC)
    phase = Phase(
        number=1, experiment=experiment, metrics={"revenue_per_unit": shipped_metrics()["revenue_per_unit"]}, slices=(),
        started_at=begun, planned_units=10_000,
    )  # fmt: skip
    with Store.open(f"sqlite:///{tmp_path / 'shop' / 'registry.sqlite'}") as store:
        store.save_phase(experiment.key, phase, expected_version=1, actor="local user", reason="", now=begun)
    client = visit("health", address(NOW))
    (text,) = [str(code.value) for code in client.code if "missing_add_to_cart.sql" in str(code.value)]
    assert "unit_type := 'user'" in text
    assert "started_at := timestamp '2026-12-01 00:00:00'" in text
    assert "outcome_end := timestamp '2026-12-14 00:00:00'" in text
    assert say.PARAMETERS_UNKNOWN not in [str(each.value) for each in client.caption]


def test_a_withheld_reading_shows_its_checks_and_no_metric(open_page: OpenPage) -> None:
    found = withheld()
    client = open_page("health", SHOP, address=address(found))
    text = said(client)
    assert found.verdict.sentence in text
    assert set(blocks(client)) == {check.id for check in found.checks}
    assert not client.metric
    labels = [metric.label for metric in example("SHIP").metrics or ()]
    assert [label for label in labels if label in text] == []
    assert "€" not in text


def test_an_earlier_reading_is_told_by_what_was_known_then(open_page: OpenPage) -> None:
    client = open_page("health", SHOP, address=address(OPEN[1], snapshot=OPEN[1].snapshot_id))
    assert client.title[0].value == view.headline(OPEN[1].checks)
    assert "2 since 10 December 2026" in said(client)
    assert "This is an earlier reading" in said(client)


def test_an_unknown_experiment_is_told_and_the_readout_forgets_all_experiments(open_page: OpenPage) -> None:
    assert "No experiment home_freshnes is registered" in said(
        open_page("health", SHOP, address={"experiment": "home_freshnes"})
    )
    client = open_page("readout", SHOP, address={"experiment": say.EVERY})
    assert client.title[0].value in {found.experiment.name for found in SHOP}


def test_a_name_that_looks_like_markup_is_shown_as_it_is(open_page: OpenPage) -> None:
    assert ODD in said(open_page("health", [odd_names()]))


@pytest.mark.parametrize("found", examples().values(), ids=lambda found: found.experiment.key)
def test_every_example_is_shown_in_a_readers_words(open_page: OpenPage, found: Readout) -> None:
    text = said(open_page("health", [found], address=address(found))).lower()
    assert [word for word in words.NOT_FOR_READERS if word in text] == []


def test_overview_and_readout_lead_here(open_page: OpenPage) -> None:
    link = f'href="health?experiment={NOW.experiment.key}"'
    for page, where in (("overview", {}), ("readout", address(NOW))):
        client = open_page(page, [NOW], address=where)
        assert any(link in str(element.value) for element in client.html), page


def test_the_readout_lists_few_groups_and_says_how_many_more(open_page: OpenPage) -> None:
    many = reading("SHIP", clock_skew=[
        {"browser": name, "arrivals": 10_000, "ahead": 300} for name in ("edge", "chrome", "opera", "safari", "firefox")
    ])  # fmt: skip
    (check,) = [check for check in many.checks if check.id == "SH-06"]
    assert isinstance(check, Check)
    assert "and 2 more" in said(open_page("readout", [many], address=address(many)))
    assert "and 2 more" not in said(open_page("health", [many], address=address(many)))
    assert Path(check.sql or "").suffix == ".sql"
