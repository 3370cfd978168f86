"""A shop's folder and settings."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from experiments import currencies
from experiments.currencies import EXPONENTS
from experiments.errors import DefinitionError, NotFoundError, UsageError
from experiments.layers import load_ground
from experiments.shop import MODULES, create, open_shop


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRUELIFT_")]:
        monkeypatch.delenv(name)


def test_a_shop_that_was_made_opens_as_it_was_made(tmp_path: Path) -> None:
    made = create(tmp_path / "shop", currency="KWD", time_zone="Europe/Berlin", money_digits=2)
    opened = open_shop(tmp_path / "shop")
    assert opened == made
    assert (opened.settings.currency, opened.settings.digits) == ("KWD", 2)
    assert opened.settings.zone == ZoneInfo("Europe/Berlin")
    there = {path.name for path in made.home.iterdir()}
    rooms = {"definitions", "layers", "holdouts", "spool", "published"}
    assert there == {"truelift.toml", "metrics.yml", "slices.yml", "money.yml", *rooms}


def test_every_module_gets_a_layer_of_its_own(tmp_path: Path) -> None:
    ground = load_ground(create(tmp_path / "shop"))
    assert {layer.key: layer.modules for layer in ground.layers.values()} == {name: (name,) for name in MODULES}
    assert list(ground.slots) == ["rec.cart", "rec.email", "rec.homepage", "rec.pdp"]
    own = load_ground(create(tmp_path / "own", modules=["stage", "search_results"]))
    assert {layer.salt for layer in own.layers.values()} == {"layer.stage", "layer.search_results"}
    with pytest.raises(UsageError, match="module 'Stage', '_x': 2 to 63 of a-z, 0-9 and _"):
        create(tmp_path / "wrong", modules=["Stage", "ok", "_x"])
    assert not (tmp_path / "wrong").exists()


def test_freeze_windows_come_from_the_settings_and_are_refused_with_the_form(tmp_path: Path) -> None:
    create(tmp_path, freeze=("friday 16:00-24:00",))
    assert open_shop(tmp_path).settings.freeze == ("friday 16:00-24:00",)
    text = (tmp_path / "truelift.toml").read_text()
    (tmp_path / "truelift.toml").write_text(text.replace("friday", "freitag"))
    with pytest.raises(DefinitionError, match=r"neither hours of a weekday nor a season.*write"):
        open_shop(tmp_path)


def test_defaults_are_euro_in_utc_with_the_currencys_own_digits(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    assert (shop.settings.currency, shop.settings.time_zone, shop.settings.digits) == ("EUR", "UTC", 2)
    assert shop.warehouse_path == tmp_path / "shop" / "warehouse.duckdb"
    assert shop.lock_path == tmp_path / "shop" / "warehouse.lock"
    assert shop.store_url == f"sqlite:///{tmp_path / 'shop' / 'registry.sqlite'}"


@pytest.mark.parametrize(
    ("currency", "digits"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("USD", 2), ("ISK", 0), ("TND", 3)]
)
def test_a_currency_has_its_iso_digits(tmp_path: Path, currency: str, digits: int) -> None:
    assert create(tmp_path / "shop", currency=currency).settings.digits == digits


def test_the_currency_table_is_whole() -> None:
    listed = f"{currencies._TWO} {currencies._NONE} {currencies._THREE}".split()
    assert sorted(listed) == sorted(EXPONENTS)  # none twice
    assert {"EUR", "USD", "GBP", "CHF", "SEK", "PLN", "BRL", "INR", "CNY", "AUD", "ZAR", "AED"} <= set(EXPONENTS)
    assert all(len(code) == 3 and code.isupper() for code in EXPONENTS)
    assert set(EXPONENTS.values()) == {0, 2, 3}


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    create(tmp_path / "shop", currency="USD")
    before = (tmp_path / "shop" / "truelift.toml").read_text()
    files = r"truelift\.toml, metrics\.yml, slices\.yml, money\.yml, layers/.* are there already"
    with pytest.raises(UsageError, match=files):
        create(tmp_path / "shop", currency="EUR")
    assert (tmp_path / "shop" / "truelift.toml").read_text() == before


def test_one_file_that_is_there_keeps_all_others_from_being_made(tmp_path: Path) -> None:
    (tmp_path / "slices.yml").write_text("mine")
    with pytest.raises(UsageError, match=r"slices\.yml is there already and init overwrites nothing"):
        create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["slices.yml"]


def test_a_shop_can_be_made_in_a_folder_with_other_things(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("mine")
    create(tmp_path)
    assert open_shop(tmp_path).home == tmp_path


def test_every_wrong_setting_is_said_at_once_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as raised:
        create(tmp_path / "shop", currency="EURO", time_zone="Europe/Berlim", money_digits=5, colour="blue")
    assert {problem.path: problem.code for problem in raised.value.problems} == {
        "currency": "currency",
        "time_zone": "time_zone",
        "money_digits": "wrong_type",
        "colour": "unknown_field",
    }
    assert "EUR" in raised.value.problems[0].nearest
    assert not (tmp_path / "shop").exists()


def test_an_unknown_setting_in_the_file_names_the_nearest(tmp_path: Path) -> None:
    create(tmp_path)
    (tmp_path / "truelift.toml").write_text('curency = "EUR"\n')
    with pytest.raises(
        DefinitionError, match=r"curency is not a setting \(nearest: currency\); remove it; settings are"
    ):
        open_shop(tmp_path)


def test_a_broken_settings_file_says_where(tmp_path: Path) -> None:
    create(tmp_path)
    (tmp_path / "truelift.toml").write_text('currency = "EUR\n')
    with pytest.raises(DefinitionError, match=r"truelift\.toml: 1 problem\n  toml: .*line 1"):
        open_shop(tmp_path)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path, currency="USD", time_zone="Europe/Berlin")
    monkeypatch.setenv("TRUELIFT_CURRENCY", "JPY")
    monkeypatch.setenv("TRUELIFT_STORE_URL", "postgresql://user@host/db")
    monkeypatch.setenv("TRUELIFT_WAREHOUSE", str(tmp_path / "elsewhere" / "w.duckdb"))
    monkeypatch.setenv("TRUELIFT_MONEY_DIGITS", "")  # empty is not set
    monkeypatch.setenv("TRUELIFT_EFFORT", "ci")  # not a setting, and not ours to refuse
    shop = open_shop(tmp_path)
    assert (shop.settings.currency, shop.settings.digits, shop.settings.time_zone) == ("JPY", 0, "Europe/Berlin")
    assert shop.store_url == "postgresql://user@host/db"
    assert shop.lock_path == tmp_path / "elsewhere" / "warehouse.lock"


def test_a_wrong_environment_variable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path)
    monkeypatch.setenv("TRUELIFT_TIME_ZONE", "CEST")
    with pytest.raises(DefinitionError, match="'CEST' is not an IANA time zone"):
        open_shop(tmp_path)


def test_what_the_environment_overrides_is_not_written_into_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUELIFT_STORE_URL", "postgresql://user:secret@host/db")
    create(tmp_path)
    assert "secret" not in (tmp_path / "truelift.toml").read_text()


def test_a_relative_warehouse_lies_in_the_shop(tmp_path: Path) -> None:
    create(tmp_path, warehouse="data/w.duckdb")
    assert open_shop(tmp_path).warehouse_path == tmp_path / "data" / "w.duckdb"


def test_the_shop_is_named_or_in_the_environment_or_beside_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("named", "home", "shop"):
        create(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert open_shop().home == tmp_path / "shop"
    monkeypatch.setenv("TRUELIFT_HOME", str(tmp_path / "home"))
    assert open_shop().home == tmp_path / "home"
    assert open_shop(Path("named")).home == tmp_path / "named"


def test_no_shop_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"not a shop, it has no truelift\.toml; make one with `truelift init"):
        open_shop(tmp_path)
