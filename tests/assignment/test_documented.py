"""The expressions of docs/assignment.md, run as they stand there, against the golden vectors."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import duckdb
import psycopg
import pytest

from tests.helpers import postgres

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "assignment/vectors/bucket_vectors.json").read_text("utf-8"))["vectors"]
INPUTS: list[str] = [vector["input"] for vector in VECTORS]
BUCKETS: list[int] = [vector["bucket_10000"] for vector in VECTORS]


def documented() -> dict[str, str]:
    text = (ROOT / "docs" / "assignment.md").read_text("utf-8")
    rows = re.findall(r"^\| (\w+) \| `(.*10000.*)` \|$", text, re.MULTILINE)
    return {engine: expression.replace(r"\|", "|") for engine, expression in rows}


def test_every_engine_is_documented() -> None:
    assert set(documented()) == {"Python", "DuckDB", "PostgreSQL", "Spark", "ClickHouse", "JavaScript"}


def test_python() -> None:
    code = compile(documented()["Python"], "docs/assignment.md", "eval")
    assert [eval(code, {"hashlib": hashlib, "x": text}) for text in INPUTS] == BUCKETS


def test_duckdb() -> None:
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select {documented()['DuckDB']} from (select unnest($inputs) as x)", {"inputs": INPUTS}
        ).fetchall()
    assert [bucket for (bucket,) in found] == BUCKETS


def test_postgresql() -> None:
    why = postgres.missing()
    if why is not None:
        pytest.skip(why)
    with postgres.server() as url, psycopg.connect(url.replace("+psycopg", "")) as connection:
        query = f"select {documented()['PostgreSQL']} from unnest(%(inputs)s::text[]) as x".replace(
            " % 10000", " %% 10000"
        )
        found = connection.execute(query, {"inputs": INPUTS}).fetchall()
    assert [bucket for (bucket,) in found] == BUCKETS


def test_javascript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = tmp_path / "buckets.mjs"
    script.write_text(
        "import {createHash} from 'node:crypto';\n"
        "const utf8 = x => Buffer.from(x, 'utf8'), md5hex = x => createHash('md5').update(x).digest('hex');\n"
        f"console.log(JSON.stringify({json.dumps(INPUTS)}.map(x => {documented()['JavaScript']})));\n",
        encoding="utf-8",
    )
    made = subprocess.run([node, str(script)], capture_output=True, text=True, check=True)
    assert json.loads(made.stdout) == BUCKETS
