"""Open the warehouse: one process at a time, by warehouse.lock beside the file (ARCHITECTURE, decision 6).

DuckDB lets one process write or several read, never both, and a second one gets an I/O error; the lock turns
that into waiting, and into a name. The lock belongs to the process: it is gone when the process is.
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb

from analysis.locking import alone
from analysis.warehouse.contract_sql import SCHEMA_FILE
from analysis.warehouse.sql_files import first_row
from analysis.warehouse.terms import ShopTerms
from experiments.errors import WarehouseBusyError, WarehouseError

_FULL = ("No space left", "File too large", "Disk quota exceeded")
_NOT_WRITABLE = ("Permission denied", "Read-only file system", "Is a directory")


def lock_path(path: Path) -> Path:
    """The lock file of a warehouse file."""
    return path.with_name("warehouse.lock")


@contextmanager
def open_connection(path: Path, *, wait_seconds: float = 0.0) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the warehouse file, made with its tables when new, in UTC; closing it releases the lock.

    WarehouseBusyError (exit 5) names the process that holds the lock after `wait_seconds`;
    WarehouseError says when the file is no warehouse of this version.
    """
    with _locked(path, wait_seconds):
        try:
            connection = duckdb.connect(str(path))
        except duckdb.Error as error:
            raise _no_warehouse(path, error) from error
        try:
            try:
                prepare(connection, path)
            except duckdb.Error as error:
                raise _no_warehouse(path, error) from error
            yield connection
        finally:
            connection.close()


def open_memory() -> duckdb.DuckDBPyConnection:
    """A warehouse that is gone when closed: for `truelift check` and tests."""
    connection = duckdb.connect(":memory:")
    prepare(connection, Path(":memory:"))
    return connection


def prepare(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the tables of sql/schema.sql, or refuse a file made by another version of them."""
    connection.execute("set timezone = 'UTC'")
    schema = SCHEMA_FILE.read_text(encoding="utf-8")
    digest = hashlib.sha256(schema.encode()).hexdigest()
    connection.execute("create table if not exists warehouse (schema_digest varchar not null)")
    found = first_row(connection, "select schema_digest from warehouse")
    if found is None:
        connection.execute("begin")
        connection.execute(schema)
        connection.execute("insert into warehouse values (?)", [digest])
        connection.execute("commit")
    elif found[0] != digest:
        raise WarehouseError(
            f"{path}: made by another version of truelift (tables {str(found[0])[:12]}, wanted {digest[:12]}); "
            f"move the file away and load the logs again"
        )


def kept_terms(connection: duckdb.DuckDBPyConnection) -> ShopTerms | None:
    """The terms the rows were loaded under; None while there are none."""
    found = connection.execute("select currency, money_digits, time_zone from terms").fetchall()
    return ShopTerms(*found[0]) if found else None


def first_line(error: Exception) -> str:
    """The first line of a database error, for a message."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def next_step(error: Exception) -> str | None:
    """What to do where the disk is the cause; None where it is not."""
    said = str(error)
    if any(cause in said for cause in _FULL):
        return "make room on the disk and repeat the command"
    if any(cause in said for cause in _NOT_WRITABLE):
        return "the file and its folder must be writable: correct their rights, or choose another warehouse path"
    return None


def _locked(path: Path, wait_seconds: float) -> AbstractContextManager[None]:
    lock = lock_path(path)
    return alone(
        lock,
        wait_seconds=wait_seconds,
        busy=lambda who: WarehouseBusyError(
            f"{path}: {who} is using the warehouse and did not finish within {wait_seconds:g} s; "
            "wait longer with --wait"
        ),
        refused=lambda error: _unwritable(lock, error),
    )


def _no_warehouse(path: Path, error: duckdb.Error) -> WarehouseError:
    step = next_step(error) or "move the file away and load the logs again"
    return WarehouseError(f"{path}: cannot be opened as a warehouse ({first_line(error)}); {step}")


def _unwritable(lock: Path, error: OSError) -> WarehouseError:
    step = next_step(error) or "choose another warehouse path"
    return WarehouseError(f"{lock}: cannot be written ({error.strerror}); {step}")
