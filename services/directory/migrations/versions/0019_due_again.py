"""What is put down for people's search is a row each time, so that a change that has not committed yet is no longer lost in
the row of an earlier one; a process of before goes on as it did, its `ON CONFLICT DO NOTHING` never meeting any.
"""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE care_due ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY, DROP CONSTRAINT pk_care_due,"
        " ADD CONSTRAINT pk_care_due PRIMARY KEY (role, id)"
    )


def downgrade() -> None:
    op.execute(
        "DELETE FROM care_due AS again USING care_due AS first WHERE again.role = first.role AND again.id > first.id"
    )
    op.execute(
        "ALTER TABLE care_due DROP CONSTRAINT pk_care_due, DROP COLUMN id, ADD CONSTRAINT pk_care_due PRIMARY KEY (role)"
    )
