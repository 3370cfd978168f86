"""What a load computes for the rows it adds and the earlier rows it touches: stock, margin, category, clicks, sessions.

Everything is computed again from raw rows (sql/enrich/*.sql, one temporary table each), never added up, so that
files give the same tables in whatever order they are loaded.
"""

import duckdb

from analysis.warehouse.sql_files import SQL_FOLDER, run_file

STEPS = ("catalogue_counting", "outcomes_at_event", "slates_at_event", "slates_clicked", "new_sessions")
ENRICHED = (*STEPS, "touched_items", "shown_items", "touched_days")


def enrich(connection: duckdb.DuckDBPyConnection) -> None:
    """Compute every step from the warehouse and the load's own new rows; writes nothing but temporary tables."""
    for step in STEPS:
        run_file(connection, SQL_FOLDER / "enrich" / f"{step}.sql")
