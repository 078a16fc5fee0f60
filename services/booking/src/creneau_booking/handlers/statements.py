"""Whose are the resources that are about others: answers to appointments, and Provenances."""

from __future__ import annotations

from creneau_booking.domain.refusals import AppointmentNotSeen, PatientsNamedIn, UnknownTarget
from creneau_booking.storage.patients import require_registered
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.security.rights import OWNER, SHARED

PERSONAL = ("Appointment", "AppointmentResponse", "Patient", "RelatedPerson")


async def response_belonging(
    connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
) -> list[str]:
    """The internal terms of an AppointmentResponse: its appointment's, and of the person's representatives where it is
    the person who answers, so that those see no more than the person. AppointmentNotSeen when the caller does not see
    it."""
    reference = _relative(resource["appointment"].get("reference", ""))
    terms = await connection.fetchval(
        "SELECT terms FROM appointment WHERE id = $1 AND NOT deleted", reference.removeprefix("Appointment/")
    )
    belonging = [t for t in terms or () if t.startswith((OWNER, SHARED))]
    people = {t.partition("=Patient/")[2] for t in terms or () if t.startswith("patient=Patient/")}
    seen = terms is not None
    if context.organizations is not None:
        seen = seen and not set(belonging).isdisjoint(owned_by(context.organizations))
    if context.patient_ids is not None:
        own = people & context.patient_ids
        shared = {p for p in own if f"{SHARED}{p}" in belonging or not context.represents(p)}
        seen = seen and bool(shared)
    if not seen:
        raise AppointmentNotSeen(reference or None)
    actor = _relative(resource.get("actor", {}).get("reference", "")).partition("Patient/")[2]
    await _require_people(connection, context, [actor] if actor else [], "answer")
    return [t for t in belonging if t.startswith(OWNER) or t == f"{SHARED}{actor}"]


async def provenance_belonging(
    connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
) -> list[str]:
    """A Provenance is of the practice that says it, which says it of what is its own. Who did or asked for something is
    there; what it was done to may be so no longer."""
    await _require_people(connection, context, _people_named(resource), "provenance")
    if context.organizations is None:
        return []
    for index, target in enumerate(resource.get("target", ())):
        kind, _, id_ = _relative(target.get("reference", "")).partition("/")
        if kind in PERSONAL and not await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {table_name(kind)} WHERE id = $1 AND terms && $2::text[])",
            id_,
            owned_by(context.organizations),
        ):
            raise UnknownTarget(index, kind, id_)
    return owned_by(context.organizations)


async def _require_people(
    connection: Connection, context: WriteContext, ids: list[str], named_in: PatientsNamedIn
) -> None:
    """UnknownPatients when one of the Patients (ids) is not there or, to a practice, is not known to it."""
    await require_registered(connection, ids, named_in, context.organizations)


def _people_named(provenance: Resource) -> list[str]:
    """The Patients (ids) among the agents of a Provenance, and those whom they act for."""
    references = [
        _relative(agent.get(name, {}).get("reference", ""))
        for agent in provenance.get("agent", ())
        for name in ("who", "onBehalfOf")
    ]
    return [
        reference.removeprefix("Patient/") for reference in references if reference.startswith("Patient/")
    ]


def _relative(reference: str) -> str:
    """`Type/id` of a reference, whatever stands before or behind it."""
    return "/".join(reference.split("/_history/")[0].split("/")[-2:])
