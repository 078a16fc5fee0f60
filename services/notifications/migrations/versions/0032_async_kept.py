"""Asynchronous requests by the account that asked, answered ones too: what is kept for one account is counted.
Two tables say what is in them."""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

COMMENTS = (
    (
        "contact_code_sent",
        "When codes were sent to a letter box (a keyed hash), as far as it counts.",
        "When codes were sent to a letter box, or asked for from a network (keyed hashes), as far as it counts.",
    ),
    (
        "address_confirmation",
        "The owner of the address (a keyed hash) has said that messages for the recipient are for them.",
        "The owner of the address (a keyed hash) has said that messages for the recipient are for them; and when, as proof.",
    ),
)


def upgrade() -> None:
    for table, before, after in COMMENTS:
        op.create_table_comment(table, after, existing_comment=before)
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_async_request_subject")
        op.execute("CREATE INDEX CONCURRENTLY ix_async_request_subject ON async_request (issuer, subject)")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_async_request_owner")


def downgrade() -> None:
    for table, before, after in COMMENTS:
        op.create_table_comment(table, before, existing_comment=after)
    op.execute(
        "CREATE INDEX ix_async_request_owner ON async_request (issuer, subject) WHERE finished_at IS NULL"
    )
    op.execute("DROP INDEX ix_async_request_subject")
