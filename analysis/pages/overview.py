"""Decide › Overview: what waits for a decision, most money a day first."""

import streamlit as st

from analysis.pages import alerts_parts, components
from analysis.pages.views import listing

store, now = components.begin(), components.now()
shown = listing.overview(components.readings(store), now, alerts_parts.incidents(store, now))
if not shown.rows:
    components.no_experiments()
st.title(components.literal(shown.headline), anchor=False)
if shown.alerts:
    alerts_parts.link()
components.overview(shown)
