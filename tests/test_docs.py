"""Documents run: commands through the command line, YAML through the validators, generated lists compared.

A fenced block is `sh` (every line a `./run` command), `python` (which is run), `yaml` (its first line is `# file`,
which it becomes), `csv` (its first line is `# file`, which must begin with the same header) or a scheduler's recipe
(`cron`, `ini`, `py`, a manifest in `yaml`), which is read as the scheduler would. Anything else fails, so that nothing
goes unread.

A line that ends in `# on 2026-10-05` is typed at nine that morning, and so is what follows. While `./run serve` runs on
such a day, the shop has visitors for six days.
"""

import csv
import importlib.util
import json
import pkgutil
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import ModuleType
from typing import get_args

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from analysis import cli
from analysis.alerts.notices.notify import channels
from analysis.demo.play import play
from analysis.demo.serving import Configuration, serve
from analysis.readout import VerdictCode
from analysis.warehouse.loading.reading import read_mapping
from assignment.event_log import Spool
from assignment.hashing import bucket
from experiments.bundle import bundle_document
from experiments.catalogue import EVENTS
from experiments.shop import open_shop
from experiments.simulator.generator import simulate
from experiments.simulator.plan import Plan, lifted
from experiments.spec import SOURCES
from experiments.store import Store
from experiments.validate import validate
from tests.helpers import recipes
from tests.helpers.bundles import bundle, experiment
from tests.helpers.recipes import recipe

ROOT = Path(__file__).parents[1]
ELSEWHERE = ("demo", "test", "app", "serve")  # too long for here, or without an end; tests of their own
SLOTS = "slots.parquet"  # what visitors of the two exports were shown, whoever decided it
_DATED = re.compile(r"# on (\d{4}-\d{2}-\d{2})$")
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    document: Path
    line: int
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file named in the first line."""
        found = re.match(r"# (\S+)\n", self.text)
        assert found, f"{self.document.name}:{self.line}: the first line of a {self.language} block is `# file`"
        return found[1]


def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCUMENTS: list[Path] = generate().documents()


def blocks(document: Path) -> list[Block]:
    text = document.read_text("utf-8")
    return [
        Block(document, text[: found.start()].count("\n") + 1, found["language"], found["text"])
        for found in _FENCE.finditer(text)
    ]


WITH_BLOCKS = [document for document in DOCUMENTS if blocks(document)]


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's shop, with fewer shoppers."""
    home = tmp_path_factory.mktemp("demo") / "demo-shop"
    play(home, units=3_000, now=datetime(2026, 11, 20, tzinfo=UTC), by="test")
    return home


@pytest.fixture
def desk(tmp_path: Path, small_demo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the demo's shop, the two exports of the README and the answer of `/v1/config`."""
    shutil.copytree(small_demo, tmp_path / "demo-shop")
    _write_exports(tmp_path)
    running = experiment(schedule={"start_at": None, "end_at": None})
    (tmp_path / "bundle.json").write_text(json.dumps(bundle(running)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")
    for name in ("TRUELIFT_HOME", "TRUELIFT_STORE_URL", "TRUELIFT_WAREHOUSE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def _write_exports(folder: Path) -> None:
    plan = Plan(seed=11, units=4_000, plays=(lifted("home_test", "homepage", "new", {"decor": 0.4}, control="old"),))
    logs = simulate(plan, lambda _, unit: "new" if bucket("home_test.1:split", unit) < 5_000 else "old")
    pq.write_table(logs.exposures, folder / SLOTS)
    seen = logs.exposures.filter(pc.equal(logs.exposures["assignment_reason"], "split"))
    with (folder / "assignments.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["visitor", "seen_at", "arm"])
        for row in seen.select(["unit_id", "event_ts", "variant"]).to_pylist():
            rows.writerow([row["unit_id"], f"{row['event_ts']:%Y-%m-%d %H:%M:%S}", row["variant"]])
    bought = logs.outcomes.filter(pc.equal(logs.outcomes["event_name"], "purchase"))
    with (folder / "orders.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["order_no", "visitor", "placed_at", "article", "department", "pieces", "amount"])
        for row in bought.to_pylist():
            amount = f"{row['value'] // 100}.{row['value'] % 100:02d}"
            department = row["item_id"].partition("-")[0]
            placed = f"{row['event_ts']:%Y-%m-%d %H:%M:%S}"
            rows.writerow(
                [row["order_id"], row["unit_id"], placed, row["item_id"], department, row["quantity"], amount]
            )


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """One `./run …` line through the command line; its exit code."""
    words = shlex.split(line, comments=True)
    assert words[0] == "./run", f"a command line of a document begins with ./run: {line}"
    if words[1] in ELSEWHERE:
        assert words[1] == "test" or f"| `{words[1]}` |" in generate().parts()["commands"]
        return 0
    monkeypatch.setattr(sys, "argv", ["truelift", *words[1:]])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return 0 if ended.value.code is None else int(str(ended.value.code))


def at_nine(day: str, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Let every command think that it is nine o'clock UTC of the day."""
    moment = datetime.fromisoformat(f"{day}T09:00:00+00:00")

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Then":
            return cls.fromtimestamp(moment.timestamp(), tz)

    for found in pkgutil.iter_modules(cli.__path__, "analysis.cli."):
        module = importlib.import_module(found.name) if not found.name.endswith("__main__") else cli
        if hasattr(module, "datetime"):
            monkeypatch.setattr(module, "datetime", Then)
    return moment


def visited(home: Path, since: datetime) -> None:
    """What the service logs in six days: every homepage slot of these days, under the shop's present configuration."""
    shop, slots = open_shop(home), pq.read_table(home.parent / SLOTS)
    with Store.open(shop.store_url) as store, Spool(shop.spool) as spool:
        serving = Configuration(since, bundle_document(store, shop))
        at = slots["event_ts"]
        meanwhile = pc.and_(pc.greater_equal(at, since), pc.less(at, since + timedelta(days=6)))
        asked = slots.filter(pc.and_(meanwhile, pc.equal(slots["module"], "homepage")))
        assert serve(asked, [serving], spool) > 1_000


def write(block: Block, desk: Path) -> None:
    """A YAML block becomes its file and must pass the validator of its kind."""
    path = desk / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")
    said = yaml.safe_load(block.text)
    if "emit" in said:
        assert read_mapping(path).emit
        return
    if path.name == "notify.yml":
        assert channels(open_shop(path.parent))
        return
    home = path.parent if path.name in ("metrics.yml", "slices.yml", "money.yml") else path.parents[1]
    checked = validate(open_shop(home), [path] if "variants" in said else [])
    problems = [str(problem) for each in checked for problem in each.problems]
    assert not problems, f"{block.document.name}:{block.line}"


@pytest.mark.slow
@pytest.mark.parametrize("document", WITH_BLOCKS, ids=lambda path: path.name)
def test_snippets_run(
    document: Path, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now: datetime | None = None
    for block in blocks(document):
        match block.language:
            case "sh":
                for line in filter(None, map(str.strip, block.text.splitlines())):
                    if dated := _DATED.search(line):
                        now = at_nine(dated[1], monkeypatch)
                    if now and line.startswith("./run serve"):
                        visited(desk / "my-shop", now)
                    code = run(line, monkeypatch)
                    assert code == 0, f"{document.name}:{block.line}: {line}\n{capsys.readouterr()}"
            case "python":
                exec(compile(block.text, f"{document.name}:{block.line}", "exec"), {})
            case "yaml" if "\nkind: CronJob\n" in block.text:
                assert recipe("yaml", block.text).command
            case "yaml":
                write(block, desk)
            case "csv":
                shown = block.text.splitlines()[1]
                assert (desk / block.file).read_text("utf-8").splitlines()[0] == shown
            case language if language in recipes.LANGUAGES:
                assert recipe(language, block.text) != recipes.Recipe()
            case other:
                pytest.fail(f"{document.name}:{block.line}: nobody runs a block of {other or 'no language'}")


@pytest.mark.slow
def test_a_metric_is_one_entry_in_one_file(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/add-a-metric.md: before its entry the metric is unknown, after it the readout has it."""
    guide = blocks(ROOT / "docs" / "add-a-metric.md")
    entry, definition = (block for block in guide if block.language == "yaml")
    path = desk / definition.file
    path.write_text(definition.text, encoding="utf-8")
    assert run("./run validate --home demo-shop", monkeypatch) == 2
    assert "multi_piece_lines_per_unit" in capsys.readouterr().out
    (desk / entry.file).write_text(entry.text, encoding="utf-8")
    for line in (line for block in guide if block.language == "sh" for line in block.text.splitlines()):
        assert run(line, monkeypatch) == 0, line
    said = capsys.readouterr().out
    assert "Order lines of two or more pieces, per user" in said
    assert "exploratory" in said


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_generated_parts_are_up_to_date(document: Path) -> None:
    text = document.read_text("utf-8")
    assert generate().regenerated(text) == text, "run: .venv/bin/python docs/generate.py"


def test_every_generated_part_stands_somewhere() -> None:
    everything = "".join(document.read_text("utf-8") for document in DOCUMENTS)
    for name in generate().parts():
        assert f"<!-- generated: {name} -->" in everything


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text("utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_dictionary_has_every_closed_word() -> None:
    words = (ROOT / "docs" / "concepts.md").read_text("utf-8")
    for code in get_args(VerdictCode):
        assert f"| {code} |" in words
    for name in (*SOURCES, *EVENTS):
        assert f"`{name}`" in words
