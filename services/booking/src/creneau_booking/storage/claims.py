"""Taking and giving back slots, people and devices, in SQL. Nothing is checked and then inserted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from creneau_booking.domain.appointment import SlotFact
from creneau_booking.domain.rules import Claim
from creneau_booking.domain.status import SlotStatus
from creneau_booking.storage.appointment_facts import offered
from creneau_booking.storage.slot_rows import slot_key
from creneau_booking.storage.slot_visibility import VISIBILITY_TERM, is_public
from creneau_booking.storage.slots import SUPERSEDE
from creneau_shared.clock import PARIS
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import parse_interval
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.security.rights import OWNER

_TAKEN: tuple[SlotStatus, ...] = ("busy", "busy-tentative")
"""the statuses that an appointment gives to its slots"""

_LOCK = """
SELECT coalesce(slot.name, slot.id::text) AS id, slot.start, slot."end", slot.status::text AS status,
       kind.terms AS kind_terms, kind.members AS kind_members,
       schedule.id AS schedule, schedule.terms AS schedule_terms, schedule.content AS schedule_content
FROM slot
JOIN slot_kind kind ON kind.key = slot.kind_key
JOIN schedule ON schedule.key = slot.schedule_key
WHERE slot.id = ANY($1::uuid[]) {pruned}
ORDER BY slot.id
FOR UPDATE OF slot
"""
_LOCK_ANYWHERE = _LOCK.format(pruned="")
_LOCK_AT = _LOCK.format(pruned="AND slot.start >= $2 AND slot.start < $3")

_OCCUPY = """
INSERT INTO occupancy (appointment_id, actor, period)
SELECT $1, actor, tstzrange($2, $3) FROM unnest($4::text[]) WITH ORDINALITY AS wanted (actor, place) ORDER BY place
ON CONFLICT ON CONSTRAINT ex_occupancy DO NOTHING RETURNING actor
"""

_TAKE = f"""
WITH claimed AS (
  UPDATE slot SET status = $6, version = slot.version + 1, last_updated = $7
  FROM unnest($5::uuid[], $8::timestamptz[]) AS wanted (id, start)
  WHERE slot.id = wanted.id AND slot.start = wanted.start AND slot.status = 'free'
  RETURNING old.id, old.version, old.start, old."end", old.kind_key, old.last_updated, old.status, old.name, old.extra
), superseded AS (
  {SUPERSEDE} SELECT * FROM claimed
), taken AS ({_OCCUPY})
SELECT (SELECT count(*) FROM claimed) AS claimed, (SELECT coalesce(array_agg(actor), '{{}}') FROM taken) AS taken
"""

_SET_STATUS = f"""
WITH locked AS MATERIALIZED (
  SELECT id, start FROM slot WHERE id = ANY($1::uuid[]) AND status = ANY($4::slot_status[]) ORDER BY id FOR UPDATE
), changed AS (
  UPDATE slot SET status = $2, version = slot.version + 1, last_updated = $3
  FROM locked WHERE slot.id = locked.id AND slot.start = locked.start
  RETURNING old.id, old.version, old.start, old."end", old.kind_key, old.last_updated, old.status, old.name, old.extra
)
{SUPERSEDE} SELECT * FROM changed
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a claim got: whether every slot was still free, and the actors whom someone else has."""

    all_slots: bool
    missing_actors: tuple[str, ...]


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
        term[6:]
        for term in row["schedule_terms"]
        if term.startswith("actor=") and "/" in term and "/_history/" not in term
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
            term.removeprefix(VISIBILITY_TERM)
            for term in row["kind_terms"]
            if term.startswith(VISIBILITY_TERM)
        )
        - {""},
        offers=offered(json.loads("{" + row["kind_members"] + "}")),
        owners=frozenset(
            term.removeprefix(OWNER) for term in row["schedule_terms"] if term.startswith(OWNER)
        ),
    )


def _horizon(content: bytes | None) -> tuple[datetime | None, datetime | None]:
    """The planning horizon of a Schedule as a half-open period; a partial date reaches to its end."""
    horizon = json.loads(content).get("planningHorizon", {}) if content else {}
    start, end = horizon.get("start"), horizon.get("end")
    return (
        parse_interval(start, PARIS)[0] if start else None,
        parse_interval(end, PARIS)[1] if end else None,
    )


async def take(connection: Connection, appointment_id: str, claim: Claim, now: datetime) -> Taken:
    """Take the slots and the people of `claim`. The caller raises when that was not all: raising undoes it."""
    row = await connection.fetchrow(
        _TAKE,
        appointment_id,
        claim.start,
        claim.end,
        list(claim.actors),
        [slot_key(slot.id) for slot in claim.new_slots],
        claim.slot_status,
        now,
        [slot.start for slot in claim.new_slots],
    )
    assert row is not None
    missing = sorted(set(claim.actors) - set(row["taken"]))
    return Taken(all_slots=row["claimed"] == len(claim.new_slots), missing_actors=tuple(missing))


async def occupy(
    connection: Connection, appointment_id: str, actors: Sequence[str], claim: Claim
) -> tuple[str, ...]:
    """Take these people for the claim's period; those who are taken by someone else."""
    rows = await connection.fetch(_OCCUPY, appointment_id, claim.start, claim.end, list(actors))
    return tuple(sorted(set(actors) - {row["actor"] for row in rows}))


async def release_actors(connection: Connection, appointment_id: str) -> None:
    """Nobody is taken by this appointment any more."""
    await connection.execute("DELETE FROM occupancy WHERE appointment_id = $1", appointment_id)


async def give_back(connection: Connection, appointment_id: str, slots: Iterable[str], now: datetime) -> None:
    """Free the slots that an appointment had taken, and its people."""
    await set_status(connection, slots, "free", now)
    await release_actors(connection, appointment_id)


async def set_status(connection: Connection, slots: Iterable[str], status: SlotStatus, now: datetime) -> None:
    """Give slots that are taken another status. The caller has them: they are those of its locked appointment."""
    keys = [slot_key(id_) for id_ in slots]
    if keys:
        await connection.execute(_SET_STATUS, keys, status, now, [s for s in _TAKEN if s != status])


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


async def schedules_of(connection: Connection, slots: Sequence[str]) -> tuple[str, ...]:
    """The agendas of these slots, as references, in a stable order."""
    if not slots:
        return ()
    rows = await connection.fetch(
        "SELECT DISTINCT schedule.id FROM slot JOIN schedule ON schedule.key = slot.schedule_key"
        " WHERE slot.id = ANY($1::uuid[]) ORDER BY schedule.id",
        [slot_key(id_) for id_ in slots],
    )
    return tuple(f"Schedule/{row['id']}" for row in rows)


async def agendas_of(
    connection: Connection, context: WriteContext, slots: Sequence[str]
) -> tuple[tuple[str, ...], frozenset[str]]:
    """The agendas of these slots, as references, and the organisations (ids) whose they are. A slot that the writer may
    not see is as one that does not exist."""
    if not slots:
        return (), frozenset()
    rows = await connection.fetch(
        "SELECT DISTINCT schedule.id, ARRAY(SELECT t FROM unnest(schedule.terms) AS t WHERE starts_with(t, $2)) AS owners"
        " FROM slot JOIN schedule ON schedule.key = slot.schedule_key JOIN slot_kind ON slot_kind.key = slot.kind_key"
        f" WHERE slot.id = ANY($1::uuid[]) AND ($3 OR schedule.terms && $4 OR {is_public('slot_kind')}) ORDER BY 1",
        [slot_key(id_) for id_ in slots],
        OWNER,
        context.patient_ids is None and context.organizations is None,
        owned_by(context.organizations or ()),
    )
    owners = frozenset(term.removeprefix(OWNER) for row in rows for term in row["owners"])
    return tuple(f"Schedule/{row['id']}" for row in rows), owners


async def unavailable_patients(connection: Connection, references: Sequence[str]) -> list[str]:
    """Those of the Patients of this base for whom nothing can be booked: deleted, inactive or deceased."""
    rows = await connection.fetch(
        "SELECT id FROM patient WHERE id = ANY($1)"
        " AND (deleted OR terms && ARRAY['active=false', 'deceased=true']) ORDER BY id",
        [reference.removeprefix("Patient/") for reference in references],
    )
    return [f"Patient/{row['id']}" for row in rows]
