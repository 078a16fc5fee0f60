"""Room on the pages of slots for what is booked, and no index of event ids.

A claim that finds room on its slot's page leaves the slot's indexes alone. Pages that are full by now stay as they are;
those of months to come have room. Nobody looks an event up by its id.
"""

from __future__ import annotations

from alembic import op

from creneau_shared.database.partitioning import MAKE

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

FILLFACTOR = 90
_PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'slot'::regclass"


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql  # as it is: a colon is no parameter
    execute(MAKE)
    for partition in execute(_PARTITIONS).scalars().all():
        execute(f"ALTER TABLE {partition} SET (fillfactor = {FILLFACTOR})")
    op.execute("ALTER TABLE outbox DROP CONSTRAINT IF EXISTS uq_outbox_event_id")


def downgrade() -> None:
    op.create_unique_constraint("uq_outbox_event_id", "outbox", ["event_id"])
    execute = op.get_bind().exec_driver_sql
    for partition in execute(_PARTITIONS).scalars().all():
        execute(f"ALTER TABLE {partition} RESET (fillfactor)")
