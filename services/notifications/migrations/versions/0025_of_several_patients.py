"""A visit of several patients is told to each of them"""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

INDEX = "ix_appointment_state_others"


def upgrade() -> None:
    op.execute("ALTER TABLE appointment_state ADD COLUMN IF NOT EXISTS others text[] NOT NULL DEFAULT '{}'")
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX IF EXISTS {INDEX}")
        op.execute(
            f"CREATE INDEX CONCURRENTLY {INDEX} ON appointment_state USING gin (others) WHERE others <> '{{}}'"
        )


def downgrade() -> None:
    op.execute(f"DROP INDEX IF EXISTS {INDEX}")
    op.drop_column("appointment_state", "others")
