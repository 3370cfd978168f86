"""The moments kept with a snapshot, read back as they were written."""

from datetime import date

from analysis.assembly.identity import EXACT_IN_JSON, moments_json, read_moments
from analysis.inference.moments import CellKey, Moments, pair
from analysis.warehouse.base import Counts


def test_what_was_kept_is_read_back_to_the_last_digit() -> None:
    big = EXACT_IN_JSON**2 + 1  # travels as text
    arm = Moments(3, {"y": -7, "x": 2}, {pair("y", "y"): big, pair("x", "y"): -big}, {"y": 2})
    window = Moments(2, {"y": 1}, {pair("y", "y"): 1}, {"y": 1})
    counts = Counts(
        cells={
            CellKey.overall(None): {"control": arm, "new": arm},
            CellKey.overall(7): {"control": window, "new": window},
            CellKey("context", "device", ("web",), None): {"control": window, "new": window},
            CellKey("decomposition", "module", ("cart",), None): {"control": window, "new": window},
        },
        daily={date(2026, 9, 2): {"control": arm, "new": window}, date(2026, 9, 1): {"control": window, "new": window}},
        units={"control": 3, "new": 4},
        excluded={},
        days_with_data=2,
        data_as_of=None,
        loads=(),
    )
    kept = read_moments(moments_json(counts))
    assert kept.overall == {None: {"control": arm, "new": arm}, 7: {"control": window, "new": window}}
    assert list(kept.arrived.items()) == [(date(2026, 9, 1), 4), (date(2026, 9, 2), 5)]
    assert (kept.units, kept.days_with_data) == (7, 2)
