"""The roles of a professional, by whom they are of: an appointment may name the person alone"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

INDEX = "ix_directory_fact_practitioner"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX IF EXISTS {INDEX}")
        op.execute(f"CREATE INDEX CONCURRENTLY {INDEX} ON directory_fact (practitioner)")


def downgrade() -> None:
    op.execute(f"DROP INDEX {INDEX}")
