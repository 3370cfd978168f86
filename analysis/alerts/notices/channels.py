"""How a notice leaves: lines on stdout or in a file, an Alertmanager, or one service of apprise. ALERTS 6.

Each has a name that its deliveries are kept by, and either takes a whole notice or raises DeliveryError. What was sent
and not acknowledged is sent again, so a receiver may see a notice twice and keys on incident and transition.
"""

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apprise
import httpx

from analysis.alerts.model import SEVERITIES
from analysis.alerts.notices.delivery import Channel as Channel
from experiments.base import canonical
from experiments.errors import DeliveryError

AGAIN = "it stays in the outbox and the next `truelift alerts run` sends it again"
SECONDS = 30.0  # that one delivery may take at most
STANDS = timedelta(days=8)  # longer than the longest repeat: without word until then, an Alertmanager lets it go
KINDS = {
    "page_fast": apprise.NotifyType.FAILURE, "page": apprise.NotifyType.FAILURE, "ticket": apprise.NotifyType.WARNING,
}  # fmt: skip
logging.getLogger("apprise").propagate = False  # its lines may hold an address with its secret; ours say what matters


@dataclass(frozen=True, slots=True)
class Stdout:
    """One JSON line a notice, for whoever pipes the job's output on."""

    name: str = "stdout"

    def deliver(self, payload: Mapping[str, Any]) -> None:
        """Print it."""
        try:
            sys.stdout.write(canonical(payload) + "\n")
            sys.stdout.flush()
        except OSError as error:
            raise DeliveryError(self.name, f"{error.strerror or error}", AGAIN) from error


@dataclass(frozen=True, slots=True)
class LineFile:
    """One JSON line a notice, added to a file and on the disk when it returns."""

    path: Path
    name: str = "file"

    def deliver(self, payload: Mapping[str, Any]) -> None:
        """Add it. A line that an earlier run left torn is ended first."""
        line = f"{canonical(payload)}\n".encode()
        try:
            with self.path.open("a+b", buffering=0) as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else b"\n" + line
                written = file.write(line)
                os.fsync(file.fileno())
        except OSError as error:
            step = f"{AGAIN}; see that {self.path} can be written"
            raise DeliveryError(self.name, f"{self.path}: {error.strerror or error}", step) from error
        if written != len(line):
            raise DeliveryError(self.name, f"{self.path}: only {written} of {len(line)} bytes fitted", AGAIN)


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """POST /api/v2/alerts of a Prometheus Alertmanager.

    An incident is one alert under the label of its severity. When that changes, the alert under the earlier label ends
    with the same request.
    """

    url: str
    seconds: float = SECONDS
    name: str = "alertmanager"

    def deliver(self, payload: Mapping[str, Any]) -> None:
        """Post it."""
        where = urlsplit(self.url).hostname
        step = f"{AGAIN}; see that the Alertmanager at {where} answers"
        try:
            address = f"{self.url.rstrip('/')}/api/v2/alerts"
            answer = httpx.post(address, json=alertmanager_alerts(payload), timeout=self.seconds)
        except httpx.TimeoutException as error:
            raise DeliveryError(self.name, f"no answer within {self.seconds:g} seconds", step) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DeliveryError(self.name, f"{error}", step) from error
        if not answer.is_success:
            said = f"answered {answer.status_code}: {answer.text[:200].strip()}".rstrip(": ")
            raise DeliveryError(self.name, said, step)


def alertmanager_alerts(payload: Mapping[str, Any]) -> list[dict[str, object]]:
    """What is posted: the incident under its severity, and its end under every other."""
    incident, at = payload["incident"], payload["notice"]["at"]
    over = incident["state"] == "resolved"
    until = (datetime.fromisoformat(at) + STANDS).isoformat().replace("+00:00", "Z")
    same = {
        "startsAt": incident["opened_at"] or at,
        "annotations": {"summary": payload["title"], "description": payload["text"]},
        **({"generatorURL": payload["links"]["inbox"]} if "inbox" in payload["links"] else {}),
    }
    labels = {
        "alertname": "truelift", "incident": incident["incident_id"], "module": incident["module"] or "site",
        "family": incident["family"],
    }  # fmt: skip
    return [
        {
            **same,
            "labels": {**labels, "severity": severity},
            "endsAt": until if severity == incident["severity"] and not over else at,
        }
        for severity in SEVERITIES
    ]


@dataclass(frozen=True, slots=True)
class Service:
    """One service of apprise, asked by the shop's tag and by a name that is a tag of its own."""

    name: str
    tag: str
    entry: str  # where it stands: urls[2] of notify.yml
    service: apprise.NotifyBase = field(repr=False, compare=False)  # its address may hold a secret
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        """The service waits as long as the channel may, where its url gives it no time of its own (cto, rto)."""
        for name in ("socket_connect_timeout", "socket_read_timeout"):
            if name not in vars(self.service):
                setattr(self.service, name, self.seconds)

    def deliver(self, payload: Mapping[str, Any]) -> None:
        """Send title and text."""
        sender = apprise.Apprise(asset=self.service.asset)
        sender.add(self.service)
        title, _, body = str(payload["text"]).partition("\n")
        over, severity = payload["incident"]["state"] == "resolved", payload["incident"]["severity"]
        result = sender.notify(
            title=title,
            body=body.strip(),
            body_format=apprise.NotifyFormat.TEXT,
            notify_type=apprise.NotifyType.SUCCESS if over else KINDS.get(severity, apprise.NotifyType.INFO),
            tag=[(self.tag, self.name)],
            match_always=False,
            timeout=self.seconds,
        )
        sent = [bool(attempts) and bool(attempts[-1]) for attempts in (each.attempts for each in result.results)]
        if sent != [True]:
            step = f"{AGAIN}; if that goes on, look at {self.entry}"
            raise DeliveryError(self.name, _cause(result, self.tag, self.name, self.seconds), step)


def _cause(result: apprise.AppriseResult, tag: str, name: str, seconds: float) -> str:
    """What apprise warned of, which names hosts and no secrets, and how long it tried."""
    if not result.results:
        return f"no url has the tags {tag} and {name}"
    if any(each.status == apprise.AppriseResultStatus.TIMEOUT for each in result.results):
        return f"not done after {seconds:g} seconds"
    warned = [entry.message.strip().rstrip(".") for entry in result.logs() if entry.level in ("WARNING", "ERROR")]
    told = "; ".join(dict.fromkeys(warned)) or "apprise gave no reason"
    return f"{told[:1].lower()}{told[1:]} (after {result.elapsed:.1f} s)"
