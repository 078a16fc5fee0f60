"""The waiting list: who waits for what, by which key they are found, and what they were offered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def _texts(name: str) -> sa.Column:
    return sa.Column(name, sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "waiting",
        sa.Column("appointment_id", sa.Text(collation="C"), nullable=False),
        sa.Column("patient", sa.Text(collation="C"), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offered", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("periods", postgresql.TSTZMULTIRANGE(), nullable=True),
        *map(_texts, ("times", "agendas", "people", "services", "places", "specialties", "visit")),
        sa.Column("slots", sa.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("radius_m", sa.Double(), nullable=True),
        sa.Column("wish", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("appointment_id", name="pk_waiting"),
        sa.ForeignKeyConstraint(
            ["appointment_id"],
            ["appointment.id"],
            name="fk_waiting_appointment_id_appointment",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "waiting_key",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("place", sa.Text(collation="C"), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("appointment_id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("key", "place", "rank", "since", "appointment_id", name="pk_waiting_key"),
        sa.ForeignKeyConstraint(
            ["appointment_id"],
            ["waiting.appointment_id"],
            name="fk_waiting_key_appointment_id_waiting",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_waiting_key_appointment_id", "waiting_key", ["appointment_id"])
    op.create_table(
        "waiting_offer",
        sa.Column("appointment_id", sa.Text(collation="C"), nullable=False),
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("appointment_id", "slot", name="pk_waiting_offer"),
        sa.ForeignKeyConstraint(
            ["appointment_id"],
            ["appointment.id"],
            name="fk_waiting_offer_appointment_id_appointment",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table("waiting_offer")
    op.drop_table("waiting_key")
    op.drop_table("waiting")
