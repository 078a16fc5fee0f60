"""For whom each account acts: a replica of what booking knows"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_person",
        sa.Column("account", sa.Text(collation="C"), nullable=False),
        sa.Column("patient", sa.Text(collation="C"), nullable=False),
        sa.Column("may", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("oneself", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("account", "patient", name=op.f("pk_account_person")),
        comment="Replica: for which Patients (ids) an account, known by a digest alone, acts, from when until when.",
    )


def downgrade() -> None:
    op.drop_table("account_person")
