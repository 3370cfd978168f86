"""Every reason a load can give has its sentence."""

import re
from pathlib import Path

import pytest

from experiments.contracts import CONTRACTS, columns
from experiments.reasons import REASONS, explained
from tests.experiments.test_contracts import BAD

ROOT = Path(__file__).parents[2]


def test_every_reason_written_down_in_the_contracts_tests_has_a_sentence() -> None:
    for reason in {reason for _, _, found in BAD for reason in found}:
        assert ";" in explained(reason), reason


def test_every_fault_written_in_the_load_has_a_sentence() -> None:
    sources = [ROOT / "sql/load/macros.sql", *(ROOT / "analysis/warehouse").rglob("*_sql.py")]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    written = set(re.findall(r"""['"]([a-z]+_[a-z_]+)['"]""", text))
    faults = {
        code for code in written if code.startswith(("not_", "no_", "too_", "out_", "each_", "when_", "currency_"))
    }
    assert {"not_time", "too_precise", "each_not_list", "currency_missing"} <= faults
    assert faults - {"currency_fault", "no_column", "not_nothing"} <= set(REASONS)  # a field, a problem, a layer


def test_a_sentence_names_the_column_as_the_contract_does() -> None:
    assert explained("unit_missing").startswith("there is no unit_id, or a text such as NULL")
    assert explained("items_position_too_small").startswith("items_position is below")
    assert explained("when_not_number") == REASONS["when_not_number"]
    for model in CONTRACTS.values():
        for column in columns(model):
            assert f"{column.name} is" in explained(f"{column.subject}_not_text")
    with pytest.raises(KeyError):
        explained("weather_bad")
