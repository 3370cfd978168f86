"""The registry: definitions and their versions, phases, the audit chain, published snapshots, dated events.

SQLite (WAL) by default, PostgreSQL by URL; the schema is brought up to date whenever a store is opened.
"""

from experiments.store.registry import Store
from experiments.store.values import (
    AuditRow,
    Decision,
    DecisionCode,
    Event,
    LiveItem,
    Measure,
    Registered,
    Running,
    Snapshot,
    SnapshotHead,
    Standing,
    State,
    Token,
)

__all__ = [
    "AuditRow",
    "Decision",
    "DecisionCode",
    "Event",
    "LiveItem",
    "Measure",
    "Registered",
    "Running",
    "Snapshot",
    "SnapshotHead",
    "Standing",
    "State",
    "Store",
    "Token",
]
