"""What tests of the load share: writing small log files, and the reasons the bulk checks give each line."""

import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import duckdb

from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.load import LoadReport, ShopTerms, load_file, prepare_tables, quiet
from analysis.warehouse.loading.mapping import LogMapping
from analysis.warehouse.loading.mapping_sql import emission_statements, root_columns
from analysis.warehouse.loading.reading import parse_mapping
from analysis.warehouse.loading.sources import open_source, stage

NOW = datetime(2026, 11, 20, 12)
EUROS = ShopTerms("EUR", 2, "Europe/Berlin")
OUTCOME = """
unit_type: user
time_zone: UTC
emit:
  - to: outcome
    set: {{event_name: view, event_ts: 2026-11-01T10:00:00Z, unit_id: u1}}
    columns: {{{columns}}}
"""


def same_names(contract: str) -> LogMapping:
    """The mapping of a file whose rows are contract rows already."""
    return parse_mapping(f"emit: [{{to: {contract}, columns: same_names}}]", f"{contract}.yml")


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """A JSON-lines (or CSV) file of these lines; gzipped when the name ends in .gz."""
    text = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """A JSON-lines file of these objects."""
    return write_lines(path, (json.dumps(row, ensure_ascii=False) for row in rows))


def load(
    connection: duckdb.DuckDBPyConnection, path: Path, mapping: LogMapping | str, terms: ShopTerms = EUROS
) -> LoadReport:
    """Load one file; a text is a mapping in YAML."""
    chosen = parse_mapping(mapping, "test.yml") if isinstance(mapping, str) else mapping
    return load_file(connection, path, chosen, terms, now=NOW)


def outcome(columns: str, more: str = "") -> str:
    """A mapping of views that takes only these columns, with more keys on top."""
    return OUTCOME.format(columns=columns) + more


def taken(connection: duckdb.DuckDBPyConnection, column: str) -> list[object]:
    """A column of the outcomes, in the order of their lines."""
    query = f"select {column} from outcomes order by line, event_id"
    return [value for (value,) in connection.execute(query).fetchall()]


def why(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, list[str]]]:
    """The reasons of each rejected line."""
    return connection.execute("select line, reasons from rejected order by line").fetchall()


def bulk_reasons(path: Path, contract: str, lines: list[str]) -> list[frozenset[str]]:
    """The reasons the derived SQL gives each line of a file of contract rows, as JSON."""
    source = open_source(write_lines(path, lines), same_names(contract).file)
    connection = open_memory()
    try:
        prepare_tables(connection)
        mapping = same_names(contract)
        staged = stage(connection, source, root_columns(mapping), quiet)
        for statement in emission_statements(mapping, staged, ShopTerms("EUR", 2, "UTC")):
            connection.execute(statement)
        table = {"exposure": "exposures", "outcome": "outcomes"}.get(contract, contract)
        found = dict(connection.execute(f"select line, reasons from emitted_{table}").fetchall())
        found |= {line: ["malformed"] for (line,) in connection.execute("select line from stage_malformed").fetchall()}
    finally:
        connection.close()
    return [frozenset(found[place]) for place in range(1, len(lines) + 1)]
