"""Schemathesis over the OpenAPI file: whatever it asks, no 5xx, and every answer is as the file says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import assignment.service.app as application
from tests.helpers.effort import scaled

OPENAPI = Path(application.__file__).with_name("openapi.yml")
PHASES = ("coverage,fuzzing", "coverage,fuzzing,stateful")[scaled(0, 1)]


@pytest.mark.slow
def test_the_service_answers_as_its_openapi_file_says(address: str, tmp_path: Path) -> None:
    """All checks but one: whether a unit's id is needed depends on the flag, which JSON Schema cannot say."""
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", str(OPENAPI), "--url", address, "--no-color",
            "--header", "Authorization: Bearer all-secret", "--max-examples", str(scaled(10, 200)), "--seed", "1",
            "--phases", PHASES, "--no-shrink",
            "--exclude-checks", "positive_data_acceptance", "--warnings", "off", "--suppress-health-check", "all",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None
    assert int(tested[1]) == len(re.findall(r"^      operationId:", OPENAPI.read_text("utf-8"), re.MULTILINE))
