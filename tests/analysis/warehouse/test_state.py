from datetime import datetime

import duckdb
import numpy as np
import pytest

from analysis.warehouse.connection import open_memory
from analysis.warehouse.state import State, transaction
from experiments.errors import WarehouseError


def test_numbers_beyond_64_bits_are_kept_whole() -> None:
    with open_memory() as connection:
        state = State(connection, "demo", 1)
        state.empty()
        state.keep("context", "device", {(0, 1, 2): np.array([3, 2**100], dtype=object)})
        found = connection.execute("select * from state_demo_1.moments").fetchall()
        assert found == [("context", "device", 0, 1, 2, f"[3,{2**100}]")]


def test_starting_over_empties_the_mark_and_the_tables() -> None:
    with open_memory() as connection:
        state = State(connection, "demo", 1)
        state.empty()
        state.empty_totals(["f_1"], ["s_device"], {"slates": ("f_1",)})
        state.insert("level_cells", [("module", 0, 1, 1, 0)])
        state.complete(datetime(2026, 1, 1), ["f_1"])
        state.empty()
        counts = [f"(select count(*) from state_demo_1.{table})" for table in ("counted", "level_cells", "unit_totals")]
        assert connection.execute(f"select {', '.join(counts)}").fetchall() == [(0, 0, 0)]


def test_a_key_that_is_no_name_cannot_name_a_schema() -> None:
    with open_memory() as connection, pytest.raises(WarehouseError):
        State(connection, "demo; drop schema main", 1)


def test_a_transaction_is_all_or_nothing() -> None:
    with open_memory() as connection:
        connection.execute("create table t (a integer)")
        with pytest.raises(duckdb.Error), transaction(connection):
            connection.execute("insert into t values (1); select nonsense")
        assert connection.execute("select count(*) from t").fetchall() == [(0,)]
