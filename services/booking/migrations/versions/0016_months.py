"""The trail and superseded versions are partitioned by month; months are made and dropped by functions of the owner.

`make_slot_partition` and `drop_slot_partition` stay until no process of the version before is left.
"""

from __future__ import annotations

from dataclasses import replace

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

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

OWN_HISTORY = replace(
    HISTORY,
    indexes={
        **HISTORY.indexes,
        "ix_resource_history_compartment": "USING gin (compartment) WITH (gin_pending_list_limit = 256)",
    },
)


def upgrade() -> None:
    make_functions()
    add_superseded_at()
    partition(AUDIT, OWN_HISTORY)
    refuse_deletes(AUDIT)


def downgrade() -> None:
    join_together(OWN_HISTORY)
    join_together(AUDIT)
    op.drop_column("resource_history", "superseded_at")
    drop_functions()
