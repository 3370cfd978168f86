"""The JSON Schema of alert.v1, generated from the model; docs/alert.v1.schema.json is its copy.

`python -m analysis.alerts.notices.schema` writes the copy anew.
"""

import json
from pathlib import Path
from typing import TypeAlias, cast

from analysis.alerts.notices.document import VERSION, Alert

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
FILE = Path(__file__).parents[3] / "docs" / "alert.v1.schema.json"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Json]:
    """Draft 2020-12; unknown keys are refused."""
    made = cast(dict[str, Json], Alert.model_json_schema(mode="serialization"))
    return {"$schema": DRAFT, **made, "title": VERSION}


def text() -> str:
    """The file's content."""
    return json.dumps(schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
