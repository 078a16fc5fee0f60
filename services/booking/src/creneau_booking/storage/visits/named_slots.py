"""Which slots an Appointment means, however it refers to them: each is found, or the appointment is refused.

| reference | the slot that it means |
|---|---|
| `Slot/12`, or the same within this base | that one |
| `#s1`, a Slot contained (Medplum's `$book`) | the one of that agenda from that start to that end |
| an identifier alone | the one that bears it |
| anything else: another server, `urn:uuid:`, words | none: SlotsUnclear |
"""

from __future__ import annotations

from collections.abc import Sequence

from asyncpg import Record

from creneau_booking.domain.refusals.slots import SlotsUnclear
from creneau_booking.storage.mapping.appointment import relative
from creneau_booking.storage.mapping.visibility import is_public
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import instant_of
from creneau_shared.fhir.search.terms import bounded, token_term
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, WriteContext

Sees = tuple[bool, list[str]]
"""Whether the writer sees every slot; if not, the terms of the agendas whose slots they see beside those open to all."""

_SHOWN = f"""
SELECT coalesce(slot.name, slot.id::text) AS id, slot.status = 'free' AS free
FROM slot JOIN schedule ON schedule.key = slot.schedule_key JOIN slot_kind kind ON kind.key = slot.kind_key
WHERE slot.status <> 'entered-in-error' AND ($1 OR schedule.terms && $2::text[] OR {is_public("kind")})
"""
_OF_AGENDA = f'{_SHOWN} AND schedule.id = $3 AND slot.start = $4 AND slot."end" = $5'
_BEARING = f"{_SHOWN} AND slot.terms @> ARRAY[$3]"


async def with_known_slots(
    connection: Connection, context: WriteContext, appointment: Resource, base_url: str
) -> Resource:
    """Returns the appointment with every slot as `Slot/[id]`, without its contained slots. Raises SlotsUnclear, naming each
    that cannot be found. A slot that the writer may not see counts as missing."""
    references = appointment.get("slot", [])
    sees = (
        not context.by_patient and context.organizations is None,
        owned_by(context.organizations or ()),
    )
    found = [await _slot(connection, sees, appointment, reference, base_url) for reference in references]
    unknown = [index for index, id_ in enumerate(found) if id_ is None]
    if unknown:
        raise SlotsUnclear(tuple((index, _said(references[index])) for index in unknown))
    if all(r.get("reference") == f"Slot/{id_}" for r, id_ in zip(references, found, strict=True)):
        return appointment
    named = [{"reference": f"Slot/{id_}"} for id_ in dict.fromkeys(found)]
    meant = {r["reference"] for r in references if r.get("reference", "").startswith("#")}
    contained = [r for r in appointment.get("contained", ()) if f"#{r.get('id')}" not in meant]
    rest = {name: value for name, value in appointment.items() if name != "contained"}
    return {**rest, "slot": named, **({"contained": contained} if contained else {})}


async def _slot(
    connection: Connection, sees: Sees, appointment: Resource, reference: Resource, base_url: str
) -> str | None:
    text = relative(reference.get("reference", ""), base_url)
    if text.startswith("Slot/"):
        return text.removeprefix("Slot/")
    if text.startswith("#"):
        inner: Resource = next((r for r in appointment.get("contained", ()) if r.get("id") == text[1:]), {})
        return await _contained(connection, sees, inner, base_url)
    identifier = reference.get("identifier", {})
    if not text and identifier.get("value"):
        term = bounded(token_term("identifier", identifier.get("system", ""), identifier["value"]))
        return _only(await connection.fetch(_BEARING, *sees, term))
    return None


async def _contained(connection: Connection, sees: Sees, slot: Resource, base_url: str) -> str | None:
    agenda = relative(slot.get("schedule", {}).get("reference", ""), base_url)
    if slot.get("resourceType") != "Slot" or not agenda.startswith("Schedule/"):
        return None
    if "start" not in slot or "end" not in slot:
        return None
    times = [instant_of(slot[name]) for name in ("start", "end")]
    return _only(await connection.fetch(_OF_AGENDA, *sees, agenda.removeprefix("Schedule/"), *times))


def _only(rows: Sequence[Record]) -> str | None:
    """Returns the one slot that is meant: of several, the free one."""
    free = [row for row in rows if row["free"]]
    meant = rows if len(rows) == 1 else free
    return str(meant[0]["id"]) if len(meant) == 1 else None


def _said(reference: Resource) -> str:
    return str(reference.get("reference") or reference.get("display") or "identifier")
