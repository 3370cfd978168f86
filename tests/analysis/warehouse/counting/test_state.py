import pytest

from analysis.warehouse.connection import open_memory
from analysis.warehouse.counting.state import State
from experiments.errors import WarehouseError


def test_starting_over_empties_the_tables() -> None:
    with open_memory() as connection:
        state = State(connection, "demo", 1)
        state.empty()
        state.insert("level_cells", [("module", 0, 1, 1, 0)])
        state.empty()
        assert connection.execute(f"select count(*) from {state.schema}.level_cells").fetchall() == [(0,)]


def test_only_what_was_counted_last_can_be_read_by_bare_names() -> None:
    with open_memory() as connection:
        first, last = State(connection, "demo", 1), State(connection, "demo", 2)
        first.empty()
        last.empty()
        last.empty_totals(["f_1"], ["s_device"], {"slates": ("f_1",)})
        with last.cursor() as cursor:
            both = "select (select count(*) from unit_totals), (select count(*) from exposures)"
            assert cursor.execute(both).fetchall() == [(0, 0)]
        with pytest.raises(WarehouseError, match="count it first"), first.cursor():
            pass


def test_a_state_is_never_in_the_warehouses_own_schemas() -> None:
    with open_memory() as connection:
        State(connection, "demo", 1).empty()
        own = "select schema_name from duckdb_schemas() where database_name = current_database()"
        assert not [name for (name,) in connection.execute(own).fetchall() if name.startswith("state")]


def test_a_key_that_is_no_name_cannot_name_a_schema() -> None:
    with open_memory() as connection, pytest.raises(WarehouseError):
        State(connection, "demo; drop schema main", 1)
