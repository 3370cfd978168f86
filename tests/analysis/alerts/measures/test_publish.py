"""Publishing for the alerts: day by day is at once, twice is once, late rows are a revision and nothing else is."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from analysis.alerts.measures import measured
from analysis.alerts.measures.measured import SITE
from analysis.alerts.measures.publish import PublishReport, publish
from analysis.alerts.model import LONG, SHORT, Cell, Comparison
from analysis.warehouse.connection import open_memory
from analysis.warehouse.duckdb import DuckDBWarehouse
from experiments.shop import Shop
from experiments.store import Store
from tests.helpers.effort import scaled
from tests.helpers.recount import Log, Row
from tests.helpers.recount_buckets import recount_buckets, recount_looks
from tests.helpers.visits import ARMS, HOLDOUT, KEY, PHASE_END, PHASE_START, START, a_log, a_shop, feed, time_of

DAYS = 36
END = START + timedelta(days=DAYS)
EXPERIMENT = Comparison("experiment", KEY, 1, "als_v2", "control")
LAUNCH = Comparison("launch", "h2", 1, "served", "held_out")
Kept = dict[tuple[str, str, int, datetime], str]


def aware(naive: datetime) -> datetime:
    return naive.replace(tzinfo=UTC)


@pytest.fixture(scope="module", params=range(3, 3 + scaled(1, 6)))
def log(request: pytest.FixtureRequest) -> Log:
    return a_log(request.param, days=DAYS)


@contextmanager
def place(home: Path) -> Iterator[tuple[Shop, Store, duckdb.DuckDBPyConnection]]:
    with Store.open("sqlite://") as store, open_memory() as connection:
        yield a_shop(home, store), store, connection


def published(shop: Shop, store: Store, connection: duckdb.DuckDBPyConnection, at: datetime) -> PublishReport:
    return publish(shop, store, DuckDBWarehouse(connection), now=aware(at))


def kept(store: Store) -> Kept:
    """The newest revision of everything; of the short buckets those of the last two days."""
    rows = [*store.measures("bucket", LONG), *store.measures("look", LONG), *store.measures("traffic", LONG)]
    short = store.measures("bucket", SHORT)
    newest = max(row.ended_at for row in short)
    rows += [row for row in short if row.ended_at > newest - timedelta(hours=48)]
    return {(row.kind, row.place, row.minutes, row.ended_at): row.body for row in rows}


def at_once(home: Path, log: Log) -> Kept:
    with place(home) as (shop, store, connection):
        feed(connection, log, lambda _: True, 1)
        published(shop, store, connection, END + timedelta(days=1))
        return kept(store)


def test_day_by_day_is_at_once_and_twice_is_once(tmp_path: Path, log: Log) -> None:
    with place(tmp_path / "days") as (shop, store, connection):
        day, number = START, 0
        while day < END:
            end, number = min(day + timedelta(hours=(53, 60, 75)[number % 3]), END), number + 1
            feed(connection, log, lambda row, since=day, until=end: since <= time_of(row) < until, number)  # type: ignore[misc]
            found = published(shop, store, connection, end)
            assert (found.revised, found.late_from) == (0, None)
            assert found.until is not None
            assert found.new > 0
            again = published(shop, store, connection, end)  # may know now that a night was quiet
            assert (again.revised, again.late_from) == (0, None)
            assert published(shop, store, connection, end) == PublishReport(again.until)
            day = end
        by_days = kept(store)
        assert {row.revision for row in store.measures("bucket", LONG)} == {0}
    once = at_once(tmp_path / "once", log)
    last = {minutes: max(end for *_, each, end in once if each == minutes) for minutes in (LONG, SHORT)}
    first = min(end for *_, minutes, end in by_days if minutes == SHORT)
    seen = {
        key: body for key, body in by_days.items() if key[3] <= last[key[2]]
    }  # later is a quiet evening, seen through
    assert seen == {key: body for key, body in once.items() if key[2] == LONG or key[3] >= first}
    assert len(seen) > len(by_days) * 0.9


def test_late_rows_are_revisions_of_what_they_change_and_of_nothing_else(tmp_path: Path, log: Log) -> None:
    def is_late(row: Row) -> bool:
        return time_of(row) >= END - timedelta(days=9) and row["unit"] in (3, 4, 20)

    with place(tmp_path / "late") as (shop, store, connection):
        feed(connection, log, lambda row: not is_late(row), 1)
        first = published(shop, store, connection, END)
        before = kept(store)
        feed(connection, log, is_late, 2)
        found = published(shop, store, connection, END + timedelta(hours=1))
        assert found.until == first.until
        late = min(time_of(row) for row in (*log.exposures, *log.outcomes) if is_late(row))
        assert found.late_from == aware(late).replace(second=0)
        after = kept(store)
        revised = {(row.kind, row.place, row.minutes, row.ended_at) for kind in ("bucket", "look", "traffic")
                   for row in store.measures(kind, LONG) if row.revision}  # fmt: skip
        assert revised == {key for key in before if before[key] != after[key] and key[2] == LONG}
        assert min(end for *_, end in revised) > aware(late)
        assert any(key[0] == "bucket" and key not in revised and key[3] > aware(late) for key in after)
        since = measured.published_at(store)
        assert since == aware(END + timedelta(hours=1))
        changed = measured.published(store, since=since)
        assert {end for kind, _, minutes, end in revised if kind == "bucket"} <= set(changed)
        assert len(changed) < len(measured.published(store))
    assert after == at_once(tmp_path / "once", log)


def test_what_is_read_back_is_the_recount(tmp_path: Path, log: Log) -> None:
    """To the last digit, by plain Python from the raw rows."""
    until = aware(max(time_of(row) for row in log.exposures)).replace(hour=18, minute=0)
    with place(tmp_path / "shop") as (shop, store, connection):
        feed(connection, log, lambda _: True, 1)
        assert published(shop, store, connection, END).until == until
        spans = {
            "phases": [(KEY, 1, "user", ARMS, PHASE_START.replace(tzinfo=None), PHASE_END.replace(tzinfo=None))],
            "holdouts": [
                (
                    "h2",
                    "user",
                    HOLDOUT.modules,
                    PHASE_START.replace(tzinfo=None),
                    END,
                    "holdout.h2:holdout",
                    HOLDOUT.buckets,
                ),
            ],
        }
        brute = recount_buckets(log, minutes=LONG, since=START, until=until.replace(tzinfo=None), **spans)  # type: ignore[arg-type]
        for comparison in (SITE, EXPERIMENT, LAUNCH):
            found = {}
            for bucket in measured.buckets(store, comparison, minutes=LONG, until=until):
                for arm, sums in bucket.arms.items():
                    where = (bucket.end.replace(tzinfo=None), bucket.cell.module, bucket.cell.category, arm)
                    numbers = (*sums.totals.values(), *sums.squares.values(), *sums.products.values(), sums.margin)
                    found[where] = (sums.units, sums.sessions, sums.sessions_squared, *numbers)
            expected = {key[3:]: value[:16] for key, value in brute.items() if key[0] == comparison.kind}
            assert found == expected
            assert len(found) > 100
        ends = [aware(START) + timedelta(days=day) for day in range(19, DAYS)]
        looks = recount_looks(
            log, [end.replace(tzinfo=None) for end in ends if end < PHASE_END], key=KEY, phase=1,
            modules=("homepage",), arms=ARMS, start=PHASE_START.replace(tzinfo=None),
        )  # fmt: skip
        read = {
            (end.replace(tzinfo=None), look.cell.module, look.cell.category, arm): (
                own.units, *own.nonzero.values(), *own.totals.values(), *own.squares.values()
            )
            for end in ends if end < PHASE_END
            for look in measured.looks(store, EXPERIMENT, end + timedelta(hours=2))
            for arm, own in look.arms.items()
        }  # fmt: skip
        assert read == looks
        assert {look.planned for look in measured.looks(store, EXPERIMENT, ends[5])} == {20_000}


def test_comparisons_are_those_of_the_bucket_and_end_with_their_phase(tmp_path: Path, log: Log) -> None:
    with place(tmp_path / "shop") as (shop, store, connection):
        assert publish(shop, store, DuckDBWarehouse(connection), now=aware(END)) == PublishReport(None)
        assert measured.comparisons(store, aware(END)) == ()
        feed(connection, log, lambda _: True, 1)
        published(shop, store, connection, END)
        assert measured.comparisons(store, aware(START)) == ()
        assert measured.comparisons(store, PHASE_START - timedelta(hours=4)) == (SITE,)
        assert measured.comparisons(store, PHASE_START + timedelta(hours=5)) == (EXPERIMENT, SITE, LAUNCH)
        assert measured.comparisons(store, PHASE_END + timedelta(hours=3)) == (EXPERIMENT, SITE, LAUNCH)
        assert measured.comparisons(store, PHASE_END + timedelta(hours=9)) == (SITE, LAUNCH)
        ends = [row.ended_at for row in store.measures("bucket", LONG, measured.place_of(EXPERIMENT))]
        assert ends[0] - timedelta(hours=6) <= PHASE_START < ends[0]
        assert ends[-1] - timedelta(hours=6) < PHASE_END <= ends[-1]
        assert ends == [ends[0] + i * timedelta(hours=6) for i in range(len(ends))]
        assert measured.looks(store, EXPERIMENT, PHASE_END + timedelta(days=2)) == ()
        short = store.measures("bucket", SHORT, measured.place_of(SITE))
        assert len(short) == 48 * 4  # quarters of an hour in two days, those without a visit too


def test_traffic_is_told_where_enough_is_known(tmp_path: Path, log: Log) -> None:
    with place(tmp_path / "shop") as (shop, store, connection):
        feed(connection, log, lambda _: True, 1)
        published(shop, store, connection, END)
        assert measured.traffic(store, aware(START) + timedelta(days=14)) == {}
        at = aware(START) + timedelta(days=30)
        found = measured.traffic(store, at + timedelta(hours=1))
        assert set(found) == {
            Cell(module, category)
            for module, categories in {"": ("",), "homepage": ("", "(none)", "decor", "kitchen"),
                                       "pdp": ("", "(none)", "decor", "kitchen")}.items()
            for category in categories
        }  # fmt: skip
        site, home = found[Cell()], found[Cell("homepage")]
        assert site.at == at
        assert 8 < site.sessions < 18
        assert abs(home.sessions - site.sessions * 2 / 3) < 2 * home.sessions_se < site.sessions
        assert site.margin_share == pytest.approx(1 / 3, abs=0.001)
        shares = dict(site.watched)
        assert set(shares) == {EXPERIMENT, LAUNCH}
        assert 0 < shares[EXPERIMENT] < shares[LAUNCH] <= 1.0
        by_end = measured.expectations(store, since=at - timedelta(days=2), until=at)
        assert list(by_end[Cell()]) == [at - timedelta(hours=6 * i) for i in range(7, -1, -1)]


def test_where_outcomes_are_behind_slates_nothing_is_whole(tmp_path: Path, log: Log) -> None:
    """A bucket of slates without what was done is no bucket in which nobody did anything."""
    midnight = END - timedelta(days=2)

    def is_behind(row: Row) -> bool:
        return "event_name" in row and time_of(row) >= midnight

    with place(tmp_path / "shop") as (shop, store, connection):
        feed(connection, log, lambda row: not is_behind(row), 1)
        first = published(shop, store, connection, END).until
        assert first is not None
        assert aware(midnight) - timedelta(hours=12) <= first <= aware(midnight)
        feed(connection, log, is_behind, 2)
        found = published(shop, store, connection, END)
        assert found.until is not None
        assert found.until > aware(midnight) + timedelta(days=1)
        assert found.revised == 0


def test_another_warehouse_is_counted_from_its_beginning(tmp_path: Path, log: Log) -> None:
    """A warehouse that was made anew has other loads: nothing of what was published is believed."""
    with place(tmp_path / "shop") as (shop, store, connection):
        feed(connection, log, lambda _: True, 1)
        published(shop, store, connection, END)
        with open_memory() as other:
            feed(other, log, lambda row: row["unit"] != 5, 2)
            found = published(shop, store, other, END)
            assert found.revised > 50
            fresh = kept(store)
            with place(tmp_path / "fresh") as (another, empty, _):
                publish(another, empty, DuckDBWarehouse(other), now=aware(END))
                assert fresh == kept(empty)
