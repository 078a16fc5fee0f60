"""The kinds of slots that may fit, where they are not too many: the heads of all of them are known at once, and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from creneau_booking.storage.agendas.states import agendas_of
from creneau_booking.storage.finding.soonest import bounds
from creneau_booking.storage.finding.soonest.heads import Head, head_of
from creneau_booking.storage.finding.soonest.question import KIND, Question
from creneau_shared.fhir.search.sql import Arguments

FACETS = ("specialty", "service-type", "language", "sector", "accessibility")


class Gathering:
    """`kinds` (keys): those that are gathered; None: none are."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self.kinds: Sequence[int] | None = None
        self.agendas_fitting: int | None = None
        """how many agendas that have a free slot fit; None: that is not known"""
        self.counts: dict[str, dict[str, int]] = {}
        """for each facet, how many of them for each of its codes"""

    async def gather(self) -> None:
        """Those that may fit; none, where too many of them do or nothing tells them apart."""
        sought = self._question.sought
        if sought.named:
            agendas = await self._agendas()
            self.kinds = await self._fetch_kinds(
                "SELECT kind_key FROM found_by WHERE schedule_key = ANY($1::bigint[])", [sorted(agendas)]
            )
            return
        arguments = Arguments()
        if (around := self._question.around(arguments)) is not None:
            fitting = around
        elif sought.specialties:
            # In the order of its index, lest the whole table is read along until there are enough.
            fitting = f"{self._question.of_specialties(arguments)} ORDER BY specialty, schedule_key"
        else:
            return
        most = (
            bounds.GATHERED_NEAREST_MAX
            if sought.by_distance and not self._question.counting
            else bounds.GATHERED_MAX
        )
        self.kinds = await self._fetch_kinds(
            f"SELECT kind_key FROM found_in WHERE {fitting}", arguments.values, most=most
        )

    async def gather_rare(self) -> bool:
        """The kinds that fit, by all that they are to be found by; whether they are gathered: not where too many fit, or where
        there is nothing of that kind."""
        if not self._question.sought.terms:
            return False
        arguments = Arguments()
        fits = self._question.where.fits("k", arguments)
        self.kinds = await self._fetch_kinds(
            f"SELECT k.kind_key FROM found_by AS k WHERE {fits}", arguments.values, most=bounds.GATHERED_MAX
        )
        return self.kinds is not None

    async def _fetch_kinds(
        self, sql: str, values: list[Any], most: int | None = None
    ) -> Sequence[int] | None:
        limit = "" if most is None else f" LIMIT {most + 1}"
        kinds = await self._question.connection.fetchval(
            f"SELECT array_agg(kind_key) FROM ({sql}{limit}) AS fitting", *values
        )
        kinds = kinds or []
        return None if most is not None and len(kinds) > most else kinds

    async def _agendas(self) -> frozenset[int]:
        """The agendas (keys) that have to do with one of each group of those who are named."""
        found: frozenset[int] | None = None
        for group in self._question.sought.named:
            keys = await agendas_of(self._question.connection, group)
            found = keys if found is None else found & keys
        return found or frozenset()

    async def heads(self) -> list[Head]:
        """The heads of the agendas of the gathered kinds; what they are is counted beside, where that is wanted."""
        arguments = Arguments()
        kinds = arguments.add(self.kinds or [], "bigint[]")
        source = (
            f"SELECT k.*, {self._question.where.distance('k', arguments)} AS distance"
            f" FROM unnest({kinds}) AS wanted (kind_key) {KIND.format(of='wanted')}"
        )
        counts = ""
        if self._question.counting:
            names = arguments.add(FACETS, "text[]")
            counts = (
                " UNION ALL SELECT NULL, NULL, NULL, t, count(*) FROM (SELECT DISTINCT schedule_key, t"
                " FROM (SELECT schedule_key, unnest(terms) AS t FROM fitting OFFSET 0) AS one"
                f" WHERE split_part(t, '=', 1) = ANY({names}) AND strpos(t, '|') = 0) AS said GROUP BY t"
            )
        rows = await self._question.connection.fetch(
            f"WITH fitting AS MATERIALIZED ({self._question.fitting(source, arguments)})"
            " SELECT schedule_key, min(start) AS start, min(distance) AS distance, NULL::text AS term, 0 AS count"
            f" FROM fitting GROUP BY schedule_key{counts}",
            *arguments.values,
        )
        heads = sorted((head_of(row) for row in rows if row["term"] is None), key=self._question.place)
        self.agendas_fitting = len(heads)
        self.counts.clear()
        for row in rows:
            if row["term"] is None:
                continue
            name, _, code = row["term"].partition("=")
            if code:
                self.counts.setdefault(name, {})[code] = row["count"]
        return heads
