"""A scheduler's recipe in a document: what it runs and when, as the scheduler itself would read it."""

import ast
import configparser
import re
import shlex
from dataclasses import dataclass
from typing import Any

import yaml

LANGUAGES = ("cron", "ini", "py")  # of a fenced block; a Kubernetes manifest is a `yaml` block with a kind
_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@dataclass(frozen=True, slots=True)
class Recipe:
    """The words after the program, and when it is run; a systemd service has no schedule, a timer no command."""

    command: tuple[str, ...] = ()
    schedule: str = ""
    no_retry: tuple[int, ...] = ()  # exit codes after which the scheduler leaves it alone


def recipe(language: str, text: str) -> Recipe:
    """What a block says. AssertionError when a scheduler could not read it."""
    return {"cron": _cron, "ini": _systemd, "py": _airflow, "yaml": _kubernetes}[language](text)


def minutes(schedule: str) -> set[int]:
    """The minutes of an hour at which a five-field cron schedule fires; it must fire in every hour of every day."""
    fields = schedule.split()
    assert len(fields) == 5, schedule
    assert fields[1:] == ["*"] * 4, schedule
    for field, (least, most) in zip(fields, _FIELDS, strict=True):
        assert re.fullmatch(r"\*(/\d+)?|\d+", field), schedule
        assert field.startswith("*") or least <= int(field) <= most, schedule
    return set(range(0, 60, int(fields[0][2:]))) if fields[0].startswith("*/") else {int(fields[0])}


def _words(line: str) -> tuple[str, ...]:
    """What truelift is given, of a line of the shell or of an ExecStart."""
    words = shlex.split(line)
    words = words[: next((place for place, word in enumerate(words) if word.startswith((">", "2>"))), len(words))]
    assert words[0].rsplit("/", 1)[-1] in ("run", "truelift"), line
    assert words[0].startswith("/") or words[0] == "truelift", f"a scheduler has no folder of yours: {line}"
    return tuple(words[1:])


def _cron(text: str) -> Recipe:
    """A file of /etc/cron.d: five fields, a user, a line of the shell in which % would end it."""
    (line,) = (line for line in text.splitlines() if line and not line.startswith("#"))
    *fields, user, rest = line.split(maxsplit=6)
    assert re.fullmatch(r"[a-z_][a-z0-9_-]*", user), line
    assert "%" not in rest, line
    return Recipe(_words(rest), " ".join(fields))


def _systemd(text: str) -> Recipe:
    unit = configparser.ConfigParser(delimiters=("=",), comment_prefixes=("#",), interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their capitals
    unit.read_string(text)
    if "Timer" in unit:
        day, at = unit["Timer"]["OnCalendar"].split()
        found = re.fullmatch(r"\*:(\d\d):00", at)
        assert (day, unit["Timer"]["Persistent"]) == ("*-*-*", "true")
        assert found, at
        assert unit["Install"]["WantedBy"] == "timers.target"
        return Recipe(schedule=f"{int(found[1])} * * * *")
    service = unit["Service"]
    assert service["Type"] == "oneshot"
    assert service["Environment"].startswith("TRUELIFT_HOME=/")
    return Recipe(_words(service["ExecStart"]), no_retry=(int(service["SuccessExitStatus"]),))


def _airflow(text: str) -> Recipe:
    tree = ast.parse(text)
    called = {
        node.func.id: node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names}
    assert called.keys() - {"datetime", "timedelta"} == {"DAG", "BashOperator"}
    assert called.keys() <= imported
    dag, task = _constants(called["DAG"]), _constants(called["BashOperator"])
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    return Recipe(_words(task["bash_command"]), dag["schedule"], tuple(task["skip_on_exit_code"]))


def _constants(call: ast.Call) -> dict[str, Any]:
    given = {}
    for keyword in call.keywords:
        if keyword.arg is not None and not isinstance(keyword.value, ast.Call):
            given[keyword.arg] = ast.literal_eval(keyword.value)
    return given


def _kubernetes(text: str) -> Recipe:
    said: dict[str, Any] = yaml.safe_load(text)
    assert (said["apiVersion"], said["kind"]) == ("batch/v1", "CronJob")
    spec = said["spec"]
    job = spec["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    assert (spec["concurrencyPolicy"], pod["restartPolicy"]) == ("Forbid", "Never")  # a failure policy needs Never
    assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}
    home = {each["name"]: each["value"] for each in container["env"]}["TRUELIFT_HOME"]
    assert home in {mount["mountPath"] for mount in container["volumeMounts"]}
    (rule,) = job["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["operator"]) == ("FailJob", "In")
    codes = tuple(rule["onExitCodes"]["values"])
    assert list(codes) == sorted(codes)  # as the API asks for
    assert 0 not in codes
    return Recipe(_words(shlex.join(container["command"])), spec["schedule"], codes)
