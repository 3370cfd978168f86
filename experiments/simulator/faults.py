"""What goes wrong with logs, one switch each: a fault takes sound logs and gives them back with itself in them.

`FAULTS` is the table of what each is, the check that must fail and the checks that may fail too. The truth is not
touched: it is about the shop, and a fault is about its logs.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from experiments.errors import UsageError, nearest
from experiments.simulator.columns import INSTANT
from experiments.simulator.generator import Logs
from experiments.simulator.items import Flags, Integers
from experiments.simulator.plan import DAY, SECOND

Names = npt.NDArray[np.object_]
HOUR = 3_600 * SECOND


@dataclass(frozen=True, slots=True)
class Target:
    """Where a fault is planted: one experiment, its arms and one browser."""

    experiment: str
    control: str
    treatment: str
    browser: str = "safari_mobile"


@dataclass(frozen=True, slots=True)
class Fault:
    """One switch. `check` must fail; `others` may fail beside it, because it reaches their figures too.

    `withholds`: whether the whole readout is then withheld.
    """

    what: str
    check: str
    withholds: bool
    others: tuple[str, ...]
    plant: Callable[[Logs, Target, np.random.Generator], Logs]


def planted(logs: Logs, names: Iterable[str], *, seed: int, experiment: str | None = None) -> Logs:
    """The logs with these faults in them, one after the other; `experiment` is the plan's first if not given.

    UsageError for an unknown name, and when there is no experiment to plant in.
    """
    known = list(names)
    for name in known:
        if name not in FAULTS:
            near = ", ".join(nearest(name, FAULTS) or FAULTS)
            raise UsageError(f"fault {name}: there is none of this name; nearest: {near}")
    for name in known:
        target = _target(logs, experiment)
        rng = np.random.default_rng([seed, crc32(f"fault {name}".encode())])
        logs = FAULTS[name].plant(logs, target, rng)
    return logs


def _target(logs: Logs, experiment: str | None) -> Target:
    key = experiment or next(iter(logs.truth), None)
    if key is None or key not in logs.truth:
        raise UsageError(
            f"fault in {key}: the logs have the experiments {', '.join(logs.truth) or '(none)'}; a fault needs one"
        )
    truth = logs.truth[key]
    return Target(key, truth.control, truth.lifts[0].arm)


# --- exposures ---------------------------------------------------------------------------------------------


def _lost_exposures(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    table = logs.exposures
    mine = _is(table, "experiment_key", target.experiment) & _is(table, "variant", target.treatment)
    mine &= _is(table, "browser", target.browser)
    return replace(logs, exposures=table.filter(pa.array(~(mine & _some_units(table, mine, 0.7, rng)))))


def _control_without_render(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    del rng
    table = logs.exposures
    control = _is(table, "experiment_key", target.experiment) & _is(table, "variant", target.control)
    clicks = logs.outcomes.filter(pc.equal(logs.outcomes["event_name"], "click"))
    clicked = _flags(pc.is_in(table["request_id"], value_set=pc.unique(clicks["request_id"]).drop_null()))
    return replace(logs, exposures=table.filter(pa.array(~control | clicked)))


def _two_arms(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    table = logs.exposures
    mine = _is(table, "experiment_key", target.experiment)
    row = np.flatnonzero(mine)
    _, unit, slates = np.unique(_names(table, "unit_id")[row], return_inverse=True, return_counts=True)
    moved = (slates >= 2) & (rng.random(len(slates)) < 0.1)
    order = np.argsort(unit, kind="stable")
    nth = np.empty(len(row), dtype=np.int64)
    nth[order] = np.arange(len(row)) - np.repeat(slates.cumsum() - slates, slates)
    swapped = row[moved[unit] & (nth >= slates[unit] // 2)]
    return replace(logs, exposures=_swapped(table, swapped, target))


def _wrong_arm(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    table = logs.exposures
    mine = _is(table, "experiment_key", target.experiment)
    return replace(logs, exposures=_swapped(table, np.flatnonzero(mine & _some_units(table, mine, 0.05, rng)), target))


def _unregistered_variant(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    table = logs.exposures
    mine = _is(table, "experiment_key", target.experiment)
    variant = _names(table, "variant")
    variant[mine & _some_units(table, mine, 0.03, rng)] = f"{target.treatment}_beta"
    return replace(logs, exposures=_with(table, "variant", pa.array(variant, pa.string())))


def _swapped(table: pa.Table, rows: Integers, target: Target) -> pa.Table:
    variant = _names(table, "variant")
    variant[rows] = np.where(variant[rows] == target.control, target.treatment, target.control)
    return _with(table, "variant", pa.array(variant, pa.string()))


# --- events ------------------------------------------------------------------------------------------------


def _missing_add_to_cart(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    del rng
    table = logs.outcomes
    begin, end = _run(logs, target)
    gone = _is(table, "event_name", "add_to_cart") & _is(table, "browser", target.browser)
    gone &= _micros(table, "event_ts") >= end - (end - begin) // DAY // 3 * DAY
    return replace(logs, outcomes=table.filter(pa.array(~gone)))


def _duplicate_events(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    del target

    def twice(table: pa.Table) -> pa.Table:
        again = np.sort(np.concatenate([np.arange(len(table)), np.flatnonzero(rng.random(len(table)) < 0.06)]))
        return table.take(pa.array(again))

    return replace(logs, exposures=twice(logs.exposures), outcomes=twice(logs.outcomes))


def _clock_skew(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    shown, happened = logs.exposures, logs.outcomes
    users = pc.unique(shown.filter(pc.equal(shown["browser"], target.browser))["unit_id"])
    ahead = users.filter(pa.array(rng.random(len(users)) < 0.1))

    def skewed(table: pa.Table) -> pa.Table:
        fast = _flags(pc.is_in(table["unit_id"], value_set=ahead)) & _is(table, "browser", target.browser)
        moved = _with(table, "event_ts", pa.array(_micros(table, "event_ts") + 600 * SECOND * fast, INSTANT))
        return moved.sort_by([("event_ts", "ascending"), ("event_id", "ascending")])

    return replace(logs, exposures=skewed(shown), outcomes=skewed(happened))


def _late_events(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    del target
    sessions = pc.unique(logs.outcomes["session_id"])
    late = sessions.filter(pa.array(rng.random(len(sessions)) < 0.04))

    def delayed(table: pa.Table) -> pa.Table:
        slow = _flags(pc.is_in(table["session_id"], value_set=late))
        return _with(table, "received_ts", pa.array(_micros(table, "received_ts") + 30 * HOUR * slow, INSTANT))

    return replace(logs, exposures=delayed(logs.exposures), outcomes=delayed(logs.outcomes))


def _ids_that_do_not_join(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    del rng
    table = logs.outcomes
    spelled = pc.if_else(pc.equal(table["browser"], target.browser), pc.utf8_upper(table["item_id"]), table["item_id"])
    return replace(logs, outcomes=_with(table, "item_id", spelled))


def _bots(logs: Logs, target: Target, rng: np.random.Generator) -> Logs:
    """Units of the experiment that read 520 pages in an hour on the last day before it, and are not marked."""
    shown, happened = logs.exposures, logs.outcomes
    begin, _ = _run(logs, target)
    mine = shown.filter(pa.array(_is(shown, "experiment_key", target.experiment)))
    units = pc.unique(mine["unit_id"]).sort()
    programs = units.filter(pa.array(rng.random(len(units)) < 0.08))
    pages = 520
    n = pages * len(programs)
    first = mine.take(pc.index_in(programs, value_set=mine["unit_id"].combine_chunks()))
    at = begin // DAY * DAY - 12 * HOUR + np.tile(np.arange(pages) * 5 * SECOND, len(programs))
    items = pc.unique(logs.catalogue["item_id"]).sort()
    row = pa.array(np.repeat(np.arange(len(programs)), pages))
    filled = {
        "event_id": pa.array([f"z{number:08d}" for number in range(n)]),
        "event_ts": pa.array(at, INSTANT),
        "received_ts": pa.array(at + SECOND, INSTANT),
        "unit_type": pa.repeat(pa.scalar("user"), n),
        "unit_id": programs.take(row),
        "session_id": pa.array(np.char.add("z", np.repeat(np.arange(len(programs)), pages).astype(str))),
        "event_name": pa.repeat(pa.scalar("view"), n),
        "item_id": items.take(pa.array(rng.integers(0, len(items), n))),
        "browser": first["browser"].combine_chunks().take(row),
        "platform": first["platform"].combine_chunks().take(row),
    }
    read = pa.table({field.name: filled.get(field.name, pa.nulls(n, field.type)) for field in happened.schema})
    joined = pa.concat_tables([happened, read.cast(happened.schema)])
    return replace(logs, outcomes=joined.sort_by([("event_ts", "ascending"), ("event_id", "ascending")]))


# --- columns -----------------------------------------------------------------------------------------------


def _run(logs: Logs, target: Target) -> tuple[int, int]:
    """First and last instant of the experiment's exposures, µs."""
    at = _micros(logs.exposures, "event_ts")[_is(logs.exposures, "experiment_key", target.experiment)]
    return int(at.min()), int(at.max())


def _is(table: pa.Table, column: str, value: str) -> Flags:
    return _flags(pc.equal(table[column], value))


def _flags(found: pa.ChunkedArray) -> Flags:
    answer: Flags = pc.fill_null(found, False).to_numpy().astype(np.bool_)
    return answer


def _names(table: pa.Table, column: str) -> Names:
    names: Names = np.array(table[column].to_numpy(), dtype=object)
    return names


def _micros(table: pa.Table, column: str) -> Integers:
    micros: Integers = table[column].cast(pa.int64()).to_numpy().copy()
    return micros


def _some_units(table: pa.Table, among: Flags, share: float, rng: np.random.Generator) -> Flags:
    """Rows of a share of the units that have rows among these."""
    units = pc.unique(table.filter(pa.array(among))["unit_id"])
    return _flags(pc.is_in(table["unit_id"], value_set=units.filter(pa.array(rng.random(len(units)) < share))))


def _with(table: pa.Table, column: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), table.schema.field(column), values)


# --- the table ---------------------------------------------------------------------------------------------

FAULTS: Mapping[str, Fault] = {
    "lost_exposures": Fault(
        "One browser loses the exposures of seven in ten units of the treatment.",
        "SH-01",
        True,
        ("SH-08", "SH-10", "SH-13", "SH-14", "SH-15", "drift"),
        _lost_exposures,
    ),
    "missing_add_to_cart": Fault(
        "One browser logs nothing put in the cart in the last third of the run.",
        "SH-02",
        False,
        ("SH-13", "drift"),
        _missing_add_to_cart,
    ),
    "ids_that_do_not_join": Fault(
        "One browser's outcomes spell item ids in capitals, the catalogue does not.",
        "SH-03",
        False,
        ("SH-14", "SH-19", "drift"),
        _ids_that_do_not_join,
    ),
    "duplicate_events": Fault(
        "6 % of rows are sent twice, under the same event id.",
        "SH-04",
        False,
        (),
        _duplicate_events,
    ),
    "late_events": Fault(
        "4 % of sessions arrive 30 hours late.",
        "SH-05",
        False,
        (),
        _late_events,
    ),
    "clock_skew": Fault(
        "The clocks of a tenth of one browser's units run ten minutes ahead.",
        "SH-06",
        False,
        ("SH-13",),
        _clock_skew,
    ),
    "two_arms": Fault(
        "A tenth of the units that come back are shown the other arm from then on.",
        "SH-07",
        True,
        ("SH-01", "SH-09"),
        _two_arms,
    ),
    "wrong_arm": Fault(
        "5 % of units are logged in the arm they are not in.",
        "SH-09",
        True,
        (),
        _wrong_arm,
    ),
    "bots": Fault(
        "8 % of units are programs that read 520 pages on the day before the experiment; nobody marks them.",
        "SH-11",
        False,
        ("SH-02", "SH-13", "SH-18", "drift"),
        _bots,
    ),
    "unregistered_variant": Fault(
        "3 % of units are shown a variant that the definition does not have.",
        "SH-16",
        True,
        ("SH-01", "SH-08", "SH-09", "SH-10"),
        _unregistered_variant,
    ),
    "control_without_render": Fault(
        "The control logs a slot only when it is clicked, the treatment when it is rendered.",
        "SH-01",
        True,
        ("SH-08", "SH-10", "SH-13", "SH-15", "drift"),
        _control_without_render,
    ),
}
"""Name → what it is, what must fail, what may."""
