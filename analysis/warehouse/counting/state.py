"""What a count works with: a schema per experiment and phase, in memory beside the warehouse's file.

unit_totals and cell_totals_* hold every unit's contribution. They are kept until the next count, for the checks that
follow this one. Every count starts from the logs, so writing them to the file would cost a tenth of the count and be
read by nobody; a refresh that works on changed units only will keep them there.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from analysis.warehouse.counting.facts_sql import ROWS, identifier
from experiments.errors import WarehouseError
from experiments.spec import Source

TABLES = {
    "first_exposures": (
        "unit bigint",
        "arm tinyint",
        "arm_key varchar",
        "first_ts timestamp",
        "first_day date",
        "any_phase_first_day date",
        "module varchar",
        "page_category varchar",
        "browser varchar",
        "platform varchar",
        "country varchar",
        "app_version varchar",
        "excluded_reason varchar",
    ),
    "context_values": ("dimension varchar", "named varchar", "code smallint"),
    "cell_values": ("dimension varchar", "named varchar", "code integer", "kept smallint"),
    "unit_extras": ("name varchar", "unit bigint", "value bigint"),
    "level_cells": ("level varchar", "source tinyint", "module integer", "category integer", "cell integer"),
    "finest_cells": ("source tinyint", "module integer", "category integer", "cell integer"),
}
PLACE = "counting"  # the attached database in memory
_SCHEMAS = f"select schema_name from duckdb_schemas() where database_name = '{PLACE}' and schema_name like 'state_%'"
UNIT = ("unit bigint", "arm tinyint", "first_ts timestamp", "first_day date", "seen_before bigint")
CELL = ("unit bigint", "arm tinyint", "module integer", "category integer")


class State:
    """The tables of one experiment and phase. Table names are the module's own, the schema's is checked."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, experiment_key: str, phase: int) -> None:
        own = experiment_key.replace("holdout.", "_", 1)  # no experiment's key begins with "_"
        self._name = identifier(f"state_{own}_{int(phase)}")
        self._connection = connection
        self.schema = f"{PLACE}.{self._name}"

    def empty(self) -> None:
        """Forget every earlier count; then all tables but the totals, empty."""
        run = self._connection.execute
        run(f"attach if not exists ':memory:' as {PLACE}")
        self.forget()
        run(f"create schema {self.schema}")
        for table, columns in TABLES.items():
            self._create(table, columns)

    def forget(self) -> None:
        """Drop what was counted last."""
        for (earlier,) in self._connection.execute(_SCHEMAS).fetchall():
            self._connection.execute(f"drop schema {PLACE}.{identifier(earlier)} cascade")

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor that finds these tables and the warehouse's own by their bare names.

        WarehouseError when another experiment or phase was counted last.
        """
        cursor = self._connection.cursor()
        try:
            found = cursor.execute(f"{_SCHEMAS} and schema_name = $name", {"name": self._name}).fetchall()
            if not found:
                raise WarehouseError(f"{self._name} is not what was counted last; count it first")
            (warehouse,) = cursor.execute("select current_database()").fetchall()[0]
            cursor.execute(f"""set search_path = '{self.schema},"{warehouse}".main'""")
            yield cursor
        finally:
            cursor.close()

    def empty_totals(self, facts: Sequence[str], slices: Sequence[str], parts: dict[Source, tuple[str, ...]]) -> None:
        """The unit table with these fact and slice columns, and each source's cells with theirs."""
        named = [f"{identifier(name)} bigint" for name in facts]
        cells = [f"{identifier(name)} smallint" for name in slices]
        self._create("unit_totals", (*UNIT, *named, "complete tinyint", *cells))
        for source in ROWS:
            self._create(
                f"cell_totals_{source}", (*CELL, *(f"{identifier(name)} bigint" for name in parts.get(source, ())))
            )

    def insert(self, table: str, rows: Sequence[tuple[str | int, ...]]) -> None:
        """Append a few rows, in the order of the table's columns."""
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            lists = ", ".join(f"unnest(${place})" for place in range(1, len(columns) + 1))
            self._connection.execute(f"insert into {self.schema}.{table} select {lists}", columns)

    def _create(self, table: str, columns: Sequence[str]) -> None:
        self._connection.execute(f"create or replace table {self.schema}.{table} ({', '.join(columns)})")
