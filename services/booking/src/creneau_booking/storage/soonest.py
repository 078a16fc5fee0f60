"""The first free slot of each agenda, in the order of time or of distance, by the index of first free starts.

`first_free` says when the first free slot of each kind of each agenda begins; `found_by` what the kind is found by. Agendas
are taken in the order of these starts (their *heads*), and of each that slot is looked for which is the first that the
caller could book: the one at its head, nearly always; a later one where time has passed since, or where a rule of the agenda
keeps the first from them. Nothing is shown that the one truth (`storage.availability`) does not call free.

- What names agendas (people, places, organisations), or a speciality or surroundings of which there are not too many, is
  gathered: the heads of all of them are known at once.
- Otherwise heads are read as they come, whosever they are: of what fits many agendas, some of the next few always do.
- Where the search begins later than now, and many agendas fit, slots are read as they come in place of heads.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Any

from asyncpg import Record

from creneau_booking.storage import slot_visibility
from creneau_booking.storage.agenda_states import agendas_of
from creneau_booking.storage.candidates import Consumer
from creneau_booking.storage.local_times import LocalTimes
from creneau_booking.storage.slot_rows import slot_key
from creneau_booking.storage.unshown import real_slot
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.includes import Row
from creneau_shared.fhir.search.request import Condition, NearValue
from creneau_shared.fhir.search.sql import Arguments, Catalog, Compiler, SearchScope

GATHERED_MAX = 1_500
"""kinds of slots up to which the heads of all are gathered; of more of them, those that are read as they come hold a page"""
CELLS_MAX = 400
"""cells of a tenth of a degree that are looked into; a wider search reads as it comes"""
METRES_A_DEGREE = 111_195.0
NEAREST_M = 5_000.0
"""surroundings that are not narrowed any more: about the cell in which one is, and those around it"""
READ_FIRST, READ_MAX = 3_000, 20_000
"""rows that are read as they come in one go: at first, and at the most"""
PROBED_FIRST, PROBED_MAX = 48, 400
"""agendas whose first slot is looked for in one go: at first, and at the most"""

FACETS = ("specialty", "service-type", "language", "sector", "accessibility")


@dataclass(frozen=True, slots=True)
class Sought:
    """What is sought. `terms`: of each group one that a kind must be found by; `never`: none of these."""

    start: datetime
    end: datetime | None = None
    terms: tuple[tuple[str, ...], ...] = ()
    never: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()
    """codes, by which the index of places is entered"""
    near: NearValue | None = None
    named: tuple[tuple[str, ...], ...] = ()
    """of each group one that the agenda has to do with: references (`Organization/12`, `Schedule/7`)"""
    times: tuple[tuple[time, time], ...] = ()
    """half-open, in the agenda's own zone"""
    weekdays: tuple[int, ...] = ()
    """ISO: Monday is 1"""
    by_distance: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """An agenda (key) and from when on its first slot is to be looked for."""

    schedule: int
    start: datetime
    distance_m: float | None

    def place(self) -> tuple[datetime, int]:
        return self.start, self.schedule


@dataclass(frozen=True, slots=True)
class First:
    """The first slot of an agenda that the caller could book."""

    schedule: int
    agenda: str
    """its id"""
    start: datetime
    row: Row

    def place(self, *, by_distance: bool) -> tuple[Any, int]:
        """Its place in the order of the answer."""
        if by_distance:
            return (self.row.distance_m if self.row.distance_m is not None else math.inf), self.schedule
        return self.start, self.schedule


@dataclass(frozen=True, slots=True)
class Soonest:
    """A page. `cut`: so much would have had to be looked through that there may be more, or sooner ones."""

    found: tuple[First, ...]
    more: bool
    total: int | None
    cut: bool = False


class SoonestSearch:
    """One search, for one caller: `scope`, `conditions` (on Slot) and `consumer` say which slots are for them."""

    def __init__(
        self,
        connection: Connection,
        catalog: Catalog,
        scope: SearchScope,
        conditions: tuple[Condition, ...],
        consumer: Consumer | None,
        sought: Sought,
        *,
        now: datetime,
        read_max: int,
        counting: bool = True,
    ) -> None:
        """`counting`: whether `facets` are wanted."""
        self._connection = connection
        self._catalog = catalog
        self._scope = scope
        self._conditions = conditions
        self._consumer = consumer
        self._sought = sought
        self._now = now
        self._read_max = read_max
        self._kinds: Sequence[int] | None = None
        self._cut = False
        self._whole = False
        self._counting = counting
        self._agendas_fitting: int | None = None
        self._counts: dict[str, dict[str, int]] = {}
        self._required = scope.required.get("Slot")

    async def page(self, count: int, after: tuple[Any, int] | None) -> Soonest:
        """The next `count` of the answer after a place in its order."""
        asked = self._sought
        page = await self._page(count, after)
        if asked.by_distance and page.cut and not page.more:
            # The nearest surroundings do not hold a page more: all that were asked for are gathered.
            self._sought, self._cut, self._whole = asked, False, True
            page = await self._page(count, after)
        return page

    async def _page(self, count: int, after: tuple[Any, int] | None) -> Soonest:
        found: list[First] = []
        wanted: list[First] = []
        whole = False
        async for heads, frontier in self._heads():
            found += await self._first_slots(heads)
            found.sort(key=self._place_of)
            wanted = [one for one in found if after is None or self._place_of(one) > after]
            whole = frontier is None
            if frontier is not None:
                settled = [one for one in wanted if self._place_of(one) <= frontier]
                if len(settled) > count:
                    wanted = settled
                    break
        total = len(found) if whole and not self._cut else None
        return Soonest(tuple(wanted[:count]), len(wanted) > count, total, cut=self._cut)

    def _place_of(self, one: First) -> tuple[Any, int]:
        return one.place(by_distance=self._sought.by_distance)

    def facets(self) -> tuple[int | None, dict[str, dict[str, int]]]:
        """Once there is a page: how many agendas that have a free slot fit (None: more than are gathered), and for each
        facet how many of them for each of its codes."""
        return self._agendas_fitting, self._counts

    # -- heads -----------------------------------------------------------------------------------------------

    async def _heads(self) -> AsyncIterator[tuple[list[Head], tuple[Any, int] | None]]:
        """Agendas in the order of the answer, as far as heads tell it, some at a time; each time up to which place all
        of them are among those that were given (None: these were all)."""
        own = await self._own()
        if own:
            yield own, (self._begin(), 0)
        known = {head.schedule for head in own}
        self._kinds = await self._gathered()
        if self._kinds is not None:
            heads = [head for head in await self._heads_of_kinds() if head.schedule not in known]
            size, begin = PROBED_FIRST, 0
            while begin < len(heads):
                some, begin = heads[begin : begin + size], begin + size
                yield some, None if begin >= len(heads) else self._place(some[-1])
                size = min(size * 3, PROBED_MAX)
            if not heads:
                yield [], None
            return
        async for heads, place in self._as_they_come():
            new = [head for head in heads if head.schedule not in known]
            known |= {head.schedule for head in new}
            for begin in range(0, len(new), PROBED_MAX):
                some = new[begin : begin + PROBED_MAX]
                yield some, place if begin + PROBED_MAX >= len(new) else self._place(some[-1])
            if not new:
                yield [], place

    def _begin(self) -> Any:
        return -1.0 if self._sought.by_distance else datetime.min.replace(tzinfo=self._now.tzinfo)

    def _place(self, head: Head) -> tuple[Any, int]:
        if self._sought.by_distance:
            return (head.distance_m if head.distance_m is not None else math.inf), head.schedule
        return max(head.start, self._sought.start), head.schedule

    async def _gathered(self) -> Sequence[int] | None:
        """The kinds (keys) that may fit; None: too many of them do, or nothing tells them apart."""
        sought = self._sought
        if sought.named:
            agendas = await self._agendas()
            return await self._fetch_kinds(
                "SELECT kind_key FROM found_by WHERE schedule_key = ANY($1::bigint[])", [sorted(agendas)]
            )
        specialties = sorted(set(sought.specialties)) or [""]
        near = sought.near
        while True:
            cells = cells_around(near) if near is not None else None
            kinds = None
            narrowest = near is not None and near.distance_m < NEAREST_M
            most = None if sought.by_distance and (narrowest or self._whole) else GATHERED_MAX
            if cells is not None:
                sql = "SELECT kind_key FROM found_in WHERE specialty = ANY($1::text[]) AND cell = ANY($2::integer[])"
                kinds = await self._fetch_kinds(sql, [specialties, cells], most=most)
            elif specialties != [""]:
                sql = "SELECT kind_key FROM found_in WHERE specialty = ANY($1::text[])"
                kinds = await self._fetch_kinds(sql, [specialties], most=most)
            if kinds is not None or near is None or not sought.by_distance:
                return kinds
            # Of too many, the nearest are among those of narrower surroundings.
            self._cut = True
            near = replace(near, distance_m=near.distance_m / 2)
            self._sought = sought = replace(sought, near=near)

    async def _fetch_kinds(
        self, sql: str, values: list[Any], most: int | None = None
    ) -> Sequence[int] | None:
        limit = "" if most is None else f" LIMIT {most + 1}"
        kinds = await self._connection.fetchval(
            f"SELECT array_agg(kind_key) FROM ({sql}{limit}) AS fitting", *values
        )
        kinds = kinds or []
        return None if most is not None and len(kinds) > most else kinds

    async def _agendas(self) -> frozenset[int]:
        """The agendas (keys) that have to do with one of each group of those who are named."""
        found: frozenset[int] | None = None
        for group in self._sought.named:
            keys = await agendas_of(self._connection, group)
            found = keys if found is None else found & keys
        return found or frozenset()

    async def _heads_of_kinds(self) -> list[Head]:
        """The heads of the agendas of the gathered kinds; what they are is counted beside, where that is wanted."""
        arguments = Arguments()
        kinds = arguments.add(self._kinds or [], "bigint[]")
        ends = ""
        if self._sought.end is not None:
            ends = f" AND f.start < {arguments.add(self._sought.end, 'timestamptz')}"
        counts = ""
        if self._counting:
            of_facets = " OR ".join(f"starts_with(t, '{name}=')" for name in FACETS)
            counts = (
                " UNION ALL SELECT NULL, NULL, NULL, t, count(DISTINCT schedule_key) FROM fitting, unnest(terms) AS t"
                f" WHERE strpos(t, '|') = 0 AND ({of_facets}) GROUP BY t"
            )
        rows = await self._connection.fetch(
            f"WITH fitting AS MATERIALIZED (SELECT k.schedule_key, f.start, {self._distance('k', arguments)} AS distance,"
            f" k.terms FROM unnest({kinds}) AS wanted (kind_key) JOIN found_by AS k USING (kind_key)"
            " JOIN first_free AS f ON (f.schedule_key, f.kind_key) = (k.schedule_key, k.kind_key)"
            " JOIN agenda ON agenda.schedule_key = k.schedule_key AND agenda.open"
            f" WHERE f.start IS NOT NULL{ends} AND {self._fits('k', arguments)})"
            " SELECT schedule_key, min(start) AS start, min(distance) AS distance, NULL::text AS term, 0 AS count"
            f" FROM fitting GROUP BY schedule_key{counts}",
            *arguments.values,
        )
        heads = sorted((_head(row) for row in rows if row["term"] is None), key=self._place)
        self._agendas_fitting = len(heads)
        self._counts.clear()
        for row in rows:
            if row["term"] is None:
                continue
            name, _, code = row["term"].partition("=")
            if code:
                self._counts.setdefault(name, {})[code] = row["count"]
        return heads

    async def _as_they_come(self) -> AsyncIterator[tuple[list[Head], tuple[Any, int] | None]]:
        later = self._sought.start > self._now
        place: tuple[datetime, int] = (
            (self._sought.start, 0) if later else (datetime.min.replace(tzinfo=self._now.tzinfo), 0)
        )
        size, read = READ_FIRST, 0
        while True:
            arguments = Arguments()
            start, key = arguments.add(place[0], "timestamptz"), arguments.add(place[1], "bigint")
            end = ""
            if self._sought.end is not None:
                end = f" AND start < {arguments.add(self._sought.end, 'timestamptz')}"
            if later:  # the slots themselves, as many agendas have one before
                source = f"slot WHERE status = 'free' AND start >= {start}"
            else:
                source = f"first_free WHERE start IS NOT NULL AND start >= {start}"
            size_sql = arguments.add(size, "bigint")
            rows = await self._connection.fetch(
                "WITH few AS MATERIALIZED (SELECT schedule_key, kind_key, start"
                f" FROM {source} AND (start, schedule_key) > ({start}, {key}){end}"
                f" ORDER BY start, schedule_key FETCH FIRST ({size_sql}) ROWS WITH TIES)"
                f" SELECT few.schedule_key, few.start, {self._distance('k', arguments)} AS distance, 0 AS read"
                f" FROM few JOIN found_by AS k USING (kind_key) WHERE {self._fits('k', arguments)}"
                " UNION ALL (SELECT schedule_key, start, NULL, (SELECT count(*) FROM few) FROM few"
                " ORDER BY start DESC, schedule_key DESC LIMIT 1)",
                *arguments.values,
            )
            if not rows:
                yield [], None
                return
            *fitting, last = rows
            read += last["read"]
            place = (last["start"], last["schedule_key"])
            heads = _earliest(map(_head, fitting))
            if last["read"] < size:
                yield heads, None
                return
            yield heads, (max(place[0], self._sought.start), place[1])
            if read >= self._read_max:
                self._cut = True
                return
            size = min(size * 3, READ_MAX)

    async def _own(self) -> list[Head]:
        """The agendas of whose slots the caller's own account holds some: these are free to it."""
        if self._consumer is None or not self._consumer.holders:
            return []
        held = [own.appointment for own in self._consumer.own]
        groups = [place.group.removeprefix("Slot/") for place in self._consumer.places]
        slots = await self._connection.fetch(
            "SELECT substr(t, 11) AS id FROM appointment, unnest(terms) AS t"
            " WHERE appointment.id = ANY($1) AND starts_with(t, 'slot=Slot/')",
            held,
        )
        arguments = Arguments()
        ids = arguments.add([slot_key(id_) for id_ in (*(row["id"] for row in slots), *groups)], "uuid[]")
        rows = await self._connection.fetch(
            f"SELECT own.schedule_key, min(own.start) AS start, min({self._distance('k', arguments)}) AS distance"
            f" FROM slot AS own JOIN found_by AS k USING (kind_key)"
            f" WHERE own.id = ANY({ids}) AND {self._fits('k', arguments)} GROUP BY own.schedule_key",
            *arguments.values,
        )
        if not rows:
            return []
        keys = [row["schedule_key"] for row in rows]
        before = Arguments()
        firsts = await self._connection.fetch(
            "SELECT k.schedule_key, min(f.start) AS start FROM found_by AS k JOIN first_free AS f USING (kind_key)"
            f" WHERE k.schedule_key = ANY({before.add(keys, 'bigint[]')}) AND {self._fits('k', before)}"
            " GROUP BY k.schedule_key",
            *before.values,
        )
        free = {row["schedule_key"]: row["start"] for row in firsts if row["start"] is not None}
        heads = [_head(row) for row in rows]
        return [replace(head, start=min(head.start, free.get(head.schedule, head.start))) for head in heads]

    # -- slots -----------------------------------------------------------------------------------------------

    async def _first_slots(self, heads: Sequence[Head]) -> list[First]:
        """Of each of these agendas the first slot that the caller could book."""
        exact = [head for head in heads if head.start >= self._sought.start and head.start > self._now]
        found = await self._probe(exact, "=")
        known = {one.schedule for one in found}
        left = [head for head in heads if head.schedule not in known]
        return found + await self._probe(left, ">=")

    async def _probe(self, heads: Sequence[Head], compared: str) -> list[First]:
        if not heads:
            return []
        compiler = Compiler(self._catalog, self._scope)
        arguments, table, row = compiler.arguments, self._catalog.table("Slot"), compiler.alias()
        where = compiler.where(table, self._conditions, row)
        columns = table.columns(row)
        keys = arguments.add([head.schedule for head in heads], "bigint[]")
        since = arguments.add([max(head.start, self._sought.start) for head in heads], "timestamptz[]")
        statement = compiler.statement(
            f"SELECT head.schedule_key, schedule.id AS agenda, found.*"
            f" FROM unnest({keys}, {since}) AS head (schedule_key, since)"
            f" CROSS JOIN LATERAL (SELECT {row}.start, {columns.id} AS id, {columns.version} AS version,"
            f" {columns.last_updated} AS last_updated, {columns.content} AS content FROM {table.source(row)}"
            f" WHERE {row}.schedule_key = head.schedule_key AND {row}.start {compared} head.since"
            f" AND {where} AND {self._in_time(row, arguments)} AND EXISTS (SELECT FROM found_by AS k"
            f" WHERE k.kind_key = {row}.kind_key AND {self._fits('k', arguments)})"
            f" ORDER BY {row}.start, {row}.id LIMIT 1) AS found"
            " JOIN schedule ON schedule.key = head.schedule_key"
        )
        distances = {head.schedule: head.distance_m for head in heads}
        return [
            _first(record, distances)
            for record in await self._connection.fetch(statement.sql, *statement.values)
        ]

    # -- conditions ------------------------------------------------------------------------------------------

    def _in_time(self, row: str, arguments: Arguments) -> str:
        """Condition on a slot: it begins within the window, and at the hours and on the days that are sought."""
        sought = self._sought
        parts = [f"{row}.start > {arguments.add(self._now, 'timestamptz')}"]
        if sought.end is not None:
            parts.append(f"{row}.start < {arguments.add(sought.end, 'timestamptz')}")
        if sought.times or sought.weekdays:
            parts.append(LocalTimes(sought.weekdays, sought.times).condition(row, arguments))
        return " AND ".join(parts)

    def _fits(self, alias: str, arguments: Arguments) -> str:
        """Condition on a row of `found_by`."""
        sought = self._sought
        parts = [real_slot(alias)]
        if self._required is not None:
            parts.append(slot_visibility.bears(self._required, alias, arguments))
        parts += [f"{alias}.terms && {arguments.add(group, 'text[]')}" for group in sought.terms]
        if sought.never:
            parts.append(f"NOT {alias}.terms && {arguments.add(sought.never, 'text[]')}")
        if sought.near is not None:
            distance = self._distance(alias, arguments)
            metres = arguments.add(sought.near.distance_m, "double precision")
            parts.append(f"({alias}.latitude IS NOT NULL AND {distance} <= {metres})")
        return " AND ".join(parts)

    def _distance(self, alias: str, arguments: Arguments) -> str:
        """SQL: metres from the point, by the great circle."""
        near = self._sought.near
        if near is None:
            return "NULL::double precision"
        latitude = arguments.add(near.latitude, "double precision")
        longitude = arguments.add(near.longitude, "double precision")
        return (
            f"(2 * 6371008.8 * asin(least(1, sqrt(sin(radians({alias}.latitude - {latitude}) / 2) ^ 2"
            f" + cos(radians({latitude})) * cos(radians({alias}.latitude))"
            f" * sin(radians({alias}.longitude - {longitude}) / 2) ^ 2))))"
        )


def cells_around(near: NearValue) -> list[int] | None:
    """The cells in which something within the distance may lie (`found_cell`); None: too many."""
    up = near.distance_m / METRES_A_DEGREE * 1.001
    widest = min(89.0, abs(near.latitude) + up)
    across = up / max(0.01, math.cos(math.radians(widest)))
    # As `found_cell` reckons, so that no rounding puts a place beside its cell.
    south, north = (math.floor((near.latitude + d + 90) * 10) for d in (-up, up))
    west, east = (math.floor((near.longitude + d + 180) / 0.15) for d in (-across, across))
    if (north - south + 1) * (east - west + 1) > CELLS_MAX:
        return None
    return [y * 10_000 + x for y in range(south, north + 1) for x in range(west, east + 1)]


def _earliest(heads: Iterable[Head]) -> list[Head]:
    """Of each agenda the earliest, in order."""
    first: dict[int, Head] = {}
    for head in sorted(heads, key=Head.place):
        first.setdefault(head.schedule, head)
    return list(first.values())


def _head(row: Record) -> Head:
    return Head(row["schedule_key"], row["start"], row["distance"])


def _first(record: Record, distances: dict[int, float | None]) -> First:
    distance = distances[record["schedule_key"]]
    row = Row("Slot", record["id"], record["version"], record["last_updated"], record["content"], distance)
    return First(record["schedule_key"], record["agenda"], record["start"], row)
