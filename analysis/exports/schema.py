"""The JSON Schema of readout.v1, generated from the model; docs/readout.v1.schema.json is its copy.

`python -m analysis.exports.schema` writes the copy anew.
"""

import json
from pathlib import Path
from typing import TypeAlias, cast

from analysis.readout import WITHHOLDABLE, Readout

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
FILE = Path(__file__).parents[2] / "docs" / "readout.v1.schema.json"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Json]:
    """Draft 2020-12. WITHHELD forbids metrics, slices, series and questions; every other verdict requires them."""
    made = cast(dict[str, Json], Readout.model_json_schema(by_alias=True, mode="validation"))
    properties = cast(dict[str, Json], made["properties"])
    for name in WITHHOLDABLE:
        properties[name] = _never_null(cast(dict[str, Json], properties[name]))
    withheld: Json = {"properties": {"verdict": {"properties": {"code": {"const": "WITHHELD"}}}}}
    return {
        "$schema": DRAFT,
        "title": "readout.v1",
        **{key: value for key, value in made.items() if key not in ("title", "description")},
        "required": [*cast(list[Json], made["required"]), "schema"],
        "if": withheld,
        "then": {"not": {"anyOf": [{"required": [name]} for name in WITHHOLDABLE]}},
        "else": {"required": [*WITHHOLDABLE]},
    }


def text() -> str:
    """The file's content."""
    return json.dumps(schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _never_null(given: dict[str, Json]) -> Json:
    """Absent or there, never null: the non-null alternative alone, without its default."""
    options = [one for one in cast(list[Json], given.get("anyOf", [given])) if one != {"type": "null"}]
    return options[0] if len(options) == 1 else {"anyOf": options}


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
