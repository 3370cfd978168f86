"""From a YAML file to a checked declaration, with every problem named by path and line.

Strict: a key written twice, an alias, a tag or a second document is an error, and only `true` and `false`
are truth values (`no`, `on` and `12:30` are words). Times stay text until a model that knows their zone reads them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from experiments.errors import NotFoundError, Problem, nearest

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Path_ = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says: JSON-able values, and the line each path was written on."""

    value: Json
    lines: Mapping[Path_, int]

    def line(self, path: Path_) -> int | None:
        """The line of `path`, else of the nearest part around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def problem(
        self, code: str, path: Path_, value: object, message: str, *, near: Sequence[str] = (), next_step: str = ""
    ) -> Problem:
        """A problem at `path`, with its line."""
        return Problem(code, dotted(path), value, message, tuple(near), next_step, self.line(path))


def dotted(path: Path_) -> str:
    """`metrics.guardrails[1].margin`; the whole file is `(file)`."""
    said = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return said.lstrip(".") or "(file)"


def read_yaml(path: Path) -> tuple[Document | None, list[Problem]]:
    """Read one file. NotFoundError when there is none; anything else wrong with it is a problem."""
    if path.is_dir():
        raise NotFoundError(f"{path}: is a folder; name a file in it")
    if not path.is_file():
        there = sorted(other.name for other in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        near = get_close_matches(path.name, there, n=1, cutoff=0.8)
        step = f"is {near[0]} meant?" if near else "give the path of a YAML file"
        raise NotFoundError(f"{path}: no such file; {step}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8"
        return None, [Problem("yaml", "(file)", path.name, message, next_step="save the file as UTF-8")]
    return parse_yaml(text)


def parse_yaml(text: str) -> tuple[Document | None, list[Problem]]:
    """Parse one YAML document. Without a document there is at least one problem; with one there may be (keys twice)."""
    lines: dict[Path_, int] = {}
    problems: list[Problem] = []
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None, [Problem("yaml", "(file)", "", "the file is empty")]
        value = _value(loader, root, (), lines, problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = error.problem or error.context or "not YAML"
        return None, [Problem("yaml", "(file)", "", message, line=None if mark is None else mark.line + 1)]
    except yaml.YAMLError as error:
        return None, [Problem("yaml", "(file)", "", f"not YAML: {error}")]
    return Document(value, lines), problems


def parse(model: type[Model], document: Document, path: Path_ = ()) -> tuple[Model | None, list[Problem]]:
    """The value at `path` as a `model`, strictly: no text becomes a number, no number a truth value."""
    return build(model, value_at(document.value, path), document, path)


def build(model: type[Model], value: Json, document: Document, path: Path_) -> tuple[Model | None, list[Problem]]:
    """`value`, written at `path` of the document, as a `model`."""
    try:
        return model.model_validate_json(json.dumps(value), strict=True), []
    except ValidationError as error:
        return None, _problems(error, model, value, document, path)


def value_at(value: Json, path: Path_) -> Json:
    """What is written at `path`; None where nothing is."""
    for part in path:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def entries(value: Json, path: Path_) -> list[tuple[Path_, Json]]:
    """The elements of the list at `path` with their paths; nothing when it is no list."""
    listed = value_at(value, path)
    return [((*path, index), entry) for index, entry in enumerate(listed)] if isinstance(listed, list) else []


def besides(problems: Sequence[Problem], said: Sequence[Problem]) -> list[Problem]:
    """`problems` without those at, or inside, a path of which `said` already speaks better."""
    paths = [problem.path for problem in said]
    return [
        p for p in problems if not any(p.path == path or p.path.startswith((f"{path}.", f"{path}[")) for path in paths)
    ]


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """As they stand in the file."""
    return sorted(problems, key=lambda problem: problem.line or 0)


class _Loader(yaml.SafeLoader):
    """Core-schema scalars; aliases refused. The second argument of a resolver is the first characters it may have."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, object]]] = {}  # noqa: RUF012 - yaml's own name and shape

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, "an alias (*name) is not read here: write it out", event.start_mark
            )
        return super().compose_node(parent, index)


def _resolvers() -> Iterator[tuple[str, str, list[str]]]:
    yield "bool", r"^(?:true|false)$", list("tf")
    yield "null", r"^(?:~|null|)$", ["~", "n", ""]
    yield "int", r"^(?:[-+]?(?:0|[1-9][0-9]*))$", list("-+0123456789")
    yield "float", r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?)$", list("-+0123456789.")


for _tag, _pattern, _first in _resolvers():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def _value(loader: _Loader, node: Node, path: Path_, lines: dict[Path_, int], problems: list[Problem]) -> Json:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, SequenceNode):
        return [_value(loader, item, (*path, index), lines, problems) for index, item in enumerate(node.value)]
    if isinstance(node, MappingNode):
        mapping: dict[str, Json] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is one word", key_node.start_mark)
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in mapping:
                message = f"{key} is written twice (first on line {lines[(*path, key)]})"
                problems.append(
                    Problem("duplicate_key", dotted((*path, key)), key, message, (), "remove one of them", line)
                )
                continue
            lines[(*path, key)] = line
            mapping[key] = _value(loader, value_node, (*path, key), lines, problems)
        return mapping
    scalar: Json = loader.construct_object(node)
    return scalar


# --- from pydantic's errors to ours ---------------------------------------------------------------------------


def _problems(
    error: ValidationError, model: type[BaseModel], value: Json, document: Document, at: Path_
) -> list[Problem]:
    found: list[Problem] = []
    seen: set[Path_] = set()
    for details in error.errors(include_url=False):
        path = _written(details, value)
        if path in seen or _only_seems_short(details):  # a union's further forms: the first one said it
            continue
        seen.add(path)
        found.append(_problem(details, model, path, document, (*at, *path)))
    return found


def _only_seems_short(details: ErrorDetails) -> bool:
    """Pydantic counts the elements that are right; what is wrong with the others is said of them."""
    given = details["input"]
    return details["type"] == "too_short" and isinstance(given, list) and len(given) >= details["ctx"]["min_length"]


def _written(details: ErrorDetails, value: Json) -> Path_:
    """The error's place in the file: pydantic's, without the names of union members."""
    path: list[str | int] = []
    location = details["loc"]
    for index, part in enumerate(location):
        if isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part] if part < len(value) else None
        elif not (details["type"] == "missing" and index == len(location) - 1):
            continue
        path.append(part)
    return tuple(path)


def _problem(details: ErrorDetails, model: type[BaseModel], path: Path_, document: Document, full: Path_) -> Problem:
    given, kind = details["input"], details["type"]
    context = details.get("ctx", {})
    name = full[-1] if full else "(file)"
    match kind:
        case "extra_forbidden":
            known = tuple(fields_at(model, path[:-1]))
            near = nearest(name, known)
            step = "remove it" if near else f"remove it; known here: {', '.join(known)}"
            return document.problem(
                "unknown_field", full, given, f"{name} is not a known field", near=near, next_step=step
            )
        case "missing":
            choices = _choices(fields_at(model, path[:-1]).get(str(name)))
            return document.problem(
                "missing_field", full, None, "is missing", next_step=f"write {name}: {choices or '…'}"
            )
        case "string_pattern_mismatch" if name == "key" or str(context["pattern"]).startswith("^[a-z0-9]["):
            rule = "3 to 63" if "{2,62}" in str(context["pattern"]) else "2 to 63"
            message = f"{given!r} is not a key: {rule} of a-z, 0-9 and _, the first not _"
            return document.problem("key_format", full, given, message, next_step="choose another key")
        case "literal_error":
            known = tuple(str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", "))
            message = f"{given!r} is none of {', '.join(known)}"
            return document.problem("unknown_value", full, given, message, near=nearest(given, known))
        case "timezone_aware":
            step = f"write the zone: {given}Z for UTC"
            return document.problem("naive_time", full, given, f"{given!r} has no time zone", next_step=step)
        case "too_short" if name == "variants":
            message = f"{len(given)} given; an experiment compares at least two"
            return document.problem("too_few_variants", full, given, message, next_step="add a variant")
        case "string_too_short" if context["min_length"] == 1:
            step = "say who answers for it" if name == "owner" else "write what it is, or remove it"
            return document.problem("empty", full, given, "is empty", next_step=step)
        case "too_short":
            message = f"needs at least {context['min_length']}, has {context['actual_length']}"
            return document.problem("too_few", full, given, message)
        case "value_error" | "measure" | "condition" | "assertion_error":
            return document.problem("value", full, given, details["msg"].removeprefix("Value error, "))
    if kind.startswith("datetime"):
        step = "write 2026-12-01T09:00:00Z"
        return document.problem("bad_time", full, given, f"{given!r} is not a time", next_step=step)
    if kind in ("list_type", "tuple_type"):
        step = "write a list, as [a, b]" if given is None or isinstance(given, dict) else f"write [{given}]"
        return document.problem("wrong_type", full, given, f"{given!r} is not a list", next_step=step)
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        step = "write its fields as key: value"
        return document.problem("wrong_type", full, given, f"{given!r} is not a mapping", next_step=step)
    if kind == "string_type":
        step = f'quote it: "{json.dumps(given)}"' if isinstance(given, bool | int | float) else "write one text"
        return document.problem("wrong_type", full, given, f"{given!r} is not a text", next_step=step)
    if kind.endswith(("_type", "_parsing", "int_from_float")):
        return document.problem("wrong_type", full, given, f"{_words(details['msg'])}, not {given!r}")
    return document.problem("out_of_range", full, given, f"{_words(details['msg'])}, not {given!r}")


def _words(message: str) -> str:
    return re.sub(r"Decimal\('(.*?)'\)", r"\1", message).replace("Input should", "it should")


def fields_at(model: type[BaseModel], path: Path_) -> dict[str, object]:
    """Field names as written in a file, with their types, of the model along `path`.

    Indices and free keys of a mapping pass through.
    """
    models = [model]
    for part in path:
        following: list[type[BaseModel]] = []
        for candidate in models:
            for field_name, field in candidate.model_fields.items():
                if part in (field_name, field.alias):
                    following += _models_in(field.annotation)
        models = following or models
    return {field.alias or name: field.annotation for m in models for name, field in m.model_fields.items()}


def _choices(annotation: object) -> str:
    return " or ".join(str(choice) for choice in get_args(annotation)) if get_origin(annotation) is Literal else ""


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]
