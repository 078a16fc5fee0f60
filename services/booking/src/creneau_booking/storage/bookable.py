"""The practice's rules as SQL conditions on a slot, so that nobody is shown what they could not book.

The conditions stand on the slot's row and on its agenda's rules, which `rules_of_agenda` joins; an agenda without rules
has no row there. They say what `domain.access_rules` says: `domain` judges one booking, these filter a search.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.domain.access_rules import Birth
from creneau_booking.storage.agenda_rules import births_of, future_appointments, rules_of_schedules
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.generic import literal

_OPEN = """({r}.schedule_key IS NULL OR (
  ({now} <= {a}.start - make_interval(mins => {r}.minimum_notice_min)) IS NOT FALSE
  AND ({now} >= ((({a}.start AT TIME ZONE {r}.zone)::date - {r}.window_days) + {r}.opens_at) AT TIME ZONE {r}.zone)
    IS NOT FALSE
))"""
_FITS = """({r}.age_from_months IS NULL OR (
  {first}::date + make_interval(months => {r}.age_from_months) <= ({a}.start AT TIME ZONE {r}.zone)::date
  AND ({r}.age_below_months IS NULL
    OR ({a}.start AT TIME ZONE {r}.zone)::date < {last}::date + make_interval(months => {r}.age_below_months))
))"""


def rules_of_agenda(alias: str) -> str:
    """FROM item: the rules of the agenda of the slot `alias`, as `<alias>_rules`."""
    return f"LEFT JOIN agenda_rules AS {alias}_rules ON {alias}_rules.schedule_key = {alias}.schedule_key"


def is_open(alias: str, now: str) -> str:
    """Condition: at `now` (SQL) the slot is within its agenda's booking window and minimum notice."""
    return _OPEN.format(a=alias, r=f"{alias}_rules", now=now)


def takes_age(alias: str, first: str, last: str) -> str:
    """Condition: the agenda takes a person born between these days (SQL, both included) on the day of the slot."""
    return _FITS.format(a=alias, r=f"{alias}_rules", first=first, last=last)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One patient for whom slots are looked for: birth, if it is known, and the agendas that have enough of them."""

    birth: Birth | None
    full: tuple[str, ...] = ()

    def condition(self, alias: str) -> str:
        """Condition: the slot's agenda takes this patient."""
        if self.birth is None:
            age = f"{alias}_rules.age_from_months IS NULL"
        else:
            first, last = (literal(day.isoformat()) for day in (self.birth.first, self.birth.last))
            age = takes_age(alias, first, last)
        if not self.full:
            return age
        ids = ", ".join(literal(id_) for id_ in self.full)
        return f"{age} AND {alias}.schedule_key NOT IN (SELECT s.key FROM schedule s WHERE s.id IN ({ids}))"


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who looks for slots under the practice's rules, and when; without candidates nothing is asked of the patient."""

    now: datetime
    candidates: tuple[Candidate, ...] = ()

    def condition(self, alias: str) -> str:
        """Condition: the slot could be booked by the consumer, for one of the candidates."""
        opened = is_open(alias, f"{literal(self.now.isoformat())}::timestamptz")
        if not self.candidates:
            return opened
        ways = " OR ".join(f"({candidate.condition(alias)})" for candidate in self.candidates)
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
    births = await births_of(connection, patients)
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
        found.append(Candidate(births.get(id_), tuple(sorted(full))))
    return tuple(found)
