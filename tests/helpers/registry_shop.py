"""A shop whose registry has a past: phases, a ramp, pauses, a kill, decisions, drafts, others' assignments."""

from pathlib import Path

from experiments import lifecycle
from experiments.loading import parse_yaml
from experiments.shop import create
from experiments.store import Store
from tests.helpers.assigned_shop import BEGIN, Desk
from tests.helpers.definitions import ASSIGNED, GOOD

LONG = "Everything we know about what a visitor wants, on every page of the shop and in each of its letters"
RAMPED, PHASES, OLD, KILLED, LATER, DRAFT = (
    "home_als_v3",
    "home_blend",
    "home_old",
    "pdp_similar",
    "cart_next",
    "home_new",
)
ELSEWHERE, OVER = "email_picks", "pdp_bundles"


def definition(
    key: str, module: str, buckets: str, start: str, end: str | None = None, *, name: str = "", more: str = ""
) -> str:
    """A definition that truelift assigns, without a ramp."""
    until = f", end_at: {end}" if end else ""
    return f"""\
schema_version: 1
key: {key}
name: {name or key}
owner: recs-team
hypothesis: more revenue per visitor
assignment: truelift
modules: [{module}]
flag_key: rec.{module}
layer: {{key: {module}, ranges: {buckets}}}
variants:
  - {{key: control, weight: "0.5", is_control: true, strategy: popularity}}
  - {{key: blend, weight: "0.5", strategy: als, params: {{factors: 64}}}}
schedule: {{start_at: {start}{until}}}
metrics: {{success: [revenue_per_unit], guardrails: [return_rate]}}
{more}"""


def elsewhere(key: str, start: str, end: str, *, name: str = "Picks by e-mail") -> str:
    """A definition that another system assigns."""
    schedule = f"schedule: {{start_at: {start}, end_at: {end}}}"
    return (
        GOOD.replace("home_als_v2", key)
        .replace("Homepage ALS v2", name)
        .replace("modules: [homepage]", "modules: [email]")
        .replace("schedule: {start_at: 2026-12-01T09:00:00Z, end_at: 2026-12-29T09:00:00Z}", schedule)
    )


def full(home: Path) -> Path:
    """The shop at `home`, as it stands on 16 December 2026."""
    shop = create(home)
    with Store.open(shop.store_url) as store:
        desk = Desk(store, shop)
        _old(desk)
        _ramped(desk)
        _phases(desk)
        _others(desk)
    return home


def _old(desk: Desk) -> None:
    begin = (BEGIN.replace(month=10) - BEGIN).total_seconds() / 3600
    desk.propose(
        definition(OLD, "homepage", "[[8000, 10000]]", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"), at=begin - 48
    )
    desk.start(OLD, at=begin)
    lifecycle.stop(
        desk.store, OLD, "roll_back", actor="cleo", reason="returns rose by 3 %", now=desk.now(begin + 20 * 24)
    )
    lifecycle.archive(desk.store, OLD, actor="cleo", reason="", now=desk.now(begin + 30 * 24))


def _ramped(desk: Desk) -> None:
    desk.begin(ASSIGNED)
    store = desk.store
    lifecycle.raise_traffic(store, RAMPED, "0.01", actor="timer", reason="ramp step", now=desk.now(1))
    lifecycle.raise_traffic(store, RAMPED, "0.2", actor="timer", reason="ramp step", now=desk.now(48))
    lifecycle.pause(store, RAMPED, actor="bob", reason="prices are wrong", now=desk.now(100))
    lifecycle.resume(store, RAMPED, actor="bob", reason="mended", now=desk.now(150))
    lifecycle.add_override(store, RAMPED, "qa-2", "als_v2", actor="ann", reason="for a look", now=desk.now(160))
    known = ASSIGNED.replace(
        "overrides: [{unit_id: qa-1, variant: als_v2}]",
        "overrides: [{unit_id: qa-1, variant: als_v2}, {unit_id: qa-2, variant: als_v2}]",
    )
    desk.propose(known.rstrip() + "\n  secondary: [ctr]\n", at=200)


def _phases(desk: Desk) -> None:
    text = definition(PHASES, "homepage", "[[6000, 8000]]", "2026-11-20T09:00:00Z", name=LONG)
    desk.propose(text, at=-300)
    desk.start(PHASES, at=-260)
    for number, hours in enumerate((-200, -100, 50, 120), 2):
        start = desk.now(hours - 1).isoformat()
        document, problems = parse_yaml(
            text.replace("2026-11-20T09:00:00Z", start).replace("factors: 64", f"factors: {64 * number}")
        )
        assert document is not None, problems
        lifecycle.propose_phase(
            desk.store, desk.shop, document, where="text", actor="ann", reason=f"try {number}", now=desk.now(hours)
        )


def _others(desk: Desk) -> None:
    store = desk.store
    desk.propose(definition(KILLED, "pdp", "[[0, 10000]]", "2026-12-02T00:00:00Z", "2026-12-30T00:00:00Z"))
    desk.start(KILLED, at=20)
    lifecycle.kill(store, KILLED, actor="bob", reason="the page was empty", now=desk.now(260))
    desk.propose(definition(LATER, "cart", "[[0, 5000]]", "2026-12-20T00:00:00Z", "2027-01-17T00:00:00Z"), at=100)
    lifecycle.schedule(store, LATER, actor="ann", reason="", now=desk.now(101))
    desk.propose(
        definition(DRAFT, "homepage", "[[8000, 9000]]", "2027-01-07T00:00:00Z",
                   more=f"prerequisites: [{{experiment: {RAMPED}, variants: [als_v2]}}]\n"), at=300,
    )  # fmt: skip
    desk.propose(elsewhere(ELSEWHERE, "2026-11-10T00:00:00Z", "2026-12-25T00:00:00Z"), at=10)
    desk.start(ELSEWHERE, at=11)
    desk.propose(elsewhere(OVER, "2026-11-01T00:00:00Z", "2026-12-05T00:00:00Z", name="Bundles"), at=12)
    desk.start(OVER, at=13)
