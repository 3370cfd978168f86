"""readout.v1 as a value: canonical, closed, and without what is withheld."""

import json

import pytest
from pydantic import ValidationError

from analysis.readout import WITHHOLDABLE, Check, Readout, Verdict
from tests.helpers.readouts import example, examples


@pytest.mark.parametrize("name", examples())
def test_there_and_back(name: str) -> None:
    readout = example(name)
    assert Readout.from_json(readout.to_json()) == readout
    assert Readout.from_json(readout.to_json().encode()).to_json() == readout.to_json()


def test_keys_are_sorted_so_that_equal_readouts_are_equal_bytes() -> None:
    body = json.loads(example("SHIP").to_json())
    assert list(body) == sorted(body)
    assert list(body["metrics"][0]) == sorted(body["metrics"][0])


def test_withheld_parts_are_absent_from_the_json() -> None:
    assert not set(WITHHOLDABLE) & set(json.loads(example("WITHHELD").to_json()))
    assert set(WITHHOLDABLE) <= set(json.loads(example("SHIP").to_json()))


def test_a_metric_is_found_by_key() -> None:
    assert example("SHIP").metric("ctr").label == "Click-through rate"
    with pytest.raises(KeyError, match="no_such"):
        example("SHIP").metric("no_such")


def test_a_check_keeps_the_types_of_its_figures() -> None:
    check = (
        example("SHIP")
        .checks[0]
        .model_copy(update={"figures": {"flag": True, "count": 3, "share": 0.5, "name": "safari", "none": None}})
    )
    back = Check.model_validate_json(check.model_dump_json())
    assert [type(value) for value in back.figures.values()] == [bool, int, float, str, type(None)]


def test_unknown_fields_and_codes_are_refused_and_values_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="code"):
        Verdict.model_validate({**example("SHIP").verdict.model_dump(), "code": "MAYBE"})
    with pytest.raises(ValidationError, match="Extra inputs"):
        Verdict.model_validate({**example("SHIP").verdict.model_dump(), "mood": "good"})
    with pytest.raises(ValidationError, match="frozen"):
        example("SHIP").verdict.sentence = "Ship it"  # type: ignore[misc]
