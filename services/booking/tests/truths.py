"""What else must be true of the tables after anything, in SQL, computed anew from what resources and rows say themselves:
the index of first starts, the line, what is kept beside resources by triggers, what was told, and the versions.

`one_place.require_one_truth` holds all of it. `$1`, where it is asked: since when; what is past follows nobody any more.
"""

from __future__ import annotations

from typing import Any

from services.booking.tests.first_free import DISAGREEING

OFFER = "hold.issuer = 'urn:creneau:waiting-list' AND hold.subject = 'offer'"
_STATUS = "SELECT id, convert_from(content, 'UTF8')::json ->> 'status' AS status, content FROM appointment WHERE NOT deleted"

INDEX = {
    "the first free start is not that of a full scan": DISAGREEING.replace(
        "$1", "coalesce($1::timestamptz, now())"
    ),
    "a transaction has left something of the first starts unsettled": "SELECT schedule_key, kind_key FROM first_free_due",
}

WAITING = {
    "an offer is not one hold of one slot": f"""
      SELECT waiting.appointment_id, said.status, had.slots FROM waiting
      LEFT JOIN ({_STATUS}) AS said ON said.id = waiting.appointment_id
      LEFT JOIN hold ON hold.appointment_id = waiting.appointment_id AND ({OFFER} OR hold.confirmation = 'asked')
      CROSS JOIN LATERAL (SELECT array_agg(slot.id) AS slots FROM slot WHERE slot.taken_by = waiting.appointment_id
        OR EXISTS (SELECT FROM slot_place WHERE slot_id = slot.id AND appointment_id = waiting.appointment_id)) AS had
      WHERE waiting.offered AND (said.status IS DISTINCT FROM 'pending' OR hold.appointment_id IS NULL
        OR cardinality(had.slots) IS DISTINCT FROM 1)""",
    "a hold for the line is offered to nobody": f"""
      SELECT hold.appointment_id FROM hold LEFT JOIN waiting ON waiting.appointment_id = hold.appointment_id AND waiting.offered
      WHERE {OFFER} AND waiting.appointment_id IS NULL""",
    "who was asked about a slot is not known to have been": """
      SELECT waiting.appointment_id, slot.id FROM waiting
      JOIN slot ON slot.taken_by = waiting.appointment_id OR EXISTS (
        SELECT FROM slot_place WHERE slot_id = slot.id AND appointment_id = waiting.appointment_id)
      WHERE waiting.offered AND NOT EXISTS (SELECT FROM waiting_offer WHERE waiting_offer.slot = slot.id
        AND waiting_offer.appointment_id = waiting.appointment_id)""",
    "who waits is not in the line, or who is in it does not wait": f"""
      SELECT id, status, waiting.offered FROM ({_STATUS}) AS said
      FULL JOIN waiting ON waiting.appointment_id = said.id
      WHERE (status = 'waitlist' AND waiting.offered IS DISTINCT FROM false)
        OR (status IS DISTINCT FROM 'waitlist' AND NOT waiting.offered)""",
    "nobody in the line can be found": """
      SELECT appointment_id FROM waiting
      WHERE agendas || people || services || places || specialties <> '{}' AND NOT EXISTS (
        SELECT FROM waiting_key WHERE waiting_key.appointment_id = waiting.appointment_id
          AND (waiting_key.rank, waiting_key.since) = (waiting.rank, waiting.since))""",
    "a hold is of nothing that is pending": f"""
      SELECT hold.appointment_id, status FROM hold LEFT JOIN ({_STATUS}) AS said ON said.id = hold.appointment_id
      WHERE status IS DISTINCT FROM 'pending'""",
}

_ACTORS = r"""
  SELECT schedule.key, schedule.id, regexp_replace(actor ->> 'reference', '^https?://.*/([A-Za-z]+/[^/]+)$', '\1') AS reference
  FROM schedule, json_array_elements(convert_from(content, 'UTF8')::json -> 'actor') AS actor WHERE NOT deleted"""
_NAMED = (
    rf"SELECT reference, key AS schedule_key FROM ({_ACTORS}) AS named WHERE reference ~ '^[A-Za-z]+/[^/]+$'"
)
_PLACES = r"""
  SELECT substr(place ->> 'reference', 10) AS place, id AS role
  FROM practitioner_role, json_array_elements(convert_from(content, 'UTF8')::json -> 'location') AS place
  WHERE NOT deleted AND content IS NOT NULL AND place ->> 'reference' ~ '^Location/[^/]+$'"""
_EXCLUSIVE = f"""
  SELECT reference AS actor, schedule_key FROM ({_NAMED}) AS named WHERE reference ~ '^(Practitioner|Device)/'
  UNION SELECT convert_from(content, 'UTF8')::json -> 'practitioner' ->> 'reference', schedule_key
    FROM ({_NAMED}) AS named JOIN practitioner_role ON 'PractitionerRole/' || id = reference
    WHERE content IS NOT NULL AND convert_from(content, 'UTF8')::json -> 'practitioner' ->> 'reference' IS NOT NULL
  UNION SELECT reference, schedule_key FROM ({_NAMED}) AS named JOIN location ON 'Location/' || id = reference,
    json_array_elements(convert_from(content, 'UTF8')::json -> 'physicalType' -> 'coding') AS kind
    WHERE kind ->> 'code' IN ('ro', 'bd')
      AND kind ->> 'system' = 'http://terminology.hl7.org/CodeSystem/location-physical-type'"""


def _differing(table: str, columns: str, said: str, where: str = "true") -> str:
    """Rows that are kept and not said, or said and not kept."""
    kept = f"SELECT {columns} FROM {table} WHERE {where}"
    return (
        f"(SELECT 'kept', {columns} FROM ({kept} EXCEPT SELECT {columns} FROM ({said}) AS said) AS a)"
        f" UNION ALL (SELECT 'said', {columns} FROM (SELECT {columns} FROM ({said}) AS said EXCEPT {kept}) AS b)"
    )


_LIVE_AGENDAS = "schedule_key IN (SELECT key FROM schedule WHERE NOT deleted)"
BESIDE = {
    "agenda_named is not what agendas name": _differing("agenda_named", "reference, schedule_key", _NAMED),
    "role_place is not what roles say": _differing("role_place", "place, role", _PLACES),
    "agenda_actor is not whom agendas have": _differing(
        "agenda_actor", "actor, schedule_key", _EXCLUSIVE, _LIVE_AGENDAS
    ),
    "the places of a kind are not those that it or its agenda states": """
      SELECT kind.key, kind.capacity FROM slot_kind AS kind LEFT JOIN agenda USING (schedule_key)
      WHERE kind.capacity IS DISTINCT FROM nullif(coalesce(kind.own_capacity, agenda.capacity), 1)""",
    "the terms of an appointment are not what it says": f"""
      SELECT said.id, said.status FROM ({_STATUS}) AS said JOIN appointment USING (id)
      WHERE NOT terms @> ARRAY['status=' || said.status] OR ARRAY(
          SELECT t FROM unnest(terms) AS t WHERE t ~ '^slot=Slot/[^/]+$' ORDER BY 1) <> ARRAY(
          SELECT DISTINCT ('slot=' || (one ->> 'reference')) COLLATE "C"
          FROM json_array_elements(convert_from(said.content, 'UTF8')::json -> 'slot') AS one
          WHERE one ->> 'reference' ~ '^Slot/[^/]+$' ORDER BY 1)""",
}

_EVENTS = """
  SELECT key AS id, (convert_from(data, 'UTF8')::json ->> 'version')::integer AS version,
    convert_from(data, 'UTF8')::json ->> 'status' AS status, split_part(type, '.', 5) AS kind
  FROM outbox WHERE topic = 'creneau.booking.appointments' AND data IS NOT NULL"""
_VERSIONS = """
  SELECT id, version, CASE WHEN NOT deleted THEN convert_from(content, 'UTF8')::json END AS said FROM appointment
  UNION ALL SELECT id, version, CASE WHEN content IS NOT NULL THEN convert_from(content, 'UTF8')::json END
  FROM resource_history WHERE resource_type = 'Appointment'"""
_STEPS = f"""
  SELECT id, version, said ->> 'status' AS status, coalesce(said ->> 'start', '') AS start,
    lag(said ->> 'status') OVER whole AS before, coalesce(lag(said ->> 'start') OVER whole, '') AS start_before
  FROM ({_VERSIONS}) AS versions WINDOW whole AS (PARTITION BY id ORDER BY version)"""
_TAKES = "('pending', 'booked', 'arrived', 'checked-in', 'fulfilled', 'noshow')"
TOLD = {
    "what was told of an appointment is no version of it": f"""
      SELECT told.id, told.version, told.kind, told.status, versions.said ->> 'status' FROM ({_EVENTS}) AS told
      LEFT JOIN ({_VERSIONS}) AS versions USING (id, version)
      WHERE EXISTS (SELECT FROM appointment WHERE appointment.id = told.id AND NOT deleted)
        AND told.status IS DISTINCT FROM versions.said ->> 'status'""",
    "one version was told twice": f"SELECT id, version, count(*) FROM ({_EVENTS}) AS told GROUP BY 1, 2 HAVING count(*) > 1",
}
UNTOLD = {
    "a step was told to nobody": f"""
      SELECT step.id, step.version, step.before, step.status FROM ({_STEPS}) AS step
      LEFT JOIN ({_EVENTS}) AS told USING (id, version)
      WHERE told.id IS NULL AND step.status IS NOT NULL
        AND (step.before IN {_TAKES} OR step.status IN {_TAKES})
        AND (step.before IS DISTINCT FROM step.status OR step.start <> step.start_before)""",
}
"""only where nothing of the outbox has been forgotten"""

_GENERIC = " UNION ALL ".join(
    f"SELECT '{name}' AS type, id, version FROM {table}"
    for name, table in (("Appointment", "appointment"), ("Schedule", "schedule"), ("Patient", "patient"))
)
VERSIONS = {
    "a version of a resource is missing": f"""
      SELECT type, current.id, current.version, count(past.version), min(past.version) FROM ({_GENERIC}) AS current
      LEFT JOIN resource_history AS past ON past.resource_type = type AND past.id = current.id
      GROUP BY 1, 2, 3 HAVING count(past.version) > 0 AND (max(past.version) <> current.version - 1
        OR max(past.version) - min(past.version) + 1 <> count(DISTINCT past.version)
        OR count(*) <> count(DISTINCT past.version))""",
    "a version of a slot is missing": """
      SELECT coalesce(slot.id, past.id), slot.version, past.first, past.last, past.number FROM slot
      FULL JOIN (SELECT id, min(version) AS first, max(version) AS last, count(*) AS number,
        bool_or(status IS NULL) AS deleted, max(version) FILTER (WHERE status IS NULL) AS deletion FROM slot_history GROUP BY id
      ) AS past USING (id)
      WHERE (past.id IS NOT NULL AND past.last - past.first + 1 <> past.number)
        OR (slot.id IS NOT NULL AND slot.version > 1 AND past.last IS DISTINCT FROM slot.version - 1)
        OR (slot.id IS NULL AND past.deletion IS DISTINCT FROM past.last)""",
}
"""a slot that came anew under an old id goes on counting"""

_FOUND = (
    "SELECT kind_key, schedule_key, terms, latitude, longitude FROM found_by ORDER BY 1",
    "SELECT specialty, cell, schedule_key, kind_key FROM found_in ORDER BY 1, 2, 3, 4",
)


async def require_found(connection: Any) -> None:
    """What kinds are found by is what it would be if it were made anew; in a transaction, which changes nothing then."""
    before = [await connection.fetch(sql) for sql in _FOUND]
    await connection.execute("SELECT keep_found_by(ARRAY(SELECT key FROM schedule))")
    assert [await connection.fetch(sql) for sql in _FOUND] == before
