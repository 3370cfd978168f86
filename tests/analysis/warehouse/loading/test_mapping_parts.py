"""Mistakes of shape, of meaning and of the file's columns are said together."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.warehouse.loading.reading import parse_mapping, read_mapping
from experiments.errors import MappingError
from tests.helpers.loads import write_lines

WRONG = """
unit_type: user
emit:
  - to: outcome
    when: {kynd: sale, a: {gtt: 1}}
    set: {event_name: buy, unit_id: {column: who, ass: string}}
    columns: {event_ts: {column: at}, value: {column: price}, browser: {column: b, abs: true}}
  - {to: nowhere, columns: {event_ts: {column: nothing}}}
event_id: {from: [idd, emit_index]}
"""


def said(mapping: Path, file: Path | None) -> dict[str, str]:
    with pytest.raises(MappingError) as caught:
        read_mapping(mapping, file)
    return {problem.path: problem.code for problem in caught.value.problems}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_shape_meaning_and_columns_at_once(tmp_path: Path, kind: str) -> None:
    (tmp_path / "my.yml").write_text(WRONG, encoding="utf-8")
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        write_lines(path, ["id,kind,a,who,at,price", "1,sale,2,u,t,3"])
    else:
        pq.write_table(pa.table({name: ["1"] for name in ("id", "kind", "a", "who", "at", "price")}), path)
    mapping = {
        "emit[0].when.a.gtt": "unknown_field",
        "emit[0].set.event_name": "constant",
        "emit[0].set.unit_id.ass": "unknown_field",
        "emit[0].columns.value": "money_unit",
        "emit[0].columns.browser": "verb",
        "emit[1].to": "unknown_value",
    }
    columns = {
        "emit[0].when.kynd": "no_column",
        "emit[0].columns.browser.column": "no_column",
        "event_id.from[0]": "no_column",
    }
    assert said(tmp_path / "my.yml", None) == mapping
    assert said(tmp_path / "my.yml", path) == mapping | columns
    assert said(tmp_path / "my.yml", tmp_path / "missing.csv") == mapping


def test_what_is_left_out_is_not_missed() -> None:
    with pytest.raises(MappingError) as caught:
        parse_mapping(
            "unit_type: 5\ntime_zone: [UTC]\nemit: [{to: outcome, set: {event_name: view, "
            "event_ts: 2026-01-01 10:00, unit_id: {colum: u}}}]",
            "my.yml",
        )
    assert {problem.path for problem in caught.value.problems} == {
        "unit_type", "time_zone", "emit[0].set.unit_id.colum",
    }  # fmt: skip
