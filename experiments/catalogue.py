"""Which metrics and slices there are, and whether each can be counted. DATA 3 and 4.

The metric catalogue is the shipped `metrics.yml` plus the shop's own; a shop adds keys and never redefines one.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from experiments.errors import DefinitionError, Problem, nearest
from experiments.loading import (
    Document,
    Json,
    Path_,
    besides,
    build,
    dotted,
    entries,
    in_order,
    parse_yaml,
    read_yaml,
    value_at,
)
from experiments.shop import Shop
from experiments.spec import SOURCES, AtLeast, Bound, DistinctOf, Fact, Metric, MetricCatalogue, Slice, SumOf, Value

KEY = re.compile(r"[a-z0-9][a-z0-9_]{1,62}")
EVENTS = ("view", "click", "add_to_cart", "open", "unsubscribe")  # what interactions.event_name may be
BUILT_IN_SLICES = (
    "first_module",
    "first_page_category",
    "first_module_page_category",
    "module_item_category",
    "module_page_category",
)
NOT_A_METRIC = "slices"  # taken by analysis.materiality


class _MetricsFile(Value):
    schema_version: int = 1
    metrics: dict[str, object]


def load_metrics(shop: Shop) -> MetricCatalogue:
    """The shipped metrics and the shop's own. DefinitionError with every problem of the shop's file."""
    if not shop.metrics_file.exists():
        return MetricCatalogue(metrics=dict(shipped_metrics()))
    own, problems = read_metrics(shop.metrics_file)
    if problems:
        raise DefinitionError(str(shop.metrics_file), problems)
    return MetricCatalogue(metrics={**shipped_metrics(), **own})


def usable_metrics(shop: Shop) -> dict[str, Metric]:
    """The shipped metrics and those of the shop's own that are right; nothing is raised for the others."""
    own = read_metrics(shop.metrics_file)[0] if shop.metrics_file.exists() else {}
    return {**shipped_metrics(), **own}


def load_slices(shop: Shop) -> tuple[Slice, ...]:
    """The shop's slices in their order; none without a file. DefinitionError with every problem."""
    if not shop.slices_file.exists():
        return ()
    slices, problems = read_slices(shop.slices_file)
    if problems:
        raise DefinitionError(str(shop.slices_file), problems)
    return slices


@lru_cache(maxsize=1)
def shipped_metrics() -> Mapping[str, Metric]:
    """What comes with truelift."""
    document, problems = parse_yaml((files("experiments") / "metrics.yml").read_text(encoding="utf-8"))
    metrics, more = _metrics(document, {}) if document else ({}, [])
    if problems or more:
        raise DefinitionError("experiments/metrics.yml", [*problems, *more])
    return metrics


def read_metrics(path: Path) -> tuple[dict[str, Metric], list[Problem]]:
    """A shop's metrics that are right, and everything that is wrong with the others."""
    document, problems = read_yaml(path)
    if document is None:
        return {}, problems
    metrics, more = _metrics(document, shipped_metrics())
    return metrics, in_order([*problems, *more])


def read_slices(path: Path) -> tuple[tuple[Slice, ...], list[Problem]]:
    """A shop's slices that are right, and everything that is wrong with the others."""
    document, problems = read_yaml(path)
    if document is None:
        return (), [] if problems and problems[0].message == "the file is empty" else problems
    if not isinstance(document.value, list):
        problems.append(document.problem("wrong_type", (), None, "is not a list", next_step="begin each slice with -"))
        return (), problems
    slices: list[Slice] = []
    for at, entry in entries(document.value, ()):
        made, wrong = build(Slice, entry, document, at)
        problems += wrong
        if made is not None:
            more = list(_slice_problems(made, slices, document, at))
            problems += more
            slices += [] if more else [made]
    return tuple(slices), in_order(problems)


# --- metrics --------------------------------------------------------------------------------------------------


def _metrics(document: Document, shipped: Mapping[str, Metric]) -> tuple[dict[str, Metric], list[Problem]]:
    _, problems = build(_MetricsFile, document.value, document, ())
    if value_at(document.value, ("schema_version",)) not in (None, 1):
        problems.append(document.problem("unknown_value", ("schema_version",), None, "is not 1, the only version"))
    written = value_at(document.value, ("metrics",))
    declared = written if isinstance(written, dict) else {}
    known = (*shipped, *declared)
    metrics: dict[str, Metric] = {}
    for key, entry in declared.items():
        at: Path_ = ("metrics", key)
        wrong = [*_key_problems(key, shipped, document, at)]
        if not isinstance(entry, dict):
            wrong.append(
                document.problem("wrong_type", at, entry, "is not a metric", next_step="write its fields below it")
            )
        else:
            made, more = _metric(key, entry, known, document, at)
            wrong += more
            if made is not None and not wrong:
                metrics[key] = made
        problems += wrong
    return metrics, problems


def _key_problems(key: str, shipped: Mapping[str, Metric], document: Document, at: Path_) -> Iterator[Problem]:
    if not KEY.fullmatch(key):
        message = f"{key!r} is not a key: 2 to 63 of a-z, 0-9 and _, the first not _"
        yield document.problem("key_format", at, key, message, next_step="choose another key")
    if key in shipped:
        yield document.problem(
            "key_shipped", at, key, f"{key} is a metric that is already shipped", next_step="choose another key"
        )
    if key == NOT_A_METRIC:
        yield document.problem(
            "key_reserved", at, key, "a definition's materiality uses this word", next_step="choose another key"
        )


def _metric(
    key: str, entry: dict[str, Json], known: tuple[str, ...], document: Document, at: Path_
) -> tuple[Metric | None, list[Problem]]:
    special: list[Problem] = []
    if entry.get("kind") == "quantile":
        step = "use a mean or a ratio"
        special.append(
            document.problem(
                "not_in_this_version", (*at, "kind"), "quantile", "quantiles are not in this version", next_step=step
            )
        )
    if "key" in entry:
        message = "the key is the name the entry stands under"
        special.append(document.problem("unknown_field", (*at, "key"), entry["key"], message, next_step="remove it"))
    named = {**entry, "key": key if KEY.fullmatch(key) else "unnamed"}
    made, wrong = build(Metric, named, document, at)
    problems = [*special, *besides(wrong, special)]
    facts: list[Problem] = []
    for part in ("numerator", "denominator"):
        for fact, where in _fact_parts(entry.get(part), document, (*at, part)):
            facts += fact_problems(fact, document, where)
    like = made or _stand_in(named, [*special, *wrong], document, at)
    more = [*_other_problems(like, known, document, at)] if like else []
    if like and not facts:
        more += [*_kind_problems(like, document, at), *_maturity_problems(like, document, at)]
    problems += besides([*facts, *more], problems)
    return made, problems


def _fact_parts(entry: Json, document: Document, at: Path_) -> Iterator[tuple[Fact, Path_]]:
    """The fact, or when a part of it is wrong its other parts, so that these are looked at all the same."""
    whole, wrong = build(Fact, entry, document, at)
    if whole is not None:
        yield whole, at
    if not wrong or not isinstance(entry, dict):
        return
    written = entry.get("where")
    conditions = written if isinstance(written, dict) else {}
    parts: list[Json] = [{"where": {column: condition}, "measure": "rows"} for column, condition in conditions.items()]
    for part in (*parts, {"measure": entry.get("measure")}):
        fact, _ = (
            build(Fact, {**part, "from": entry.get("from")}, document, at) if isinstance(part, dict) else (None, [])
        )
        if fact is not None:
            yield fact, at


def _stand_in(entry: dict[str, Json], wrong: list[Problem], document: Document, at: Path_) -> Metric | None:
    """The metric without its wrong texts and numbers, when what it counts is right: for the checks across fields."""
    start = f"{dotted(at)}."
    bad = {re.split(r"[.\[]", problem.path.removeprefix(start))[0] for problem in wrong}
    if bad & {"kind", "numerator", "denominator"}:
        return None
    usable = {name: value for name, value in entry.items() if name not in bad}
    defaults: dict[str, Json] = {"label": "", "direction": "increase", "value_unit": "count"}
    return build(Metric, {**defaults, **usable}, document, at)[0]


def fact_problems(fact: Fact, document: Document, at: Path_) -> Iterator[Problem]:
    """What is wrong with a fact's columns, by kind: SOURCES says which there are."""
    columns = SOURCES[fact.source]
    for column, condition in fact.where.items():
        where = (*at, "where", column)
        if column not in columns:
            yield _unknown_column(column, fact, document, where)
            continue
        yield from _condition_problems(column, columns[column].kind, condition, document, where)
    match fact.measure:
        case SumOf(sum=column):
            yield from _measured(column, "sum", fact, document, (*at, "measure", "sum"))
        case DistinctOf(distinct=column):
            yield from _measured(column, "distinct", fact, document, (*at, "measure", "distinct"))
        case AtLeast(at_least=count):
            yield from _measured(count.distinct, "distinct", fact, document, (*at, "measure", "at_least", "distinct"))


def _measured(column: str, how: str, fact: Fact, document: Document, at: Path_) -> Iterator[Problem]:
    columns = SOURCES[fact.source]
    if column not in columns:
        yield _unknown_column(column, fact, document, at)
        return
    kind = columns[column].kind
    if how == "sum" and kind in ("flag", "text"):
        step = (
            f"write measure: rows and where: {{{column}: true}}"
            if kind == "flag"
            else f"write measure: {{distinct: {column}}}"
        )
        yield document.problem("column_kind", at, column, f"{column} is a {kind}, which has no sum", next_step=step)
    if how == "distinct" and not column.endswith("_id"):
        ids = [name for name in columns if name.endswith("_id")]
        step = f"count {' or '.join(ids)}" if ids else f"{fact.source} has no ids to count; write measure: rows"
        yield document.problem(
            "column_kind", at, column, f"{column} is no id: only ids are counted as distinct", next_step=step
        )


def _unknown_column(column: str, fact: Fact, document: Document, at: Path_) -> Problem:
    columns = SOURCES[fact.source]
    elsewhere = [source for source, own in SOURCES.items() if column in own]
    step = (
        f"{column} is a column of {' and '.join(elsewhere)}" if elsewhere else f"{fact.source} has {', '.join(columns)}"
    )
    message = f"{fact.source} has no column {column}"
    return document.problem("unknown_column", at, column, message, near=nearest(column, columns), next_step=step)


def _condition_problems(column: str, kind: str, condition: object, document: Document, at: Path_) -> Iterator[Problem]:
    if isinstance(condition, Bound):
        yield from _bound_problems(column, kind, condition, document, at)
        return
    values = condition if isinstance(condition, list) else [condition]
    if not values:
        yield document.problem(
            "where_value", at, [], "the list is empty, so no row could match", next_step="name a value"
        )
    expected, words = {"flag": (bool, "true or false"), "text": (str, "text")}.get(kind, (int, "a whole number"))
    for value in values:
        if type(value) is not expected:
            yield document.problem(
                "where_value", at, value, f"{column} is a {kind}: its value is {words}, not {value!r}"
            )
        elif column == "event_name" and value not in EVENTS:
            step = f"interactions are {', '.join(EVENTS)}"
            yield document.problem(
                "where_value",
                at,
                value,
                f"there is no interaction {value!r}",
                near=nearest(value, EVENTS),
                next_step=step,
            )


def _bound_problems(column: str, kind: str, bound: Bound, document: Document, at: Path_) -> Iterator[Problem]:
    given = bound.model_dump(exclude_none=True)
    if kind in ("flag", "text"):
        step = f"write {column}: {'true' if kind == 'flag' else 'a value or a list of values'}"
        yield document.problem("where_value", at, given, f"{column} is a {kind}, which has no bounds", next_step=step)
        return
    lower = max((n for n in (bound.gte, None if bound.gt is None else bound.gt + 1) if n is not None), default=None)
    upper = min((n for n in (bound.lte, None if bound.lt is None else bound.lt - 1) if n is not None), default=None)
    if lower is None and upper is None:
        yield document.problem("where_value", at, given, "no bound is given", next_step="write gte, lte, gt or lt")
    elif lower is not None and upper is not None and lower > upper:
        yield document.problem("where_value", at, given, "no number is inside these bounds")


def _kind_problems(metric: Metric, document: Document, at: Path_) -> Iterator[Problem]:
    if metric.kind == "ratio" and metric.denominator is None:
        step = "write its denominator, or kind: mean"
        yield document.problem(
            "no_denominator", (*at, "denominator"), None, "a ratio needs a denominator", next_step=step
        )
        return
    if metric.kind != "ratio" and metric.denominator is not None:
        message = f"a {metric.kind} is per unit and has no denominator"
        yield document.problem(
            "denominator", (*at, "denominator"), None, message, next_step="remove it, or write kind: ratio"
        )
        return
    if metric.kind == "proportion" and not metric.numerator.binary:
        step = "write measure: any or {at_least: …}, or kind: mean"
        message = "a proportion needs a yes or no per unit"
        yield document.problem("not_binary", (*at, "numerator", "measure"), None, message, next_step=step)
        return
    possible = _units(metric)
    if metric.value_unit not in possible:
        message = (
            f"what is counted comes out as {' or '.join(possible) or 'none of the units'}, not {metric.value_unit}"
        )
        step = f"write value_unit: {possible[0]}" if possible else "change what is measured"
        yield document.problem("value_unit", (*at, "value_unit"), metric.value_unit, message, next_step=step)


def _units(metric: Metric) -> tuple[str, ...]:
    """What the metric's value may be called, from the columns it sums."""
    if metric.kind == "proportion":
        return ("share",)
    over = "count" if metric.denominator is None else _dimension(metric.denominator)
    match _dimension(metric.numerator), over:
        case "money", "money":
            return ("share",)
        case ("money" | "micros", "count"):
            return ("money",)
        case "ms", "count":
            return ("ms",)
        case "count", "count":
            return ("share", "count") if metric.kind == "ratio" else ("count", "share")
        case "ms", "ms":
            return ("share",)
    return ()


def _dimension(fact: Fact) -> str:
    column = SOURCES[fact.source].get(fact.measure.sum) if isinstance(fact.measure, SumOf) else None
    return "count" if column is None else column.kind


def _maturity_problems(metric: Metric, document: Document, at: Path_) -> Iterator[Problem]:
    facts = [fact.fact for fact in metric.facts(None)]
    late = [column for fact in facts for column in fact.columns() if SOURCES[fact.source][column].matures]
    if late and metric.mature_days == 0:
        message = f"{late[0]} changes with later returns and cancellations, so its rows must be given time"
        yield document.problem("needs_mature_days", (*at, "mature_days"), 0, message, next_step="write mature_days: 14")
    others = [fact.source for fact in facts if fact.source != "order_lines"]
    if metric.mature_days and others:
        mixed = len(others) < len(facts)
        message = f"only order lines mature, {others[0]} do not" + (
            ": the two parts would not count the same days" if mixed else ""
        )
        step = "take both parts from order_lines" if mixed else "remove it"
        code = "mixed_maturity" if mixed else "mature_days"
        yield document.problem(code, (*at, "mature_days"), metric.mature_days, message, next_step=step)


def _other_problems(metric: Metric, known: tuple[str, ...], document: Document, at: Path_) -> Iterator[Problem]:
    if metric.guardrail_margin is not None and metric.guardrail_margin_abs is not None:
        yield document.problem(
            "two_margins",
            (*at, "guardrail_margin_abs"),
            str(metric.guardrail_margin_abs),
            "the margin is given twice",
            next_step="keep one",
        )
    for index, key in enumerate(metric.covariates if isinstance(metric.covariates, list) else []):
        if key not in known:
            message = f"there is no metric {key}"
            yield document.problem("unknown_metric", (*at, "covariates", index), key, message, near=nearest(key, known))
    for placeholder in re.findall(r"\{[^}]*\}?", metric.label):
        if placeholder not in ("{unit}", "{units}"):
            message = f"{placeholder} is not filled in"
            yield document.problem("label", (*at, "label"), metric.label, message, next_step="use {unit} or {units}")


# --- slices ---------------------------------------------------------------------------------------------------


def _slice_problems(declared: Slice, before: list[Slice], document: Document, at: Path_) -> Iterator[Problem]:
    if declared.key in (other.key for other in before):
        yield document.problem("key_twice", (*at, "key"), declared.key, f"{declared.key} is another slice's key")
    if declared.key in BUILT_IN_SLICES:
        message = f"{declared.key} is always there"
        yield document.problem(
            "key_built_in", (*at, "key"), declared.key, message, next_step="remove it, or choose another key"
        )
    if declared.labels and declared.pre_period is None:
        message = "labels name the values of a pre_period fact"
        yield document.problem("labels", (*at, "labels"), dotted(at), message, next_step="remove them")
    if declared.pre_period is not None:
        where = (*at, "pre_period")
        yield from fact_problems(declared.pre_period, document, where)
        if _dimension(declared.pre_period) not in ("count", "flag"):
            message = "a slice is one of a few groups, and an amount has too many values"
            step = "write measure: any, rows or {at_least: …}"
            yield document.problem("too_many_values", (*where, "measure"), None, message, next_step=step)
        yield from _unripe(declared.pre_period, document, where)
    if declared.pre_period_top is not None and isinstance(declared.pre_period_top.measure, SumOf):
        top = declared.pre_period_top
        fact = Fact.model_validate({"from": top.source, "measure": top.measure})
        yield from fact_problems(fact, document, (*at, "pre_period_top"))
        yield from _unripe(fact, document, (*at, "pre_period_top"))


def _unripe(fact: Fact, document: Document, at: Path_) -> Iterator[Problem]:
    columns = SOURCES[fact.source]
    for column in fact.columns():
        if column in columns and columns[column].matures:
            message = f"{column} changes with later returns and cancellations, so a slice cannot be settled by it"
            yield document.problem("needs_mature_days", at, column, message, next_step="use a column that does not")
