"""An appointment as the rules see it: no FHIR, no database, no clock of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from creneau_booking.domain.status import AppointmentStatus

EXCLUSIVE_TYPES = ("Practitioner", "Device")
"""Actors that can be in one place only, as can patients and rooms. A PractitionerRole stands for its Practitioner; a
Location that is no room receives many."""
CANCELLATION_REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
"""The system of the codes that say why an appointment does not take place."""


def patient_actor(reference: str, *, hidden: bool) -> str:
    """The name under which a patient's time is taken. Appointments hidden from representatives have a name of their own, so
    that no refusal reveals them."""
    return f"{reference}#hidden" if hidden else reference


OF_PERSONS = ("Patient", "RelatedPerson")
"""those who take part on the patient's side"""
OF_PRACTICES = ("Device", "HealthcareService", "Location", "Practitioner", "PractitionerRole")
"""resources of this base that take part on the practice's side"""


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant: a reference such as `Practitioner/12` (None: described only), and their answer."""

    reference: str | None
    status: str
    description: Mapping[str, object] = field(default_factory=dict)
    """all other elements; beside `required`, rules only compare them"""

    @property
    def type(self) -> str | None:
        return self.reference.split("/", 1)[0] if self.reference else None


Confirmation = Literal["later", "asked"]
"""In an agenda whose practice confirms bookings: `later`, the holder of the appointment still has to ask; `asked`, it waits
for the practice's answer."""

AGREED: Mapping[AppointmentStatus, str] = {"booked": "accepted", "pending": "tentative"}
"""the answer of an agenda's people, by appointment status: whoever publishes a free slot has agreed"""


@dataclass(frozen=True, slots=True)
class CounterProposal:
    """Another time that one participant proposes and the others have not accepted: the AppointmentResponse (id), the
    proposer (a reference), and `[start, end)`."""

    response: str
    by: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Cancellation:
    """When an appointment was cancelled, by whom, and what they say to the other side."""

    at: datetime
    by: Literal["patient", "provider", "system"]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """A coding, as events carry it."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The place of an appointment in its series."""

    series: str
    """the id that all appointments of the series share"""
    number: int
    """from 1, in the order of time"""
    origin: str | None
    """id of the first; None: it is the first"""
    template: Mapping[str, object] | None = None
    """the recurrence as the caller sent it"""
    changed: bool = False
    """whether it was moved without the others"""


@dataclass(frozen=True, slots=True)
class Appointment:
    """The facts about one appointment that rules need. `slots` holds Slot ids; instants carry their zone."""

    id: str
    version: int
    status: AppointmentStatus
    start: datetime | None
    end: datetime | None
    slots: tuple[str, ...]
    participants: tuple[Participant, ...]
    service_type: tuple[Code, ...] = ()
    cancelation_reason: str | None = None
    """a code of CANCELLATION_REASONS"""
    visit: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """what it is for, by element (`serviceType` …): codes as `system|code`"""
    hidden: bool = False
    """from those who represent the patient: a minor may see a doctor without their parents' knowledge"""

    double_booking_reason: str | None = None
    """why its patient may have another visit at that time: the decider's text"""

    overbooking_reason: str | None = None
    """why its practice puts it where another visit is: the decider's text"""

    held_until: datetime | None = None
    """until when a pending appointment keeps its time without the practice's agreement"""
    confirmation: Confirmation | None = None
    """the practice's agreement that is still missing; known once the slots are, and kept with the hold"""
    counter: CounterProposal | None = None
    """another time that is proposed"""
    referred: bool = False
    """whether it names the referral on which it is based"""
    cancellation: Cancellation | None = None
    replaces: str | None = None
    """id of the appointment that was cancelled for this one; on the waiting list: that will be"""
    with_gap: bool = False
    """whether the practice allows time between its slots"""
    occurrence: Occurrence | None = None
    """its place in a series"""
    fellows: tuple[str, ...] = ()
    """ids of the appointments of its series that are taken with it"""
    replaced_by: str | None = None
    """id of the appointment for which this one was cancelled"""
    waiting_since: datetime | None = None
    """since when it is on the waiting list; if it is pending, it is an offer from that list"""

    @property
    def patients(self) -> tuple[str, ...]:
        # A list comprehension without the `type` property, for speed: this is called many times for each appointment.
        return tuple([r for p in self.participants if (r := p.reference) and r.startswith("Patient/")])

    @property
    def coming(self) -> tuple[str, ...]:
        """Its patients without those who have declined: whose own time it takes."""
        declined = {p.reference for p in self.participants if p.status == "declined"}
        return tuple(patient for patient in self.patients if patient not in declined)

    @property
    def names_practice(self) -> bool:
        """Whether a participant belongs to the practice (person, role, place, offer or device of this base)."""
        return any(p.type in OF_PRACTICES for p in self.participants)

    @property
    def is_offer(self) -> bool:
        """Whether it is an offer from the waiting list, kept until its hold ends."""
        return self.status == "pending" and self.waiting_since is not None

    @property
    def sequence(self) -> int:
        """iCalendar's SEQUENCE: grows with every change, starts at 0."""
        return self.version - 1

    # -- how it changes --------------------------------------------------------------------------------------

    def held(self, until: datetime | None) -> Appointment:
        """The appointment as pending; participants who have not answered are tentative. `until`: the end of the hold."""
        people = tuple(
            replace(p, status="tentative") if p.status == "needs-action" else p for p in self.participants
        )
        return replace(self, status="pending", participants=people, held_until=until, waiting_since=None)

    def booked(self) -> Appointment:
        """The appointment as booked; all who have not declined have accepted."""
        undecided = ("tentative", "needs-action")
        people = tuple(
            replace(p, status="accepted") if p.status in undecided else p for p in self.participants
        )
        return replace(
            self,
            status="booked",
            participants=people,
            held_until=None,
            confirmation=None,
            waiting_since=None,
        )

    def asked(self, until: datetime) -> Appointment:
        """Pending until the practice answers, no later than `until`: the patient's side has accepted, others are asked."""
        people = tuple(
            replace(p, status="accepted" if p.type in OF_PERSONS else "needs-action")
            if p.status != "declined"
            else p
            for p in self.participants
        )
        return replace(
            self,
            status="pending",
            participants=people,
            held_until=until,
            confirmation="asked",
            waiting_since=None,
        )

    def cancelled(self) -> Appointment:
        return replace(self, status="cancelled", held_until=None, counter=None, waiting_since=None)

    def without_hold(self) -> Appointment:
        """Removes what only the server states: hold, waiting time, counter-proposal, cancellation and successor."""
        return replace(
            self, held_until=None, waiting_since=None, counter=None, cancellation=None, replaced_by=None
        )

    def within(self, start: datetime, end: datetime) -> Appointment:
        """The appointment with this period as its start and end, unless it states both itself."""
        return self if self.start and self.end else replace(self, start=start, end=end)

    def replacing(self, other: str | None) -> Appointment:
        return self if other is None else replace(self, replaces=other)

    def off_pattern(self) -> Appointment:
        """Marks an appointment of a series as moved without the others."""
        if self.occurrence is None:
            return self
        return replace(self, occurrence=replace(self.occurrence, changed=True))

    def answered_by(self, actors: Collection[str], status: str) -> Appointment:
        """With the answer of one participant, who may be named by several references (`actors`)."""
        people = tuple(replace(p, status=status) if p.reference in actors else p for p in self.participants)
        return replace(self, participants=people)

    def in_other_agendas(self, leaving: Collection[str], joining: Collection[str]) -> Appointment:
        """With changed people of the agenda: removes those who leave and adds those who join. They have accepted if the
        appointment is booked, else they are tentative."""
        status = "accepted" if self.status == "booked" else "tentative"
        staying = tuple(p for p in self.participants if p.reference not in leaving)
        present = {p.reference for p in staying}
        added = tuple(required(actor, status) for actor in sorted(joining) if actor not in present)
        return replace(self, participants=(*staying, *added))

    def with_people(
        self, agenda: Iterable[str], people: Collection[str], before: Appointment | None
    ) -> Appointment:
        """With the agenda's people as required participants, whose answer follows the appointment's status.

        `people` are all whom the appointment may name on the practice's side; the sender's statements about them are
        ignored. A participant of the last version (`before`) stays as there, until they agree; what they had accepted was
        that version's time and purpose, so for another they are asked anew.
        """
        agreed = "needs-action" if self.confirmation == "asked" else AGREED.get(self.status)
        if agreed is None and before is not None and self._asks_for_else(before):
            agreed = "needs-action"
        kept = {p.reference: p for p in before.participants} if before is not None else {}

        def settled(p: Participant) -> Participant:
            if p.reference is None or p.reference not in people:
                return p
            had = kept.get(p.reference)
            if had is None:
                return required(p.reference, agreed or "needs-action")
            return had if had.status == "declined" else replace(had, status=agreed or had.status)

        present = {p.reference for p in self.participants}
        added = [required(actor, agreed or "needs-action") for actor in agenda if actor not in present]
        return replace(self, participants=(*map(settled, self.participants), *added))

    def _asks_for_else(self, before: Appointment) -> bool:
        """Whether the time, the slots or the purpose is another than in `before`."""
        asked = (self.start, self.end, set(self.slots), self.visit)
        return asked != (before.start, before.end, set(before.slots), before.visit)


def required(reference: str, status: str) -> Participant:
    """A required participant."""
    return Participant(reference, status, {"required": "required"})


@dataclass(frozen=True, slots=True)
class SlotFact:
    """The state of a slot at the moment it is locked."""

    id: str
    start: datetime
    end: datetime
    status: str
    schedule: str
    schedule_open: bool
    """whether the agenda is active, and everyone and everything that it names"""
    horizon_start: datetime | None
    horizon_end: datetime | None
    actors: tuple[str, ...]
    """the agenda's actors, as references"""
    exclusive: tuple[str, ...] = ()
    """the actors who can be in one place only: a role stands for its Practitioner, a place counts if it is a room"""
    taken_by: str | None = None
    """id of the appointment that has the slot"""
    displaced: bool = False
    """whether it is not free only because somebody of its agenda is taken elsewhere"""
    capacity: int = 1
    """how many patients have room in it"""
    places: int | None = None
    """how many places are left, once somebody has one of several"""
    parts: bool | None = None
    """whether patients may take parts of it; None: yes if it is too long to be one visit (`rules.VISIT_MAX`)"""
    adjacent_max: int | None = None
    """how many slots of its agenda a patient's visit may have; None: the agenda does not say"""
    visibility: frozenset[str] = frozenset()
    """TRE_R314 codes (PUBLIC, PRO, SNP, CPTS); empty: open to all"""
    owners: frozenset[str] = frozenset()
    """ids of the organisations whose agenda it is"""
    confirmed_by_practice: bool = False
    """whether its practice agrees to each booking of a patient"""
    known_only: bool = False
    """whether it is for patients whom the practice knows"""
    offers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """what it is for, by element, as in `Appointment.visit`; an element without value is missing"""
    fresh_until: datetime | None = None
    """until when the last synchronisation of its agenda is valid; None: always"""

    @property
    def is_group(self) -> bool:
        """Whether places in it are taken one by one. An appointment that took it when its capacity was 1 keeps it alone."""
        return self.places is not None or (self.capacity > 1 and self.taken_by is None)

    @property
    def places_left(self) -> int:
        return self.capacity if self.places is None else self.places

    @property
    def specialties(self) -> frozenset[str]:
        return self.offers.get("specialty", frozenset())
