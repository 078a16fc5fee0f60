"""Which appointment `$hold` and `$book` are about: the spellings of IHE, Argonaut, ISiK and Medplum side by side.

| guide | by reference | as a resource |
|---|---|---|
| IHE ITI-116/117 | appointment-reference | appointment-resource |
| Argonaut | appt-id, or the instance | appt-resource |
| ISiK | – | appt-resource, or the bare body |
| Medplum | – | appointment |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.operations.booking.desk import Desk, Session, Work, in_transaction, refused_for_ihe
from creneau_booking.operations.finding.find import PROPOSAL_PREFIX
from creneau_booking.operations.finding.find_together import JOINT_PREFIX, read_joint_id
from creneau_booking.operations.references import id_of
from creneau_booking.storage.agendas.joint import slots_covering
from creneau_booking.storage.agendas.slots_of_agendas import agenda_actors
from creneau_booking.storage.slots.store import SlotStore
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Conflict, NotFound, Unprocessable
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest, json_object
from creneau_shared.fhir.rest.operation import OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.storage.store import Resource

BARE = "appt-resource"
RESOURCE_NAMES = (BARE, "appointment-resource", "appointment")
REFERENCE_NAMES = ("appointment-reference", "appt-id")
NAMES = (*RESOURCE_NAMES, *REFERENCE_NAMES)
"""Every spelling under which a call names its appointment"""
IHE_NAMES = frozenset({"appointment-reference", "appointment-resource"})
"""IHE's spellings: who uses them is refused as ITI-116 and ITI-117 say."""
BUNDLE_NAMES = IHE_NAMES | {"appt-id"}
"""Spellings whose guides answer with a Bundle; the others answer with the Appointment itself."""


@dataclass(frozen=True)
class Subject:
    """An existing appointment by its id, or a new one as a resource."""

    id: str | None
    resource: Resource | None
    wants_bundle: bool


def subject_of(given: OperationInput, instance: str | None) -> Subject:
    """Returns the appointment that the call is about. Raises BadRequest if the call names none, or several of which one is
    stored: only the first would be taken."""
    wants_bundle = bool(given.names & BUNDLE_NAMES)
    id_ = _only_id(given, instance, *REFERENCE_NAMES)
    resource = given.resource("Appointment", *RESOURCE_NAMES)
    if not id_ and resource is None:
        raise BadRequest(
            "Dites quel rendez-vous : une référence (appointment-reference, appt-id) ou la ressource (appt-resource).",
            "Say which appointment: a reference (appointment-reference, appt-id) or the resource (appt-resource).",
            code="required",
            expression="Parameters.parameter",
        )
    return Subject(id_ or None, resource, wants_bundle)


def _only_id(given: OperationInput, instance: str | None, *names: str) -> str | None:
    """Returns the id that a call gives by instance or by a reference under these names; None if it gives none. Raises
    BadRequest if it gives several, or other resources beside one: only the first would be heard."""
    named = [instance] if instance else []
    named += [id_of(reference) for reference in given.references(*names)]
    sent = _sent(given)
    others = {str(one["id"]) for one in sent if "id" in one} - set(named)
    if len(set(named)) > 1 or (named and (len(sent) > 1 or others)):
        raise BadRequest(
            "Un seul rendez-vous à la fois s'il est déjà enregistré ; plusieurs propositions ou ressources font une série.",
            "One appointment at a time if it is stored; several proposals or resources make a series.",
            code="not-supported",
            expression="Parameters.parameter",
        )
    return next(iter(named), None)


async def take_in_transaction(call: OperationCall, desk: Desk, given: OperationInput, work: Work) -> Answer:
    """`in_transaction`, for what takes time: what is taken or gone is refused as the spelling of the call demands."""
    try:
        return await in_transaction(call, desk, "c", given, work)
    except (Conflict, ProposalGone) as refusal:
        if given.names & IHE_NAMES:
            return refused_for_ihe(refusal, call)
        raise


def id_of_subject(session: Session, given: OperationInput) -> str:
    """Returns the id of the stored appointment that the call names: by instance, reference or resource. Raises BadRequest
    if it names none, or several."""
    brought = [str(one["id"]) for one in _sent(given) if one["resourceType"] == "Appointment" and "id" in one]
    own = session.call.id or next(iter(brought), None)
    named = _only_id(given, own, "appointment", *REFERENCE_NAMES)
    if not named:
        raise BadRequest(
            "Dites quel rendez-vous : Appointment/[id]/$…, ou le paramètre appointment.",
            "Say which appointment: Appointment/[id]/$…, or the parameter appointment.",
            code="required",
            expression=parameter_named("appointment"),
        )
    return named


def _sent(given: OperationInput) -> list[Resource]:
    """Returns the resources that the call sends; under `appointment` it may give a Reference as well."""
    return [one for one in given.all(*RESOURCE_NAMES) if json_object(one).get("resourceType")]


def is_proposal(id_: str) -> bool:
    return id_.startswith((PROPOSAL_PREFIX, JOINT_PREFIX))


async def proposed_resource(
    connection: Connection, request: FhirRequest, slots: SlotStore, id_: str
) -> Resource:
    """Returns the appointment that a proposal of `$find` stands for. Raises ProposalGone if its slot is gone or hidden from
    the caller."""
    if id_.startswith(JOINT_PREFIX):
        return await _joint_resource(connection, request, slots, id_)
    slot_id = id_.removeprefix(PROPOSAL_PREFIX)
    slot = await _shown(connection, request, slots, slot_id)
    return await _resource_of(connection, [slot], slot["start"], slot["end"])


async def _joint_resource(
    connection: Connection, request: FhirRequest, slots: SlotStore, id_: str
) -> Resource:
    """Returns the appointment of a joint proposal, in the slots that cover its time now."""
    read = read_joint_id(id_)
    if read is None:
        raise _no_longer()
    start, end, agendas = read
    found = await slots_covering(connection, agendas, start, end)
    if found is None:
        raise _no_longer()
    resources = [await _shown(connection, request, slots, slot_id) for slot_id in found]
    begins, ends = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (start, end))
    return await _resource_of(connection, resources, begins, ends)


async def _shown(connection: Connection, request: FhirRequest, slots: SlotStore, slot_id: str) -> Resource:
    """Returns a proposal's slot. Raises ProposalGone if it is gone or hidden from the caller."""
    stored = await slots.read(connection, slot_id)
    required = request.access("Slot", "r").required
    shown = required is None or await slots.has_any_term(connection, slot_id, required)
    if stored is None or stored.content is None or not shown:
        raise _no_longer()
    return loads(stored.content)


async def _resource_of(connection: Connection, slots: Sequence[Resource], start: str, end: str) -> Resource:
    ids = [slot["id"] for slot in slots]
    of_each = await agenda_actors(connection, ids)
    actors = dict.fromkeys(actor for id_ in ids for actor in of_each.get(id_, ()))
    return {
        "resourceType": "Appointment",
        "status": "proposed",
        **{name: slots[0][name] for name in SAID_BY_SLOT if name in slots[0]},
        "start": start,
        "end": end,
        "slot": [{"reference": f"Slot/{id_}"} for id_ in ids],
        "participant": [
            {"actor": {"reference": a}, "required": "required", "status": "needs-action"} for a in actors
        ],
    }


class ProposalGone(NotFound):
    """The slot of a proposal is gone, or hidden from the caller."""


def _no_longer() -> ProposalGone:
    return ProposalGone(
        "Cette proposition n'existe plus ; cherchez de nouveau.",
        "This proposal no longer exists; search again.",
        expression="Parameters.parameter",
    )


async def new_resource(
    session: Session, slots: SlotStore, subject: Subject, patients: list[Resource]
) -> Resource:
    """Returns the appointment that is sent, or that a proposal stands for, with its patients. If neither it nor the call
    names a patient, it is for the account's Patient if the account has exactly one."""
    resource = subject.resource
    if resource is None:
        assert subject.id is not None
        resource = await proposed_resource(session.connection, session.call.request, slots, subject.id)
    elif _names_a_patient(resource):
        return with_patients(resource, patients)
    return with_patients(resource, session.own_patients(patients))


def _names_a_patient(resource: Resource) -> bool:
    """Whether the resource names a patient in any way: then the account's own Patient is not assumed."""
    participants = resource.get("participant", [])
    if not isinstance(participants, list):
        return True  # validation refuses it later
    actors = [json_object(json_object(participant).get("actor")) for participant in participants]
    return any(
        "Patient/" in str(actor.get("reference", "")) or actor.get("type") == "Patient" for actor in actors
    )


def with_contained_slots(resource: Resource) -> Resource:
    """Adds references to the contained slots (dom-3) of an Appointment that has none, as Medplum writes it."""
    contained = resource.get("contained")
    if (
        resource.get("resourceType") != "Appointment"
        or resource.get("slot")
        or not isinstance(contained, list)
    ):
        return resource
    named = [
        {**one, "id": one.get("id") or f"slot-{number}"}
        if json_object(one).get("resourceType") == "Slot"
        else one
        for number, one in enumerate(contained, 1)
    ]
    slots = [
        {"reference": f"#{one['id']}"} for one in named if json_object(one).get("resourceType") == "Slot"
    ]
    return {**resource, "contained": named, "slot": slots} if slots else resource


def with_patients(resource: Resource, references: Sequence[Resource]) -> Resource:
    """Adds these patients to the resource, as participants who have accepted."""
    participants = resource.get("participant", [])
    if not isinstance(participants, list):
        return resource  # validation refuses it later
    present = {json_object(json_object(p).get("actor")).get("reference") for p in participants}
    added = [
        {"actor": {**reference, "reference": patient}, "required": "required", "status": "accepted"}
        for reference in references
        if (patient := _as_patient(reference)) not in present
    ]
    return {**resource, "participant": [*participants, *added]} if added else resource


async def patients_of(session: Session, given: OperationInput) -> list[Resource]:
    """Returns references to the patients whom the call names beside the appointment (Argonaut patient-id, IHE
    patient-reference and patient-resource)."""
    named = given.references("patient-id", "patient-reference")
    return named + [await session.registered(one) for one in given.resources("Patient", "patient-resource")]


def require_a_patient(resource: Resource) -> None:
    """Raises Unprocessable if the appointment has no patient."""
    people = (p.get("actor", {}).get("reference", "") for p in resource.get("participant", ()))
    if not any("Patient/" in reference for reference in people):
        raise Unprocessable(
            "Dites pour qui : un participant Patient, ou patient-id, patient-reference, patient-resource.",
            "Say for whom: a Patient participant, or patient-id, patient-reference, patient-resource.",
            code="required",
            expression="Appointment.participant",
            details_code="no-patient",
        )


def _as_patient(reference: Resource) -> str:
    text = str(reference.get("reference", ""))
    return text if "/" in text else f"Patient/{text}"
