"""An earlier run in the store: its readout, and exact moments of units whose truth is known."""

import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from analysis.assembly.identity import moments_json
from analysis.inference.moments import CellKey, Moments, pair
from analysis.readout import Readout
from analysis.warehouse.base import Counts
from experiments.catalogue import shipped_metrics
from experiments.spec import Experiment
from experiments.store import Snapshot, Store
from tests.helpers import published
from tests.helpers.readouts import example

UNITS = 1_000_000  # in the control arm
PER_ARM = 35_000  # units a day: 70,000 of both arms
FIRST = date(2026, 9, 1)


def facts(key: str) -> tuple[str, ...]:
    """The names of a shipped metric's facts in moments: numerator, then denominator."""
    return tuple(fact.key for fact in shipped_metrics()[key].facts(None))


def control() -> Moments:
    """3 % of units order one line each, 8 % of the lines come back; 10 % of units spend 30.00, the others nothing."""
    back, lines = facts("return_rate")
    (revenue,) = facts("revenue_per_unit")
    ordered, returned, spent = UNITS * 3 // 100, UNITS * 3 * 8 // 10_000, UNITS // 10
    return Moments(
        UNITS,
        {back: returned, lines: ordered, revenue: spent * 3000},
        {
            pair(back, back): returned,
            pair(back, lines): returned,
            pair(lines, lines): ordered,
            pair(revenue, revenue): spent * 3000**2,
        },
        {back: returned, lines: ordered, revenue: spent},
    )


def run(key: str = "home_als_v1", modules: Sequence[str] = ("homepage",), **changes: object) -> Readout:
    """A readout of the run; `changes` replace top-level fields."""
    reading = example("CANT_TELL")
    head = reading.experiment.model_copy(update={"key": key, "modules": tuple(modules)})
    return reading.model_copy(update={"snapshot_id": f"{sum(key.encode()):016x}", "experiment": head, **changes})


def definition(reading: Readout) -> Experiment:
    """What the run was started from."""
    return published.definition(reading).model_copy(update={"unit_type": reading.experiment.unit_type})


def publish(
    store: Store,
    reading: Readout,
    moments: Moments | None = None,
    *,
    days: int = 14,
    daily: bool = True,
    as_of: datetime = datetime(2026, 10, 1, tzinfo=UTC),
) -> None:
    """Register the run and publish it; `days` of `PER_ARM` units a day came to each arm."""
    arms: Mapping[str, Moments] = {arm.key: moments or control() for arm in reading.arms}
    series = {FIRST + timedelta(days=n): dict.fromkeys(arms, Moments(PER_ARM * (n + 1))) for n in range(days)}
    counts = Counts(
        cells={CellKey.overall(None): arms, CellKey("context", "device", ("web",), None): arms},
        daily=series if daily else {},
        units=dict.fromkeys(arms, PER_ARM * days),
        excluded={},
        days_with_data=days,
        data_as_of=None,
        loads=(),
    )
    key = reading.experiment.key
    if store.find(key) is None:
        store.save_definition(
            definition(reading), {}, expected_version=0, actor="ann", reason="", now=datetime(2026, 9, 1, tzinfo=UTC)
        )
    store.publish(
        Snapshot(
            reading.snapshot_id, key, 1, as_of, as_of, None, "readout.v1", reading.verdict.code,
            zlib.compress(reading.to_json().encode()), zlib.compress(moments_json(counts).encode()),
        )
    )  # fmt: skip
