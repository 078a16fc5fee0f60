"""In the order of time, where many agendas fit: reads what comes first, of whichever agenda, until enough fits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from asyncpg import Record

from creneau_booking.storage.finding.soonest import bounds
from creneau_booking.storage.finding.soonest.gathering import Gathering
from creneau_booking.storage.finding.soonest.heads import NO_AGENDA, Head, Portion, earliest, head_of
from creneau_booking.storage.finding.soonest.question import KIND, Question
from creneau_shared.fhir.search.sql import Arguments


class HeadsAsTheyCome:
    """Reads heads from now on. `cut`: it ended before all were read."""

    def __init__(self, question: Question, gathering: Gathering) -> None:
        self._question = question
        self._gathering = gathering
        self.cut = False

    async def heads(self) -> AsyncIterator[Portion]:
        """Yields heads in the order of time, of whichever agenda."""
        place: tuple[datetime, int] = (datetime.min.replace(tzinfo=self._question.now.tzinfo), 0)
        size, read, fitting = bounds.READ_FIRST, 0, 0
        within = ""
        while True:
            arguments = Arguments()
            start, key = arguments.add(place[0], "timestamptz"), arguments.add(place[1], "bigint")
            end = ""
            if self._question.sought.end is not None:
                end = f" AND start < {arguments.add(self._question.sought.end, 'timestamptz')}"
            if (around := self._question.around(arguments)) is not None:
                within = f" AND few.kind_key IN (SELECT kind_key FROM found_in WHERE {around} OFFSET 0)"
            size_sql = arguments.add(size, "bigint")
            rows = await self._question.connection.fetch(
                "WITH few AS MATERIALIZED (SELECT schedule_key, kind_key, start FROM first_free"
                f" WHERE start IS NOT NULL AND start >= {start} AND (start, schedule_key) > ({start}, {key}){end}"
                f" ORDER BY start, schedule_key FETCH FIRST ({size_sql}) ROWS WITH TIES)"
                f" SELECT few.schedule_key, few.start, {self._question.where.distance('k', arguments)} AS distance, 0 AS read"
                f" FROM few {KIND.format(of='few')} WHERE {self._question.where.fits('k', arguments)}{within}"
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
            heads = earliest(map(head_of, found))
            if last["read"] < size:
                yield heads, None
                return
            yield heads, (max(place[0], self._question.sought.start), place[1])
            if read >= self._question.read_max:
                self.cut = True
                return
            few = read >= bounds.RARE_AFTER and fitting < read * bounds.RARE
            if few and await self._gathering.gather_rare():
                return
            size = min(size * 3, bounds.READ_MAX)


class Instants:
    """Reads slots from a later moment on, where heads say little. `cut`: it ended before all were read."""

    def __init__(self, question: Question, gathering: Gathering) -> None:
        self._question = question
        self._gathering = gathering
        self.cut = False

    async def heads(self) -> AsyncIterator[Portion]:
        """Yields free slots in the order of time, of whichever agenda. At each moment at which some begin it takes all of
        them, or, if they are many, agenda after agenda of those that may fit."""
        sought = self._question.sought
        tells_more = sought.terms != () and len(sought.terms) > bool(sought.specialties)
        if tells_more and await self._gathering.gather_rare():
            return
        instant, key, size, read = sought.start, 0, bounds.AT_AN_INSTANT_FIRST, 0
        compared, begun = ">=", 0
        while True:
            if not key:
                next_one = await self._next_instant(compared, instant)
                if next_one is None:
                    yield [], None
                    return
                instant, compared, begun = next_one["start"], ">", next_one["slots"]
                size = bounds.AT_AN_INSTANT_FIRST
            many = begun > bounds.AT_AN_INSTANT_MAX
            found = await self._at(instant, key, size if many else None)
            there_may_be_more = many and len(found) >= size
            # If there are no more, all agendas that may fit were tried: counted as the slots of an instant that is read
            # whole.
            read += len(found) if there_may_be_more else min(begun, bounds.AT_AN_INSTANT_MAX)
            key = found[-1].schedule if there_may_be_more else 0
            yield earliest(found), (instant, key or NO_AGENDA)
            if read >= self._question.read_max:
                self.cut = True
                return
            size *= 3

    async def _next_instant(self, compared: str, instant: datetime) -> Record | None:
        """Returns when the next free slots begin, and how many slots begin then, counted until they are many."""
        arguments = Arguments()
        since, end = arguments.add(instant, "timestamptz"), ""
        if self._question.sought.end is not None:
            end = f" AND start < {arguments.add(self._question.sought.end, 'timestamptz')}"
        return await self._question.connection.fetchrow(
            "SELECT next.start, (SELECT count(*) FROM (SELECT FROM slot WHERE slot.start = next.start"
            f" LIMIT {bounds.AT_AN_INSTANT_MAX + 1}) AS begun) AS slots"
            f" FROM (SELECT start FROM slot WHERE status = 'free' AND start {compared} {since}{end}"
            " ORDER BY start LIMIT 1) AS next",
            *arguments.values,
        )

    async def _at(self, instant: datetime, key: int, most: int | None) -> list[Head]:
        """Returns the agendas with a fitting kind of which a free slot begins then, in the order of their keys, one for each
        kind: all of them, or the first `most` after `key`."""
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
        rows = await self._question.connection.fetch(
            f"SELECT one.schedule_key, {at} AS start, {self._question.where.distance('k', arguments)} AS distance"
            f" FROM ({source}) AS one {KIND.format(of='one')} WHERE {self._question.where.fits('k', arguments)}"
            f" ORDER BY one.schedule_key{limit}",
            *arguments.values,
        )
        return [head_of(row) for row in rows]

    def _candidates(self, key: int, arguments: Arguments) -> str:
        """SQL: the agendas after `key` and their kinds that may fit, in their order."""
        after = arguments.add(key, "bigint")
        around = self._question.around(arguments)
        if around is None and not self._question.sought.specialties:
            return f"SELECT schedule_key, kind_key FROM found_by WHERE schedule_key > {after} ORDER BY schedule_key"
        of_them = around or self._question.of_specialties(arguments)
        return (
            f"SELECT DISTINCT schedule_key, kind_key FROM found_in WHERE {of_them}"
            f" AND schedule_key > {after} ORDER BY schedule_key, kind_key"
        )
