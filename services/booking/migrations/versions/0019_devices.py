"""Devices, and postal codes in one spelling"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

WITH_ADDRESS = ("organization", "location", "practitioner", "patient", "related_person")


def upgrade() -> None:
    op.create_table(
        "device",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("words", TSVECTOR(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_device_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
        sa.UniqueConstraint("key", name=op.f("uq_device_key")),
    )
    op.create_index("ix_device_last_updated", "device", ["last_updated", "key"], unique=False)
    for column, limit_kb in (("terms", 256), ("words", 1024)):
        op.create_index(
            f"ix_device_{column}",
            "device",
            [column],
            unique=False,
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": limit_kb},
        )
    op.create_table(
        "device_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_device_string_key"), "device_string", ["key"], unique=False)
    op.create_index(
        "ix_device_string_trigram",
        "device_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_device_string_value",
        "device_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    for table in WITH_ADDRESS:
        op.execute(
            f"UPDATE {table}_string SET value = regexp_replace(value, '[^0-9]', '', 'g')"
            " WHERE parameter IN ('address', 'address-postalcode') AND value ~ '^(fr?a? )?[0-9]{2} ?[0-9]{3}$'"
        )


def downgrade() -> None:
    op.drop_table("device_string")
    op.drop_table("device")
