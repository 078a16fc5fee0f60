"""`Appointment/$book`: book a held, proposed or new appointment; change or cancel one (IHE ITI-117, Argonaut, ISiK).

Several appointments, or one with a recurrenceTemplate, are booked as a series: all of them or none; a refusal names the one
that failed. With `cancelled-appt-id`, one transaction takes the new appointment and cancels the old one, or does neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.changes import is_moved, require_transition
from creneau_booking.domain.patient_elements import HIDDEN_FROM_PROXIES
from creneau_booking.domain.transitions import BOOKABLE
from creneau_booking.handlers.manner import Manner
from creneau_booking.handlers.series import BY_TEMPLATE, Taken
from creneau_booking.operations.booking.desk import (
    Desk,
    Session,
    answer_with,
    checked,
)
from creneau_booking.operations.booking.place import placed, references_to, slots_at
from creneau_booking.operations.booking.series import (
    answer_with_series,
    begun_series,
    scope_in,
    sent_series,
    take_series,
)
from creneau_booking.operations.booking.subject import (
    BARE,
    Subject,
    is_proposal,
    new_resource,
    patients_of,
    require_a_patient,
    subject_of,
    take_in_transaction,
    with_contained_slots,
    with_patients,
)
from creneau_booking.operations.definitions import returned_visits
from creneau_booking.operations.references import id_of
from creneau_booking.storage.mapping.appointment import said
from creneau_booking.storage.mapping.series import template_of, with_template, without_series
from creneau_booking.storage.people.named_people import with_known_people
from creneau_shared.errors import BadRequest, Unprocessable
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.storage.store import Resource, Stored
from creneau_shared.ids import new_id

DEFINITION = operation_definition(
    "book",
    "Book an appointment",
    "Books an appointment that is held, proposed or sent; cancels the one that it replaces.",
    [
        parameter("appointment-reference", "Reference", maximum="*"),
        parameter("appt-id", "uri", maximum="*"),
        parameter("appt-resource", "Resource", maximum="*"),
        parameter("appointment-resource", "Appointment", maximum="*"),
        parameter("appointment", "Appointment", maximum="*"),
        parameter("scope", "code"),
        parameter("schedule", "Reference", maximum="*"),
        parameter("cancelled-appt-id", "uri"),
        parameter("patient-id", "uri", maximum="*"),
        parameter("patient-reference", "Reference", maximum="*"),
        parameter("patient-resource", "Patient", maximum="*"),
        parameter("comment", "string"),
        returned_visits(),
    ],
    affects_state=True,
    resources=["Appointment"],
    instance=True,
    base="http://profiles.ihe.net/ITI/Scheduling/OperationDefinition/appointment-book",
)


class BookOperation:
    """`$book` on the type and on an instance."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle, keyed=True, creates=True)

    async def handle(self, call: OperationCall) -> Answer:
        given = OperationInput.of(
            call, bare=BARE, also=("slot", "start", "end"), read_as=with_contained_slots
        )
        return await take_in_transaction(call, self._desk, given, self._book)

    async def _book(self, session: Session, given: OperationInput) -> Answer:
        series = sent_series(given) if session.call.id is None else None
        if series is not None and not await self._is_stored(session, series):
            patients = await patients_of(session, given)
            first_id = new_id()
            hidden = any(_is_labelled(one.resource) for one, _ in series)
            await self._wait_for_all(session, given, [subject for subject, _ in series], patients)
            replaced = await self._cancel_replaced(session, given, first_id, hidden=hidden)
            return await take_series(
                session,
                self._desk.series,
                series,
                lambda subject: self._new_resource(session, subject, patients, given),
                hold=False,
                replaces=replaced,
                first_id=first_id if replaced is not None else None,
            )
        subject = subject_of(given, session.call.id)
        patients = await patients_of(session, given)
        await self._lock_both(session, subject, given)
        existing, own_id = await self._existing(session, subject), new_id()
        if existing is not None:
            by, hidden = existing.id, self._desk.repository.stored_facts(existing).hidden
        else:
            by, hidden = own_id, _is_labelled(subject.resource)
        await self._wait_for_all(session, given, [subject], patients, existing)
        replaced = await self._cancel_replaced(session, given, by, hidden=hidden)
        if existing is not None and await self._is_held_series(session, existing, subject, given):
            return await self._book_held_series(
                session, existing, subject.resource, patients, given, replaced
            )
        if existing is not None:
            stored = await self._book_existing(session, existing, subject.resource, patients, given, replaced)
            if (begun := begun_series(session, existing, stored)) is not None:
                return await answer_with_series(session, begun, created=True)
        else:
            resource = await self._new_resource(session, subject, patients, given)
            session.require_own(resource)
            stored = await self._desk.handlers.create(
                session.connection, session.context, resource, replaces=replaced, own_id=own_id
            )
        return await answer_with(session, stored, created=existing is None, wants_bundle=subject.wants_bundle)

    async def _is_stored(self, session: Session, series: list[tuple[Subject, str]]) -> bool:
        """Whether a series is sent as what is stored: by a template, in the Appointment that asks for it, or in one of the held
        series at its own time."""
        sent, where = series[0][0].resource or {}, series[0][1]
        if where != BY_TEMPLATE or not isinstance(sent.get("id"), str):
            return False
        stored = await session.seen(sent["id"])
        if stored is None:
            return False
        begun = self._desk.repository.series_begun(stored, {**sent, "status": "booked"})
        return begun is not None or await self._is_of_held_series(session, stored, sent)

    async def _is_held_series(
        self, session: Session, existing: Stored, subject: Subject, given: OperationInput
    ) -> bool:
        """Whether the call confirms a whole held series: it names one of its appointments, or sends it as it is held, and
        `scope` is not `this`."""
        return scope_in(given) != "this" and await self._is_of_held_series(
            session, existing, subject.resource
        )

    async def _is_of_held_series(self, session: Session, stored: Stored, sent: Resource | None) -> bool:
        """Whether this appointment of a series is held, and is booked in it and at its time if it is `sent`."""
        repository = self._desk.repository
        held = repository.stored_facts(stored)
        if held.occurrence is None or held.status != "pending":
            return False
        if sent is None:
            return True
        if template_of(sent) not in (None, held.occurrence.template):
            return False
        wanted = repository.next(stored, await session.understood(sent, repository.resource(stored)))
        return wanted.status in BOOKABLE and not is_moved(held, wanted)

    async def _book_held_series(
        self,
        session: Session,
        held: Stored,
        sent: Resource | None,
        patients: list[Resource],
        given: OperationInput,
        replaced: str | None,
    ) -> Answer:
        """Books the whole series of which `held` is one; only who sends it as `booked` changes what it says."""
        stored = self._desk.repository.resource(held)
        meant = {**sent, "id": held.id} if sent is not None and sent["status"] == "booked" else stored
        resource = _commented(with_patients(meant, patients), given)
        resource = await session.understood({**resource, "status": "booked"}, stored)
        require_a_patient(resource)
        session.require_own(resource)
        booked = await self._desk.series.confirm(
            session.connection, session.context, held, resource, Manner(book=True, replaces=replaced)
        )
        return await answer_with_series(session, Taken(tuple(booked)), created=False)

    async def _lock_both(self, session: Session, subject: Subject, given: OperationInput) -> None:
        """Locks the appointment to book and the one that it replaces together, before either is read."""
        booked, cancelled = subject.id or (subject.resource or {}).get("id"), _replaced(given)
        if cancelled and isinstance(booked, str):
            await self._desk.repository.lock_all(session.connection, [booked, cancelled])

    async def _existing(self, session: Session, subject: Subject) -> Stored | None:
        """Returns the stored appointment that the call is about, locked; None for a proposal or a new resource.

        A resource whose id is not in use is new (ISiK sends such ids), and gets an id of ours. An id that the caller
        may not see is treated alike, so that nobody learns whether it is in use.
        """
        if subject.id is not None:
            return None if is_proposal(subject.id) else await session.locked(subject.id)
        id_ = (subject.resource or {}).get("id")
        if not isinstance(id_, str) or await session.seen(id_) is None:
            return None
        return await session.locked(id_)

    async def _book_existing(
        self,
        session: Session,
        current: Stored,
        sent: Resource | None,
        patients: list[Resource],
        given: OperationInput,
        replaced: str | None,
    ) -> Stored:
        """Confirms a held appointment, or makes the change that the sent resource asks for (IHE: modify, cancel). An
        appointment that is already as asked stays as it is."""
        repository = self._desk.repository
        stored, before = repository.resource(current), repository.stored_facts(current)
        if sent is not None:
            sent = await session.understood(sent, stored)
        if sent is None or sent["status"] in ("proposed", "pending"):
            resource = with_patients(stored, patients)
            template = template_of(sent or {})
            if template is not None and before.occurrence is None:
                resource = with_template(without_series(resource), template)
            require_transition(before.status, "booked", by_patient=session.context.by_patient)
            resource = await self._at_another_time(session, _commented(resource, given), sent, before, given)
            resource = {**resource, "status": "booked"}
        else:
            resource = {**sent, "id": current.id}
            if sent["status"] != "cancelled":
                resource = await self._in_agenda(session, resource, given)
        resource = await session.understood(resource, stored)
        if resource["status"] != "cancelled":
            require_a_patient(resource)
        session.require_own(resource)
        if replaced in (None, before.replaces) and _meant(resource) == _meant(stored):
            return current
        move = resource["status"] != "cancelled"
        return await self._desk.handlers.change(
            session.connection,
            session.context,
            current,
            resource,
            Manner(move=move, book=True, replaces=replaced, by_itself=scope_in(given) == "this"),
        )

    async def _at_another_time(
        self,
        session: Session,
        stored: Resource,
        sent: Resource | None,
        before: Appointment,
        given: OperationInput,
    ) -> Resource:
        """Returns the stored resource in the slots and at the time of the sent one (ISiK: an update in place)."""
        if sent is None:
            return stored
        wanted = self._desk.repository.facts(sent)
        to_slots = bool(wanted.slots) and set(wanted.slots) != set(before.slots)
        to_time = wanted.start is not None and (wanted.start, wanted.end) != (before.start, before.end)
        if not to_slots and not to_time and not given.references("schedule"):
            return stored
        return await placed(session, given, stored, before, sent) or stored

    async def _new_resource(
        self, session: Session, subject: Subject, patients: list[Resource], given: OperationInput
    ) -> Resource:
        resource = await new_resource(session, self._desk.slots, subject, patients)
        resource = checked(_commented(resource, given))
        if resource["status"] not in BOOKABLE:
            raise Unprocessable(
                f"Un nouveau rendez-vous « {resource['status']} » ne peut pas être pris.",
                f"A new appointment that is “{resource['status']}” cannot be booked.",
                expression="Appointment.status",
                details_code="illegal-transition",
                diagnostics=f"from {resource['status']} to booked",
            )
        resource = await with_known_people(
            session.connection, session.context, resource, self._desk.repository.base_url
        )
        require_a_patient(resource)
        resource = await self._in_agenda(session, resource, given)
        if not resource.get("slot"):
            raise BadRequest(
                "Indiquez le créneau (Appointment.slot), ou l'agenda (schedule) avec un début et une fin.",
                "Give the slot (Appointment.slot), or the agenda (schedule) with a start and an end.",
                code="required",
                expression="Appointment.slot",
            )
        return said(self._desk.repository.facts(resource).booked(), resource)

    async def _in_agenda(self, session: Session, resource: Resource, given: OperationInput) -> Resource:
        """Adds the slots of the named agendas that make up the period to an Appointment that names none (ISiK)."""
        wanted = self._desk.repository.facts(resource)
        if resource.get("slot") or not given.references("schedule") or not (wanted.start and wanted.end):
            return resource
        slots = await slots_at(session, given, (wanted.start, wanted.end), wanted=wanted.visit)
        return {**resource, "slot": references_to(slots)}

    async def _wait_for_all(
        self,
        session: Session,
        given: OperationInput,
        subjects: Sequence[Subject],
        patients: list[Resource],
        existing: Stored | None = None,
    ) -> None:
        """Waits at once for everybody whose time the visit to be cancelled gives back and the ones to be booked take: two calls
        that swap visits between two agendas would wait for each other."""
        id_ = _replaced(given)
        if not id_:
            return
        repository, wanted = self._desk.repository, list[Resource]()
        for subject in subjects:
            if existing is None:
                new = await self._new_resource(session, _without_recurrence(subject), patients, given)
                wanted.append(await session.understood(new))
            elif subject.resource is not None:
                sent = await session.understood(subject.resource, repository.resource(existing))
                wanted.append(await self._in_agenda(session, sent, given))
        stored = [await session.locked(id_), *([existing] if existing is not None else [])]
        await self._desk.series.lock(
            session.connection,
            session.context,
            [repository.facts(resource) for resource in wanted],
            [repository.stored_facts(one) for one in stored],
        )

    async def _cancel_replaced(
        self, session: Session, given: OperationInput, by: str, *, hidden: bool
    ) -> str | None:
        """Cancels the appointment that `by` (an id) replaces; returns its id. It names `by`, unless that is `hidden` from
        somebody who sees it."""
        id_ = _replaced(given)
        if not id_:
            return None
        current = await session.locked(id_)
        resource = self._desk.repository.resource(current)
        if resource["status"] == "cancelled":
            return id_
        resource["status"] = "cancelled"
        told = not hidden or self._desk.repository.stored_facts(current).hidden
        stored = await self._desk.handlers.change(
            session.connection,
            session.context,
            current,
            resource,
            Manner(replaced_by=by if told else None),
        )
        await session.call.service.audit(session.connection, session.call.request, "U", stored)
        return stored.id


def _without_recurrence(subject: Subject) -> Subject:
    """The first appointment of a series that is sent by its template; another subject as it is."""
    if subject.resource is None:
        return subject
    return replace(subject, resource=without_series(subject.resource))


def _is_labelled(sent: Resource | None) -> bool:
    """Whether an Appointment as sent, not validated yet, is labelled as hidden from proxies."""
    meta = (sent or {}).get("meta")
    labels = meta.get("security") if isinstance(meta, dict) else None
    return isinstance(labels, list) and any(
        isinstance(label, dict) and (label.get("system"), label.get("code")) == HIDDEN_FROM_PROXIES
        for label in labels
    )


def _replaced(given: OperationInput) -> str | None:
    """Returns the id of the appointment to cancel (`cancelled-appt-id`), or None."""
    return next((id_of(reference) for reference in given.references("cancelled-appt-id")), None)


def _meant(resource: Resource) -> Resource:
    """Returns a version without what the server writes in each (`versionId`, `lastUpdated`)."""
    meta = {n: v for n, v in resource.get("meta", {}).items() if n not in ("versionId", "lastUpdated")}
    return {**resource, "meta": meta}


def _commented(resource: Resource, given: OperationInput) -> Resource:
    comment = given.first("comment")
    return {**resource, "comment": comment} if isinstance(comment, str) and comment else resource
