"""How the signal health page draws its parts, and what it reads of the store. Texts come ready and are escaped here."""

import json
import zlib
from collections.abc import Sequence
from datetime import datetime
from html import escape
from urllib.parse import urlencode

import streamlit as st
from pydantic import TypeAdapter

from analysis import subjects
from analysis.calendar import data_cut, seen_cut
from analysis.pages import components
from analysis.pages.views import health as view
from analysis.pages.views import result, shared
from analysis.question import count_request, naive
from analysis.readout import Check, Readout
from analysis.signals import charts
from analysis.signals.past import Past
from analysis.signals.reproduce import reproducible
from analysis.warehouse.base import CountRequest
from analysis.words import pages
from analysis.words import trust as say
from experiments.errors import TrueliftError
from experiments.shop import open_shop
from experiments.store import SnapshotHead, Store

MOST = 60  # readings that trends go back
_CHECKS = TypeAdapter(tuple[Check, ...])


# --- reading ---------------------------------------------------------------------------------------------


def past(store: Store, reading: Readout) -> tuple[Past, ...]:
    """The checks of this phase's readings up to this one, oldest first: the last published of each data cut."""
    heads: dict[datetime, SnapshotHead] = {}
    for head in store.snapshots(reading.experiment.key, reading.phase):
        if head.as_of < shared.instant(reading.as_of):
            heads.setdefault(head.as_of, head)
    newest = sorted(heads.values(), key=lambda head: head.as_of)[-(MOST - 1) :]
    return (*(_past(head.snapshot_id, store) for head in newest), Past(reading.as_of, reading.checks))


@st.cache_data(show_spinner=False, max_entries=2000)
def _past(snapshot_id: str, _store: Store) -> Past:
    body = json.loads(zlib.decompress(_store.snapshot(snapshot_id).body))
    return Past(body["as_of"], _CHECKS.validate_json(json.dumps(body["checks"])))


def asked_of_the_log(store: Store, reading: Readout) -> CountRequest | None:
    """What the checks of this reading asked the warehouse; None where its phase is not registered here any more."""
    shop = open_shop(None)
    try:
        phase = subjects.subject(store, shop, reading.experiment.key, reading.phase).phase
    except TrueliftError:
        return None
    zone, newest = shop.settings.zone, reading.data_as_of
    cut = data_cut(shared.instant(reading.as_of), phase.experiment.schedule.end_at, zone)
    seen = None if newest is None else naive(shared.instant(newest))
    return count_request(phase, seen_cut(cut, seen, zone, whole=view.imported_whole(reading)))


# --- parts -----------------------------------------------------------------------------------------------


def facts(reading: Readout, found: Sequence[tuple[str, str]]) -> None:
    """What identifies the reading, and the way to its readout."""
    address = escape(f"readout?{urlencode({'experiment': reading.experiment.key})}")
    shown = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in found)
    st.html(f'<dl class="facts">{shown}</dl><p class="summary"><a href="{address}">{escape(say.OPEN_READOUT)}</a></p>')


def grid(found: view.Grid) -> None:
    """States as squares."""
    components.chart(charts.squares(found.rows, found.columns, found.squares, description=found.description))


def listed(found: Sequence[view.Listed]) -> None:
    """Every experiment with its headline, each a link."""
    body = "".join(
        f'<div class="signal {escape(each.kind)}"><span class="state"><span aria-hidden="true">{each.glyph}</span> '
        f"{escape(each.state)}</span><div><p>{_link(each.key, each.name)}"
        f'<span class="owner">{escape(each.key)}</span></p><p>{escape(each.told)}</p></div></div>'
        for each in found
    )
    st.html(body)


def rows(found: Sequence[view.Row], request: CountRequest | None) -> None:
    """Every check with its figures, limits, trend, history, and its SQL to copy."""
    for row in found:
        with st.container(gap=None):
            st.html(_row(row))
            if row.sql:
                with st.container(key=f"sql-{row.check.id}"), st.expander(say.sql_of(row.check.label, len(row.sql))):
                    for path in row.sql:
                        _sql(path, request)


def _sql(path: str, request: CountRequest | None) -> None:
    if request is None:
        st.caption(say.PARAMETERS_UNKNOWN)
        st.code(result.sql_text(path), language="sql")
    else:
        st.code(reproducible(path, request), language="sql")


def _row(row: view.Row) -> str:
    check = row.check
    values = "".join(
        f"<li{' class=beyond' if beyond else ''}>{escape(measure)}: <b>{escape(value)}</b> "
        f"<small>({escape(limits)})</small></li>"
        for measure, value, limits, beyond in row.values
    )
    drawn, told = "", "" if row.line is None else escape(row.line.told)
    if row.line is not None:
        drawn = f'<img class="spark" src="{row.line.address}" alt="{told}" title="{told}">'
    figures = f'<div class="figures"><ul>{values}</ul>{drawn}</div>' if values else ""
    history = [each for each in (row.since, row.withholds) if each]
    also = ", ".join(_link(key, name) for key, name in row.also)
    also = f" · {escape(say.ALSO)} {also}" if also else ""
    return (
        f'<div class="signal {check.state}"><span class="state"><span aria-hidden="true">{row.glyph}</span> '
        f"{escape(row.state)}</span><div><p><b>{escape(check.label)}</b>"
        f'<span class="owner">{escape(check.id)}, {escape(check.owner)}</span></p><p>{escape(check.sentence)}</p>'
        f"{figures}{_groups(check)}<p><small>{escape(' · '.join(history))}{also}</small></p></div></div>"
    )


def _groups(check: Check) -> str:
    if check.id == view.DRIFT:  # it has a picture of its own
        return ""
    found = result.offending(check)
    if not found:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in found[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in found[1:])
    left = result.unlisted(check)
    more = f"<p><small>{escape(pages.more_groups(left))}</small></p>" if left else ""
    table = f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="wide">{table}</div>{more}'


def _link(key: str, name: str) -> str:
    return f'<a href="{escape("health?" + urlencode({"experiment": key}))}">{escape(name)}</a>'
