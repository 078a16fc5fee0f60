"""The people for whom slots are looked for, and which slots they could book: the rule for consumers.

A slot is for a patient whom its agenda takes (age, number of appointments to come, known to the practice where it asks for
that), and who has no other visit at that time. A limit on an account (how many it may book an hour) is no property of a
slot: it refuses the booking itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from creneau_booking.domain.access_rules import Birth
from creneau_booking.domain.appointment import patient_actor
from creneau_booking.storage.agendas.rules import births_of, future_appointments, rules_of_schedules
from creneau_booking.storage.availability.groups import groups_of
from creneau_booking.storage.availability.rule import is_open, takes_age
from creneau_booking.storage.people.known_patients import NOWHERE, KnownAt, known_at
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.sql import Arguments
from creneau_shared.security.access import Access

Period = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One patient for whom slots are looked for: their birth, if known, the agendas (ids) that have enough of them, the
    times of their visits, and the practices that know them."""

    birth: Birth | None
    full: tuple[str, ...] = ()
    elsewhere: tuple[Period, ...] = ()
    known: KnownAt = NOWHERE

    def condition(self, alias: str, arguments: Arguments) -> str:
        """Condition: the slot's agenda takes this patient."""
        if self.birth is None:
            age = f"{alias}_agenda.age_from_months IS NULL"
        else:
            first, last = (arguments.add(day, "date") for day in (self.birth.first, self.birth.last))
            age = takes_age(alias, first, last)
        conditions = [age, self.known.condition(alias, arguments)]
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
class OwnHeld:
    """An appointment (id) that the consumer's own account holds. It gives way to the consumer: for these candidates, its
    slots count as not held."""

    appointment: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class OwnPlace:
    """A place that the consumer's own account holds in a `group` (as in `taken_by`). It gives way to the same person."""

    group: str
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who looks for slots under the practice's rules, and when; without candidates no condition concerns the patient."""

    now: datetime
    candidates: tuple[Candidate, ...] = ()
    own: tuple[OwnHeld, ...] = ()
    places: tuple[OwnPlace, ...] = ()
    is_new: bool = False
    """they look as somebody whom no practice knows"""
    whole: bool = False
    """they look for slots to take whole, from their start on: no part of open time that has begun"""

    @property
    def holders(self) -> tuple[str, ...]:
        """The appointments and groups by which this account holds slots, as in `taken_by`."""
        held = (*(own.appointment for own in self.own), *(place.group for place in self.places))
        return tuple(dict.fromkeys(held))

    def for_anybody(self, candidates: tuple[Candidate, ...]) -> Consumer:
        """Returns the same consumer with other candidates, also for what the consumer holds."""
        own = tuple(OwnHeld(own.appointment, candidates) for own in self.own)
        return replace(self, candidates=candidates, own=own, places=())

    def condition(self, alias: str, arguments: Arguments, *, whole: bool = False) -> str:
        """Condition: the slot could be booked by the consumer, for one of the candidates; if `whole`, from its start to its
        end, whatever they look for."""
        opened = is_open(alias, arguments.add(self.now, "timestamptz"), whole=whole or self.whole)
        if self.is_new:
            opened += f" AND {NOWHERE.condition(alias, arguments)}"
        ways = _ways(self.candidates, alias, arguments)
        if self.own:
            held = " ".join(
                f"WHEN {arguments.add(own.appointment, 'text')}"
                f" THEN {_ways(own.candidates, alias, arguments) or 'true'}"
                for own in self.own
            )
            ways = f"CASE {alias}.taken_by {held} ELSE {ways or 'true'} END"
        if self.places:
            own = " OR ".join(
                f"({alias}.taken_by = {arguments.add(place.group, 'text')}"
                f" AND {place.candidate.condition(alias, arguments)})"
                for place in self.places
            )
            # A full group has places only for those who have one already.
            ways = f"({own}) OR ({alias}.status = 'free' OR {alias}.places IS NULL) AND ({ways or 'true'})"
        return f"{opened} AND ({ways})" if ways else opened


def _ways(candidates: Sequence[Candidate], alias: str, arguments: Arguments) -> str:
    return " OR ".join(f"({candidate.condition(alias, arguments)})" for candidate in candidates)


@dataclass(frozen=True, slots=True)
class Account:
    """The account whose holds give way: the holder of a token, and the patients (ids) for whom it acts."""

    issuer: str
    subject: str
    acts_for: frozenset[str]


async def consumer_of(
    connection: Connection,
    account: Account,
    patients: Sequence[str],
    now: datetime,
    *,
    per_agenda_max: int,
    besides: str = "",
    oneself: Collection[str] = (),
) -> Consumer:
    """Returns the holder of an account as a consumer who looks for one of the patients (ids). The appointment `besides` does
    not count, because it is to be moved. For `oneself` (ids), what is hidden from others counts, too.

    `per_agenda_max`: most appointments to come of one patient in an agenda that says no number itself.
    """
    if not patients:
        return Consumer(now)
    visits = await _visits(connection, account, now)
    births = await births_of(connection, patients)
    known = await known_at(connection, patients, now, oneself=oneself)
    people = [Candidate(births.get(id_), known=known[id_]) for id_ in patients]
    found = partial(_candidates, connection, patients, people, now, visits, per_agenda_max, oneself=oneself)
    own = sorted({visit.appointment for visit in visits if visit.is_own_hold} - {besides})
    held = [OwnHeld(appointment, await found({besides, appointment})) for appointment in own]
    groups = await groups_of(connection, own) if own else {}
    persons = {visit.appointment: visit.actor for visit in visits if visit.is_own_hold}
    places = [
        OwnPlace(group, candidate)
        for one in held
        for id_, candidate in zip(patients, one.candidates, strict=True)
        if patient_actor(f"Patient/{id_}", hidden=False) == persons[one.appointment].partition("#")[0]
        for group in groups.get(one.appointment, ())
    ]
    return Consumer(now, await found({besides}), tuple(held), tuple(places))


async def consumer_with(
    connection: Connection,
    access: Access,
    now: datetime,
    *,
    per_agenda_max: int,
    patients: Collection[str] | None = None,
) -> Consumer:
    """Returns the caller as a consumer, for all for whom they act, or for those of them named by `patients` (ids)."""
    acts_for, principal = access.patient_ids or frozenset(), access.principal
    return await consumer_of(
        connection,
        Account(principal.issuer, principal.subject, acts_for),
        sorted(acts_for & frozenset(patients or ()) or acts_for),
        now,
        per_agenda_max=per_agenda_max,
        oneself=access.rights.oneself,
    )


async def _candidates(
    connection: Connection,
    patients: Sequence[str],
    people: Sequence[Candidate],
    now: datetime,
    visits: Sequence[_Visit],
    per_agenda_max: int,
    besides: Collection[str],
    *,
    oneself: Collection[str],
) -> tuple[Candidate, ...]:
    """Returns the people with the agendas that have enough of them, and their times elsewhere, without `besides`."""
    busy: dict[str, tuple[Period, ...]] = {}
    for visit in visits:
        if visit.appointment not in besides:
            busy[visit.actor] = (*busy.get(visit.actor, ()), (visit.start, visit.until))
    found = []
    for id_, person in zip(patients, people, strict=True):
        counts = await future_appointments(
            connection, f"Patient/{id_}", now, besides=sorted(besides), hidden_too=id_ in oneself
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
        found.append(replace(person, full=tuple(sorted(full)), elsewhere=elsewhere))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Visit:
    """A visit's time, and the actor under which it is stored; whether their account only holds it."""

    actor: str
    start: datetime
    until: datetime
    appointment: str
    is_own_hold: bool


async def _visits(connection: Connection, account: Account, now: datetime) -> list[_Visit]:
    """The visits to come of those for whom an account acts, in the order of time."""
    actors = [
        patient_actor(f"Patient/{id_}", hidden=hidden)
        for id_ in sorted(account.acts_for)
        for hidden in (False, True)
    ]
    rows = await connection.fetch(
        "SELECT actor, lower(period), upper(period), occupancy.appointment_id, hold.appointment_id IS NOT NULL"
        " FROM occupancy LEFT JOIN hold ON hold.appointment_id = occupancy.appointment_id"
        " AND hold.issuer = $3 AND hold.subject = $4 AND hold.expires_at > $2"
        " WHERE actor = ANY($1) AND period && tstzrange($2, NULL) ORDER BY 1, 2",
        actors,
        now,
        account.issuer,
        account.subject,
    )
    return [_Visit(*row) for row in rows]
