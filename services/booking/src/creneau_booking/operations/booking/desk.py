"""The parts that `$hold`, `$book` and `$reschedule` share: access, one transaction, idempotency, the shape of the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from creneau_booking.api.appointments import AppointmentStore
from creneau_booking.api.patients import PatientStore
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.series import Series
from creneau_booking.operations.references import with_literal
from creneau_booking.storage.people.patients import is_born_and_named_as, with_identifiers
from creneau_booking.storage.slots.store import SlotStore
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_booking.storage.visits.known_references import NOTHING, with_known_references, with_time_of_slots
from creneau_shared.clock import shown
from creneau_shared.database.pool import Connection
from creneau_shared.errors import CreneauError, Gone, Issue, NotFound, Unprocessable
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.outcome import operation_outcome
from creneau_shared.fhir.rest.exchange import Answer, http_date
from creneau_shared.fhir.rest.idempotency import remember, remembered
from creneau_shared.fhir.rest.operation import OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.rest.reading import read_current, require_still_visible
from creneau_shared.fhir.rest.writing import audit_besides, require_compartment, write_context
from creneau_shared.fhir.search.bundle import Entry, Link, outcome_entry, write_bundle
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.fhir.validation import check
from creneau_shared.security.access import Access
from creneau_shared.security.principal import Action


@dataclass(frozen=True)
class Desk:
    """The stores and handlers that the operations on appointments use."""

    store: AppointmentStore
    repository: AppointmentRepository
    handlers: AppointmentHandlers
    series: Series
    slots: SlotStore
    patients: PatientStore


@dataclass(frozen=True)
class Session:
    """One call of an operation, inside its transaction."""

    call: OperationCall
    connection: Connection
    access: Access
    context: WriteContext
    desk: Desk

    async def locked(self, id_: str) -> Stored:
        """Returns the appointment, locked, if the caller may see and change it."""
        access = self.call.request.access("Appointment", "u")
        return await read_current(self.connection, self.desk.store, access, id_, lock=True)

    async def seen(self, id_: str) -> Stored | None:
        """Returns the appointment, not locked; None if there is none with this id, or the caller may not see it."""
        try:
            return await read_current(self.connection, self.desk.store, self.access, id_)
        except (NotFound, Gone):
            return None

    async def registered(self, patient: Resource) -> Resource:
        """Returns a reference to the Patient that the call brings as a resource: the one that the caller may see with that
        id or identifier, else a new one. Raises Unprocessable if a person's own account brings a Patient that is not one
        of its own: it registers first (POST Patient)."""
        id_ = patient.get("id")
        if isinstance(id_, str):
            access = self.call.request.access("Patient", "r")
            try:
                await read_current(self.connection, self.desk.patients, access, id_)
                return {"reference": f"Patient/{id_}"}
            except (NotFound, Gone):
                pass
        known = await self._known(patient)
        if known is not None:
            return {"reference": f"Patient/{known}"}
        if self.access.by_patient:
            raise Unprocessable(
                "Inscrivez d'abord cette personne (POST Patient), puis donnez sa référence (patient-reference).",
                "Register that person first (POST Patient), then give a reference (patient-reference).",
                expression=parameter_named("patient-resource"),
                details_code="unknown-patient",
            )
        check(patient, "Patient")
        context = write_context(self.call.request, self.call.request.access("Patient", "c"))
        stored = await self.desk.patients.create(self.connection, context, patient)
        await self.call.service.audit(self.connection, self.call.request, "C", stored)
        return {"reference": f"Patient/{stored.id}"}

    async def _known(self, patient: Resource) -> str | None:
        """Returns the id of the only visible Patient who matches: for a person's own account by name and birth, else by
        identifier."""
        access = self.call.request.access("Patient", "r")
        if access.patient_ids is not None:
            found = sorted(access.patient_ids)
        else:
            found = await with_identifiers(self.connection, patient.get("identifier", ()))
        same = []
        for id_ in found:
            try:
                stored = await read_current(self.connection, self.desk.patients, access, id_)
            except (NotFound, Gone):
                continue
            if not access.by_patient or is_born_and_named_as(patient, loads(stored.content or b"{}")):
                same.append(id_)
        return same[0] if len(same) == 1 else None

    async def understood(self, appointment: Resource, before: Resource = NOTHING) -> Resource:
        """Returns an Appointment as the handlers take it: with the time of its slots, valid R4, its slots and people found
        here. `before`: the stored version that it follows."""
        whole = checked(await with_time_of_slots(self.connection, appointment))
        base_url = self.desk.repository.base_url
        return await with_known_references(self.connection, self.context, whole, base_url, before=before)

    def own_patients(self, named: list[Resource]) -> list[Resource]:
        """Returns the patients whom the call names, else the account's Patient if the account has exactly one."""
        own = self.access.patient_ids or frozenset()
        return named or [{"reference": f"Patient/{id_}"} for id_ in own if len(own) == 1]

    def require_own(self, resource: Resource) -> None:
        """Refuses a patient who books for somebody whom they do not represent."""
        require_compartment(self.access, self.desk.store, resource, self.call.request)


Work = Callable[[Session, OperationInput], Awaitable[Answer]]


async def in_transaction(
    call: OperationCall, desk: Desk, action: Action, given: OperationInput, work: Work
) -> Answer:
    """Runs `work` in one transaction, once for each Idempotency-Key, on the input with literal references (`with_literal`).
    Puts refusals of the rules into words. Raises Unprocessable if a text is one that no write may have."""
    request, service = call.request, call.service
    access = request.access("Appointment", action)
    key = request.headers.get("idempotency-key")
    said = request.resource() if request.body.strip() or request.parsed is not None else {}
    service.bounds.check_texts(said)
    with service.in_words():
        async with service.transaction() as connection:
            if key is not None:
                earlier = await remembered(connection, request, key, said)
                if earlier is not None:
                    await require_still_visible(connection, desk.store, access, earlier)
                    await service.audit_replay(connection, request, "Appointment", earlier)
                    return earlier
            session = Session(call, connection, access, write_context(request, access), desk)
            answer = await work(session, await with_literal(connection, request, given))
            if key is not None:
                await remember(connection, request, key, said, answer)
            return answer


def checked(resource: Resource) -> Resource:
    """Returns the Appointment if it is valid R4, so that an operation stores nothing that a create would refuse."""
    check(resource, "Appointment")
    return resource


async def answer_with(
    session: Session,
    stored: Stored,
    *,
    created: bool,
    wants_bundle: bool,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Returns 201 (200 if not created) with the Appointment, or 200 with a Bundle of it if `wants_bundle` (guides differ).
    Returns 202 while the practice has still to agree (ISiK)."""
    service = session.call.service
    action = "C" if created else "U"
    await service.audit(session.connection, session.call.request, action, stored)
    await audit_besides(service, session.connection, session.call.request, session.context)
    extra = {**(headers or {}), "Location": service.location(stored)}
    undecided = stored.id in session.context.effects.undecided
    seen = service.as_shown(session.access, stored)
    if undecided:
        until = session.desk.repository.stored_facts(stored).held_until
        assert until is not None
        extra["Expires"] = http_date(until)
    if not wants_bundle:
        return Answer.of(seen, 202 if undecided else 201 if created else 200, **extra)
    entries = [Entry(f"{service.base_url}/Appointment/{stored.id}", seen.content, {"mode": "match"})]
    if "Expires" in extra:
        entries.append(_until_entry(session, stored))
    links = [Link("self", f"{service.base_url}/{'/'.join(session.call.request.path)}")]
    status = 202 if undecided else 200
    return Answer(status, write_bundle("searchset", entries, total=1, links=links), extra)


def _until_entry(session: Session, stored: Stored) -> Entry:
    """Returns an entry that says until when the slot is kept, for readers of the Bundle alone (Argonaut)."""
    until = session.desk.repository.stored_facts(stored).held_until
    assert until is not None
    for_practice = stored.id in session.context.effects.undecided
    fr, en = (
        ("Le cabinet a jusqu'au {} pour répondre.", "The practice has until {} to answer.")
        if for_practice
        else ("Ce créneau vous est gardé jusqu'au {}.", "This slot is kept for you until {}.")
    )
    at = shown(until)
    issue = Issue(
        "informational",
        fr.format(at),
        en.format(at),
        severity="information",
        details_code="kept-until",
        diagnostics=until.isoformat(),
    )
    return outcome_entry(dumps(operation_outcome([issue], session.call.request.language)))


def refused_for_ihe(refusal: CreneauError, call: OperationCall) -> Answer:
    """Returns IHE's refusal: a Bundle that holds only a fatal OperationOutcome (ITI-116 §4.2.2)."""
    issues = [
        Issue(
            "not-found", issue.fr, issue.en, issue.expression, "fatal", issue.details_code, issue.diagnostics
        )
        for issue in refusal.issues
    ]
    outcome = dumps(operation_outcome(issues, call.request.language))
    return Answer(200, write_bundle("searchset", [outcome_entry(outcome)], total=0))
