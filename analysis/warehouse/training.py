"""What strategies are fitted on, from the warehouse: Arrow tables, never a connection."""

from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from analysis.warehouse.sql_files import SQL_FOLDER
from experiments.recommenders.training import TrainingData


def training_data(connection: duckdb.DuckDBPyConnection, until: datetime) -> TrainingData:
    """The logs before `until`: who viewed, clicked, put into the cart and ordered what, and the catalogue's rows."""
    cut = until.astimezone(UTC).replace(tzinfo=None)
    return TrainingData(*(_table(connection, name, cut) for name in ("interactions", "orders", "catalogue")))


def _table(connection: duckdb.DuckDBPyConnection, name: str, until: datetime) -> pa.Table:
    query = (SQL_FOLDER / "training" / f"{name}.sql").read_text(encoding="utf-8")
    return connection.sql(query, params={"until": until}).to_arrow_table()
