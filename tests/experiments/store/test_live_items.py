"""Live stock and price: shared by everybody who opens the store, told in parts, never changed by two at once."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from experiments.store import LiveItem, Store

NOW = datetime(2026, 11, 20, 9, 0, 0, 123_456, tzinfo=UTC)


def item(name: str, stock: int | None = None, price: int | None = None) -> LiveItem:
    return LiveItem(name, NOW, stock, NOW if stock is not None else None, price, NOW if price is not None else None)


def put(store: Store, *items: LiveItem) -> None:
    store.change_live_items([each.item_id for each in items], lambda _: items)


def test_who_opens_the_store_later_reads_what_is_newer_than_what_they_have(store_url: str) -> None:
    with Store.open(store_url) as store:
        assert store.live_items() == []
        put(store, item("sofa", 5, 10**12), item("lamp", -3))
        put(store, item("rug"))
    with Store.open(store_url) as again:
        first = [replace(item("lamp", -3), number=1), replace(item("sofa", 5, 10**12), number=1)]
        assert again.live_items() == [*first, replace(item("rug"), number=2)]
        assert [each.item_id for each in again.live_items(after=1)] == ["rug"]
        put(again, item("sofa", 4))
        assert again.live_items(after=2) == [replace(item("sofa", 4), number=3)]
        assert again.live_items(after=3) == []


def test_the_judge_sees_what_is_known_and_what_it_raises_changes_nothing(store_url: str) -> None:
    names = [f"i{number}" for number in range(1_201)]  # more than one statement takes
    with Store.open(store_url) as store:
        put(store, *(item(name, 1) for name in names))

        def judge(known: Mapping[str, LiveItem]) -> Iterable[LiveItem]:
            assert sorted(known) == sorted(names)
            return [replace(each, stock=0) for each in known.values()]

        store.change_live_items([*names, "nobody"], judge)
        assert {each.stock for each in store.live_items()} == {0}

        def refuse(known: Mapping[str, LiveItem]) -> Iterable[LiveItem]:
            yield replace(known["i1"], stock=9)
            raise KeyError("no")

        with pytest.raises(KeyError):
            store.change_live_items(["i1"], refuse)
        assert {each.stock for each in store.live_items()} == {0}


def test_changes_of_several_threads_are_all_counted(store_url: str) -> None:
    zone = timezone(timedelta(hours=2))

    def sell(stores: Store) -> None:
        for _ in range(5):
            stores.change_live_items(
                ["sofa"], lambda known: [replace(known["sofa"], stock=(known["sofa"].stock or 0) - 1)]
            )

    with Store.open(store_url) as one, Store.open(store_url) as two:
        put(one, replace(item("sofa", 20), valid_from=NOW.astimezone(zone)))
        threads = [threading.Thread(target=sell, args=(store,)) for store in (one, two, one)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert two.live_items() == [replace(item("sofa", 5), number=16)]
