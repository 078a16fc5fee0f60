"""Appointments without a start, by their last change: what is past keeping of them is found whatever their status."""

from __future__ import annotations

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

# Declared immutable, which the encoding of a database is: an index asks for it.
_IS_UNDATED = """
CREATE OR REPLACE FUNCTION is_undated(content bytea) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  RETURN (convert_from(content, 'UTF8')::jsonb -> 'start') IS NULL;
END $$
"""


def upgrade() -> None:
    op.execute(_IS_UNDATED)
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX IF EXISTS ix_appointment_undated")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_appointment_undated ON appointment (last_updated) WHERE is_undated(content)"
        )


def downgrade() -> None:
    op.execute("DROP INDEX ix_appointment_undated")
    op.execute("DROP FUNCTION is_undated")
