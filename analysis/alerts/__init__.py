"""Alerts in money: when losing it is worth waking someone. ALERTS, docs/alerts.md.

buckets, looks, traffic ─▶ evaluate ─▶ severity, evidence ─▶ lifecycle ─▶ incidents ─▶ notices ─▶ channels
  (published by the warehouse)    pure, one unit of work at a time              (one transaction)     (outbox)
"""
