"""The house rules for SQL: the grain first, lower case, nothing whose meaning changes silently with the engine."""

import re
from pathlib import Path

import pytest

import sql

FOLDER = Path(sql.__file__).parent
FILES = sorted(FOLDER.rglob("*.sql"))
NAMES = [path.relative_to(FOLDER).as_posix() for path in FILES]
LOADING = ("load/", "enrich/", "schema.sql")  # how DuckDB takes files in: several statements a file, its own dialect
COUNTING = [path for path, name in zip(FILES, NAMES, strict=True) if not name.startswith(LOADING)]

# what it looks like → why not (ARCHITECTURE, decision 5)
FORBIDDEN = {
    r"(?<![\w.])\d+\.\d+(?!e)": "a decimal in one engine, a double in another; write 1e0",
    r"\bpercentile_cont\b|\bmedian\b|\bquantile\w*\b": "interpolates differently; use the rank form",
    r"\bcast\([^()]*\b(?:double|float|real)\b[^()]*as (?:big)?int": "rounds in one engine, truncates in another",
    r"\bdate_diff\('(?:hour|week|month|quarter|year)'": "counts boundaries in one engine, whole spans in another",
    r"\bhash\(": "another value in every engine",
    r"\barg_m(?:in|ax)\b|\b(?:any_value|first|last)\(": "picks any row of a tie",
    r"\blist\([^()]*order by": "order is not kept everywhere",
    r"\blag\((?!.*,\s*1\s*,)|\blead\((?!.*,\s*1\s*,)": "give the offset and the default",
    r"\bmerge into\b|\bon conflict\b": "different meanings under concurrency",
    r"'0x'": "sum digits as bigint",
    r"\bdouble\b|\bfloat\b|\breal\b": "floats do not add up; count in whole numbers",
    r"::": "write cast(… as …)",
}


def code(path: Path) -> str:
    """The text without comments and string literals."""
    text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
    return re.sub(r"'(?:[^']|'')*'", "''", text)


def without_comments(path: Path) -> str:
    return re.sub(r"--.*", "", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", COUNTING, ids=[path.relative_to(FOLDER).as_posix() for path in COUNTING])
def test_the_first_line_names_the_grain(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("-- one row")


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_sql_is_lower_case_and_spaced_alike(path: Path) -> None:
    assert code(path) == code(path).lower()
    text = path.read_text(encoding="utf-8")
    assert "\t" not in text
    assert text.endswith("\n")
    assert [line for line in text.splitlines() if len(line) > 130 or line != line.rstrip()] == []
    assert [line for line in text.splitlines() if (len(line) - len(line.lstrip(" "))) % 4] == []


@pytest.mark.parametrize("path", COUNTING, ids=[path.relative_to(FOLDER).as_posix() for path in COUNTING])
def test_nothing_changes_its_meaning_with_the_engine(path: Path) -> None:
    found = [
        f"{why}: {word[0]}"
        for word, why in ((re.search(p, without_comments(path)), w) for p, w in FORBIDDEN.items())
        if word
    ]
    assert found == []


@pytest.mark.parametrize("path", COUNTING, ids=[path.relative_to(FOLDER).as_posix() for path in COUNTING])
def test_one_file_is_one_statement_and_selects_columns_by_name(path: Path) -> None:
    text = code(path)
    assert ";" not in text.rstrip().rstrip(";")
    stars = re.findall(r"(?<!count\()(?<=[\s.])\*(?=,?\s*\n)", text)
    assert len(stars) == text.count("_steps as (")  # beyond a first common table expression, columns are named


def test_the_lint_sees_what_it_forbids() -> None:
    wrong = (
        "select x * 1.5", "select median(x)", "select cast(x::double as int)", "select date_diff('week', a, b)",
        "select hash(x)", "select arg_min(a, b)", "select list(x order by y)", "select lag(x) over ()",
        "merge into t", "select '0x' || x", "select cast(x as double)", "select x::int",
    )  # fmt: skip
    for text in wrong:
        assert any(re.search(pattern, text) for pattern in FORBIDDEN), text
    for text in ("select 1e0 * x", "select lag(x, 1, 0) over ()", "select date_diff('day', a, b)", "select s.1"):
        assert not any(re.search(pattern, text) for pattern in FORBIDDEN), text


def test_every_file_that_hashes_has_the_same_expression_for_the_bucket() -> None:
    """Static text cannot call what another file says, so this keeps the copies from drifting apart."""
    found = {
        name: re.findall(r"\(strpos\('0123456789abcdef', substr\(digest, 1, 1\)\).*?% 10000", text, re.DOTALL)
        for name, text in ((name, path.read_text("utf-8")) for path, name in zip(FILES, NAMES, strict=True))
        if "0123456789abcdef" in text
    }
    assert len(found) >= 5
    assert all(len(each) == 1 for each in found.values()), found
    assert len({re.sub(r"\s+", " ", each[0]) for each in found.values()}) == 1
