"""Decide › Alerts inbox: what loses money now, what is done about it, and why something else is not here."""

import streamlit as st

from analysis.pages import alerts_parts as parts
from analysis.pages import components
from analysis.pages.views import alerts as view
from analysis.words import inbox as say
from analysis.words import notices

store, now = components.begin(), components.now()
found = parts.read(store, now)
if found.beat.state == "never":
    components.empty(say.NEVER, found.beat.told, say.NEVER_COMMANDS)

shown = view.inbox(found.standing, found.acts, found.money)
st.title(components.literal(shown.headline), anchor=False)
parts.beat(found.beat)
parts.remarks(found.wrong)
parts.done()

asked = st.query_params.get("incident")
rows = tuple(row for row in shown.rows if row.incident_id == asked)
if asked is not None and not rows:
    st.info(components.literal(say.gone(asked)))
if rows:
    st.html(f'<p class="summary">{say.ONE_ONLY} <a href="alerts">{say.EVERY}</a></p>')
else:
    tab = components.choose("Show", "tab", say.TABS)
    rows = shown.of(tab)  # type: ignore[arg-type]
    if not rows:
        st.write(say.NOTHING[tab])
if rows:
    st.caption(components.literal(notices.AMOUNTS))
for row in rows:
    parts.incident(store, row)
parts.remarks(found.remarks)

st.subheader(say.WHY_NOT, anchor=False)
places = view.places(found.evaluations, found.money.names)
if places:
    st.write(say.WHY_NOT_TOLD)
    cell = components.choose("Place", "cell", places, widget=components.selectbox)
    parts.why_not(view.why_not(found.standing, found.evaluations, cell, found.money))
else:
    st.write(say.NOTHING_READ)
