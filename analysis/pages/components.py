"""What pages share: finding the reading the address asks for, and drawing banner, cards, header, states and share.

Everything a reader types or a shop names is escaped before it becomes HTML.
"""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from html import escape
from urllib.parse import urlencode, urlsplit

import altair as alt
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitAPIException

from analysis import hints, printed, subjects, words
from analysis.pages.style import CSS
from analysis.pages.views import listing, places, result, shared
from analysis.readout import Readout, SliceReadout, Verdict
from analysis.words import pages as say
from analysis.words.trust import EVERY
from experiments.errors import NotFoundError, TrueliftError, nearest
from experiments.holdouts import is_holdout
from experiments.shop import open_shop
from experiments.spec import Experiment
from experiments.store import Registered, Snapshot, Store

MAKE = ("demo", "init shop")  # a small made-up shop, loaded and read; or one's own
REGISTER = ("validate my_test.yml", "register my_test.yml", "start my_test")
READ = ("load logs.parquet --mapping my.mapping.yml", "refresh my_test")


# --- texts -----------------------------------------------------------------------------------------------

_MARKDOWN = re.compile(r"[\\`*\[\]<>#$~|&@]|(?<!\w)_|_(?!\w)|-(?=[->])|:(?=[\w/])|^[-+](?=\s)|(?<=\d)[.)](?=\s)")


def literal(text: str) -> str:
    """A text that Markdown prints as it is: no emphasis, formula, emoji, arrow or link, no break after a sign.

    Each character that could begin one is escaped, and a joiner keeps it apart from the next.
    """
    told = _MARKDOWN.sub(lambda found: f"\\{found[0]}\u2060", text)
    return re.sub(r"([+\u2212])(?=[^\s\u2060])", "\\1\u2060", told)


def typed(text: str) -> str:
    """A text with its commands as they are typed where the app was opened."""
    return hints.as_typed(text, hints.app_home())


# --- reading ---------------------------------------------------------------------------------------------


def now() -> datetime:
    """The current instant: the one clock of the pages."""
    return datetime.now(UTC)


@st.cache_resource(show_spinner=False)
def _store(url: str) -> Store:
    return Store.open(url)


@st.cache_data(show_spinner=False, max_entries=200)
def _decoded(snapshot_id: str, _body: bytes) -> Readout:  # noqa: ARG001
    return Readout.from_json(zlib.decompress(_body))


def begin() -> Store:
    """The shop's store; without one the page says what to do next and ends here."""
    st.html(f"<style>{CSS}</style>")
    try:
        return _store(open_shop(None).store_url)
    except NotFoundError as error:
        empty("No shop yet", f"{error}", (*MAKE, *REGISTER, *READ))
    except TrueliftError as error:
        empty("This shop cannot be opened", f"{error}")
    raise AssertionError("st.stop ends the page")


def empty(title: str, told: str, commands: Sequence[str] = ()) -> None:
    """A page without anything to show: what is missing, and the commands that bring it. Ends the page."""
    st.title(literal(title), anchor=False)
    st.write(literal(typed(told)))
    if commands:
        st.write("What to do next:")
        lines = [hints.typed(command, hints.app_home()) for command in commands]
        st.code("\n".join(lines), language=None, wrap_lines=True)
    st.stop()


def no_experiments() -> None:
    """A shop without an experiment. Ends the page."""
    empty("No experiment is registered yet", "Describe one in a YAML file and register it.", (*REGISTER, *READ))


def readings(store: Store) -> tuple[listing.Registration, ...]:
    """Every registered experiment and holdout with its newest reading."""
    return tuple(
        listing.Registration(each.key, each.name, each.owner, tuple(each.modules), newest(store, each))
        for each in subjects.everything(store)
    )


def newest(store: Store, each: Registered | Experiment) -> Readout | None:
    """Its newest reading, if it has one."""
    found = store.latest(each.key)
    return None if found is None else decode(found)


def decode(snapshot: Snapshot) -> Readout:
    """The readout in a snapshot, kept by snapshot id: a snapshot never changes."""
    return _decoded(snapshot.snapshot_id, snapshot.body)


# --- the address -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for: a reading, when it was published, and the arm to look at."""

    reading: Readout
    published: datetime
    arm: str


def asked(store: Store) -> Asked:
    """The reading and arm the address names, and the widgets that change them. Ends the page where there is none."""
    keys = [each.key for each in subjects.everything(store)]
    if not keys:
        no_experiments()
    filters = st.container(horizontal=True, key="filters")
    key = experiment(keys, lambda: listing.overview(readings(store), now()).rows[0].key, filters)
    snapshot = snapshot_of(store, key, filters)
    reading = decode(snapshot)
    arms = {arm: arm for arm in shared.treatments(reading)}
    arm = choose("Arm", "arm", arms, prefer=reading.verdict.arm, pin=True, on=filters)
    return Asked(reading, snapshot.published_at, arm)


def experiment(
    keys: Sequence[str], first: Callable[[], str], on: DeltaGenerator, *, elsewhere: Sequence[str] = ()
) -> str:
    """The experiment the address names, and the list that changes it; `first` where it names none.

    Ends the page where it names one that is not there; one that only other pages have (`elsewhere`) is none here.
    """
    named = st.query_params.get("experiment")
    if named is not None and named not in keys and named not in (*elsewhere, EVERY):
        _unknown_experiment(named, keys)
    prefer = None if named in keys else first()
    return choose("Experiment", "experiment", {k: k for k in keys}, prefer=prefer, widget=selectbox, pin=True, on=on)


def snapshot_of(store: Store, key: str, filters: DeltaGenerator) -> Snapshot:
    """The snapshot the address pins, else the newest of the phase it names, else the newest."""
    heads = store.snapshots(key)
    if not heads:
        first = "register holdouts/FILE" if is_holdout(key) else f"start {key}"
        steps = (first, "load FILE --mapping MAPPING", f"refresh {key}")
        empty(subjects.definition(store, key).name, say.no_reading(key), steps)
    phases = sorted({head.phase for head in heads}, reverse=True)
    phase = int(choose("Phase", "phase", {str(number): str(number) for number in phases}, on=filters))
    latest = store.latest(key, phase)
    if latest is None:
        raise AssertionError("a phase with a snapshot has a newest one")
    pinned = st.query_params.get("snapshot")
    if pinned is None:
        return latest
    held: dict[str, str] = st.session_state.setdefault("shown", {})
    if pinned in {head.snapshot_id for head in heads if head.phase == phase}:
        held["snapshot"] = pinned
        return store.snapshot(pinned)
    if held.get("snapshot") != pinned:  # not left over from another experiment this reader looked at
        st.info(literal(say.no_snapshot(pinned)))
    _address("snapshot", None)
    return latest


def _unknown_experiment(named: str, keys: Sequence[str]) -> None:
    near = nearest(named, keys)
    st.title("No such experiment", anchor=False)
    st.write(literal(say.no_experiment(named, near)))
    for key in near or tuple(keys)[:5]:
        st.html(f'<p><a href="?{urlencode({"experiment": key})}">{escape(key)}</a></p>')
    st.stop()


Widget = Callable[[str, list[str], str], str | None]


def selectbox(label: str, options: list[str], key: str) -> str | None:
    """A list that opens, for many options."""
    return st.selectbox(label, options, index=None, key=key, required=True, bind="query-params", width=320)


def segmented(label: str, options: list[str], key: str) -> str | None:
    """All options side by side, for a few."""
    return st.segmented_control(label, options, key=key, required=True, bind="query-params")


def choose(
    label: str,
    key: str,
    options: Mapping[str, str],
    *,
    prefer: str | None = None,
    widget: Widget = segmented,
    pin: bool = False,
    on: DeltaGenerator | None = None,
) -> str:
    """Which of `options` (value → name) the reader wants: the address's, else `prefer`, else the first.

    The widget is bound to the address under `key`, which carries the name and also takes the value. With one
    option nothing is drawn. An address that asks for something else is told so. `pin` writes even the default
    into the address, where tomorrow's default may be another. The widget stands in the container `on`.
    """
    values = {name: value for value, name in options.items()}
    default = next(iter(options)) if prefer is None or prefer not in options else prefer
    shown: dict[str, str] = st.session_state.setdefault("shown", {})
    wanted = st.query_params.get(key)
    if wanted is not None and wanted not in values and wanted not in options:
        if wanted != shown.get(key):  # not left over from another experiment or slice this reader looked at
            st.info(literal(say.no_option(label.lower(), wanted, options[default])))
        wanted = None
    if len(options) == 1:
        _address(key, options[default] if pin else None)
        shown[key] = options[default]
        return default
    held = st.session_state.get(key)
    if pin and wanted is None:
        _address(key, held if held in values else options[default])
    if held not in values:
        value = default if wanted is None else values.get(wanted, wanted)
        st.session_state[key] = options[value]
    with on or nullcontext():
        chosen = widget(label, list(values), key) or options[default]
    shown[key] = chosen
    return values.get(chosen, default)


def _address(key: str, value: str | None) -> None:
    """Write a filter without a widget into the address, or take it out; left alone while a widget is bound to it."""
    if st.query_params.get(key) == value:
        return
    with suppress(StreamlitAPIException):
        if value is None:
            del st.query_params[key]
        else:
            st.query_params[key] = value


# --- parts of a page -------------------------------------------------------------------------------------


def head(store: Store, asked: Asked) -> Verdict:
    """The head of every page on one reading: its name, the arm's verdict (returned too), and the facts beneath."""
    reading, verdict = asked.reading, result.verdict_of(asked.reading, asked.arm)
    shown = result.header(reading, asked.published)
    st.title(literal(shown.title), anchor=False)
    notices(store, reading)
    banner(verdict)
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in shown.facts)
    st.html(f'<dl class="facts">{facts}</dl>')
    return verdict


def notices(store: Store, reading: Readout) -> None:
    """What a reader has to know about the reading itself: that it is old, or not the newest."""
    latest = store.latest(reading.experiment.key, reading.phase)
    if latest is not None and latest.snapshot_id != reading.snapshot_id:
        told = escape(say.superseded(reading, decode(latest)))
        address = urlencode({"experiment": reading.experiment.key, "phase": str(reading.phase)})
        st.html(f'<p class="stale" role="status">{told} <a href="?{address}">{say.OPEN_NEWEST}</a></p>')
        return
    age = shared.stale_days(reading, now())
    if age is not None:
        st.html(f'<p class="stale" role="status">{escape(typed(say.stale_notice(age, reading.experiment.key)))}</p>')


def banner(verdict: Verdict) -> None:
    """The verdict: its name, and its sentence in the same size for good and bad news. Green only for SHIP."""
    name, glyph = words.verdict_name(verdict.code, verdict.sentence), shared.glyph(verdict)
    st.html(
        f'<section class="banner {verdict.code.lower()}" role="status"><h2><span aria-hidden="true">{glyph}</span> '
        f"{escape(name)}</h2><p>{escape(verdict.sentence)}</p></section>"
    )


def cards(reading: Readout, arm: str) -> None:
    """The four numbers with their ranges. No arrow and no colour: noise would get a green one."""
    shown = result.cards(reading, arm)
    columns = st.container(key="cards").columns(len(shown), gap="small")
    for column, card in zip(columns, shown, strict=True):
        column.metric(
            literal(card.label), literal(card.value), literal(card.detail) or None, delta_color="off",
            delta_arrow="off", border=True, help=None if card.help is None else literal(card.help), height="stretch",
        )  # fmt: skip


def chart(drawn: alt.LayerChart) -> None:
    """A chart at full width in its own calm look; its description is its accessible name."""
    st.altair_chart(drawn, width="stretch", theme=None)


def checks(reading: Readout) -> None:
    """Every signal check: glyph and word, what it found, who looks after it, and beneath it the offending groups.

    What passes can be opened; the rest stands in the open.
    """
    lines = result.check_lines(reading.checks)
    quiet = [line for line in lines if line.check.state in ("pass", "not_applicable")]
    st.subheader(literal(say.trust(listing.health(reading.checks))), anchor=False)
    _checks([line for line in lines if line not in quiet])
    if quiet:
        passed = sum(line.check.state == "pass" for line in quiet)
        with st.expander(say.quiet_checks(passed, len(quiet) - passed)):
            _checks(quiet)
    address = escape(f"health?{urlencode({'experiment': reading.experiment.key})}")
    st.html(f'<p class="summary"><a href="{address}">{say.OPEN_HEALTH}</a></p>')


def _checks(lines: Sequence[result.CheckLine]) -> None:
    if lines:
        st.html('<div class="checks">' + "".join(_check(line) for line in lines) + "</div>")


def _check(line: result.CheckLine) -> str:
    blocks = " <b>Blocks the results.</b>" if line.check.blocking and line.check.state == "fail" else ""
    groups = ""
    if line.groups:
        names = "".join(f'<th scope="col">{escape(name)}</th>' for name in line.groups[0])
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in line.groups[1:]
        )
        groups = f'<table class="plain"><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>'
        groups += f"<small>{escape(say.more_groups(line.more))}</small>" if line.more else ""
    return (
        f'<div class="check {line.check.state}"><span class="state"><span aria-hidden="true">{line.glyph}</span> '
        f"{escape(line.state)}</span><div><b>{escape(line.label)}.</b> {escape(line.sentence)}{blocks}"
        f'<span class="owner">{escape(line.check.id)}, {escape(line.owner)}</span>{groups}</div></div>'
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "", kind: str = "plain") -> None:
    """A plain table with ready texts; wide ones scroll inside themselves."""
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    st.html(
        f'<div class="wide"><table class="{kind}">{told}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def numbers(reading: Readout, arm: str) -> None:
    """The metrics of one arm as a table."""
    rows = [astuple(row) for row in result.numbers(reading, arm)]
    table(result.headings(reading), rows, caption=f"{arm} against {printed.arm_columns(reading)[0]}")
    if printed.judges_limits(reading):
        st.caption(say.LIMIT_KEY)


def link(page: str, reading: Readout, arm: str | None, **more: str) -> str:
    """An address that shows exactly this, for ever: page, experiment, phase, snapshot, arm."""
    wanted = {"experiment": reading.experiment.key, "phase": str(reading.phase), "snapshot": reading.snapshot_id}
    query = urlencode(wanted | ({} if arm is None else {"arm": arm}) | more)
    at = urlsplit(st.context.url or "")
    return f"{at.scheme}://{at.netloc}/{page}?{query}" if at.netloc else f"/{page}?{query}"


def share(page: str, reading: Readout, arm: str | None, **more: str) -> None:
    """Link, CSV, JSON and one HTML file; a withheld reading's carry no metric's number."""
    name = f"{reading.experiment.key}-{reading.snapshot_id}"
    with st.popover("Share", icon=":material/ios_share:"):
        st.write("This reading, as it stands:")
        st.code(link(page, reading, arm, **more), language=None, wrap_lines=True)
        with st.container(horizontal=True):
            st.download_button("CSV", lambda: _csv(reading), f"{name}.csv", "text/csv", on_click="ignore")
            st.download_button("JSON", reading.to_json, f"{name}.json", "application/json", on_click="ignore")
            st.download_button("HTML", lambda: _html(reading), f"{name}.html", "text/html", on_click="ignore")


def _csv(reading: Readout) -> str:
    from analysis.exports.csv import to_csv

    return to_csv(reading)


def _html(reading: Readout) -> str:
    from analysis.exports.html import to_html

    return to_html(reading)


# --- overview --------------------------------------------------------------------------------------------


def overview(shown: listing.Overview) -> None:
    """The experiments as a table, each name a link to its readout; on a narrow screen one block a row."""
    names = ("Experiment", "Verdict", "Lift", "Worth", "Progress", "Signals", "Owner")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(_overview_row(row) for row in shown.rows)
    st.html(f'<table class="overview"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def _overview_row(row: listing.OverviewRow) -> str:
    address = f"readout?{urlencode({'experiment': row.key})}"
    health = f"health?{urlencode({'experiment': row.key})}"
    small = f"<small>{escape(row.modules)}</small>"
    if row.verdict is None:
        chip, small = (
            '<span class="chip">No reading yet</span>',
            small + f"<small>{escape(typed(say.no_reading(row.key)))}</small>",
        )
    else:
        named = f'<span aria-hidden="true">{row.verdict_glyph}</span> {escape(row.verdict_name)}'
        chip = f'<span class="chip {row.verdict.lower()}">{named}</span>'
    old = f"<small>{escape(row.stale)}</small>" if row.stale else ""
    track = "" if row.done is None else f'<span class="track"><span style="width:{row.done:.0%}"></span></span>'
    cells = (
        ("", f'<a href="{escape(address)}">{escape(row.name)}</a>{small}'),
        ("Verdict", chip + old),
        ("Lift", f"<b>{escape(row.lift)}</b><small>{escape(row.metric)}</small>" if row.lift else ""),
        ("Worth", f"<b>{escape(row.money)}</b><small>a day</small>" if row.money else ""),
        ("Progress", f"<b>{escape(row.progress)}</b>{track}<small>{escape(row.left)}</small>" if row.progress else ""),
        ("Signals", row.health and f'<a class="quiet" href="{escape(health)}">{escape(row.health)}</a>'),
        ("Owner", f"<b>{escape(row.owner)}</b>"),
    )
    told = "".join(
        f"<td{f' data-label={name}' if name and cell else ''}>{cell or '<span aria-hidden=true>–</span>'}</td>"
        for name, cell in cells
    )
    return f"<tr{' class=old' if row.stale else ''}>{told}</tr>"


# --- readout ---------------------------------------------------------------------------------------------


def reasons(verdict: Verdict) -> None:
    """Why this verdict, and when the next reading is; nothing where its sentence says it all."""
    lines = [*printed.reasons(verdict), *([say.next_reading(verdict.next_reading)] if verdict.next_reading else [])]
    if not lines:
        return
    st.subheader("Why this verdict", anchor=False)
    st.html("<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>")


def fine_print(reading: Readout, arm: str) -> None:
    """Numbers, method, exclusions, provenance and the checks' SQL, for whoever does not trust us yet."""
    with st.expander("Numbers, method and exclusions"):
        if not reading.withheld:
            numbers(reading, arm)
        for title, rows in result.fine_print(reading, arm):
            table((title, ""), rows, kind="plain named")
        for name, text in result.check_sql(reading.checks):
            st.caption(name)
            st.code(text, language="sql")


# --- where -----------------------------------------------------------------------------------------------


def cells(reading: Readout, part: SliceReadout, metric: str, arm: str) -> None:
    """Every cell of a slice as a table."""
    with st.expander("Every cell as a table"):
        told = "Money is per day." if any(cell.money_per_day is not None for cell in part.cells) else ""
        table(places.CELL_HEADINGS, places.cell_rows(reading, part, metric, arm), caption=told)
