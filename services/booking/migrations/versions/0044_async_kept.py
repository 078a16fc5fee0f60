"""Asynchronous requests by the account that asked, answered ones too: what is kept for one account is counted"""

from __future__ import annotations

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_async_request_subject")
        op.execute("CREATE INDEX CONCURRENTLY ix_async_request_subject ON async_request (issuer, subject)")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_async_request_owner")


def downgrade() -> None:
    op.execute(
        "CREATE INDEX ix_async_request_owner ON async_request (issuer, subject) WHERE finished_at IS NULL"
    )
    op.execute("DROP INDEX ix_async_request_subject")
