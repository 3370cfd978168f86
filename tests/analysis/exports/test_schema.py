"""The JSON Schema: the file is the generated one, it takes every readout, and withheld means absent."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from analysis.assembly import assemble
from analysis.exports.schema import FILE, schema, text
from analysis.readout import WITHHOLDABLE, Interval, Readout
from tests.helpers.counting import Truth, inputs
from tests.helpers.readouts import example, examples

VALIDATOR = Draft202012Validator(schema())


def _body(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(example(name).to_json())
    return body


def test_the_file_is_the_generated_one() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run `python -m analysis.exports.schema`"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("name", examples())
def test_it_takes_every_example(name: str) -> None:
    VALIDATOR.validate(_body(name))


@pytest.mark.parametrize("truth", [Truth(), Truth(days=3), Truth(arms=("control", "aa", "bb"), lift={"aa": 0.25})])
def test_it_takes_what_is_assembled(truth: Truth) -> None:
    VALIDATOR.validate(json.loads(assemble(inputs(truth)).readout.to_json()))


@pytest.mark.parametrize("part", WITHHOLDABLE)
@pytest.mark.parametrize("empty", [None, [], {}])
def test_withheld_means_absent_not_empty_and_not_null(part: str, empty: object) -> None:
    VALIDATOR.validate(_body("WITHHELD"))
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**_body("WITHHELD"), part: empty})


@pytest.mark.parametrize("part", WITHHOLDABLE)
def test_every_other_verdict_needs_all_four_parts(part: str) -> None:
    body = _body("SHIP")
    del body[part]
    with pytest.raises(ValidationError):
        VALIDATOR.validate(body)
    with pytest.raises(ValueError, match="carries metrics, slices, series and questions"):
        Readout.model_validate(body)


def test_unknown_keys_and_verdicts_are_refused() -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**_body("SHIP"), "lift": 0.1})
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**_body("SHIP"), "verdict": {**_body("SHIP")["verdict"], "code": "MAYBE"}})


def test_the_model_itself_refuses_what_must_not_be_there() -> None:
    with pytest.raises(ValueError, match="a withheld readout carries no metrics"):
        Readout.model_validate({**_body("WITHHELD"), "metrics": []})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Interval(est=number, lo=None, hi=None)
    alert = example("SHIP").design.model_copy(update={"critical_value": number})
    bad = example("SHIP").model_copy(update={"design": alert})
    with pytest.raises(ValueError, match="JSON compliant"):
        bad.to_json()
