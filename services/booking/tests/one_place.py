"""What must be true of the tables after anything: nobody in two places, nothing free that is taken, nothing taken by
nobody; and what is kept beside that says the same (`truths`). In SQL, whatever the code believes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.booking.tests import truths

from creneau_booking.domain.status import SLOT_STATUS_OF

TAKING = ", ".join(f"'status={status}'" for status in SLOT_STATUS_OF)
LIVE = f"SELECT id FROM appointment WHERE NOT deleted AND terms && ARRAY[{TAKING}]"
OVERBOOKED = "(coalesce(slot.extra, '') LIKE '%\"overbooked\":true,%')"
UNTRUE = {
    "somebody is in two places": """
      SELECT one.actor FROM occupancy AS one JOIN occupancy AS other
      ON one.actor = other.actor AND one.period && other.period AND one.ctid < other.ctid""",
    "somebody is taken by nobody": f"""
      SELECT actor, appointment_id FROM occupancy WHERE appointment_id NOT IN ({LIVE})
      AND appointment_id NOT IN (SELECT 'Slot/' || slot_id FROM slot_place)
      AND appointment_id NOT IN (SELECT 'calendar:' || schedule FROM external_calendar)""",
    "somebody is taken at a time that is not the visit's": """
      SELECT actor, appointment.id, period FROM occupancy JOIN appointment ON appointment.id = occupancy.appointment_id
      CROSS JOIN LATERAL (SELECT convert_from(content, 'UTF8')::json AS said WHERE NOT deleted) AS now
      CROSS JOIN LATERAL (SELECT tstzrange((said ->> 'start')::timestamptz, (said ->> 'end')::timestamptz) AS whole) AS visit
      -- Who was put over several visits takes the people of those that have gone, each for its slot.
      WHERE period <> whole AND NOT (period <@ whole AND said::text LIKE '%/overbooking-reason"%')""",
    "a slot is taken by nobody": f"""
      SELECT id FROM slot WHERE places IS NULL AND taken_by IS NOT NULL AND taken_by NOT IN ({LIVE})""",
    "a group is of nobody": """
      SELECT id FROM slot WHERE places IS NOT NULL AND NOT EXISTS (SELECT FROM slot_place WHERE slot_id = slot.id)""",
    "a place is in no group": """
      SELECT slot_id FROM slot_place LEFT JOIN slot ON slot.id = slot_id AND slot.places IS NOT NULL
      AND slot.taken_by = 'Slot/' || slot_id WHERE slot.id IS NULL""",
    "a place is nobody's": f"SELECT slot_id FROM slot_place WHERE appointment_id NOT IN ({LIVE})",
    "an appointment has no place in its slot": f"""
      SELECT appointment.id FROM appointment, unnest(terms) AS t JOIN slot ON 'slot=Slot/' || coalesce(name, slot.id::text) = t
      WHERE appointment.id IN ({LIVE}) AND slot.taken_by IS DISTINCT FROM appointment.id AND NOT EXISTS (
        SELECT FROM slot_place WHERE slot_id = slot.id AND appointment_id = appointment.id)
      AND NOT ({OVERBOOKED} AND convert_from(appointment.content, 'UTF8') LIKE '%/overbooking-reason"%')""",
    "a slot says that it is overbooked and is not, or is and does not say so": f"""
      SELECT slot.id, array_agg(appointment.id) FROM slot LEFT JOIN appointment
      ON appointment.terms @> ARRAY['slot=Slot/' || coalesce(name, slot.id::text)] AND appointment.id IN ({LIVE})
      WHERE places IS NULL GROUP BY slot.id, {OVERBOOKED} HAVING {OVERBOOKED} <> (count(appointment.id) > 1)""",
    "a group takes somebody whom neither its agenda has nor anybody in it names": """
      SELECT slot.id, actor FROM slot JOIN occupancy ON appointment_id = 'Slot/' || slot.id
      WHERE slot.start > coalesce($1::timestamptz, '-infinity')
      AND actor NOT IN (SELECT actor FROM agenda_actor WHERE agenda_actor.schedule_key = slot.schedule_key)
      AND NOT EXISTS (
        SELECT FROM slot_place JOIN appointment ON appointment.id = slot_place.appointment_id
        WHERE slot_id = slot.id AND ('actor=' || actor = ANY(terms) OR EXISTS (
          SELECT FROM practitioner_role AS role
          WHERE 'actor=PractitionerRole/' || role.id = ANY(appointment.terms)
          AND 'practitioner=' || actor = ANY(role.terms))))""",
    "places are miscounted": """
      SELECT slot.id FROM slot JOIN slot_kind AS kind ON kind.key = kind_key
      WHERE places <> greatest(0, coalesce(capacity, 1) - (SELECT count(*) FROM slot_place WHERE slot_id = slot.id))
      AND slot."end" > coalesce($1::timestamptz, '-infinity')""",
    "a full slot is free": "SELECT id FROM slot WHERE places = 0 AND status = 'free'",
    "a taken slot is free": "SELECT id FROM slot WHERE places IS NULL AND taken_by IS NOT NULL AND status = 'free'",
    "a slot is free whose people are taken": """
      SELECT slot.id, schedule_key, slot.start, slot.version, slot.last_updated, actor, appointment_id, period::text
      FROM slot JOIN agenda_actor USING (schedule_key) JOIN occupancy USING (actor)
      WHERE slot.status = 'free' AND period && tstzrange(slot.start, slot."end")
      AND appointment_id <> 'Slot/' || slot.id""",
}
"""What must not be → the rows that show it; `$1`: since when, as what is over follows its agenda no more."""


EVERYTHING = {
    **UNTRUE,
    **truths.INDEX,
    **truths.WAITING,
    **truths.BESIDE,
    **truths.TOLD,
    **truths.VERSIONS,
}


async def require_one_truth(pool: Any, since: datetime | None = None, *, told: bool = False) -> None:
    """Hold all of it against a database (a pool, or a connection). `told`: the outbox still has all that was ever told."""
    found = {}
    for what, sql in (EVERYTHING | (truths.UNTOLD if told else {})).items():
        arguments = [since] if "$1" in sql else []
        found[what] = [tuple(row) for row in await pool.fetch(sql, *arguments)]
    assert not any(found.values()), {what: rows for what, rows in found.items() if rows}
