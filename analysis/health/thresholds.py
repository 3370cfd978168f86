"""Every threshold of SIGNALS, in one table. Formulas are STATISTICS'; this page owns the limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from sys import float_info
from typing import Literal

from analysis.readout import CheckState, Measure


@dataclass(frozen=True, slots=True)
class Threshold:
    """When a figure warns and when it fails. `worse` says in which direction it gets worse."""

    measure: str
    warn: float
    fail: float
    worse: Literal["above", "below"] = "above"
    unit: Measure = "share"

    def state(self, figure: float) -> CheckState:
        """Pass, warn or fail; a figure on the limit is already beyond it."""
        if self.worse == "below":
            return "fail" if figure < self.fail else "warn" if figure < self.warn else "pass"
        return "fail" if figure >= self.fail else "warn" if figure >= self.warn else "pass"


THRESHOLDS: Mapping[str, Threshold] = {
    "sample_ratio_e": Threshold("odds against the planned split", 100, 1_000, unit="odds"),
    "sample_ratio_p": Threshold("chance of such a split under the plan", 0.01, 0.001, "below", "chance"),
    "group_ratio_e": Threshold("the same in the worst group, divided by the number of groups", 100, 1_000, unit="odds"),
    "group_ratio_p": Threshold(
        "the same in the worst group, times the number of groups", 0.01, 0.001, "below", "chance"
    ),
    "add_to_cart_drop": Threshold(
        "largest fall of add-to-carts a view in one browser on one day", -0.2, -0.5, "below", "change"
    ),
    "catalogue_join": Threshold("logged items found in the catalogue", 0.995, 0.98, "below"),
    "catalogue_id_gap": Threshold("logged items found only when the id's spelling is ignored", 0.01, 0.01),
    "duplicates": Threshold("rows that came twice under one event id", 0.005, 0.02),
    "slots_repeated": Threshold("slots that repeat another of the same unit, module and session", 0.005, 0.02),
    "two_arms": Threshold("units seen in more than one arm", 0.003, 0.01),
    "unequal_by_arm": Threshold("odds that the fault hits one arm more than another", 1_000, 1_000, unit="odds"),
    "audit": Threshold("exposures that are not as recomputed", float_info.min, 0.001),
    "members_met_else": Threshold("held-out units that met something else", 0.001, 0.05),
    "clicks_before_exposure": Threshold("clicks on the modules before the unit's first exposure", 0.005, 0.005),
    "purchases_unexposed": Threshold("purchases by units never exposed", 0.98, 0.995),
    "unexposed_growth": Threshold(
        "growth of their share of purchases, last seven days against before", 0.2, float("inf"), unit="change"
    ),
    "unlinked_returns": Threshold("refunds and cancellations that match no order", 0.005, float("inf")),
    "pre_period_p": Threshold(
        "chance of such a difference between arms that are alike", 0.01, 0.001, "below", "chance"
    ),
    "margin_coverage": Threshold("order lines with a margin", 0.99, 0.98, "below"),
    "rejected": Threshold("rows rejected by the contract", 0.005, 0.02),
    "late_hour": Threshold("rows that come over an hour late", 0.01, float("inf")),
    "late_day": Threshold("rows that come over a day late", 0.01, 0.01),
    "clock_skew": Threshold("rows of the worst browser dated over 5 minutes after their arrival", 0.002, 0.01),
    "volume": Threshold("largest fall of a day's rows against the same weekdays before", -0.3, -0.6, "below", "change"),
    "silent_days": Threshold("full days without any row before the day that is read", 3, 3, unit="days"),
    "met_p": Threshold(
        "chance of such a difference when visitors of the arms meet the module alike", 0.01, 0.001, "below", "chance"
    ),
    "bots": Threshold("units marked as bots or own people", 0.01, 0.05),
    "busy_units": Threshold("units that look like a program and are not marked", 0.01, 0.05),
    "identity": Threshold("units that share an id with another", 0.02, 0.1),
    "clicks_not_shown": Threshold("clicks on items that were not shown", 0.005, 0.02),
    "orders_shared": Threshold("orders with lines of several units", 0.005, 0.02),
    "stock_known": Threshold("shown items whose stock is known", 0.99, 0.95, "below"),
    "catalogue_hours": Threshold("age of the newest catalogue row when the newest slot was shown", 6, 24, unit="hours"),
    "catalogue_field": Threshold("items on offer with the field that is missing most", 0.99, 0.95, "below"),
    "drift": Threshold("stability index of the distribution that moved most", 0.1, float("inf"), unit="index"),
    "spike_z": Threshold(
        "distance of an item's day from its days before, in standard deviations", 6, 10, unit="deviations"
    ),
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
ASSUMED_UNITS = 10_000  # n* of SH-10, whose visitors nobody plans
MIN_DRIFT_ROWS = 500  # on either side: of fewer the index is mostly noise
MIN_DAYS_BEFORE = 5  # of an item, before a jump is one
