"""Whose each entry is; what organisations delegate to each other; keys of idempotency by account and client"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

AFFILIATION = "organization_affiliation"
OWNED = ("location", "healthcare_service", "practitioner_role", "endpoint")
START = "organization=Organization/"


def upgrade() -> None:
    resource_table(AFFILIATION)
    op.add_column(
        "resource_history",
        sa.Column(
            "compartment",
            sa.ARRAY(sa.Text(collation="C")),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    rekey_idempotency()
    op.execute("UPDATE organization SET terms = terms || ('~owner=Organization/' || id) WHERE NOT deleted")
    op.execute(
        "UPDATE organization SET terms = terms || ARRAY(SELECT '~owner=Organization/' || substr(t, 21)"
        " FROM unnest(terms) AS t WHERE starts_with(t, 'partof=Organization/')) WHERE NOT deleted"
    )
    for table in OWNED:
        op.execute(
            f"UPDATE {table} SET terms = terms || ARRAY(SELECT '~owner=Organization/' || substr(t, {len(START) + 1})"
            f" FROM unnest(terms) AS t WHERE starts_with(t, '{START}')) WHERE NOT deleted"
        )


def downgrade() -> None:
    for table in ("organization", *OWNED):
        op.execute(
            f"UPDATE {table} SET terms = ARRAY(SELECT t FROM unnest(terms) AS t WHERE NOT starts_with(t, '~'))"
        )
    op.execute("DELETE FROM idempotency")
    op.drop_constraint("pk_idempotency", "idempotency")
    op.create_primary_key("pk_idempotency", "idempotency", ["subject", "key"])
    op.drop_column("idempotency", "client")
    op.drop_column("idempotency", "issuer")
    op.drop_column("resource_history", "compartment")
    for suffix in ("_string", "_date", ""):
        op.drop_table(f"{AFFILIATION}{suffix}")


def rekey_idempotency() -> None:
    """Answers that were kept under a subject alone are nobody's: they live for two days, and are forgotten now."""
    op.execute("DELETE FROM idempotency")
    op.add_column("idempotency", sa.Column("issuer", sa.Text(), nullable=False))
    op.add_column("idempotency", sa.Column("client", sa.Text(), nullable=False))
    op.drop_constraint("pk_idempotency", "idempotency")
    op.create_primary_key("pk_idempotency", "idempotency", ["issuer", "subject", "client", "key"])


def resource_table(name: str) -> None:
    """The tables of a type with terms, strings and dates."""
    op.create_table(
        name,
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("words", TSVECTOR(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f(f"ck_{name}_content")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sa.UniqueConstraint("key", name=op.f(f"uq_{name}_key")),
    )
    op.create_index(f"ix_{name}_last_updated", name, ["last_updated", "key"], unique=False)
    for column, limit_kb in (("terms", 256), ("words", 1024)):
        op.create_index(
            f"ix_{name}_{column}",
            name,
            [column],
            unique=False,
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": limit_kb},
        )
    op.create_table(
        f"{name}_date",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("low", sa.DateTime(timezone=True), nullable=False),
        sa.Column("high", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(op.f(f"ix_{name}_date_key"), f"{name}_date", ["key"], unique=False)
    for column in ("low", "high"):
        op.create_index(
            f"ix_{name}_date_{column}", f"{name}_date", ["parameter", column, "key"], unique=False
        )
    op.create_table(
        f"{name}_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f(f"ix_{name}_string_key"), f"{name}_string", ["key"], unique=False)
    op.create_index(
        f"ix_{name}_string_trigram",
        f"{name}_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        f"ix_{name}_string_value",
        f"{name}_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
