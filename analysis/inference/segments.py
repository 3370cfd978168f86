"""Slices: what is real and what is noise. STATISTICS 7.

Context slices partition the units, so their lifts have independent errors and are shrunk together.
Parts of a decomposition share their units; while their covariance is not counted they get
simultaneous raw intervals and no shrinkage.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from analysis.inference.decision import Look, gated
from analysis.inference.designs import critical_value, p_value, student, student_p
from analysis.inference.effects import absolute, fieller
from analysis.inference.result import Bounds, Contrast, Undetermined

Floats = NDArray[np.float64]
Name = TypeVar("Name", bound=Hashable)
Flag = Literal["gain", "loss", "no_material_effect", "noise", "more_data"]

FEWEST = 6  # determined slices, below which intervals are shown and nothing is shrunk
TAU_POINTS = 201
GAIN, LOSS, LFSR, IMMATERIAL = 0.90, 0.80, 0.05, 0.90  # STATISTICS 7.5
LADDER = (1, 2, 3, 5, 7, 10, 14, 21, 28, 35, 42, 56, 70, 84)  # "N more days" is one of these


@dataclass(frozen=True, slots=True)
class Cell:
    """One slice in one treatment arm.

    `worth` is what a difference of +1 in the contrast's unit is worth, in the unit of the materiality
    threshold, positive when good: 1000/10^digits for "money per 1,000 units" of a metric in minor units.
    """

    contrast: Contrast | Undetermined
    worth: float


@dataclass(frozen=True, slots=True)
class Setting:
    """How the slices are read: two-sided `alpha`, n/n* overall, the threshold, days so far and still to come.

    `material` is in the unit of `worth`; 0 where nobody declared one: then only the sign decides.
    """

    alpha: float
    look: Look
    fraction: float
    material: float
    days: int
    days_left: int


@dataclass(frozen=True, slots=True)
class CellReading:
    """`absolute` and `relative` are simultaneous (Bonferroni over the slice's cells) and unshrunk.

    `shrunk` is the posterior mean and central interval of the lift, None where nothing is shrunk;
    `value` the same in the unit of the threshold (unshrunk: the simultaneous interval of the difference).
    `p_material` is P(|value| > material), None without a threshold; `days_to_decide` the days until a flag if
    estimates stay. `q` is the Benjamini–Hochberg adjusted p of the lift among the determined cells.
    """

    absolute: Bounds | Undetermined
    relative: Bounds | Undetermined
    shrunk: Bounds | None
    value: Bounds | None
    flag: Flag
    p_material: float | None
    q: float | None
    days_to_decide: int | None


@dataclass(frozen=True, slots=True)
class SliceReading(Generic[Name]):
    """All cells of a slice; `tau2` is the posterior mean of the variance of true lifts, None if not shrunk."""

    cells: Mapping[Name, CellReading]
    tau2: float | None


def read_slice(
    kind: Literal["context", "decomposition"], cells: Mapping[Name, Cell], setting: Setting
) -> SliceReading[Name]:
    """Read the cells of one slice and metric together.

    Context slices with at least 6 determined cells (gate met, lift determined) are shrunk; all others
    are flagged from the simultaneous interval alone. A flag never says another sign than the range beside it:
    a gain's range lies above zero, a loss's below, noise's over it.
    """
    level = setting.alpha / max(len(cells), 1)
    raw = {name: _raw(cell, level, setting) for name, cell in cells.items()}
    able = [
        (name, cell.contrast, cell.worth)
        for name, cell in cells.items()
        if isinstance(cell.contrast, Contrast) and gated(cell.contrast) and isinstance(raw[name].relative, Bounds)
    ]
    if kind == "decomposition" or len(able) < FEWEST:
        return SliceReading(raw, None)
    contrasts = [contrast for _, contrast, _ in able]
    worth = np.array([w * c.mean_c for c, (_, _, w) in zip(contrasts, able, strict=True)])
    posterior = _posterior(contrasts, 1.0, setting)
    flags = _flags(posterior, worth, setting)
    days = _days_to_flags(contrasts, worth, flags, setting)
    lower, upper = posterior.interval(setting.alpha)
    lifts = [Bounds(*map(float, three)) for three in zip(posterior.mean(), lower, upper, strict=True)]
    outside = posterior.below(-setting.material / np.abs(worth)) + 1 - posterior.below(setting.material / np.abs(worth))
    q = _benjamini_hochberg(np.array([_p(contrast, setting) for contrast in contrasts]))
    shrunk = {
        name: replace(
            raw[name],
            shrunk=lifts[i],
            value=_scaled(lifts[i], float(worth[i])),
            flag=flags[i] or _open(lifts[i], days[i]),
            p_material=float(outside[i]) if setting.material > 0 else None,
            q=float(q[i]),
            days_to_decide=days[i],
        )
        for i, (name, _, _) in enumerate(able)
    }
    return SliceReading({**raw, **shrunk}, float(posterior.weights @ posterior.tau2))


@dataclass(frozen=True, slots=True)
class Posterior:
    """Of G lifts as a mixture of normals over T values of τ: weights (T,), means and deviations (T, G)."""

    tau2: Floats
    weights: Floats
    means: Floats
    deviations: Floats

    def mean(self) -> Floats:
        """Posterior means, (G,)."""
        result: Floats = self.weights @ self.means
        return result

    def below(self, at: Floats) -> Floats:
        """P(δ_g < at_g), (G,)."""
        result: Floats = self.weights @ ndtr((at - self.means) / self.deviations)
        return result

    def interval(self, alpha: float) -> tuple[Floats, Floats]:
        """Central 1 - alpha intervals, two arrays (G,), by bisection."""
        return self._quantile(alpha / 2), self._quantile(1 - alpha / 2)

    def _quantile(self, p: float) -> Floats:
        low = (self.means - 9 * self.deviations).min(axis=0)
        high = (self.means + 9 * self.deviations).max(axis=0)
        for _ in range(60):
            middle = (low + high) / 2
            under = self.below(middle) < p
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        result: Floats = (low + high) / 2
        return result


def shrink(lifts: Floats, variances: Floats) -> Posterior:
    """δ_g ~ N(μ, τ²), δ̂_g ~ N(δ_g, V_g) independent; μ flat, τ uniform on a grid 0…4·median(se), integrated out.

    `lifts` and `variances` (G,). The formulas of STATISTICS 7.3 with a diagonal V. Gelman et al. (2013),
    Bayesian Data Analysis, section 5.4.
    """
    tau2 = (np.linspace(0.0, 4.0, TAU_POINTS) * np.median(np.sqrt(variances))) ** 2
    precision = 1 / (variances[None, :] + tau2[:, None])
    total = precision.sum(axis=1)
    centre = (precision @ lifts / total)[:, None]
    away = lifts[None, :] - centre
    pull = tau2[:, None] * precision
    log_weights = 0.5 * (np.log(precision).sum(axis=1) - np.log(total) - (precision * away**2).sum(axis=1))
    weights = np.exp(log_weights - log_weights.max())
    spread = tau2[:, None] * (1 - pull) + (1 - pull) ** 2 / total[:, None]
    return Posterior(tau2, weights / weights.sum(), centre + pull * away, np.sqrt(spread))


def _raw(cell: Cell, level: float, setting: Setting) -> CellReading:
    c = cell.contrast
    if isinstance(c, Undetermined):
        return CellReading(c, c, None, None, "more_data", None, None, None)
    difference = absolute(c, _k(c, level, 1.0, setting))
    value = _scaled(difference, cell.worth)
    flag: Flag = "more_data"
    days: int | None = None
    if gated(c):
        found = _flag_of(value, setting.material)
        if found is None:
            later = ((d, _held(c, cell, level, grown, setting)) for d, grown in _ahead(setting))
            days = next((d for d, value in later if _flag_of(value, setting.material)), None)
        flag = found or _open(value, days)
    return CellReading(difference, fieller(c, _k(c, level, 1.0, setting)), None, value, flag, None, None, days)


def _open(shown: Bounds, days: int | None) -> Flag:
    """An undecided cell: noise where its range holds zero and no day to come would decide it."""
    assert shown.lo is not None
    assert shown.hi is not None
    return "noise" if days is None and shown.lo <= 0 <= shown.hi else "more_data"


def _held(c: Contrast, cell: Cell, level: float, grown: float, setting: Setting) -> Bounds:
    """The interval when units have grown by a factor and the estimate stayed."""
    return _scaled(absolute(c, _k(c, level, grown, setting) / grown**0.5), cell.worth)


def _flag_of(value: Bounds, material: float) -> Flag | None:
    """From a simultaneous interval: wholly beyond the threshold, or wholly inside it."""
    assert value.lo is not None
    assert value.hi is not None
    if value.lo > material:
        return "gain"
    if value.hi < -material:
        return "loss"
    return "no_material_effect" if -material < value.lo and value.hi < material else None


def _k(c: Contrast, level: float, grown: float, setting: Setting) -> float:
    """One-sided critical value at half the two-sided level, when units have grown by a factor."""
    if setting.look == "planned_look":
        return student(c.dof, level / 2, sides="one")
    return critical_value(setting.fraction * grown, level / 2, sides="one")


def _posterior(contrasts: list[Contrast], grown: float, setting: Setting) -> Posterior:
    """Shrunk lifts, their variances widened by (k/1.96)² for the looks taken (STATISTICS 7.4)."""
    lifts = np.array([c.mean_t / c.mean_c for c in contrasts])
    variance = np.array(
        [(c.v_tt - 2 * r * c.v_tc + r * r * c.v_cc) / c.mean_c**2 for c, r in zip(contrasts, lifts, strict=True)]
    )
    normal = -float(ndtri(setting.alpha / 2))
    widened = np.array([(_k(c, setting.alpha, grown, setting) / normal) ** 2 for c in contrasts])
    return shrink(lifts - 1, variance * widened / grown)


def _flags(posterior: Posterior, worth: Floats, setting: Setting) -> list[Flag | None]:
    """The flag of each cell, None where the posterior decides nothing yet. STATISTICS 7.5.

    A gain and a loss also need the cell's own range, at alpha, to lie on one side of zero.
    """
    limit = setting.material / np.abs(worth)
    high, low = 1 - posterior.below(limit), posterior.below(-limit)
    up, down = np.where(worth > 0, high, low), np.where(worth > 0, low, high)
    negative = posterior.below(np.zeros_like(worth))
    one_side = np.minimum(negative, 1 - negative) < min(LFSR, setting.alpha / 2)
    flags: list[Flag | None] = []
    for gained, lost, clear in zip(up, down, one_side, strict=True):
        if gained >= GAIN and clear:
            flags.append("gain")
        elif lost >= LOSS and clear:
            flags.append("loss")
        else:
            flags.append("no_material_effect" if 1 - gained - lost >= IMMATERIAL else None)
    return flags


def _days_to_flags(
    contrasts: list[Contrast], worth: Floats, flags: list[Flag | None], setting: Setting
) -> list[int | None]:
    """For each undecided cell the first step of the ladder at which it would be flagged; None when in none."""
    days: list[int | None] = [None] * len(flags)
    for more, grown in _ahead(setting):
        if all(flag or day for flag, day in zip(flags, days, strict=True)):
            break
        later = _flags(_posterior(contrasts, grown, setting), worth, setting)
        for i, found in enumerate(later):
            if found and not flags[i] and days[i] is None:
                days[i] = more
    return days


def _ahead(setting: Setting) -> list[tuple[int, float]]:
    """(days from now, factor by which units will have grown if they keep coming as they did)."""
    if setting.days < 1:
        return []
    steps = sorted({*(d for d in LADDER if d <= setting.days_left), setting.days_left} - {0})
    return [(d, (setting.days + d) / setting.days) for d in steps]


def _benjamini_hochberg(p: Floats) -> Floats:
    """Adjusted p-values, (G,). Benjamini & Hochberg (1995)."""
    order = np.argsort(p)[::-1]
    ranks = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(np.minimum(1.0, p[order] * len(p) / ranks))
    return adjusted


def _p(c: Contrast, setting: Setting) -> float:
    if setting.look == "planned_look":
        return student_p(c.z, c.dof, sides="two")
    return min(1.0, 2 * p_value(abs(c.z), setting.fraction, sides="one"))


def _scaled(bounds: Bounds, worth: float) -> Bounds:
    ends = [None if end is None else end * worth for end in (bounds.lo, bounds.hi)]
    lo, hi = ends if worth > 0 else reversed(ends)
    return Bounds(bounds.est * worth, lo, hi)
