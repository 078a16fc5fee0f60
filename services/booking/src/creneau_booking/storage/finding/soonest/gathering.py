"""Gathers the kinds of slots that may fit, if not too many: then the heads of all of them are known at once, and counted."""

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
    """`kinds` (keys): the gathered kinds; None: nothing is gathered."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self.kinds: Sequence[int] | None = None
        self.agendas_fitting: int | None = None
        """number of fitting agendas that have a free slot; None: unknown"""
        self.counts: dict[str, dict[str, int]] = {}
        """for each facet, the number of these agendas by code"""

    async def gather(self) -> None:
        """Gathers the kinds that may fit; none, if too many fit or nothing tells them apart."""
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
            # In the order of its index, so that PostgreSQL does not read along the whole table until it has enough.
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
        """Gathers the kinds that fit (`Conditions.fits`). Returns whether it did: not if too many fit, or without terms."""
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
        """Returns the agendas (keys) that concern one reference of each group in `named`."""
        found: frozenset[int] | None = None
        for group in self._question.sought.named:
            keys = await agendas_of(self._question.connection, group)
            found = keys if found is None else found & keys
        return found or frozenset()

    async def heads(self) -> list[Head]:
        """Returns the heads of the agendas of the gathered kinds; also counts their facets, where that is wanted."""
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
