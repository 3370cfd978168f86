"""A readout as one HTML file that works offline: charts are drawings in the file, nothing is fetched."""

import re
from collections.abc import Iterable, Sequence
from html import escape

import altair as alt
import vl_convert

from analysis import charts, printed, words
from analysis.exports.slices import shown
from analysis.readout import Comparison, MetricReadout, Readout, SliceReadout
from analysis.words import notes
from analysis.words import pages as said
from experiments.spec import digest

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.split(".")[:2])  # the version the charts are written in
WIDTH = 720  # pixels of a drawing
STYLE = """
body{font:16px/1.5 "Source Sans 3",Arial,sans-serif;color:#262730;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.9rem;margin:0 0 .3rem}h2{margin:2rem 0 .5rem;font-size:1.3rem}
.stamp,figcaption,.small{color:#595959;font-size:.9rem}
.verdict{border-left:.5rem solid #767676;background:#F5F5F5;padding:1rem 1.2rem;margin:1.2rem 0;font-size:1.15rem}
.verdict.SHIP{border-color:#00663C;background:#EAF6F0}
.verdict.STOP,.verdict.WITHHELD{border-color:#D55E00;background:#FDF1E8}
table{border-collapse:collapse;width:100%;font-size:.93rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #E0E0E0;vertical-align:top}
td.number{text-align:right;white-space:nowrap}
figure{margin:0;overflow-x:auto}figure svg{max-width:100%;height:auto}
"""


def to_html(readout: Readout) -> str:
    """The whole page. A withheld readout shows the cause, the arms and the checks, and no number of a metric."""
    head, verdict = readout.experiment, words.verdict_name(readout.verdict.code, readout.verdict.sentence)
    body = [
        f"<h1>{escape(head.name)}</h1>",
        f'<p class="stamp">{escape(stamp(readout))}</p>',
        *(_verdict(readout)),
        *(_warnings(readout)),
        *([] if readout.withheld else _numbers(readout)),
        *_arms(readout),
        *_checks(readout),
        *([] if readout.withheld else _method(readout)),
        f'<p class="stamp">{escape(provenance(readout))}</p>',
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(f'{head.name}: {verdict}')}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def stamp(readout: Readout) -> str:
    """Experiment, dates, data as of, snapshot, mode and design in one line."""
    day = said.day_of(readout.day.n, readout.day.planned)
    return (
        f"{readout.experiment.key}, phase {readout.phase} · {readout.mode}, {day} (since {readout.day.started_on}) · "
        f"data as of {readout.data_as_of or 'none'} · snapshot {readout.snapshot_id} · design {readout.design.name} · "
        f"rule {readout.verdict_rule}"
    )


def provenance(readout: Readout) -> str:
    """What the readout was made of."""
    made_of = readout.provenance
    return (
        f"Definition version {made_of.definition_version} · method {readout.method_version} · {made_of.engine} · "
        f"{readout.schema_} · published {readout.published_at or 'not yet'}"
    )


def _verdict(readout: Readout) -> list[str]:
    """The experiment's verdict first, then those of the other arms."""
    sentences = dict.fromkeys([readout.verdict.sentence, *(v.verdict.sentence for v in readout.verdicts)])
    by_sentence = {v.sentence: v for v in (*(v.verdict for v in readout.verdicts), readout.verdict)}
    return [
        f'<div class="verdict {escape(v.code)}"><strong>{escape(v.sentence)}</strong>'
        + "".join(f"<br><span class='small'>{escape(reason)}</span>" for reason in printed.reasons(v))
        + "</div>"
        for v in (by_sentence[sentence] for sentence in sentences)
    ]


def _warnings(readout: Readout) -> list[str]:
    return [f'<p class="small">Note: {escape(text)}</p>' for text in readout.warnings]


# --- numbers ---------------------------------------------------------------------------------------------


def _numbers(readout: Readout) -> list[str]:
    arms = [arm.key for arm in readout.arms if not arm.is_control]
    parts = ["<h2>Metrics</h2>", _metrics(readout)]
    if printed.judges_limits(readout):
        parts.append(f'<p class="small">{escape(said.LIMIT_KEY)}</p>')
    for arm in arms:
        of = f" of {escape(arm)}" if len(arms) > 1 else ""
        parts += [f"<h2>Change{of} against control</h2>", _figure(charts.forest(readout, arm), said.FOREST_KEY)]
        for metric, bands in (readout.series or {}).items():
            if any(point[1] is not None for point in bands.get(arm, ())):
                parts.append(_figure(charts.band(readout, metric, arm), said.BAND_KEY))
        parts += _where(readout, arm)
    return parts


def _metrics(readout: Readout) -> str:
    """One table in groups: what is to be improved, the guardrails, what is also watched."""
    arms = (words.sentence_case(name) for name in printed.arm_columns(readout))
    head = ("Metric", "Arm", *arms, "Change", "Difference", "A day", "Reading")
    groups: list[tuple[str, list[tuple[str, ...]]]] = []
    for role, title in said.GROUPS.items():
        metrics = [metric for metric in readout.metrics or () if metric.role == role]
        groups.append((title, [_metric(readout, metric, c) for metric in metrics for c in metric.comparisons]))
    return _table(head, *((title, rows) for title, rows in groups if rows))


def _metric(readout: Readout, metric: MetricReadout, c: Comparison) -> tuple[str, ...]:
    currency, difference = readout.currency.code, words.difference_unit(metric.value_unit)
    return (
        metric.name,
        c.arm,
        *(printed.mean(metric, value, currency) for value in (c.control, c.treatment)),
        printed.change(c.relative, "lift", currency),
        printed.also(c.absolute, difference, currency),
        printed.also(c.money_per_day, "money", currency),
        printed.reading(metric, c, currency),
    )


def _where(readout: Readout, arm: str) -> list[str]:
    """Every slice of one or two dimensions in its first success metric; a held one says why it is empty."""
    parts: list[str] = []
    for part, metric in shown(readout, arm):
        if metric is None:
            parts.append(f"<h2>{escape(part.label)}</h2><p>{escape(part.words)}</p>")
        elif len(part.dimensions) <= 2:
            parts += _slice(readout, part, metric, arm)
    return parts


def _slice(readout: Readout, part: SliceReadout, metric: str, arm: str) -> list[str]:
    grid = len(part.dimensions) == 2
    drawn = charts.heat_map(readout, part.key, metric, arm) if grid else charts.parts(readout, part.key, metric, arm)
    title = f"{part.label}: {words.inside(readout.metric(metric).name)}"
    caption = said.HEAT_MAP_KEY if grid else said.ROWS_KEY
    return [f"<h2>{escape(title)}</h2>", f"<p>{escape(part.words)}</p>", _figure(drawn, caption)]


def _figure(chart: alt.LayerChart, caption: str) -> str:
    """A drawing with its description as the accessible name."""
    spec = chart.properties(width=WIDTH).to_dict()
    name = escape(str(spec.get("description", caption)))
    drawing = _settled(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, allowed_base_urls=[]), digest(spec)[:8])
    return f'<figure role="img" aria-label="{name}">{drawing}<figcaption>{escape(caption)}</figcaption></figure>'


def _settled(drawing: str, name: str) -> str:
    """The ids inside a drawing numbered from 1 under its own name: the same file every time, no clash with the next."""
    numbers: dict[str, int] = {}
    return re.sub(
        r"\b(clip|gradient|pattern)_?\d+\b", lambda m: f"{name}-{numbers.setdefault(m[0], len(numbers) + 1)}", drawing
    )


# --- arms, checks, method --------------------------------------------------------------------------------


def _arms(readout: Readout) -> list[str]:
    rows = [
        (
            f"{arm.key} (control)" if arm.is_control and arm.key != "control" else arm.key,
            arm.strategy or "",
            arm.weight,
            words.whole(arm.units),
            ", ".join(f"{words.whole(n)} {notes.spoken(reason)}" for reason, n in arm.units_excluded.items()),
        )
        for arm in readout.arms
    ]
    kind = words.sentence_case(words.units(readout.experiment.unit_type))
    return ["<h2>Arms</h2>", _table(("Arm", "Strategy", "Weight", kind, "Left out"), ("", rows))]


def _checks(readout: Readout) -> list[str]:
    rows = [(c.id, c.label, notes.spoken(c.state), c.sentence, c.owner) for c in readout.checks]
    return ["<h2>Signals</h2>", _table(("Check", "", "State", "What was found", "Owner"), ("", rows))]


def _method(readout: Readout) -> list[str]:
    """How the ranges were made, in words, and what earlier behaviour gained."""
    lines = [notes.method(readout.design.name, charts.level(readout), readout.mode)]
    for metric in readout.metrics or ():
        for comparison in metric.comparisons:
            if comparison.adjustment is not None:
                lines.append(f"{metric.label} ({comparison.arm}): {comparison.adjustment.words}")
    return ["<h2>Method</h2>", *(f"<p class='small'>{escape(line)}</p>" for line in lines)]


def _table(head: Sequence[str], *groups: tuple[str, Iterable[Sequence[str]]]) -> str:
    """A table of groups of rows; a group without a title has no heading of its own."""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    bodies = ""
    for title, rows in groups:
        heading = f'<tr><th colspan="{len(head)}" scope="rowgroup">{escape(title)}</th></tr>' if title else ""
        cells = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        bodies += f"<tbody>{heading}{cells}</tbody>"
    return f"<table><thead><tr>{titles}</tr></thead>{bodies}</table>"
