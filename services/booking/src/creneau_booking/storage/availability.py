"""Which free slots can really be had: those whose people are not taken through another agenda."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from creneau_booking.domain.appointment import EXCLUSIVE_TYPES
from creneau_booking.storage.slot_rows import slot_key
from creneau_shared.database.pool import Connection

_EXCLUSIVE = " OR ".join(f"starts_with(actor, '{name}/')" for name in EXCLUSIVE_TYPES)
_NOT_OCCUPIED = f"""
SELECT coalesce(slot.name, slot.id::text) AS id, agenda.actors
FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, place)
JOIN slot ON slot.id = wanted.id
JOIN schedule ON schedule.key = slot.schedule_key
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(substr(term, 7)), '{{}}') AS actors FROM unnest(schedule.terms) AS term
  WHERE starts_with(term, 'actor=') AND strpos(term, '/') > 0
) AS agenda
WHERE NOT EXISTS (
  SELECT FROM occupancy, unnest(agenda.actors) AS actor
  WHERE ({_EXCLUSIVE}) AND occupancy.actor = actor AND occupancy.period && tstzrange(slot.start, slot."end")
  AND occupancy.appointment_id IS DISTINCT FROM $2
)
ORDER BY wanted.place
"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A slot that can be had, and its agenda's actors as references."""

    slot_id: str
    actors: tuple[str, ...]


async def not_occupied(
    connection: Connection, slot_ids: Sequence[str], ignored_appointment: str | None
) -> list[Proposal]:
    """Those of the slots whose people are free, in the order given; one appointment may be disregarded (a move)."""
    rows = await connection.fetch(_NOT_OCCUPIED, [slot_key(id_) for id_ in slot_ids], ignored_appointment)
    return [Proposal(row["id"], tuple(sorted(row["actors"]))) for row in rows]
