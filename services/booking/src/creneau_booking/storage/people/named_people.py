"""Which people an Appointment means by its participants, an agenda by its actors, and a Patient by its links, however they
refer to them.

| actor | who is meant |
|---|---|
| `Patient/12`, or the same within this base | that Patient, written so; whether they are known is asked with what is taken |
| an identifier alone, with its system | who bears it as it is given, else in another spelling, of those whom the writer may see |
| a Patient contained, of another server, by `urn:uuid:`, or in words | nobody for whom one can book: PatientsUnclear |
| anybody else | not looked up: no appointment takes their time |
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from creneau_booking.domain.refusals.registered import PatientsUnclear
from creneau_booking.storage.mapping.appointment import relative
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.bearers import as_given, bears, meant
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.terms import identifier_terms
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, WriteContext

DIRECTORY = ("Practitioner", "PractitionerRole", "HealthcareService", "Location", "Device")
"""types of actors of whom the directory tells"""
_BORNE = """(SELECT '{name}/' || id AS reference, {given} AS given FROM {table}
  WHERE {borne} AND NOT deleted {more} ORDER BY given DESC LIMIT 2)"""
_SEEN = """AND NOT terms && ARRAY['active=false']
  AND ($2 OR id = ANY($3::text[]) OR terms && $4::text[]) AND id IS DISTINCT FROM $5"""
_FOUND = " UNION ALL ".join(
    _BORNE.format(
        name=name, given=as_given("$1::text[]"), table=table_name(name), borne=bears("$1::text[]"), more=more
    )
    for name, more in (*((name, "") for name in DIRECTORY), ("Patient", _SEEN))
)


async def with_known_people(
    connection: Connection,
    context: WriteContext,
    appointment: Resource,
    base_url: str,
    *,
    before: Collection[Any] = (),
) -> Resource:
    """Returns the appointment with each participant of this base as `Type/id`, also those named by an identifier alone.
    Raises PatientsUnclear with each who is said to be a Patient and is not of this base; for a person's own account another
    rule checks that. Participants in `before` stay as they are."""
    kept = [participant.get("actor") for participant in before]
    people, unclear = [], []
    for index, participant in enumerate(appointment.get("participant", ())):
        said = participant.get("actor")
        if said and said not in kept:
            actor = await _named_here(connection, context, said, base_url)
            participant = {**participant, "actor": actor}
            if not context.by_patient and _is_patient_of_nowhere(actor, appointment):
                unclear.append((index, _said(said)))
        people.append(participant)
    if unclear:
        raise PatientsUnclear(tuple(unclear))
    return {**appointment, "participant": people}


async def with_known_actors(
    connection: Connection, context: WriteContext, schedule: Resource, base_url: str
) -> Resource:
    """Returns the agenda in which actors of this base named by an identifier alone are named as `Type/id` too: their time
    and their owners count, however an agenda names them."""
    actors = [
        one if one.get("reference") else await _named_here(connection, context, one, base_url)
        for one in schedule.get("actor", ())
    ]
    return {**schedule, "actor": actors} if actors else schedule


async def with_known_answerer(
    connection: Connection, context: WriteContext, response: Resource, base_url: str
) -> Resource:
    """Returns the answer with its actor as `Type/id` too, if it was named by an identifier alone."""
    actor = response.get("actor")
    if not actor or actor.get("reference"):
        return response
    return {**response, "actor": await _named_here(connection, context, actor, base_url)}


async def with_known_links(
    connection: Connection, context: WriteContext, patient: Resource, base_url: str
) -> Resource:
    """Returns the Patient whose links name other records of this base as `Type/id`, also those named by an identifier alone:
    visits go to the record that replaces theirs."""
    links = [
        {**link, "other": await _named_here(connection, context, link["other"], base_url, patient.get("id"))}
        if link.get("other")
        else link
        for link in patient.get("link", ())
    ]
    return {**patient, "link": links} if links else patient


async def _named_here(
    connection: Connection, context: WriteContext, actor: Resource, base_url: str, besides: str | None = None
) -> Resource:
    """Returns the actor with a reference of this base, if it has one or bears an identifier of somebody here. `besides`: the
    id of a Patient who is not meant."""
    said = actor.get("reference")
    reference = relative(said, base_url) if said else await _borne_by(connection, context, actor, besides)
    return {**actor, "reference": reference} if reference else actor


async def _borne_by(
    connection: Connection, context: WriteContext, actor: Resource, besides: str | None
) -> str | None:
    """Returns the reference of the only one whom the actor's identifier means, without the Patient (id) `besides`."""
    identifier = actor.get("identifier", {})
    system, value = identifier.get("system"), identifier.get("value")
    if not system or not value:
        return None
    rows = await connection.fetch(
        _FOUND,
        identifier_terms(system, value),
        not context.by_patient and context.organizations is None,
        list(context.patient_ids or ()),
        owned_by(context.organizations or ()),
        besides,
    )
    said = actor.get("type")
    bearers = ((row["reference"], row["given"]) for row in rows)
    found = meant(one for one in bearers if said is None or one[0].startswith(f"{said}/"))
    return found[0] if len(found) == 1 else None


def _is_patient_of_nowhere(actor: Resource, appointment: Resource) -> bool:
    """Whether somebody is said to be a Patient, and not one of this base."""
    reference = actor.get("reference", "")
    if reference.startswith("Patient/"):
        return False
    contained = {f"#{one.get('id')}": one.get("resourceType") for one in appointment.get("contained", ())}
    kinds = (actor.get("type"), contained.get(reference), *reference.split("/")[-2:-1])
    return "Patient" in kinds or reference.startswith("urn:uuid:")


def _said(actor: Resource) -> str:
    return str(actor.get("reference") or actor.get("display") or "identifier")
