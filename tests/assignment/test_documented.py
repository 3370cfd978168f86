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


@pytest.fixture
def inputs_file(tmp_path: Path) -> Path:
    """What is hashed as JSON lines, numbered: both engines below read them from here, and may change their order."""
    path = tmp_path / "inputs.jsonl"
    lines = (json.dumps({"n": number, "x": text}, ensure_ascii=False) for number, text in enumerate(INPUTS))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_spark(inputs_file: Path) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed: pip install -e '.[spark]'")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17 or newer, and there is no java")
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = (
        builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").getOrCreate()
    )
    try:
        read = spark.read.schema("n int, x string").json(str(inputs_file))
        found = read.selectExpr("n", "x", f"{documented()['Spark']} as bucket").orderBy("n").collect()
    finally:
        spark.stop()
    assert [row["x"] for row in found] == INPUTS
    assert [row["bucket"] for row in found] == BUCKETS


def test_clickhouse(inputs_file: Path) -> None:
    chdb = pytest.importorskip("chdb", reason="chdb is not installed: pip install -e '.[clickhouse]'")
    query = (
        f"select x, {documented()['ClickHouse']} as bucket from file('{inputs_file}', JSONEachRow, 'n Int32, x String')"
    )
    found = [json.loads(line) for line in str(chdb.query(f"{query} order by n", "JSONEachRow")).splitlines()]
    assert [row["x"] for row in found] == INPUTS
    assert [row["bucket"] for row in found] == BUCKETS


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
