"""What truelift's own assignment adds: what is live beside a phase, layers and holdouts, salts, tokens."""

import sqlalchemy as sa
from alembic import op

from experiments.store.tables import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and tables; what is there keeps its meaning."""
    op.add_column("experiments", sa.Column("revision", sa.Integer, nullable=False, server_default="0"))
    own = "from audit where experiment_key = experiments.key and action <> 'stop_closed'"
    # what each was changed so far, after it was registered
    op.execute(f"update experiments set revision = (select count(*) - 1 {own}) where exists (select 1 {own})")
    op.add_column("experiments", sa.Column("ordinal", sa.Integer, nullable=False, server_default="0"))
    op.add_column("experiments", sa.Column("killed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("experiments", sa.Column("decision", sa.Text))
    op.add_column("phases", sa.Column("live", sa.Text, nullable=False, server_default="{}"))
    op.create_table(
        "ground",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("registered_at", Instant, nullable=False),
    )
    op.create_table(
        "salts",
        sa.Column("salt", sa.String(96), primary_key=True),
        sa.Column("owner", sa.String(96), nullable=False),
        sa.Column("claimed_at", Instant, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("token_id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("expires_at", Instant),
        sa.Column("revoked_at", Instant),
    )
