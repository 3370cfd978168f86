"""Build › Registry: what was, is and will be tested; what was locked, and every change since."""

from dataclasses import astuple

import streamlit as st

from analysis.pages import components
from analysis.pages import registry_parts as parts
from analysis.pages.views import registry as view
from analysis.registry import buckets, charts, terms
from analysis.registry.changes import changes
from analysis.registry.steps import next_steps
from analysis.registry.timeline import in_order, timeline
from analysis.words import registry as say
from experiments.placement import HOLDOUT_PREFIX
from experiments.shop import open_shop

store = components.begin()
book, now = view.read(store), components.now()
if not book.courses:
    components.no_experiments()
ordered = [each.key for each in in_order(book.courses, now)]

top, filters = st.container(), st.container(horizontal=True, key="filters")
held = [HOLDOUT_PREFIX + each for each in book.ground.holdouts]  # as their readouts are called
key = components.experiment(ordered, lambda: ordered[0], filters, elsewhere=held)
with top:
    st.title(components.literal(view.headline(book, now)), anchor=False)
    parts.chain(len(book.rows), book.broken)
course = book.course(key)
few = timeline(book.courses, book.ground.holdouts, now, chosen=key, every=False)
lines = {"open": say.OPEN, **({"all": say.all_of(len(ordered))} if few.left_out else {})}
every = components.choose("Show", "lines", lines, on=filters) == "all"
shown = timeline(book.courses, book.ground.holdouts, now, chosen=key, every=True) if every else few
components.chart(charts.timeline(shown))
st.caption(components.literal(say.TIMELINE_KEY))
with st.expander(say.as_list(len(ordered))):
    parts.every(view.every_row(book, now))

st.header(components.literal(course.experiment.name), anchor=False)
numbers = {str(phase.number): str(phase.number) for phase, _ in reversed(course.phases)}
number = int(components.choose("Phase", "phase", numbers)) if numbers else None
begun = next((each for each in course.phases if each[0].number == number), None)
published = store.latest(key, number)
reading = None if published is None else components.decode(published)
parts.facts(view.facts(course, now))
parts.summary(view.sentences(course, begun, book.ground, reading, now), key, read=reading is not None)

st.subheader(say.WHO_MEETS, anchor=False)
strips = buckets.strips(course, begun, book.ground, book.courses)
components.chart(charts.buckets(strips))
st.caption(components.literal(say.BUCKETS_KEY if course.assigned is not None else say.ELSEWHERE_KEY))
for strip in strips:
    if strip.note:
        st.write(components.literal(strip.note))
for sentence in terms.conditions(course, begun):
    st.write(components.literal(sentence))
with st.expander(say.AS_TABLE):
    parts.told(view.BAND_HEADINGS, view.band_rows(strips))

st.subheader(say.terms_of(number), anchor=False)
currency = open_shop(None).settings.currency
metrics = terms.metric_terms(course, begun, currency)
parts.told(terms.MetricTerm.HEADINGS, [astuple(row) for row in metrics])
parts.told(terms.ArmTerm.HEADINGS, [astuple(row) for row in terms.arm_terms(course, begun)])
components.table(("Also", ""), terms.frozen(begun, course), kind="plain named")
if course.phases:
    parts.told(terms.PhaseTerm.HEADINGS, [astuple(row) for row in terms.phase_terms(course)], say.PHASES)
steps = terms.steps(course, begun, now)
if steps:
    parts.told(terms.StepTerm.HEADINGS, [astuple(row) for row in steps], say.STEPS_OF_TRAFFIC)
if course.assigned is not None:
    parts.overrides(terms.overrides(course))

st.subheader(say.SAME_TIME, anchor=False)
others = view.overlap_rows(course, book)
if others:
    parts.told(view.OVERLAP_HEADINGS, others)
else:
    st.write(say.NO_OVERLAP)
holdouts = view.holdout_rows(course, book)
if holdouts:
    parts.told(view.HOLDOUT_HEADINGS, holdouts)
    parts.readouts([name for row in holdouts if store.latest(name := HOLDOUT_PREFIX + row[0]) is not None])
else:
    st.write(say.NO_HOLDOUT)

st.subheader(say.NEXT, anchor=False)
parts.commands(next_steps(course, now))

st.subheader(say.CHANGES, anchor=False)
parts.changes(changes(course, book.rows, book.broken))
