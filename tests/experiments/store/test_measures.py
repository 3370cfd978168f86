"""Measures: the newest revision is read, what says the same is written once, and writers do not lose each other's."""

import threading
from datetime import UTC, datetime, timedelta

from experiments.store import Measure, Store

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def measure(body: str, hours: int = 0, place: str = "site", minutes: int = 360, kind: str = "bucket") -> Measure:
    return Measure(kind, place, minutes, NOON + hours * HOUR, body)


def saved(store: Store, given: list[Measure], now: datetime) -> tuple[int, int]:
    """How many are new and how many revisions."""
    found = store.save_measures(given, now=now)
    revised = sum(each.revision > 0 for each in found)
    return len(found) - revised, revised


def test_what_changed_is_a_revision_and_what_did_not_is_left_alone(store: Store) -> None:
    assert saved(store, [measure("a"), measure("b", 6), measure("c", 6, "home")], NOON) == (3, 0)
    assert saved(store, [measure("a"), measure("B", 6), measure("d", 12)], NOON + HOUR) == (1, 1)
    assert saved(store, [measure("a"), measure("B", 6), measure("d", 12)], NOON + 2 * HOUR) == (0, 0)
    assert saved(store, [], NOON) == (0, 0)
    assert saved(store, [measure("b", 6)], NOON + 3 * HOUR) == (0, 1)  # back to what it was: again a change
    found = [(each.body, each.place, each.revision, each.published_at) for each in store.measures("bucket", 360)]
    late, later = NOON + HOUR, NOON + 3 * HOUR
    assert found == [("a", "site", 0, NOON), ("c", "home", 0, NOON), ("b", "site", 2, later), ("d", "site", 0, late)]


def test_a_span_is_open_at_its_start_and_closed_at_its_end(store: Store) -> None:
    store.save_measures([measure(str(n), n) for n in range(5)], now=NOON)
    found = store.measures("bucket", 360, "site", since=NOON + HOUR, until=NOON + 3 * HOUR)
    assert [each.body for each in found] == ["2", "3"]
    assert store.measures("bucket", 360, "home") == []


def test_kinds_and_lengths_are_apart(store: Store) -> None:
    given = [measure("a"), measure("b", minutes=15), measure("c", kind="look"), measure("d", 1, "home", 15)]
    store.save_measures(given, now=NOON)
    assert [each.body for each in store.measures("bucket", 15)] == ["b", "d"]
    assert [each.body for each in store.measures("look", 360)] == ["c"]
    assert store.measured_places("bucket", 15, NOON + HOUR) == ["home"]
    assert store.measured_until("bucket", 15) == {"home": NOON + HOUR, "site": NOON}
    store.forget_measures("bucket", 15, before=NOON + HOUR)
    assert [each.body for each in store.measures("bucket", 15)] == ["d"]
    assert [each.body for each in store.measures("bucket", 360)] == ["a"]


def test_ends_are_told_by_when_they_were_published(store: Store) -> None:
    store.save_measures([measure("a"), measure("b", 6), measure("c", 6, "home")], now=NOON)
    assert store.measured_ends("bucket", 360) == [NOON, NOON + 6 * HOUR]
    assert store.measured_ends("bucket", 360, published_since=NOON + HOUR) == []
    store.save_measures([measure("A"), measure("d", 12)], now=NOON + HOUR)
    assert store.measured_ends("bucket", 360, published_since=NOON + HOUR) == [NOON, NOON + 12 * HOUR]
    assert store.measured_ends("bucket", 360, published_since=NOON) == [NOON, NOON + 6 * HOUR, NOON + 12 * HOUR]
    assert store.measured_ends("look", 360) == []
    assert (store.measures_published_at("bucket"), store.measures_published_at("look")) == (NOON + HOUR, None)


def test_two_who_publish_the_same_at_once_leave_it_once(store_url: str) -> None:
    given = [measure(str(n), n) for n in range(200)]
    found: list[tuple[int, int]] = []
    with Store.open(store_url) as one, Store.open(store_url) as two:
        threads = [
            threading.Thread(target=lambda store=store: found.append(saved(store, given, NOON)))
            for store in (one, two, one)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [(0, 0), (0, 0), (200, 0)]
        assert len(one.measures("bucket", 360)) == 200
