"""The trail and superseded versions are partitioned by month; months are made and dropped by functions of the owner"""

from __future__ import annotations

from alembic import op

from creneau_shared.database.partitioning import (
    AUDIT,
    HISTORY,
    add_superseded_at,
    drop_functions,
    join_together,
    make_functions,
    partition,
    refuse_deletes,
)

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    make_functions()
    add_superseded_at()
    partition(AUDIT, HISTORY)
    refuse_deletes(AUDIT)


def downgrade() -> None:
    join_together(HISTORY)
    join_together(AUDIT)
    op.drop_column("resource_history", "superseded_at")
    drop_functions()
