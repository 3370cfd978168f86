"""Everything a shop does on a timer, in its order: load, refresh, ramp, measures, alerts. One run at a time.

Each stage ends in a line and an exit code. One that fails does not keep the others from it, with one exception: while
the exposure log cannot be loaded nothing new is counted, because a day without some of its rows is a wrong day.
"""

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from analysis import due, pipeline, words
from analysis.locking import alone
from analysis.warehouse import DEFAULT, WAREHOUSES
from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.spool import load_spool
from analysis.warehouse.terms import ShopTerms, refuse_others
from experiments import lifecycle
from experiments.errors import BusyError, StoreError, TrueliftError
from experiments.money import load_money
from experiments.shop import Shop
from experiments.store import Store

GRAVEST = (1, 2, 5, 4, 3)  # of several exit codes the first of these: what is worth a retry, then what is not
UNFORESEEN = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One run: whose, when (aware), in whose name, and how long to wait for the warehouse."""

    shop: Shop
    now: datetime
    actor: str
    wait_seconds: float = 0.0
    say: Callable[[str], None] = lambda _: None  # progress, not kept
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Stage:
    """How a stage ended: in words, in a line, and as an exit code; 0 is well, also where nothing was to be done."""

    words: str
    exit_code: int = 0
    name: str = ""

    @property
    def line(self) -> str:
        """What is printed of it."""
        said = " ".join(self.words.split())
        return f"{self.name}: {said}" if not self.exit_code else f"{self.name}: FAILED ({self.exit_code}): {said}"


Work = Callable[[Run], Stage]


def lock_path(shop: Shop) -> Path:
    """The lock of whoever runs a tick."""
    return shop.lock_path.with_name("tick.lock")


def memory_path(shop: Shop) -> Path:
    """What was read of whom when; without it everything is read once more."""
    return shop.lock_path.with_name("tick.json")


def run(given: Run, stages: Mapping[str, Work] | None = None) -> Iterator[Stage]:
    """Every stage as it ends. BusyError names the process that is at it; StoreError when the lock cannot be written."""
    lock = lock_path(given.shop)
    with alone(
        lock,
        busy=lambda who: BusyError(f"{lock}: {who} is running a tick of this shop; the next one does what is left"),
        refused=lambda error: StoreError(f"{lock}: cannot be written ({error.strerror}); correct the folder's rights"),
    ):
        loaded = True
        for name, work in (STAGES if stages is None else stages).items():
            if not loaded and name in COUNTING:
                yield Stage(
                    "not done: the exposure log is not loaded, so a day would be counted without its rows", 0, name
                )
                continue
            ended = _ended(work, given)
            loaded = loaded and (name != "load" or ended.exit_code == 0)
            yield Stage(ended.words, ended.exit_code, name)


def gravest(codes: Sequence[int]) -> int:
    """The exit code of several: 0 when all are, else the one that says most about what to do next."""
    return next((code for code in GRAVEST if code in codes), max(codes, default=0))


def load(given: Run) -> Stage:
    """What the service logged, each event once."""
    shop = given.shop
    with open_connection(shop.warehouse_path, wait_seconds=given.wait_seconds) as connection:
        now = given.now.astimezone(UTC).replace(tzinfo=None)
        report = load_spool(connection, shop.spool, ShopTerms.of(shop.settings), now=now)
    parts = "segment" if report.segments == 1 else "segments"
    said = (
        f"{report.segments:,} {parts}, {report.rows_read:,} lines: {report.accepted:,} accepted, "
        f"{report.duplicates:,} duplicates, {report.rejected:,} rejected"
    )
    if report.reasons:
        said += f" ({', '.join(f'{reason} {count:,}' for reason, count in report.reasons.items())})"
    if report.unreadable:
        return Stage("; ".join([*report.unreadable, said]), 2)
    if report.accepted + report.duplicates == 0 and set(report.reasons) - {"torn"}:
        return Stage(f"{said}; mend the sender, `truelift load --spool` prints examples of the next ones", 2)
    return Stage(said)


def refresh(given: Run) -> Stage:
    """Readouts that are due; one that cannot be read does not keep the others from it."""
    shop, path, waiting = given.shop, memory_path(given.shop), 0
    done: list[str] = []
    failed: list[tuple[str, int]] = []
    with Store.open(shop.store_url) as store:
        asked = due.to_read(store, shop, given.now)
        if not asked:
            return Stage("no experiment has a day to read")
        known = {key: read for key, read in due.remembered(path).items() if key in asked}
        before = due.day_began(shop, given.now)
        with open_connection(shop.warehouse_path, wait_seconds=given.wait_seconds) as connection:
            seq = due.newest_file(connection, before, [known[key] for key in asked if key in known])
        for key, subject in asked.items():
            wanted = due.reading(subject, shop, given.now, seq)
            if known.get(key) == wanted:
                waiting += 1
                continue
            try:
                made = pipeline.refresh(shop, store, key, now=given.now, wait_seconds=given.wait_seconds, say=given.say)
            except TrueliftError as error:
                failed.append((f"{key} not refreshed: {error}", error.exit_code))
                continue
            known[key] = wanted
            due.remember(path, known)
            verdict = made.readout.verdict
            name = words.verdict_name(verdict.code, verdict.sentence).upper()
            done.append(f"{key} {name}{'' if made.new else ' (unchanged)'}")
    return _told([*done, *([f"{waiting} not due"] if waiting else [])], failed)


def ramp(given: Run) -> Stage:
    """Scheduled starts, ramp steps, ends. A step that is held is no failure."""
    with Store.open(given.shop.store_url) as store:
        found = lifecycle.tick(store, given.shop, given.now, actor=given.actor)
    well = [f"{each.key}: {each.words}" for each in found if each.done or each.held]
    failed = [
        (f"{each.key}: {each.what} not done: {each.words}", 1) for each in found if not each.done and not each.held
    ]
    return _told(well, failed)


def measures(given: Run) -> Stage:
    """What the alerts read, published up to the newest whole bucket of time."""
    from analysis.alerts.measures.publish import publish

    shop = given.shop
    with (
        Store.open(shop.store_url) as store,
        WAREHOUSES[DEFAULT](shop.warehouse_path, wait_seconds=given.wait_seconds) as warehouse,
    ):
        refuse_others(warehouse.terms(), ShopTerms.of(shop.settings))
        made = publish(shop, store, warehouse, now=given.now)
    if made.until is None:
        return Stage("nothing is loaded")
    said = f"{made.new:,} new, {made.revised:,} revised, up to {made.until:%Y-%m-%d %H:%M} UTC"
    return Stage(
        said if made.late_from is None else f"{said}; rows came late from {made.late_from:%Y-%m-%d %H:%M} UTC on"
    )


def alerts(given: Run) -> Stage:
    """Evaluate what is due, and tell what changed. Without a loss budget nothing can be judged, which is no failure."""
    from analysis.alerts.job.running import once

    shop = given.shop
    money = load_money(shop)
    remarks = money.remarks(given.now.astimezone(shop.settings.zone).date())
    if money.loss_budget is None:
        return Stage("; ".join(("not run", *remarks)))
    report = once(shop, as_of=given.now, clock=given.clock, say=given.say)
    return Stage("; ".join((report.words, *remarks)), 0 if report.is_good else report.code)


STAGES: Mapping[str, Work] = {"load": load, "refresh": refresh, "ramp": ramp, "measures": measures, "alerts": alerts}
COUNTING = ("refresh", "measures")  # what reads the warehouse's newest rows


def _told(done: Sequence[str], failed: Sequence[tuple[str, int]]) -> Stage:
    """A stage that does one thing after another: what went wrong comes first."""
    said = [*(why for why, _ in failed), *done]
    return Stage("; ".join(said) or "nothing is due", gravest([code for _, code in failed]))


def _ended(work: Work, given: Run) -> Stage:
    """A stage's end, whatever it was; only what ends the process goes on."""
    try:
        return work(given)
    except TrueliftError as error:
        return Stage(str(error), error.exit_code)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return Stage(f"{named}{error.strerror or error}", UNFORESEEN)
    except Exception as error:
        if "interrupt" in str(error).lower():  # what DuckDB makes of Ctrl+C
            raise
        traceback.print_exc(file=sys.stderr)
        return Stage(f"{type(error).__name__}: {error}", UNFORESEEN)
