"""What randomisation promises, on many ids: uniform, independent over salts, a ramp that moves nobody."""

from collections.abc import Callable
from itertools import combinations

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from assignment.allocation import evaluate
from assignment.batch import bucket_of, word_of
from assignment.bundle import compile_bundle
from assignment.hashing import BUCKETS, Stage, bucketer
from tests.helpers.bundles import BEGAN, NOW, arm, bundle, experiment
from tests.helpers.effort import scaled

UNITS = scaled(ci=50_000, full=1_000_000)
FALSE_ALARM = 1e-6  # for all tests of this file together; the ids are fixed, so it rings always or never
SALTS: tuple[tuple[str, Stage], ...] = (
    ("home_als_v2.1", "traffic"),
    ("home_als_v2.1", "split"),
    ("home_als_v2.2", "split"),
    ("home_als_v2.1", "tdi"),
    ("layer.homepage", "layer"),
    ("layer.pdp", "layer"),
    ("holdout.2026h2", "holdout"),
    ("pdp_similar.1", "split"),
    ("pdp_similar.1", "traffic"),
    ("abc", "switchback"),
)
SHAPES: dict[str, Callable[[int], str]] = {
    "counted": lambda number: f"user_{number}",
    "bare": str,
    "padded": lambda number: f"{number:012d}",
    "uuid": lambda number: f"{number * 2654435761 % 2**32:08x}-4f89-41d3-9a0c-{number:012x}",
}


def buckets(ids: list[bytes], salt: str, stage: Stage) -> NDArray[np.int64]:
    of = bucketer(salt, stage)
    return np.fromiter((of(unit) for unit in ids), dtype=np.int64, count=len(ids))


@pytest.fixture(scope="module", params=SHAPES)
def drawn(request: pytest.FixtureRequest) -> NDArray[np.int64]:
    """Buckets of every salt, shape (salts, units), for ids of one shape."""
    ids = [SHAPES[request.param](number).encode() for number in range(UNITS)]
    return np.stack([buckets(ids, salt, stage) for salt, stage in SALTS])


def _alarm(statistic: float, freedom: int, tests: int) -> bool:
    return bool(chi2.sf(statistic, freedom) < FALSE_ALARM / tests)


def test_every_salt_is_uniform(drawn: NDArray[np.int64]) -> None:
    """Chi-square over 100 blocks of 100 buckets."""
    expected = UNITS / 100
    for row in drawn:
        counts = np.bincount(row // 100, minlength=100)
        assert not _alarm(float(((counts - expected) ** 2 / expected).sum()), 99, len(SALTS) * len(SHAPES))


def test_every_two_salts_are_independent(drawn: NDArray[np.int64]) -> None:
    """Chi-square of 10 × 10 blocks for all 45 pairs, against what independence expects."""
    pairs = list(combinations(range(len(SALTS)), 2))
    assert len(pairs) == 45
    blocks = drawn // 1_000
    for first, second in pairs:
        counts = np.bincount(blocks[first] * 10 + blocks[second], minlength=100).reshape(10, 10)
        expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / UNITS
        assert not _alarm(float(((counts - expected) ** 2 / expected).sum()), 81, len(pairs) * len(SHAPES))


def test_the_alarm_rings_for_one_salt_used_twice(drawn: NDArray[np.int64]) -> None:
    counts = np.bincount((drawn[0] // 1_000) * 11, minlength=100)
    assert _alarm(float(((counts - UNITS / 100) ** 2 / (UNITS / 100)).sum()), 81, 1)


def test_the_buckets_of_sql_are_those_of_python(drawn: NDArray[np.int64], request: pytest.FixtureRequest) -> None:
    shape = SHAPES[request.node.callspec.params["drawn"]]
    with duckdb.connect() as connection:
        connection.execute("create table units (position bigint, unit_id varchar)")
        ids = [shape(number) for number in range(UNITS)]
        connection.execute("insert into units select unnest($n), unnest($ids)", {"n": list(range(UNITS)), "ids": ids})
        for (salt, stage), row in zip(SALTS, drawn, strict=True):
            found = connection.execute(
                "select ('0x' || substr(md5($salt || '-' || unit_id), 1, 8))::bigint % 10000 as documented, "
                f"{bucket_of('word')} as in_batch "
                f"from (select position, unit_id, {word_of('salt')} as word from units) order by position",
                {"salt": f"{salt}:{stage}"},
            ).fetchnumpy()
            assert np.array_equal(found["documented"], row)
            assert np.array_equal(found["in_batch"], row)


def test_a_ramp_from_0_to_100_per_cent_switches_and_removes_nobody() -> None:
    """Every unit through the evaluation at each step: null, …, null, one arm, …, the same arm."""
    ids = [f"user_{number}" for number in range(scaled(ci=5_000, full=100_000))]
    arms = [arm("control", 0, 5_000), arm("als", 5_000, 8_000), arm("tower", 8_000, 10_000)]
    steps = [0, 1, 10, 100, 500, 1_000, 2_500, 5_000, 7_500, 10_000]
    before: dict[str, str | None] = dict.fromkeys(ids)
    for bp in steps:
        made = compile_bundle(bundle(experiment(variants=arms, traffic=[{"at": BEGAN, "bp": bp}])))
        after = {unit: evaluate(made, "rec.homepage", {"targetingKey": unit}, NOW).variant for unit in ids}
        assert all(before[unit] in (None, variant) for unit, variant in after.items())
        let_in = sum(variant is not None for variant in after.values())
        share = bp / BUCKETS
        assert abs(let_in - len(ids) * share) <= 5 * np.sqrt(len(ids) * share * (1 - share))
        before = after
    assert None not in before.values()


def test_a_tenth_of_the_traffic_has_every_arm_in_its_share() -> None:
    """With one salt for traffic and split, a 10 % ramp of a 50/50 test would be all control."""
    made = compile_bundle(bundle(experiment(traffic=[{"at": BEGAN, "bp": 1_000}])))
    ids = [f"user_{number}" for number in range(20_000)]
    variants = [evaluate(made, "rec.homepage", {"targetingKey": unit}, NOW).variant for unit in ids]
    als, control = variants.count("als"), variants.count("control")
    assert abs(als - control) < 5 * np.sqrt(als + control)
