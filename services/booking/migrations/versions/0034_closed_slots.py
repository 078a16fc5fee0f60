"""What a closure has blocked of the slots that software has pushed, to be free again when it is taken back."""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE agenda_closed_slot (schedule_key bigint NOT NULL, start timestamptz NOT NULL, id uuid NOT NULL,"
        " PRIMARY KEY (schedule_key, start, id))"
    )


def downgrade() -> None:
    op.execute("DROP TABLE agenda_closed_slot")
