"""The accounts that act for somebody, by whom they act for: senders ask whether any does still"""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

INDEX = "ix_account_person_patient"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX IF EXISTS {INDEX}")
        op.execute(f"CREATE INDEX CONCURRENTLY {INDEX} ON account_person (patient)")


def downgrade() -> None:
    op.execute(f"DROP INDEX {INDEX}")
