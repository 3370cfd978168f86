"""What the alerts remember between two runs."""

import sqlalchemy as sa
from alembic import op

from experiments.store.tables import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "alert_units",
        sa.Column("fingerprint", sa.String(16), primary_key=True),
        sa.Column("at", Instant, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("evaluation", sa.Text, nullable=False),
        sa.Column("detector", sa.Text),
    )
    op.create_index("alert_units_by_end", "alert_units", ["at"])
    op.create_table(
        "alert_baselines",
        sa.Column("fingerprint", sa.String(16), primary_key=True),
        sa.Column("change_at", Instant, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "alert_standing",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("seen", Instant),
    )
    op.create_table(
        "alert_acts",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "alert_outbox",
        sa.Column("incident", sa.String(64), primary_key=True),
        sa.Column("transition", sa.String(64), primary_key=True),
        sa.Column("channel", sa.String(128), primary_key=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("notice", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("payload", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("done_at", Instant),
    )
    op.create_index("alert_outbox_by_state", "alert_outbox", ["state", "number"])
    op.create_table(
        "alert_runs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("as_of", Instant, nullable=False),
        sa.Column("finished_at", Instant),
        sa.Column("code", sa.Integer),
        sa.Column("body", sa.Text, nullable=False),
    )
