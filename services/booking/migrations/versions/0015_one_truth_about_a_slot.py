"""A slot says who has it and what its agenda says; agendas say whether they are open; the agenda is in every slot's key"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

NAMESPACE = UUID("6f0b9d0e-5d0c-5f6e-9c61-1d5c7a1f3b52")
STATUS = postgresql.ENUM(name="slot_status", create_type=False)
KEY = """CASE WHEN {id} ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$' THEN {id}::uuid
  ELSE encode(substr(sha256(convert_to({id}, 'UTF8')), 1, 16), 'hex')::uuid END"""
TAKING = "ARRAY['status=booked', 'status=pending', 'status=arrived', 'status=checked-in', 'status=fulfilled', 'status=noshow']"
ROOM = """convert_from(place.content, 'UTF8')::jsonb @? '$.physicalType.coding[*] ?
  (@.system == "http://terminology.hl7.org/CodeSystem/location-physical-type" && (@.code == "ro" || @.code == "bd"))'"""
INACTIVE = "({row}.deleted OR {row}.terms && ARRAY['active=false', 'status=inactive', 'status=suspended'])"

NAMED = """CREATE TEMPORARY TABLE named ON COMMIT DROP AS
SELECT schedule.key, split_part(substr(t, 7), '/', 1) AS type, split_part(substr(t, 7), '/', 2) AS id
FROM schedule, unnest(schedule.terms) AS t WHERE t ~ '^actor=[A-Za-z]+/[^/]+$'"""
GONE = f"""CREATE TEMPORARY TABLE gone ON COMMIT DROP AS
SELECT 'Practitioner' AS type, id FROM practitioner WHERE {INACTIVE.format(row="practitioner")}
UNION ALL SELECT 'Organization', id FROM organization WHERE {INACTIVE.format(row="organization")}
UNION ALL SELECT 'PractitionerRole', id FROM practitioner_role AS role WHERE {INACTIVE.format(row="role")}
UNION ALL SELECT 'HealthcareService', id FROM healthcare_service AS offer WHERE {INACTIVE.format(row="offer")}
UNION ALL SELECT 'Location', id FROM location AS place WHERE {INACTIVE.format(row="place")}"""
GONE_WITH = """INSERT INTO gone
SELECT of.type, of.id FROM (
  SELECT 'PractitionerRole' AS type, id, terms FROM practitioner_role
  UNION ALL SELECT 'HealthcareService', id, terms FROM healthcare_service
  UNION ALL SELECT 'Location', id, terms FROM location
) AS of JOIN LATERAL unnest(of.terms) AS t ON t ~ '^(organization|practitioner)='
JOIN gone ON t IN ('organization=Organization/' || gone.id, 'practitioner=Practitioner/' || gone.id)
  AND gone.type IN ('Organization', 'Practitioner')"""
STATE = """UPDATE agenda SET open = state.open, horizon_start = state.first, horizon_end = state.last
FROM (
  SELECT schedule.key,
    NOT schedule.deleted AND NOT schedule.terms @> ARRAY['active=false']
      AND NOT EXISTS (SELECT FROM named JOIN gone USING (type, id) WHERE named.key = schedule.key) AS open,
    coalesce(max(period.low), '-infinity') AS first, coalesce(min(period.high), 'infinity') AS last
  FROM schedule LEFT JOIN (
    SELECT key, low, high FROM schedule_date WHERE parameter = 'date'
    UNION ALL
    SELECT named.key, within.low, within.high FROM named
    JOIN practitioner_role AS role ON named.type = 'PractitionerRole' AND role.id = named.id
    JOIN practitioner_role_date AS within ON within.key = role.key AND within.parameter = 'date'
  ) AS period USING (key)
  GROUP BY schedule.key, schedule.deleted, schedule.terms
) AS state WHERE state.key = agenda.schedule_key"""
ACTORS = f"""INSERT INTO agenda_actor (schedule_key, actor)
SELECT key, type || '/' || id FROM named WHERE type IN ('Practitioner', 'Device')
UNION SELECT named.key, substr(t, 14) FROM named
  JOIN practitioner_role AS role ON named.type = 'PractitionerRole' AND role.id = named.id
  CROSS JOIN LATERAL unnest(role.terms) AS t WHERE starts_with(t, 'practitioner=Practitioner/')
UNION SELECT named.key, 'Location/' || place.id FROM named
  JOIN location AS place ON named.type = 'Location' AND place.id = named.id
  WHERE place.content IS NOT NULL AND {ROOM}"""
TAKEN = f"""CREATE TEMPORARY TABLE taken ON COMMIT DROP AS
SELECT DISTINCT ON (slot) {KEY.format(id="substr(t, 11)")} AS slot, appointment.id, appointment.key
FROM appointment JOIN LATERAL unnest(appointment.terms) AS t ON starts_with(t, 'slot=Slot/')
WHERE NOT appointment.deleted AND appointment.terms && {TAKING}
ORDER BY slot, appointment.last_updated DESC"""
SLOTS = f"""UPDATE slot SET id = {KEY.format(id="coalesce(slot.name, slot.id::text)")},
  said = CASE WHEN taken.id IS NOT NULL AND slot.status IN ('busy', 'busy-tentative') THEN 'free' ELSE slot.status END,
  taken_by = CASE WHEN slot.status IN ('busy', 'busy-tentative') THEN taken.id END
FROM slot AS it LEFT JOIN taken ON taken.slot = {KEY.format(id="coalesce(it.name, it.id::text)")}
WHERE (it.id, it.start) = (slot.id, slot.start)"""
HISTORY = f"""UPDATE slot_history SET id = {KEY.format(id="coalesce(name, id::text)")}, schedule_key = kind.schedule_key
FROM slot_kind AS kind WHERE kind.key = kind_key"""
LENGTHS = """UPDATE agenda SET slot_length_max = longest.length
FROM (SELECT schedule_key, max("end" - start) AS length FROM slot GROUP BY 1) AS longest
WHERE longest.schedule_key = agenda.schedule_key"""
TIMES = f"""CREATE TEMPORARY TABLE visit ON COMMIT DROP AS
SELECT id, key, terms, (content ->> 'start')::timestamptz AS start, (content ->> 'end')::timestamptz AS until
FROM (
  SELECT id, key, terms, convert_from(content, 'UTF8')::jsonb AS content FROM appointment
  WHERE NOT deleted AND terms && {TAKING}
) AS read WHERE content ? 'start' AND content ? 'end'"""
PATIENTS = """INSERT INTO occupancy (appointment_id, actor, period)
SELECT visit.id, 'Patient/' || substr(t, 17) ||
    CASE WHEN '~shared=Patient/' || substr(t, 17) = ANY(visit.terms) THEN '' ELSE '#hidden' END,
  tstzrange(visit.start, visit.until)
FROM visit CROSS JOIN LATERAL unnest(visit.terms) AS t
WHERE starts_with(t, 'patient=Patient/') AND visit.until > now() AND visit.start < visit.until
ORDER BY 2, 1
ON CONFLICT ON CONSTRAINT ex_occupancy DO NOTHING"""
ROOMS = """INSERT INTO occupancy (appointment_id, actor, period)
SELECT DISTINCT visit.id, agenda_actor.actor, tstzrange(visit.start, visit.until)
FROM visit JOIN slot ON slot.taken_by = visit.id JOIN agenda_actor USING (schedule_key)
WHERE starts_with(agenda_actor.actor, 'Location/') AND visit.until > now() AND visit.start < visit.until
ON CONFLICT ON CONSTRAINT ex_occupancy DO NOTHING"""
DISPLACED = """UPDATE slot SET status = 'busy-unavailable'
WHERE said = 'free' AND taken_by IS NULL AND "end" > now() AND EXISTS (
  SELECT FROM agenda_actor JOIN occupancy USING (actor)
  WHERE agenda_actor.schedule_key = slot.schedule_key AND occupancy.period && tstzrange(slot.start, slot."end"))"""


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql  # as it is: a colon is no parameter
    _agendas(execute)
    _kinds()
    _slots(execute)
    execute(LENGTHS)
    for statement in (TIMES, PATIENTS, ROOMS, DISPLACED):
        execute(statement)


def _agendas(execute: Callable[[str], object]) -> None:
    op.rename_table("agenda_rules", "agenda")
    op.execute("ALTER INDEX pk_agenda_rules RENAME TO pk_agenda")
    op.add_column("agenda", sa.Column("open", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    for name, bound in (("horizon_start", "-infinity"), ("horizon_end", "infinity")):
        column = sa.Column(
            name, sa.DateTime(timezone=True), server_default=sa.text(f"'{bound}'"), nullable=False
        )
        op.add_column("agenda", column)
    op.add_column(
        "agenda", sa.Column("slot_length_max", sa.Interval(), server_default=sa.text("'0'"), nullable=False)
    )
    op.alter_column("agenda", "zone", server_default=sa.text("'Europe/Paris'"))
    execute("INSERT INTO agenda (schedule_key) SELECT key FROM schedule ON CONFLICT DO NOTHING")
    op.create_table(
        "agenda_actor",
        sa.Column("actor", sa.Text(collation="C"), nullable=False),
        sa.Column("schedule_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("actor", "schedule_key", name=op.f("pk_agenda_actor")),
    )
    op.create_index(op.f("ix_agenda_actor_schedule_key"), "agenda_actor", ["schedule_key"], unique=False)
    for statement in (NAMED, GONE, GONE_WITH, STATE, ACTORS):
        execute(statement)
    op.alter_column("agenda", "open", server_default=None)


def _kinds() -> None:
    op.drop_constraint(op.f("pk_slot_kind"), "slot_kind")
    op.create_primary_key(op.f("pk_slot_kind"), "slot_kind", ["key", "schedule_key"])


def _slots(execute: Callable[[str], object]) -> None:
    for name in ("ix_slot_schedule_start", "ix_slot_status_start", "ix_slot_start", "ix_slot_name"):
        op.drop_index(name, table_name="slot")
    op.drop_constraint(op.f("pk_slot"), "slot")
    op.add_column("slot", sa.Column("said", STATUS, nullable=True))
    op.add_column("slot", sa.Column("taken_by", sa.Text(collation="C"), nullable=True))
    execute(TAKEN)
    execute("ANALYZE taken")
    execute(SLOTS)
    op.alter_column("slot", "said", nullable=False)
    op.create_check_constraint(
        op.f("ck_slot_taken"), "slot", "taken_by IS NULL OR status IN ('busy', 'busy-tentative')"
    )
    op.create_primary_key(op.f("pk_slot"), "slot", ["schedule_key", "start", "id"])
    op.create_index("ix_slot_id", "slot", ["id"], unique=False, postgresql_using="hash")
    op.create_index("ix_slot_start", "slot", ["start"], unique=False)
    op.drop_constraint(op.f("pk_slot_history"), "slot_history")
    op.add_column(
        "slot_history", sa.Column("schedule_key", sa.BigInteger(), autoincrement=False, nullable=True)
    )
    execute(HISTORY)
    execute("DELETE FROM slot_history WHERE schedule_key IS NULL")
    op.alter_column("slot_history", "schedule_key", nullable=False)
    op.create_primary_key(op.f("pk_slot_history"), "slot_history", ["id", "version", "schedule_key"])


def downgrade() -> None:
    for table in ("slot", "slot_history"):
        _names_as_uuid5(table)
    op.drop_constraint(op.f("pk_slot_history"), "slot_history")
    op.drop_column("slot_history", "schedule_key")
    op.create_primary_key(op.f("pk_slot_history"), "slot_history", ["id", "version"])
    op.drop_index("ix_slot_start", table_name="slot")
    op.drop_index("ix_slot_id", table_name="slot", postgresql_using="hash")
    op.drop_constraint(op.f("pk_slot"), "slot")
    op.drop_constraint(op.f("ck_slot_taken"), "slot")
    op.drop_column("slot", "taken_by")
    op.drop_column("slot", "said")
    op.create_primary_key(op.f("pk_slot"), "slot", ["id", "start"])
    op.create_index("ix_slot_name", "slot", ["name"], postgresql_where=sa.text("name IS NOT NULL"))
    op.create_index("ix_slot_start", "slot", ["start", "id"])
    op.create_index("ix_slot_status_start", "slot", ["status", "start"])
    op.create_index("ix_slot_schedule_start", "slot", ["schedule_key", "start"])
    op.drop_constraint(op.f("pk_slot_kind"), "slot_kind")
    op.create_primary_key(op.f("pk_slot_kind"), "slot_kind", ["key"])
    op.drop_index(op.f("ix_agenda_actor_schedule_key"), table_name="agenda_actor")
    op.drop_table("agenda_actor")
    for name in ("open", "horizon_start", "horizon_end", "slot_length_max"):
        op.drop_column("agenda", name)
    op.execute(
        "DELETE FROM agenda WHERE (minimum_notice_min, window_days, opens_at, age_from_months, age_below_months,"
        " appointments_max, change_deadline_min) IS NULL"
    )
    op.alter_column("agenda", "zone", server_default=None)
    op.execute("ALTER INDEX pk_agenda RENAME TO pk_agenda_rules")
    op.rename_table("agenda", "agenda_rules")
    op.execute(
        "DELETE FROM occupancy WHERE starts_with(actor, 'Patient/') OR starts_with(actor, 'Location/')"
    )


def _names_as_uuid5(table: str) -> None:
    """Ids as they were derived before."""
    connection = op.get_bind()
    names = (
        connection.exec_driver_sql(f"SELECT DISTINCT name FROM {table} WHERE name IS NOT NULL")
        .scalars()
        .all()
    )
    for name in names:
        connection.execute(
            sa.text(f"UPDATE {table} SET id = :id WHERE name = :name"),
            {"id": uuid5(NAMESPACE, name), "name": name},
        )
