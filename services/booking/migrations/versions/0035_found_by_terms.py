"""Kinds by what they are found by, and the agendas that are closed: `$soonest` gathers by the one, and leaves out the other."""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_found_by_terms": "found_by USING gin (terms) WITH (fastupdate = off)",
    "ix_agenda_closed": "agenda (schedule_key) WHERE NOT open",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, on in INDEXES.items():
            op.execute(f"DROP INDEX IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {on}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
