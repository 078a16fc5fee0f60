"""Calendars elsewhere that are read over CalDAV: with what, where they are, in what state they were read, and what was wrong."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

TABLE = "external_calendar"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("credentials", sa.Text(), nullable=True))
    op.add_column(
        TABLE, sa.Column("homes", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False)
    )
    op.add_column(TABLE, sa.Column("state", sa.Text(), nullable=True))
    op.add_column(TABLE, sa.Column("busy", postgresql.TSTZMULTIRANGE(), nullable=True))
    op.add_column(TABLE, sa.Column("busy_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(TABLE, sa.Column("problem", sa.Text(), nullable=True))
    op.execute(f"UPDATE {TABLE} SET problem = 'not-reached' WHERE failing_since IS NOT NULL")


def downgrade() -> None:
    # Without its password a calendar cannot be read; nobody stays busy because of it for ever.
    op.execute(
        "DELETE FROM occupancy WHERE appointment_id IN"
        f" (SELECT 'calendar:' || schedule FROM {TABLE} WHERE credentials IS NOT NULL)"
    )
    op.execute(f"DELETE FROM {TABLE} WHERE credentials IS NOT NULL")
    for name in ("credentials", "homes", "state", "busy", "busy_until", "problem"):
        op.drop_column(TABLE, name)
