"""Series in the database: their members, the slots of an agenda for an occurrence, and the locks of a whole series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.refusals.slots import NoSlotThen
from creneau_booking.domain.times import require_in_reach
from creneau_booking.storage.agendas.slots_of_agendas import SLOT_LENGTH_MAX
from creneau_booking.storage.availability.actors import CONCERNED, TURN
from creneau_booking.storage.mapping.slot import slot_key
from creneau_shared.clock import PARIS, zone_named
from creneau_shared.database.pool import Connection

_ROW = """
SELECT coalesce(slot.name, slot.id::text) AS id, schedule.id AS schedule, slot.start, slot."end" AS until,
  slot.status = 'free' AS free, slot.kind_key AS kind, agenda.zone
"""
_NAMED = f"""{_ROW} FROM slot JOIN schedule ON schedule.key = slot.schedule_key
JOIN agenda ON agenda.schedule_key = slot.schedule_key WHERE slot.id = ANY($1::uuid[]) ORDER BY schedule.id, slot.start
"""
_THEN = f"""{_ROW}, wanted.start AS wanted
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS wanted (schedule, start, until)
JOIN schedule ON schedule.id = wanted.schedule JOIN agenda ON agenda.schedule_key = schedule.key
JOIN slot ON slot.schedule_key = schedule.key AND slot.start < wanted.until AND slot."end" > wanted.start
  AND slot.start > wanted.start - $4::interval
WHERE slot.status <> 'entered-in-error' ORDER BY slot.start, slot.id
"""
_PEOPLE = (
    CONCERNED.format(
        people="""(
          SELECT actor FROM agenda_actor WHERE schedule_key IN (SELECT schedule_key FROM slot WHERE id = ANY($1::uuid[]))
          UNION SELECT actor FROM occupancy WHERE appointment_id = ANY($3::text[])
          UNION SELECT actor FROM occupancy WHERE appointment_id IN (
            SELECT 'Slot/' || slot_id FROM slot_place WHERE appointment_id = ANY($3::text[]))
          UNION SELECT unnest($2::text[])) AS taken"""
    )
    + " AS people"
)
_TURN = f"SELECT count(pg_advisory_xact_lock({TURN.format(actor='actor')})) FROM {_PEOPLE}"
_SLOTS = """
SELECT FROM slot WHERE id = ANY($1::uuid[]) ORDER BY schedule_key, start, id FOR UPDATE
"""


@dataclass(frozen=True, slots=True)
class SlotThen:
    """A slot by its agenda and time; `kind`: the key of its kind."""

    id: str
    schedule: str
    start: datetime
    until: datetime
    free: bool
    kind: int
    zone: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """The slots of one occurrence, by which those of the others are found; `start` and `until`: when it is."""

    slots: tuple[SlotThen, ...]
    start: datetime
    until: datetime

    @classmethod
    def of(cls, wanted: Appointment, slots: tuple[SlotThen, ...]) -> Pattern:
        """The period within these slots: the stated start and end, else all of them."""
        start = wanted.start or slots[0].start
        return cls(slots, start, wanted.end or max(slot.until for slot in slots))

    @property
    def zone(self) -> tzinfo:
        return zone_named(self.slots[0].zone) or PARIS

    async def at(self, connection: Connection, start: datetime) -> list[str]:
        """Returns the slots (ids) of the same agendas for the same, when an occurrence starts at `start`. Raises NoSlotThen
        without any, OutOfReach for a year out of reach."""
        require_in_reach("Appointment", "start", start)
        schedules = sorted({slot.schedule for slot in self.slots})
        until = start + (self.until - self.start)
        rows = await connection.fetch(
            _THEN, schedules, [start] * len(schedules), [until] * len(schedules), SLOT_LENGTH_MAX
        )
        found: list[str] = []
        for schedule in schedules:
            there = [SlotThen(*tuple(row)[:7]) for row in rows if row["schedule"] == schedule]
            found += self._of_agenda(schedule, there, start)
        return found

    def _of_agenda(self, schedule: str, there: Sequence[SlotThen], start: datetime) -> list[str]:
        own = [slot for slot in self.slots if slot.schedule == schedule]
        exact = []
        for slot in own:
            begin = start + (slot.start - self.start)
            fitting = [s for s in there if (s.start, s.until) == (begin, begin + (slot.until - slot.start))]
            fitting.sort(key=lambda s: (s.kind != slot.kind, not s.free))
            exact += fitting[:1]
        if len(exact) == len(own):
            return [slot.id for slot in exact]
        alike = [slot for slot in there if slot.kind == own[0].kind] or list(there)
        chosen: list[SlotThen] = []
        for slot in sorted(alike, key=lambda s: (s.start, not s.free)):
            if not chosen or slot.start >= chosen[-1].until:
                chosen.append(slot)
        if not chosen:
            raise NoSlotThen(schedule, start)
        return [slot.id for slot in chosen]


async def slots_named(connection: Connection, ids: Sequence[str]) -> tuple[SlotThen, ...]:
    """Returns those of these slots that exist, by agenda and time."""
    rows = await connection.fetch(_NAMED, [slot_key(id_) for id_ in ids])
    return tuple(SlotThen(*row) for row in rows)


async def lock_whole(
    connection: Connection, slots: Sequence[str], people: Sequence[str], appointments: Sequence[str] = ()
) -> None:
    """Waits at once for the turn of everybody whose time a series takes, or gives back (that of `appointments`), and then
    locks all its slots: one after the other they would be waited for out of order."""
    keys = [slot_key(id_) for id_ in slots]
    await connection.execute(_TURN, keys, sorted(set(people)), list(appointments))
    await connection.execute(_SLOTS, keys)


async def keep_series(connection: Connection, series: str, members: Sequence[tuple[int, str]]) -> None:
    """Remember which appointments (number, id) are one series."""
    await connection.execute(
        "INSERT INTO appointment_series (series, number, appointment_id)"
        " SELECT $1, number, id FROM unnest($2::smallint[], $3::text[]) AS member (number, id)"
        " ON CONFLICT (appointment_id) DO NOTHING",
        series,
        [number for number, _ in members],
        [id_ for _, id_ in members],
    )


async def members_of(connection: Connection, appointment_id: str) -> list[tuple[int, str]]:
    """The appointments (number, id) of the series of one of them, in order; nothing when it is in none."""
    rows = await connection.fetch(
        "SELECT number, appointment_id FROM appointment_series WHERE series ="
        " (SELECT series FROM appointment_series WHERE appointment_id = $1) ORDER BY number",
        appointment_id,
    )
    return [(row["number"], row["appointment_id"]) for row in rows]


async def lock_members(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Locks and returns those of these appointments (ids) that nobody else is changing. Waits for none: whoever changes
    another one of the series may be waiting for these."""
    rows = await connection.fetch(
        "SELECT id FROM appointment WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE SKIP LOCKED", list(ids)
    )
    return {row["id"] for row in rows}
