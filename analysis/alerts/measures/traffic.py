"""How many sessions come to a cell in the next 24 hours, and what the last six were to bring, by the seasons. ALERTS 1.

A module's sessions by a Poisson regression (statsmodels, fitted to the past, anew every Monday) on the six hours of the
week, the seasons of the shop's calendar and two recent levels: the last day and the last week over what their slots of
the week usually have. A cell of a module has the module's forecast times its share in the last 28 days, and its
sessions do of each metric what they did then. Errors are measured, not assumed: by what such forecasts missed then.

Nothing is said of a module with less than two weeks of history, nor of a cell nobody came to.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.alerts.model import LONG, METRICS, Cell, Comparison, Traffic
from analysis.warehouse.buckets import EPOCH, Counted

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SLOT = timedelta(minutes=LONG)
DAY, WEEK = 4, 28  # slots
FITTED = 8 * WEEK  # slots a regression is fitted to, beside earlier days of a season
LEAST = 2 * WEEK  # slots with data below which nothing is said
RECENT = 4 * WEEK  # slots of shares, rates, earnings and errors
READ_BACK = SLOT * (FITTED + RECENT + 2 * WEEK)  # how much history an end needs, without seasons
MISSED = 10.0  # sessions in six hours, above which none at all are a hole in the log
FAR = 5.0  # a level is read up to five times the usual, and down to a fifth
MARGIN_KNOWN = 0.98  # of the lines: with fewer a margin says nothing (SH-19)
ADDITIVE = 6 * WEEK  # slots below which a weekday has the same hours as every other


_MONDAY = EPOCH + timedelta(days=4)  # 1970 began on a Thursday


class Season(Protocol):
    """Days of a name that come again, both ends included; the shop's calendar has them."""

    @property
    def name(self) -> str:
        """Equal names are one season."""

    @property
    def first(self) -> date:
        """Its first day, in UTC here."""

    @property
    def last(self) -> date:
        """Its last day."""


@dataclass(frozen=True)
class Past:
    """What every cell counted in each six hours, all arms together, from a Monday's midnight (UTC) and without gaps.

    `cells` in order; `numbers` is (n_cells, n_slots, 9): sessions, the four metrics, margin, lines, lines with a
    margin, revenue of these. `there` (n_slots,) says where the log has anything: the others are missing, not zero.
    `watched` is (n_cells, n_slots) of a comparison: the sessions in its watched arm.
    """

    first_end: datetime
    cells: tuple[Cell, ...]
    numbers: Floats
    there: Flags
    watched: Mapping[Comparison, Floats] = field(default_factory=dict)

    @cached_property
    def days(self) -> Floats:
        """(n_cells, n_slots - 3): the sessions of each four slots, by the first of them."""
        return _fours(self.numbers[:, :, 0])

    @cached_property
    def whole_days(self) -> Flags:
        """(n_slots - 3,): whether the log has something in all four."""
        return np.asarray(_fours(self.there.astype(np.float64)) == DAY, dtype=np.bool_)

    @property
    def slots(self) -> int:
        """How many there are."""
        return int(self.numbers.shape[1])

    def place(self, end: datetime) -> int:
        """The index of the slot that ends then."""
        return (end - self.first_end) // SLOT


def past(
    history: Mapping[datetime, Mapping[Cell, Counted]],
    watched: Mapping[Comparison, Mapping[datetime, Mapping[Cell, int]]] | None = None,
) -> Past | None:
    """The history by bucket's end as arrays; None without any."""
    if not history:
        return None
    first = min(history) - (min(history) - _MONDAY - SLOT) % (WEEK * SLOT)
    slots = (max(history) - first) // SLOT + 1
    cells = tuple(sorted({cell for counted in history.values() for cell in counted}))
    place = {cell: i for i, cell in enumerate(cells)}
    numbers = np.zeros((len(cells), slots, 9))
    for end, counted in history.items():
        slot = (end - first) // SLOT
        for cell, each in counted.items():
            numbers[place[cell], slot] = (
                each.sessions, each.clicks, each.adds, each.orders, each.revenue, each.margin, each.lines,
                each.lines_known, each.revenue_known,
            )  # fmt: skip
    arms: dict[Comparison, Floats] = {}
    for comparison, by_end in (watched or {}).items():
        own = np.full((len(cells), slots), np.nan)
        for end, by_cell in by_end.items():
            slot = (end - first) // SLOT
            if 0 <= slot < slots:
                own[:, slot] = 0.0
                for cell, sessions in by_cell.items():
                    own[place[cell], slot] = sessions
        arms[comparison] = own
    return Past(first, cells, numbers, _there(numbers[:, :, 0].max(axis=0, initial=0.0)), arms)


def _there(sessions: Floats) -> Flags:
    """Where the log has something: nobody in six hours is data in a small shop only.

    A slot without a session is missing where the same hours of the 28 days before had more than ten on average, and
    before the first session.
    """
    began = np.cumsum(sessions) > 0
    there = sessions > 0
    for slot in np.flatnonzero(began & ~there):
        before = np.arange(slot - RECENT, slot, DAY)
        before = before[(before >= 0)]
        before = before[began[before]]
        there[slot] = len(before) == 0 or sessions[before].mean() <= MISSED
    return there


def expected(of: Past, ends: Iterable[datetime], seasons: Sequence[Season] = ()) -> dict[datetime, tuple[Traffic, ...]]:
    """What is expected at each of these buckets' ends, from the slots before it alone; a cell of which too little is
    known is not there."""
    fits = _Fits(of, seasons)
    return {end: tuple(_at(of, fits, end)) for end in ends}


# --- one end ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A series' forecasts: of each slot from the slots before it (one), of each four slots from those before (four)."""

    one: Floats  # (n_slots,); nan where nothing can be said
    day: float  # of the four slots that come next
    four: Floats  # (n_slots,): of the four slots that begin with this one
    outside: float  # squared errors of what comes next over those of what the regression was fitted to


def _at(of: Past, fits: "_Fits", end: datetime) -> Iterator[Traffic]:
    """Every cell at one end. `now` is how many slots are over."""
    now = of.place(end) + 1
    recent = slice(max(0, now - 1 - RECENT), now - 1)  # what the last bucket is compared with lies before it
    ahead = {module: fits.ahead(module, now) for module in {cell.module for cell in of.cells}}
    for i, cell in enumerate(of.cells):
        series = ahead[cell.module]
        whole = of.numbers[fits.index[Cell(cell.module)], :, 0]
        own = of.numbers[i]
        if series is None or own[recent, 0].sum() == 0 or whole[recent].sum() == 0:
            continue
        share = float(own[recent, 0].sum() / whole[recent].sum())
        sessions, sessions_se = share * series.day, _missed(of, i, share, series, now)
        totals, errors = _last(of, own, share, series, now)
        earned = own[max(0, now - RECENT) : now].sum(axis=0)
        if not np.isfinite([sessions, sessions_se, *totals, *errors]).all():
            continue
        yield Traffic(
            cell=cell,
            at=end,
            sessions=sessions,
            sessions_se=sessions_se,
            expected=dict(zip(METRICS, totals.tolist(), strict=True)),
            expected_se=dict(zip(METRICS, errors.tolist(), strict=True)),
            revenue_per_session=float(earned[4] / earned[0]) if earned[0] else 0.0,
            margin_share=_margin(earned),
            watched=tuple(_shares(of, i, now)),
        )


def _missed(of: Past, cell: int, share: float, series: _Ahead, now: int) -> float:
    """The standard error of the next four slots: by what such forecasts missed in the last 28 days."""
    starts = np.arange(max(0, now - RECENT - DAY + 1), now - DAY + 1)
    starts = starts[of.whole_days[starts]]
    done = of.days[cell, starts][:, None]
    said = share * series.four[starts][:, None]
    return float(_errors(done, said, np.asarray([share * series.day]), series.outside)[0])


def _last(of: Past, own: Floats, share: float, series: _Ahead, now: int) -> tuple[Floats, Floats]:
    """What the last slot was to bring of each metric, and the standard errors: (4,) each."""
    slots = np.arange(max(0, now - 1 - RECENT), now - 1)
    slots = slots[of.there[slots]]
    hours = np.asarray(slots[:, None] % DAY == np.arange(DAY), dtype=np.float64)
    came = hours.T @ own[slots, 0]
    rates = hours.T @ own[slots, 1:5] / np.maximum(came, 1.0)[:, None]  # (4 slots of the day, 4 metrics)
    last = now - 1
    values = np.asarray(rates[last % DAY] * (share * series.one[last]), dtype=np.float64)
    said = rates[slots % DAY] * (share * series.one[slots])[:, None]
    return values, _errors(own[slots, 1:5], said, values, series.outside)


def _errors(done: Floats, said: Floats, values: Floats, outside: float) -> Floats:
    """√(φ·value) of each column, φ how far the past missed for each thing said (Pearson), widened for what comes next;
    nan where too little was said."""
    some = np.where(np.isfinite(said), said, 0.0) > 0
    missed = np.where(some, (done - np.where(some, said, 0.0)) ** 2 / np.where(some, said, 1.0), 0.0)
    phi = missed.sum(axis=0) / np.maximum(some.sum(axis=0), 1)
    error = np.sqrt(np.maximum(outside * phi, 1.0) * np.maximum(values, 1.0))
    enough = np.isfinite(said).sum(axis=0) >= LEAST - WEEK
    return np.asarray(np.where(enough, error, np.nan), dtype=np.float64)


def _margin(earned: Floats) -> float | None:
    revenue, lines, lines_known = earned[8], earned[6], earned[7]
    if lines == 0 or lines_known < MARGIN_KNOWN * lines or revenue <= 0:
        return None
    return float(earned[5] / revenue)


def _shares(of: Past, cell: int, now: int) -> Iterator[tuple[Comparison, float]]:
    """Which share of the last day's sessions was in each watched arm."""
    day = slice(max(0, now - DAY), now)
    for comparison, sessions in sorted(of.watched.items()):
        ran = np.isfinite(sessions[cell, day])
        everybody = float(of.numbers[cell, day, 0][ran].sum())
        if everybody > 0 and (own := float(sessions[cell, day][ran].sum())) > 0:
            yield comparison, own / everybody


# --- one series -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fit:
    """A regression: its coefficients, and for each slot of the week the usual number; a slot nobody comes in is 0."""

    usual: Floats  # (n_slots,): slots of the week and seasons, without levels
    base: Floats  # (n_slots,): the same as the regression has it
    day_power: float
    week_power: float
    outside: float  # squared errors of what comes next over those of what it was fitted to: (n + p)/(n − p)


class _Fits:
    """The regressions of a past, each made once."""

    def __init__(self, of: Past, seasons: Sequence[Season]) -> None:
        self.of = of
        self.index = {cell: i for i, cell in enumerate(of.cells)}
        self.seasons = _by_name(of, seasons)
        self.kept: dict[tuple[str, int], _Fit | None] = {}

    def ahead(self, module: str, now: int) -> _Ahead | None:
        """The module's forecasts at the end of slot now − 1, by the fit of the Monday of the week that slot is in."""
        monday = (now - 1) // WEEK * WEEK
        if (module, monday) not in self.kept:
            self.kept[module, monday] = self._fit(module, monday)
        fit = self.kept[module, monday]
        return None if fit is None else _forecasts(self._sessions(module), self.of.there, fit, now)

    def _sessions(self, module: str) -> Floats:
        found: Floats = self.of.numbers[self.index[Cell(module)], :, 0]
        return found

    def _fit(self, module: str, until: int) -> _Fit | None:
        sessions, there = self._sessions(module), self.of.there
        slots = _training(there, self.seasons, until)
        if len(slots) < LEAST or sessions[slots].sum() == 0:
            return None
        return _fitted(sessions, there, slots, self.seasons, self.of.slots + DAY)


def _fitted(
    sessions: Floats, there: Flags, slots: NDArray[np.int64], seasons: Mapping[str, Flags], size: int
) -> _Fit | None:
    """The regression on these slots, for `size` slots in all."""
    from statsmodels.genmod.families import Poisson  # a second to import: only who forecasts pays
    from statsmodels.genmod.generalized_linear_model import GLM
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

    profile = _profile(size, interact=len(slots) >= ADDITIVE)
    taught = [
        name for name, on in seasons.items() if DAY <= on[slots].sum() < len(slots) and sessions[slots[on[slots]]].any()
    ]
    special = (
        np.any([seasons[name][slots] for name in taught], axis=0) if taught else np.zeros(len(slots), dtype=np.bool_)
    )
    plain = slots[~special] if (~special).sum() >= LEAST else slots
    usual = _usual(profile, plain, sessions)
    for name in taught:
        mine = slots[seasons[name][slots]]
        usual = np.where(seasons[name], usual * sessions[mine].sum() / max(float(usual[mine].sum()), 1.0), usual)
    day, week = _levels(sessions, there, usual)
    known = slots[(usual[slots] > 0) & np.isfinite(day[slots] + week[slots])]
    if len(known) < LEAST - WEEK:
        return None
    dummies = np.column_stack([profile, *(seasons[name] for name in taught)]).astype(np.float64)
    design = np.column_stack([dummies[known] * (sessions[known] @ dummies[known] > 0), day[known], week[known]])
    used = _independent(design)
    if len(known) < 2 * len(used):
        return None
    found = np.zeros(design.shape[1])
    with warnings.catch_warnings():  # traffic that repeats exactly is no fault
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        fitted = GLM(sessions[known], design[:, used], family=Poisson()).fit(maxiter=50)
    if not fitted.converged:
        return None
    found[used] = fitted.params
    outside = (len(known) + len(used)) / (len(known) - len(used))
    base = np.exp(np.clip(dummies @ found[:-2], -30.0, 30.0)) * (usual > 0)
    return _Fit(usual, base, float(np.clip(found[-2], 0, 1)), float(np.clip(found[-1], 0, 1)), outside)


def _independent(design: Floats) -> list[int]:
    """The columns that are no sum of those before them: with others a regression has no one answer."""
    kept: list[int] = []
    basis = np.zeros((0, len(design)))
    for column, values in enumerate(design.T):
        rest = values - basis.T @ (basis @ values)
        rest = rest - basis.T @ (basis @ rest)
        size = float(np.linalg.norm(rest))
        if size > 1e-6 * max(float(np.linalg.norm(values)), 1e-6):
            kept.append(column)
            basis = np.vstack([basis, rest / size])
    return kept


def _forecasts(sessions: Floats, there: Flags, fit: _Fit, now: int) -> _Ahead:
    day, week = _levels(sessions[:now], there[:now], fit.usual)
    level = np.exp(fit.day_power * day + fit.week_power * week)  # (now + 1,): of the slot that begins there
    four = _fours(fit.base)[: now + 1] * level
    return _Ahead(one=fit.base[: now + 1] * level, day=float(four[now]), four=four, outside=fit.outside)


def _fours(values: Floats) -> Floats:
    """Sums of four neighbours along the last axis, by the first of them: three fewer."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, DAY, axis=-1).sum(axis=-1), dtype=np.float64)


def _levels(sessions: Floats, there: Flags, usual: Floats) -> tuple[Floats, Floats]:
    """log of the last day's and the last week's sessions over the usual, before each slot: (n_slots + 1,) each.

    nan before a week is over, and where half of it is missing.
    """
    n = len(sessions)
    day, week = np.full(n + 1, np.nan), np.full(n + 1, np.nan)
    if n >= WEEK:
        done, said, seen = (_weeks(each) for each in (sessions * there, usual[:n] * there, there))
        whole = (seen.sum(axis=1) >= WEEK // 2) & (said.sum(axis=1) > 0)
        for level, length in ((day, DAY), (week, WEEK)):
            came, usually = done[:, -length:].sum(axis=1), said[:, -length:].sum(axis=1)
            ratio = np.where(usually > 0, came / np.maximum(usually, 1e-9), 1.0)
            level[WEEK:] = np.where(whole, np.log(np.clip(ratio, 1 / FAR, FAR)), np.nan)
    return day, week


def _weeks(values: Floats | Flags) -> Floats:
    """(n - 27, 28): the week up to each slot."""
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(values.astype(np.float64), WEEK))


def _usual(profile: Floats, slots: NDArray[np.int64], sessions: Floats) -> Floats:
    """What each slot usually has: the mean of its slot of the week, or that of its hours times that of its weekday."""
    parts = [slice(None)] if profile.shape[1] == WEEK else [slice(0, DAY), slice(DAY, None)]
    mean = max(float(sessions[slots].mean()), 1e-9)
    result = np.full(len(profile), mean)
    for columns in parts:
        part = profile[:, columns]
        came, number = part[slots].T @ sessions[slots], part[slots].sum(axis=0)
        result *= part @ (came / np.maximum(number, 1.0)) / mean
    return np.asarray(result, dtype=np.float64)


def _profile(size: int, *, interact: bool) -> Floats:
    """(size, n) of 0 and 1: slots of the week, or with little history slots of the day and weekdays."""
    slots = np.arange(size)
    if interact:
        return np.asarray(slots[:, None] % WEEK == np.arange(WEEK), dtype=np.float64)
    hours = slots[:, None] % DAY == np.arange(DAY)
    weekdays = slots[:, None] // DAY % 7 == np.arange(7)
    return np.column_stack([hours, weekdays]).astype(np.float64)


def _training(there: Flags, seasons: Mapping[str, Flags], until: int) -> NDArray[np.int64]:
    """The slots a regression is fitted to: the last eight weeks, and earlier days of any season."""
    wanted = np.zeros(len(there), dtype=np.bool_)
    for on in seasons.values():
        wanted |= on[: len(there)]
    wanted[max(0, until - FITTED) :] = True
    wanted[until:] = False
    return np.flatnonzero(wanted & there)


def _by_name(of: Past, seasons: Sequence[Season]) -> dict[str, Flags]:
    """Of each season which slots are in it, those of the next day too: (n_slots + 4,)."""
    days = [(of.first_end - SLOT + i * SLOT).date() for i in range(of.slots + DAY)]
    found: dict[str, Flags] = {}
    for season in sorted(seasons, key=lambda season: (season.name, season.first)):
        on = np.asarray([season.first <= day <= season.last for day in days], dtype=np.bool_)
        found[season.name] = found.get(season.name, np.zeros(len(days), dtype=np.bool_)) | on
    return found
