"""Locks slots out of turn: without waiting, so that no circle of waiting can arise."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.storage.mapping.slot import slot_key
from creneau_shared.database.pool import Connection

_THERE = "SELECT count(*) FROM slot WHERE id = ANY($1::uuid[])"
_GOT = "SELECT count(*) FROM (SELECT FROM slot WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED) AS got"


async def lock_at_once(connection: Connection, slots: Sequence[str]) -> bool:
    """Locks those of these slots that exist; False if somebody else has one of them locked."""
    keys = [slot_key(id_) for id_ in slots]
    got: int = await connection.fetchval(_GOT, keys)
    return got == len(set(keys)) or got == await connection.fetchval(_THERE, keys)
