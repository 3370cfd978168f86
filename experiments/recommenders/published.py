"""The fitted strategies a service answers with: folders that never change, and one file that names the newest.

    published/models.json                        which strategy with which parameters is in which folder
    published/models/<name>-<version>/           a fitted strategy
    published/models/catalogue-<digest>.parquet  the catalogue it was fitted on

Everything is written beside its place and renamed into it, so that a reader has the old or the new, never half of one.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import msgspec
import pyarrow.parquet as pq

from experiments.errors import NotFoundError, UsageError
from experiments.recommenders.fitted import Fitted, load
from experiments.recommenders.shelf import Shelf, shelf
from experiments.recommenders.training import TrainingData
from experiments.strategies import Value

POINTER, FOLDER = "models.json", "models"
_SCHEMA = "models.v1"


class Entry(msgspec.Struct, frozen=True):
    """One fitted strategy; `params` with every default."""

    strategy: str
    params: dict[str, Value]
    folder: str


class Pointer(msgspec.Struct, frozen=True):
    """What `models.json` says; names are within published/models."""

    schema: str
    as_of: datetime
    catalogue: str
    models: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything a service needs to answer, as of one fitting."""

    as_of: datetime
    shelf: Shelf
    models: Sequence[Fitted]


def publish(published: Path, fitted: Sequence[Fitted], data: TrainingData) -> tuple[str, ...]:
    """Keep these strategies and the catalogue of their data as the newest; the folders that were written.

    What neither this nor the last pointer names is deleted: a reader may still be reading the last.
    """
    if data.as_of is None:
        raise UsageError("the training data have no end: cut them with until(as_of)")
    rooms = published / FOLDER
    rooms.mkdir(parents=True, exist_ok=True)
    last = pointer(published)
    catalogue = f"catalogue-{data.digest[:12]}.parquet"
    if not (rooms / catalogue).exists():
        beside = rooms / f".{uuid4().hex}"
        pq.write_table(data.catalogue, beside, compression="zstd")
        os.replace(beside, rooms / catalogue)  # noqa: PTH105
    entries, written = [], []
    for each in fitted:
        entries.append(Entry(each.name, dict(each.params), f"{each.name}-{each.version}"))
        if not (rooms / entries[-1].folder).exists():
            beside = rooms / f".{uuid4().hex}"
            each.save(beside)
            beside.rename(rooms / entries[-1].folder)
            written.append(entries[-1].folder)
    newest = Pointer(_SCHEMA, data.as_of, catalogue, tuple(entries))
    beside = published / f".{uuid4().hex}"
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(newest), indent=2) + b"\n")
    os.replace(beside, published / POINTER)  # noqa: PTH105
    named = {name for each in (last, newest) if each for name in (each.catalogue, *(m.folder for m in each.models))}
    for path in rooms.iterdir():
        if path.name not in named:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return tuple(written)


def pointer(published: Path) -> Pointer | None:
    """What is the newest; None when nothing was published. UsageError for a file that cannot be read."""
    try:
        found = msgspec.json.decode((published / POINTER).read_bytes(), type=Pointer)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise UsageError(f"{published / POINTER}: {error}; fit anew") from error
    if found.schema != _SCHEMA:
        raise UsageError(f"{published / POINTER}: schema {found.schema}, not {_SCHEMA}; fit anew")
    return found


def load_published(published: Path, now: datetime) -> Loaded:
    """The newest strategies, with the catalogue as of `now`. NotFoundError when there are none or a part is missing."""
    newest = pointer(published)
    if newest is None:
        raise NotFoundError(f"{published}: no fitted strategies, it has no {POINTER}; fit them")
    rooms = published / FOLDER
    try:
        catalogue = pq.read_table(rooms / newest.catalogue)
    except FileNotFoundError as error:
        raise NotFoundError(f"{rooms / newest.catalogue}: missing, but {POINTER} names it; fit anew") from error
    return Loaded(newest.as_of, shelf(catalogue, now), tuple(load(rooms / each.folder) for each in newest.models))
