"""Whose are the resources that are about others: answers to appointments, and Provenances."""

from __future__ import annotations

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Unprocessable
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.security.rights import OWNER, SHARED

PERSONAL = ("Appointment", "AppointmentResponse", "Patient", "RelatedPerson")


async def response_belonging(
    connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
) -> list[str]:
    """The internal terms of an AppointmentResponse: its appointment's, and of the person's representatives where it is
    the person who answers, so that those see no more than the person. Unprocessable when the caller does not see the
    appointment."""
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
        raise Unprocessable(
            f"{reference or 'AppointmentResponse.appointment'} n'existe pas.",
            f"{reference or 'AppointmentResponse.appointment'} does not exist.",
            code="not-found",
            expression="AppointmentResponse.appointment",
            details_code="unknown-appointment",
        )
    actor = _relative(resource.get("actor", {}).get("reference", "")).partition("Patient/")[2]
    return [t for t in belonging if t.startswith(OWNER) or t == f"{SHARED}{actor}"]


async def provenance_belonging(
    connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
) -> list[str]:
    """A Provenance is of the practice that says it, which says it of what is its own."""
    if context.organizations is None:
        return []
    for index, target in enumerate(resource.get("target", ())):
        kind, _, id_ = _relative(target.get("reference", "")).partition("/")
        if kind in PERSONAL and not await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {table_name(kind)} WHERE id = $1 AND terms && $2::text[])",
            id_,
            owned_by(context.organizations),
        ):
            raise Unprocessable(
                f"{kind}/{id_} n'existe pas.",
                f"{kind}/{id_} does not exist.",
                code="not-found",
                expression=f"Provenance.target[{index}]",
                details_code="unknown-target",
            )
    return owned_by(context.organizations)


def _relative(reference: str) -> str:
    """`Type/id` of a reference, whatever stands before or behind it."""
    return "/".join(reference.split("/_history/")[0].split("/")[-2:])
