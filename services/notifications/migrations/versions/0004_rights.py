"""Whose each Communication and each superseded version of it is"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "resource_history",
        sa.Column(
            "compartment",
            sa.ARRAY(sa.Text(collation="C")),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.execute(
        "UPDATE resource_history AS past SET compartment = ARRAY(SELECT t FROM unnest(communication.terms) AS t"
        " WHERE starts_with(t, 'subject=') OR starts_with(t, 'recipient='))"
        " FROM communication WHERE past.resource_type = 'Communication' AND communication.id = past.id"
    )


def downgrade() -> None:
    op.drop_column("resource_history", "compartment")
