"""`truelift assign`: which arm a unit gets, and every step of how that comes about."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from analysis.cli.context import Home, instant
from experiments.errors import NotFoundError, UsageError, nearest
from experiments.shop import open_shop
from experiments.store import Store

if TYPE_CHECKING:
    from assignment.bundle import Bundle, Slot
    from assignment.decision import Explanation, Step


def assign(
    key: Annotated[str, typer.Argument(help="A flag, or an experiment.")],
    unit: Annotated[str, typer.Argument(help="The unit's id, as it is logged.")],
    steps: Annotated[bool, typer.Option("--explain", help="Every step, with the text that was hashed.")] = False,
    context: Annotated[str, typer.Option(help='Attributes and further ids as JSON: {"platform": "web"}.')] = "{}",
    as_of: Annotated[str | None, typer.Option(help="At this UTC instant instead of now.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print decisions and steps as JSON.")] = False,
    home: Home = None,
) -> None:
    """Say which arm a unit gets now, in a slot or in every slot of an experiment. It logs nothing."""
    from assignment.bundle import compile_bundle
    from assignment.explanation import explain
    from experiments.bundle import bundle_document

    shop = open_shop(home)
    attributes = _attributes(context)
    moment = datetime.now(UTC) if as_of is None else instant(as_of)
    with Store.open(shop.store_url) as store:
        bundle = compile_bundle(bundle_document(store, shop))
    explained = [
        explain(bundle, flag, {**attributes, _named_by(bundle.slots[flag]): unit}, moment)
        for flag in _flags(bundle, key)
    ]
    if as_json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(explained), indent=2).decode())
    else:
        out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        for one in explained:
            out.print(_said(unit, one))
            for line in _told(one) if steps else ():
                out.print(line)
    if any(one.decision.error for one in explained):
        raise typer.Exit(2)


def _named_by(slot: "Slot") -> str:
    """What the context calls the unit; in a switchback the cluster, whose window the moment gives."""
    return f"{slot.unit_type}_id" if slot.clock is None else slot.clock.cluster


def _flags(bundle: "Bundle", key: str) -> tuple[str, ...]:
    if key in bundle.slots:
        return (key,)
    if key in bundle.plans:
        return bundle.plans[key].flag_keys
    near = nearest(key, (*bundle.slots, *bundle.plans))
    hint = f"; nearest: {', '.join(near)}" if near else ""
    raise NotFoundError(
        f"{key}: no slot has this flag, and no experiment of this key is assigned here{hint}; "
        "give a flag of layers/*.yml, or a registered experiment with assignment: truelift"
    )


def _attributes(written: str) -> Mapping[str, object]:
    try:
        found = json.loads(written)
    except ValueError as error:
        raise UsageError(f"--context {written}: is not JSON ({error}); write an object, such as '{{}}'") from error
    if not isinstance(found, dict):
        raise UsageError(f"--context {written}: is a {type(found).__name__}, not an object; write it in braces")
    return found


def _said(unit: str, one: "Explanation") -> str:
    decision = one.decision
    if decision.error is not None:
        why = one.steps[-1].said if one.steps else decision.error  # the step that went wrong is the last
        return f"{decision.flag_key}: {unit!r} cannot be assigned: {why}"
    arm = decision.variant or "no arm"
    served = "" if decision.served_variant in (decision.variant, None) else f", served {decision.served_variant}"
    where = "" if decision.experiment_key is None else f"{decision.experiment_key}, phase {decision.phase}, "
    return (
        f"{decision.flag_key}: {unit} gets {arm} ({decision.assignment_reason}){served}; strategy {decision.strategy}; "
        f"{where}configuration {decision.config_version}"
    )


def _told(one: "Explanation") -> Iterator[str]:
    """A line for each step; what comes after the one that decided is only what the hash would give."""
    decided = False
    for step in one.steps:
        hashed = "" if step.hashed is None else f"; bucket {step.bucket:,} of {step.hashed}"
        mark, reached = ("·", "not reached; else ") if decided else ("✓" if step.goes_on else "✗", "")
        yield f"  {step.number:>2} {mark} {step.name}: {reached}{step.said}{hashed}"
        decided = decided or not (step.goes_on or _asks_on(one, step))


def _asks_on(one: "Explanation", step: "Step") -> bool:
    """Whether the decision asks on after a step that says no: a slot without an experiment still has its holdouts."""
    return step.name == "experiment" and one.decision.experiment_key is None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(assign)
