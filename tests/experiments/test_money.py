"""A shop's money settings: what they mean, and everything that is wrong with them at once."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.errors import DefinitionError
from experiments.money import Money, Per, Season, load_money
from experiments.shop import Shop, create
from experiments.validate import validate
from tests.helpers.definitions import changed, written

FULL = """
schema_version: 1
loss_budget: "75000"
spread: "0.03"
spreads: {homepage: "0.02"}
margin: "0.35"
margins: {email: "0.30", pdp: "0.20", pdp/garden rugs: "0.25"}
entry_modules: [homepage, pdp]
every_minutes: 15
pages: true
notify_tag: shop-alerts
app_url: https://truelift.example.org/app
seasons:
  - {name: peak, first: 2026-11-20, last: 2026-12-24, weight: "1.2", owner: ann, expires: 2027-01-31}
  - {name: sale, first: 2027-01-02, last: 2027-01-20, weight: "1.1", owner: bo, expires: 2027-01-10}
costs:
  - {what: serving, per: 1000_recommendations, low: "0.30", base: "0.40", high: "0.60", source: bill, dated: 2026-11-01}
  - {what: handling, per: return, low: 2, base: 3, high: 3, source: the store house, dated: 2026-10-01}
"""


@dataclass(frozen=True, slots=True)
class Place:
    module: str = ""
    category: str = ""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return create(tmp_path / "shop")


def full(shop: Shop, *changes: tuple[str, str]) -> Shop:
    """The shop with the settings above, changed."""
    text = FULL
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    shop.money_file.write_text(text, encoding="utf-8")
    return shop


def problems(shop: Shop) -> dict[str, tuple[str, int | None, str]]:
    """Every problem by path: its code, its line and its words."""
    with pytest.raises(DefinitionError) as raised:
        load_money(shop)
    assert raised.value.where == str(shop.money_file)
    return {problem.path: (problem.code, problem.line, str(problem)) for problem in raised.value.problems}


def test_what_init_writes_is_what_holds_without_a_file(shop: Shop) -> None:
    assert load_money(shop) == Money()
    shop.money_file.unlink()
    money = load_money(shop)
    assert money == Money()
    assert (money.loss_budget, money.margin, money.spread, money.every_minutes) == (None, None, Decimal("0.03"), 60)
    assert not money.pages
    assert not money.fast
    assert money.budget_minor(2) is None


def test_each_line_that_init_comments_out_can_be_taken_in(shop: Shop) -> None:
    text = shop.money_file.read_text("utf-8")
    text = re.sub(
        r"^# (loss_budget|spreads|margin|margins|notify_tag|app_url|ping_url):", r"\1:", text, flags=re.MULTILINE
    )
    text = re.sub(r"^(seasons|costs): \[\]", r"\1:", text, flags=re.MULTILINE)
    text = re.sub(r"^# (- \{| {2}source)", r"  \1", text, flags=re.MULTILINE).replace("#    source", "     source")
    shop.money_file.write_text(text.replace("entry_modules: []", "entry_modules: [homepage]"), encoding="utf-8")
    money = load_money(shop)
    unset = Money()
    assert [name for name in Money.model_fields if getattr(money, name) == getattr(unset, name)] == [
        "schema_version", "spread", "every_minutes", "pages"
    ]  # fmt: skip
    assert money.costs[0].low == Decimal("0.30")


def test_the_settings_mean_what_is_written(shop: Shop) -> None:
    money = load_money(full(shop))
    assert money.budget_minor(2) == 7_500_000
    assert money.budget_minor(0) == 75_000
    assert money.fast
    assert (money.spread_of("homepage"), money.spread_of("cart"), money.spread_of("")) == (0.02, 0.03, 0.03)
    places = [Place("email", "x"), Place("pdp", "garden rugs"), Place("pdp"), Place("cart"), Place()]
    assert [money.margin_of(place) for place in places] == [0.30, 0.25, 0.20, 0.35, 0.35]
    assert Money().margin_of(Place("cart")) is None
    assert (money.costs[1].per, money.costs[1].dated) == ("return", date(2026, 10, 1))
    assert money.costs[1].base == Decimal(3)


def test_a_season_weighs_on_its_days_until_it_expires(shop: Shop) -> None:
    money = load_money(full(shop))
    weights = {
        date(2026, 11, 19): 1.0,
        date(2026, 11, 20): 1.2,
        date(2026, 12, 24): 1.2,
        date(2026, 12, 25): 1.0,
        date(2027, 1, 2): 1.1,
        date(2027, 1, 10): 1.1,  # the last day before it expires
        date(2027, 1, 11): 1.0,  # in the season, and expired
    }
    assert {on: money.season_weight(on) for on in weights} == weights


DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))


@given(first=DAYS, length=st.integers(0, 60), kept=st.integers(-5, 90), on=DAYS)
def test_no_day_out_of_season_or_after_its_expiry_weighs(first: date, length: int, kept: int, on: date) -> None:
    last, expires = first + timedelta(days=length), first + timedelta(days=kept)
    season = Season(name="s", first=first, last=last, weight=Decimal(2), owner="ann", expires=expires)
    days = {first + timedelta(days=day) for day in range(length + 1) if first + timedelta(days=day) <= expires}
    assert Money(seasons=(season,)).season_weight(on) == (2.0 if on in days else 1.0)


def test_what_is_no_mistake_and_should_be_known(shop: Shop) -> None:
    assert load_money(shop).remarks(date(2026, 11, 10)) == (
        "loss_budget is not set: no money alert can be judged; write what may be lost to regressions in 30 days",
    )
    money = load_money(full(shop))
    assert money.remarks(date(2026, 10, 31)) == (
        "season sale weighs until it expires on 2027-01-10, not until 2027-01-20",
        "cost serving is dated 2026-11-01, which is still to come",
    )
    assert money.remarks(date(2027, 1, 11)) == (
        "season sale expired on 2027-01-10 and weighs no more; bo renews or removes it",
    )


def test_every_problem_is_said_at_once_with_its_line(shop: Shop) -> None:
    found = problems(
        full(
            shop,
            ('"75000"', '"0"'),
            ('margin: "0.35"', "margin: 0.35"),
            ("[homepage, pdp]", "[homepagee, pdp, pdp]"),
            ("every_minutes: 15", "every_minutes: 30"),
            ("pages: true", "pages: yes"),
            ("notify_tag: shop-alerts", "notify_tag: ops, shop"),
            ("https://", "ftp://"),
            ("first: 2026-11-20", "first: 2026-11-31"),
            ('"1.1", owner: bo', '"0.9"'),
            ('low: "0.30"', 'low: "0.50"'),
            ("{email: ", "{mail: "),
            ("pdp/garden rugs", "pdp/"),
            ("spreads: {homepage", "spreads: {search"),
            ("schema_version: 1", "budget: 3"),
        )
    )
    assert {path: (code, line) for path, (code, line, _) in found.items()} == {
        "budget": ("unknown_field", 2),
        "loss_budget": ("out_of_range", 3),
        "spreads.search": ("unknown_module", 5),
        "margin": ("value", 6),
        "margins.mail": ("unknown_module", 7),
        "margins.pdp/": ("key_format", 7),
        "entry_modules[0]": ("unknown_module", 8),
        "entry_modules[2]": ("module_twice", 8),
        "every_minutes": ("unknown_value", 9),
        "pages": ("wrong_type", 10),
        "notify_tag": ("value", 11),
        "app_url": ("value", 12),
        "seasons[0].first": ("bad_date", 14),
        "seasons[1].weight": ("out_of_range", 15),
        "seasons[1].owner": ("missing_field", 15),
        "costs[0]": ("cost_order", 17),
    }
    assert [line for _, line, _ in found.values()] == sorted(line or 0 for _, line, _ in found.values())
    assert "(nearest: homepage); modules are cart, email, homepage, pdp" in found["entry_modules[0]"][2]
    assert "30 is none of 15, 60, 360" in found["every_minutes"][2]
    assert "'2026-11-31' is not a day; write 2026-12-01" in found["seasons[0].first"][2]
    assert "low 0.50, base 0.40 and high 0.60 do not rise; write low ≤ base ≤ high" in found["costs[0]"][2]
    assert "'ops, shop' is not one tag" in found["notify_tag"][2]
    assert "'ftp://truelift.example.org/app' is not where the app is, as https://" in found["app_url"][2]
    assert 'a decimal is written in quotes, for example "0.35"' in found["margin"][2]


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        ("first: 2027-01-02", "first: 2026-12-24", "seasons[1].first", "sale overlaps peak (2026-11-20 to 2026-12-24)"),
        ("last: 2026-12-24", "last: 2026-11-19", "seasons[0].last", "before its first day 2026-11-20; swap them"),
        ("expires: 2027-01-10", "expires: 2027-01-01", "seasons[1].expires", "it would never weigh; write 2027-01-20"),
        ("owner: ann", 'owner: " "', "seasons[0].owner", "is empty; say who answers for it"),
        ('weight: "1.2"', 'weight: "120"', "seasons[0].weight", "less than or equal to 10"),
        ("last: 2026-12-24", "last: 12-24", "seasons[0].last", "'12-24' is not a day"),
        ("source: bill, ", "", "costs[0].source", "is missing"),
        ("dated: 2026-10-01", "dated: 2026-10-01T00:00:00Z", "costs[1].dated", "is not a day"),
        ("low: 2,", 'low: "-2",', "costs[1].low", "greater than or equal to 0"),
        ("per: return", "per: parcel", "costs[1].per", "'parcel' is none of 1000_recommendations, order, return"),
        ('"0.30", pdp', '"1.30", pdp', "margins.email", "less than or equal to 1"),
        ('spread: "0.03"', 'spread: "1"', "spread", "less than 1"),
        ("schema_version: 1", "schema_version: 2", "schema_version", "2 is none of 1"),
        ("pdp/garden rugs", "pdpp/garden rugs", "margins.pdpp/garden rugs", "has a module pdpp (nearest: pdp)"),
    ],
)
def test_one_mistake_is_one_problem(shop: Shop, old: str, new: str, path: str, said: str) -> None:
    found = problems(full(shop, (old, new)))
    assert list(found) == [path]
    assert said in found[path][2]


def test_a_cost_is_dated_once(shop: Shop) -> None:
    rows = FULL.splitlines()[-2].replace('base: "0.40"', 'base: "0.50"')
    shop.money_file.write_text(f"{FULL}{rows}\n", encoding="utf-8")
    assert problems(shop)["costs[2].dated"][0] == "cost_twice"
    shop.money_file.write_text(f"{FULL}{rows.replace('2026-11-01', '2026-12-01')}\n", encoding="utf-8")
    assert [row.base for row in load_money(shop).costs if row.what == "serving"] == [Decimal("0.40"), Decimal("0.50")]


def test_an_empty_or_broken_file_is_refused(shop: Shop) -> None:
    shop.money_file.write_text("", encoding="utf-8")
    assert "the file is empty" in problems(shop)["(file)"][2]
    shop.money_file.write_text("loss_budget: '1'\nloss_budget: '2'\n", encoding="utf-8")
    assert problems(shop)["loss_budget"][:2] == ("duplicate_key", 2)
    shop.money_file.write_text("- 1\n", encoding="utf-8")
    assert "is not a mapping" in problems(shop)["(file)"][2]


def test_a_module_of_a_definition_is_known_and_without_any_every_module_is(shop: Shop) -> None:
    full(shop, ("{email: ", "{search: "))
    assert list(problems(shop)) == ["margins.search"]
    written(shop, changed(("modules: [homepage]", "modules: [homepage, search]")))
    assert load_money(shop).margin_of(Place("search")) == 0.30
    for path in (*shop.layers.iterdir(), *shop.definitions.iterdir()):
        path.unlink()
    assert load_money(full(shop, ("{email: ", "{anything: "))).margin_of(Place("anything")) == 0.30


def test_the_guide_explains_every_field() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    explained = guide.split("## What a loss weighs\n")[1].split("\n## ")[0].partition("| --- |")[2]
    for name in set(Money.model_fields) - {"schema_version"}:
        assert f"`{name}`" in explained, name
    for per in get_args(Per):
        assert f"`{per}`" in explained, per


def test_validate_has_a_line_for_the_file_there_or_not(shop: Shop) -> None:
    def said() -> str:
        return next(one.summary for one in validate(shop, []) if one.path == shop.money_file)

    assert said() == "no loss budget; 0 seasons, 0 entry modules, 0 costs; alerts every 60 minutes, pages off"
    full(shop)
    assert said() == (
        "a loss budget of 75,000 EUR in 30 days; 2 seasons, 2 entry modules, 2 costs; alerts every 15 minutes, pages on"
    )
    shop.money_file.unlink()
    assert said().startswith("not there, so the defaults hold: no loss budget; ")
    full(shop, ('"75000"', '"-1"'))
    wrong = next(one for one in validate(shop, []) if one.path == shop.money_file)
    assert [problem.path for problem in wrong.problems] == ["loss_budget"]
