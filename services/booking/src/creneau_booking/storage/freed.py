"""Time that is free again, or new, and that somebody may wait for: noted where it frees, acted upon before it is seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from creneau_shared.database import closing
from creneau_shared.database.pool import Connection

_TOPIC = "freed"

OWN_KEYS = """schedule.terms || kind.terms || ('schedule=Schedule/' || schedule.id)
  || ARRAY(SELECT 'actor=' || actor FROM agenda_actor WHERE agenda_actor.schedule_key = schedule.key)"""
"""SQL: by what those who wait for a slot are found; `schedule` and `kind` are rows of its agenda and kind."""
IS_AWAITED = f"EXISTS (SELECT FROM waiting_key WHERE waiting_key.key = ANY({OWN_KEYS}))"
"""Condition: somebody may wait for what is in this agenda (`schedule`) and of this kind (`kind`)."""
AGENDA_AWAITED = f"""((SELECT EXISTS (SELECT FROM waiting_key)) AND EXISTS (
  SELECT FROM schedule CROSS JOIN LATERAL (
    SELECT terms FROM slot_kind WHERE slot_kind.schedule_key = schedule.key UNION ALL SELECT ARRAY[]::text[]) AS kind
  WHERE schedule.key = {{agenda}} AND {IS_AWAITED}))"""
"""Condition on an agenda (its key): somebody may wait for a slot of it."""
AWAITED = f"""((SELECT EXISTS (SELECT FROM waiting_key)) AND {{slot}}.status = 'free' AND (
  SELECT {IS_AWAITED} FROM schedule JOIN slot_kind AS kind ON kind.key = {{slot}}.kind_key
  WHERE schedule.key = {{slot}}.schedule_key))"""
"""Condition on a row of `slot`: it is free, and somebody may wait for it. Of no cost where nobody waits for anything."""

_OF_AGENDAS = f"""
SELECT slot.id, slot.start, {AWAITED.format(slot="slot")} AS awaited FROM slot
WHERE slot.schedule_key = ANY($1) AND slot.start > $2 AND slot.status = 'free' AND (SELECT EXISTS (SELECT FROM waiting_key))
ORDER BY slot.start, slot.id
"""


@dataclass(frozen=True, slots=True)
class Freed:
    """A slot that may be free, since when."""

    start: datetime
    slot: UUID
    now: datetime


def note_freed(connection: Connection, slots: Iterable[tuple[UUID, datetime]], now: datetime) -> None:
    """These slots (keys and starts) may be free for whoever waits; it is looked into before the transaction commits."""
    for slot, start in slots:
        closing.note(connection, _TOPIC, Freed(start, slot, now))


def note_awaited(connection: Connection, written: Iterable[Record], now: datetime) -> None:
    """The same, of those of the slots that were written (`id`, `start`) for which somebody waits (`awaited`: AWAITED)."""
    note_freed(connection, ((row["id"], row["start"]) for row in written if row["awaited"]), now)


async def note_agendas(connection: Connection, agendas: Sequence[int], now: datetime) -> None:
    """These agendas (keys) are offered again: so is their free time, to whoever waits for it before anybody else."""
    if agendas:
        note_awaited(connection, await connection.fetch(_OF_AGENDAS, sorted(set(agendas)), now), now)


def take_freed(connection: Connection) -> list[Freed]:
    """What was noted since, each slot once, in the order of time."""
    found = {(one.start, one.slot): one for one in closing.take_notes(connection, _TOPIC)}
    return [found[key] for key in sorted(found)]
