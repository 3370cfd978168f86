"""A list column (a slate's items) as SQL: each element with the reasons against it."""

from collections.abc import Mapping, Sequence

from sqlglot import exp

from analysis.warehouse.contract_sql import bounds_fault, sql_type
from analysis.warehouse.loading.mapping import Take
from analysis.warehouse.loading.paths import Paths, Typed
from analysis.warehouse.loading.verbs_sql import NO_TEXT, converted, null_of, to_kind, try_as
from analysis.warehouse.sql_build import Expr, case, column, literal, sql, text_list
from experiments.contracts import Column, Listed, columns
from experiments.errors import Problem, nearest

_VERSION = "schema_version"  # of a row, so no field of an item's


def items(kind: Listed, value: Typed, given: Mapping[str, Take] | None, paths: Paths, at: str) -> Expr:
    """(value, fault): a list of (item, reasons), one per element. `given` None: fields of the contract's names."""
    parts = {part.name: part for part in columns(kind.model) if part.name != _VERSION}
    is_json = value.form in ("json", "csv")
    tree = sql("try_cast(:x as json)", x=value.tree) if value.form == "csv" else value.tree
    elements, shape = paths.elements(at, Typed(tree, "json") if is_json else value)
    element = Typed(column("e"), shape.form, shape.type)
    takes = dict(given) if given is not None else _same_names(element, parts, paths, at)
    fields: list[tuple[str, Expr]] = []
    reasons: list[Expr] = []
    converted_parts: list[tuple[str, Expr]] = [("e", column("e"))]
    at_once = given is None and element.form == "json" and not paths.nulls
    for place, (name, part) in enumerate(parts.items(), start=1):
        if name not in takes:
            fields.append((name, null_of(sql_type(part.kind))))
            continue
        if at_once:
            drawn = sql("nullif(list_extract(x, :i), cast('null' as json))", i=exp.Literal.number(place))
            taken = Typed(drawn, "json")
        else:
            taken = paths.element(f"{at}.columns.{name}", element, str(takes[name].each))
        for verb in takes[name].as_ or ():
            made, form = converted(taken, verb)
            taken = Typed(sql("struct_extract(:m, 'value')", m=made), form)
        converted_parts.append((f"of_{name}", to_kind(part, taken, None)))
        made = sql("struct_extract(p, :n)", n=literal(f"of_{name}"))  # computed once, read twice
        fields.append((name, try_as(sql("struct_extract(:m, 'value')", m=made), sql_type(part.kind))))
        reasons.append(_reason(part, made))
    found: Expr = sql("list_filter(:l, lambda r: r is not null)", l=exp.Array(expressions=reasons))
    if is_json and all(take.each != "." for take in takes.values()):
        if given is None:
            unknown = sql("len(list_filter(json_keys(p.e), lambda k: not list_contains(:known, k))) > 0",
                          known=text_list((*parts, _VERSION)))  # fmt: skip
            found = sql("list_concat(:f, case when :u then ['unknown_field'] else [] end)", f=found, u=unknown)
        found = case(
            (sql("coalesce(json_type(p.e) = 'OBJECT', false)"), found), default=text_list(("items_not_object",))
        )
    body = sql("struct_pack(item := :i, reasons := :r)", i=_struct(fields), r=found)
    parted_item = _struct(converted_parts)
    if at_once:  # of an element as JSON every field in one reading
        pointers = text_list(tuple(f"/{name}" for name in parts))
        parted_item = sql("list_transform([json_extract(e, :n)], lambda x: :p)[1]", n=pointers, p=parted_item)
    parted = sql("list_transform(:l, lambda e: :p)", l=elements, p=parted_item)
    listed = sql("list_transform(:l, lambda p: :b)", l=parted, b=body)
    is_list = (
        sql("coalesce(json_type(:j) = 'ARRAY', false)", j=tree) if is_json else literal(value.form in ("list", "other"))
    )
    return sql(
        "struct_pack(value := case when :x is not null and :c then :v end, "
        "fault := case when :x is not null and not :c then 'not_list' end)",
        x=value.tree, c=is_list, v=listed,
    )  # fmt: skip


def _struct(fields: Sequence[tuple[str, Expr]]) -> Expr:
    return exp.Struct(
        expressions=[exp.PropertyEQ(this=exp.to_identifier(name), expression=tree) for name, tree in fields]
    )


def items_found(parts: Expr) -> Expr:
    """(value, fault, reasons) of what `items` made: the items, and every reason of any of them once."""
    return sql(
        "struct_pack(value := list_transform(:v, lambda p: p.item), fault := cast(null as varchar), "
        "reasons := coalesce(flatten(list_transform(:v, lambda p: p.reasons)), cast([] as varchar[])))",
        v=parts,
    )


def _same_names(element: Typed, parts: Mapping[str, Column], paths: Paths, at: str) -> dict[str, Take]:
    if element.form != "struct" or element.type is None:
        return {name: Take(each=name) for name in parts}
    known = [name for name, _ in element.type.children]
    paths.problems += [
        Problem("unknown_column", f"{at}.{name}", name, f"an item has no column {name}", nearest(name, parts))
        for name in known
        if name not in parts
    ]
    return {name: Take(each=name) for name in parts if name in known}


def _reason(part: Column, made: Expr) -> Expr:
    found = [(sql("c.fault is not null"), sql("c.fault"))]
    if part.required:
        found.append((sql("c.value is null"), literal("missing")))
    found += bounds_fault(part.kind, sql("c.value"))
    fault = sql(":s || :f", s=literal(f"items_{part.subject}_"), f=case(*found, default=NO_TEXT))
    return sql("list_transform([:m], lambda c: :f)[1]", m=made, f=fault)
