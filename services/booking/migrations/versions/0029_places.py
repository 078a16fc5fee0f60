"""Slots with several places: how many a kind of slot has, how many are left of one, and who has them; and series.

How many is said by the agenda or by the slot, and kept with the kind, as everything that slots of an agenda share. A
trigger keeps it, so that a process of the version before, which knows nothing of it, writes no kind without.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

OF_KIND = """CREATE FUNCTION keep_kind_capacity() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('places of ' || NEW.schedule_key, 0));
  NEW.capacity := nullif(coalesce(NEW.own_capacity,
    (SELECT agenda.capacity FROM agenda WHERE agenda.schedule_key = NEW.schedule_key)), 1);
  RETURN NEW;
END
$$"""
OF_AGENDA = """CREATE FUNCTION keep_agenda_capacity() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('places of ' || NEW.schedule_key, 0));
  UPDATE slot_kind SET capacity = nullif(coalesce(own_capacity, NEW.capacity), 1)
  WHERE schedule_key = NEW.schedule_key AND own_capacity IS NULL;
  RETURN NULL;
END
$$"""
TRIGGERS = (
    OF_KIND,
    OF_AGENDA,
    "CREATE TRIGGER keep_kind_capacity BEFORE INSERT ON slot_kind"
    " FOR EACH ROW EXECUTE FUNCTION keep_kind_capacity()",
    "CREATE TRIGGER keep_agenda_capacity AFTER UPDATE OF capacity ON agenda"
    " FOR EACH ROW WHEN (OLD.capacity IS DISTINCT FROM NEW.capacity) EXECUTE FUNCTION keep_agenda_capacity()",
)
# The number of places left is served among the extensions, which stand first so that it can be put before them.
EXTENSIONS_FIRST = """UPDATE slot_kind SET members = (
  SELECT string_agg(to_json(part.key)::text || ':' || part.value::text, ',' ORDER BY part.key <> 'extension', part.place)
  FROM json_each(('{' || members || '}')::json) WITH ORDINALITY AS part (key, value, place))
WHERE members LIKE '%"extension":%' AND NOT starts_with(members, '"extension":[')
  AND ('{' || members || '}')::jsonb ? 'extension'"""


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql  # as it is: a colon is no parameter
    op.add_column("agenda", sa.Column("capacity", sa.SmallInteger(), nullable=True))
    op.add_column("agenda", sa.Column("parts", sa.Boolean(), nullable=True))
    op.add_column("agenda", sa.Column("adjacent_max", sa.SmallInteger(), nullable=True))
    op.add_column("slot_kind", sa.Column("own_capacity", sa.SmallInteger(), nullable=True))
    op.add_column("slot_kind", sa.Column("capacity", sa.SmallInteger(), nullable=True))
    op.add_column("slot", sa.Column("places", sa.SmallInteger(), nullable=True))
    op.add_column("slot_history", sa.Column("places", sa.SmallInteger(), nullable=True))
    # What is there has no places: nothing of it need be looked through.
    execute("ALTER TABLE slot DROP CONSTRAINT ck_slot_taken")
    execute(
        "ALTER TABLE slot ADD CONSTRAINT ck_slot_taken CHECK (taken_by IS NULL OR places IS NOT NULL"
        " OR status IN ('busy', 'busy-tentative')) NOT VALID"
    )
    execute(
        "ALTER TABLE slot ADD CONSTRAINT ck_slot_places"
        " CHECK (places IS NULL OR (places >= 0 AND taken_by IS NOT NULL)) NOT VALID"
    )
    op.create_table(
        "slot_place",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("person", sa.Text(collation="C"), nullable=False),
        sa.Column("appointment_id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("slot_id", "person", name=op.f("pk_slot_place")),
    )
    op.create_index(op.f("ix_slot_place_appointment_id"), "slot_place", ["appointment_id"], unique=False)
    op.create_table(
        "appointment_series",
        sa.Column("series", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("appointment_id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("series", "number", name=op.f("pk_appointment_series")),
        sa.UniqueConstraint("appointment_id", name=op.f("uq_appointment_series_appointment_id")),
    )
    execute(EXTENSIONS_FIRST)
    for statement in TRIGGERS:
        execute(statement)


def downgrade() -> None:
    for table, name in (("slot_kind", "kind"), ("agenda", "agenda")):
        op.execute(f"DROP TRIGGER keep_{name}_capacity ON {table}")
        op.execute(f"DROP FUNCTION keep_{name}_capacity()")
    op.drop_table("appointment_series")
    op.drop_table("slot_place")
    op.execute("ALTER TABLE slot DROP CONSTRAINT ck_slot_places")
    op.execute("ALTER TABLE slot DROP CONSTRAINT ck_slot_taken")
    for table, column in (
        ("slot_history", "places"),
        ("slot", "places"),
        ("slot_kind", "capacity"),
        ("slot_kind", "own_capacity"),
        ("agenda", "adjacent_max"),
        ("agenda", "parts"),
        ("agenda", "capacity"),
    ):
        op.drop_column(table, column)
    op.execute(
        "ALTER TABLE slot ADD CONSTRAINT ck_slot_taken"
        " CHECK (taken_by IS NULL OR status IN ('busy', 'busy-tentative')) NOT VALID"
    )
