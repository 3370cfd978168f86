import json
from collections import Counter
from pathlib import Path
from typing import TypedDict

import pytest

from assignment.hashing import BUCKETS, bucket, check_salt, check_unit_id, md5_32
from experiments.errors import UsageError


class Vector(TypedDict):
    id: int
    salt: str
    unit_id: str
    input: str
    uint32: int
    bucket_10000: int


_VECTORS: list[Vector] = json.loads(
    (Path(__file__).parents[2] / "assignment/vectors/bucket_vectors.json").read_text("utf-8")
)["vectors"]
_PADDED = [vector for vector in _VECTORS if vector["unit_id"] != vector["unit_id"].strip()]
_VALID = [vector for vector in _VECTORS if vector not in _PADDED]


def test_the_golden_file_is_whole() -> None:
    assert len(_VECTORS) == 30
    assert len(_PADDED) == 1  # hashed as it is, but refused as a unit id


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: str(vector["id"]))
def test_hash_equals_the_golden_vector(vector: Vector) -> None:
    assert vector["input"] == f"{vector['salt']}-{vector['unit_id']}"
    assert md5_32(vector["input"]) == vector["uint32"]
    assert md5_32(vector["input"]) % BUCKETS == vector["bucket_10000"]


@pytest.mark.parametrize("vector", _VALID, ids=lambda vector: str(vector["id"]))
def test_bucket_equals_the_golden_vector(vector: Vector) -> None:
    assert bucket(vector["salt"], vector["unit_id"]) == vector["bucket_10000"]


@pytest.mark.parametrize("salt", ["ab", "", "home-als", "Home", ":home", "home als", "x" * 96, "häuser", "home\n", 7])
def test_salts_that_break_the_rule_are_refused(salt: str) -> None:
    with pytest.raises(UsageError, match="salt"):
        bucket(salt, "user_1")


@pytest.mark.parametrize("salt", ["abc", "9.a:b_c", "x" * 95])
def test_salts_at_the_edge_of_the_rule_are_kept(salt: str) -> None:
    assert check_salt(salt) == salt


@pytest.mark.parametrize("unit_id", [1, 1.0, True, None, b"user_1"])
def test_ids_that_are_not_text_are_refused(unit_id: str) -> None:
    with pytest.raises(UsageError, match="not text"):
        bucket("home_als_v2:split", unit_id)


@pytest.mark.parametrize(
    "unit_id",
    ["", "x" * 257, " user_1", "user_1\t", "user_1\N{NO-BREAK SPACE}", "us\x00er", "us\ner", "us\x85er", "\ud800"],
)
def test_ids_that_another_system_could_change_are_refused(unit_id: str) -> None:
    with pytest.raises(UsageError, match="unit_id"):
        bucket("home_als_v2:split", unit_id)


@pytest.mark.parametrize("unit_id", ["x", "x" * 256, "user with space", "日本語", "a-b-c"])
def test_ids_at_the_edge_of_the_rule_are_kept(unit_id: str) -> None:
    assert check_unit_id(unit_id) == unit_id


def test_a_second_salt_is_an_independent_split() -> None:
    ids = [f"user_{number}" for number in range(20_000)]
    cells = Counter((bucket("first:split", unit) < 5_000, bucket("second:split", unit) < 5_000) for unit in ids)
    # 5,000 expected in each of the four; 99.99 % of independent splits stay within 3.9 × √(20,000 · ¼ · ¾) = 239
    assert all(abs(cells[both] - 5_000) < 240 for both in [(a, b) for a in (False, True) for b in (False, True)])
