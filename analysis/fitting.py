"""Fit the strategies a shop's slots, arms and holdouts name, on its own logs, and publish them for the service."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from analysis.warehouse.connection import open_connection
from analysis.warehouse.training import training_data
from assignment.bundle import Bundle, compile_bundle
from experiments.bundle import bundle_document
from experiments.errors import UsageError
from experiments.own_checks import FINISHED
from experiments.recommenders.fitted import Fitted, fit, parameters
from experiments.recommenders.published import publish
from experiments.shop import Shop
from experiments.store import Store
from experiments.strategies import BUILT_IN, Value

RUNGS = ("category_popularity", "popularity")  # of the cold ladder: fitted even where nobody names them


@dataclass(frozen=True, slots=True)
class Wanted:
    """A strategy with all its parameters, and who names it."""

    strategy: str
    params: Mapping[str, Value]
    named_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fitting:
    """What was fitted, in the order of `wanted`, which folders are new, and what is named but not built in."""

    as_of: datetime
    wanted: Sequence[Wanted]
    fitted: Sequence[Fitted]
    written: Sequence[str]
    elsewhere: Mapping[str, Sequence[str]]  # strategy → who names it


def fit_shop(shop: Shop, store: Store, *, as_of: datetime, seed: int, wait_seconds: float = 0.0) -> Fitting:
    """Fit and publish everything that is named, on the logs before `as_of`.

    UsageError when nothing was ever loaded; WarehouseBusyError when another process has the warehouse.
    """
    if not shop.warehouse_path.exists():
        raise UsageError(f"{shop.warehouse_path}: no logs are loaded, so there is nothing to learn from; load some")
    wants, elsewhere = wanted(compile_bundle(bundle_document(store, shop)))
    with open_connection(shop.warehouse_path, wait_seconds=wait_seconds) as connection:
        data = training_data(connection, as_of)
    known = data.until(as_of)
    fitted = [fit(each.strategy, known, as_of=as_of, seed=seed, params=each.params) for each in wants]
    return Fitting(as_of, wants, fitted, publish(shop.published, fitted, known), elsewhere)


def wanted(bundle: Bundle) -> tuple[Sequence[Wanted], Mapping[str, Sequence[str]]]:
    """Each different strategy that is built in, those of arms first; and who names which others."""
    found: dict[str, Wanted] = {}
    elsewhere: dict[str, list[str]] = {}
    for name, params, who in _named(bundle):
        if name not in BUILT_IN:
            elsewhere.setdefault(name, []).append(who)
            continue
        values = parameters(name, params)
        key = f"{name} {sorted(values.items())}"
        found[key] = Wanted(name, values, (*(found[key].named_by if key in found else ()), who))
    return tuple(found.values()), elsewhere


def _named(bundle: Bundle) -> Iterator[tuple[str, Mapping[str, object], str]]:
    for plan in bundle.plans.values():
        if plan.state not in FINISHED:
            yield from ((arm.strategy, arm.params, f"{plan.key} {arm.key}") for arm in plan.arms)
    yield from ((slot.default_strategy, {}, slot.flag_key) for slot in bundle.slots.values())
    yield from ((held.strategy, {}, f"holdout {held.key}") for held in bundle.holdouts.values())
    yield from ((name, {}, "the cold ladder") for name in RUNGS)
