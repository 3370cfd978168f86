"""What a count leaves behind, in a schema of its own per experiment and phase, for the next count to start from.

unit_totals and cell_totals_* hold every unit's contribution, moments and moments_daily the sums over units, `counted`
the cut at which all of it is complete. `counted` is emptied first and filled last, so a count that was cut off leaves
nothing that looks whole.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import duckdb

from analysis.warehouse.facts_sql import ROWS, identifier
from analysis.warehouse.moment_table import Groups
from experiments.spec import Source, canonical

FIRST_EXPOSURES = """create table if not exists first_exposures (
    experiment_key varchar not null,
    phase integer not null,
    unit bigint not null,
    arm tinyint not null,
    arm_key varchar not null,
    first_ts timestamp not null,
    first_day date not null,
    any_phase_first_day date not null,
    module varchar not null,
    page_category varchar not null,
    browser varchar not null,
    platform varchar not null,
    country varchar not null,
    app_version varchar not null,
    excluded_reason varchar,
)"""
TABLES = {
    "counted": ("as_of timestamp", "columns varchar[]"),
    "context_values": ("dimension varchar", "named varchar", "code smallint"),
    "cell_values": ("dimension varchar", "named varchar", "code integer", "kept smallint"),
    "unit_extras": ("name varchar", "unit bigint", "value bigint"),
    "level_cells": ("level varchar", "source tinyint", "module integer", "category integer", "cell integer"),
    "finest_cells": ("source tinyint", "module integer", "category integer", "cell integer"),
    "moments": ("kind varchar", "name varchar", "arm tinyint", "complete tinyint", "cell integer", "numbers varchar"),
    "moments_daily": ("kind varchar", "arm tinyint", "complete tinyint", "day integer", "numbers varchar"),
}
NUMBER = "bigint using compression uncompressed"  # looking for the best compression costs as much as counting
UNIT = ("unit bigint", "arm tinyint", "first_ts timestamp", "first_day date", "seen_before bigint")
CELL = (f"unit {NUMBER}", "arm tinyint", "module integer", "category integer")


class State:
    """The tables of one experiment and phase. Table names are the module's own, the schema's is checked."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, experiment_key: str, phase: int) -> None:
        self.schema = identifier(f"state_{experiment_key}_{int(phase)}")
        self._connection = connection

    def empty(self) -> None:
        """Start over: every table but the totals, empty."""
        self._connection.execute(f"create schema if not exists {self.schema}")
        self._connection.execute(FIRST_EXPOSURES)
        for table, columns in TABLES.items():
            self._create(table, columns)

    def empty_totals(self, facts: Sequence[str], slices: Sequence[str], parts: dict[Source, tuple[str, ...]]) -> None:
        """The unit table with these fact and slice columns, and each source's cells with theirs."""
        named = [f"{identifier(name)} {NUMBER}" for name in facts]
        cells = [f"{identifier(name)} smallint" for name in slices]
        self._create("unit_totals", (*UNIT, *named, "complete tinyint", *cells))
        for source in ROWS:
            self._create(
                f"cell_totals_{source}", (*CELL, *(f"{identifier(name)} {NUMBER}" for name in parts.get(source, ())))
            )

    def insert(self, table: str, rows: Sequence[tuple[str | int, ...]]) -> None:
        """Append a few rows, in the order of the table's columns."""
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            lists = ", ".join(f"unnest(${place})" for place in range(1, len(columns) + 1))
            self._connection.execute(f"insert into {self.schema}.{table} select {lists}", columns)

    def keep(self, kind: str, name: str, groups: Groups) -> None:
        """One statement's sums, by group; the numbers as a JSON list."""
        self.insert("moments", [(kind, name, *group, canonical(vector.tolist())) for group, vector in groups.items()])

    def keep_days(self, kind: str, groups: Groups) -> None:
        """One statement's sums by day, counted from 1 January 1970."""
        self.insert("moments_daily", [(kind, *group, canonical(vector.tolist())) for group, vector in groups.items()])

    def complete(self, as_of: datetime, columns: Sequence[str]) -> None:
        """Say at which cut everything here stands."""
        self._connection.execute(f"insert into {self.schema}.counted values (?, ?)", [as_of, list(columns)])

    def _create(self, table: str, columns: Sequence[str]) -> None:
        self._connection.execute(f"create or replace table {self.schema}.{table} ({', '.join(columns)})")


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing."""
    connection.execute("begin")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")
