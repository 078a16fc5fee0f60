"""Locks what an appointment wants: its slots with their facts, and the time of everybody who comes with them.

The same statement asks what else is needed before anything is taken, without a lock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg import Record

from creneau_booking.domain.appointment import SlotFact
from creneau_booking.domain.refusals.slots import PeopleBusy
from creneau_booking.storage.availability.actors import CONCERNED, RESOLVED, TRIED, WAITED, by_kind
from creneau_booking.storage.mapping.appointment import offered
from creneau_booking.storage.mapping.slot import slot_key
from creneau_booking.storage.mapping.visibility import VISIBILITY_TERM
from creneau_booking.storage.people.known_patients import KNOWN_ONLY
from creneau_shared.database.partitions import month_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.terms import after
from creneau_shared.security.rights import OWNER

# The values are hidden from the planner: see `taking`.
# A slot is out of reach if another appointment has it and its hold has not run out, or if its agenda does not offer it:
# whoever wants it is refused whatever happens meanwhile, and so need not wait for their turn. What the appointment names
# already is not judged anew: an overbooked slot is another one's.
_FOUND = """
WITH found AS MATERIALIZED (
  SELECT schedule_key, start, id, taken_by, id <> ALL((SELECT $11::uuid[])::uuid[]) AND CASE
    WHEN taken_by IS NULL THEN said <> 'free' AND NOT ($10 AND said = 'busy-tentative')
    WHEN places IS NOT NULL THEN status <> 'free' AND NOT EXISTS (
      SELECT FROM slot_place LEFT JOIN hold USING (appointment_id)
      WHERE slot_place.slot_id = slot.id AND (slot_place.appointment_id = $2 OR hold.expires_at <= $3))
    ELSE taken_by <> $2 AND NOT EXISTS (
      SELECT FROM hold WHERE hold.appointment_id = slot.taken_by AND hold.expires_at <= $3) END AS out_of_reach
  FROM {slots} AS slot WHERE id = ANY((SELECT $1::uuid[])::uuid[])
)"""
_FACTS = """
SELECT coalesce(slot.name, slot.id::text) AS id, slot.start, slot."end", slot.status::text AS status, slot.taken_by,
       slot.said = 'free' AND slot.status = 'busy-unavailable' AS displaced, {out_of_reach} AS out_of_reach,
       slot.places, kind.capacity, agenda.parts, agenda.adjacent_max,
       kind.terms AS kind_terms, kind.members AS kind_members,
       schedule.id AS schedule, schedule.terms AS schedule_terms, agenda.open, agenda.confirmation_required IS TRUE AS confirmed,
       {known_only} AS known_only,
       nullif(agenda.horizon_start, '-infinity') AS horizon_start, nullif(agenda.horizon_end, 'infinity') AS horizon_end,
       nullif(agenda.fresh_until, 'infinity') AS fresh_until,
       ARRAY(SELECT actor FROM agenda_actor WHERE agenda_actor.schedule_key = agenda.schedule_key ORDER BY 1) AS exclusive{more}
FROM found
JOIN {slots} AS slot ON (slot.schedule_key, slot.start, slot.id) = (found.schedule_key, found.start, found.id)
JOIN slot_kind kind ON kind.key = slot.kind_key
JOIN schedule ON schedule.key = slot.schedule_key
JOIN agenda ON agenda.schedule_key = slot.schedule_key
"""
_KNOWN_ONLY = KNOWN_ONLY.format(new_patients="kind.new_patients", agenda="agenda")
_OUT_OF_REACH = "EXISTS (SELECT FROM found WHERE out_of_reach)"
# For each Patient who exists: the id, then the owners who know them. For each role and room: who is taken with it.
# For the holder: how many live holds they have (a series is one), and which of these have these slots.
_BESIDE = f"""ARRAY(
  SELECT patient.id || ' ' || array_to_string(ARRAY(
    SELECT term FROM unnest(patient.terms) AS term WHERE starts_with(term, '{OWNER}')), ' ')
  FROM patient WHERE patient.id = ANY($5::text[]) AND NOT patient.deleted) AS patients,
ARRAY(SELECT named || ' ' || exclusive FROM resolved) AS resolved,
(SELECT count(DISTINCT coalesce(series, appointment_id)) FROM hold LEFT JOIN appointment_series USING (appointment_id)
  WHERE hold.issuer = $8 AND hold.subject = $9 AND hold.expires_at > $3) AS holds,
ARRAY(
  SELECT hold.appointment_id FROM hold WHERE hold.appointment_id IN (SELECT taken_by FROM found
      UNION ALL SELECT slot_place.appointment_id FROM slot_place JOIN found ON slot_place.slot_id = found.id
      WHERE substr(split_part(slot_place.person, '#', 1), 9) = ANY($5::text[]))
    AND hold.appointment_id <> $2 AND hold.issuer = $8 AND hold.subject = $9 AND hold.expires_at > $3) AS own_holds"""
# Locks all of them, or none: whoever has locked some would lock the others, and their people, out of order. PostgreSQL takes
# the locks of `turn` before it looks for a row of `locked`.
_LOCK = f"""{_FOUND}, resolved AS MATERIALIZED (
  {RESOLVED.format(roles="$6::text[]", places="$7::text[]")}
), own_people AS MATERIALIZED (
  SELECT actor FROM (
    SELECT actor FROM agenda_actor WHERE schedule_key IN (SELECT schedule_key FROM found)
    UNION SELECT unnest($4::text[]) UNION SELECT exclusive FROM resolved
  ) AS named WHERE {{whole}}
), turn AS MATERIALIZED (
  SELECT {{turn}} AS had FROM {CONCERNED.format(people="own_people")} AS people
), locked AS MATERIALIZED (
  {
    _FACTS.format(out_of_reach="false", known_only=_KNOWN_ONLY, slots="{slots}", more=", turn.had")
} CROSS JOIN turn
  WHERE {{whole}} AND turn.had
  ORDER BY slot.schedule_key, slot.start, slot.id
  FOR UPDATE OF slot
)
SELECT *, {_BESIDE} FROM locked
UNION ALL {
    _FACTS.format(out_of_reach="true", known_only=_KNOWN_ONLY, slots="{slots}", more=f", turn.had, {_BESIDE}")
} CROSS JOIN turn WHERE {_OUT_OF_REACH} OR NOT turn.had
"""
# Without a slot nothing would be joined with `turn`, and PostgreSQL would not look at it.
_TURN_ALONE = f"""
WITH resolved AS ({RESOLVED.format(roles="$2::text[]", places="$3::text[]")}), own_people AS MATERIALIZED (
  SELECT unnest($1::text[]) AS actor UNION SELECT exclusive FROM resolved
)
SELECT {WAITED} FROM {CONCERNED.format(people="own_people")} AS people
"""


def _lock(turn: str) -> tuple[str, str]:
    """The statement in one month (`{slots}`), which looks for all slots or locks none, and the one that looks everywhere."""
    all_there = "(SELECT count(*) FROM found) = cardinality($1::uuid[])"
    in_month = _LOCK.format(turn=turn, slots="{slots}", whole=f"NOT {_OUT_OF_REACH} AND {all_there}")
    return in_month, _LOCK.format(turn=turn, slots="slot", whole=f"NOT {_OUT_OF_REACH}")


_FIRST, _AGAIN = _lock(WAITED), _lock(TRIED)


Holder = tuple[str, str]
"""an account or a client: issuer and subject"""


@dataclass(frozen=True, slots=True)
class Locked:
    """The locked slots with their facts, and which of the named Patients exist."""

    slots: Sequence[SlotFact]
    out_of_reach: bool
    """one of the slots is somebody else's; nothing is locked"""
    patients: Mapping[str, frozenset[str]] | None
    """id → owners who know the Patient (Organization ids); None: not looked up, as no slot was found"""
    resolved: Mapping[str, str] | None
    """as `actors.resolve`, of those who were named; None like `patients`"""
    holds: int
    """how many live holds the holder has; 0 without a holder"""
    own_holds: Sequence[str]
    """appointments (ids) of those holds that have one of the slots, without the one that wants them"""


async def lock_slots(
    connection: Connection,
    ids: Sequence[str],
    near: datetime | None,
    people: Sequence[str],
    patients: Sequence[str],
    named: Sequence[str],
    holder: Holder | None,
    *,
    by: str,
    had: Sequence[str] = (),
    now: datetime,
    marked: bool = False,
    again: bool = False,
) -> Locked:
    """Locks these slots for the appointment `by` (id), and with them the time of their agendas' people and of `people`
    (actors that are in one place only). Returns the slots' facts; slots that do not exist are missing. If somebody else has
    one of them that is not among those it `had`, nothing is locked, and the facts are as they are: so a thousand who want
    one slot are refused side by side.
    Also looks up `patients` (ids), who is taken with the roles and places `named` (references), how many slots the `holder`
    holds, and whether it is these. `marked`: slots that their agenda says to be `busy-tentative` are within reach.

    `again`: this transaction has people already. It does not wait for others, to whom a slot may have gone meanwhile: to
    wait could be to wait in a circle. Raises PeopleBusy if they are not to be had at once.

    `near`, the appointment's own start, lets PostgreSQL look into one month. If it does not find all slots there, it looks
    everywhere.
    """
    if not ids:
        await connection.execute(_TURN_ALONE, list(people), *by_kind(named))
        return Locked((), False, None, None, 0, ())
    keys = [slot_key(id_) for id_ in ids]
    arguments = (
        keys,
        by,
        now,
        list(people),
        list(patients),
        *by_kind(named),
        *(holder or (None, None)),
        marked,
        [slot_key(id_) for id_ in had],
    )
    month = month_of(connection, "slot", near, near, now) if near is not None else "slot"
    rows: Sequence[Any] = []
    if month != "slot":
        rows = await connection.fetch((_AGAIN if again else _FIRST)[0].format(slots=month), *arguments)
    if len(rows) < len(keys):
        rows = await connection.fetch((_AGAIN if again or rows else _FIRST)[1], *arguments)
    if len(rows) < len(keys):
        # PostgreSQL locks a slot whose kind or time a feed has written meanwhile, but leaves it out: it joins the old row.
        rows = await connection.fetch(_AGAIN[1], *arguments)
    if not all(row["had"] for row in rows):
        raise PeopleBusy()
    return Locked(
        [_slot_fact(row) for row in rows],
        any(row["out_of_reach"] for row in rows),
        dict(map(_known, rows[0]["patients"])) if rows else None,
        dict(pair.split() for pair in rows[0]["resolved"]) if rows else None,
        rows[0]["holds"] if rows else 0,
        rows[0]["own_holds"] if rows else (),
    )


def _known(patient: str) -> tuple[str, frozenset[str]]:
    """Returns the id, and the owners that the terms after it name."""
    id_, *owners = patient.split()
    return id_, frozenset(after(OWNER, owners))


def _slot_fact(row: Record) -> SlotFact:
    actors = (
        actor
        for actor in after("actor=", row["schedule_terms"])
        if "/" in actor and "/_history/" not in actor
    )
    return SlotFact(
        id=row["id"],
        start=row["start"],
        end=row["end"],
        status=row["status"],
        taken_by=row["taken_by"],
        displaced=row["displaced"],
        capacity=row["capacity"] or 1,
        places=row["places"],
        parts=row["parts"],
        adjacent_max=row["adjacent_max"],
        schedule=row["schedule"],
        schedule_open=row["open"],
        horizon_start=row["horizon_start"],
        horizon_end=row["horizon_end"],
        fresh_until=row["fresh_until"],
        actors=tuple(sorted(actors)),
        exclusive=tuple(row["exclusive"]),
        visibility=frozenset(
            term.removeprefix(VISIBILITY_TERM)
            for term in row["kind_terms"]
            if term.startswith(VISIBILITY_TERM)
        )
        - {""},
        offers=offered(json.loads("{" + row["kind_members"] + "}")),
        owners=frozenset(after(OWNER, row["schedule_terms"])),
        confirmed_by_practice=row["confirmed"],
        known_only=row["known_only"],
    )
