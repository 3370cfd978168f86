"""Decide › Overview: what waits for a decision, most money a day first."""

import streamlit as st

from analysis.pages import components, views

store = components.begin()
shown = views.overview(components.readings(store), components.now())
if not shown.rows:
    components.empty(
        "No experiment is registered yet", "Describe one in a YAML file and register it.", components.FIRST_STEPS
    )
st.title(shown.headline, anchor=False)
components.overview(shown)
