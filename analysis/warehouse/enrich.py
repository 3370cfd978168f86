"""What a load computes for the rows it touches (sql/enrich/*.sql): stock, margin, category, clicks, sessions."""

from pathlib import Path

import duckdb

from analysis.warehouse.sql_files import run_file

ENRICH_FOLDER = Path(__file__).parents[2] / "sql" / "enrich"
STEPS: tuple[str, ...] = ()


def enrich(connection: duckdb.DuckDBPyConnection, load_id: str) -> None:
    """Run every step for the rows of this load and the earlier rows it changes."""
    for step in STEPS:
        run_file(connection, ENRICH_FOLDER / step, load_id=load_id)
