"""The warehouses a shop may keep its logs in: one file each, one line here."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from analysis.warehouse.base import Warehouse


class Opener(Protocol):
    """Opens a warehouse file for the length of a `with`; WarehouseBusyError when another process has it."""

    def __call__(self, path: Path, *, wait_seconds: float = 0.0) -> AbstractContextManager[Warehouse]:
        """The open warehouse; closing it lets the next process in."""


def _duckdb(path: Path, *, wait_seconds: float = 0.0) -> AbstractContextManager[Warehouse]:
    from analysis.warehouse.duckdb import opened  # only a process that counts pays for the import

    return opened(path, wait_seconds=wait_seconds)


WAREHOUSES: Mapping[str, Opener] = {"duckdb": _duckdb}
DEFAULT = "duckdb"
