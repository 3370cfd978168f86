"""Decide › Overview: what waits for a decision, most money a day first."""

import streamlit as st

from analysis.pages import components
from analysis.pages.views import listing

store = components.begin()
shown = listing.overview(components.readings(store), components.now())
if not shown.rows:
    components.no_experiments()
st.title(shown.headline, anchor=False)
components.overview(shown)
