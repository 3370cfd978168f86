"""A strategy fitted on data: its model with what it was made from, and the folder it is kept in.

`experiments.strategies` names a strategy and its parameters; the file of that name in this package has a `Model`, a
function `fit` that makes one, and the number of its `CODE`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast
from zipfile import BadZipFile

import numpy as np

from experiments.base import digest
from experiments.errors import DefinitionError, NotFoundError, Problem, UsageError
from experiments.recommenders import base
from experiments.recommenders.base import Candidates, Index, Reason, Request, Requests
from experiments.recommenders.training import TrainingData
from experiments.strategies import BUILT_IN, STRATEGIES, Value, param_fault, strategy_fault

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FORMAT = 1  # of the folder


class StrategyFile(Protocol):
    """What a file of a strategy has at its top level."""

    CODE: int  # goes up whenever the same data and parameters would give other slates
    Model: type[base.Model]

    def fit(self, data: TrainingData, *, seed: int, **params: Value) -> base.Model:
        """Learn from data that are already cut."""
        ...


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a strategy was fitted on: rows before as_of."""

    interactions: int
    orders: int
    catalogue: int
    items: int  # that it knows
    data_digest: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """A strategy that can answer. `version` tells apart what would answer differently: code, parameters, data, seed."""

    name: str
    version: str  # 12 hex digits
    params: Mapping[str, Value]  # every one, defaults included
    as_of: datetime
    seed: int
    report: FitReport
    model: base.Model

    def retrieve(self, requests: Requests, n: int) -> Candidates:
        """The best `n` items for each request, before any rule."""
        return self.model.retrieve(requests, n)

    def explain(self, request: Request, item_id: str) -> Reason:
        """Why it would show this item."""
        return self.model.explain(request, item_id)

    def save(self, folder: Path) -> None:
        """Write it into a new folder: model.json and arrays.npz."""
        folder.mkdir(parents=True)
        arrays: dict[str, np.ndarray] = {}
        values: dict[str, object] = {}
        for field in fields(cast("DataclassInstance", self.model)):
            value = getattr(self.model, field.name)
            if isinstance(value, Index):
                arrays[f"index:{field.name}"] = value.ids
            elif isinstance(value, np.ndarray):
                arrays[f"array:{field.name}"] = value
            else:
                values[field.name] = value
        with (folder / "arrays.npz").open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        said = {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "params": dict(self.params),
            "as_of": self.as_of.isoformat(),
            "seed": self.seed,
            "report": asdict(self.report),
            "values": values,
        }
        (folder / "model.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def fit(
    name: str, data: TrainingData, *, as_of: datetime, seed: int = 0, params: Mapping[str, object] | None = None
) -> Fitted:
    """Fit a strategy on the data before `as_of`; it is never given what came later.

    DefinitionError with every wrong parameter, UsageError for a strategy that is not built in.
    """
    file = _file(name)
    values = parameters(name, params or {})
    known = data.until(as_of)
    model = file.fit(known, seed=seed, **values)
    return Fitted(
        name=name,
        version=digest([name, file.CODE, values, known.digest, as_of.astimezone(UTC).isoformat(), seed])[:12],
        params=values,
        as_of=as_of,
        seed=seed,
        report=FitReport(
            interactions=len(known.interactions),
            orders=len(known.orders),
            catalogue=len(known.catalogue),
            items=len(model.items),
            data_digest=known.digest,
        ),
        model=model,
    )


def parameters(name: str, given: Mapping[str, object]) -> dict[str, Value]:
    """Every parameter of a strategy, with its default where it is not given; not what its flags are answered."""
    faults = ((param, value, param_fault(name, param, value)) for param, value in given.items())
    problems = [
        Problem("params_schema", f"params.{param}", value, fault[0], fault[1], fault[2])
        for param, value, fault in faults
        if fault
    ]
    if problems:
        raise DefinitionError(name, problems)
    return {
        param: known.kind(cast("Value", given.get(param, known.default))) for param, known in STRATEGIES[name].items()
    }


def load(folder: Path) -> Fitted:
    """The strategy kept in a folder. NotFoundError when there is none, UsageError when it cannot be read here."""
    try:
        said = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if said["format"] != FORMAT:
            raise UsageError(f"{folder}: format {said['format']}, this version reads {FORMAT}; fit it anew")
        kept: dict[str, object] = dict(said["values"])
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            for key in arrays.files:
                kind, _, field = key.partition(":")
                kept[field] = Index(arrays[key]) if kind == "index" else arrays[key]
        return Fitted(
            name=said["name"],
            version=said["version"],
            params=said["params"],
            as_of=datetime.fromisoformat(said["as_of"]),
            seed=said["seed"],
            report=FitReport(**said["report"]),
            model=_file(said["name"]).Model(**kept),
        )
    except FileNotFoundError as error:
        raise NotFoundError(f"{folder}: no fitted strategy, there is no {error.filename}; fit one") from error
    except (KeyError, TypeError, ValueError, BadZipFile) as error:
        raise UsageError(f"{folder}: not a fitted strategy that can be read ({error}); fit it anew") from error


def _file(name: str) -> StrategyFile:
    fault = strategy_fault(name)
    if fault:
        message, near, step = fault
        raise DefinitionError("strategy", [Problem("unknown_strategy", "name", name, message, near, step)])
    if name not in BUILT_IN:
        raise UsageError(f"{name}: a known name, but not built in; choose one of {', '.join(BUILT_IN)}")
    return cast("StrategyFile", import_module(f"experiments.recommenders.{name}"))
