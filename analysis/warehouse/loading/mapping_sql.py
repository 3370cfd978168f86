"""A mapping as SQL: one query per emission, from staged source rows to contract rows with their reasons.

One layer a step, so that nothing is computed twice; a value on its way is a struct (value, fault):

    stage ─ when, each ─▶ picked ─ column, each, row_number ─▶ <name>.0 ─ as, values, contract type ─▶ <name>.1 …
          ─ times, money ─▶ <name>.money ─ bounds ─▶ <name>.reason ─ rules ─▶ contract columns + reasons
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from sqlglot import exp

from analysis.warehouse.contract_sql import TABLES, bounds_fault, rule_reasons, sql_type
from analysis.warehouse.loading.items_sql import items, items_found
from analysis.warehouse.loading.mapping import ID_PARTS, SAME_NAMES, SHOP_CURRENCY, Emission, LogMapping, Scalar, Take
from analysis.warehouse.loading.mapping_checks import constant
from analysis.warehouse.loading.paths import Paths, Shape, Staged, Typed, as_text
from analysis.warehouse.loading.verbs_sql import (
    NO_TEXT,
    absolute,
    condition,
    converted,
    fine,
    looked_up,
    number_text,
    to_kind,
    try_as,
)
from analysis.warehouse.sql_build import NULL, Expr, all_of, any_of, case, column, literal, render, sql, text_list
from analysis.warehouse.terms import ShopTerms
from experiments.contracts import CONTRACTS, NULL_TEXTS, Column, Listed, Moment, columns, instant
from experiments.errors import MappingError, Problem, nearest, said_once


@dataclass(frozen=True, slots=True)
class _Asked:
    """One compilation; equal when the mapping, the shop's terms and the file's columns are."""

    digest: str
    kind: str
    columns: tuple[tuple[str, str, Shape], ...]
    terms: ShopTerms
    mapping: LogMapping = field(compare=False)
    staged: Staged = field(compare=False)


def emission_statements(mapping: LogMapping, staged: Staged, terms: ShopTerms) -> tuple[str, ...]:
    """One `insert into emitted_<table>` per emission. MappingError when the source lacks what is asked of it.

    The default event_id reads the file's digest from the variable `file_digest`.
    """
    columns = tuple((name, own, shape) for name, (own, shape) in staged.columns.items())
    return _compiled(_Asked(mapping.digest(), staged.kind, columns, terms, mapping, staged))


@lru_cache(maxsize=64)  # files of one kind are loaded one after another
def _compiled(asked: _Asked) -> tuple[str, ...]:
    paths = Paths(asked.staged, asked.mapping.file.nulls)
    made = [
        _Query(index, emission, asked.mapping, paths, asked.terms).statement()
        for index, emission in enumerate(asked.mapping.emit)
    ]
    if paths.problems:
        unique = {str(problem): problem for problem in paths.problems}
        raise MappingError(f"{asked.mapping.name} on {asked.staged.file}", said_once(unique.values()))
    return tuple(made)


def root_columns(mapping: LogMapping) -> tuple[str, ...]:
    """The top-level names the mapping reads: what a JSON line is staged as."""
    read: list[str] = [part for part in mapping.event_id.from_ if part not in ID_PARTS]
    for emission in mapping.emit:
        if emission.columns == SAME_NAMES:
            read += [part.name for part in columns(CONTRACTS[emission.to])]
        read += [*emission.when, *([emission.each] if emission.each else [])]
        for take in emission.takes().values():
            given = (take.column, take.times and take.times.column, take.money and take.money.column)
            read += [path for path in given if path]
    return tuple(dict.fromkeys(path.split(".")[0].split("[")[0] for path in read))


def _named(trees: Mapping[str, Expr]) -> list[Expr]:
    return [exp.alias_(tree, name, quoted=True, copy=False) for name, tree in trees.items()]


def _over(query: exp.Select, selected: list[Expr]) -> exp.Select:
    """`select … from (query)`; nothing is copied, so neither may be used again."""
    return exp.select(*selected, copy=False).from_(query.subquery(copy=False), copy=False)


class _Query:
    """The layers of one emission. `finals` says, for each contract column read, which struct holds its value."""

    def __init__(self, index: int, emission: Emission, mapping: LogMapping, paths: Paths, terms: ShopTerms) -> None:
        self.index, self.emission, self.mapping, self.paths, self.terms = index, emission, mapping, paths, terms
        self.at = f"emit[{index}]"
        self.contract = {part.name: part for part in columns(CONTRACTS[emission.to])}
        self.layers: list[dict[str, Expr]] = [{}]
        self.finals: dict[str, str] = {}
        self.constants: dict[str, Expr] = {}
        self.row_reasons: list[Expr] = []  # of no column of the contract, or of several
        self.element = Typed(NULL, "other")

    def statement(self) -> str:
        """`insert into emitted_<table> by name select …`."""
        query = self._picked()
        takes = self._takes()
        for name, take in takes.items():
            self._convert(name, take)
        money = {name: take for name, take in takes.items() if take.money is not None}
        if money:
            amounts = dict(self.finals)
            self.layers.append({f"{name}.money": self._priced(name, take, amounts) for name, take in money.items()})
            self.finals |= {name: f"{name}.money" for name in money}
        self.layers.append({f"{name}.reason": self._reason(self.contract[name]) for name in self.finals})
        for layer in self.layers:
            query = _over(query, [exp.Star(), *_named(layer)]) if layer else query
        row = self._contract_row()
        if "value" in money and self.emission.to == "outcome":
            row |= self._said(money["value"], amounts["value"])
        return f"insert into emitted_{TABLES[self.emission.to]} by name {render(_over(query, _named(row)))}"

    # --- which rows ----------------------------------------------------------------------------------------------

    def _picked(self) -> exp.Select:
        """The source rows that meet `when`, once per element of `each`."""
        holds, faults = [], []
        for path, when in self.emission.when.items():
            held, fault = condition(self.paths.row(f"{self.at}.when.{path}", path), when)
            holds.append(held)
            faults += [fault] if fault is not None else []
        wanted = all_of(holds)
        if faults:  # a comparison that cannot be made is no reason to pass a row over in silence
            wanted = exp.or_(wanted, any_of(faults))
            self.row_reasons.append(case((any_of(faults), literal("when_not_number")), default=NO_TEXT))
        query = exp.select("*").from_("stage").where(wanted)
        return query if self.emission.each is None else self._elements(query, self.emission.each)

    def _elements(self, query: exp.Select, path: str) -> exp.Select:
        value = self.paths.row(f"{self.at}.each", path)
        elements, kind = self.paths.elements(f"{self.at}.each", value)
        if kind.form == "json":
            given = value.tree if value.form == "json" else sql("try_cast(:x as json)", x=value.tree)
            is_list = sql("coalesce(json_type(:x) = 'ARRAY', false)", x=given)
            one = sql("case when :x is null then cast([] as json[]) else [cast(null as json)] end", x=value.tree)
            elements = case((is_list, elements), default=one)
            self.row_reasons.append(case((sql("not :c", c=is_list), literal("each_not_list")), default=NO_TEXT))
        self.element = Typed(column("element"), kind.form, kind.type)
        return query.select(
            exp.alias_(sql("unnest(:l)", l=elements), "element", quoted=True),
            exp.alias_(sql("generate_subscripts(:l, 1)", l=elements), "element_index", quoted=True),
        )

    # --- what is taken -------------------------------------------------------------------------------------------

    def _takes(self) -> dict[str, Take]:
        """Every column that is read from the row, in contract order; constants are put aside."""
        given: dict[str, Take | Scalar] = {}
        if self.mapping.unit_type is not None and "unit_type" in self.contract:
            given["unit_type"] = self.mapping.unit_type
        given |= self._same_names() if isinstance(self.emission.columns, str) else self.emission.columns
        given |= self.emission.set
        takes: dict[str, Take] = {}
        for name in self.contract:
            value = given.get(name)
            if isinstance(value, Take):
                takes[name] = value
            elif value is not None:
                self.constants[name] = self._constant(self.contract[name], value)
        return takes

    def _constant(self, part: Column, value: Scalar) -> Expr:
        resolved = constant(part, value, self.mapping)
        if isinstance(part.kind, Moment):
            at = instant(resolved).replace(tzinfo=None)
            return sql("cast(:t as timestamp)", t=literal(at.isoformat(sep=" ")))
        return try_as(literal(resolved), sql_type(part.kind))

    def _same_names(self) -> dict[str, Take]:
        """Every column of the source under its own name; of JSON lines every one a contract row may have."""
        staged = self.paths.staged
        if staged.kind == "jsonl":
            unknown = sql("list_filter(json_keys(:raw), lambda k: not list_contains(:known, k))",
                          raw=column("raw"), known=text_list(tuple(self.contract)))  # fmt: skip
            self.row_reasons.append(case((sql("len(:u) > 0", u=unknown), literal("unknown_field")), default=NO_TEXT))
            return {name: Take(column=name) for name in self.contract}
        for name in staged.columns:
            if name not in self.contract:
                self._lacking("unknown_column", name, f"{self.emission.to} has no column {name}", tuple(self.contract))
        supplied = {
            *staged.columns,
            *self.emission.set,
            "event_id",
            *(("unit_type",) if self.mapping.unit_type else ()),
        }
        for part in self.contract.values():
            if part.required and part.name not in supplied:
                said = f"{staged.file} has no column {part.name}"
                self._lacking("no_column", part.name, said, tuple(staged.columns))
        return {name: Take(column=name) for name in self.contract if name in staged.columns}

    def _lacking(self, code: str, name: str, said: str, known: tuple[str, ...]) -> None:
        self.paths.problems.append(Problem(code, f"{self.at}.columns.{name}", name, said, nearest(name, known)))

    # --- conversions ---------------------------------------------------------------------------------------------

    def _convert(self, name: str, take: Take) -> None:
        """Layers `<name>.0` (as it is in the source), `.1`, … up to the contract's type; of money, to its text."""
        at, part = f"{self.at}.columns.{name}", self.contract[name]
        value = (
            Typed(sql("printf(:p, place)", p=literal(take.row_number)), "text")
            if take.row_number is not None
            else self._read(at, take.column, take.each)
        )
        self.layers[0][f"{name}.0"] = value.tree
        if take.times is not None:
            factor = self._read(f"{at}.times", take.times.column, take.times.each)
            self.layers[0][f"{name}.times"] = number_text(factor)
        if take.money is not None and take.money.code is None:
            self.layers[0][f"{name}.currency"] = as_text(self._read(f"{at}.money", take.money.column, take.money.each))
        current, depth = Typed(column(f"{name}.0"), value.form, value.type), 0
        for verb in take.as_ or ():
            depth, current = self._step(name, depth, *converted(current, verb))
        if take.values is not None:
            depth, current = self._step(name, depth, *looked_up(current, take.values))
        if isinstance(part.kind, Listed):
            made = items(part.kind, current, take.columns, self.paths, at)
            depth, current = self._step(name, depth, made, "parts")
            self._step(name, depth, items_found(current.tree), "items")
            return
        if take.money is not None:
            made = fine(number_text(current))
        elif take.times is not None:
            made = sql("load_money(:a, :f, '1', 0)", a=number_text(current), f=column(f"{name}.times"))
        else:
            made = to_kind(part, current, self.mapping.time_zone)
        self._step(name, depth, absolute(made) if take.abs and take.money is None else made, "final")

    def _read(self, at: str, path: str | None, element: str | None) -> Typed:
        if path is not None:
            return self.paths.row(f"{at}.column", path)
        return self.paths.element(f"{at}.each", self.element, str(element))

    def _step(self, name: str, depth: int, made: Expr, form: str) -> tuple[int, Typed]:
        """One more layer of a column; a fault of an earlier one stays."""
        if depth > 0:
            fault = column(f"{name}.{depth}", "fault")
            kept = sql("struct_update(:m, fault := coalesce(:f, s.fault))", m=column("s"), f=fault)
            made = sql("list_transform([:m], lambda s: :k)[1]", m=made, k=kept)
        depth += 1
        while len(self.layers) <= depth:
            self.layers.append({})
        self.layers[depth][f"{name}.{depth}"] = made
        self.finals[name] = f"{name}.{depth}"
        return depth, Typed(column(f"{name}.{depth}", "value"), form)

    # --- money ---------------------------------------------------------------------------------------------------

    def _priced(self, name: str, take: Take, amounts: Mapping[str, str]) -> Expr:
        """Amount × factor in the shop's currency, with `currency_fault` beside the value's own fault."""
        factor: Expr = column(f"{name}.times") if take.times is not None else literal("1")
        rate, unknown = self._rate(take, name)
        made = sql("load_money(:a, :f, coalesce(:r, '1'), :d)", a=column(amounts[name], "value"), f=factor, r=rate,
                   d=exp.Literal.number(self.terms.digits))  # fmt: skip
        self.row_reasons.append(column(f"{name}.money", "currency_fault"))
        return sql(
            "list_transform([:m], lambda v: struct_pack(value := v.value, "
            "fault := coalesce(:f, v.fault), currency_fault := case when :a is not null then :u end))[1]",
            m=absolute(made) if take.abs else made, u=unknown, f=column(amounts[name], "fault"),
            a=column(amounts[name], "value"),
        )  # fmt: skip

    def _rate(self, take: Take, name: str) -> tuple[Expr, Expr]:
        """The rate's text (null: 1), and `currency_missing`, `currency_unknown` or null."""
        code, own = self._code(take, name), literal(self.terms.currency)
        if take.money is not None and take.money.code in (SHOP_CURRENCY, self.terms.currency):
            return NO_TEXT, NO_TEXT
        clock = "event_ts" if "event_ts" in self.contract else "valid_from"
        moment = self.constants[clock] if clock in self.constants else column(self.finals[clock], "value")
        day = sql("cast((:t at time zone 'UTC') at time zone :z as date)", t=moment, z=literal(self.terms.time_zone))
        branches = [
            (sql(":c = :k and :d >= cast(:s as date)", c=code, k=literal(currency), d=day, s=literal(str(since))),
             literal(format(dated[since], "f")))
            for currency, dated in self.mapping.rates.items() for since in sorted(dated, reverse=True)
        ]  # fmt: skip
        rate = case((sql(":c = :o", c=code, o=own), literal("1")), *branches, default=NO_TEXT)
        unknown = case(
            (sql(":c is null", c=code), literal("currency_missing")),
            (sql(":r is null", r=rate), literal("currency_unknown")),
            default=NO_TEXT,
        )
        return rate, unknown

    def _code(self, take: Take, name: str) -> Expr:
        fixed = take.money.code if take.money is not None else None
        fixed = self.terms.currency if fixed == SHOP_CURRENCY else fixed
        return literal(fixed) if fixed is not None else column(f"{name}.currency")

    def _said(self, take: Take, amount: str) -> dict[str, Expr]:
        """The shop's currency, and what the row said where that was another."""
        said: Expr = column(amount, "value")
        if take.times is not None:
            said = sql(":a || ' × ' || :f", a=said, f=column("value.times"))
        code, own = self._code(take, "value"), literal(self.terms.currency)
        given = sql("case when :a is not null then :o end", a=column(amount, "value"), o=own)
        original = case((sql(":c <> :o", c=code, o=own), sql(":a || ' ' || :c", a=said, c=code)), default=NO_TEXT)
        return {"currency": given, "original_value": original}

    # --- reasons and the row -------------------------------------------------------------------------------------

    def _reason(self, part: Column) -> Expr:
        value, fault = (column(self.finals[part.name], field) for field in ("value", "fault"))
        found = [(sql(":f is not null", f=fault), fault)]
        if part.required:
            found.append((sql(":v is null", v=value), literal("missing")))
        found += bounds_fault(part.kind, value)
        if part.name == "currency":
            found.append((sql(":v <> :o", v=value, o=literal(self.terms.currency)), literal("unknown")))
        return sql(":s || :f", s=literal(f"{part.subject}_"), f=case(*found, default=NO_TEXT))

    def _contract_row(self) -> dict[str, Expr]:
        """line, emit, element, the contract's columns as far as they are given, reasons."""
        values: dict[str, Expr] = {name: column(final, "value") for name, final in self.finals.items()}
        faults = {name: column(final, "fault") for name, final in self.finals.items()}
        row: dict[str, Expr] = {
            "line": column("line"),
            "emit": exp.Literal.number(self.index),
            "element": column("element_index") if self.emission.each is not None else NULL,
        }
        row |= {name: try_as(tree, sql_type(self.contract[name].kind)) for name, tree in values.items()}
        row |= self.constants
        reasons: list[Expr] = [column(f"{name}.reason") for name in self.finals]
        reasons += rule_reasons(CONTRACTS[self.emission.to], values | self.constants, faults) + self.row_reasons
        if "event_id" in self.contract and "event_id" not in row:
            row["event_id"] = self._event_id(row)
            missing = sql(":e is null", e=row["event_id"])
            reasons.append(case((missing, literal("event_id_missing")), default=NO_TEXT))
        found = sql("list_filter(:l, lambda r: r is not null)", l=exp.Array(expressions=reasons or [NO_TEXT]))
        for name, final in self.finals.items():
            if isinstance(self.contract[name].kind, Listed):
                found = sql("list_concat(:l, :m)", l=found, m=column(final, "reasons"))
        row["reasons"] = sql("case when len(:l) > 1 then list_sort(list_distinct(:l)) else :l end", l=found)
        return row

    def _event_id(self, row: Mapping[str, Expr]) -> Expr:
        """The parts joined by `-`, and the element's place where there is one; null when a part is null.

        Null too where the row's own parts all say so in words, and no line tells the rows apart.
        """
        own: dict[str, Expr] = {
            "file_digest": sql("left(getvariable('file_digest'), 16)"),
            "line": sql("cast(line as varchar)"),
            "emit_index": literal(str(self.index)),
            "row_kind": self._row_kind(row),
        }
        wanted = self.mapping.event_id.from_
        given = {part: as_text(self.paths.row("event_id.from", part)) for part in wanted if part not in ID_PARTS}
        parts = [(given | own)[part] for part in wanted]
        if self.emission.each is not None:
            parts.append(sql("cast(element_index as varchar)"))
        made = parts[0]
        for part in parts[1:]:
            made = sql(":a || '-' || :b", a=made, b=part)
        if not given or "line" in wanted:
            return made
        named = sql("not list_has_all(:n, :g)", n=text_list(NULL_TEXTS), g=exp.Array(expressions=[*given.values()]))
        return case((named, made))

    def _row_kind(self, row: Mapping[str, Expr]) -> Expr:
        if "event_name" in self.contract:
            return sql("coalesce(:n, '')", n=row.get("event_name", NO_TEXT))
        slot = {"m": row.get("module", NO_TEXT), "k": row.get("experiment_key", NO_TEXT)}
        return sql("left(md5(concat(:m, '/', :k)), 8)", **slot)
