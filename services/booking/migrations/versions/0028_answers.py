"""What a practice confirms: agendas that ask for it, and appointments that wait for the answer beside the holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

RULES = ("confirmation_required", "referral_required", "known_patients_only")


def upgrade() -> None:
    op.add_column("hold", sa.Column("confirmation", sa.Text(), nullable=True))
    for rule in RULES:
        op.add_column("agenda", sa.Column(rule, sa.Boolean(), nullable=True))


def downgrade() -> None:
    for rule in RULES:
        op.drop_column("agenda", rule)
    op.drop_column("hold", "confirmation")
