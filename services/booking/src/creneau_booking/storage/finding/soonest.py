"""The first free slot of each agenda, in the order of time or of distance, by the index of first free starts.

`first_free` says when the first free slot of each kind of each agenda begins; `found_by` what the kind is found by. Agendas
are taken in the order of these starts (their *heads*), and of each that slot is looked for which is the first that the
caller could book: the one at its head, nearly always; a later one where time has passed since, or where a rule of the agenda
keeps the first from them. Nothing is shown that the one truth (`storage.availability`) does not call free.

- What names agendas (people, places, organisations), or a speciality or surroundings of which there are not too many, is
  gathered: the heads of all of them are known at once.
- Otherwise heads are read as they come, whosever they are: of what fits many agendas, some of the next few always do.
- If the first of these hardly ever fit, those that do are gathered by all that they are to be found by.
- Where the search begins later than now, and many agendas fit, slots are read as they come in place of heads.
- Nearest first, where many fit, circles around the point are looked at that grow until one holds the page.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from asyncpg import Record

from creneau_booking.storage.agendas.states import agendas_of
from creneau_booking.storage.finding.candidates import Consumer
from creneau_booking.storage.finding.soonest_conditions import Conditions, Sought, boxes_around, cells_around
from creneau_booking.storage.slot_rows import slot_key
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.includes import Row
from creneau_shared.fhir.search.request import Condition, NearValue
from creneau_shared.fhir.search.sql import Arguments, Catalog, Compiler, SearchScope

GATHERED_MAX = 1_500
"""kinds of slots up to which the heads of all are gathered; of more of them, those that are read as they come hold a page"""
GATHERED_NEAREST_MAX = 300
"""the same, nearest first, where nobody wants them counted: a circle that holds a page is soon found"""
CIRCLE_M = 300.0
"""how far around the point is looked at first, nearest first"""
CIRCLE_HOLDS = 80
"""kinds that fit which a circle is to hold, as far as those before it tell how many there are"""
CIRCLE_GROWS = 2.0, 16.0
"""by how much the area of a circle grows: at the least, and at the most"""
READ_FIRST, READ_MAX = 1_000, 20_000
"""rows that are read as they come in one go: at first, and at the most"""
RARE, RARE_AFTER = 0.006, 2_000
"""of the heads that were read, when they are so many, the share below which all that fit are gathered, if that can be"""
AT_AN_INSTANT_MAX = 1_000
"""slots that begin at one moment up to which all of them are looked at; of more, agendas that fit soon have one"""
AT_AN_INSTANT_FIRST = 60
"""agendas that have one, at first"""
LOOKED_AT_FIRST = timedelta(days=28)
"""from the beginning of a later search on, for the first slot of a kind; after that only where there is none"""
NO_AGENDA = 2**63 - 1
"""after all of them, in the order of their keys"""
KIND = "CROSS JOIN LATERAL (SELECT * FROM found_by WHERE found_by.kind_key = {of}.kind_key OFFSET 0) AS k"
"""what a kind is found by, looked up by its key and never by its terms, of which the planner guesses that they are rare"""
PROBED_FIRST, PROBED_MAX = 48, 400
"""agendas whose first slot is looked for in one go: at first, and at the most"""

FACETS = ("specialty", "service-type", "language", "sector", "accessibility")


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
        self._counting = counting
        self._agendas_fitting: int | None = None
        self._counts: dict[str, dict[str, int]] = {}
        self._required = scope.required.get("Slot")

    @property
    def _where(self) -> Conditions:
        return Conditions(self._sought, self._required, self._now)

    @property
    def _later(self) -> bool:
        """Whether the search begins later than now, so that heads of before then say little."""
        return self._sought.start > self._now

    async def page(self, count: int, after: tuple[Any, int] | None) -> Soonest:
        """The next `count` of the answer after a place in its order."""
        found: list[First] = []
        wanted: list[First] = []
        whole = False
        async for heads, frontier in self._heads(after):
            found += await self._first_slots(heads)
            found.sort(key=self._place_of)
            wanted = [one for one in found if after is None or self._place_of(one) > after]
            whole = frontier is None
            if frontier is not None:
                settled = [one for one in wanted if self._place_of(one) <= frontier]
                if len(settled) > count:
                    wanted = settled
                    break
        # Circles leave out what comes before.
        whole = whole and (after is None or not self._sought.by_distance or self._kinds is not None)
        total = len(found) if whole and not self._cut else None
        return Soonest(tuple(wanted[:count]), len(wanted) > count, total, cut=self._cut)

    def _place_of(self, one: First) -> tuple[Any, int]:
        return one.place(by_distance=self._sought.by_distance)

    async def following(self, firsts: Sequence[First], most: int) -> list[First]:
        """Of each of these agendas up to `most` slots that the caller could book, `firsts` among them, in their order."""
        heads = [Head(one.schedule, one.start, one.row.distance_m) for one in firsts]
        return await self._probe(heads, ">=", most)

    def facets(self) -> tuple[int | None, dict[str, dict[str, int]]]:
        """Once there is a page: how many agendas that have a free slot fit (None: more than are gathered), and for each
        facet how many of them for each of its codes."""
        return self._agendas_fitting, self._counts

    # -- heads -----------------------------------------------------------------------------------------------

    async def _heads(
        self, after: tuple[Any, int] | None
    ) -> AsyncIterator[tuple[Sequence[Head], tuple[Any, int] | None]]:
        """Agendas in the order of the answer, as far as heads tell it, some at a time; each time up to which place all
        of them are among those that were given (None: these were all)."""
        own = await self._own()
        if own:
            yield own, self._begin()
        known = {head.schedule for head in own}
        self._kinds = await self._gathered()
        if self._kinds is None:
            async for heads, place in self._come(after):
                new = [head for head in heads if head.schedule not in known]
                known |= {head.schedule for head in new}
                for some, last in self._portions(new):
                    yield some, place if last else self._place(some[-1])
                if place is None:
                    return
        if self._kinds is not None:
            heads = [head for head in await self._heads_of_kinds() if head.schedule not in known]
            for some, last in self._portions(heads):
                yield some, None if last else self._place(some[-1])

    def _come(
        self, after: tuple[Any, int] | None
    ) -> AsyncIterator[tuple[list[Head], tuple[Any, int] | None]]:
        """Where too many fit to be gathered: those that come first, until there are enough."""
        if self._sought.by_distance:
            return self._circles(after)
        return self._instants() if self._later else self._as_they_come()

    @staticmethod
    def _portions(heads: Sequence[Head]) -> Iterator[tuple[Sequence[Head], bool]]:
        """Few at first, since a page needs few; each time whether these are the last, which may be none."""
        size, begin = PROBED_FIRST, 0
        while begin == 0 or begin < len(heads):
            some, begin = heads[begin : begin + size], begin + size
            yield some, begin >= len(heads)
            size = min(size * 3, PROBED_MAX)

    def _begin(self) -> tuple[Any, int]:
        """Before all places."""
        return -1.0 if self._sought.by_distance else datetime.min.replace(tzinfo=self._now.tzinfo), 0

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
        arguments = Arguments()
        if (around := self._around(arguments)) is not None:
            fitting = around
        elif sought.specialties:
            fitting = self._of_specialties(arguments)
        else:
            return None
        most = GATHERED_NEAREST_MAX if sought.by_distance and not self._counting else GATHERED_MAX
        return await self._fetch_kinds(
            f"SELECT kind_key FROM found_in WHERE {fitting}", arguments.values, most=most
        )

    async def _rare(self) -> Sequence[int] | None:
        """The kinds that fit, by all that they are to be found by; None: too many do, or there is nothing of that kind."""
        if not self._sought.terms:
            return None
        arguments = Arguments()
        fits = self._where.fits("k", arguments)
        return await self._fetch_kinds(
            f"SELECT k.kind_key FROM found_by AS k WHERE {fits}", arguments.values, most=GATHERED_MAX
        )

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
        source = (
            f"SELECT k.*, {self._where.distance('k', arguments)} AS distance"
            f" FROM unnest({kinds}) AS wanted (kind_key) {KIND.format(of='wanted')}"
        )
        counts = ""
        if self._counting:
            facets = arguments.add(FACETS, "text[]")
            counts = (
                " UNION ALL SELECT NULL, NULL, NULL, t, count(*) FROM (SELECT DISTINCT schedule_key, t"
                " FROM (SELECT schedule_key, unnest(terms) AS t FROM fitting OFFSET 0) AS one"
                f" WHERE split_part(t, '=', 1) = ANY({facets}) AND strpos(t, '|') = 0) AS said GROUP BY t"
            )
        rows = await self._connection.fetch(
            f"WITH fitting AS MATERIALIZED ({self._fitting(source, arguments)})"
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

    def _fitting(self, source: str, arguments: Arguments) -> str:
        """SQL: of the kinds of `source`, whose `distance` is known, those that fit and of which something is free: whose, from
        when on, how far, found by what."""
        end = ""
        if self._sought.end is not None:
            end = f" AND k.start < {arguments.add(self._sought.end, 'timestamptz')}"
        # Step by step, each value looked up for a kind once: joined, the planner, who does not know how few these are, would
        # read all that there are, or remember what nobody asks for again. Hardly any agenda is closed, so that to look for it
        # among these is least.
        free = (
            "SELECT k.*, (SELECT first_free.start FROM first_free WHERE (first_free.schedule_key, first_free.kind_key)"
            f" = (k.schedule_key, k.kind_key)) AS free FROM ({source} OFFSET 0) AS k"
            f" WHERE {self._where.fits('k', arguments, 'k.distance')}"
            " AND NOT EXISTS (SELECT FROM agenda WHERE agenda.schedule_key = k.schedule_key AND NOT agenda.open OFFSET 0)"
        )
        heads = f"SELECT k.*, {self._head_start(arguments)} AS start FROM ({free} OFFSET 0) AS k WHERE k.free IS NOT NULL"
        return (
            f"SELECT k.schedule_key, k.start, k.distance, k.terms FROM ({heads} OFFSET 0) AS k"
            f" WHERE k.start IS NOT NULL{end}"
        )

    def _head_start(self, arguments: Arguments) -> str:
        """SQL: from when on the first slot of the kind `k` is to be looked for, of which something is `free` since."""
        if not self._later:
            return "k.free"
        since = arguments.add(self._sought.start, "timestamptz")
        soon = arguments.add(self._sought.start + LOOKED_AT_FIRST, "timestamptz")
        end = ""
        if self._sought.end is not None:
            end = f" AND slot.start < {arguments.add(self._sought.end, 'timestamptz')}"
        first = (
            "(SELECT slot.start FROM slot"
            " WHERE (slot.schedule_key, slot.kind_key, slot.status) = (k.schedule_key, k.kind_key, 'free')"
            f" AND slot.start >= {{since}}{end}{{until}} ORDER BY slot.start LIMIT 1)"
        )
        # Most have one soon, for which one month is looked into, or two; without an end all would be.
        near, far = (
            first.format(since=since, until=f" AND slot.start < {soon}"),
            first.format(since=soon, until=""),
        )
        return f"CASE WHEN k.free >= {since} THEN k.free ELSE coalesce({near}, {far}) END"

    async def _circles(
        self, after: tuple[Any, int] | None
    ) -> AsyncIterator[tuple[list[Head], tuple[Any, int] | None]]:
        """Heads in the order of distance, from a place of it on, circle by circle around the point; each is as large as
        those before it make one think that it has to be, and rows that were looked at are not looked at again."""
        near = self._sought.near
        assert near is not None
        passed = 0.0 if after is None else after[0] ** 2
        area, inner, read, fitting = CIRCLE_M**2, 0.0, 0, 0
        beyond: list[Head] = []
        while True:
            radius = min(math.sqrt(passed + area), near.distance_m)
            found, looked_at = await self._ring(near, inner, radius, after)
            heads = sorted((*beyond, *found), key=self._place)
            within = bisect_right(heads, (radius, NO_AGENDA), key=self._place)
            heads, beyond = heads[:within], heads[within:]
            read, fitting, inner = read + looked_at, fitting + within, radius
            if radius >= near.distance_m:
                yield heads, None
                return
            yield heads, (radius, NO_AGENDA)
            if read >= self._read_max:
                self._cut = True
                return
            if read >= RARE_AFTER and fitting < read * RARE:
                self._kinds = await self._rare()
                if self._kinds is not None:
                    return
            least, most = CIRCLE_GROWS
            wanted = min(CIRCLE_HOLDS / max(fitting, 1), max(READ_FIRST, 3 * read) / max(read, 1))
            area *= min(max(wanted, least), most)

    async def _ring(
        self, near: NearValue, inner: float, outer: float, after: tuple[Any, int] | None
    ) -> tuple[list[Head], int]:
        """The heads that fit after a place in the order of distance, of what lies in the square around a circle (metres) and
        not in that around the one before; and how many rows there are after that place."""
        arguments = Arguments()
        lies = self._where.in_boxes("k", boxes_around(near, outer), arguments)
        if inner:
            lies += f" AND NOT {self._where.in_boxes('k', boxes_around(near, inner), arguments)}"
        beyond = after or self._begin()
        metres, key = arguments.add(beyond[0], "double precision"), arguments.add(beyond[1], "bigint")
        distance = self._where.distance("k", arguments)
        rows = await self._connection.fetch(
            f"WITH looked AS MATERIALIZED (SELECT * FROM (SELECT k.*, {distance} AS distance FROM found_by AS k"
            f" WHERE {lies} OFFSET 0) AS k WHERE (distance, schedule_key) > ({metres}, {key})),"
            f" fitting AS MATERIALIZED ({self._fitting('SELECT * FROM looked', arguments)})"
            " SELECT schedule_key, min(start) AS start, min(distance) AS distance, 0 AS looked_at"
            " FROM fitting GROUP BY schedule_key"
            " UNION ALL SELECT NULL, NULL, NULL, count(*) FROM looked",
            *arguments.values,
        )
        *found, looked = rows
        return [_head(row) for row in found], looked["looked_at"]

    async def _as_they_come(self) -> AsyncIterator[tuple[list[Head], tuple[Any, int] | None]]:
        """Heads in the order of time, whosever they are."""
        place: tuple[datetime, int] = (datetime.min.replace(tzinfo=self._now.tzinfo), 0)
        size, read, fitting = READ_FIRST, 0, 0
        within = ""
        while True:
            arguments = Arguments()
            start, key = arguments.add(place[0], "timestamptz"), arguments.add(place[1], "bigint")
            end = ""
            if self._sought.end is not None:
                end = f" AND start < {arguments.add(self._sought.end, 'timestamptz')}"
            if (around := self._around(arguments)) is not None:
                within = f" AND few.kind_key IN (SELECT kind_key FROM found_in WHERE {around} OFFSET 0)"
            size_sql = arguments.add(size, "bigint")
            rows = await self._connection.fetch(
                "WITH few AS MATERIALIZED (SELECT schedule_key, kind_key, start FROM first_free"
                f" WHERE start IS NOT NULL AND start >= {start} AND (start, schedule_key) > ({start}, {key}){end}"
                f" ORDER BY start, schedule_key FETCH FIRST ({size_sql}) ROWS WITH TIES)"
                f" SELECT few.schedule_key, few.start, {self._where.distance('k', arguments)} AS distance, 0 AS read"
                f" FROM few {KIND.format(of='few')} WHERE {self._where.fits('k', arguments)}{within}"
                " UNION ALL (SELECT schedule_key, start, NULL, (SELECT count(*) FROM few) FROM few"
                " ORDER BY start DESC, schedule_key DESC LIMIT 1)",
                *arguments.values,
            )
            if not rows:
                yield [], None
                return
            *found, last = rows
            read, fitting = read + last["read"], fitting + len(found)
            place = (last["start"], last["schedule_key"])
            heads = _earliest(map(_head, found))
            if last["read"] < size:
                yield heads, None
                return
            yield heads, (max(place[0], self._sought.start), place[1])
            if read >= self._read_max:
                self._cut = True
                return
            if read >= RARE_AFTER and fitting < read * RARE:
                self._kinds = await self._rare()
                if self._kinds is not None:
                    return
            size = min(size * 3, READ_MAX)

    async def _instants(self) -> AsyncIterator[tuple[list[Head], tuple[Any, int] | None]]:
        """Free slots in the order of time, whosever they are: at each moment at which some begin, either all that do, or
        where many do, agenda after agenda of those that may fit."""
        if self._sought.terms != () and len(self._sought.terms) > bool(self._sought.specialties):
            self._kinds = await self._rare()
            if self._kinds is not None:
                return
        instant, key, size, read = self._sought.start, 0, AT_AN_INSTANT_FIRST, 0
        compared, begun = ">=", 0
        while True:
            if not key:
                next_one = await self._next_instant(compared, instant)
                if next_one is None:
                    yield [], None
                    return
                instant, compared, begun = next_one["start"], ">", next_one["slots"]
                size = AT_AN_INSTANT_FIRST
            many = begun > AT_AN_INSTANT_MAX
            found = await self._at(instant, key, size if many else None)
            there_may_be_more = many and len(found) >= size
            # All agendas that may fit were tried where there are no more: counted as the slots of an instant that is read whole.
            read += len(found) if there_may_be_more else min(begun, AT_AN_INSTANT_MAX)
            key = found[-1].schedule if there_may_be_more else 0
            yield _earliest(found), (instant, key or NO_AGENDA)
            if read >= self._read_max:
                self._cut = True
                return
            size *= 3

    async def _next_instant(self, compared: str, instant: datetime) -> Record | None:
        """When the next free slots begin, and how many slots do, as far as that says whether they are many."""
        arguments = Arguments()
        since, end = arguments.add(instant, "timestamptz"), ""
        if self._sought.end is not None:
            end = f" AND start < {arguments.add(self._sought.end, 'timestamptz')}"
        return await self._connection.fetchrow(
            "SELECT next.start, (SELECT count(*) FROM (SELECT FROM slot WHERE slot.start = next.start"
            f" LIMIT {AT_AN_INSTANT_MAX + 1}) AS begun) AS slots"
            f" FROM (SELECT start FROM slot WHERE status = 'free' AND start {compared} {since}{end}"
            " ORDER BY start LIMIT 1) AS next",
            *arguments.values,
        )

    async def _at(self, instant: datetime, key: int, most: int | None) -> list[Head]:
        """The agendas of whose kinds that fit a slot that is free begins then, in the order of their keys, one for each kind:
        all of them, or the first `most` of those after `key`."""
        arguments = Arguments()
        at = arguments.add(instant, "timestamptz")
        if most is None:
            source = (
                "SELECT slot.schedule_key, slot.kind_key FROM slot"
                f" WHERE slot.start = {at} AND slot.status = 'free'"
            )
        else:
            source = (
                f"SELECT one.schedule_key, one.kind_key FROM ({self._candidates(key, arguments)}) AS one"
                " CROSS JOIN LATERAL (SELECT FROM slot WHERE (slot.schedule_key, slot.kind_key, slot.status)"
                f" = (one.schedule_key, one.kind_key, 'free') AND slot.start = {at} LIMIT 1) AS free"
            )
        limit = "" if most is None else f" LIMIT {arguments.add(most, 'bigint')}"
        rows = await self._connection.fetch(
            f"SELECT one.schedule_key, {at} AS start, {self._where.distance('k', arguments)} AS distance"
            f" FROM ({source}) AS one {KIND.format(of='one')} WHERE {self._where.fits('k', arguments)}"
            f" ORDER BY one.schedule_key{limit}",
            *arguments.values,
        )
        return [_head(row) for row in rows]

    def _candidates(self, key: int, arguments: Arguments) -> str:
        """SQL: the agendas after `key` and their kinds that may fit, in their order."""
        after = arguments.add(key, "bigint")
        around = self._around(arguments)
        if around is None and not self._sought.specialties:
            return f"SELECT schedule_key, kind_key FROM found_by WHERE schedule_key > {after} ORDER BY schedule_key"
        of_them = around or self._of_specialties(arguments)
        return (
            f"SELECT DISTINCT schedule_key, kind_key FROM found_in WHERE {of_them}"
            f" AND schedule_key > {after} ORDER BY schedule_key, kind_key"
        )

    def _around(self, arguments: Arguments) -> str | None:
        """Condition on the index of places: of the specialities in the surroundings; None: these are too wide, or anywhere."""
        near = self._sought.near
        cells = cells_around(near) if near is not None else None
        if cells is None:
            return None
        return f"{self._of_specialties(arguments)} AND cell = ANY({arguments.add(cells, 'integer[]')})"

    def _of_specialties(self, arguments: Arguments) -> str:
        """Condition on the index of places; of one speciality its agendas come in their order."""
        codes = sorted(set(self._sought.specialties)) or [""]
        if len(codes) == 1:
            return f"specialty = {arguments.add(codes[0], 'text')}"
        return f"specialty = ANY({arguments.add(codes, 'text[]')})"

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
            f"SELECT own.schedule_key, min(own.start) AS start, min({self._where.distance('k', arguments)}) AS distance"
            f" FROM slot AS own {KIND.format(of='own')}"
            f" WHERE own.id = ANY({ids}) AND {self._where.fits('k', arguments)} GROUP BY own.schedule_key",
            *arguments.values,
        )
        if not rows:
            return []
        keys = [row["schedule_key"] for row in rows]
        before = Arguments()
        firsts = await self._connection.fetch(
            "SELECT k.schedule_key, min(f.start) AS start FROM found_by AS k JOIN first_free AS f USING (kind_key)"
            f" WHERE k.schedule_key = ANY({before.add(keys, 'bigint[]')}) AND {self._where.fits('k', before)}"
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

    async def _probe(self, heads: Sequence[Head], compared: str, most: int = 1) -> list[First]:
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
            f" AND {where} AND {self._where.in_time(row, arguments)} AND EXISTS (SELECT FROM found_by AS k"
            f" WHERE k.kind_key = {row}.kind_key AND {self._where.fits('k', arguments)})"
            f" ORDER BY {row}.start, {row}.id LIMIT {most}) AS found"
            " JOIN schedule ON schedule.key = head.schedule_key"
        )
        distances = {head.schedule: head.distance_m for head in heads}
        return [
            _first(record, distances)
            for record in await self._connection.fetch(statement.sql, *statement.values)
        ]


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
