"""Kinds by where they are: `$soonest` in the order of distance looks in circles that grow."""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX IF EXISTS ix_found_by_place")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_found_by_place ON found_by USING gist (point(longitude, latitude))"
        )


def downgrade() -> None:
    op.execute("DROP INDEX ix_found_by_place")
