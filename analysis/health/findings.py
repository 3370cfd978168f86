"""What a check is given and what it gives back, and the small steps all of them share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite

from analysis.health.pre_period import PrePeriod
from analysis.health.sample_ratio import evidence
from analysis.health.thresholds import THRESHOLDS
from analysis.inference.result import Undetermined
from analysis.readout import Check, CheckState, Figure, Judged
from analysis.verdict import Hold
from analysis.warehouse.base import CellValue, CheckRows, Counts
from analysis.words import health as said
from experiments.errors import ReadoutError
from experiments.spec import Experiment, Metric

Row = Mapping[str, CellValue]
DATA_TEAM, WEB_TEAM = "data team", "web team"
SEVERITY: tuple[CheckState, ...] = ("not_applicable", "pass", "unknown", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the checks look at. `rows` are query results by name; a query that was not run is absent.

    `finished_import` says that the run was over before anyone could look at it: then, and only then,
    the split is judged by χ².
    """

    experiment: Experiment
    metrics: Mapping[str, Metric]
    counts: Counts
    rows: Mapping[str, CheckRows]
    pre_period: PrePeriod | Undetermined
    finished_import: bool
    covariate_names: Mapping[str, str]

    @property
    def arms(self) -> tuple[str, ...]:
        """Arm keys, control first, as in the definition otherwise."""
        return (self.experiment.control.key, *(v.key for v in self.experiment.treatments))

    @property
    def weights(self) -> tuple[Fraction, ...]:
        """Planned shares, in the order of `arms`."""
        given = {v.key: Fraction(v.weight) for v in self.experiment.variants}
        whole = sum(given.values(), Fraction(0))
        return tuple(given[arm] / whole for arm in self.arms)

    def of(self, query: str) -> tuple[Row, ...] | None:
        """The query's rows; None when it was not run."""
        found = self.rows.get(query)
        return None if found is None else found.rows


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's result, with what it withholds when it fails."""

    check: Check
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """What never changes of a check: its id, its name for readers, its SQL, who mends it, and its limits.

    `judged` names the threshold of each figure that has one; `more_sql` are its other queries.
    """

    id: str
    label: str
    blocking: bool  # a failure withholds every result
    sql: str | None
    owner: str
    judged: Mapping[str, str] = field(default_factory=dict)
    more_sql: tuple[str, ...] = ()

    def finding(
        self,
        state: CheckState,
        sentence: str,
        *,
        figures: Mapping[str, Figure] | None = None,
        groups: Iterable[Mapping[str, Figure]] = (),
        since: str | None = None,
        hold: Hold | None = None,
        browsers: Mapping[str, CheckState] | None = None,
        unjudged: Iterable[str] = (),
    ) -> Finding:
        """The result in this check's name; `unjudged` figures are no reason for it this time."""
        left_out, shown = frozenset(unjudged), dict(figures or {})
        check = Check(
            id=self.id,
            label=self.label,
            state=state,
            blocking=self.blocking,
            sentence=sentence,
            figures=shown,
            groups=tuple(dict(group) for group in groups),
            sql=_path(self.sql) if self.sql else None,
            since=since,
            owner=self.owner,
            judged=tuple(
                _judged(name, value, key, state)
                for name, key in self.judged.items()
                if name not in left_out and isinstance(value := shown.get(name), float | int)
            ),
            browsers=dict(sorted((browsers or {}).items())),
            more_sql=tuple(_path(each) for each in self.more_sql),
        )
        return Finding(check, hold)

    def unknown(self, cause: str, figures: Mapping[str, Figure] | None = None) -> Finding:
        """Too little data, or none."""
        return self.finding("unknown", said.unknown(cause), figures=figures)

    def not_applicable(self, cause: str) -> Finding:
        """Nothing to check."""
        return self.finding("not_applicable", said.not_applicable(cause))

    def holding(self, cause: str, fix: str, *, metrics: frozenset[str] | None = None) -> Hold:
        """What a failure withholds: everything, or `metrics`."""
        return Hold(self.id, cause, self.owner, fix, metrics)


NOT_RUN = "its query was not run"


def _path(query: str) -> str:
    return f"sql/checks/{query}.sql"


def _judged(figure: str, value: float, key: str, of_check: CheckState) -> Judged:
    """The figure beside its limits; what is over one for a reason that the check knows is as good as the check."""
    limit = THRESHOLDS[key]
    found = min(limit.state(value), of_check, key=SEVERITY.index)
    warn, fail = (limit.warn, limit.fail) if limit.warn != limit.fail else (None, limit.fail)
    return Judged(
        figure=figure,
        measure=limit.measure,
        unit=limit.unit,
        value=value,
        warn=warn,
        fail=fail if isfinite(fail) else None,
        worse=limit.worse,
        state="pass" if found in ("not_applicable", "unknown") else found,
    )


def worst(states: Iterable[CheckState]) -> CheckState:
    """The most serious of the states."""
    return max(states, key=SEVERITY.index)


def whole(row: Row, column: str) -> int:
    """A count of a row; ReadoutError when the query does not give one."""
    value = row.get(column)
    if value is None or isinstance(value, str):
        raise ReadoutError(f"a check query gave {column} = {value!r}; a whole number is needed: correct its SQL")
    return int(value)


def text(row: Row, column: str) -> str:
    """A name of a row; unknown names are '(none)'."""
    value = row.get(column)
    return "(none)" if value is None else str(value)


def summed(rows: Iterable[Row], column: str) -> int:
    """A count over all rows."""
    return sum(whole(row, column) for row in rows)


def rate(part: int, of: int) -> float:
    """part/of, 0 where there is nothing."""
    return part / of if of else 0.0


def by_arm(rows: Iterable[Row], arms: Sequence[str], column: str) -> list[int]:
    """The column's sum in each arm, in the order of `arms`."""
    listed = list(rows)
    return [summed((row for row in listed if text(row, "arm") == arm), column) for arm in arms]


def inequality(faults: Sequence[int], expected: Sequence[int]) -> float:
    """The e-value that faults do not fall on the arms in the proportions `expected`; 1 where one of these is 0."""
    return evidence(faults, expected) if min(expected) > 0 else 1.0


def is_unequal(e: float) -> bool:
    """Whether a fault hits the arms unequally."""
    return THRESHOLDS["unequal_by_arm"].state(e) == "fail"
