"""Slots that are free again, or new, and that somebody may wait for: noted when freed, handled before others see them."""

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
"""SQL: the keys of what may be waited for that an agenda and a kind (rows `schedule` and `kind`) state themselves."""
_ROLES = """(
  SELECT substr(t, 24) AS id FROM unnest(schedule.terms) AS t WHERE starts_with(t, 'actor=PractitionerRole/')
  UNION SELECT own.id FROM unnest(schedule.terms) AS t JOIN practitioner_role AS own
      ON own.terms @> ARRAY['practitioner=' || substr(t, 7)]
    WHERE starts_with(t, 'actor=Practitioner/')
      AND NOT EXISTS (SELECT FROM unnest(schedule.terms) AS named WHERE starts_with(named, 'actor=PractitionerRole/')))"""
"""FROM item: the roles that an agenda names, or else all roles of its people"""
_MAY_BE_KEYS = f"""{OWN_KEYS}
  || ARRAY(SELECT 'actor=PractitionerRole/' || id FROM {_ROLES} AS role
    UNION ALL SELECT 'actor=Location/' || place FROM {_ROLES} AS role JOIN role_place ON role_place.role = role.id
    UNION ALL SELECT 'actor=' || substr(at, 10) FROM unnest(schedule.terms) AS t
      JOIN healthcare_service AS offer ON offer.id = substr(t, 25) CROSS JOIN LATERAL unnest(offer.terms) AS at
      WHERE starts_with(t, 'actor=HealthcareService/') AND starts_with(at, 'location=Location/'))"""
"""SQL: all keys by which a slot may be waited for, also those that its agenda leaves to the directory"""
IS_AWAITED = f"EXISTS (SELECT FROM waiting_key WHERE waiting_key.key = ANY({_MAY_BE_KEYS}))"
"""Condition: somebody may wait for what is in this agenda (`schedule`) and of this kind (`kind`)."""
AGENDA_AWAITED = f"""((SELECT EXISTS (SELECT FROM waiting_key)) AND EXISTS (
  SELECT FROM schedule CROSS JOIN LATERAL (
    SELECT terms FROM slot_kind WHERE slot_kind.schedule_key = schedule.key UNION ALL SELECT ARRAY[]::text[]) AS kind
  WHERE schedule.key = {{agenda}} AND {IS_AWAITED}))"""
"""Condition on an agenda (its key): somebody may wait for a slot of it."""
AWAITED = f"""((SELECT EXISTS (SELECT FROM waiting_key)) AND {{slot}}.status = 'free' AND (
  SELECT {IS_AWAITED} FROM schedule JOIN slot_kind AS kind ON kind.key = {{slot}}.kind_key
  WHERE schedule.key = {{slot}}.schedule_key))"""
"""Condition on a row of `slot`: it is free, and somebody may wait for it. Costs nothing where nobody waits."""

_OF_AGENDAS = f"""
SELECT slot.id, slot.start, {AWAITED.format(slot="slot")} AS awaited FROM slot
WHERE slot.schedule_key = ANY($1) AND slot.start > $2 AND slot.status = 'free' AND (SELECT EXISTS (SELECT FROM waiting_key))
ORDER BY slot.start, slot.id
"""


@dataclass(frozen=True, slots=True)
class Freed:
    """A slot that may be free, and since when."""

    start: datetime
    slot: UUID
    now: datetime


def note_freed(connection: Connection, slots: Iterable[tuple[UUID, datetime]], now: datetime) -> None:
    """Notes that these slots (keys and starts) may be free for those who wait, to be looked into before the commit."""
    for slot, start in slots:
        closing.note(connection, _TOPIC, Freed(start, slot, now))


def note_awaited(connection: Connection, written: Iterable[Record], now: datetime) -> None:
    """Does the same for those of the written slots (`id`, `start`) for which somebody waits (`awaited`: AWAITED)."""
    note_freed(connection, ((row["id"], row["start"]) for row in written if row["awaited"]), now)


async def note_agendas(connection: Connection, agendas: Sequence[int], now: datetime) -> None:
    """Notes the free time of these agendas (keys), which are offered again: it goes first to those who wait for it."""
    if agendas:
        note_awaited(connection, await connection.fetch(_OF_AGENDAS, sorted(set(agendas)), now), now)


def take_freed(connection: Connection) -> list[Freed]:
    """Returns what was noted since, each slot once, in the order of time."""
    found = {(one.start, one.slot): one for one in closing.take_notes(connection, _TOPIC)}
    return [found[key] for key in sorted(found)]
