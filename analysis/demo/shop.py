"""The demo's shop: four experiments, what their arms do, and how they are begun in simulated time."""

from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files

from analysis.demo.serving import Configuration
from assignment.allocation import evaluate
from experiments import lifecycle
from experiments.bundle import bundle_document
from experiments.errors import UsageError
from experiments.shop import Shop
from experiments.simulator.generator import Assign
from experiments.simulator.plan import CATEGORY_KEYS, Plan, Play, lifted
from experiments.store import Store

SEED = 1
UNITS = 40_000
REGISTERED_BEFORE = timedelta(days=10)  # the start
BECAUSE = "the demo"


@dataclass(frozen=True, slots=True)
class Story:
    """One experiment of the demo: what its arms do, what befalls its log, and where its point is seen."""

    play: Play
    told: str  # what somebody who knows the truth would say of it
    look: str  # the page of the app, by its path
    page: str  # … and by its name
    fault: str | None = None  # of `experiments.simulator.faults`

    @property
    def key(self) -> str:
        """Of the experiment."""
        return self.play.key


EVERYWHERE = dict.fromkeys(CATEGORY_KEYS, 0.8)
# Orders that come through the module, by what the visitor came for. Over everything they nearly cancel out.
DECOR_NOT_BEDDING = {"decor": 0.75, "bedding": -1.0, "furniture": -0.35, "garden": -0.1, "lighting": -0.1}
STORIES = (
    Story(
        lifted("pdp_similar", "pdp", "similar", EVERYWHERE, click_lift=0.3),
        "Better for every category.",
        "readout?experiment=pdp_similar",
        "Readout",
    ),
    Story(
        lifted("home_als_v2", "homepage", "als_v2", DECOR_NOT_BEDDING, click_lift=0.2),
        "Helps decor and hurts bedding; over everything they nearly cancel out.",
        "where?experiment=home_als_v2",
        "Where",
    ),
    Story(
        lifted("cart_addons", "cart", "addons", dict.fromkeys(CATEGORY_KEYS, 0.3)),
        "Mobile Safari lost exposures of the new arm.",
        "health?experiment=cart_addons",
        "Signal health",
        fault="lost_exposures",
    ),
    Story(
        lifted("email_aa", "email", "again"),
        "The same recommender in both arms.",
        "readout?experiment=email_aa",
        "Readout",
    ),
)
REGRESSION = Story(  # in place of the homepage's, where an alert is to be seen
    lifted("home_als_v2", "homepage", "als_v2", dict.fromkeys(CATEGORY_KEYS, -0.9), click_lift=-0.2),
    "Worse for every category: it loses orders every day.",
    "alerts",
    "Alerts inbox",
)


def stories(*, regression: bool = False) -> tuple[Story, ...]:
    """The demo's four; with a regression the homepage's arm loses."""
    return tuple(REGRESSION if regression and story.key == REGRESSION.key else story for story in STORIES)


def plan(units: int, seed: int = SEED, *, regression: bool = False) -> Plan:
    """What the demo plays: four weeks of history, four of experiment, and two in which parcels come back."""
    return Plan(seed=seed, plays=tuple(story.play for story in stories(regression=regression)), units=units)


def begin(shop: Shop, store: Store, played: Plan, by: str) -> tuple[Configuration, Configuration]:
    """Register the experiments and start them, each at its simulated time; what is served before and from the start."""
    registered, start = played.midnight(0) - REGISTERED_BEFORE, played.midnight(0)
    for story in STORIES:
        path = shop.definitions / f"{story.key}.yml"
        path.write_text(packaged(path.name), encoding="utf-8")
        lifecycle.register(store, shop, path, actor=by, reason=BECAUSE, now=registered)
    drafts = bundle_document(store, shop)
    for story in STORIES:
        lifecycle.start(store, shop, story.key, actor=by, reason=BECAUSE, now=start)
    return Configuration(played.midnight(-played.history_days), drafts), Configuration(
        start, bundle_document(store, shop)
    )


def assigner(running: Configuration) -> Assign:
    """Which arm a unit is in, as the simulator asks: by the bundle that serves it."""
    flags = {key: planned.flag_keys[0] for key, planned in running.bundle.plans.items()}

    def assign(experiment: str, unit: str) -> str:
        arm = evaluate(running.bundle, flags[experiment], {"user_id": unit}, running.since).variant
        if arm is None:
            raise UsageError(f"{experiment}: {unit} is in no arm; the demo's experiments take everybody")
        return arm

    return assign


def packaged(name: str) -> str:
    """A definition or mapping of the demo."""
    return (files("experiments") / "simulator" / "demo" / name).read_text(encoding="utf-8")
