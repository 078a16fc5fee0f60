"""The first slots of agendas that the caller could book: by the one truth, whatever heads say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from creneau_booking.storage.availability.asked import met_by_kinds
from creneau_booking.storage.finding.candidates import Consumer
from creneau_booking.storage.finding.soonest.heads import First, Head, first_of, head_of
from creneau_booking.storage.finding.soonest.question import KIND, Question
from creneau_booking.storage.mapping.slot import slot_key
from creneau_shared.fhir.search.request import Condition
from creneau_shared.fhir.search.sql import Arguments, Catalog, Compiler, SearchScope


@dataclass(frozen=True)
class FirstSlots:
    """`scope`, `conditions` (on Slot) and `consumer` say which slots are for the caller."""

    question: Question
    catalog: Catalog
    scope: SearchScope
    conditions: tuple[Condition, ...]
    consumer: Consumer | None

    async def of(self, heads: Sequence[Head]) -> list[First]:
        """Returns the first slot of each of these agendas that the caller could book."""
        exact = [
            head
            for head in heads
            if head.start >= self.question.sought.start and head.start > self.question.now
        ]
        found = await self._probe(exact, "=")
        known = {one.schedule for one in found}
        left = [head for head in heads if head.schedule not in known]
        return found + await self._probe(left, ">=")

    async def following(self, firsts: Sequence[First], most: int) -> list[First]:
        """Returns up to `most` slots of each of these agendas that the caller could book, `firsts` among them, in order."""
        heads = [Head(one.schedule, one.start, one.row.distance_m) for one in firsts]
        places = {head.schedule: place for place, head in enumerate(heads)}
        found = await self._probe(heads, ">=", most)
        return sorted(found, key=lambda one: (places[one.schedule], one.start))

    async def own_heads(self) -> list[Head]:
        """Returns the agendas in which the caller's own account holds slots: these are free to it."""
        if self.consumer is None or not self.consumer.holders:
            return []
        held = [own.appointment for own in self.consumer.own]
        groups = [place.group.removeprefix("Slot/") for place in self.consumer.places]
        slots = await self.question.connection.fetch(
            "SELECT substr(t, 11) AS id FROM appointment, unnest(terms) AS t"
            " WHERE appointment.id = ANY($1) AND starts_with(t, 'slot=Slot/')",
            held,
        )
        arguments = Arguments()
        ids = arguments.add([slot_key(id_) for id_ in (*(row["id"] for row in slots), *groups)], "uuid[]")
        rows = await self.question.connection.fetch(
            f"SELECT own.schedule_key, min(own.start) AS start, min({self.question.where.distance('k', arguments)}) AS distance"
            f" FROM slot AS own {KIND.format(of='own')}"
            f" WHERE own.id = ANY({ids}) AND {self.question.where.fits('k', arguments)} GROUP BY own.schedule_key",
            *arguments.values,
        )
        if not rows:
            return []
        keys = [row["schedule_key"] for row in rows]
        before = Arguments()
        firsts = await self.question.connection.fetch(
            "SELECT k.schedule_key, min(f.start) AS start FROM found_by AS k JOIN first_free AS f USING (kind_key)"
            f" WHERE k.schedule_key = ANY({before.add(keys, 'bigint[]')}) AND {self.question.where.fits('k', before)}"
            " GROUP BY k.schedule_key",
            *before.values,
        )
        free = {row["schedule_key"]: row["start"] for row in firsts if row["start"] is not None}
        heads = [head_of(row) for row in rows]
        return [replace(head, start=min(head.start, free.get(head.schedule, head.start))) for head in heads]

    async def _probe(self, heads: Sequence[Head], compared: str, most: int = 1) -> list[First]:
        if not heads:
            return []
        compiler = Compiler(self.catalog, met_by_kinds(self.scope), planned_once=True)
        arguments, table, row = compiler.arguments, self.catalog.table("Slot"), compiler.alias()
        where = compiler.where(table, self.conditions, row)
        columns = table.columns(row)
        keys = arguments.add([head.schedule for head in heads], "bigint[]")
        since = arguments.add(
            [max(head.start, self.question.sought.start) for head in heads], "timestamptz[]"
        )
        # Kinds are judged first, and each agenda is looked up once: what is left is read along the agenda's index, and no
        # further than to the slots that are wanted.
        statement = compiler.statement(
            f"SELECT head.schedule_key, schedule.id AS agenda, {row}.start, {columns.id} AS id, {columns.version} AS version,"
            f" {columns.last_updated} AS last_updated, {columns.content} AS content"
            f" FROM unnest({keys}, {since}) AS head (schedule_key, since)"
            " JOIN schedule ON schedule.key = head.schedule_key"
            f" JOIN agenda AS {row}_agenda ON {row}_agenda.schedule_key = head.schedule_key"
            f" CROSS JOIN LATERAL (SELECT ARRAY({self._kinds(row, arguments)}) AS kinds OFFSET 0) AS fitting"
            f" CROSS JOIN LATERAL (SELECT {row}.* FROM slot AS {row} WHERE {row}.schedule_key = head.schedule_key"
            f" AND {row}.start {compared} head.since AND ({row}.kind_key = ANY(fitting.kinds)) IS TRUE"
            f" AND {where} AND {self.question.where.in_time(row, arguments)}"
            f" ORDER BY {row}.start, {row}.id LIMIT {most}) AS {row}"
            f" JOIN slot_kind AS {row}_kind ON {row}_kind.key = {row}.kind_key"
        )
        distances = {head.schedule: head.distance_m for head in heads}
        return [
            first_of(record, distances)
            for record in await self.question.connection.fetch(statement.sql, *statement.values)
        ]

    def _kinds(self, row: str, arguments: Arguments) -> str:
        """SELECT of the kinds (keys) of the agenda `head` whose slots may be the caller's."""
        required = self.scope.required.get("Slot")
        seen = "true" if required is None else self.catalog.table("Slot").bears(required, row, arguments)
        return (
            "SELECT k.kind_key FROM (SELECT * FROM found_by WHERE found_by.schedule_key = head.schedule_key OFFSET 0) AS k"
            f" JOIN slot_kind AS {row}_kind ON {row}_kind.key = k.kind_key"
            f" WHERE {self.question.where.fits('k', arguments)} AND {seen}"
        )
