"""Small pieces of SQL as syntax trees: fixed text with named holes, filled with trees, never with user text."""

from functools import cache

from sqlglot import exp, parse_one

Expr = exp.Expr
NULL = exp.null()


@cache
def _parsed(text: str) -> Expr:
    return parse_one(text, read="duckdb").transform(_without_arrows)


def _without_arrows(node: Expr) -> Expr:
    """json_extract as a call: its short form `->` reads as a lambda inside a lambda."""
    if not isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
        return node
    name = "json_extract_string" if isinstance(node, exp.JSONExtractScalar) else "json_extract"
    path = node.expression
    given = exp.Literal.string(path.sql("duckdb").strip("'")) if isinstance(path, exp.JSONPath) else path
    return exp.Anonymous(this=name, expressions=[node.this, given])


def sql(text: str, **holes: Expr) -> Expr:
    """The tree of a fixed SQL expression in which every `:name` is replaced by the tree given for it."""
    return exp.replace_placeholders(_parsed(text).copy(), **{name: tree.copy() for name, tree in holes.items()})


def literal(value: object) -> Expr:
    """A text, whole number or truth value as a quoted literal."""
    match value:
        case None:
            return NULL.copy()
        case bool():
            return exp.true() if value else exp.false()
        case int():
            return exp.cast(exp.Literal.string(str(value)), "hugeint")
        case _:
            return exp.Literal.string(str(value))


def column(name: str, *fields: str, table: str | None = None) -> Expr:
    """A column, or a field of a struct column, quoted."""
    tree: Expr = exp.column(name, table=table, quoted=True)
    for field in fields:
        tree = sql("struct_extract(:s, :f)", s=tree, f=literal(field))
    return tree


def call(function: str, *arguments: Expr) -> Expr:
    """A call of one of DuckDB's functions or of a macro of sql/load/macros.sql."""
    return exp.Anonymous(this=function, expressions=[argument.copy() for argument in arguments])


def text_list(values: tuple[str, ...]) -> Expr:
    """A list literal of texts."""
    return exp.Array(expressions=[literal(value) for value in values])


def case(*branches: tuple[Expr, Expr], default: Expr | None = None) -> Expr:
    """`case when … then … else … end`; the default alone when there are no branches."""
    if not branches:
        return default if default is not None else NULL.copy()
    tree = exp.Case()
    for condition, result in branches:
        tree = tree.when(condition.copy(), result.copy())
    return tree.else_(default.copy()) if default is not None else tree


def any_of(conditions: list[Expr]) -> Expr:
    """True when one of them is."""
    return exp.or_(*conditions) if conditions else exp.false()


def all_of(conditions: list[Expr]) -> Expr:
    """True when all of them are."""
    return exp.and_(*conditions) if conditions else exp.true()


def render(tree: Expr) -> str:
    """DuckDB's text of a tree."""
    return tree.sql(dialect="duckdb")
