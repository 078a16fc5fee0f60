"""Whether a practice knows a patient: they have been there, or it has put them down as its own. And which slots are for such
patients only: by the slot's own word (`slot-new-patients`), else by its agenda's (`schedule-known-patients-only`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.domain.appointment import SlotFact
from creneau_booking.storage.began import BEGAN
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.sql import Arguments
from creneau_shared.fhir.search.terms import after
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.security.rights import AGENDA, OWNER, REGISTERED, SHARED

KNOWN_ONLY = "coalesce(NOT {new_patients}, {agenda}.known_patients_only, false)"
"""SQL: the slot is only for patients known to its practice; `new_patients` of its kind, and its agenda's alias"""
_OF_KIND = "(SELECT kind.new_patients FROM slot_kind AS kind WHERE kind.key = {slot}.kind_key)"

_CAME = ["status=fulfilled", "status=arrived", "status=checked-in"]
_PRACTITIONER, _ORGANIZATION = "general-practitioner=", "organization="
# A patient's request shows them to a practice, but is no visit. What staff state of a Patient counts.
_KNOWN_AT = f"""
SELECT DISTINCT who.id AS person, term
FROM unnest((SELECT $1::text[])) AS who (id) JOIN appointment ON appointment.terms @> ARRAY['patient=Patient/' || who.id]
{BEGAN},
unnest(appointment.terms) AS term
WHERE (appointment.terms && (SELECT $2::text[])
    OR (appointment.terms @> ARRAY['status=booked'] AND began.low < (SELECT $3::timestamptz)))
  AND (starts_with(term, '{AGENDA}') OR starts_with(term, '{OWNER}'))
  AND (who.id = ANY((SELECT $4::text[])::text[]) OR appointment.terms @> ARRAY['{SHARED}' || who.id])
UNION ALL SELECT id, term FROM patient, unnest(terms) AS term
WHERE id = ANY((SELECT $1::text[])::text[]) AND NOT deleted
  AND (starts_with(term, '{_PRACTITIONER}') OR starts_with(term, '{_ORGANIZATION}Organization/'))
"""

AGREED = ("booked", "arrived", "checked-in", "fulfilled", "noshow")
"""statuses of a visit to which its practice has agreed; one that is cancelled has had one of them before"""
# The superseded versions of a visit that was moved or cancelled tell whose it was, and in which status.
_ANY_OF_THEIRS = """
SELECT FROM appointment WHERE terms @> ARRAY['patient=Patient/' || $1] AND terms && $2::text[]
UNION ALL SELECT FROM resource_history AS past WHERE past.resource_type = 'Appointment'
  AND past.compartment @> ARRAY['patient=Patient/' || $1] AND past.compartment && $2::text[]"""
# Older Patients do not say who registered them. It was a practice that sees them and was never asked for a visit, unless it
# was the person's own account.
_REGISTERED_BEFORE = f"""
NOT EXISTS (SELECT FROM unnest(terms) AS t WHERE starts_with(t, '{REGISTERED}'))
AND NOT EXISTS (SELECT FROM patient_account WHERE patient_id = $1 AND oneself AND related_person IS NULL)
AND NOT EXISTS ({_ANY_OF_THEIRS})"""
_ONLY_ASKED = f"""
SELECT EXISTS (SELECT FROM patient WHERE id = $1 AND terms && $2::text[]) AND NOT EXISTS (
  SELECT FROM patient WHERE id = $1 AND (terms && $3::text[] OR {_REGISTERED_BEFORE})
  UNION ALL SELECT FROM appointment WHERE terms @> ARRAY['patient=Patient/' || $1] AND terms && $2::text[] AND terms && $4::text[]
  UNION ALL SELECT FROM resource_history AS past WHERE past.resource_type = 'Appointment'
    AND past.compartment @> ARRAY['patient=Patient/' || $1] AND past.compartment && $2::text[]
    AND 'status=' || (convert_from(past.content, 'UTF8')::json ->> 'status') = ANY($4::text[])
)"""


@dataclass(frozen=True, slots=True)
class KnownAt:
    """Where a patient is known: in agendas (Schedule ids), with practices (Organization ids), with people (references)."""

    agendas: frozenset[str] = frozenset()
    practices: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()

    def takes(self, slot: SlotFact) -> bool:
        """Whether the slot's agenda, its practice or its people know this patient already."""
        people = {*slot.actors, *slot.exclusive}
        return (
            slot.schedule in self.agendas
            or not self.practices.isdisjoint(slot.owners)
            or not self.people.isdisjoint(people)
        )

    def condition(self, alias: str, arguments: Arguments) -> str:
        """Condition: the slot (alias, with its agenda) is for this patient, if it is for known patients only."""
        known_only = KNOWN_ONLY.format(new_patients=_OF_KIND.format(slot=alias), agenda=f"{alias}_agenda")
        ways = [f"NOT {known_only}"]
        terms = [*owned_by(self.practices), *(f"actor={who}" for who in sorted(self.people))]
        if self.agendas or terms:
            ids, borne = arguments.add(sorted(self.agendas), "text[]"), arguments.add(terms, "text[]")
            ways.append(
                f"{alias}.schedule_key IN (SELECT s.key FROM schedule s WHERE s.id = ANY({ids}) OR s.terms && {borne})"
            )
        if self.people:
            people = arguments.add(sorted(self.people), "text[]")
            ways.append(
                f"{alias}.schedule_key IN (SELECT whose.schedule_key FROM agenda_actor AS whose"
                f" WHERE whose.actor = ANY({people}))"
            )
        return f"({' OR '.join(ways)})"


NOWHERE = KnownAt()


def registered_by(organizations: Collection[str]) -> list[str]:
    """Returns the terms of who registers a Patient: these Organizations (ids); none: a person, or the deployment."""
    return [f"{REGISTERED}Organization/{id_}" for id_ in sorted(organizations)] or [f"{REGISTERED}nobody"]


async def is_only_asked(connection: Connection, patient: str, organizations: Collection[str]) -> bool:
    """Whether these practices (Organization ids) know a Patient (id) only by requests: none of them has registered them,
    keeps their record (`managingOrganization`), or has agreed to a visit of theirs. False if they do not know
    them at all."""
    theirs = [
        *(f"{REGISTERED}Organization/{id_}" for id_ in organizations),
        *(f"{_ORGANIZATION}Organization/{id_}" for id_ in organizations),
    ]
    agreed = [f"status={status}" for status in AGREED]
    return bool(await connection.fetchval(_ONLY_ASKED, patient, owned_by(organizations), theirs, agreed))


async def known_at(
    connection: Connection, patients: Sequence[str], now: datetime, *, oneself: Collection[str]
) -> dict[str, KnownAt]:
    """Returns where these Patients (ids) are known: where they have had a visit, and whose patients they are stated to be.
    Hidden visits count only for `oneself` (ids): an answer to others must not tell of them."""
    rows = await connection.fetch(_KNOWN_AT, list(patients), _CAME, now, list(oneself))
    told: dict[str, set[str]] = {id_: set() for id_ in patients}
    for row in rows:
        told[row["person"]].add(row["term"])
    return {id_: _known_at(terms) for id_, terms in told.items()}


def _known_at(terms: Collection[str]) -> KnownAt:
    people = after(_PRACTITIONER, terms)
    stated = after("Organization/", {*people, *after(_ORGANIZATION, terms)})
    return KnownAt(
        frozenset(after(AGENDA, terms)),
        frozenset([*after(OWNER, terms), *stated]),
        frozenset(who for who in people if "/" in who and not who.startswith("Organization/")),
    )
