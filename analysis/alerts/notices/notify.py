"""Who is told: the channels of `notify.yml`, apprise's own YAML with a part of ours. ALERTS 6.

    version: 1
    urls:
      - mailtos://alerts%40shop.example:PASSWORD@shop.example?to=on-call@shop.example:
          tag: [alerts, on_call]
    truelift:
      file: alerts.jsonl

A url is a channel when it carries the tag that money.yml names as notify_tag; no url is ever sent to without a tag. The
one tag that no other channel has is its name. apprise itself passes over `truelift`, which may say `stdout: true`,
`file: PATH` and `alertmanager: URL`: these need no tag, and with one of them the tag may wait for its urls.
"""

import json
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import apprise
from pydantic import AfterValidator, Field

from analysis.alerts.notices.channels import Alertmanager, Channel, LineFile, Service, Stdout
from experiments.base import Value
from experiments.errors import DefinitionError, Problem
from experiments.loading import Document, Json, build, dotted, entries, in_order, parse, read_yaml, value_at
from experiments.money import load_money
from experiments.shop import Shop

FILE = "notify.yml"
OWN = ("stdout", "file", "alertmanager")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_ADDRESS = re.compile(r"(\w+://)\S+")  # which may hold a secret
_ENTRY = re.compile(r", entry #\d+")
_YES = ("yes", "true", "1", "on", "y", "t")


def _http(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value):
        raise ValueError("is not an Alertmanager's address; give http://HOST:PORT")  # the value may hold a secret
    return value


class Own(Value):
    """Channels that need no apprise."""

    stdout: bool = False
    file: Annotated[str, Field(min_length=1)] | None = None  # relative to the shop's folder
    alertmanager: Annotated[str, AfterValidator(_http)] | None = None


class Notify(Value):
    """The file. What is not `truelift` is apprise's; includes and templates are not taken."""

    version: Literal[1] = 1
    urls: tuple[str | dict[str, object], ...] = ()
    tag: str | tuple[str, ...] | None = None
    tags: str | tuple[str, ...] | None = None
    groups: object = None
    asset: dict[str, object] | None = None
    truelift: Own = Own()


def channels(shop: Shop) -> tuple[Channel, ...]:
    """The shop's channels, in the file's order, ours last; none without the file.

    DefinitionError with every problem of the file, when notify_tag fits no url, and when it would tell nobody.
    """
    return written(shop, load_money(shop).notify_tag)


def written(shop: Shop, tag: str | None) -> tuple[Channel, ...]:
    """The channels of those urls that carry the tag, and ours; as `channels`."""
    path = shop.home / FILE
    if not path.exists():
        if tag is not None:
            step = f"write {path}, or remove notify_tag from money.yml"
            problem = Problem("no_match", "(file)", FILE, f"notify_tag is {tag} and there is no {FILE}", (), step)
            raise DefinitionError(str(path), [problem])
        return ()
    document, problems = read_yaml(path)
    return read(document, problems, tag, path)


def read(document: Document | None, problems: Sequence[Problem], tag: str | None, path: Path) -> tuple[Channel, ...]:
    """The channels of a file as read. DefinitionError with every problem."""
    given, wrong = (None, []) if document is None else parse(Notify, document)
    found = [*problems, *wrong]
    made: list[Channel] = []
    if document is not None:
        readable = given or _readable(document)
        services, own = list(_services(readable, document, found)), list(_own(readable.truelift, path.parent))
        asked = bool(readable.urls) or not (own or found)  # apprise is, or nobody would be told
        made = [*(_chosen(services, tag, document, found) if asked else ()), *own]
    if found:
        raise DefinitionError(str(path), in_order(found))
    return tuple(made)


def _readable(document: Document) -> Notify:
    """What of a file that is wrong can be read all the same: each field that is right by itself."""
    alone = {name: value_at(document.value, (name,)) for name in Notify.model_fields}
    right: dict[str, Json] = {
        name: value for name, value in alone.items() if value and not build(Notify, {name: value}, document, ())[1]
    }
    return build(Notify, right, document, ())[0] or Notify()


def _services(given: Notify, document: Document, found: list[Problem]) -> Iterator[tuple[int, apprise.NotifyBase]]:
    """Each url's services with its index; whatever apprise warns of is a problem, not a url less."""
    rest = given.model_dump(mode="json", include={"version", "tag", "tags", "groups", "asset"}, exclude_none=True)
    for index, entry in enumerate(given.urls):
        services, warned = _loaded({**rest, "urls": [entry]})
        if warned or not services:
            said = "; ".join(dict.fromkeys(warned)) or "apprise makes nothing of it"
            step = "write it as apprise's documentation of that service says"
            found.append(document.problem("bad_url", ("urls", index), None, said, next_step=step))
            continue
        for service in services:
            if str(getattr(service, "optional", False)).lower() in _YES:
                step = "remove it: what is not delivered has to be sent again"
                message = "optional calls a notice delivered that was not"
                found.append(document.problem("optional", ("urls", index), None, message, next_step=step))
            yield index, service


def _loaded(content: Mapping[str, object]) -> tuple[list[apprise.NotifyBase], list[str]]:
    """What apprise makes of a file, and what it warns of."""
    config = apprise.AppriseConfig(asset=apprise.AppriseAsset(app_id="truelift", app_desc="truelift alerts"))
    captured = apprise.LogCapture(level=logging.WARNING, fmt="%(message)s")  # type: ignore[no-untyped-call]
    with captured as log, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what apprise's own services import
        config.add_config(json.dumps(content), format="yaml")
        services = config.services()
        lines = [_ENTRY.sub("", _ADDRESS.sub(r"\1…", line)).rstrip(".") for line in log.getvalue().splitlines()]
    return services, [line for line in lines if line and "load apprise" not in line.lower()]


def _chosen(
    services: Sequence[tuple[int, apprise.NotifyBase]], tag: str | None, document: Document, found: list[Problem]
) -> Iterator[Service]:
    """Those with the tag, each under its name."""
    if tag is None:
        if entries(document.value, ("urls",)):
            step = "name in money.yml the tag of the urls that get alerts: notify_tag: alerts"
            message = "there are urls and money.yml has no notify_tag: nothing is sent without a tag"
            found.append(document.problem("no_tag", ("urls",), None, message, next_step=step))
        return
    wanted = tag.lower()  # apprise's tags are lower case
    chosen = [(index, each, sorted(map(str, each.tags))) for index, each in services]
    chosen = [(index, each, tags) for index, each, tags in chosen if wanted in tags]
    if not chosen and not _may_have(wanted, document, found):
        there = sorted({str(name) for _, each in services for name in each.tags})
        step = f"give the urls that get alerts `tag: [{tag}, NAME]`" + (
            f"; tags here: {', '.join(there)}" * bool(there)
        )
        message = f"no url has the tag {tag}, which money.yml names as notify_tag"
        found.append(document.problem("no_match", ("urls",), tag, message, next_step=step))
    shared = Counter(name for _, _, tags in chosen for name in tags)
    for index, each, tags in chosen:
        own = [name for name in tags if name != wanted and shared[name] == 1]
        message = ""
        if len(own) != 1:
            message = f"has {len(own)} tags that no other url of {tag} has ({', '.join(own) or 'none'})"
        elif own[0] in OWN or not _NAME.fullmatch(own[0]):
            message = f"is called {own[0]}, which is no name for a url: a-z, 0-9, _ and -, not {', '.join(OWN)}"
        if message:
            step = f"give it exactly one tag of its own, its name: `tag: [{tag}, on_call]`"
            found.append(document.problem("no_name", ("urls", index), tags, message, next_step=step))
            continue
        yield Service(own[0], wanted, f"urls[{index}] of {FILE}", each)


def _may_have(wanted: str, document: Document, found: Sequence[Problem]) -> bool:
    """Whether one of the urls that are wrong has the tag, or urls that nobody can read."""
    wrong = {problem.path for problem in found if problem.code == "bad_url"}
    urls = value_at(document.value, ("urls",))
    named = re.compile(rf"(?<![\w-]){re.escape(wanted)}(?![\w-])", re.IGNORECASE)
    general = [value_at(document.value, (name,)) for name in ("tag", "tags")] if wrong else []
    written = [options for at, entry in entries(document.value, ("urls",)) if dotted(at) in wrong
               for options in (entry.values() if isinstance(entry, dict) else ())]  # fmt: skip
    return (urls is not None and not isinstance(urls, list)) or any(
        named.search(json.dumps(each)) for each in (*general, *written)
    )


def _own(given: Own, home: Path) -> Iterator[Channel]:
    if given.stdout:
        yield Stdout()
    if given.file is not None:
        yield LineFile(home / given.file)
    if given.alertmanager is not None:
        yield Alertmanager(given.alertmanager)
