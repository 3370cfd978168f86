"""Drift: does what control shows and what its visitors do still look like the weeks before the start.

Both measures compare two distributions over the same values, p before and q now, each with half a row added to every
value so that none is empty. Population stability index: Σ (q − p) log(q / p), symmetric, in nats. Jensen–Shannon
divergence: half of KL(p, m) + KL(q, m) at m = (p + q) / 2, in bits, from 0 to 1. Lin (1991), eq. 4.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.health.findings import DATA_TEAM, NOT_RUN, Evidence, Finding, Row, Sheet, text, whole, worst
from analysis.health.thresholds import MIN_DRIFT_ROWS, THRESHOLDS
from analysis.readout import Figure
from analysis.words import signals

DRIFT = Sheet(
    "drift", "Drift since before the start", blocking=False, sql="drift", owner=DATA_TEAM, judged={"psi": "drift"}
)
Values = Mapping[str, tuple[int, int]]  # value → rows before, rows now


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one distribution moved."""

    what: str
    module: str
    before: int  # rows
    now: int
    psi: float
    js: float
    most: str  # the value whose share moved most

    def figures(self) -> dict[str, Figure]:
        """For the readout."""
        return {
            "distribution": self.what,
            "module": self.module,
            "psi": self.psi,
            "js": self.js,
            "moved_most": self.most,
            "rows_before": self.before,
            "rows_now": self.now,
        }


def shift(what: str, module: str, values: Values) -> Shift:
    """The two measures over `values`, which may not be empty."""
    names = sorted(values)
    counts = np.array([values[name] for name in names], dtype=np.float64)
    shares = (counts + 0.5) / (counts + 0.5).sum(axis=0)
    p, q = shares[:, 0], shares[:, 1]
    middle = (p + q) / 2
    js = float((p * np.log2(p / middle)).sum() + (q * np.log2(q / middle)).sum()) / 2
    most = names[int(np.abs(q - p).argmax())]
    before, now = (int(total) for total in counts.sum(axis=0))
    return Shift(what, module, before, now, float(((q - p) * np.log(q / p)).sum()), js, most)


def drift(given: Evidence) -> Finding:
    """Distributions of slots and outcomes, control's last seven days against the 28 days before. Never withholds.

    Only control's, because what a treatment shows is meant to differ.
    """
    rows = given.of("drift")
    if rows is None:
        return DRIFT.unknown(NOT_RUN)
    shifts = [shift(what, module, values) for (what, module), values in _distributions(rows).items()]
    enough = [each for each in shifts if min(each.before, each.now) >= MIN_DRIFT_ROWS]
    if not enough:
        return DRIFT.unknown(f"no distribution has {MIN_DRIFT_ROWS} rows before the start and in the last seven days")
    furthest = max(enough, key=lambda each: each.psi)
    states = [THRESHOLDS["drift"].state(each.psi) for each in enough]
    return DRIFT.finding(
        worst(states),
        signals.drifted(furthest.what, furthest.module, furthest.most, furthest.psi, moved=worst(states) != "pass"),
        figures={"psi": furthest.psi, "js": furthest.js, "distributions": len(enough)},
        groups=[each.figures() for each in sorted(enough, key=lambda each: -each.psi)],
    )


def _distributions(rows: tuple[Row, ...]) -> dict[tuple[str, str], dict[str, tuple[int, int]]]:
    found: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for row in rows:
        values = found.setdefault((text(row, "what"), text(row, "module")), {})
        before, now = values.get(text(row, "value"), (0, 0))
        n = whole(row, "n")
        values[text(row, "value")] = (before + n, now) if text(row, "period") == "before" else (before, now + n)
    return found
