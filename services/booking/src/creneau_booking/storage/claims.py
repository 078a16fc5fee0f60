"""Taking and giving back slots, people and devices, in SQL. Nothing is checked and then inserted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from creneau_booking.domain.appointment import SlotFact
from creneau_booking.domain.rules import Claim
from creneau_booking.storage.slot_rows import slot_key
from creneau_booking.storage.slots import SUPERSEDE
from creneau_shared.clock import PARIS
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import parse_interval

SLOT_TYPE_SYSTEM = "https://mos.esante.gouv.fr/NOS/TRE_R314-TypeCreneau/FHIR/TRE-R314-TypeCreneau"
_VISIBILITY_TERM = f"_security={SLOT_TYPE_SYSTEM}|"

_LOCK = """
SELECT coalesce(slot.name, slot.id::text) AS id, slot.start, slot."end", slot.status::text AS status,
       kind.terms AS kind_terms, schedule.id AS schedule, schedule.terms AS schedule_terms,
       schedule.content AS schedule_content
FROM slot
JOIN slot_kind kind ON kind.key = slot.kind_key
JOIN schedule ON schedule.key = slot.schedule_key
WHERE slot.id = ANY($1::uuid[]) {pruned}
ORDER BY slot.id
FOR UPDATE OF slot
"""
_LOCK_ANYWHERE = _LOCK.format(pruned="")
_LOCK_AT = _LOCK.format(pruned="AND slot.start >= $2 AND slot.start < $3")

_TAKE = f"""
WITH claimed AS (
  UPDATE slot SET status = $2, version = slot.version + 1, last_updated = $3
  FROM unnest($1::uuid[], $4::timestamptz[]) AS wanted (id, start)
  WHERE slot.id = wanted.id AND slot.start = wanted.start AND slot.status = 'free'
  RETURNING old.id, old.version, old.start, old."end", old.kind_key, old.last_updated, old.status, old.name, old.extra
), superseded AS (
  {SUPERSEDE} SELECT * FROM claimed
), taken AS (
  INSERT INTO occupancy (appointment_id, actor, period)
  SELECT $5, actor, tstzrange($6, $7) FROM unnest($8::text[]) WITH ORDINALITY AS wanted (actor, place) ORDER BY place
  ON CONFLICT ON CONSTRAINT ex_occupancy DO NOTHING RETURNING actor
)
SELECT (SELECT count(*) FROM claimed) AS claimed, (SELECT coalesce(array_agg(actor), '{{}}') FROM taken) AS taken
"""

_SET_STATUS = f"""
WITH changed AS (
  UPDATE slot SET status = $2, version = slot.version + 1, last_updated = $3
  WHERE slot.id = ANY($1::uuid[]) AND slot.status = ANY($4::slot_status[])
  RETURNING old.id, old.version, old.start, old."end", old.kind_key, old.last_updated, old.status, old.name, old.extra
)
{SUPERSEDE} SELECT * FROM changed
"""


async def lock_slots(
    connection: Connection, ids: Sequence[str], near: tuple[datetime, datetime] | None
) -> list[SlotFact]:
    """The facts of these slots, locked in one order for all rivals; slots that do not exist are missing.

    `near`, the appointment's own period, lets PostgreSQL look into one partition; slots that are not found there
    (a part of a larger slot starts before its appointment) are looked for everywhere.
    """
    if not ids:
        return []
    keys = [slot_key(id_) for id_ in ids]
    rows: Sequence[Any] = await connection.fetch(_LOCK_AT, keys, *near) if near else []
    if len(rows) < len(keys):
        rows = await connection.fetch(_LOCK_ANYWHERE, keys)
    return [_slot_fact(row) for row in rows]


def _slot_fact(row: Any) -> SlotFact:
    horizon = _horizon(row["schedule_content"])
    actors = (
        term[6:] for term in row["schedule_terms"] if term.startswith("actor=") and term.count("/") == 1
    )
    return SlotFact(
        id=row["id"],
        start=row["start"],
        end=row["end"],
        status=row["status"],
        schedule=row["schedule"],
        schedule_active="active=false" not in row["schedule_terms"] and row["schedule_content"] is not None,
        horizon_start=horizon[0],
        horizon_end=horizon[1],
        actors=tuple(sorted(actors)),
        visibility=frozenset(
            term.removeprefix(_VISIBILITY_TERM)
            for term in row["kind_terms"]
            if term.startswith(_VISIBILITY_TERM)
        )
        - {""},
    )


def _horizon(content: bytes | None) -> tuple[datetime | None, datetime | None]:
    """The planning horizon of a Schedule as a half-open period; a partial date reaches to its end."""
    horizon = json.loads(content).get("planningHorizon", {}) if content else {}
    start, end = horizon.get("start"), horizon.get("end")
    return (
        parse_interval(start, PARIS)[0] if start else None,
        parse_interval(end, PARIS)[1] if end else None,
    )


async def take(
    connection: Connection, appointment_id: str, claim: Claim, now: datetime
) -> tuple[bool, list[str]]:
    """Take what `claim` says; whether every slot was still free, and the actors that are taken by someone else.

    The caller raises when either says no: raising undoes what was taken.
    """
    row = await connection.fetchrow(
        _TAKE,
        [slot_key(slot.id) for slot in claim.slots],
        claim.slot_status,
        now,
        [slot.start for slot in claim.slots],
        appointment_id,
        claim.start,
        claim.end,
        list(claim.actors),
    )
    return row["claimed"] == len(claim.slots), sorted(set(claim.actors) - set(row["taken"]))


async def give_back(connection: Connection, appointment_id: str, slots: Iterable[str], now: datetime) -> None:
    """Free the slots that an appointment had taken, and its people."""
    await set_status(connection, slots, "free", now, ("busy", "busy-tentative"))
    await connection.execute("DELETE FROM occupancy WHERE appointment_id = $1", appointment_id)


async def set_status(
    connection: Connection, slots: Iterable[str], status: str, now: datetime, of: Sequence[str]
) -> None:
    """Give slots that have one of the statuses `of` another one."""
    keys = [slot_key(id_) for id_ in slots]
    if keys:
        await connection.execute(_SET_STATUS, keys, status, now, list(of))


async def roles_of(connection: Connection, references: Iterable[str]) -> dict[str, str]:
    """The Practitioner of each PractitionerRole reference that the directory replica knows."""
    ids = [
        reference.split("/", 1)[1] for reference in references if reference.startswith("PractitionerRole/")
    ]
    if not ids:
        return {}
    rows = await connection.fetch(
        "SELECT id, term FROM practitioner_role, unnest(terms) term"
        " WHERE id = ANY($1) AND term LIKE 'practitioner=Practitioner/%'",
        ids,
    )
    return {f"PractitionerRole/{row['id']}": row["term"].removeprefix("practitioner=") for row in rows}


async def expired_rivals(
    connection: Connection,
    slots: Sequence[str],
    actors: Sequence[str],
    start: datetime,
    end: datetime,
    now: datetime,
) -> list[str]:
    """Appointments whose hold has run out and that still stand in the way of these slots or people."""
    rows = await connection.fetch(
        "SELECT hold.appointment_id FROM hold JOIN appointment ON appointment.id = hold.appointment_id"
        " WHERE hold.expires_at <= $1 AND (appointment.terms && $2 OR EXISTS (SELECT FROM occupancy"
        " WHERE occupancy.appointment_id = hold.appointment_id AND actor = ANY($3) AND period && tstzrange($4, $5)))",
        now,
        [f"slot=Slot/{id_}" for id_ in slots],
        list(actors),
        start,
        end,
    )
    return [row["appointment_id"] for row in rows]
