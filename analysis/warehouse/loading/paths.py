"""A mapping's paths over staged source rows: what the tree of `a.b[key=name].c` is, and of which form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duckdb.sqltypes import DuckDBPyType

from analysis.warehouse.loading.mapping import path_steps
from analysis.warehouse.sql_build import NULL, Expr, column, literal, sql, text_list
from experiments.errors import Problem, nearest

_FORMS: Mapping[str, str] = {
    "varchar": "text", "enum": "text", "boolean": "flag", "date": "day", "float": "number", "double": "number",
    "decimal": "number", "timestamp": "clock", "timestamp_s": "clock", "timestamp_ms": "clock", "timestamp_ns": "clock",
    "timestamp with time zone": "instant", "list": "list", "array": "list", "struct": "struct", "map": "map",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """A DuckDB type: its name, and the fields of a struct, the `child` of a list, the `key` and `value` of a map."""

    name: str
    children: tuple[tuple[str, "Shape"], ...] = ()

    def child(self, name: str) -> "Shape":
        """The shape of the field, child or value of that name; KeyError when there is none."""
        return dict(self.children)[name]


def shape(kind: DuckDBPyType) -> Shape:
    """What DuckDB says of a column's type."""
    if kind.id not in ("list", "array", "struct", "map"):
        return Shape(kind.id)
    parts = [(str(name), inner) for name, inner in kind.children]
    return Shape(kind.id, tuple((name, shape(inner)) for name, inner in parts if isinstance(inner, DuckDBPyType)))


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression and what is known of it.

    Forms: csv (text of a file without types), text, json, whole, number, flag, clock (a time without a zone),
    instant (with one), utc (already converted), day, list, struct, map, other (nothing a contract takes).
    """

    tree: Expr
    form: str
    type: Shape | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """A source file read into the temporary table `stage(line, raw, c1, c2, …)`, raw being null where it is typed."""

    file: str
    kind: str  # csv, jsonl, parquet
    columns: Mapping[str, tuple[str, Shape]]  # name in the file → staged column and its type
    rows: int  # staged, so without the malformed ones


def typed(tree: Expr, kind: Shape) -> Typed:
    """A value of a DuckDB type."""
    form = _FORMS.get(kind.name)
    if form is None:
        form = "whole" if kind.name.endswith("int") or kind.name == "integer" else "other"
    return Typed(tree, form, kind)


class Paths:
    """Resolves paths; what the source lacks is collected in `problems`, and read as null meanwhile, as `nulls` are."""

    def __init__(self, staged: Staged, nulls: Sequence[str] = ()) -> None:
        self.staged = staged
        self.nulls = tuple(nulls)
        self.problems: list[Problem] = []

    def row(self, at: str, path: str) -> Typed:
        """The value of a path in the source row. A column whose whole name is the path is taken first."""
        return self._known(self._row(at, path))

    def element(self, at: str, element: Typed, path: str) -> Typed:
        """The value of a path in a list element; `.` is the element itself."""
        return self._known(element if path == "." else self._walk(at, element, path, from_root=False))

    def _known(self, value: Typed) -> Typed:
        """Null where its text is one of `nulls`."""
        if not self.nulls or value.form not in ("csv", "text", "json"):
            return value
        text = sql("case when json_type(:x) = 'VARCHAR' then json_extract_string(:x, '$') end", x=value.tree)
        said = sql("list_contains(:n, :t)", n=text_list(self.nulls), t=text if value.form == "json" else value.tree)
        return Typed(sql("case when :s is not true then :x end", s=said, x=value.tree), value.form, value.type)

    def _row(self, at: str, path: str) -> Typed:
        if path in self.staged.columns:
            return self._column(path)
        first = path_steps(path)[0].field if path != "." else path
        if first not in self.staged.columns:
            self._lacks(at, first, tuple(self.staged.columns))
            return Typed(NULL, "other")
        return self._walk(at, self._column(first), path, from_root=True)

    def elements(self, at: str, value: Typed) -> tuple[Expr, Typed]:
        """A list value as a DuckDB list, and an element's kind (its tree to be put in)."""
        if value.form == "csv":
            value = Typed(sql("try_cast(:x as json)", x=value.tree), "json")
        if value.form == "json":
            return sql("json_extract(:x, '$[*]')", x=value.tree), Typed(NULL, "json")
        if value.form == "list" and value.type is not None:
            return value.tree, typed(NULL, value.type.child("child"))
        if value.form != "other":
            self.problems.append(Problem("no_list", at, value.form, "a column that is no list is read as one"))
        return NULL, Typed(NULL, "other")

    def _column(self, name: str) -> Typed:
        staged, kind = self.staged.columns[name]
        match self.staged.kind:
            case "csv":
                return Typed(column(staged), "csv")
            case "jsonl":
                return Typed(column(staged), "json")
            case _:
                return typed(column(staged), kind)

    def _walk(self, at: str, value: Typed, path: str, *, from_root: bool) -> Typed:
        for place, step in enumerate(path_steps(path)):
            if place > 0 or not from_root:
                value = self._field(at, value, step.field)
            if step.key is not None:
                value = self._pick(at, value, *step.key)
        return value

    def _field(self, at: str, value: Typed, name: str) -> Typed:
        match value:
            case Typed(form="json" | "csv"):
                base = value.tree if value.form == "json" else sql("try_cast(:x as json)", x=value.tree)
                pointer = literal("/" + name.replace("~", "~0").replace("/", "~1"))
                return Typed(sql("nullif(json_extract(:x, :p), cast('null' as json))", x=base, p=pointer), "json")
            case Typed(form="struct", type=kind) if kind is not None:
                children = tuple(child for child, _ in kind.children)
                if name in children:
                    return typed(sql("struct_extract(:x, :n)", x=value.tree, n=literal(name)), kind.child(name))
                self._lacks(at, name, children)
            case Typed(form="other"):
                pass
            case _:
                self.problems.append(Problem("no_column", at, name, f"{name!r} is asked of a column without fields"))
        return Typed(NULL, "other")

    def _pick(self, at: str, value: Typed, key: str, wanted: str) -> Typed:
        """Of a key–value list the first element whose `key` is `wanted`."""
        if value.form == "map" and value.type is not None:
            kind = value.type.child("value")
            return typed(sql("map_extract(:m, :k)[1]", m=value.tree, k=literal(wanted)), kind)
        elements, kind_of = self.elements(at, value)
        part = self._field(at, Typed(column("p"), kind_of.form, kind_of.type), key)
        condition = sql(":a = :b", a=as_text(part), b=literal(wanted))
        return Typed(sql("list_filter(:l, lambda p: :c)[1]", l=elements, c=condition), kind_of.form, kind_of.type)

    def _lacks(self, at: str, name: str, known: tuple[str, ...]) -> None:
        shown = ", ".join(known[:40]) + (", …" if len(known) > 40 else "")
        said = f"{self.staged.file} has no column {name!r}"
        self.problems.append(Problem("no_column", at, name, said, nearest(name, known), f"its columns: {shown}"))


def as_text(value: Typed) -> Expr:
    """A scalar's text, whatever its type; null for what is no scalar."""
    match value.form:
        case "text" | "csv":
            return value.tree
        case "json":
            return sql(
                "case when json_type(:x) not in ('OBJECT', 'ARRAY') then json_extract_string(:x, '$') end", x=value.tree
            )
        case "whole" | "number" | "flag" | "clock" | "instant" | "utc" | "day":
            return sql("cast(:x as varchar)", x=value.tree)
        case _:
            return NULL
