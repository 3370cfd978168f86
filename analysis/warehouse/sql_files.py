"""Run a .sql file, statement by statement; fetch the one row of a query."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

import sql

SQL_FOLDER = Path(sql.__file__).parent


def run_file(connection: duckdb.DuckDBPyConnection, path: Path, **parameters: str) -> None:
    """Run all statements of the file; `$name` in it is a parameter."""
    for statement in connection.extract_statements(path.read_text(encoding="utf-8")):
        wanted = {name: parameters[name] for name in statement.named_parameters}
        connection.execute(statement, wanted or None)


def first_row(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()
) -> tuple[object, ...] | None:
    """The first row or None; the result is read to its end (DuckDB 2 refuses other work before that)."""
    rows = connection.execute(query, list(parameters)).fetchall()
    return tuple(rows[0]) if rows else None


def number(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()) -> int:
    """The whole number a query of one row and one column returns."""
    row = first_row(connection, query, parameters)
    return int(str(row[0])) if row is not None and row[0] is not None else 0
