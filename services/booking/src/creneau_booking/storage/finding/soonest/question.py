"""The question of one call of `$soonest`: its order, and SQL for the kinds of slots that may fit it, and since when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.storage.finding.soonest import bounds
from creneau_booking.storage.finding.soonest.conditions import Conditions, Sought, cells_around
from creneau_booking.storage.finding.soonest.heads import Head, Place
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.sql import Arguments

KIND = "CROSS JOIN LATERAL (SELECT * FROM found_by WHERE found_by.kind_key = {of}.kind_key OFFSET 0) AS k"
"""SQL: the `found_by` row of a kind, looked up by its key and never by its terms, which the planner takes to be rare"""


@dataclass(frozen=True)
class Question:
    """The question of one caller. `required`: a slot must bear one of these internal terms (None: any); `read_max`: most
    rows that are read; `counting`: whether facets are wanted."""

    connection: Connection
    sought: Sought
    required: Sequence[str] | None
    now: datetime
    read_max: int
    counting: bool

    @property
    def where(self) -> Conditions:
        return Conditions(self.sought, self.required, self.now)

    @property
    def later(self) -> bool:
        """Whether the search begins later than now, so that earlier heads say little."""
        return self.sought.start > self.now

    def begin(self) -> Place:
        """Returns a place before all others."""
        return -1.0 if self.sought.by_distance else datetime.min.replace(tzinfo=self.now.tzinfo), 0

    def place(self, head: Head) -> Place:
        if self.sought.by_distance:
            return (head.distance_m if head.distance_m is not None else math.inf), head.schedule
        return max(head.start, self.sought.start), head.schedule

    def fitting(self, source: str, arguments: Arguments) -> str:
        """SQL: the kinds of `source` (with `distance`) that fit and have something free: agenda, start, distance, terms."""
        end = ""
        if self.sought.end is not None:
            end = f" AND k.start < {arguments.add(self.sought.end, 'timestamptz')}"
        # Step by step, each value is looked up once for a kind. In a join the planner, who does not know how few these are,
        # would read all kinds, or remember what nobody asks for again. Hardly any agenda is closed, so that it is cheapest
        # to look for closed ones among these.
        free = (
            "SELECT k.*, (SELECT first_free.start FROM first_free WHERE (first_free.schedule_key, first_free.kind_key)"
            f" = (k.schedule_key, k.kind_key)) AS free FROM ({source} OFFSET 0) AS k"
            f" WHERE {self.where.fits('k', arguments, 'k.distance')}"
            " AND NOT EXISTS (SELECT FROM agenda WHERE agenda.schedule_key = k.schedule_key AND NOT agenda.open OFFSET 0)"
        )
        heads = f"SELECT k.*, {self._head_start(arguments)} AS start FROM ({free} OFFSET 0) AS k WHERE k.free IS NOT NULL"
        return (
            f"SELECT k.schedule_key, k.start, k.distance, k.terms FROM ({heads} OFFSET 0) AS k"
            f" WHERE k.start IS NOT NULL{end}"
        )

    def _head_start(self, arguments: Arguments) -> str:
        """SQL: the moment from which the first slot of kind `k` is to be looked for; `k.free`: its first free start."""
        if not self.later:
            return "k.free"
        since = arguments.add(self.sought.start, "timestamptz")
        soon = arguments.add(self.sought.start + bounds.LOOKED_AT_FIRST, "timestamptz")
        end = ""
        if self.sought.end is not None:
            end = f" AND slot.start < {arguments.add(self.sought.end, 'timestamptz')}"
        first = (
            "(SELECT slot.start FROM slot"
            " WHERE (slot.schedule_key, slot.kind_key, slot.status) = (k.schedule_key, k.kind_key, 'free')"
            f" AND slot.start >= {{since}}{end}{{until}} ORDER BY slot.start LIMIT 1)"
        )
        # Most kinds have a slot soon, for which one month or two are looked into; without an end, all would be.
        near, far = (
            first.format(since=since, until=f" AND slot.start < {soon}"),
            first.format(since=soon, until=""),
        )
        return f"CASE WHEN k.free >= {since} THEN k.free ELSE coalesce({near}, {far}) END"

    def around(self, arguments: Arguments) -> str | None:
        """Condition on the index of places: the specialities around the point; None: no point, or surroundings too wide."""
        near = self.sought.near
        cells = cells_around(near) if near is not None else None
        if cells is None:
            return None
        return f"{self.of_specialties(arguments)} AND cell = ANY({arguments.add(cells, 'integer[]')})"

    def of_specialties(self, arguments: Arguments) -> str:
        """Condition on the index of places, by speciality; with a single one, agendas come in their order."""
        codes = sorted(set(self.sought.specialties)) or [""]
        if len(codes) == 1:
            return f"specialty = {arguments.add(codes[0], 'text')}"
        return f"specialty = ANY({arguments.add(codes, 'text[]')})"
