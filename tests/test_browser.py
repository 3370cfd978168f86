"""The app in a real headless browser: it says the verdict, draws, keeps filters in the address, and fits a phone."""

import getpass
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from analysis.alerts.job import stored
from experiments.shop import open_shop
from experiments.store import Store
from tests.helpers import alert_shop, published, registry_shop, signals
from tests.helpers.browsing import DRAWN, Visit, served_app
from tests.helpers.readouts import ODD, example, examples, odd_names

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `truelift app` on a shop with every example; only where there is a browser to open it."""
    assert browser.is_connected()
    folder = tmp_path_factory.mktemp("browser")
    with served_app(published.shop(folder / "shop", [*examples().values(), odd_names()]), folder) as address:
        yield address


@pytest.fixture(scope="module")
def registry(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same on a shop whose registry has a past."""
    assert browser.is_connected()
    folder = tmp_path_factory.mktemp("registry")
    with served_app(registry_shop.full(folder / "shop"), folder) as address:
        yield address


@pytest.fixture(scope="module")
def health(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same on a shop whose signals were read on five days, one of them withheld."""
    assert browser.is_connected()
    folder = tmp_path_factory.mktemp("health")
    readings = [*signals.course(), signals.withheld(), signals.healthy()]
    with served_app(published.shop(folder / "shop", readings), folder) as address:
        yield address


@pytest.fixture
def inbox(browser: Browser, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The same on a shop that loses money today, and its folder."""
    assert browser.is_connected()
    home = alert_shop.today(published.shop(tmp_path / "shop", [example("SHIP")]), datetime.now(UTC))
    with served_app(home, tmp_path) as address:
        yield address, home


def test_from_the_overview_to_a_verdict_and_its_charts(app: str, visit: Visit, tmp_path: Path) -> None:
    reading = example("SHIP")
    visit.open(app)
    expect(visit.page.locator("h1")).to_have_text("4 decisions waiting · 4 still running · 1 blocked")
    visit.page.get_by_role("link", name=reading.experiment.name).click()
    expect(visit.page.locator(".banner p")).to_have_text(reading.verdict.sentence)
    visit.settle()
    visit.charts(2)
    name = visit.page.locator('[role="graphics-document"]').first.get_attribute("aria-label")
    assert name is not None
    assert name.startswith("Change of als_v2 against control, 95% ranges. Revenue per user: between +2.4% and +11.8%")
    picture = tmp_path / "readout.png"
    visit.page.screenshot(path=picture)
    assert picture.stat().st_size > 20_000


def test_a_name_that_looks_like_markup_is_shown_as_it_is(app: str, visit: Visit) -> None:
    visit.open(f"{app}/readout?experiment=odd_names")
    visit.charts(2)
    for place in ("h1", "h3 >> nth=1", '[data-testid="stMetricLabel"] >> nth=0'):
        assert ODD in visit.page.locator(place).inner_text().replace("\u2060", "")
    visit.open(f"{app}/where?experiment=odd_names")
    visit.charts(1)
    assert ODD in visit.page.locator("h3").first.inner_text().replace("\u2060", "")


def test_filters_are_in_the_address_and_stay_over_pages_and_reloads(app: str, visit: Visit) -> None:
    visit.open(f"{app}/readout?experiment=email_subject")
    expect(visit.page.locator(".banner p")).to_contain_text("Ship mens")
    visit.page.get_by_text("womens", exact=True).click()
    expect(visit.page.locator(".banner p")).not_to_contain_text("Ship mens")
    visit.settle()
    assert "arm=womens" in visit.page.url
    visit.page.get_by_role("link", name="Where", exact=True).click()
    visit.page.get_by_text("Groups of users", exact=True).click()
    expect(visit.page.get_by_text("Devices are likely alike")).to_be_visible()
    visit.settle()
    link = visit.page.url
    assert "/where?" in link
    for part in ("experiment=email_subject", "arm=womens", "kind=Groups+of+users"):
        assert part in link
    visit.open(link)
    expect(visit.page.get_by_text("Devices are likely alike")).to_be_visible()
    visit.charts(1)
    assert visit.page.url == link


def test_default_view_is_a_link_too(app: str, visit: Visit) -> None:
    visit.open(f"{app}/readout")
    visit.charts(2)
    assert "experiment=cart_bundles" in visit.page.url  # the most money at stake
    assert "arm=als_v2" in visit.page.url


def test_another_experiment_leaves_no_filter_of_the_last_one(app: str, visit: Visit) -> None:
    visit.open(f"{app}/readout?experiment=email_subject&arm=womens")
    visit.page.locator('[data-testid="stSelectbox"] input').first.click()
    visit.page.get_by_text("home_als_v2", exact=True).last.click()
    expect(visit.page.locator("h1")).to_have_text("Homepage ALS v2")
    visit.settle()
    assert "womens" not in visit.page.url
    expect(visit.page.get_by_text("The address asks for")).to_have_count(0)


def test_withheld_reading_has_no_chart_and_no_metric(app: str, visit: Visit) -> None:
    reading = example("WITHHELD")
    visit.open(f"{app}/readout?experiment={reading.experiment.key}")
    expect(visit.page.locator(".banner p")).to_have_text(reading.verdict.sentence)
    expect(visit.page.locator('[data-testid="stVegaLiteChart"], [data-testid="stMetric"]')).to_have_count(0)


@pytest.mark.parametrize("code", ["SHIP", "WITHHELD"])
def test_exports_are_saved_under_their_snapshot(app: str, visit: Visit, tmp_path: Path, code: str) -> None:
    reading = example(code)
    visit.open(f"{app}/readout?experiment={reading.experiment.key}")
    visit.page.get_by_test_id("stPopoverButton").click()
    for name in ("CSV", "JSON", "HTML"):
        with visit.page.expect_download() as offered:
            visit.page.get_by_role("button", name=name, exact=True).click()
        assert offered.value.suggested_filename == (f"{reading.experiment.key}-{reading.snapshot_id}.{name.lower()}")
        offered.value.save_as(tmp_path / name)
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert reading.snapshot_id in text
        assert ("revenue_per_unit" in text or "Revenue per user" in text) == (code == "SHIP")


@pytest.mark.parametrize("width", [400, 900, 1280])
@pytest.mark.parametrize("page", ["", "readout?experiment=pdp_similar_v3", "where?experiment=pdp_similar_v3"])
def test_a_phone_a_tablet_and_a_laptop_show_everything_without_scrolling_sideways(
    app: str, browser: Browser, tmp_path: Path, page: str, width: int
) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 900})
    phone = Visit(tab)
    phone.open(f"{app}/{page}")
    if page:
        phone.charts(2 if page.startswith("readout") else 1)
    wide = too_wide(tab, width)
    tab.screenshot(path=tmp_path / "phone.png", full_page=True)
    tab.close()
    assert wide == []
    assert phone.wrong == []


def too_wide(tab: Page, width: int) -> list[str]:
    """What reaches beyond the window's right edge, but for what scrolls inside itself."""
    found: list[str] = tab.evaluate(
        """width => [...document.querySelectorAll('[data-testid="stMainBlockContainer"] *')]
            .filter(e => !e.closest('.wide, details, [role=tooltip]') && e.getBoundingClientRect().right > width + 1)
            .map(e => e.tagName + ' ' + e.className + ' ' + (e.textContent || '').slice(0, 40))""",
        width,
    )
    return found


def test_the_registry_is_a_link_draws_and_fits_a_phone(registry: str, visit: Visit) -> None:
    link = f"{registry}/registry?experiment={registry_shop.PHASES}&phase=2"
    visit.open(link)
    visit.charts(2)
    assert visit.page.url == link
    expect(visit.page.locator("h2").first).to_have_text(registry_shop.LONG)
    expect(visit.page.get_by_text("What was locked when phase 2 began")).to_be_visible()
    timeline, buckets = visit.page.locator('[role="graphics-document"]').all()
    assert "home_old: – Archived: roll back" in str(timeline.get_attribute("aria-label"))
    assert "Layer homepage, now: home_als_v3 60%" in str(buckets.get_attribute("aria-label"))
    bars = visit.page.locator(DRAWN).first.locator("g.mark-rect path")
    assert bars.count() > 10
    for width in (1280, 900, 390):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.open(link)
        visit.charts(2)
        assert too_wide(visit.page, width) == [], width
    visit.page.set_viewport_size({"width": 1280, "height": 900})
    visit.page.get_by_text("All 8 experiments as a list").click()
    visit.page.get_by_role("link", name="Picks by e-mail").click()
    expect(visit.page.locator("h2").first).to_have_text("Picks by e-mail")
    assert "experiment=email_picks" in visit.page.url


def test_signal_health_leads_from_all_experiments_to_one_draws_and_fits_a_phone(health: str, visit: Visit) -> None:
    visit.open(f"{health}/health")
    visit.charts(1)
    expect(visit.page.locator("h1")).to_have_text("3 experiments: 1 withheld, 1 with a failing check, 1 in order")
    visit.page.get_by_role("link", name="Homepage freshness boost").click()
    expect(visit.page.locator("h1")).to_contain_text("add-to-cart is missing on mobile Safari")
    visit.settle()
    visit.charts(2)
    link = visit.page.url
    assert "experiment=home_freshness" in link
    grid, drift = visit.page.locator('[role="graphics-document"]').all()
    assert "Missing add-to-cart: fails (Chrome passes, Opera unknown" in str(grid.get_attribute("aria-label"))
    assert "Share of slots filled by the fallback on homepage" in str(drift.get_attribute("aria-label"))
    line = visit.page.get_by_role("img", name="Largest fall of add-to-carts a view in one browser on one day: 0%")
    assert line.evaluate("image => image.complete && image.naturalWidth") == 180
    visit.page.get_by_text("SQL of “Missing add-to-cart”").click()
    expect(visit.page.get_by_text("-- one row per browser and business day")).to_be_visible()
    for width in (1280, 900, 390):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.open(link)
        visit.charts(2)
        assert too_wide(visit.page, width) == [], width
        visit.open(f"{health}/health?experiment=All+experiments")
        visit.charts(1)
        assert too_wide(visit.page, width) == [], width


def test_an_incident_is_acknowledged_and_silenced_and_fits_a_phone(inbox: tuple[str, Path], visit: Visit) -> None:
    address, home = inbox
    visit.open(address)
    expect(visit.page.locator("h1")).to_have_text("1 decision waiting · 2 incidents (€48k/day)")
    visit.page.get_by_role("link", name="Open the alerts inbox").click()
    expect(visit.page.locator("h1")).to_have_text("2 incidents (€48k/day) · 1 silenced · 1 watched")
    visit.settle()
    first = visit.page.locator('[class*="st-key-incident-"]').first
    expect(first.locator("h3")).to_have_text("Homepage is losing about €48k a day (at least €17k)")

    first.get_by_role("button", name="Acknowledge").click()
    visit.page.get_by_label("Why").fill("Looking into the deploy")
    visit.page.get_by_test_id("stFormSubmitButton").get_by_role("button", name="Acknowledge").click()
    expect(visit.page.get_by_text("Acknowledged: Homepage is losing")).to_be_visible()
    visit.settle()
    expect(first.locator("p.kind")).to_contain_text("Acknowledged")

    first.get_by_role("button", name="Silence").click()
    visit.page.get_by_label("Why").fill("A planned price change")
    visit.page.get_by_label("Your name").fill("mara")
    visit.page.get_by_test_id("stFormSubmitButton").get_by_role("button", name="Silence").click()
    expect(visit.page.locator("h1")).to_have_text("1 incident · 2 silenced · 1 watched")
    visit.settle()
    with Store.open(open_shop(home).store_url) as store:
        acts = stored.acts(store)
    assert [(act.kind, act.reason, act.author) for act in acts] == [
        ("ack", "Looking into the deploy", getpass.getuser()),
        ("silence", "A planned price change", "mara"),
    ]

    visit.page.get_by_text("Silenced", exact=True).first.click()
    expect(visit.page.locator("h3", has_text="Homepage is losing")).to_be_visible()
    visit.settle()
    assert "tab=Silenced" in visit.page.url
    for width in (1280, 900, 390):
        visit.page.set_viewport_size({"width": width, "height": 900})
        for tab in ("Open", "Silenced"):
            visit.open(f"{address}/alerts?tab={tab}")
            expect(visit.page.locator("h1")).to_have_text("1 incident · 2 silenced · 1 watched")
            assert too_wide(visit.page, width) == [], (width, tab)
