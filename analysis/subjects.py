"""What can be read: the registered experiments, and every holdout as `holdout.<key>`."""

from dataclasses import dataclass

from experiments.holdouts import as_experiment, as_phase, holdout, holdouts, is_holdout
from experiments.lifecycle import amended
from experiments.shop import Shop
from experiments.spec import Experiment, Phase
from experiments.store import Store


@dataclass(frozen=True, slots=True)
class Subject:
    """A phase as it is read now, with the version it was registered as."""

    phase: Phase
    version: int
    exploratory: frozenset[str] = frozenset()  # metrics that the phase did not freeze


def subject(store: Store, shop: Shop, key: str, number: int | None = None) -> Subject:
    """An experiment's newest phase, or the one of that number; a holdout's only one. NotFoundError without any."""
    if is_holdout(key):
        held = holdout(store, key)
        versions = [row for row in store.audit(held.key) if row.action == "register_holdout"]
        return Subject(as_phase(held, shop), len(versions))
    registered = store.definition(key)
    started = store.phase(key, number)
    phase = amended(started, registered)
    added = frozenset(phase.experiment.metrics.keys()) - frozenset(started.experiment.metrics.keys())
    return Subject(phase, registered.version, added)


def everything(store: Store) -> tuple[Experiment, ...]:
    """Each experiment at its newest version, by key, then each holdout."""
    return (*(known.experiment for known in store.registered()), *holdouts(store))


def definition(store: Store, key: str) -> Experiment:
    """One of them. NotFoundError names the nearest."""
    if is_holdout(key):
        return as_experiment(holdout(store, key))
    return store.definition(key).experiment


def to_be_read(store: Store) -> tuple[str, ...]:
    """Whose readout somebody waits for: experiments that are not decided, and holdouts."""
    own = (known.key for known in store.registered() if known.is_read)
    return (*own, *(each.key for each in holdouts(store)))
