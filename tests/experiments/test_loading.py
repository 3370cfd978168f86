"""Strict YAML, and problems named by path and line."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from experiments.errors import NotFoundError, Problem
from experiments.loading import Json, dotted, parse, parse_yaml, read_yaml, value_at
from experiments.spec import Experiment, Fact
from tests.helpers.definitions import changed


def said(text: str) -> list[Problem]:
    return parse_yaml(text)[1]


def test_values_and_the_lines_they_stand_on() -> None:
    document, problems = parse_yaml("a: 1\nb:\n  - x\n  - {c: true, d: }\n")
    assert problems == []
    assert document is not None
    assert document.value == {"a": 1, "b": ["x", {"c": True, "d": None}]}
    assert document.line(("b", 1, "c")) == 4
    assert document.line(("b", 1, "unwritten")) == 4
    assert value_at(document.value, ("b", 1, "c")) is True
    assert value_at(document.value, ("b", 7, "c")) is None


def test_a_key_written_twice_is_a_problem_with_both_lines() -> None:
    (problem,) = said("a: 1\nb:\n  c: 2\n  d: 3\n  c: 4\n")
    assert (problem.code, problem.path, problem.line) == ("duplicate_key", "b.c", 5)
    assert "first on line 3" in problem.message


@pytest.mark.parametrize(
    "word",
    ["no", "yes", "on", "off", "No", "12:30", "0777", "1_000", "2026-12-01", "2026-12-01T09:00:00Z", "0x1f", "=", "<<"],
)
def test_words_stay_words(word: str) -> None:
    document, _ = parse_yaml(f"a: {word}")
    assert document is not None
    assert document.value == {"a": word}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "the file is empty"),
        ("# only a comment\n", None, "the file is empty"),
        ("a: 1\nb: [2\n", 3, "expected ',' or ']'"),
        ("a: &x 1\nb: *x\n", 2, "an alias"),
        ("a: !!python/object:os.system x\n", 1, "could not determine a constructor"),
        ("a: 1\n---\nb: 2\n", 2, "but found another document"),
        ("? [a, b]\n: 1\n", 1, "a key is one word"),
        ("a: \x00", None, "not YAML"),
    ],
)
def test_what_is_not_strict_yaml_is_a_problem_with_its_line(text: str, line: int | None, words: str) -> None:
    document, problems = parse_yaml(text)
    assert document is None
    assert [problem.code for problem in problems] == ["yaml"]
    assert problems[0].line == line
    assert words in problems[0].message


def test_a_file_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "home_als.yml").write_text("a: 1")
    with pytest.raises(NotFoundError, match=r"home_al\.yml: no such file; is home_als\.yml meant\?"):
        read_yaml(tmp_path / "home_al.yml")
    with pytest.raises(NotFoundError, match=r"other\.yml: no such file; give the path of a YAML file"):
        read_yaml(tmp_path / "other.yml")
    with pytest.raises(NotFoundError, match="is a folder; name a file in it"):
        read_yaml(tmp_path)


def test_a_file_in_another_encoding_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes("a: für".encode("latin-1"))
    document, problems = read_yaml(tmp_path / "a.yml")
    assert document is None
    assert "not UTF-8" in problems[0].message
    assert "save the file as UTF-8" in str(problems[0])


texts = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8)
keys = st.text("abcdefgh_", min_size=1, max_size=4)


def documents(texts: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Json]]:
    scalars = st.none() | st.booleans() | st.integers() | texts
    inner = st.recursive(scalars, lambda of: st.lists(of, max_size=3) | st.dictionaries(keys, of, max_size=3))
    return st.dictionaries(keys, inner, min_size=1, max_size=4)


@given(documents(texts))
def test_whatever_json_says_yaml_says_too(value: dict[str, Json]) -> None:
    document, problems = parse_yaml(json.dumps(value, ensure_ascii=False))
    assert problems == []
    assert document is not None
    assert document.value == value


# PyYAML writes YAML 1.1, in which 0E0 needs no quotes to be a text; in the core schema it is a number
@given(documents(texts.filter(lambda text: re.match(r"[-+.]?[0-9]", text) is None)))
def test_what_pyyaml_writes_is_read_as_it_was(value: dict[str, Json]) -> None:
    document, problems = parse_yaml(yaml.safe_dump(value))
    assert problems == []
    assert document is not None
    assert document.value == value


@given(st.lists(st.integers(0, 99) | keys, max_size=4))
def test_paths_read_like_code(path: list[str | int]) -> None:
    shown = dotted(tuple(path))
    assert shown.count("[") == sum(isinstance(part, int) for part in path)
    assert not shown.startswith(".")


# --- from a model's errors to problems ------------------------------------------------------------------------


def problems_of(text: str) -> list[tuple[str, str]]:
    document, _ = parse_yaml(text)
    assert document is not None
    return [(problem.code, problem.path) for problem in parse(Experiment, document)[1]]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("key: home_als_v2", "key: Home-ALS", ("key_format", "key")),
        ("owner: recs-team", "ownr: recs-team", ("missing_field", "owner")),
        ("owner: recs-team", "owner: 7", ("wrong_type", "owner")),
        ("owner: recs-team\n", "owner: recs-team\nownr: x\n", ("unknown_field", "ownr")),
        ("unit_type: user", "unit_type: usr", ("unknown_value", "unit_type")),
        ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00", ("naive_time", "schedule.start_at")),
        ("2026-12-01T09:00:00Z", "2026-12-01", ("bad_time", "schedule.start_at")),
        ("2026-12-01T09:00:00Z", "soon", ("bad_time", "schedule.start_at")),
        ('margin: "0.20"', "margin: 0.20", ("value", "metrics.guardrails[1].margin")),
        ('margin: "0.20"', 'margin: "1.20"', ("out_of_range", "metrics.guardrails[1].margin")),
        ("planned_units: 20000", "planned_units: twenty", ("wrong_type", "analysis.planned_units")),
        ("planned_units: 20000", 'planned_units: "20000"', ("wrong_type", "analysis.planned_units")),
        ("planned_units: 20000", "planned_units: 1", ("out_of_range", "analysis.planned_units")),
        ("is_control: true", 'is_control: "yes"', ("wrong_type", "variants[0].is_control")),
        ("success: [revenue_per_unit]", "success: []", ("too_few", "metrics.success")),
        ("modules: [homepage]", "modules: homepage", ("wrong_type", "modules")),
    ],
)
def test_a_wrong_field_is_named_by_its_path(old: str, new: str, problem: tuple[str, str]) -> None:
    assert problem in problems_of(changed((old, new)))


def test_a_misspelt_field_names_the_one_that_was_meant() -> None:
    document, _ = parse_yaml(changed(("planned_units", "planed_units")))
    assert document is not None
    (problem,) = parse(Experiment, document)[1]
    assert problem.nearest == ("planned_units",)
    assert problem.line == 19
    assert str(problem).startswith("line 19, analysis.planed_units: planed_units is not a known field (nearest:")


def test_a_value_of_a_closed_set_lists_the_set() -> None:
    document, _ = parse_yaml("from: slatez\nmeasure: rows\n")
    assert document is not None
    (problem,) = parse(Fact, document)[1]
    assert problem.message == "'slatez' is none of slates, interactions, order_lines, sessions"
    assert problem.nearest == ("slates",)


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("from: slates\nmeasure: {summ: clicked}", "measure", "a measure is rows, any, {sum: column}"),
        ("from: slates\nmeasure: {sum: a, distinct: b}", "measure", "a measure is rows, any"),
        ("from: slates\nmeasure: row", "measure", "none of rows, any"),
        ("from: slates\nmeasure: {sum: 3}", "measure.sum", "3 is not a text"),
        ("from: slates\nmeasure: {sum: a, n: 3}", "measure.n", "not a known field"),
        ("from: slates\nmeasure: {at_least: {distinct: a}}", "measure.at_least.n", "is missing"),
        ("from: slates\nmeasure: rows\nwhere: {a: {gtt: 1}}", "where.a.gtt", "not a known field"),
        ("from: slates\nmeasure: rows\nwhere: {a: {gt: 1.5}}", "where.a.gt", "integer"),
        ("from: slates\nmeasure: rows\nwhere: {a: 1.5}", "where.a", "a condition is a value, a list of values"),
        ("from: slates\nmeasure: rows\nwhere: {a: [[1]]}", "where.a[0]", "should be"),
    ],
)
def test_of_a_union_only_the_form_that_was_meant_is_spoken_of(text: str, path: str, words: str) -> None:
    document, _ = parse_yaml(text)
    assert document is not None
    made, problems = parse(Fact, document)
    assert made is None
    (problem,) = problems
    assert problem.path == path
    assert words in problem.message


@pytest.mark.parametrize(
    ("text", "message", "step"),
    [
        ("modules: homepage", "'homepage' is not a list", "write [homepage]"),
        ("owner: 7", "7 is not a text", 'quote it: "7"'),
        ("owner: true", "True is not a text", 'quote it: "true"'),
        ("schedule: now", "'now' is not a mapping", "write its fields as key: value"),
    ],
)
def test_a_value_of_another_shape_shows_how_it_is_written(text: str, message: str, step: str) -> None:
    document, _ = parse_yaml(text)
    assert document is not None
    (problem,) = [problem for problem in parse(Experiment, document)[1] if problem.code == "wrong_type"]
    assert (problem.message, problem.next_step) == (message, step)
