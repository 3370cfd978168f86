"""Connections: one way to read, one way to write, and the schema brought up to date on opening.

Writers take turns: SQLite by BEGIN IMMEDIATE, PostgreSQL by an advisory lock until the transaction ends.
So a write reads what it depends on and no other write comes between. Readers never wait for a writer.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, StatementError
from sqlalchemy.pool import NullPool, StaticPool

from experiments.errors import StoreError, UsageError

HEAD = "0005"  # the newest revision in migrations/versions; a test compares
BUSY_SECONDS = 30
_WRITERS_LOCK = 0x74727565  # PostgreSQL's advisory lock number, ours by convention: "true"


class _Driver(Protocol):
    """What is asked of a SQLite connection as the driver gives it."""

    isolation_level: str | None

    def execute(self, statement: str, /) -> object: ...


def connect(url: str) -> Engine:
    """An engine for `sqlite:///FILE`, `sqlite://` (in memory) or `postgresql://…`, with its schema up to date.

    UsageError when the URL cannot be used, StoreError when the store cannot be reached or is newer than this version.
    """
    address = _address(url)
    engine = _sqlite(address) if address.get_backend_name() == "sqlite" else _postgresql(address)
    try:
        _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one moment of the store."""
    with _translated(engine), engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":  # each statement would see another moment
            connection.execute(text("set transaction isolation level repeatable read, read only"))
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; all or nothing, and no other write meanwhile."""
    with (
        _translated(engine),
        engine.connect().execution_options(truelift_writes=True) as connection,
        connection.begin(),
    ):
        if connection.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _WRITERS_LOCK})
        yield connection


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise StoreError(f"{where}: {str(error.orig).strip()}; {_next_step(str(error.orig))}") from error
    except StatementError as error:
        raise (error.orig or error) from None  # a value that no column takes, such as a naive instant


def _next_step(message: str) -> str:
    if "locked" in message:
        return f"another process has been writing for {BUSY_SECONDS} s: try again when it is done"
    if "full" in message or "space" in message:
        return "make room on the disk and repeat the command: nothing was half written"
    if "disk I/O" in message:
        return "the disk is full or failing: make room, or mend it, and repeat the command: nothing was half written"
    if "readonly" in message or "unable to open" in message:
        return "the file and its folder must be writable: correct their rights, or choose another store_url"
    return "check store_url in truelift.toml (or TRUELIFT_STORE_URL) and that it can be reached"


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise UsageError(
            f"store_url {url!r} is not a URL; write sqlite:///FILE or postgresql://user@host/database"
        ) from error
    if address.drivername in ("postgresql", "postgres"):
        address = address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        shown = address.render_as_string(hide_password=True)
        raise UsageError(
            f"store_url {shown}: the store is SQLite or PostgreSQL; write sqlite:///FILE or postgresql://…"
        )
    return address


def _sqlite(address: URL) -> Engine:
    in_memory = address.database in (None, "", ":memory:")
    if not in_memory and not Path(str(address.database)).parent.is_dir():
        raise StoreError(f"{address}: its folder does not exist; make it with `truelift init`, or correct store_url")
    engine = create_engine(
        address,
        poolclass=StaticPool if in_memory else NullPool,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": not in_memory},
    )

    @event.listens_for(engine, "connect")
    def _(driver: _Driver, _record: object) -> None:
        driver.isolation_level = None  # transactions begin where we say, not where the driver guesses
        driver.execute("pragma foreign_keys = on")
        driver.execute("pragma synchronous = full")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        writes = connection.get_execution_options().get("truelift_writes", False)
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    return engine


def _postgresql(address: URL) -> Engine:
    try:
        return create_engine(address, pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise UsageError(f"{address.drivername}: no driver; install truelift's extra `postgres`") from error


def _migrate(engine: Engine) -> None:
    """To HEAD, by whichever process comes first; the others find it done."""
    with reading(engine) as connection:
        if _revision(connection) == HEAD:
            return
    if engine.dialect.name == "sqlite":
        _write_ahead(engine)
    with writing(engine) as connection:
        revision = _revision(connection)
        if revision != HEAD:
            _upgrade(connection, revision)


def _write_ahead(engine: Engine) -> None:
    """WAL stays with the file; SQLite refuses it inside a transaction, and at once while another process writes."""
    deadline = time.monotonic() + BUSY_SECONDS
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        while driver is not None:
            try:
                driver.execute("pragma journal_mode = wal").close()
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise StoreError(f"{engine.url}: {error}; {_next_step(str(error))}") from error
                time.sleep(0.02)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("select version_num from alembic_version")).scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection, revision: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    if revision is not None and revision not in {
        script.revision for script in ScriptDirectory.from_config(config).walk_revisions()
    }:
        raise StoreError(f"the store is at revision {revision}, newer than this truelift ({HEAD}); upgrade truelift")
    command.upgrade(config, "head")
