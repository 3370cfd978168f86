"""What the pipeline asks of a warehouse: count, and name the groups that fail a check. Nothing else.

A warehouse is one file beside this one and one line in `WAREHOUSES`. Everything it returns is exact
whole numbers; no estimate is ever made in a database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from analysis.inference.moments import ArmMoments, MomentTable
from analysis.warehouse.terms import ShopTerms
from experiments.placement import Holdout
from experiments.spec import Metric, Slice

CellValue = int | float | str | bool | None
Parameter = str | int | date | datetime | list[str] | list[int] | list[datetime]  # of a statement; naive UTC


@dataclass(frozen=True, slots=True)
class DataCut:
    """Until when rows count. Both instants are naive UTC, like every timestamp in the warehouse."""

    as_of: datetime  # start of a business day: rows at or after it are not there yet
    as_of_day: date  # that business day, or the one after the newest row where the log ends earlier: maturity's own
    outcome_end: datetime  # min(as_of, the experiment's end): exposures and outcomes at or after it do not count


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Who is in the first arm: the units whose bucket lies in one of the ranges. Everybody else is in the second."""

    salt: str  # with its stage
    buckets: tuple[tuple[int, int], ...]  # half-open, of 10,000, apart from each other


@dataclass(frozen=True, slots=True)
class Split:
    """Which arm the hash gives a unit, where truelift made the split."""

    salt: str  # with its stage
    arms: tuple[tuple[str, int, int], ...]  # arm, and its half-open range of 10,000 buckets


@dataclass(frozen=True, slots=True)
class CountRequest:
    """One experiment phase at one data cut. `arms` has the control first; `metrics` is everything read from it.

    A unit's arm is the variant that is logged of it. With `held_out` it is what that hash gives, and every exposure in
    `modules` counts, whatever it was logged for.
    """

    experiment_key: str
    phase: int
    unit_type: str
    modules: tuple[str, ...]
    arms: tuple[str, ...]
    started_at: datetime  # naive UTC
    cut: DataCut
    covariate_days: int
    attribution_days: int
    outcome_days: int | None
    metrics: tuple[Metric, ...]
    covariate_metrics: Mapping[str, tuple[Metric, ...]]  # metric key → the metrics whose pre-period facts adjust it
    slices: tuple[Slice, ...]
    series: tuple[str, ...]  # metric keys whose cumulative band is kept by day
    held_out: HeldOut | None = None
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Exact moments and unit counts of one request.

    `cells` holds `CellKey.overall(w)` for every population w in use, every context slice
    ('first_module', 'first_page_category', 'first_module_page_category' and the declared keys) and every
    decomposition slice ('module', 'item_category', 'page_category', 'module_item_category',
    'module_page_category'). `daily` is cumulative to the end of each business day, for the metrics in
    `series` that have no outcome window; its last entry equals the overall moments.
    """

    cells: MomentTable
    daily: Mapping[date, ArmMoments]
    units: Mapping[str, int]  # analysed units by arm
    excluded: Mapping[str, Mapping[str, int]]  # arm → reason (two_arms, override, bot, internal, earlier_phase) → units
    days_with_data: int  # business days on which a unit was exposed or acted, up to outcome_end
    data_as_of: datetime | None  # newest event_ts before the cut
    loads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckRows:
    """What one sql/checks/*.sql returned: one mapping per group, columns by name."""

    name: str
    rows: tuple[Mapping[str, CellValue], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Where every registered holdout is asked: in the modules it names, and in the phases that name it."""

    holdouts: Mapping[str, Holdout]
    phases: Mapping[tuple[str, int], tuple[str, ...]]  # (experiment, phase) → the holdouts it names


class Warehouse(Protocol):
    """An open warehouse; closing it releases warehouse.lock."""

    engine: str  # name and version, for provenance

    def terms(self) -> ShopTerms | None:
        """The terms its rows were loaded under; None while there are none."""

    def newest(self, before: datetime) -> datetime | None:
        """The newest event_ts before a naive UTC instant, of exposures and outcomes; None without any row."""

    def count(self, request: CountRequest) -> Counts:
        """Recompute the request's first exposures, unit totals and moments. WarehouseError on overflow."""

    def check(self, name: str, request: CountRequest) -> CheckRows:
        """Run sql/checks/<name>.sql for the request (after `count`)."""

    def audit(self, experiment_key: str, bundles: Iterable[Mapping[str, object]]) -> CheckRows:
        """`hash_audit`: exposures by class, recomputed from bundle.v1 documents, the current one first."""

    def audit_holdout(self, key: str, asked: Asked) -> Mapping[str, CheckRows]:
        """`hash_audit` of a holdout: the exposures at which it was asked, by class; and what its members met.

        `holdout_members` is one row: members seen, and how many met_else; `holdout_met_else` what and why.
        """

    def rows(self, name: str, given: Mapping[str, Parameter]) -> Sequence[tuple[CellValue, ...]]:
        """The rows of sql/<name>.sql, which reads raw tables only, with these parameters."""

    def close(self) -> None:
        """Give the warehouse back."""
