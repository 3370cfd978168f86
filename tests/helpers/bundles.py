"""Documents of `bundle.v1` for tests: small, whole, and easy to change."""

from collections.abc import Sequence
from datetime import UTC, datetime

Document = dict[str, object]
NOW = datetime(2026, 12, 10, 12, tzinfo=UTC)
BEGAN = "2026-12-01T00:00:00Z"


def arm(key: str, start: int, end: int, *, disabled: bool = False, **params: object) -> Document:
    """A variant of [start, end); the one called control is it."""
    return {
        "key": key,
        "is_control": key == "control",
        "strategy": f"{key}_strategy",
        "params": params,
        "start": start,
        "end": end,
        "disabled": disabled,
    }


def experiment(**changed: object) -> Document:
    """A running half and half on the whole of layer homepage, at full traffic."""
    written: Document = {
        "key": "home",
        "state": "running",
        "killed": False,
        "order": 1,
        "phase": 1,
        "started_at": BEGAN,
        "flag_keys": ["rec.homepage"],
        "modules": ["homepage"],
        "layer": {"key": "homepage", "ranges": [[0, 10_000]]},
        "holdouts": [],
        "unit_type": "user",
        "salt": f"{changed.get('key', 'home')}.1",
        "hash_version": "md5-32/1",
        "variants": [arm("control", 0, 5_000), arm("als", 5_000, 10_000)],
        "traffic": [{"at": BEGAN, "bp": 10_000}],
        "schedule": {"start_at": BEGAN, "end_at": "2027-01-01T00:00:00Z"},
        "targeting": None,
        "prerequisites": [],
        "overrides": [],
        "trigger": "render",
    }
    return {**written, **changed}


def layer(key: str = "homepage", unit_type: str = "user", *flags: str) -> Document:
    """A layer with one module of its own name, and the slot `rec.<name>` unless flags are given."""
    slots = [{"flag_key": flag, "module": key, "default_strategy": "popularity"} for flag in flags or [f"rec.{key}"]]
    return {"key": key, "salt": f"layer.{key}", "unit_type": unit_type, "modules": [key], "slots": slots}


def holdout(**changed: object) -> Document:
    """Five per cent of users never see the homepage's module."""
    written: Document = {
        "key": "global",
        "salt": "holdout.global",
        "unit_type": "user",
        "buckets": [[0, 500]],
        "modules": ["homepage"],
        "strategy": "no_recommendations",
        "start_at": BEGAN,
        "end_at": None,
    }
    return {**written, **changed}


def bundle(
    *experiments: Document, layers: Sequence[Document] = (), holdouts: Sequence[Document] = (), version: int = 7
) -> Document:
    """A whole document; layer homepage unless layers are given."""
    return {
        "schema": "bundle.v1",
        "config_version": version,
        "layers": list(layers) or [layer()],
        "holdouts": list(holdouts),
        "experiments": list(experiments),
    }
