"""Nearest first, where many agendas fit: circles around the point that grow until one holds the page."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import AsyncIterator

from creneau_booking.storage.finding.soonest import bounds
from creneau_booking.storage.finding.soonest.conditions import boxes_around
from creneau_booking.storage.finding.soonest.gathering import Gathering
from creneau_booking.storage.finding.soonest.heads import NO_AGENDA, Head, Place, Portion, head_of
from creneau_booking.storage.finding.soonest.question import Question
from creneau_shared.fhir.search.request import NearValue
from creneau_shared.fhir.search.sql import Arguments


class Circles:
    """Reads circles. `cut`: it ended before all were read."""

    def __init__(self, question: Question, gathering: Gathering) -> None:
        self._question = question
        self._gathering = gathering
        self.cut = False

    async def heads(self, after: Place | None) -> AsyncIterator[Portion]:
        """Yields heads in the order of distance, from the place `after` on, circle by circle around the point. The size of
        each is estimated from those before it. No row is looked at twice."""
        near = self._question.sought.near
        assert near is not None
        passed = 0.0 if after is None else after[0] ** 2
        area, inner, read, fitting = bounds.CIRCLE_M**2, 0.0, 0, 0
        beyond: list[Head] = []
        while True:
            radius = min(math.sqrt(passed + area), near.distance_m)
            found, looked_at = await self._ring(near, inner, radius, after)
            heads = sorted((*beyond, *found), key=self._question.place)
            within = bisect_right(heads, (radius, NO_AGENDA), key=self._question.place)
            heads, beyond = heads[:within], heads[within:]
            read, fitting, inner = read + looked_at, fitting + within, radius
            if radius >= near.distance_m:
                yield heads, None
                return
            yield heads, (radius, NO_AGENDA)
            if read >= self._question.read_max:
                self.cut = True
                return
            few = read >= bounds.RARE_AFTER and fitting < read * bounds.RARE
            if few and await self._gathering.gather_rare():
                return
            least, most = bounds.CIRCLE_GROWS
            wanted = min(
                bounds.CIRCLE_HOLDS / max(fitting, 1), max(bounds.READ_FIRST, 3 * read) / max(read, 1)
            )
            area *= min(max(wanted, least), most)

    async def _ring(
        self, near: NearValue, inner: float, outer: float, after: Place | None
    ) -> tuple[list[Head], int]:
        """Returns the fitting heads after a place in the order of distance: those in the square around a circle (metres),
        but not in the square around the one before. Also returns the number of rows after that place."""
        arguments = Arguments()
        lies = self._question.where.in_boxes("k", boxes_around(near, outer), arguments)
        if inner:
            lies += f" AND NOT {self._question.where.in_boxes('k', boxes_around(near, inner), arguments)}"
        beyond = after or self._question.begin()
        metres, key = arguments.add(beyond[0], "double precision"), arguments.add(beyond[1], "bigint")
        distance = self._question.where.distance("k", arguments)
        rows = await self._question.connection.fetch(
            f"WITH looked AS MATERIALIZED (SELECT * FROM (SELECT k.*, {distance} AS distance FROM found_by AS k"
            f" WHERE {lies} OFFSET 0) AS k WHERE (distance, schedule_key) > ({metres}, {key})),"
            f" fitting AS MATERIALIZED ({self._question.fitting('SELECT * FROM looked', arguments)})"
            " SELECT schedule_key, min(start) AS start, min(distance) AS distance, 0 AS looked_at"
            " FROM fitting GROUP BY schedule_key"
            " UNION ALL SELECT NULL, NULL, NULL, count(*) FROM looked",
            *arguments.values,
        )
        *found, looked = rows
        return [head_of(row) for row in found], looked["looked_at"]
