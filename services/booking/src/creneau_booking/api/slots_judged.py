"""The status of a Slot that a consumer reads other than by a search for free slots: by its id, by an include from its agenda
or an appointment, in a history.

*Free* is a slot that they could book at this moment (`storage.availability`). A slot that nobody has and that they could not
book (it has begun, it is inside the minimum notice, its agenda has ended …) is `busy-unavailable` to them. Other callers
read the stored status, as they may have to write it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from creneau_booking.storage.finding.candidates import consumer_with
from creneau_booking.storage.mapping.slot import id_of_served, says_free, with_status
from creneau_booking.storage.slots.table import SlotTable
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import Clause, TokenValue
from creneau_shared.fhir.search.sql import Catalog, Compiler
from creneau_shared.fhir.storage.store import Stored
from creneau_shared.security.access import Access


def is_consumer(access: Access) -> bool:
    """Whether the caller books under the practices' rules: a patient, somebody who acts for one, the public."""
    return access.by_patient


class _Present(NamedTuple):
    """A slot as it is now: its version, and whether the caller could book it."""

    version: int
    could: bool


@dataclass(frozen=True, slots=True)
class JudgedSlots:
    """The `Completion` and the `Hindsight` of Slot, for consumers."""

    per_agenda_max: int
    """Appointments to come that a patient may have in an agenda that sets no number itself"""

    async def completed(
        self, connection: Connection, access: Access, now: datetime, contents: Sequence[bytes]
    ) -> Sequence[bytes]:
        """Returns the current Slots (JSON); free ones get the status that the caller is to see."""
        free = {place: id_of_served(content) for place, content in enumerate(contents) if says_free(content)}
        if not free:
            return contents
        present = await self._present(connection, access, now, sorted(set(free.values())))
        judged = list(contents)
        for place, id_ in free.items():
            could = id_ in present and present[id_].could
            judged[place] = with_status(contents[place], "free" if could else "busy-unavailable")
        return judged

    async def in_hindsight(
        self, connection: Connection, access: Access, now: datetime, versions: Sequence[Stored]
    ) -> Sequence[Stored]:
        """Returns the versions; a current one is as a read shows it. A superseded one stays as stored: it offers nothing."""
        free = sorted({v.id for v in versions if v.content is not None and says_free(v.content)})
        if not free or not is_consumer(access):
            return versions
        present = await self._present(connection, access, now, free)
        return [_as_now(version, present.get(version.id)) for version in versions]

    async def _present(
        self, connection: Connection, access: Access, now: datetime, ids: Sequence[str]
    ) -> dict[str, _Present]:
        consumer = await consumer_with(connection, access, now, per_agenda_max=self.per_agenda_max)
        table, of_slot = SlotTable(consumer=consumer), parameters_of("Slot")
        compiler = Compiler(Catalog([table]), planned_once=True)
        named = Clause(of_slot["_id"], None, (tuple(TokenValue(None, id_) for id_ in ids),))
        bookable = Clause(of_slot["bookable"], None, ((TokenValue(None, "true"),),))
        slots = compiler.select("Slot", (named,))
        columns = table.columns(slots.alias)
        could = table.predicate(bookable, slots.alias, compiler.arguments)
        statement = compiler.statement(slots.select(f"{columns.id} AS id, {columns.version}, {could}"))
        rows = await connection.fetch(statement.sql, *statement.values)
        return {row["id"]: _Present(row[1], bool(row[2])) for row in rows}


def _as_now(version: Stored, present: _Present | None) -> Stored:
    """Returns the version; if it is the current one, as a read of the slot shows it."""
    if version.content is None or not says_free(version.content):
        return version
    if present is None or present.version != version.version or present.could:
        return version
    return replace(version, content=with_status(version.content, "busy-unavailable"))
