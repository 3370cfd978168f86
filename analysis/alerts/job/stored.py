"""Values of the alerts as the store keeps them: JSON of which equal values have equal texts."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from analysis.alerts.course.acts import Act
from analysis.alerts.course.standing import Standing, from_json
from analysis.alerts.model import Baseline, Detector, Evaluation, Notice
from experiments.store import Store
from experiments.store.alerts import AlertUnit


@dataclass(frozen=True, slots=True)
class _Found:
    evaluation: Evaluation

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="strings")  # an e-value may be infinite


@dataclass(frozen=True, slots=True)
class _Told:
    notice: Notice

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="strings")


@dataclass(frozen=True, slots=True)
class _Kept:
    values: tuple[float, ...]
    end: datetime
    was_reset: bool = False


_FOUND = TypeAdapter(_Found)
_TOLD = TypeAdapter(_Told)
_DETECTOR = TypeAdapter(_Kept)
_BASELINE = TypeAdapter(Baseline)
_ACT = TypeAdapter(Act)


def evaluation_json(evaluation: Evaluation) -> str:
    """What one unit of work found."""
    return _FOUND.dump_json(_Found(evaluation)).decode()


def evaluation(text: str) -> Evaluation:
    """What `evaluation_json` wrote."""
    return _FOUND.validate_json(text).evaluation


def notice_json(notice: Notice) -> str:
    """One thing to be told."""
    return _TOLD.dump_json(_Told(notice)).decode()


def notice(text: str) -> Notice:
    """What `notice_json` wrote."""
    return _TOLD.validate_json(text).notice


def detector_json(detector: Detector | None, *, was_reset: bool = False) -> str | None:
    """A detector's state, and whether it is 0 because an incident was resolved at that end."""
    if detector is None:
        return None
    return _DETECTOR.dump_json(_Kept(detector.values, detector.end, was_reset), exclude_defaults=True).decode()


def detector(text: str | None) -> Detector | None:
    """What `detector_json` wrote."""
    if text is None:
        return None
    kept = _DETECTOR.validate_json(text)
    return Detector(kept.values, kept.end)


def was_reset(text: str | None) -> bool:
    """Whether the detector was set to 0 at that end; False of one that never was, or of none."""
    return text is not None and _DETECTOR.validate_json(text).was_reset


def baseline_json(baseline: Baseline) -> str:
    """A frozen baseline."""
    return _BASELINE.dump_json(baseline).decode()


def baseline(text: str) -> Baseline:
    """What `baseline_json` wrote."""
    return _BASELINE.validate_json(text)


def act_json(act: Act) -> str:
    """What a person did."""
    return _ACT.dump_json(act).decode()


def act(text: str) -> Act:
    """What `act_json` wrote."""
    return _ACT.validate_json(text)


def standing(store: Store) -> Standing:
    """Where everything stands; the empty standing before the first run."""
    kept = store.alerts.standing()
    return Standing() if kept is None else from_json(kept.body)


def newest_evaluations(store: Store) -> tuple[Evaluation, ...]:
    """What the newest evaluated bucket end found, in every unit of work, by fingerprint."""
    kept = store.alerts.standing()
    if kept is None:
        return ()
    return tuple(map(_evaluated, store.alerts.units(since=kept.at, until=kept.at)))


def acts(store: Store) -> tuple[Act, ...]:
    """Everything people did, in that order."""
    return tuple(act(each.body) for each in store.alerts.acts())


def _evaluated(unit: AlertUnit) -> Evaluation:
    return evaluation(unit.evaluation)
