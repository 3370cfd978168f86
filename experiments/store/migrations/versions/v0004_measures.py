"""What was measured for the alerts, a bucket of time at a time."""

import sqlalchemy as sa
from alembic import op

from experiments.store.tables import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "measures",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("place", sa.String(512), primary_key=True),
        sa.Column("minutes", sa.Integer, primary_key=True),
        sa.Column("ended_at", Instant, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("published_at", Instant, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("measures_by_publication", "measures", ["kind", "minutes", "published_at"])
