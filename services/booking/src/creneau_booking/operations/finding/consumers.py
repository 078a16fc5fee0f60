"""The consumer for whom `$find`, `$prefetch` or `$soonest` searches."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from creneau_booking.domain.access_rules import Birth
from creneau_booking.operations.finding.find_query import PATIENTS
from creneau_booking.operations.references import id_of
from creneau_booking.storage.finding.candidates import Account, Candidate, Consumer, consumer_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import parse_interval
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.access import Access


async def consumer_for(
    connection: Connection,
    access: Access,
    given: OperationInput,
    now: datetime,
    *,
    per_agenda_max: int,
    besides: str | None = None,
) -> Consumer | None:
    """Returns the consumer for whom the practice's rules hold, and to whom whole slots are offered; None for the practice
    itself.

    Its patients are those whom the call names and the caller acts for, else all for whom the caller acts. A person whom
    the call describes (`patient-resource`) is judged by the birth date given. `besides`: an appointment (id) that does not
    count.
    """
    if access.patient_ids is None:
        return None
    named = named_patients(given)
    own = sorted(named & access.patient_ids or access.patient_ids)
    principal = access.principal
    found = await consumer_of(
        connection,
        Account(principal.issuer, principal.subject, access.patient_ids),
        own,
        now,
        per_agenda_max=per_agenda_max,
        besides=besides or "",
        oneself=access.rights.oneself,
    )
    consumer = replace(found, whole=True)
    described = given.resource("Patient", "patient-resource")
    if described is not None and not named:
        birth = _birth(described)
        consumer = consumer.for_anybody((Candidate(birth),) if birth else ())
    return consumer


def named_patients(given: OperationInput) -> frozenset[str]:
    """Returns the ids of the patients whom the call names, by reference or by an identifier that `with_literal` resolved."""
    return frozenset(id_ for reference in given.references(*PATIENTS) if (id_ := id_of(reference)))


def _birth(patient: Resource) -> Birth | None:
    """Returns the birth date of an unchecked Patient; None if it has none that can be read."""
    try:
        low, high = parse_interval(str(patient.get("birthDate", "")), UTC)
    except ValueError:
        return None
    return Birth(low.date(), (high - timedelta(days=1)).date())
