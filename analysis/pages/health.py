"""Trust › Signal health: which checks pass, what the others withhold, since when, and how to see for oneself."""

import streamlit as st

from analysis.pages import components
from analysis.pages import health_parts as parts
from analysis.pages.views import health as view
from analysis.signals import charts
from analysis.words import trust as say

store = components.begin()
registered = components.readings(store)
if not registered:
    components.no_experiments()

top, filters = st.container(), st.container(horizontal=True, key="filters")
keys = (say.EVERY, *(each.key for each in registered))
key = components.experiment(keys, lambda: say.EVERY, filters)
if key == say.EVERY:
    shop = view.shop(registered)
    with top:
        st.title(components.literal(shop.headline), anchor=False)
    if shop.grid is not None:
        parts.grid(shop.grid)
        st.caption(say.MATRIX_KEY)
    st.subheader(say.WHICH, anchor=False)
    parts.listed(shop.listed)
    st.stop()

snapshot = components.snapshot_of(store, key, filters)
reading = components.decode(snapshot)
past = parts.past(store, reading)
with top:
    st.title(components.literal(view.headline(reading.checks)), anchor=False)
    components.notices(store, reading)
    if reading.withheld:
        components.banner(reading.verdict)
    else:
        st.write(components.literal(view.withheld_now(reading)))
parts.facts(reading, view.facts(reading, past))
parts.grid(view.grid(reading.checks))
st.caption(say.KEY)

st.subheader(say.EVERY_CHECK, anchor=False)
parts.rows(view.rows(reading, past, registered), parts.asked_of_the_log(store, reading))

st.subheader(say.DRIFT, anchor=False)
moved = view.drifts(reading.checks)
if moved:
    components.chart(charts.drift(moved, description=view.drift_told(moved)))
    st.caption(say.DRIFT_KEY)
else:
    st.write(components.literal(view.no_drift(reading.checks)))
