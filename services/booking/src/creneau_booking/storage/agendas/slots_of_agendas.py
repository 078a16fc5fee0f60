"""From slots to their agendas, and from an agenda to its slots by time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from creneau_booking.domain.refusals.slots import NoSlotThen
from creneau_booking.domain.times import require_sensible
from creneau_booking.storage.slot_rows import slot_key
from creneau_booking.storage.slot_visibility import is_public
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.security.rights import OWNER

SLOT_LENGTH_MAX = timedelta(days=31)
"""a longer slot is not found by the time within it; the bound keeps the search in two partitions"""

_ACTORS = """ARRAY(SELECT substr(term, 7) FROM unnest(schedule.terms) AS term
  WHERE starts_with(term, 'actor=') AND strpos(term, '/') > 0 AND strpos(term, '/_history/') = 0 ORDER BY 1)"""


async def slots_between(connection: Connection, schedule: str, start: datetime, end: datetime) -> list[str]:
    """The ids of the slots of an agenda that lie in or reach into `[start, end)`, whatever their status, in order.

    NoSlotThen when there is none; OutOfReach and LastsTooLong as `domain.times` says.
    """
    require_sensible("Appointment", start, end)
    rows = await connection.fetch(
        "SELECT coalesce(slot.name, slot.id::text) AS id FROM slot JOIN schedule ON schedule.key = slot.schedule_key"
        ' WHERE schedule.id = $1 AND slot.start < $3 AND slot.start > $4 AND slot."end" > $2'
        " AND slot.status <> 'entered-in-error' ORDER BY slot.start",
        schedule,
        start,
        end,
        start - SLOT_LENGTH_MAX,
    )
    if not rows:
        raise NoSlotThen(schedule, start)
    return [row["id"] for row in rows]


async def period_of(connection: Connection, slots: Sequence[str]) -> tuple[datetime, datetime] | None:
    """From the start of the first of these slots (ids) to the end of the last; None when one of them is not there."""
    row = await connection.fetchrow(
        'SELECT count(*) AS found, min(start) AS start, max("end") AS until FROM slot WHERE id = ANY($1::uuid[])',
        [slot_key(id_) for id_ in slots],
    )
    if row is None or not slots or row["found"] != len(set(slots)):
        return None
    return row["start"], row["until"]


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


async def actors_of_schedules(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The actors of each of these agendas (ids), as references."""
    rows = await connection.fetch(
        f"SELECT id, {_ACTORS} AS actors FROM schedule WHERE id = ANY($1)", sorted(set(ids))
    )
    return {row["id"]: tuple(row["actors"]) for row in rows}


async def agenda_actors(
    connection: Connection, slot_ids: Sequence[str], seen_by: WriteContext | None = None
) -> dict[str, tuple[str, ...]]:
    """The actors of each slot's agenda, as references; of those alone that a writer may see, if one is given."""
    sees_all = seen_by is None or (seen_by.patient_ids is None and seen_by.organizations is None)
    rows = await connection.fetch(
        "SELECT coalesce(slot.name, slot.id::text) AS id,"
        f" {_ACTORS} AS actors"
        " FROM slot JOIN schedule ON schedule.key = slot.schedule_key JOIN slot_kind kind ON kind.key = slot.kind_key"
        f" WHERE slot.id = ANY($1::uuid[]) AND ($2 OR schedule.terms && $3 OR {is_public('kind')})",
        [slot_key(id_) for id_ in slot_ids],
        sees_all,
        owned_by(seen_by.organizations or () if seen_by is not None else ()),
    )
    return {row["id"]: tuple(row["actors"]) for row in rows}


async def all_agenda_actors(connection: Connection, slot_ids: Sequence[str]) -> frozenset[str]:
    """The actors of the agendas of these slots, as references."""
    of_slots = await agenda_actors(connection, slot_ids)
    return frozenset(actor for actors in of_slots.values() for actor in actors)
