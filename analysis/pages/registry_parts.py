"""How the registry page draws its parts: links, changes, lists of commands. Texts come ready and are escaped here."""

import re
from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

import streamlit as st

from analysis import hints, words
from analysis.pages import components
from analysis.registry.changes import Change, Line
from analysis.registry.steps import Step
from analysis.words import registry as say

FIRST_CHANGES = 20  # shown in the open; the rest can be opened
FIRST_OVERRIDES = 10
LONG_REASON = 240  # characters of a reason shown in the open


def chain(rows: int, broken: Sequence[str]) -> None:
    """Whether the audit chain holds: one quiet line, or a warning with every broken row."""
    if not broken:
        st.caption(components.literal(f"● {say.audit_holds(rows)}"))
        return
    warning = re.sub("`(.+?)`", r"<code>\1</code>", escape(components.typed(say.AUDIT_WARNING)))
    told = "".join(f"<li>{escape(each)}</li>" for each in broken[:FIRST_CHANGES])
    more = "" if len(broken) <= FIRST_CHANGES else f"<li>… {len(broken) - FIRST_CHANGES} more</li>"
    st.html(
        f'<section class="banner stop" role="alert"><h2><span aria-hidden="true">⊘</span> {escape(say.AUDIT_BROKEN)}'
        f"</h2><p>{warning}</p><ul>{told}{more}</ul></section>"
    )


def every(rows: Sequence[tuple[str, str, str, str, str]]) -> None:
    """Every experiment as a list of links."""
    cells = [
        (f"<span>{_link('registry', key, name)}<small>{escape(key)}</small></span>", *(escape(text) for text in rest))
        for key, name, *rest in rows
    ]
    _table(("Experiment", "State", "From, until", "Owner"), cells)


def told(headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
    """A table of sentences: its cells break where they have to, and on a phone each row is a block."""
    _table(headings, [[escape(text) for text in row] for row in rows], caption)


def _table(headings: Sequence[str], cells: Sequence[Sequence[str]], caption: str = "") -> None:
    """Of HTML: what stands in the cells is escaped already."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in headings)
    body = "".join(
        "<tr>" + "".join(_cell(name, cell) for name, cell in zip(headings, row, strict=True)) + "</tr>" for row in cells
    )
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    st.html(f'<table class="plain told">{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def _cell(name: str, cell: str) -> str:
    nothing = ' class="none"' if cell == "–" else ""
    return f'<td data-label="{escape(name)}"{nothing}>{cell}</td>'


def facts(found: Sequence[tuple[str, str]]) -> None:
    """What identifies the experiment, in a line."""
    shown = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in found)
    st.html(f'<dl class="facts">{shown}</dl>')


def summary(sentences: Sequence[str], key: str, *, read: bool) -> None:
    """The experiment in plain words, and the way to its readout."""
    link = f" {_link('readout', key, say.OPEN_READOUT)}" if read else ""
    st.html(f'<p class="summary">{escape(" ".join(sentences))}{link}</p>')


def readouts(keys: Sequence[str]) -> None:
    """Links to readouts, by their keys."""
    for key in keys:
        st.html(f'<p class="summary">{_link("readout", key, say.readout_of(key))}</p>')


def commands(steps: Sequence[Step]) -> None:
    """What may be done next, each command as it is typed here."""
    if not steps:
        st.write(say.NOTHING_NEXT)
        return
    rows = [
        (f"<code>{escape(hints.typed(step.command, hints.app_home()))}</code>", escape(words.sentence_case(step.words)))
        for step in steps
    ]
    _table(("Command", "What it does"), rows)


def changes(found: Sequence[Change]) -> None:
    """The audit of the experiment, the newest change first."""
    st.html(_changes(found[:FIRST_CHANGES]))
    if len(found) > FIRST_CHANGES:
        with st.expander(say.earlier(len(found) - FIRST_CHANGES)):
            st.html(_changes(found[FIRST_CHANGES:]))


def overrides(forced: Sequence[tuple[str, str]]) -> None:
    """How many units are forced into an arm, and which."""
    if not forced:
        st.write(say.NO_OVERRIDE)
        return
    st.write(components.literal(say.forced(len(forced))))
    headings = ("Unit", "Arm")
    told(headings, forced[:FIRST_OVERRIDES])
    if len(forced) > FIRST_OVERRIDES:
        with st.expander(say.others(len(forced) - FIRST_OVERRIDES)):
            told(headings, forced[FIRST_OVERRIDES:])


def _link(page: str, key: str, text: str) -> str:
    address = escape(f"{page}?{urlencode({'experiment': key})}")
    return f'<a href="{address}">{escape(text)}</a>'


def _changes(found: Sequence[Change]) -> str:
    return '<ol class="changes">' + "".join(_change(each) for each in found) + "</ol>"


def _change(each: Change) -> str:
    state = f" <small>then {escape(each.state)}</small>" if each.state else ""
    reason = _reason(each.reason) if each.reason else "<i>no reason given</i>"
    note = f"<p>{escape(each.note)}</p>" if each.note else ""
    broken = f'<p class="broken">⊘ {escape(each.broken)}</p>' if each.broken else ""
    lines = "".join(f"<li><code>{escape(line.field)}</code> {_sides(line)}</li>" for line in each.lines)
    return (
        f"<li><div><b>{escape(each.title)}</b>{state}<small>{escape(each.at)}, {escape(each.actor)}, row {each.number}"
        f"</small></div><div>{broken}<p>{reason}</p>{note}{f'<ul>{lines}</ul>' if lines else ''}</div></li>"
    )


def _reason(text: str) -> str:
    """What was given as the reason; a long one folded behind its beginning."""
    if len(text) <= LONG_REASON:
        return f"<q>{escape(text)}</q>"
    return f"<details><summary><q>{escape(text[:LONG_REASON])}…</q></summary><q>{escape(text)}</q></details>"


def _sides(line: Line) -> str:
    match line.what:
        case "added":
            sides = [("added", "now", line.after)]
        case "removed":
            sides = [("removed", "was", line.before)]
        case _:
            sides = [("was", "was", line.before or "nothing"), ("now", "now", line.after or "nothing")]
    return " ".join(f'<span class="{kind}"><i>{word}</i> {escape(text)}</span>' for word, kind, text in sides)
