"""Decide › Readout: one experiment's verdict, why, and the numbers behind it."""

import streamlit as st

from analysis import charts
from analysis.pages import components
from analysis.pages.views import result
from analysis.words import pages as say

store = components.begin()
asked = components.asked(store)
reading, arm = asked.reading, asked.arm
verdict = components.head(store, asked)

if not reading.withheld:
    components.cards(reading, arm)
    left, right = st.container(key="charts").columns([3, 2], gap="large")
    with left:
        st.subheader("Metrics", anchor=False)
        components.chart(charts.forest(reading, arm))
        st.caption(say.FOREST_KEY)
    with right:
        heading, bands = st.container(), result.series_metrics(reading, arm)
        if bands:
            metric = components.choose("Metric", "metric", bands, widget=components.selectbox)
            heading.subheader(components.literal(say.day_by_day(bands[metric])), anchor=False)
            components.chart(charts.band(reading, metric, arm))
        st.caption(say.BAND_KEY if bands else say.NO_BAND)

components.reasons(verdict)
components.checks(reading)
components.fine_print(reading, arm)
components.share("readout", reading, arm)
