"""A night in which nobody comes is seen through; a day on which nobody comes is not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analysis import tick
from analysis.alerts.measures import measured
from analysis.alerts.measures.measured import SITE
from analysis.alerts.measures.quiet import seen_through
from analysis.alerts.model import SHORT
from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.event_log import Spool
from assignment.exposures import exposure_row
from experiments.bundle import bundle_document
from experiments.shop import Shop
from experiments.store import Store
from tests.helpers import held_out_shop
from tests.helpers.alert_measures import counted

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
QUARTER, HOUR, DAY = timedelta(minutes=SHORT), timedelta(hours=1), timedelta(days=1)
CLOSED = range(1, 5)  # the hours of the night in which nobody comes
SUNDAY = 6


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


def visited(store: Store, first: datetime, until: datetime, sessions: int = 4, *, sundays: bool = True) -> None:
    """Quarters of an hour as `publish` leaves them, with so many sessions in each when somebody comes."""
    ends = [first + n * QUARTER for n in range(1, (until - first) // QUARTER + 1)]
    rows = []
    for end in ends:
        begins = end - QUARTER
        came = begins.hour not in CLOSED and (sundays or begins.weekday() != SUNDAY)
        cells = {("", ""): {"all": counted(sessions, 1, 1)}} if came else {}
        rows.append(measured.bucket_measure(SITE, SHORT, end, cells))
    store.save_measures(rows, now=until)


@pytest.mark.parametrize(
    ("hour", "minute", "seen"),
    [
        (2, 0, 1.0),  # the last hour may be on its way
        (4, 10, 3.0),
        (6, 5, 5.0),  # then four come in a quarter of an hour
        (11, 0, 5.0),
    ],
)
def test_a_night_is_seen_through_and_the_morning_after_it_is_not(
    store: Store, hour: int, minute: int, seen: float
) -> None:
    midnight = MONDAY + 8 * DAY
    newest = midnight + timedelta(minutes=59)
    visited(store, MONDAY, midnight + HOUR)
    now = midnight + timedelta(hours=hour, minutes=minute)
    assert seen_through(store, newest, now=now) == max(newest, midnight + seen * HOUR)


def test_a_few_who_usually_come_are_few_enough_to_stay_away(store: Store) -> None:
    midnight = MONDAY + 8 * DAY
    visited(store, MONDAY, midnight, sessions=1)
    assert seen_through(store, midnight, now=midnight + 3 * HOUR) == midnight + 3 * QUARTER


def test_of_a_shop_that_is_closed_on_sundays_a_sunday_is_seen_through(store: Store) -> None:
    sunday = MONDAY + 13 * DAY
    visited(store, MONDAY, sunday, sundays=False)
    assert seen_through(store, sunday, now=sunday + 20 * HOUR) == sunday + 19 * HOUR
    assert seen_through(store, sunday + DAY, now=sunday + DAY + 20 * HOUR) == sunday + DAY


def test_of_a_shop_that_nobody_knows_yet_nothing_is_seen_through(store: Store) -> None:
    midnight = MONDAY + 2 * DAY
    visited(store, MONDAY, midnight + HOUR)
    assert seen_through(store, midnight + HOUR, now=midnight + 4 * HOUR) == midnight + HOUR
    assert seen_through(store, midnight + HOUR, now=midnight + 40 * DAY) == midnight + HOUR


# --- a shop and its ticks -----------------------------------------------------------------------------------------

MONEY = 'schema_version: 1\nloss_budget: "75000"\nmargin: "0.35"\n'
STAGES = {name: tick.STAGES[name] for name in ("load", "measures", "alerts")}


def logged(shop: Shop, first: datetime, until: datetime) -> None:
    """What the service logs of that time: four come in a quarter of an hour and one of them buys, but at night."""
    with Store.open(shop.store_url) as store:
        bundle = compile_bundle(bundle_document(store, shop))
    with Spool(shop.spool) as spool:
        while first < until:
            for n in range(4 if first.hour not in CLOSED else 0):
                at, unit = first + timedelta(minutes=3 * n), f"u{first:%d%H%M}-{n}"
                context = {"targetingKey": unit}
                decision = evaluate(bundle, "rec.pdp", context, at)
                spool.append("exposure", exposure_row(bundle, decision, context, event_id=f"e{unit}", at=at))
                if n == 0:
                    spool.append("outcome", purchase(unit, at + timedelta(minutes=12)))
            first += QUARTER


def purchase(unit: str, at: datetime) -> dict[str, object]:
    return {
        "event_id": f"p{unit}", "event_ts": at.isoformat(), "unit_type": "user", "unit_id": unit,
        "event_name": "purchase", "order_id": f"o{unit}", "item_id": "i", "item_category": "decor", "quantity": 1,
        "value": 5000, "currency": "EUR",
    }  # fmt: skip


def ticked(shop: Shop, now: datetime) -> int:
    """The exit code of the tick's alerts."""
    stages = {stage.name: stage for stage in tick.run(tick.Run(shop, now, "clock", clock=lambda: now), STAGES)}
    assert [stages[name].exit_code for name in ("load", "measures")] == [0, 0]
    return stages["alerts"].exit_code


def test_a_shop_that_nobody_visits_at_night_is_never_behind_and_one_whose_log_ends_is(tmp_path: Path) -> None:
    shop = held_out_shop.shop(tmp_path)
    shop.money_file.write_text(MONEY, encoding="utf-8")
    day, until = held_out_shop.BEGAN + timedelta(days=1), held_out_shop.BEGAN + timedelta(days=4)
    codes: dict[datetime, int] = {}
    while day < until:  # a tick a day, until a night is known
        logged(shop, day - DAY, day)
        codes[day] = ticked(shop, day)
        day += DAY
    assert set(codes.values()) == {0}
    logged(shop, until - DAY, hour := until - HOUR)
    while hour < until + 6 * HOUR:
        logged(shop, hour, hour + HOUR)
        hour += HOUR
        assert ticked(shop, hour + timedelta(minutes=5)) == 0, hour
    with Store.open(shop.store_url) as store:
        kept = store.alerts.standing()
        assert kept is not None
        assert kept.at == hour - HOUR  # the newest row is of 05:57
        rows = store.measures("bucket", SHORT, measured.place_of(SITE), since=until + HOUR, until=until + 6 * HOUR)
        empty = [row.ended_at for row in rows if not measured.counted(row)]
        assert (empty[0], empty[-1], len(empty)) == (until + HOUR + QUARTER, until + 5 * HOUR, 16)
        assert not any(row.revision for row in rows)
    dark = [ticked(shop, hour + n * HOUR + timedelta(minutes=5)) for n in (1, 2, 3, 4)]
    assert dark == [0, 0, 3, 3]  # in the morning somebody always comes
