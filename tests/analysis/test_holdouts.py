"""A holdout from what was served to its readout, against a plain recount, and what its audit finds."""

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from analysis import open_shop as notebook
from analysis.cli import audit, readouts
from analysis.pages import components
from analysis.pipeline import refresh
from analysis.readout import Interval, Readout
from analysis.warehouse.connection import open_connection
from assignment.hashing import bucket
from experiments import lifecycle
from experiments.errors import DefinitionError, NotFoundError, TrueliftError, UsageError
from experiments.shop import Shop, open_shop
from experiments.store import Store
from tests.analysis.pages.conftest import said, visit
from tests.helpers.held_out_shop import BEGAN, DAYS, EXPERIMENT, HOLDOUT, Sold, is_held, log, shop, unit_id

KEY, UNITS, LIFT = "holdout.everybody", 6000, 0.30
MEMBERS = [n for n in range(UNITS) if is_held(n) and n != 7]  # u7 is forced into an arm
NOW = BEGAN + timedelta(days=DAYS, hours=3)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Sequence[Sold]]:
    """Recommendations add 30 %."""
    made = shop(tmp_path_factory.mktemp("held"))
    return made, log(made, UNITS, lift=LIFT)


@pytest.fixture(scope="module")
def reading(logged: tuple[Shop, Sequence[Sold]], tmp_path_factory: pytest.TempPathFactory) -> Readout:
    """Its readout."""
    return read(open_shop(shutil.copytree(logged[0].home, tmp_path_factory.mktemp("read") / "shop")))


@pytest.fixture
def copied(logged: tuple[Shop, Sequence[Sold]], tmp_path: Path) -> Shop:
    """A copy of it, to be changed."""
    return open_shop(shutil.copytree(logged[0].home, tmp_path / "shop"))


def read(made: Shop, key: str = KEY) -> Readout:
    with Store.open(made.store_url) as store:
        return refresh(made, store, key, now=NOW).readout


def run(home: Path, *arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    audit.register(app)
    readouts.register(app)
    result = CliRunner().invoke(app, [*arguments, "--home", str(home)])
    if isinstance(result.exception, TrueliftError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_readout_is_what_a_plain_recount_of_the_hash_gives(
    logged: tuple[Shop, Sequence[Sold]], reading: Readout
) -> None:
    sold = logged[1]
    assert not reading.withheld, reading.verdict.sentence
    people = {held: [n for n in range(UNITS) if is_held(n) == held and n != 7] for held in (True, False)}
    spent = {held: sum(one.value for one in sold if is_held(one.unit) == held and one.unit != 7) for held in people}
    rest, held = reading.arms[1], reading.arms[0]
    assert (held.key, held.is_control, held.weight, held.units) == ("holdout", True, "0.2", len(people[True]))
    assert (rest.key, rest.weight, rest.units) == ("rest", "0.8", len(people[False]))
    assert reading.exclusions == {"override": 1}
    assert (reading.design.planned_units, reading.design.planned_units_assumed) == (6000, False)
    compared = reading.metric("revenue_per_unit").comparisons[0]
    assert compared.control.raw == pytest.approx(spent[True] / len(people[True]) / 100)
    assert compared.treatment.raw == pytest.approx(spent[False] / len(people[False]) / 100)
    assert isinstance(compared.relative, Interval)
    assert compared.relative.lo is not None
    assert compared.relative.hi is not None
    assert 0 < compared.relative.lo < LIFT < compared.relative.hi
    checks = {check.id: check for check in reading.checks}
    assert (checks["SH-01"].state, checks["SH-09"].state) == ("pass", "pass")
    assert (checks["SH-07"].state, checks["SH-16"].state) == ("not_applicable", "not_applicable")
    assert checks["SH-09"].figures["exposures"] == 2 * UNITS - 1  # every slot but the cart's, and where u7 was forced


def test_its_words_are_a_holdouts(reading: Readout) -> None:
    assert reading.verdict.code == "SHIP"
    assert reading.verdict.sentence.startswith("Keep recommendations: revenue per user is up ")
    assert " with them, worth about €" in reading.verdict.sentence
    assert reading.questions is not None
    anyway = reading.questions["anyway"]
    lift = reading.metric("revenue_per_unit").comparisons[0].relative
    assert isinstance(anyway.answer, Interval)
    assert isinstance(lift, Interval)
    assert anyway.answer.est == pytest.approx(1 / (1 + lift.est))
    assert anyway.answer.lo == pytest.approx(1 / (1 + (lift.hi or 0)))
    assert anyway.words.endswith("would have happened anyway, without recommendations.")


def test_a_comparator_that_recommends_says_what_personalisation_adds(tmp_path: Path) -> None:
    told = HOLDOUT + "strategy: popularity\ncomparator: non_personalised\n"
    told += 'metrics: {success: [revenue_per_unit], guardrails: [{metric: orders_per_unit, margin: "0.40"}]}\n'
    made = shop(tmp_path, holdout=told)
    log(made, 5500, lift=0.5)
    reading = read(made)
    assert reading.verdict.sentence.startswith("Keep personalisation: revenue per user is up ")
    assert reading.verdict.sentence.endswith(" The guardrail is inside its limit.")
    assert [(metric.key, metric.role) for metric in reading.metrics or ()] == [
        ("revenue_per_unit", "success"), ("orders_per_unit", "guardrail")
    ]  # fmt: skip
    assert reading.questions is not None
    assert reading.questions["anyway"].cannot == "other_comparator"
    assert "what personalisation adds" in reading.questions["anyway"].words


def test_a_holdout_that_changes_nothing_reads_nothing(tmp_path: Path) -> None:
    made = shop(tmp_path)
    log(made, 5500, seed=3)
    reading = read(made)
    compared = reading.metric("revenue_per_unit").comparisons[0]
    assert isinstance(compared.relative, Interval)
    assert compared.relative.lo is not None
    assert compared.relative.lo < 0
    assert reading.verdict.sentence.startswith("Can't tell yet about recommendations: ")


def test_the_same_inputs_publish_nothing_new_and_the_experiment_beside_it_is_read_as_before(copied: Shop) -> None:
    with Store.open(copied.store_url) as store:
        assert refresh(copied, store, KEY, now=NOW).new
        assert not refresh(copied, store, KEY, now=NOW + timedelta(minutes=5)).new
        beside = refresh(copied, store, "home_als", now=NOW).readout
    assert {arm.key: arm.units for arm in beside.arms}.keys() == {"control", "als"}
    drawn = [n for n in range(UNITS) if not is_held(n) and bucket("layer.homepage:layer", unit_id(n)) < 6000]
    assert sum(arm.units for arm in beside.arms) == len(drawn) - (7 in drawn)


def test_the_command_line_knows_it(copied: Shop) -> None:
    code, told = run(copied.home, "refresh", "--as-of", "2026-03-16")
    assert code == 0
    assert "home_als: " in told
    assert f"{KEY}: KEEP · snapshot " in told
    code, told = run(copied.home, "readout", KEY)
    assert code == 0
    assert "Keep recommendations" in told
    assert ("  holdout  " in told, "treatment" in told) == (True, False)
    assert "would have happened anyway" in told
    assert notebook(copied.home).keys() == ["home_als", KEY]
    assert notebook(copied.home).readout(KEY).to_frame().query("key == 'revenue_per_unit'").shape[0] > 0
    with pytest.raises(NotFoundError, match=r"no holdout everybdy is registered; nearest: holdout\.everybody"):
        run(copied.home, "readout", "holdout.everybdy")
    empty = shop(copied.home.parent / "empty")
    with pytest.raises(UsageError, match="no exposure of a user in homepage, pdp is loaded before 2026-03-03"):
        run(empty.home, "refresh", KEY, "--as-of", "2026-03-03")


def test_the_app_shows_it(copied: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUELIFT_HOME", str(copied.home))
    monkeypatch.setattr(components, "now", lambda: NOW)
    assert "Holdout everybody" in said(visit("overview"))
    assert f"refresh {KEY}" in said(visit("readout", {"experiment": KEY}))
    read(copied)
    overview = said(visit("overview"))
    assert "▲ Keep" in overview
    assert "growth" in overview
    page = said(visit("readout", {"experiment": KEY}))
    assert "Keep recommendations: revenue per user is up" in page
    assert "Would have happened anyway" in page
    assert "Cannot answer" not in page
    assert "if shipped" not in page
    assert "rest against holdout" in page
    assert "Treatment" not in page


def change(made: Shop, *statements: str) -> None:
    with open_connection(made.warehouse_path) as connection:
        for statement in statements:
            connection.execute(statement)


def test_what_was_served_is_as_the_hash_gives(copied: Shop) -> None:
    code, told = run(copied.home, "audit", KEY)
    assert (code, told) == (0, f"{KEY}: 11,999 exposures recomputed, all as the definition gives them\n"
                               "  not recomputed, no holdout decided them: 1 override\n"
                               f"  members seen in its modules: {len(MEMBERS):,}; none met anything but the holdout's "
                               "strategy\n")  # fmt: skip
    told = json.loads(run(copied.home, "audit", KEY, "--json")[1])
    assert told["ok"]
    assert told["counts"]["ok"] + sum(told["not_recomputed"].values()) == 2 * UNITS


def test_a_row_that_was_tampered_with_is_found(copied: Shop) -> None:
    held = next(n for n in range(UNITS) if is_held(n))
    free = next(n for n in range(UNITS) if not is_held(n) and n != 7)
    change(
        copied,
        f"update exposures set assignment_reason = 'none', experiment_key = null, phase = null "
        f"where event_id = 'e{held}-2'",
        f"update exposures set assignment_reason = 'holdout', variant = null where event_id = 'e{free}-2'",
    )
    code, told = run(copied.home, "audit", KEY)
    assert code == 1
    assert "  holdout_mismatch: 2\n" in told
    assert f"e{held}-2: holdout_mismatch, logged none for user u{held}; the holdout's bucket is " in told
    assert f"e{free}-2: holdout_mismatch, logged holdout in home_als phase 1 for user u{free}; " in told


def test_a_readout_is_withheld_when_members_were_served(copied: Shop) -> None:
    assert not read(copied).withheld
    change(copied, "update exposures set assignment_reason = 'none' where assignment_reason = 'holdout' "
                   "and module = 'pdp'")  # fmt: skip
    reading = read(copied)
    assert reading.withheld
    assert reading.verdict.because[0].check == "SH-09"


def served_elsewhere(made: Shop, units: Sequence[int]) -> None:
    """Every exposure of these members becomes one of an experiment that does not name the holdout."""
    ids = ", ".join(f"'{unit_id(n)}'" for n in units)
    change(made, "update exposures set experiment_key = 'other_exp', phase = 1, assignment_reason = 'split', "
                 f"variant = 'als', strategy = 'als' where unit_id in ({ids}) and module <> 'cart'")  # fmt: skip


def test_a_holdout_whose_members_were_all_served_gets_no_number(copied: Shop) -> None:
    members = MEMBERS
    served_elsewhere(copied, members)
    reading = read(copied)
    check = next(each for each in reading.checks if each.id == "SH-09")
    assert (reading.withheld, check.state, reading.verdict.because[0].check) == (True, "fail", "SH-09")
    whole = f"({len(members):,}) met something else, most of them other_exp (split)"
    assert f"100% of the held-out users {whole}" in check.sentence
    assert f"100% of the held-out users {whole}" in reading.verdict.sentence
    assert "phase" not in (reading.verdict.fix or "")
    assert "let every experiment on its modules name the holdout" in (reading.verdict.fix or "")
    code, told = run(copied.home, "audit", KEY)
    assert code == 1
    assert f"  members seen in its modules: {len(members):,}; {len(members):,} (100%) met something else\n" in told
    assert f"    other_exp (split): members {len(members):,}, exposures {2 * len(members):,}\n" in told
    code, told = run(copied.home, "audit", KEY, "--json")
    assert (code, json.loads(told)["ok"], json.loads(told)["counts"]["holdout_mismatch"]) == (1, False, 0)
    assert json.loads(told)["members"]["met_else"] == len(members)


def test_where_no_exposure_can_be_recomputed_members_are_still_counted(copied: Shop) -> None:
    served_elsewhere(copied, range(UNITS))
    check = next(each for each in read(copied).checks if each.id == "SH-09")
    assert (check.state, check.figures["exposures"]) == ("fail", 0)
    assert check.sentence.startswith("100% of the held-out users")


@pytest.mark.parametrize(("share", "state"), [(0.0005, "pass"), (0.01, "warn"), (0.06, "fail")])
def test_how_many_members_met_something_else_decides(copied: Shop, share: float, state: str) -> None:
    served_elsewhere(copied, MEMBERS[: round(share * len(MEMBERS))])
    reading = read(copied)
    check = next(each for each in reading.checks if each.id == "SH-09")
    assert (check.state, reading.withheld) == (state, state == "fail")
    assert ("met something else" in check.sentence) == (state != "pass")
    assert run(copied.home, "audit", KEY)[0] == (state == "fail")


@pytest.mark.parametrize("reason", ["not_targeted", "killed", "not_running"])
def test_what_was_decided_before_the_holdout_is_not_held_against_the_log(copied: Shop, reason: str) -> None:
    change(copied, f"update exposures set assignment_reason = '{reason}', variant = null "
                   "where assignment_reason = 'holdout' and experiment_key is not null")  # fmt: skip
    code, told = run(copied.home, "audit", KEY)
    assert code == 0
    assert reason in told


def test_an_experiment_that_does_not_name_it_holds_nobody_and_the_audit_knows(copied: Shop) -> None:
    later = BEGAN + timedelta(days=3)
    with Store.open(copied.store_url) as store:
        path = copied.definitions / "home_als.yml"
        text = EXPERIMENT.replace("holdouts: [everybody]\n", "").replace("2026-03-02T00", "2026-03-05T00")
        path.write_text(text, encoding="utf-8")
        lifecycle.new_phase(store, copied, path, actor="test", reason="", now=later)
    held = next(n for n in range(UNITS) if is_held(n))
    change(copied, f"update exposures set assignment_reason = 'split', variant = 'als', phase = 2 "
                   f"where event_id = 'e{held}-2'")  # fmt: skip
    assert run(copied.home, "audit", KEY)[0] == 0


def test_a_holdout_that_has_begun_keeps_what_draws_its_units(copied: Shop) -> None:
    file = copied.holdouts / "everybody.yml"
    path = copied.definitions / "home_als.yml"
    with Store.open(copied.store_url) as store:
        lifecycle.stop(store, "home_als", "ship", actor="test", reason="done", now=NOW)
        for old, new in (("[[0, 2000]]", "[[0, 3000]]"), ("salt: holdout.everybody", "salt: holdout.other"),
                         ("[homepage, pdp]", "[homepage]")):  # fmt: skip
            file.write_text(HOLDOUT.replace(old, new), encoding="utf-8")
            with pytest.raises(DefinitionError, match="it has begun"):
                lifecycle.register_ground(store, copied, actor="test", reason="", now=NOW)
        file.write_text(HOLDOUT.replace("growth", "sales") + "end_at: 2026-04-01T00:00:00Z\n", encoding="utf-8")
        assert lifecycle.register_ground(store, copied, actor="test", reason="", now=NOW) == ("holdout everybody",)
        assert path.exists()


def test_a_stop_of_it_can_be_closed(copied: Shop) -> None:
    change(copied, "update outcomes set value = value / 4 where cast(substr(unit_id, 2) as integer) in "
                   f"({', '.join(str(n) for n in range(UNITS) if not is_held(n))})")  # fmt: skip
    reading = read(copied)
    assert reading.verdict.code == "STOP"
    assert reading.verdict.sentence.startswith("Stop recommendations: revenue per user is worse by ")
    with Store.open(copied.store_url) as store:
        event = lifecycle.close_stop(store, KEY, "rest", actor="test", reason="seen", now=NOW)
        assert (event.experiment_key, event.kind) == (KEY, "stop_closed")
        with pytest.raises(NotFoundError, match="no treatment arm 'holdout'; its arms are rest"):
            lifecycle.close_stop(store, KEY, "holdout", actor="test", reason="seen", now=NOW.astimezone(UTC))


def test_a_metric_that_is_gone_from_the_shop_is_named(tmp_path: Path) -> None:
    entry = shop(tmp_path / "first").metrics_file.read_text(encoding="utf-8")
    assert "metrics:" in entry
    made = open_shop(tmp_path / "first" / "shop")
    own = "schema_version: 1\nmetrics:\n  orders: {label: Orders, kind: mean, value_unit: count, direction: increase,\n"
    own += "    numerator: {from: order_lines, measure: rows}}\n"
    made.metrics_file.write_text(own, encoding="utf-8")
    (made.holdouts / "more.yml").write_text(
        "{key: more, salt: holdout.more, buckets: [[0, 100]], modules: [cart], start_at: 2026-03-02T00:00:00Z, "
        "metrics: {success: [orders]}}", encoding="utf-8",
    )  # fmt: skip
    with Store.open(made.store_url) as store:
        assert lifecycle.register_ground(store, made, actor="test", reason="", now=BEGAN) == ("holdout more",)
    made.metrics_file.write_text(entry, encoding="utf-8")
    with pytest.raises(UsageError, match="the shop has no metric orders any more"):
        read(made, "holdout.more")


def test_who_holds_out_everybody_has_nobody_to_compare_with(tmp_path: Path) -> None:
    made = shop(tmp_path, holdout=HOLDOUT.replace("[[0, 2000]]", "[[0, 10000]]"))
    with pytest.raises(UsageError, match="it holds all 10,000 buckets"):
        read(made)
