"""Every threshold of SIGNALS, in one table. Formulas are STATISTICS'; this page owns the limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from sys import float_info
from typing import Literal

from analysis.readout import CheckState


@dataclass(frozen=True, slots=True)
class Threshold:
    """When a figure warns and when it fails. `worse` says in which direction it gets worse."""

    measure: str
    warn: float
    fail: float
    worse: Literal["above", "below"] = "above"

    def state(self, figure: float) -> CheckState:
        """Pass, warn or fail; a figure on the limit is already beyond it."""
        if self.worse == "below":
            return "fail" if figure < self.fail else "warn" if figure < self.warn else "pass"
        return "fail" if figure >= self.fail else "warn" if figure >= self.warn else "pass"


THRESHOLDS: Mapping[str, Threshold] = {
    "sample_ratio_e": Threshold("e-value of the split; for groups times their number", 100, 1_000),
    "sample_ratio_p": Threshold("χ² p of a finished import; for groups times their number", 0.01, 0.001, "below"),
    "add_to_cart_drop": Threshold("change of add-to-carts a view in one browser on one day", -0.2, -0.5, "below"),
    "catalogue_join": Threshold("share of logged items found in the catalogue", 0.995, 0.98, "below"),
    "catalogue_id_gap": Threshold("share found only after normalising the id", 0.01, 0.01),
    "duplicates": Threshold("share of rows that repeat another", 0.005, 0.02),
    "two_arms": Threshold("share of units seen in more than one arm", 0.003, 0.01),
    "unequal_by_arm": Threshold("e-value that a fault hits the arms unequally", 1_000, 1_000),
    "audit": Threshold("share of exposures that are not as recomputed; any warns", float_info.min, 0.001),
    "clicks_before_exposure": Threshold("share of module clicks before the unit's first exposure", 0.005, 0.005),
    "purchases_unexposed": Threshold("share of purchases by units never exposed: ids that do not match", 0.98, 0.995),
    "unexposed_growth": Threshold(
        "growth of purchases without exposure, last 7 days against before", 0.2, float("inf")
    ),
    "unlinked_returns": Threshold("share of refunds and cancels that match no order", 0.005, float("inf")),
    "pre_period_p": Threshold("always-valid p of the pre-period test", 0.01, 0.001, "below"),
    "margin_coverage": Threshold("share of order lines with a margin", 0.99, 0.98, "below"),
    "rejected": Threshold("share of rows rejected by the contract", 0.005, 0.02),
    "late_hour": Threshold("share of rows that come over an hour late", 0.01, float("inf")),
    "late_day": Threshold("share of rows that come over a day late", 0.01, 0.01),
    "clock_skew": Threshold("share of a browser's rows dated over 5 minutes after their arrival", 0.002, 0.01),
    "volume": Threshold("change of a day's rows against the same weekdays before", -0.3, -0.6, "below"),
    "met_p": Threshold("always-valid p that visitors of the arms meet the module alike", 0.01, 0.001, "below"),
    "bots": Threshold("share of units marked as bots or own people, or that look like a program", 0.01, 0.05),
    "identity": Threshold("share of units that share an id with another", 0.02, 0.1),
    "clicks_not_shown": Threshold("share of clicks on items that were not shown", 0.005, 0.02),
    "orders_shared": Threshold("share of orders with lines of several units", 0.005, 0.02),
    "stock_known": Threshold("share of shown items whose stock is known", 0.99, 0.95, "below"),
    "catalogue_hours": Threshold("hours from the newest catalogue row to the newest slot", 6, 24),
    "catalogue_field": Threshold("share of items on offer with a field that the catalogue gives", 0.99, 0.95, "below"),
    "drift": Threshold("population stability index of a distribution against the weeks before", 0.1, float("inf")),
    "spike_z": Threshold("distance of an item's day from its days before, in standard deviations", 6, 10),
}

MIN_GROUP_UNITS = 100  # a smaller group is not tested
MIN_SHARE_OFF = 0.001  # a split is off by a tenth of a point at least, or it is not worth a warning
MIN_VIEWS = 500  # of a browser on a day
DROP_Z = -6.0
OTHERS_STEADY = -0.2  # other browsers of the same day have not fallen this far
BASELINE_DAYS = 7
MIN_ROWS = 100  # fewer rows than this are unknown, not a pass
MIN_CLOCK_ROWS = 1_000  # of a browser: one wrong clock in fewer would already be a warning
LAST_DAYS, WEEKS_BEFORE = 7, 4  # the days whose volume is looked at, and the same weekdays before each
MIN_EXPECTED = 200  # rows a day of one kind and browser
STALE_DAYS = 2
ASSUMED_UNITS = 10_000  # n* of SH-10, whose visitors nobody plans
MIN_DRIFT_ROWS = 500  # on either side: of fewer the index is mostly noise
MIN_DAYS_BEFORE = 5  # of an item, before a jump is one
