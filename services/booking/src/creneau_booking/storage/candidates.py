"""For whom slots are looked for, and which of them they could book: the rule as it stands for consumers.

A slot is for a patient whom its agenda takes (age, number of appointments to come), and who has no other visit at that
time. What limits an account (how many it may book an hour) is no property of a slot: it is refused when it is done.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.domain.access_rules import Birth
from creneau_booking.domain.appointment import patient_actor
from creneau_booking.storage.agenda_rules import births_of, future_appointments, rules_of_schedules
from creneau_booking.storage.availability.rule import is_open, takes_age
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.sql import Arguments

Period = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One patient for whom slots are looked for: birth, if it is known, the agendas (ids) that have enough of them, and
    when they have visits already."""

    birth: Birth | None
    full: tuple[str, ...] = ()
    elsewhere: tuple[Period, ...] = ()

    def condition(self, alias: str, arguments: Arguments) -> str:
        """Condition: the slot's agenda takes this patient."""
        if self.birth is None:
            age = f"{alias}_agenda.age_from_months IS NULL"
        else:
            first, last = (arguments.add(day, "date") for day in (self.birth.first, self.birth.last))
            age = takes_age(alias, first, last)
        conditions = [age]
        if self.full:
            ids = arguments.add(self.full, "text[]")
            conditions.append(
                f"{alias}.schedule_key NOT IN (SELECT s.key FROM schedule s WHERE s.id = ANY({ids}))"
            )
        if self.elsewhere:
            starts, ends = (
                arguments.add([period[n] for period in self.elsewhere], "timestamptz[]") for n in (0, 1)
            )
            conditions.append(
                f"NOT EXISTS (SELECT FROM unnest({starts}, {ends}) AS visit (start, until)"
                f' WHERE {alias}.start < visit.until AND {alias}."end" > visit.start)'
            )
        return " AND ".join(conditions)


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who looks for slots under the practice's rules, and when; without candidates nothing is asked of the patient."""

    now: datetime
    candidates: tuple[Candidate, ...] = ()

    def condition(self, alias: str, arguments: Arguments) -> str:
        """Condition: the slot could be booked by the consumer, for one of the candidates."""
        opened = is_open(alias, arguments.add(self.now, "timestamptz"))
        if not self.candidates:
            return opened
        ways = " OR ".join(f"({candidate.condition(alias, arguments)})" for candidate in self.candidates)
        return f"{opened} AND ({ways})"


async def candidates_of(
    connection: Connection,
    patients: Sequence[str],
    now: datetime,
    *,
    per_agenda_max: int,
    besides: str = "",
    oneself: Collection[str] = (),
) -> tuple[Candidate, ...]:
    """The patients (ids) as candidates, those of `oneself` with what is hidden from others; the appointment `besides`
    does not count, for it is to be moved.

    `per_agenda_max`: how many appointments to come one may have in an agenda that says no number itself.
    """
    if not patients:
        return ()
    births = await births_of(connection, patients)
    busy = await _busy(connection, patients, now, besides)
    found = []
    for id_ in patients:
        counts = await future_appointments(
            connection, f"Patient/{id_}", now, besides=besides, hidden_too=id_ in oneself
        )
        agendas = await rules_of_schedules(connection, list(counts)) if counts else {}
        said = {schedule: agenda.rules.appointments_max for schedule, agenda in agendas.items()}
        full = [
            schedule
            for schedule, count in counts.items()
            if count >= (per_agenda_max if (most := said.get(schedule)) is None else most)
        ]
        elsewhere = busy.get(patient_actor(f"Patient/{id_}", hidden=False), ())
        if id_ in oneself:
            elsewhere += busy.get(patient_actor(f"Patient/{id_}", hidden=True), ())
        found.append(Candidate(births.get(id_), tuple(sorted(full)), elsewhere))
    return tuple(found)


async def _busy(
    connection: Connection, patients: Sequence[str], now: datetime, besides: str
) -> dict[str, tuple[Period, ...]]:
    """When the patients (ids) have visits to come, by the actor that they are there."""
    actors = [patient_actor(f"Patient/{id_}", hidden=hidden) for id_ in patients for hidden in (False, True)]
    rows = await connection.fetch(
        "SELECT actor, lower(period) AS start, upper(period) AS until FROM occupancy"
        " WHERE actor = ANY($1) AND period && tstzrange($2, NULL) AND appointment_id <> $3 ORDER BY 1, 2",
        actors,
        now,
        besides,
    )
    found: dict[str, tuple[Period, ...]] = {}
    for row in rows:
        found[row["actor"]] = (*found.get(row["actor"], ()), (row["start"], row["until"]))
    return found
