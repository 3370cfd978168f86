"""A shop's folder with one good definition, and ways to make it wrong."""

from pathlib import Path

from experiments.shop import Shop

GOOD = """\
schema_version: 1
key: home_als_v2
name: Homepage ALS v2
owner: recs-team
hypothesis: more revenue
assignment: external
assigned_by: the e-mail tool
modules: [homepage]
unit_type: user
variants:
  - {key: control, weight: "1", is_control: true, strategy: popularity}
  - {key: als_v2, weight: "1", strategy: als}
schedule: {start_at: 2026-12-01T09:00:00Z, end_at: 2026-12-29T09:00:00Z}
metrics:
  success: [revenue_per_unit]
  guardrails: [oos_shown_rate, {metric: return_rate, margin: "0.20"}]
  secondary: [ctr, aov]
analysis:
  planned_units: 20000
  materiality: {revenue_per_unit: {relative: "0.005"}, slices: {money_per_1000_units: "1.50"}}
"""


def changed(*replacements: tuple[str, str]) -> str:
    """The good definition with pieces of its text replaced; each must be there."""
    text = GOOD
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return text


def written(shop: Shop, text: str = GOOD, name: str = "home_als_v2.yml") -> Path:
    """The file in the shop's definitions, saying `text`."""
    path = shop.definitions / name
    path.write_text(text, encoding="utf-8")
    return path


ASSIGNED = """\
schema_version: 1
key: home_als_v3
name: Homepage ALS v3
owner: recs-team
assignment: truelift
modules: [homepage]
flag_key: rec.homepage
layer: {key: homepage, ranges: [[0, 6000]]}
holdouts: [global_h2]
unit_type: user
prerequisites: []
variants:
  - {key: control, weight: "0.5", is_control: true, strategy: popularity, params: {half_life_days: 14}}
  - {key: als_v2, weight: "0.5", strategy: als, params: {factors: 64}}
traffic: "0.25"
targeting: {all: [{attribute: platform, operator: ONE_OF, value: [web, ios]}]}
overrides: [{unit_id: qa-1, variant: als_v2}]
ramp:
  - {at: 2026-12-01T09:00:00Z, traffic: "0.01"}
  - {at: 2026-12-02T09:00:00Z, traffic: "0.25", require: [srm, guardrails]}
schedule: {start_at: 2026-12-01T09:00:00Z, end_at: 2026-12-29T09:00:00Z}
exposure: {trigger: render}
metrics:
  success: [revenue_per_unit]
  guardrails: [{metric: return_rate, margin: "0.20"}]
"""
HOLDOUT = """\
key: global_h2
salt: holdout.global_h2
buckets: [[0, 500]]
modules: [homepage, pdp]
start_at: 2026-07-01T00:00:00Z
"""


def assigned(*replacements: tuple[str, str]) -> str:
    """The good definition that truelift assigns, with pieces replaced; each must be there."""
    text = ASSIGNED
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return text


SWITCHBACK = """\
schema_version: 1
key: city_prices
name: Prices by city
owner: recs-team
design: switchback
assignment: truelift
modules: [delivery]
flag_key: rec.delivery
layer: {key: delivery, ranges: [[0, 10000]]}
unit_type: cluster_window
switchback: {cluster: city, window_minutes: 240, burn_in_minutes: 30}
variants:
  - {key: control, weight: "0.5", is_control: true, strategy: popularity}
  - {key: als_v2, weight: "0.5", strategy: als}
schedule: {start_at: 2026-12-01T09:00:00Z, end_at: 2026-12-29T09:00:00Z}
exposure: {trigger: serve}
metrics: {success: [revenue_per_unit]}
"""
INTERLEAVING = """\
schema_version: 1
key: rank_duel
name: ALS against popularity
owner: recs-team
design: interleaving
assignment: truelift
modules: [search]
flag_key: rec.search
layer: {key: search, ranges: [[0, 10000]]}
unit_type: request
variants:
  - {key: control, weight: "0.5", is_control: true, strategy: popularity}
  - {key: als_v2, weight: "0.5", strategy: als}
schedule: {start_at: 2026-12-01T09:00:00Z, end_at: 2026-12-29T09:00:00Z}
exposure: {trigger: serve}
metrics: {success: [revenue_per_unit]}
"""


def layer_of(module: str, unit_type: str) -> str:
    """A layer file with one slot."""
    return (
        f"key: {module}\nsalt: layer.{module}\nunit_type: {unit_type}\nmodules: [{module}]\n"
        f"slots: [{{flag_key: rec.{module}, module: {module}, default_strategy: popularity}}]\n"
    )
