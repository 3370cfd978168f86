"""A published randomised e-mail test, read by the whole thread: 64,000 customers, three arms, two weeks of spend."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.inference.estimators import ESTIMATORS
from analysis.inference.metrics import plan
from analysis.inference.moments import CellKey, Moments
from analysis.inference.result import Contrast
from analysis.readout import Comparison, Readout
from analysis.warehouse.base import Counts
from analysis.warehouse.loading.load import LoadReport
from experiments.shop import create
from experiments.spec import Metric
from experiments.store import Store
from tests.helpers.thread import Thread, real_data

MAPPING = Path(__file__).parent / "data" / "hillstrom.mapping.yml"
AS_OF = datetime(2008, 3, 20, tzinfo=UTC)
ARMS = ("control", "mens", "womens")

METRICS = """
schema_version: 1
metrics:
  visit:
    label: Share of {units} who visit the site
    kind: proportion
    numerator: {from: interactions, where: {event_name: view}, measure: any}
    scope: site
    value_unit: share
    direction: increase
    covariates: [revenue_per_unit]
"""
DEFINITION = """
schema_version: 1
key: hillstrom_2008
name: Hillstrom e-mail test
owner: marketing
hypothesis: An e-mail brings customers back.
assignment: external
assigned_by: the mailing
modules: [email]
unit_type: user
variants:
  - {key: control, weight: "1", is_control: true, strategy: no_email}
  - {key: mens, weight: "1", strategy: mens_email}
  - {key: womens, weight: "1", strategy: womens_email}
schedule: {start_at: 2008-03-01T00:00:00Z, end_at: 2008-03-15T00:00:00Z}
metrics: {success: [revenue_per_unit], secondary: [visit, conversion, aov]}
analysis: {design: fixed, planned_units: 64000, comparator: none}
"""

# As published with the data: units, visitors, buyers, spend in cents.
COUNTS = {
    "control": (21_306, 2_262, 122, 1_390_833),
    "mens": (21_307, 3_894, 267, 3_031_169),
    "womens": (21_387, 3_238, 189, 2_303_811),
}
# (difference, its standard error) without adjustment, to the digits published; spend in dollars.
EFFECTS = {
    ("mens", "visit"): (0.076590, 0.003386),
    ("mens", "conversion"): (0.006805, 0.000921),
    ("mens", "revenue_per_unit"): (0.769827, 0.145247),
    ("womens", "visit"): (0.045233, 0.003234),
    ("womens", "conversion"): (0.003111, 0.000823),
    ("womens", "revenue_per_unit"): (0.424412, 0.130333),
}


@pytest.fixture(scope="module")
def thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thread]:
    real_data("hillstrom/hillstrom.csv.gz")
    shop = create(tmp_path_factory.mktemp("hillstrom") / "shop", currency="USD")
    shop.metrics_file.write_text(METRICS, encoding="utf-8")
    with Store.open(shop.store_url) as store:
        yield Thread(shop, store)


@pytest.fixture(scope="module")
def report(thread: Thread) -> LoadReport:
    return thread.load(real_data("hillstrom/hillstrom.csv.gz"), MAPPING)


@pytest.fixture(scope="module")
def key(thread: Thread) -> str:
    return thread.start(DEFINITION)


@pytest.fixture(scope="module")
def readout(thread: Thread, report: LoadReport, key: str) -> Readout:
    assert not report.already_loaded
    return thread.refresh(key, AS_OF)


@pytest.fixture(scope="module")
def counts(thread: Thread, readout: Readout, key: str) -> Counts:
    assert not readout.withheld
    return thread.counts(key, AS_OF)


def metric(thread: Thread, key: str, name: str) -> Metric:
    return thread.store.phase(key).metrics[name]


def contrast(thread: Thread, counts: Counts, key: str, arm: str, name: str, estimator: str) -> Contrast:
    """Treatment `arm` against control in one metric, money in cents."""
    reading = plan(metric(thread, key, name), thread.store.phase(key).metrics, None)
    overall = counts.cells[CellKey.overall(reading.window_days)]
    found = ESTIMATORS[estimator](overall["control"], overall[arm], reading)
    assert isinstance(found, Contrast)
    return found


def fact(thread: Thread, key: str, name: str) -> str:
    return metric(thread, key, name).facts(None)[0].key


def comparison(readout: Readout, arm: str, name: str) -> Comparison:
    return next(each for each in readout.metric(name).comparisons if each.arm == arm)


def test_every_row_is_loaded(report: LoadReport) -> None:
    visits, buyers = (sum(row[column] for row in COUNTS.values()) for column in (1, 2))
    assert report.rows_read == 64_000
    assert report.rejected == report.rows_malformed == report.duplicates == 0
    filled = {table: rows for table, rows in report.accepted_by_table.items() if rows}
    assert filled == {"exposures": 64_000, "outcomes": 64_000 + visits + buyers}


@pytest.mark.parametrize("arm", ARMS)
def test_counts_and_sums_are_equal(thread: Thread, counts: Counts, key: str, arm: str) -> None:
    overall: Moments = counts.cells[CellKey.overall()][arm]
    names = ("visit", "conversion", "revenue_per_unit")
    found = (overall.n, *(overall.sums[fact(thread, key, name)] for name in names))
    assert found == COUNTS[arm]
    assert counts.units[arm] == COUNTS[arm][0]


@pytest.mark.parametrize(("arm", "name"), list(EFFECTS))
def test_differences_and_standard_errors(thread: Thread, counts: Counts, key: str, arm: str, name: str) -> None:
    found = contrast(thread, counts, key, arm, name, "unadjusted")
    unit = 100 if name == "revenue_per_unit" else 1
    difference, error = EFFECTS[arm, name]
    assert found.difference / unit == pytest.approx(difference, abs=6e-7)
    assert found.se / unit == pytest.approx(error, abs=6e-7)


def test_order_values(readout: Readout) -> None:
    for arm, dollars in (("mens", 113.53), ("womens", 121.89)):
        assert comparison(readout, arm, "aov").treatment.raw == pytest.approx(dollars, abs=0.005)
    assert comparison(readout, "mens", "aov").control.raw == pytest.approx(114.00, abs=0.005)


def test_the_split_is_the_planned_one(readout: Readout) -> None:
    check = next(check for check in readout.checks if check.id == "SH-01")
    assert check.state == "pass"
    assert check.figures["p"] == pytest.approx(0.904, abs=0.0005)


@pytest.mark.parametrize("arm", ["mens", "womens"])
def test_past_spend_explains_almost_nothing_and_is_said_to(
    thread: Thread, counts: Counts, key: str, readout: Readout, arm: str
) -> None:
    adjustment = comparison(readout, arm, "revenue_per_unit").adjustment
    assert adjustment is not None
    assert adjustment.variance_reduction == pytest.approx(0.0004, abs=0.0003)
    assert "negligible" in adjustment.words
    plain = contrast(thread, counts, key, arm, "revenue_per_unit", "unadjusted")
    adjusted = contrast(thread, counts, key, arm, "revenue_per_unit", "lin")
    assert adjusted.se <= plain.se * 1.0001, "it must not hurt"
    assert adjusted.difference == pytest.approx(plain.difference, abs=0.1 * plain.se)


def test_past_spend_explains_a_little_of_visits(thread: Thread, counts: Counts, key: str) -> None:
    """Published: 0.44 % for all three arms together; here the mean of the two contrasts."""
    both = [contrast(thread, counts, key, arm, "visit", "lin").variance_reduction for arm in ("mens", "womens")]
    assert sum(both) / 2 == pytest.approx(0.0044, abs=0.0006)


def test_each_treatment_has_a_verdict(readout: Readout) -> None:
    assert {each.arm: each.verdict.code for each in readout.verdicts} == {"mens": "SHIP", "womens": "SHIP"}
    for each in readout.verdicts:
        assert each.arm in each.verdict.sentence
        assert "revenue per user" in each.verdict.sentence
    assert readout.verdict.arm == "mens", "the better of the two speaks for the experiment"


@pytest.mark.parametrize("arm", ["mens", "womens"])
def test_the_fixed_reading_is_the_textbook_one(
    thread: Thread, counts: Counts, key: str, readout: Readout, arm: str
) -> None:
    from scipy import stats

    shown = comparison(readout, arm, "revenue_per_unit")
    adjusted = contrast(thread, counts, key, arm, "revenue_per_unit", "lin")
    assert shown.se == pytest.approx(adjusted.se / 100, rel=1e-9)
    assert shown.p_fixed == pytest.approx(2 * float(stats.t.sf(abs(adjusted.z), adjusted.dof)), rel=1e-6)
