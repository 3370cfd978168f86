"""The registry: definitions and their versions, phases, the audit chain, published snapshots, dated events.

SQLite (WAL) by default, PostgreSQL by URL; the schema is brought up to date whenever a store is opened.
"""

from experiments.store.registry import Store
from experiments.store.values import AuditRow, Event, Registered, Snapshot, SnapshotHead

__all__ = ["AuditRow", "Event", "Registered", "Snapshot", "SnapshotHead", "Store"]
