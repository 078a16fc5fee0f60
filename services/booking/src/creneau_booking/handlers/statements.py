"""The owners of resources that are about others: AppointmentResponses and Provenances."""

from __future__ import annotations

from collections.abc import Collection

from creneau_booking.domain.refusals.registered import AppointmentNotSeen, PatientsNamedIn, UnknownTarget
from creneau_booking.storage.agendas.ownership import owners_among
from creneau_booking.storage.people.patients import require_registered
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.security.rights import OWNER, SHARED

PERSONAL = ("Appointment", "AppointmentResponse", "Patient", "RelatedPerson")


def is_seen(context: WriteContext, terms: Collection[str]) -> bool:
    """Whether the caller sees an appointment with these terms. A practice sees its own; a patient's account sees its own
    and, of people whom it represents, those shared with representatives."""
    if context.organizations is not None and set(terms).isdisjoint(owned_by(context.organizations)):
        return False
    if context.patient_ids is None:
        return True
    own = {p for p in context.patient_ids if f"patient=Patient/{p}" in terms}
    return any(f"{SHARED}{p}" in terms or not context.represents(p) for p in own)


async def response_belonging(
    connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
) -> list[str]:
    """The internal terms of an AppointmentResponse: its appointment's owners, and the term that shares it with the actor's
    representatives. Raises AppointmentNotSeen if the caller does not see the appointment."""
    reference = _relative(resource["appointment"].get("reference", ""))
    terms = await connection.fetchval(
        "SELECT terms FROM appointment WHERE id = $1 AND NOT deleted", reference.removeprefix("Appointment/")
    )
    if terms is None or not is_seen(context, terms):
        raise AppointmentNotSeen(reference or None)
    belonging = [t for t in terms if t.startswith((OWNER, SHARED))]
    actor = _relative(resource.get("actor", {}).get("reference", "")).partition("Patient/")[2]
    await _require_people(connection, context, [actor] if actor else [], "answer")
    return [t for t in belonging if t.startswith(OWNER) or t == f"{SHARED}{actor}"]


async def provenance_belonging(
    connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
) -> list[str]:
    """The owners of a Provenance, as terms: a practice writes one about its own resources. The Patients among its agents
    have to exist; its targets may have been deleted.

    The owners are those owners of the targets for whom the author acts, the author's own practices first. Without personal
    targets they are the author's own practices."""
    await _require_people(connection, context, _people_named(resource), "provenance")
    if context.organizations is None:
        return []
    said_for = set[str]()
    for index, target in enumerate(resource.get("target", ())):
        kind, _, id_ = _relative(target.get("reference", "")).partition("/")
        if kind not in PERSONAL:
            continue
        terms = await connection.fetchval(f"SELECT terms FROM {table_name(kind)} WHERE id = $1", id_)
        theirs = context.organizations & owners_among(terms or ())
        if not theirs:
            raise UnknownTarget(index, kind, id_)
        said_for |= theirs & context.own_organizations or theirs
    return owned_by(said_for or context.own_organizations)


async def _require_people(
    connection: Connection, context: WriteContext, ids: list[str], named_in: PatientsNamedIn
) -> None:
    """Raises UnknownPatients if one of the Patients (ids) does not exist, or a practice does not know them."""
    await require_registered(connection, ids, named_in, context.organizations)


def _people_named(provenance: Resource) -> list[str]:
    """The Patients (ids) among the agents of a Provenance, and those on whose behalf they act."""
    references = [
        _relative(agent.get(name, {}).get("reference", ""))
        for agent in provenance.get("agent", ())
        for name in ("who", "onBehalfOf")
    ]
    return [
        reference.removeprefix("Patient/") for reference in references if reference.startswith("Patient/")
    ]


def _relative(reference: str) -> str:
    """`Type/id` of a reference, without base URL and version."""
    return "/".join(reference.split("/_history/")[0].split("/")[-2:])
