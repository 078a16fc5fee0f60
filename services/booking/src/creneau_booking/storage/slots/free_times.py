"""The free slots of a search for their times alone.

Whoever looks for a time that several agendas have in common looks through thousands of slots and shows twenty. What a slot
says of a visit repeats over its agenda: it stands in its kind. So each row brings its time and the members of its kind, which
are read once, instead of a whole resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from creneau_booking.domain.joint import FreeTime
from creneau_booking.storage.mapping.slot import last_part
from creneau_booking.storage.slots.table import SlotTable
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.search.pages import PageRecords, compile_matches
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.fhir.search.sql import Catalog, RowPlace, SearchScope
from creneau_shared.fhir.search.steps import Steps
from creneau_shared.fhir.storage.store import Resource

_LENGTH_BYTES = 8
_TOLD = """(int8send((date_part('epoch', {row}."end" - {row}.start) * 1000000)::bigint)
  || convert_to({row}_kind.members, 'UTF8'))"""
"""SQL (bytea): how long the slot lasts (microseconds, a bigint), and then the JSON members of its kind"""


@dataclass(frozen=True, slots=True)
class FreeTimes:
    """Free times in the order of a search, and what each slot's kind says (slot → a part of a Slot). `cut`: there are more."""

    free: list[FreeTime]
    said: Mapping[str, Resource]
    cut: bool


async def free_times(
    connection: Connection, catalog: Catalog, scope: SearchScope, request: SearchRequest, *, most: int
) -> FreeTimes:
    """Returns the slots that a search by their start finds. Reads pages of `request.count` until it has `most` or more.

    `catalog`: the SlotTable in which the search is made, and the tables beside it.
    """
    table = catalog.table("Slot")
    assert isinstance(table, SlotTable)
    narrow = table.telling(_TOLD)
    catalog = catalog.with_table(narrow)
    steps = await narrow.steps(connection, catalog, scope, request)
    rows: list[Any] = []
    more = True
    while more and len(rows) < most:
        place = RowPlace((rows[-1]["s0"], rows[-1]["key"])) if rows else None
        page = await _page(connection, catalog, scope, request, steps, place)
        shown = page.on_page(request.count)
        rows += page.records[:shown]
        more = len(page.records) > shown
    return _read(rows, cut=more)


async def _page(
    connection: Connection,
    catalog: Catalog,
    scope: SearchScope,
    request: SearchRequest,
    steps: Steps | None,
    place: RowPlace | None,
) -> PageRecords:
    if steps is not None:
        return await steps.page(connection, place, ())
    (query,) = compile_matches(catalog, scope, request, place)
    rows = await connection.fetch(query.statement.sql, *query.statement.values)
    return PageRecords(rows, query.sort_count, query.backward)


def _read(rows: Iterable[Any], *, cut: bool) -> FreeTimes:
    lasting, kind_of = cache(_length), cache(_kind)
    free, said = [], {}
    for row in rows:
        slot, start, told = row["id"], row["s0"], row["content"]
        agenda, said[slot] = kind_of(told[_LENGTH_BYTES:])
        free.append(FreeTime(slot, agenda, start, start + lasting(told[:_LENGTH_BYTES])))
    return FreeTimes(free, said, cut)


def _length(microseconds: bytes) -> timedelta:
    return timedelta(microseconds=int.from_bytes(microseconds))


def _kind(members: bytes) -> tuple[str, Resource]:
    """The agenda (id) of a kind, and what it says."""
    said = loads(b"{%b}" % members)
    return last_part(said["schedule"]), said
