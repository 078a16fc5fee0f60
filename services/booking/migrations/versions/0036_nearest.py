"""Kinds by where they are, and those of a speciality in the order of their agendas: `$soonest` looks in circles that grow by the
one, and by the other from a later day on."""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_found_by_place": "found_by USING gist (point(longitude, latitude))",
    "ix_found_in_specialty": "found_in (specialty, schedule_key, kind_key)",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, on in INDEXES.items():
            op.execute(f"DROP INDEX IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {on}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
