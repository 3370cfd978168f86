"""What the catalogue says of items now: stock and price, shared by every worker of a service."""

import sqlalchemy as sa
from alembic import op

from experiments.store.tables import Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "live_items",
        sa.Column("item_id", sa.String(256), primary_key=True),
        sa.Column("stock", sa.Integer),
        sa.Column("stock_since", Instant),
        sa.Column("price", sa.BigInteger),
        sa.Column("price_since", Instant),
        sa.Column("valid_from", Instant, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
    )
    op.create_index("live_items_by_number", "live_items", ["number"])
