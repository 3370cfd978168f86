"""How long fitting and filling slates takes, beside what `implicit` itself needs to rank the same units.

    python -m benchmarks.recommenders            # 50k units, 1,200 items, 500k events, 20k slates
    python -m benchmarks.recommenders 25000      # with 25,000 items

Absolute times drift from machine to machine; the ratios of one run are what to quote. CPU seconds, the least of three.
The peer ranks only; a slate also has rules, stock, sessions and the ladder.
"""

import sys
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pyarrow as pa
from implicit.nearest_neighbours import CosineRecommender
from scipy.sparse import csr_matrix

from benchmarks.timing import cpu, cpu_in_turns
from experiments.recommenders.base import Index, Request, Requests
from experiments.recommenders.fitted import fit
from experiments.recommenders.item_knn import matrix
from experiments.recommenders.pipeline import Pipeline, ladder
from experiments.recommenders.shelf import Shelf, shelf
from experiments.recommenders.training import TrainingData

AS_OF = datetime(2026, 9, 28, tzinfo=UTC)
END = int(AS_OF.timestamp()) * 1_000_000
UNITS, EVENTS, SLATES, K = 50_000, 500_000, 20_000, 4
INSTANT = pa.timestamp("us", tz="UTC")


def logs(items: int) -> TrainingData:
    """Four weeks of events on items of very different popularity; 5 % of the items are sold out."""
    rng = np.random.default_rng(1)
    weight = 1 / np.arange(1, items + 1) ** 0.8
    unit = pa.array([f"u{number:07d}" for number in range(UNITS)])
    item = pa.array([f"item-{number:05d}" for number in range(items)])

    def events(n: int, *names: str) -> pa.Table:
        chosen = rng.choice(items, n, p=weight / weight.sum())
        at = END - rng.integers(1, 28 * 86_400_000_000, n)
        return pa.table(
            {
                "unit_id": unit.take(pa.array(rng.integers(0, UNITS, n))),
                "item_id": item.take(pa.array(chosen)),
                "event_ts": pa.array(at, INSTANT),
                "event_name": pa.array(rng.choice(names, n).tolist()),
            }
        )

    catalogue = pa.table(
        {
            "item_id": item,
            "category": pa.array([f"category-{number % 6}" for number in range(items)]),
            "stock": pa.array((rng.random(items) > 0.05).astype(np.int64) * 5),
            "valid_from": pa.array(np.full(items, END - 10**13), INSTANT),
        }
    )
    return TrainingData(events(EVENTS, "view", "click", "add_to_cart"), events(EVENTS // 10, "purchase"), catalogue)


def requests(data: TrainingData) -> Requests:
    """Units at random, two items looked at, a page of some category."""
    rng = np.random.default_rng(2)
    categories = Index.of(f"category-{number}" for number in range(6))
    return Requests(
        module="pdp",
        k=K,
        now=AS_OF,
        ids=[f"r{number}" for number in range(SLATES)],
        unit=rng.integers(0, len(data.units), SLATES),
        units=data.units,
        session=rng.integers(-1, len(data.items), (SLATES, 2)),
        items=data.items,
        category=rng.integers(-1, 6, SLATES),
        categories=categories,
    )


def _each(pipeline: Pipeline, requests: list[Request], stock: Shelf) -> None:
    for request in requests:
        pipeline.slate(request, stock)


def main() -> None:
    """Print a line for each strategy."""
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 1_200
    data = logs(items).until(AS_OF)
    stock, asked = shelf(data.catalogue, AS_OF, data.items), requests(data)
    alone = Request("r0", "pdp", K, AS_OF, str(data.units.ids[0]), (str(data.items.ids[5]),), "category-1")
    fitted = {
        name: fit(name, data, as_of=AS_OF) for name in ("item_knn", "category_popularity", "popularity", "random")
    }
    print(f"{len(data.units):,} units, {items:,} items, {EVENTS:,} interactions, {SLATES:,} slates of {K}; CPU seconds")
    print(f"{'strategy':20} {'fit':>7} {'slates':>8} {'a second':>9} {'one, ms':>8}")
    for name, each in fitted.items():
        pipeline = Pipeline(each, ladder(fitted))
        if name == "random" and items > 5_000:
            continue  # it draws a number for every item of every slate
        learn = cpu(partial(fit, name, data, as_of=AS_OF), 3)
        fill = cpu(partial(pipeline.slates, asked, stock), 3)
        one = cpu(partial(_each, pipeline, [alone] * 50, stock), 3) / 50
        print(f"{name:20} {learn:7.2f} {fill:8.2f} {SLATES / fill:9,.0f} {one * 1000:8.2f}")

    had = csr_matrix(matrix(data.tastes, since=0))
    peer = CosineRecommender(K=51, num_threads=1)
    peer.fit(had, show_progress=False)
    rows = had[asked.unit]
    ours = fitted["item_knn"].model
    rank, theirs = cpu_in_turns([lambda: ours.retrieve(asked, 24), lambda: peer.recommend(asked.unit, rows, N=24)], 3)
    print(f"ranking 24 items: ours {rank:.2f} s, implicit {theirs:.2f} s, ratio {rank / theirs:.2f}")


if __name__ == "__main__":
    main()
