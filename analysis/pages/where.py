"""Decide › Where: which modules and categories gain, which pay for it."""

import streamlit as st

from analysis import charts
from analysis.pages import components
from analysis.pages.views import places
from analysis.words import pages as say

store = components.begin()
asked = components.asked(store)
reading, arm = asked.reading, asked.arm

components.head(store, asked)
if reading.withheld:
    st.write(say.WITHHELD_PAGE)
    components.checks(reading)
    components.share("where", reading, arm)
    st.stop()

kinds = places.kinds(reading)
if not kinds:
    st.write(say.NO_SLICES)
    st.stop()
cuts = st.container(horizontal=True, key="cuts")
kind = components.choose("Cut by", "kind", kinds, on=cuts)
metrics = places.sliced_metrics(reading, kind, arm)
metric = components.choose("Metric", "metric", metrics, widget=components.selectbox, on=cuts)
slices = places.slices(reading, kind, metric, arm)
chosen = components.choose("Slice", "slice", slices, widget=components.selectbox, on=cuts)
part = places.slice_of(reading, chosen)

st.subheader(components.literal(places.where_headline(reading, part, metric, arm)), anchor=False)
st.write(components.literal(places.extremes(reading, part, metric, arm)))
st.caption(places.kind_note(reading, kind))
if len(part.dimensions) == 2:
    show = components.choose("Show", "show", {"all": "All", "material": "Material only"})
    if show == "material" and not places.any_material(part, metric, arm):
        st.write(say.NO_CELL)
    else:
        components.chart(charts.heat_map(reading, chosen, metric, arm, material_only=show == "material"))
        st.caption(say.HEAT_MAP_KEY)
else:
    components.chart(charts.parts(reading, chosen, metric, arm))
    st.caption(say.ROWS_KEY)
if part.words:
    st.write(components.literal(part.words))
components.cells(reading, part, metric, arm)
components.share("where", reading, arm, metric=metric, slice=chosen)
