"""One process at a time, by name: gone when the process is, however it ended.

SQLite: a lock file beside the database. PostgreSQL: an advisory lock of its session, so it holds between machines.
A store in memory has one process anyway.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from sqlalchemy import Engine, text

from experiments.errors import StoreError

_OURS = 0x74727565  # "true", the first of two numbers: the writers' lock has one number and is another


@contextmanager
def held(engine: Engine, name: str) -> Iterator[bool]:
    """Whether nobody else has the lock of that name; it is held until the context ends. StoreError: no place for it."""
    if engine.dialect.name == "postgresql":
        with _advisory(engine, name) as free:
            yield free
        return
    database = engine.url.database
    if database in (None, "", ":memory:"):
        yield True
        return
    path = Path(f"{database}.{name}.lock")
    try:
        handle = path.open("a", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); correct the folder's rights") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True  # closing the file gives it back


@contextmanager
def _advisory(engine: Engine, name: str) -> Iterator[bool]:
    given = {"ours": _OURS, "name": crc32(name.encode()) - 2**31}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        free = bool(connection.execute(text("select pg_try_advisory_lock(:ours, :name)"), given).scalar())
        try:
            yield free
        finally:
            if free:
                connection.execute(text("select pg_advisory_unlock(:ours, :name)"), given)
