"""What an operator watches: which software publishes agendas, and which events could not be handled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from creneau_shared.database.shared_tables import v1_dead_letter, v1_dead_letter_dropped

revision = "0025"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    v1_dead_letter()
    op.create_table(
        "feed",
        sa.Column("client", sa.Text(collation="C"), nullable=False),
        sa.Column("organization", sa.Text(collation="C"), server_default=sa.text("''"), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("client", "organization", name="pk_feed"),
    )


def downgrade() -> None:
    op.drop_table("feed")
    v1_dead_letter_dropped()
