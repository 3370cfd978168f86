"""A readout as a tidy table: one row a number with its range. What the CSV file and the notebook share."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace

from analysis.readout import ArmValue, Comparison, Estimate, Interval, MetricReadout, NotDetermined, Readout


@dataclass(frozen=True, slots=True)
class Row:
    """One number, stamped with where it comes from.

    `section` is verdict, arm, check, metric, slice or series. `measure` says what `est`, `lo` and `hi`
    are; `unit` is lift (a fraction), money (the currency's main unit), count, share or ms. `est` is
    empty for a noise cell, whose point means nothing; `note` says why a number is missing, or that its metric was not
    frozen when the phase started.
    """

    experiment: str
    phase: int
    snapshot_id: str
    as_of: str
    data_as_of: str | None
    method_version: str
    verdict_rule: int
    currency: str
    section: str
    key: str
    arm: str | None = None
    cell: str | None = None
    measure: str | None = None
    unit: str | None = None
    est: float | None = None
    lo: float | None = None
    hi: float | None = None
    units: int | None = None
    status: str | None = None
    note: str | None = None


EXPLORATORY = "exploratory: added after the phase started"
COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Row))


def rows(readout: Readout) -> Iterator[Row]:
    """Every row: the decision first, then numbers. A withheld readout has verdict, arm and check rows only."""
    blank = Row(
        readout.experiment.key,
        readout.phase,
        readout.snapshot_id,
        readout.as_of,
        readout.data_as_of,
        readout.method_version,
        readout.verdict_rule,
        readout.currency.code,
        section="verdict",
        key="experiment",
    )
    verdict = readout.verdict
    yield replace(blank, arm=verdict.arm, status=verdict.code, note=verdict.sentence)
    for each in readout.verdicts:
        yield replace(blank, key="arm", arm=each.arm, status=each.verdict.code, note=each.verdict.sentence)
    for arm in readout.arms:
        yield replace(blank, section="arm", key=arm.key, arm=arm.key, measure="units", unit="count", units=arm.units)
        for reason, count in arm.units_excluded.items():
            yield replace(blank, section="arm", key=arm.key, arm=arm.key, measure=f"excluded: {reason}", units=count)
    for check in readout.checks:
        yield replace(blank, section="check", key=check.id, status=check.state, note=check.sentence)
    for metric in readout.metrics or ():
        for comparison in metric.comparisons:
            yield from _metric_rows(replace(blank, section="metric", key=metric.key), metric, comparison)
    yield from _slice_rows(readout, blank)
    yield from _series_rows(readout, blank)


def records(readout: Readout) -> list[dict[str, str | int | float | None]]:
    """The rows as dictionaries, columns in order."""
    return [asdict(row) for row in rows(readout)]


def _metric_rows(blank: Row, metric: MetricReadout, c: Comparison) -> Iterator[Row]:
    base = replace(blank, arm=c.arm, status=c.status, note=_exploratory(metric))
    base = _noted(base, c.not_determined.words) if c.not_determined else base
    for arm, value in ((c.against, c.control), (c.arm, c.treatment)):
        yield _mean(base, metric, arm, value)
    drawn: list[tuple[str, str, Estimate | None]] = [
        ("relative", "lift", c.relative),
        ("absolute", metric.value_unit, c.absolute),
        ("guardrail", "lift" if metric.margin_abs is None else metric.value_unit, c.guardrail),
        ("money_per_day", "money", c.money_per_day),
    ]
    for measure, unit, estimate in drawn:
        if estimate is not None:
            yield _estimate(replace(base, measure=measure, unit=unit), estimate)


def _mean(base: Row, metric: MetricReadout, arm: str, value: ArmValue) -> Row:
    return replace(base, arm=arm, measure="mean", unit=metric.value_unit, est=value.mean, units=value.n, status=None)


def _estimate(row: Row, estimate: Estimate) -> Row:
    if isinstance(estimate, NotDetermined):
        return _noted(row, estimate.not_determined.words)
    return replace(row, est=estimate.est, lo=estimate.lo, hi=estimate.hi)


def _noted(row: Row, words: str) -> Row:
    """The row with one more note, said once."""
    if row.note is None or row.note.endswith(words):
        return replace(row, note=row.note or words)
    return replace(row, note=f"{row.note}; {words}")


def _exploratory(metric: MetricReadout) -> str | None:
    return None if metric.registered else EXPLORATORY


def _slice_rows(readout: Readout, blank: Row) -> Iterator[Row]:
    """Each cell with its simultaneous raw range, the shrunk one where there is one, and money a day."""
    for part in readout.slices or ():
        for cell in part.cells:
            name = "; ".join(f"{dimension}={value}" for dimension, value in cell.values.items())
            base = replace(
                blank, section="slice", key=f"{part.key}/{cell.metric}", arm=cell.arm, cell=name, units=cell.units,
                status=cell.flag, note=_exploratory(readout.metric(cell.metric)),
            )  # fmt: skip
            drawn: list[tuple[str, str, Estimate | None]] = [
                ("relative, not shrunk", "lift", cell.raw),
                ("relative, shrunk", "lift", cell.shrunk),
                ("money_per_day", "money", cell.money_per_day),
            ]
            for measure, unit, estimate in drawn:
                if estimate is not None:
                    row = _estimate(replace(base, measure=measure, unit=unit), estimate)
                    noise = cell.flag == "noise" and isinstance(estimate, Interval)
                    yield replace(row, est=None) if noise else row


def _series_rows(readout: Readout, blank: Row) -> Iterator[Row]:
    """Each day's cumulative lift."""
    for key, arms in (readout.series or {}).items():
        for arm_key, points in arms.items():
            for day, est, lo, hi in points:
                point = replace(
                    blank, section="series", key=key, arm=arm_key, cell=day, measure="relative", unit="lift"
                )
                yield replace(point, est=est, lo=lo, hi=hi, note=_exploratory(readout.metric(key)))
