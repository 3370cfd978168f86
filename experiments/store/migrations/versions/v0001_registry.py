"""The registry's first tables."""

import sqlalchemy as sa
from alembic import op

from experiments.store.tables import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and let nobody change an audit row."""
    op.create_table(
        "experiments",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
    )
    op.create_table(
        "definitions",
        sa.Column("experiment_key", sa.String(64), sa.ForeignKey("experiments.key"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("registered_at", Instant, nullable=False),
    )
    op.create_table(
        "phases",
        sa.Column("experiment_key", sa.String(64), sa.ForeignKey("experiments.key"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("definition_version", sa.Integer, nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("frozen_at", Instant, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("experiment_key", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("previous", sa.String(64), nullable=False, unique=True),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
    )
    op.create_table(
        "snapshots",
        sa.Column("snapshot_id", sa.String(64), primary_key=True),
        sa.Column("experiment_key", sa.String(64), nullable=False),
        sa.Column("phase", sa.Integer, nullable=False),
        sa.Column("as_of", Instant, nullable=False),
        sa.Column("published_at", Instant, nullable=False),
        sa.Column("supersedes", sa.String(64)),
        sa.Column("schema", sa.String(32), nullable=False),
        sa.Column("verdict", sa.String(32), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "snapshots_newest_first", "snapshots", ["experiment_key", "phase", sa.literal_column("published_at desc")]
    )
    op.create_table(
        "moments",
        sa.Column("snapshot_id", sa.String(64), sa.ForeignKey("snapshots.snapshot_id"), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("experiment_key", sa.String(64), primary_key=True),
        sa.Column("phase", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("metric", sa.String(64), primary_key=True),
        sa.Column("arm", sa.String(64), primary_key=True),
        sa.Column("at", Instant, primary_key=True),
        sa.Column("recorded_at", Instant, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    for statement in _append_only(op.get_bind().dialect.name):
        op.execute(statement)


def _append_only(dialect: str) -> tuple[str, ...]:
    if dialect == "sqlite":
        refuse = "begin select raise(abort, 'the audit is append-only'); end"
        return tuple(
            f"create trigger audit_no_{change} before {change} on audit {refuse}" for change in ("update", "delete")
        )
    return (
        """create function refuse_audit_change() returns trigger language plpgsql as
        $$ begin raise exception 'the audit is append-only'; end $$""",
        """create trigger audit_no_change before update or delete or truncate on audit
        for each statement execute function refuse_audit_change()""",
    )
