import json
from collections.abc import Mapping

import pytest

from assignment.targeting import OPERATORS, Predicate, compile_targeting
from experiments.placement import Targeting


def compiled(written: object) -> Predicate:
    return compile_targeting(Targeting.model_validate_json(json.dumps(written), strict=True))


def holds(operator: str, value: object, **context: object) -> bool:
    return compiled({"all": [{"attribute": "a", "operator": operator, "value": value}]})(context)


@pytest.mark.parametrize(
    ("operator", "value", "given", "expected"),
    [
        ("EQ", "web", "web", True),
        ("EQ", "web", "Web", False),
        ("EQ", 1, 1.0, True),
        ("EQ", 1, "1", False),
        ("EQ", 1, True, False),
        ("EQ", True, True, True),
        ("EQ", True, 1, False),
        ("EQ", "web", ["web"], False),
        ("NE", "web", "ios", True),
        ("NE", "web", "web", False),
        ("NE", 1, "1", True),
        ("ONE_OF", ["web", "ios"], "ios", True),
        ("ONE_OF", ["web", "ios"], "tv", False),
        ("ONE_OF", [1, 2], 2.0, True),
        ("ONE_OF", [1, 2], True, False),
        ("ONE_OF", ["web"], ["web"], False),
        ("NOT_ONE_OF", ["web", "ios"], "tv", True),
        ("NOT_ONE_OF", ["web", "ios"], "web", False),
        ("GT", 5, 5, False),
        ("GT", 5, 5.1, True),
        ("GT", 5, "6", False),
        ("GT", 0, True, False),
        ("GTE", 5, 5, True),
        ("GTE", 5, float("nan"), False),
        ("LT", 5, 5, False),
        ("LT", 5, -(10**400), True),
        ("LTE", 5, 5, True),
        ("LTE", 5, {}, False),
        ("MATCHES", "^v[0-9]+$", "v12", True),
        ("MATCHES", "^v[0-9]+$", "v12b", False),
        ("MATCHES", "2", "v12", True),
        ("MATCHES", "2", 12, False),
        ("CONTAINS", "Safari", "Mobile Safari 17", True),
        ("CONTAINS", "safari", "Mobile Safari 17", False),
        ("CONTAINS", "gold", ["silver", "gold"], True),
        ("CONTAINS", 1, ["1", True], False),
        ("CONTAINS", 1, "1", False),
        ("CONTAINS", "a", {"a": 1}, False),
        ("IS_NULL", True, "x", False),
        ("IS_NULL", False, "x", True),
        ("IS_NULL", None, 0, False),
    ],
)
def test_an_operator_compares_within_one_type(operator: str, value: object, given: object, expected: bool) -> None:
    assert holds(operator, value, a=given) is expected


VALUES: Mapping[str, object] = {
    "EQ": "x", "NE": "x", "ONE_OF": ["x"], "NOT_ONE_OF": ["x"], "GT": 1, "GTE": 1, "LT": 1, "LTE": 1,
    "MATCHES": "", "CONTAINS": "",
}  # fmt: skip


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_missing_attribute_makes_every_operator_false(operator: str) -> None:
    assert not holds(operator, VALUES[operator])
    assert not holds(operator, VALUES[operator], a=None)


def test_only_is_null_may_meet_a_missing_attribute() -> None:
    assert holds("IS_NULL", True)
    assert holds("IS_NULL", None, a=None)
    assert not holds("IS_NULL", False)


def test_groups_nest() -> None:
    written = {
        "any": [
            {"all": [_is("country", "DE"), _is("platform", "web")]},
            {"all": [_is("country", "AT")]},
            {"any": []},
        ]
    }
    predicate = compiled(written)
    assert predicate({"country": "DE", "platform": "web"})
    assert predicate({"country": "AT"})
    assert not predicate({"country": "DE"})
    assert compiled({"all": []})({})
    assert not compiled({"any": []})({})


def test_a_pattern_that_explodes_elsewhere_takes_no_time() -> None:
    """(a+)+$ takes 2^30 steps of a backtracking engine; here the test would not end otherwise."""
    assert not holds("MATCHES", "(a+)+$", a="a" * 30_000 + "b")


def _is(attribute: str, value: str) -> Mapping[str, object]:
    return {"attribute": attribute, "operator": "EQ", "value": value}
