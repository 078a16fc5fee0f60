"""Provenance"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SHORT_LIST = {"gin_pending_list_limit": 256}


def upgrade() -> None:
    op.create_table(
        "provenance",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("words", TSVECTOR(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_provenance_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provenance")),
        sa.UniqueConstraint("key", name=op.f("uq_provenance_key")),
    )
    op.create_index("ix_provenance_last_updated", "provenance", ["last_updated", "key"], unique=False)
    for column in ("terms", "words"):
        op.create_index(
            f"ix_provenance_{column}",
            "provenance",
            [column],
            unique=False,
            postgresql_using="gin",
            postgresql_with=SHORT_LIST,
        )
    op.create_table(
        "provenance_date",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("low", sa.DateTime(timezone=True), nullable=False),
        sa.Column("high", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(op.f("ix_provenance_date_key"), "provenance_date", ["key"], unique=False)
    op.create_index("ix_provenance_date_low", "provenance_date", ["parameter", "low", "key"], unique=False)
    op.create_index("ix_provenance_date_high", "provenance_date", ["parameter", "high", "key"], unique=False)
    op.create_table(
        "provenance_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_provenance_string_key"), "provenance_string", ["key"], unique=False)
    op.create_index(
        "ix_provenance_string_trigram",
        "provenance_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with=SHORT_LIST,
    )
    op.create_index(
        "ix_provenance_string_value",
        "provenance_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )


def downgrade() -> None:
    for table in ("provenance_string", "provenance_date", "provenance"):
        op.drop_table(table)
