"""A check's query with its parameters filled in, so that an engineer runs it in DuckDB's shell as it was run here.

The text is the file's own: it is prepared, and executed with the values of the phase and data cut that a readout read.
"""

import re
from datetime import date, datetime
from pathlib import PurePosixPath

from analysis.warehouse.base import CountRequest
from analysis.warehouse.counting import facts_sql
from analysis.warehouse.counting.parameters import Parameter, request_parameters, wanted
from analysis.words import trust as say

NAME = "this_check"
ALL_UNITS: dict[str, Parameter] = {"unit_from": 0, "unit_to": 2**63 - 1}


def reproducible(path: str, request: CountRequest) -> str:
    """The check query at `path` (`sql/checks/….sql`) for DuckDB's shell, on the warehouse's file.

    What a refresh counts first and forgets, `first_exposures`, is put in front of it as a common table expression.
    """
    text = facts_sql.statement(f"checks/{PurePosixPath(path).stem}").strip()
    notes = [say.run_it_on(path)]
    if re.search(r"\bfirst_exposures\b", text):
        source = "first_exposures" if request.held_out is None else "held_out_exposures"
        text = _with("first_exposures", facts_sql.statement(source).strip(), text)
        notes.append(say.NOT_LINKED)
    given = wanted(text, {**request_parameters(request), **ALL_UNITS})
    values = ",\n".join(f"    {name} := {literal(value)}" for name, value in given.items())
    told = "".join(f"-- {note}\n" for note in notes)
    executed = f"execute {NAME}(\n{values}\n);" if given else f"execute {NAME};"
    return f"{told}prepare {NAME} as\n{text};\n{executed}\n"


def literal(value: Parameter) -> str:
    """A value as DuckDB reads it."""
    match value:
        case str():
            return "'" + value.replace("'", "''") + "'"
        case list():
            return "[" + ", ".join(literal(each) for each in value) + "]"
        case datetime():
            return f"timestamp '{value.isoformat(sep=' ')}'"
        case date():
            return f"date '{value:%Y-%m-%d}'"
    return str(value)


def _with(name: str, source: str, text: str) -> str:
    """`text` with one more common table expression in front of its own."""
    front = f"with\n    {name} as (\n{source}\n    )"
    if re.search(r"^with$", text, flags=re.MULTILINE):
        return re.sub(r"^with$", lambda _: f"{front},", text, count=1, flags=re.MULTILINE)
    return re.sub(r"^select$", lambda _: f"{front}\nselect", text, count=1, flags=re.MULTILINE)
