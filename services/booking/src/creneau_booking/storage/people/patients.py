"""Registered Patients: a Patient that others refer to exists, and an id that was a person's never becomes another's."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from creneau_booking.domain.erasure import is_same_person
from creneau_booking.domain.identity import with_plain_ins
from creneau_booking.domain.refusals.registered import (
    OtherPerson,
    PatientErased,
    PatientsNamedIn,
    PatientsUnavailable,
    UnknownPatients,
)
from creneau_booking.storage.people.erasures import receipt_of_erasure
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, Stored
from creneau_shared.spelling import fold

IS_OVER = """({patient}.deleted OR {patient}.terms && ARRAY['active=false', 'deceased=true']
    OR position('"type":"replaced-by"'::bytea IN {patient}.content) > 0)"""
"""SQL: the record of a Patient (a row) is not to be used: deleted, inactive, of somebody who has died, or replaced by another.
A link says so by its type, which no search parameter tells; within a text the quotes would be escaped."""
UNAVAILABLE = f"""ARRAY(SELECT id FROM patient WHERE id = ANY({{ids}}) AND {IS_OVER.format(patient="patient")} ORDER BY id)"""
"""SQL: those of the Patients (ids) for whom nothing can be booked."""


async def require_available(connection: Connection, patients: Collection[str]) -> None:
    """Raises PatientsUnavailable if nothing can be booked for one of these Patients (references)."""
    ids = [reference.removeprefix("Patient/") for reference in patients]
    found = await connection.fetchval(f"SELECT {UNAVAILABLE.format(ids='$1::text[]')}", ids) if ids else []
    if found:
        raise PatientsUnavailable(tuple(found))


async def require_registered(
    connection: Connection,
    ids: Collection[str],
    named_in: PatientsNamedIn,
    owners: Collection[str] | None = None,
) -> None:
    """Does as `require_all`, with the stored Patients."""
    if not ids:
        return
    rows = await connection.fetch(
        "SELECT id FROM patient WHERE id = ANY($1) AND NOT deleted AND ($2::text[] IS NULL OR terms && $2)",
        list(ids),
        None if owners is None else owned_by(owners),
    )
    require_all(ids, {row["id"] for row in rows}, named_in, owners)


def require_all(
    ids: Collection[str],
    known: Collection[str],
    named_in: PatientsNamedIn,
    owners: Collection[str] | None = None,
) -> None:
    """Raises UnknownPatients if one of the Patients (ids) is not known: missing, or deleted. With `owners` (Organization
    ids), also if none of these practices knows them: booking for somebody opens no record."""
    unknown = set(ids) - set(known)
    if not unknown:
        return
    raise UnknownPatients(tuple(sorted(unknown)), named_in, to_practice=owners is not None)


async def require_same_person(connection: Connection, deleted: Stored, resource: Resource) -> None:
    """Raises PatientErased if the Patient was erased, OtherPerson if it was somebody else: a deleted Patient is restored as
    the same person."""
    if await receipt_of_erasure(connection, deleted.id) is not None:
        raise PatientErased(deleted.id, deleted.version)
    last = await connection.fetchval(
        "SELECT content FROM resource_history WHERE resource_type = 'Patient' AND id = $1"
        " AND content IS NOT NULL ORDER BY version DESC LIMIT 1",
        deleted.id,
    )
    if last is None or not is_same_person(_traits(loads(last)), _traits(resource)):
        raise OtherPerson(deleted.id)


def family_names(patient: Resource) -> frozenset[str]:
    """Every family name of a Patient, former ones too."""
    return frozenset(str(name["family"]) for name in patient.get("name", ()) if name.get("family"))


def _traits(patient: Resource) -> tuple[frozenset[str], frozenset[str], str | None]:
    identifiers = frozenset(
        f"{i.get('system', '')}|{i['value']}"
        for i in with_plain_ins(patient).get("identifier", ())
        if i.get("value")
    )
    return identifiers, family_names(patient), patient.get("birthDate")


async def with_identifiers(connection: Connection, identifiers: Sequence[Resource]) -> list[str]:
    """Returns the Patients (ids) in use who have one of these identifiers with its system; an INS however it is typed."""
    plain = with_plain_ins({"identifier": identifiers})["identifier"]
    terms = [
        f"identifier={i['system']}|{i['value']}"
        for i in (*identifiers, *plain)
        if i.get("system") and i.get("value")
    ]
    rows = await connection.fetch(
        "SELECT id FROM patient WHERE terms && $1::text[] AND NOT deleted AND NOT terms && ARRAY['active=false']"
        " ORDER BY id LIMIT 20",
        terms,
    )
    return [row["id"] for row in rows]


def is_born_and_named_as(one: Resource, other: Resource) -> bool:
    """Whether two Patients have a family name, a given name and the date of birth in common, and both say these."""
    born = one.get("birthDate")
    return born is not None and born == other.get("birthDate") and bool(_spoken(one) & _spoken(other))


def _spoken(patient: Resource) -> set[tuple[str, str]]:
    return {
        (fold(str(name["family"])), fold(str(given)))
        for name in patient.get("name", ())
        if name.get("family")
        for given in name.get("given", ())
    }
