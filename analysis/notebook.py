"""The shop in a notebook: `from analysis import open_shop; open_shop(home).readout(key).to_frame()`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import subjects
from analysis.pipeline import read
from analysis.readout import Readout
from experiments import shop as folders
from experiments.errors import NotFoundError
from experiments.store import Store

if TYPE_CHECKING:  # pandas costs half a second: only `to_frame` pays for it
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Reading:
    """One published readout: the value itself, and its numbers as a table."""

    readout: Readout

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return self.readout.verdict.sentence

    def to_frame(self) -> "pd.DataFrame":
        """One row a number with its range, stamped with where it comes from: `analysis.exports.rows.Row`.

        A withheld readout gives verdict, arm and check rows only. `est` is missing for a noise cell.
        """
        import pandas as pd

        from analysis.exports.rows import COLUMNS, records

        return pd.DataFrame.from_records(records(self.readout), columns=list(COLUMNS))


@dataclass(frozen=True, slots=True)
class Notebook:
    """A shop's published readouts. Reads the store only; nothing here counts or publishes."""

    store_url: str

    def keys(self) -> list[str]:
        """The registered experiments, and the holdouts as `holdout.<key>`."""
        with Store.open(self.store_url) as store:
            return [each.key for each in subjects.everything(store)]

    def readout(self, key: str, *, snapshot_id: str | None = None, phase: int | None = None) -> Reading:
        """The latest published readout of an experiment (or of `phase`), or one snapshot of it.

        NotFoundError when there is none, with the next step.
        """
        with Store.open(self.store_url) as store:
            return Reading(published(store, key, snapshot_id=snapshot_id, phase=phase))


def open_shop(home: str | Path | None = None) -> Notebook:
    """The shop at `home`, else at TRUELIFT_HOME, else ./shop. NotFoundError when there is none."""
    return Notebook(folders.open_shop(None if home is None else Path(home)).store_url)


def published(store: Store, key: str, *, snapshot_id: str | None = None, phase: int | None = None) -> Readout:
    """A published readout from an open store: the latest, or one snapshot. NotFoundError with the next step."""
    if snapshot_id is not None:
        found = read(store.snapshot(snapshot_id))
        if found.experiment.key != key:
            raise NotFoundError(
                f"snapshot {snapshot_id} is of {found.experiment.key}, not of {key}; "
                f"`truelift readout {found.experiment.key} --snapshot {snapshot_id}` prints it"
            )
        return found
    subjects.definition(store, key)  # an unknown key names its nearest
    latest = store.latest(key, phase)
    if latest is None:
        of = f" of phase {phase}" if phase is not None else ""
        raise NotFoundError(f"{key}: nothing{of} is published yet; run `truelift refresh {key}`")
    return read(latest)
