"""The house as a stranger meets it: what stands at the top, what is packed, that our names are ours."""

import importlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from analysis.alerts.notices import notify
from experiments.shop import create
from experiments.store import Store

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {
    *(".ci", ".gitignore", ".streamlit", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "analysis"),
    *(
        "app.py",
        "assignment",
        "benchmarks",
        "constraints.txt",
        "docs",
        "experiments",
        "pyproject.toml",
        "run",
        "sql",
        "tests",
    ),
}
PACKAGES = ("experiments", "assignment", "analysis", "sql")


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.splitlines()


def test_nothing_is_added_beside_the_given_top_level() -> None:
    assert {path.split("/")[0] for path in _tracked()} <= TOP_LEVEL


@pytest.mark.parametrize("name", PACKAGES)
def test_our_packages_win_over_strangers_of_the_same_name(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / name


def test_no_file_names_a_package_registry_or_a_machine() -> None:
    suspicious = ("files.python" + "hosted", "pypi" + ".org", "/work" + "/main", "/root" + "/")
    found = [
        f"{path}: {word}"
        for path in _tracked()
        if (ROOT / path).is_file() and path.rsplit(".", 1)[-1] not in ("png", "parquet", "gz")
        for word in suspicious
        if word in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert found == []


def test_every_python_file_reads_in_one_sitting() -> None:
    long = {p: n for p in _tracked() if p.endswith(".py") and (n := len((ROOT / p).read_text().splitlines())) > 600}
    assert long == {}


def test_the_wheel_holds_the_packages_and_what_they_read(tmp_path: Path) -> None:
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            str(tmp_path),
            str(ROOT),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("truelift-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {path for path in _tracked() if path.split("/")[0] in PACKAGES} | {"app.py"}
    assert needed <= names


def test_every_shop_that_a_document_plays_is_ignored_by_git() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    played = {name for text in texts for name in re.findall(r"run demo[^`\n]*--home (\S+?)[`\s]", text)}
    assert played >= {"losing-shop"}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {f"/{name}/" for name in played} <= set(ignored)


def test_all_that_a_shop_keeps_on_disk_is_described(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    with Store.open(shop.store_url) as store, store.alerts.lock():
        pass
    kept = {each.name for each in shop.home.iterdir()} | {
        path.name
        for path in (shop.layers, shop.holdouts, shop.published, shop.spool, shop.money_file, shop.home / notify.FILE)
    }
    operations = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    table = operations.split("## A shop on disk")[1].split("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| `")]
    described = {name.rstrip("/") for row in rows for name in re.findall(r"`(.+?)`", row.split("|")[1])}
    assert kept <= described, kept - described
    assert "passwords" in next(row for row in table.splitlines() if "`notify.yml`" in row)
