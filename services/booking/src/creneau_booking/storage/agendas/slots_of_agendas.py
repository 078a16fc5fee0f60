"""From slots to their agendas, and from an agenda to its slots by time."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType

from asyncpg import Record

from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.domain.refusals.slots import NoSlotThen
from creneau_booking.domain.times import require_sensible
from creneau_booking.storage.mapping.slot import slot_key
from creneau_booking.storage.mapping.visibility import is_public
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.terms import after
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.security.rights import OWNER

SLOT_LENGTH_MAX = timedelta(days=31)
"""longer slots are not found by a time within them; the bound keeps the search in two partitions"""

_ACTORS = """ARRAY(SELECT substr(term, 7) FROM unnest(schedule.terms) AS term
  WHERE starts_with(term, 'actor=') AND strpos(term, '/') > 0 AND strpos(term, '/_history/') = 0 ORDER BY 1)"""


_PARAMETERS = {element: re.sub("[A-Z]", lambda c: f"-{c[0].lower()}", element) for element in SAID_BY_SLOT}
"""element that says what a slot is for → search parameter of its kind"""
NOTHING_WANTED: Mapping[str, Collection[str]] = MappingProxyType({})
_BETWEEN = f"""
SELECT coalesce(slot.name, slot.id::text) AS id, slot.start, slot."end" AS until, slot.status = 'free' AS free,
  slot.kind_key AS kind, ARRAY[
    (NOT slot.kind_key = ANY(ARRAY(SELECT kind_key FROM slot WHERE id = ANY($5::uuid[]))))::int,
    -cardinality(ARRAY(SELECT unnest(kind.terms) INTERSECT SELECT unnest($6::text[]))),
    (NOT ({is_public("kind")}))::int] AS rank
FROM slot JOIN schedule ON schedule.key = slot.schedule_key JOIN slot_kind AS kind ON kind.key = slot.kind_key
WHERE schedule.id = $1 AND slot.start < $3 AND slot.start > $4 AND slot."end" > $2 AND slot.status <> 'entered-in-error'
ORDER BY slot.start, slot.id
"""


async def slots_between(
    connection: Connection,
    schedule: str,
    start: datetime,
    end: datetime,
    *,
    like: Sequence[str] = (),
    wanted: Mapping[str, Collection[str]] = NOTHING_WANTED,
) -> list[str]:
    """Returns the ids of the slots of an agenda that make up `[start, end)`, in order: of one kind, whatever their status.

    An agenda may offer several kinds at one time (twenty minutes of this, thirty of that). The order of preference is: the
    kind of the slots `like` (ids), a kind for what is `wanted` (as `Appointment.visit`), what patients may see, slots of
    exactly that length, free slots. Where no kind covers the period: all slots that lie in or reach into it.
    Raises NoSlotThen if there is none; OutOfReach and LastsTooLong as `domain.times` says.
    """
    require_sensible("Appointment", start, end)
    terms = [f"{_PARAMETERS[element]}={code}" for element, codes in wanted.items() for code in codes]
    rows = await connection.fetch(
        _BETWEEN, schedule, start, end, start - SLOT_LENGTH_MAX, [slot_key(id_) for id_ in like], terms
    )
    if not rows:
        raise NoSlotThen(schedule, start)
    of_kinds: dict[int, list[Record]] = {}
    for row in rows:
        of_kinds.setdefault(row["kind"], []).append(row)
    chains = [_chain(of_kind, start, end) for of_kind in of_kinds.values()]
    covering = [chain for chain in chains if chain]
    if not covering:
        return [row["id"] for row in rows]

    def order(chain: list[Record]) -> tuple[object, ...]:
        is_exact = (chain[0]["start"], chain[-1]["until"]) == (start, end)
        return (*chain[0]["rank"], not is_exact, not all(row["free"] for row in chain), len(chain))

    best = min(covering, key=order)
    return [row["id"] for row in best]


def _chain(slots: Sequence[Record], start: datetime, end: datetime) -> list[Record]:
    """Returns consecutive slots of one kind that cover the period, preferably one slot of exactly that length, and free
    slots. Empty if they leave a part of it out."""
    exact = [slot for slot in slots if (slot["start"], slot["until"]) == (start, end)]
    if exact:
        return [min(exact, key=lambda slot: not slot["free"])]
    chain: list[Record] = []
    for slot in sorted(slots, key=lambda slot: (slot["start"], not slot["free"])):
        if not chain or slot["start"] >= chain[-1]["until"]:
            chain.append(slot)
    is_covered = chain[0]["start"] <= start and chain[-1]["until"] >= end
    return chain if is_covered and all(a["until"] == b["start"] for a, b in pairwise(chain)) else []


async def period_of(connection: Connection, slots: Sequence[str]) -> tuple[datetime, datetime] | None:
    """Returns the start of the first and the end of the last of these slots (ids); None if one of them does not exist."""
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
    """Returns the agendas of these slots, as references, and the organisations (ids) that own them. Treats a slot that the
    writer may not see as one that does not exist."""
    if not slots:
        return (), frozenset()
    rows = await connection.fetch(
        "SELECT DISTINCT schedule.id, ARRAY(SELECT t FROM unnest(schedule.terms) AS t WHERE starts_with(t, $2)) AS owners"
        " FROM slot JOIN schedule ON schedule.key = slot.schedule_key JOIN slot_kind ON slot_kind.key = slot.kind_key"
        f" WHERE slot.id = ANY($1::uuid[]) AND ($3 OR schedule.terms && $4 OR {is_public('slot_kind')}) ORDER BY 1",
        [slot_key(id_) for id_ in slots],
        OWNER,
        not context.by_patient and context.organizations is None,
        owned_by(context.organizations or ()),
    )
    owners = frozenset(after(OWNER, (term for row in rows for term in row["owners"])))
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
    """Returns the actors of each slot's agenda, as references; with `seen_by`, only for slots that this writer may see."""
    sees_all = seen_by is None or (not seen_by.by_patient and seen_by.organizations is None)
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
