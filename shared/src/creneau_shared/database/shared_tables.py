"""Tables that several services have, as migrations make them: each function is frozen once a migration calls it.

A change to such a table is another function, called by a new migration of every service that has it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def v1_rebuild() -> None:
    """Creates `rebuild` and `rebuild_key`: how far the rebuild of a replica has got, and the keys found for it."""
    op.create_table(
        "rebuild",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("consumer", "topic", "partition", name="pk_rebuild"),
    )
    op.create_table(
        "rebuild_key",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "key", name="pk_rebuild_key"),
    )


def v1_dead_letter() -> None:
    """Creates `dead_letter`: the dead letters and their state."""
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("dead_offset", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("buried_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letter"),
    )
    op.create_index(
        "ix_dead_letter_waiting",
        "dead_letter",
        ["buried_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )


def v1_dead_letter_dropped() -> None:
    op.drop_table("dead_letter")


def v1_rebuild_dropped() -> None:
    op.drop_table("rebuild_key")
    op.drop_table("rebuild")
