"""Names of people, organisations and places, and their addresses, are found by any of their words"""

from __future__ import annotations

from alembic import op

from creneau_shared.fhir.storage.names_backfill import backfill, undo

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = ("healthcare_service", "location", "organization", "practitioner")


def upgrade() -> None:
    for table in TABLES:
        op.execute(backfill(table))


def downgrade() -> None:
    for table in TABLES:
        op.execute(undo(table))
