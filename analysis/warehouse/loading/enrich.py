"""What a load computes for its rows and the earlier ones it touches.

Stock, margin, category, clicks, sessions and returns. Everything is computed again from raw rows (sql/enrich/*.sql, one
temporary table each), never added up, so that files give the same tables in whatever order they are loaded.
"""

import duckdb

from analysis.warehouse.sql_files import SQL_FOLDER, run_file

STEPS = (
    "catalogue_counting", "outcomes_at_event", "slates_at_event", "slates_clicked", "new_sessions", "touched_orders",
    "new_returns",
)  # fmt: skip
ENRICHED = (*STEPS, "touched_items", "shown_items", "touched_days")


def enrich(connection: duckdb.DuckDBPyConnection, *, from_log: str) -> None:
    """Compute every step from the warehouse and the load's own new rows; writes nothing but temporary tables.

    `from_log` is yes for a load of the exposure log, whose catalogue rows say only what changed, else no.
    """
    for step in STEPS:
        run_file(connection, SQL_FOLDER / "enrich" / f"{step}.sql", from_log=from_log)


def link_returns(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill the table `returns` from all rows of outcomes: for rows that no load brought."""
    orders = "select distinct unit, order_id from outcomes where order_id is not null"
    connection.execute(f"create or replace temp table touched_orders as {orders}")
    connection.execute("create or replace temp table new_outcomes as select * from outcomes where false")
    connection.execute(
        "create or replace temp table unit_keys as select unit, unit_type, unit_id from units where false"
    )
    run_file(connection, SQL_FOLDER / "enrich" / "new_returns.sql")
    connection.execute("delete from returns")
    connection.execute("insert into returns by name select * from new_returns")
    for made in ("touched_orders", "new_outcomes", "unit_keys", "new_returns"):
        connection.execute(f"drop table {made}")
