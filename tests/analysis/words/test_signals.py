"""The sentences of the signal checks, as a product manager reads them."""

import pytest

from analysis.words import health, signals


@pytest.mark.parametrize(
    ("name", "told"),
    [("safari_mobile", "mobile Safari"), ("firefox", "Firefox"), ("(none)", "an unnamed browser"), ("edge", "Edge")],
)
def test_browsers_have_the_names_people_call_them(name: str, told: str) -> None:
    assert health.browser(name) == told
    assert f"on {told} fell by 60%" in signals.volume_fell("add_to_cart", name, "2026-03-02", -0.6)


def test_good_news_is_not_told_as_a_double_negation() -> None:
    assert signals.clicks_shown(0.0) == "Every click is on an item that the visitor was shown there."
    assert signals.orders_shared(0.0) == "Every order belongs to one unit."
    assert signals.arrivals(0.0, 0.0) == "Every row came within an hour after it happened."
    assert signals.clicks_shown(0.03).startswith("3% of the clicks are on an item that the visitor was not shown")


@pytest.mark.parametrize(
    ("count", "busy", "told"),
    [
        (0, 0, "No user is marked as a bot or as one of your own people."),
        (1, 0, "1 user (0.5%) is marked as a bot or as one of your own people and left out."),
        (52, 0, "52 users (0.5%) are marked as bots or as your own people and left out."),
        (
            0, 1,
            "No user is marked as a bot or as one of your own people. 1 user had 500 rows or more on a day before the "
            "test, looks like a program and is not marked.",
        ),
    ],
)  # fmt: skip
def test_bots(count: int, busy: int, told: str) -> None:
    assert signals.left_out(count, 0.005, "user", busy) == told


@pytest.mark.parametrize(
    ("hours", "told"), [(0.4, "less than an hour"), (1.0, "1 hour"), (23.97, "23 hours"), (24.0, "24 hours")]
)
def test_an_age_just_below_its_limit_is_not_told_as_the_limit(hours: float, told: str) -> None:
    assert f"was {told} old" in signals.catalogue_age(hours)


def test_only_what_is_missing_in_the_catalogue_is_counted() -> None:
    assert signals.fields([("price", 1.0), ("stock", 1.0)]) == "Every item on offer has a price and a stock level."
    assert signals.fields([("price", 1.0), ("margin", 0.97)]) == (
        "Of the items on offer 97% have a margin; all have a price."
    )


def test_drift_names_what_moved_and_not_yes_or_no() -> None:
    still = signals.drifted("line_value", "(site)", "under 10", 0.002, moved=False)
    assert (
        still
        == "Control still looks as it did before the start; the amounts of the order lines moved most, and hardly."
    )
    moved = signals.drifted("fallback", "homepage", "yes", 0.25, moved=True)
    assert moved == "The share of slots filled by the fallback on homepage moved since before the start (index 0.25)."
    assert "“decor” most" in signals.drifted("viewed_category", "(site)", "decor", 0.25, moved=True)
