"""`truelift audit`: does the log agree with the definition, exposure by exposure?"""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from analysis.cli.context import Home, Wait
from experiments.holdouts import is_holdout
from experiments.shop import open_shop
from experiments.store import Store

_SHOWN = (
    ("layer bucket", "layer_bucket", "layer_expected"),
    ("traffic bucket", "traffic_bucket", "traffic_expected"),
    ("split bucket", "split_bucket", "split_expected"),
    ("variant", "variant", "variant_expected"),
)


def audit(
    key: Annotated[str, typer.Argument(help="An experiment, or holdout.KEY.")],
    limit: Annotated[int, typer.Option(min=0, help="Offending exposures to print, the earliest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts and rows as JSON.")] = False,
    wait: Wait = 0.0,
    home: Home = None,
) -> None:
    """Recompute every exposure from salt, ranges and traffic; exit 1 when log and definition disagree.

    Of a holdout also when 5% or more of its members met something else.
    """
    from analysis.hash_audit import assigned_elsewhere, audit_experiment
    from analysis.health.thresholds import THRESHOLDS
    from analysis.warehouse.connection import open_connection
    from analysis.warehouse.holdout_audit import HoldoutReport
    from analysis.words import health as said

    shop = open_shop(home)
    with Store.open(shop.store_url) as store:
        elsewhere = assigned_elsewhere(store, key)
        if elsewhere is not None:
            other = {"experiment_key": key, "applicable": False, "assigned_by": elsewhere}
            typer.echo(json.dumps(other, indent=2) if as_json else f"{key}: not applicable: assigned by {elsewhere}")
            return
        with open_connection(shop.warehouse_path, wait_seconds=wait) as connection:
            report = audit_experiment(connection, store, shop, key, limit=limit)
    is_ok, members = report.is_ok, None
    if isinstance(report, HoldoutReport):
        members = {
            "seen": report.members, "met_else": report.members_met_else,
            "what": [asdict(each) for each in report.met_else],
        }  # fmt: skip
        share = report.members_met_else / max(report.members, 1)
        is_ok = is_ok and THRESHOLDS["members_met_else"].state(share) != "fail"
    if as_json:
        told = {
            "experiment_key": key, "applicable": True, "ok": is_ok, "counts": dict(report.counts),
            "not_recomputed": dict(report.not_recomputed), "rows": [dict(row) for row in report.rows],
            **({} if members is None else {"members": members}),
        }  # fmt: skip
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False, default=str))
    else:
        out = Console(highlight=False, soft_wrap=True, markup=False)
        wrong = {name: count for name, count in report.counts.items() if count and name != "ok"}
        verdict = "all as the definition gives them" if report.is_ok else f"{sum(wrong.values()):,} are not"
        out.print(f"{key}: {sum(report.counts.values()):,} exposures recomputed, {verdict}")
        for name, count in wrong.items():
            out.print(f"  {name}: {count:,}")
        for row in report.rows:
            differs = [f"{label} {row[logged]} is {row[expected]}" for label, logged, expected in _SHOWN
                       if row.get(logged) is not None and row[logged] != row[expected]]  # fmt: skip
            if row.get("bucket_expected") is not None:
                differs.append(f"the holdout's bucket is {row['bucket_expected']}")
            whose = f"{row['experiment_key']} " if row.get("experiment_key") else ""
            place = "" if row["phase"] is None else f" in {whose}phase {row['phase']}"
            beside = f"; {', '.join(differs)}" if differs else ""
            out.print(f"    {row['event_ts']} {row['event_id']}: {row['class']}, logged {row['assignment_reason']}"
                      f"{place} for {row['unit_type']} {row['unit_id']}{beside}")  # fmt: skip
        if report.not_recomputed:
            others = ", ".join(f"{count:,} {reason}" for reason, count in report.not_recomputed.items())
            cause = "no holdout decided them" if is_holdout(key) else "their cause is not in the log"
            out.print(f"  not recomputed, {cause}: {others}")
        if isinstance(report, HoldoutReport):
            out.print(f"  {said.members(report.members, report.members_met_else)}")
            for each in report.met_else:
                what = said.met_place(each.experiment_key, each.reason)
                out.print(f"    {what}: members {each.members:,}, exposures {each.exposures:,}")
    if not is_ok:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(audit)
