"""A refresh of a log that ends before the days that are read."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from analysis.cli import readouts
from analysis.readout import NotDetermined, Readout
from experiments.errors import UsageError
from experiments.shop import create
from experiments.store import Store
from tests.helpers.thread import NOW, Thread

SENT_BACK = (20 + 40 + 60) / sum(20 + i for i in range(0, 60, 2))  # of control's order value, each day
START = datetime(2026, 3, 2, tzinfo=UTC)
MAPPING = """
file: {format: csv}
time_zone: UTC
unit_type: user
emit:
  - to: exposure
    when: {what: shown}
    set: {experiment_key: small, phase: 1, module: homepage, assignment_reason: split}
    columns: {event_ts: {column: at}, unit_id: {column: unit}, variant: {column: arm}}
  - to: outcome
    when: {what: purchase}
    set: {event_name: purchase}
    columns:
      event_ts: {column: at}
      unit_id: {column: unit}
      order_id: {column: unit}
      value: {column: euro, money: EUR}
  - to: outcome
    when: {what: refund}
    set: {event_name: refund}
    columns:
      event_ts: {column: at}
      unit_id: {column: unit}
      order_id: {column: unit}
      value: {column: euro, money: EUR}
"""
DEFINITION = """
schema_version: 1
key: small
name: A small shop
owner: tests
hypothesis: None.
assignment: external
assigned_by: the tests
modules: [homepage]
unit_type: user
variants:
  - {key: control, weight: "1", is_control: true, strategy: old}
  - {key: new, weight: "1", strategy: newer}
schedule: {start_at: 2026-03-02T00:00:00Z, end_at: 2026-03-30T00:00:00Z}
metrics: {success: [revenue_per_unit], guardrails: [{metric: return_value_rate}]}
analysis: {planned_units: 1200, min_units_per_arm: 100}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Thread]:
    made = create(tmp_path / "shop", currency="EUR")
    with Store.open(made.store_url) as store:
        yield Thread(made, store)


def loaded(thread: Thread, folder: Path, days: int, *, since: int = 0, lift: int = 0) -> None:
    """Sixty buyers a day, each tenth of them sends everything back after four days; the log is of days `since` on.

    The new arm's orders are `lift` euros larger.
    """
    rows = ["what,at,unit,arm,euro"]
    for day in range(days):
        for i in range(60):
            at, unit, arm = START + timedelta(days=day, minutes=10 * i), f"u{day}-{i}", ("control", "new")[i % 2]
            euros = 20 + i + lift * (i % 2)
            if day >= since:
                rows += [f"shown,{at.isoformat()},{unit},{arm},", f"purchase,{at.isoformat()},{unit},{arm},{euros}.00"]
            back = at + timedelta(days=4)
            if i % 20 < 2 and START + timedelta(days=since) <= back < START + timedelta(days=days):
                rows.append(f"refund,{back.isoformat()},{unit},{arm},{euros}.00")
    log, mapping = folder / f"log-{days}.csv", folder / "mapping.yml"
    log.write_text("\n".join(rows), encoding="utf-8")
    mapping.write_text(MAPPING, encoding="utf-8")
    report = thread.load(log, mapping)
    assert (report.rejected, report.rows_malformed) == (0, 0)


def after(days: int) -> datetime:
    return START + timedelta(days=days)


def live(thread: Thread, key: str, days: int) -> Readout:
    """What somebody reads while it runs, on the day itself."""
    return thread.refresh(key, after(days), now=after(days))


def returned(readout: Readout) -> float | None:
    return readout.metric("return_value_rate").comparisons[0].control.raw


def test_lines_do_not_ripen_where_no_return_can_be_seen(shop: Thread, tmp_path: Path) -> None:
    loaded(shop, tmp_path, 10)
    key = shop.start(DEFINITION)
    assert (live(shop, key, 10).day.n, live(shop, key, 20).day.n) == (10, 10)
    stalled = live(shop, key, 28)
    assert (stalled.mode, stalled.day.n) == ("running", 10)
    c = stalled.metric("return_value_rate").comparisons[0]
    assert isinstance(c.relative, NotDetermined)
    words = c.relative.not_determined.words
    assert words == "its first data mature on 17 March 2026, and the newest row is of 11 March 2026"
    loaded(shop, tmp_path, 28, since=10)
    whole = live(shop, key, 28)
    assert (whole.mode, whole.day.n, whole.warnings) == ("finished", 28, ())
    assert returned(whole) == pytest.approx(SENT_BACK)


def test_an_import_is_ripe_as_far_as_its_log_goes(shop: Thread, tmp_path: Path) -> None:
    loaded(shop, tmp_path, 28)
    key = shop.start(DEFINITION)
    late, at_the_end = shop.refresh(key, after(200)), shop.refresh(key, after(28))
    assert late.mode == "finished"
    assert late.metric("return_value_rate").mature_until == "2026-03-16T00:00:00Z"
    assert returned(late) == returned(at_the_end) == pytest.approx(SENT_BACK)
    assert late.warnings == (
        "The newest row is of 29 March 2026; the 14 days from then to 12 April 2026 have no data.",
    )


def test_a_reading_of_the_future_and_of_nobody_is_refused(shop: Thread) -> None:
    key = shop.start(DEFINITION)
    with pytest.raises(UsageError, match="lies in the future"):
        shop.refresh(key, NOW + timedelta(days=1))
    with pytest.raises(UsageError, match="no exposure of it is loaded before 2026-11-20; load its log with"):
        shop.refresh(key, NOW)


def test_rows_of_another_currency_or_zone_are_not_read(shop: Thread, tmp_path: Path) -> None:
    loaded(shop, tmp_path, 10)
    key = shop.start(DEFINITION)
    for name, value in (("currency", "USD"), ("time_zone", "Europe/Berlin")):
        other = replace(shop.shop, settings=shop.shop.settings.model_copy(update={name: value}))
        with pytest.raises(UsageError, match=f"the warehouse was loaded with {name} .* now says {name} {value}"):
            Thread(other, shop.store).refresh(key, NOW)


def test_a_run_that_has_not_begun_names_its_beginning_in_utc(shop: Thread) -> None:
    key = shop.start(DEFINITION.replace("2026-03-02T00:00:00Z", "2026-03-02T00:00:00+01:00"))
    with pytest.raises(UsageError, match=r"it starts 2026-03-01 23:00 UTC"):
        shop.refresh(key, after(-3))


def events(thread: Thread, key: str) -> list[tuple[str, datetime]]:
    return [(event.kind, event.at) for event in thread.store.events(key, 1)]


def test_a_look_back_changes_nothing_that_is_published_later(shop: Thread, tmp_path: Path) -> None:
    loaded(shop, tmp_path, 28, lift=12)
    key = shop.start(DEFINITION)
    before = shop.refresh(key, NOW)
    known = events(shop, key)
    assert known  # the crossing
    shop.refresh(key, after(14))
    again = shop.refresh(key, NOW)
    split = next(check for check in again.checks if check.id == "SH-01")
    assert (again.snapshot_id, split.figures["judged_by"]) == (before.snapshot_id, "chi_square")
    assert events(shop, key) == known


def test_a_refresh_names_the_reading_it_made(shop: Thread, tmp_path: Path) -> None:
    loaded(shop, tmp_path, 28)
    key = shop.start(DEFINITION)
    assert "--snapshot" not in refreshed(shop, key)
    back = refreshed(shop, key, "--as-of", "2026-03-20")
    made = next(head.snapshot_id for head in shop.store.snapshots(key) if head.as_of == after(18))
    assert f"readout small --snapshot {made}" in back


def refreshed(thread: Thread, key: str, *words: str) -> str:
    """What the command prints, on one line."""
    app = typer.Typer()
    readouts.register(app)
    done = CliRunner().invoke(app, ["refresh", key, *words, "--home", str(thread.shop.home)], catch_exceptions=False)
    assert done.exit_code == 0
    return " ".join(done.stdout.split())


def test_a_look_back_sees_no_event_of_a_later_day(shop: Thread, tmp_path: Path) -> None:
    loaded(shop, tmp_path, 28, lift=12)
    key = shop.start(DEFINITION)
    then = live(shop, key, 2)
    live(shop, key, 28)
    assert events(shop, key)
    assert shop.refresh(key, after(2)).snapshot_id == then.snapshot_id
