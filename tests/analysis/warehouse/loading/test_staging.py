"""What is staged is there for every later statement of the same transaction, however many row groups it fills."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.warehouse.loading.mapping import FileFormat
from analysis.warehouse.loading.sources import open_source, stage

ROWS = 400_000  # over three row groups of DuckDB


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_filter_finds_every_staged_row_inside_the_transaction(kind: str, tmp_path: Path) -> None:
    numbers = np.arange(ROWS)
    file = tmp_path / f"log.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"n": numbers, "at": pa.array(numbers, pa.timestamp("us", tz="UTC"))}), file)
    elif kind == "csv":
        file.write_text("n\n" + "\n".join(map(str, numbers)) + "\n", encoding="utf-8")
    else:
        file.write_text("\n".join(f'{{"n": {n}}}' for n in numbers) + "\n", encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute("begin")
        staged = stage(connection, open_source(file, FileFormat()), ("n",), lambda _done, _total: None)
        assert staged.rows == ROWS
        name, _ = staged.columns["n"]
        found = connection.execute(f"select count(*), sum({name}::bigint) from stage where line >= 1").fetchall()
        assert found == [(ROWS, int(numbers.sum()))]
        last = connection.execute(f"select line from stage where {name}::bigint = {ROWS - 1}").fetchall()
        assert last == [(ROWS + (kind == "csv"),)]  # after its header
