"""What the alerts page reads of the store, how it draws its parts, and how it writes down what a reader does."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

import streamlit as st

from analysis import subjects
from analysis.alerts.course.acts import Act, ActKind
from analysis.alerts.course.standing import Standing
from analysis.alerts.job import stored
from analysis.alerts.job.doing import current, do
from analysis.alerts.measures import measured
from analysis.alerts.model import Evaluation
from analysis.alerts.notices.channels import Channel
from analysis.alerts.notices.heartbeat import Beat, heartbeat
from analysis.alerts.notices.notify import written
from analysis.pages import components
from analysis.pages.views import alerts as view
from analysis.people import actor
from analysis.words import inbox as say
from experiments.errors import DefinitionError, TrueliftError, UsageError
from experiments.money import Money, load_money
from experiments.shop import open_shop
from experiments.store import Store

DONE = "alert_done"


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """What the store says of the alerts now, with what people did since the last run."""

    standing: Standing
    evaluations: tuple[Evaluation, ...]
    acts: tuple[Act, ...]
    beat: Beat
    money: view.Print
    wrong: tuple[str, ...]  # what keeps the alerts from their work
    remarks: tuple[str, ...]  # what they do not do yet


def read(store: Store, now: datetime) -> Read:
    """The alerts as they stand: acts that no run has taken into account yet are in it."""
    settings, wrong = _settings()
    waiting = len(store.alerts.outbox("due"))
    told, untold = _told_to(settings, is_money_read=not wrong)
    amiss = [each for each in (wrong, untold) if each]
    amiss += [say.undelivered(waiting)] if waiting else []
    remarks = []
    if not wrong and settings.loss_budget is None:
        amiss.append(say.BUDGET_MISSING)
    elif not wrong:
        pages_off = say.PAGES_OFF if measured.holdouts(store) else say.PAGES_OFF_NO_REPLAY
        remarks += [] if settings.pages else [pages_off]
        remarks += [] if told or untold else [say.NOBODY_TOLD]
    return Read(
        current(store, now),
        stored.newest_evaluations(store),
        stored.acts(store),
        heartbeat(store, settings, now=now),
        _print(settings, _check_names(store)),
        tuple(amiss),
        tuple(remarks),
    )


def incidents(store: Store, now: datetime) -> tuple[str, ...]:
    """What the overview's headline says of the alerts: nothing where they never ran, or all is quiet and watched."""
    settings, _ = _settings()
    beat = heartbeat(store, settings, now=now)
    counted = view.counted(current(store, now).incidents, _print(settings, {}))
    return (*((counted,) if counted else ()), *((say.DOWN.lower(),) if beat.state == "down" else ()))


def _print(settings: Money, names: Mapping[str, str]) -> view.Print:
    shop = open_shop(None).settings
    return view.Print(shop.currency, shop.digits, names, settings.pages)


def _settings() -> tuple[Money, str]:
    """The shop's money settings; the defaults, and what is wrong, where they cannot be read."""
    try:
        return load_money(open_shop(None)), ""
    except TrueliftError as error:
        return Money(), f"{error}"


def _told_to(settings: Money, *, is_money_read: bool) -> tuple[tuple[Channel, ...], str]:
    """Whom the shop tells; nobody, and what is wrong, where that cannot be read."""
    try:
        return written(open_shop(None), settings.notify_tag), ""
    except DefinitionError as error:
        about = [each for each in error.problems if is_money_read or each.code != "no_tag"]  # the tag is not known
        return (), str(DefinitionError(error.where, about)) if about else ""


def _check_names(store: Store) -> dict[str, str]:
    """Signal checks as a reader knows them, by their id."""
    found = (components.newest(store, each) for each in subjects.everything(store))
    return {check.id: check.label for reading in found if reading is not None for check in reading.checks}


# --- parts -------------------------------------------------------------------------------------------------------


def beat(found: Beat) -> None:
    """One quiet line while somebody looks, a banner when nobody does."""
    if found.state == "alive":
        st.caption(components.literal(f"● {found.told}"))
        return
    st.html(
        f'<section class="banner stop" role="alert"><h2><span aria-hidden="true">⊘</span> {escape(say.DOWN)}</h2>'
        f"<p>{_coded(found.told)}</p></section>"
    )


def link() -> None:
    """The way from the overview to the inbox."""
    st.html(f'<p class="summary"><a href="alerts">{say.OPEN_INBOX}</a></p>')


def remarks(found: Sequence[str]) -> None:
    """What a reader should know about the alerts themselves."""
    if found:
        st.html(f'<p class="stale" role="status">{"<br>".join(map(_coded, found))}</p>')


def _coded(text: str) -> str:
    """HTML of a text with its commands as typed here."""
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(components.typed(text)))


def done() -> None:
    """What the reader just did, once."""
    said = st.session_state.pop(DONE, None)
    if said:
        st.html(f'<p class="stale" role="status">✓ {escape(str(said))}</p>')


def incident(store: Store, row: view.Row) -> None:
    """One incident: what it is, what it costs, where to look first, and what may be done."""
    with st.container(key=f"incident-{row.incident_id}", border=True):
        st.html(_head(row))
        if row.cells:
            with st.expander(say.cells(len(row.cells))):
                _told(say.CELL_HEADINGS_OVER if row.tab == "resolved" else say.CELL_HEADINGS, row.cells)
        with st.container(horizontal=True, key=f"acts-{row.incident_id}"):
            for kind in row.can:
                _act(store, row, kind)


def _head(row: view.Row) -> str:
    figures = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in row.figures)
    hints = "".join(f"<li>{escape(hint)}</li>" for hint in (*row.hints, *row.done))
    links = " · ".join(f'<a href="{escape(to)}">{escape(name)}</a>' for to, name in row.links)
    return (
        f'<div class="incident"><p class="kind"><span class="chip {row.chip}"><span aria-hidden="true">{row.glyph}'
        f"</span> {escape(row.severity)}</span> {escape(row.state)}</p><h3>{escape(row.title)}</h3>"
        f'<p>{escape(row.sentence)}</p><dl class="money">{figures}</dl>'
        f"{f'<ul>{hints}</ul>' if hints else ''}<p>{links}</p></div>"
    )


def why_not(rows: Sequence[tuple[str, str, str]]) -> None:
    """What was read at one place, and what stands between it and an alert."""
    _told(say.REASON_HEADINGS, rows)


def _told(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in headings)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{escape(name)}">{escape(cell)}</td>' for name, cell in zip(headings, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    st.html(f'<table class="plain told"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


# --- doing -------------------------------------------------------------------------------------------------------


def _act(store: Store, row: view.Row, kind: ActKind) -> None:
    """A button that opens a form; whatever is wrong with what is given is said in it."""
    key = f"{kind}-{row.incident_id}"
    label, effect = say.AFTERWARDS if row.tab == "resolved" else say.ACTIONS[kind]
    with st.popover(label, key=f"open-{key}"), st.form(key, border=False):
        st.write(effect)
        given = _fields(kind, key)
        if not st.form_submit_button(label, type="primary"):
            return
        asked = given(row.incident_id)
        wrong = say.unfilled(asked) or _refused(store, asked)
        for each in wrong:
            st.error(components.literal(components.typed(each)))
        if wrong:
            return
    st.session_state[DONE] = say.done(kind, row.title)
    st.rerun()


def _refused(store: Store, act: Act) -> Sequence[str]:
    """What is wrong with an act; it is written down where nothing is."""
    try:
        do(store, act)
    except UsageError as error:
        return [say.refused(line) for line in str(error).splitlines()]
    return ()


def _fields(kind: ActKind, key: str) -> Callable[[str], Act]:
    """The fields of a form; afterwards they make an act about an incident."""
    lasts = code = None
    if kind == "silence":
        lasts = say.SILENCES[st.selectbox("For", list(say.SILENCES), index=1, key=f"for-{key}")]
    if kind == "resolve":
        names = {name: value for value, name in say.CODES.items()}
        chosen = st.radio(say.FIELDS["code"], list(names), index=None, key=f"code-{key}")
        code = None if chosen is None else names[chosen]
    reason = st.text_input(say.FIELDS["reason"], key=f"why-{key}", max_chars=1000)
    author = _signed_in() or st.text_input(say.FIELDS["author"], value=_user(), key=f"name-{key}", max_chars=200)
    now = components.now()
    return lambda incident_id: Act(
        kind,
        author.strip(),
        now,
        reason.strip(),
        incident_id,
        expires_at=None if lasts is None else now + lasts,
        code=code,
    )


def _user() -> str:
    """Who has the program open, as the command line signs; empty where nobody knows."""
    try:
        return actor()
    except UsageError:
        return ""


def _signed_in() -> str:
    """Who is signed in, where people have to; else empty."""
    user = st.user.to_dict()
    named = user.get("email") or user.get("name") if user.get("is_logged_in") else None
    return str(named or "")
