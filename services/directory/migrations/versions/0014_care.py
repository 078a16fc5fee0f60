"""People's search: an index of situations, the words of names, and what is still to be entered"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "care_situation",
        sa.Column("role", sa.Text(collation="C"), nullable=False),
        sa.Column("practitioner", sa.Text(collation="C"), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), nullable=False),
        sa.Column("facets", sa.ARRAY(sa.Text(collation="C")), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_care_situation")),
    )
    op.create_index(
        "ix_care_situation_terms",
        "care_situation",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "care_name",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("heard", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_care_name")),
    )
    op.create_index(op.f("ix_care_name_heard"), "care_name", ["heard"], unique=False)
    op.create_index(
        "ix_care_name_trigram",
        "care_name",
        ["name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.create_table(
        "care_due",
        sa.Column("role", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_care_due")),
    )
    # What is there already is entered by the worker.
    op.execute("INSERT INTO care_due (role) SELECT id FROM practitioner_role WHERE NOT deleted")


def downgrade() -> None:
    op.drop_table("care_due")
    op.drop_table("care_name")
    op.drop_table("care_situation")
