"""An appointment as the rules see it: no FHIR, no database, no clock of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from creneau_booking.domain.status import AppointmentStatus

EXCLUSIVE_TYPES = ("Practitioner", "Device")
"""Actors that can be in one place only, beside patients and rooms. A PractitionerRole stands for its Practitioner; a
Location that is no room receives many."""
CANCELLATION_REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
"""The system of the codes that say why an appointment does not take place."""


def patient_actor(reference: str, *, hidden: bool) -> str:
    """A patient as somebody who is in one place only. What is hidden from their representatives is held apart, so that
    no refusal tells these of it."""
    return f"{reference}#hidden" if hidden else reference


OF_PERSONS = ("Patient", "RelatedPerson")
"""those who take part on the patient's side"""
OF_PRACTICES = ("Device", "HealthcareService", "Location", "Practitioner", "PractitionerRole")
"""those of this base who take part on the practice's side"""


@dataclass(frozen=True, slots=True)
class Participant:
    """Who takes part: a reference such as `Practitioner/12` (None: described only), and their answer."""

    reference: str | None
    status: str
    description: Mapping[str, object] = field(default_factory=dict)
    """all else that is said of them, which no rule reads but whether it is the same"""

    @property
    def type(self) -> str | None:
        return self.reference.split("/", 1)[0] if self.reference else None


Confirmation = Literal["later", "asked"]
"""Of an appointment in an agenda whose practice confirms: `later`, whoever holds it will have to ask; `asked`, it waits for
the practice's answer."""

AGREED: Mapping[AppointmentStatus, str] = {"booked": "accepted", "pending": "tentative"}
"""the answer of an agenda's people, by the status of the appointment: who publishes a free slot has agreed"""


@dataclass(frozen=True, slots=True)
class CounterProposal:
    """Another time that one participant proposes and the others have not accepted: the answer (id of the
    AppointmentResponse), whose it is (a reference), and `[start, end)`."""

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
    """Which one of a series an appointment is."""

    series: str
    """what all of them bear"""
    number: int
    """from 1, in the order of time"""
    origin: str | None
    """id of the first; None: it is the first"""
    template: Mapping[str, object] | None = None
    """how the others follow from the first, as it was said"""
    changed: bool = False
    """whether it was moved by itself"""


@dataclass(frozen=True, slots=True)
class Appointment:
    """What the rules need of one appointment. `slots` holds Slot ids; instants carry their zone."""

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
    """why its patient may have another visit at that time, in the words of whoever decided it"""

    overbooking_reason: str | None = None
    """why its practice puts it where somebody has a visit already, in the words of whoever decided it"""

    held_until: datetime | None = None
    """until when a pending appointment keeps its time without the practice's agreement"""
    confirmation: Confirmation | None = None
    """what its practice has to say yet; known once its slots are, and kept with its hold"""
    counter: CounterProposal | None = None
    """another time that is proposed"""
    referred: bool = False
    """whether it says on which referral it is based"""
    cancellation: Cancellation | None = None
    replaces: str | None = None
    """id of the one that was cancelled for it; of one that waits: that will be"""
    with_gap: bool = False
    """whether its practice has it with time between its slots"""
    occurrence: Occurrence | None = None
    """which one of a series it is"""
    fellows: tuple[str, ...] = ()
    """ids of those of its series that are taken with it"""
    replaced_by: str | None = None
    """id of the one for which it was cancelled"""
    waiting_since: datetime | None = None
    """since when it stands on the waiting list; of a pending one: from which it comes, so that it is an offer"""

    @property
    def patients(self) -> tuple[str, ...]:
        # A list, and no property within it: it is asked for many times of each.
        return tuple([r for p in self.participants if (r := p.reference) and r.startswith("Patient/")])

    @property
    def names_practice(self) -> bool:
        """Whether a participant stands for the practice (person, role, place, offer or device of this base), not only for
        the patient."""
        return any(p.type in OF_PRACTICES for p in self.participants)

    @property
    def is_offer(self) -> bool:
        """Whether it is what the waiting list offers, until its hold ends."""
        return self.status == "pending" and self.waiting_since is not None

    @property
    def sequence(self) -> int:
        """iCalendar's SEQUENCE: grows with every change, starts at 0."""
        return self.version - 1

    # -- what becomes of it ----------------------------------------------------------------------------------

    def held(self, until: datetime | None) -> Appointment:
        """Pending, those who have not answered tentative; `until`: the end of the hold."""
        people = tuple(
            replace(p, status="tentative") if p.status == "needs-action" else p for p in self.participants
        )
        return replace(self, status="pending", participants=people, held_until=until, waiting_since=None)

    def booked(self) -> Appointment:
        """Booked, everyone whom it takes having accepted."""
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
        """Pending until the practice answers, no later than `until`: the person has accepted, everybody else is asked."""
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
        """Only the server says how long a hold lasts, since when somebody waits, what is proposed, and who cancelled."""
        return replace(
            self, held_until=None, waiting_since=None, counter=None, cancellation=None, replaced_by=None
        )

    def within(self, start: datetime, end: datetime) -> Appointment:
        """The appointment with the period that it took as its times, unless it states both itself."""
        return self if self.start and self.end else replace(self, start=start, end=end)

    def replacing(self, other: str | None) -> Appointment:
        return self if other is None else replace(self, replaces=other)

    def off_pattern(self) -> Appointment:
        """Moved by itself, where it is one of a series."""
        if self.occurrence is None:
            return self
        return replace(self, occurrence=replace(self.occurrence, changed=True))

    def answered_by(self, actors: Collection[str], status: str) -> Appointment:
        """With the answer of one participant, however they are named."""
        people = tuple(replace(p, status=status) if p.reference in actors else p for p in self.participants)
        return replace(self, participants=people)

    def in_other_agendas(self, leaving: Collection[str], joining: Collection[str]) -> Appointment:
        """With other people of the agenda: those who leave are out, those who join have accepted, or are tentative as
        long as the appointment itself is."""
        status = "accepted" if self.status == "booked" else "tentative"
        staying = tuple(p for p in self.participants if p.reference not in leaving)
        present = {p.reference for p in staying}
        added = tuple(required(actor, status) for actor in sorted(joining) if actor not in present)
        return replace(self, participants=(*staying, *added))

    def with_people(
        self, agenda: Iterable[str], people: Collection[str], before: Appointment | None
    ) -> Appointment:
        """With the agenda's people as the agenda has them: required, and agreed as far as it goes.

        `people` are all whom the appointment may name beside persons; what its sender says of them is left aside. Whom
        its last version (`before`) has already stays as it is there, until they agree.
        """
        agreed = "needs-action" if self.confirmation == "asked" else AGREED.get(self.status)
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


def required(reference: str, status: str) -> Participant:
    """Somebody without whom there is no visit."""
    return Participant(reference, status, {"required": "required"})


@dataclass(frozen=True, slots=True)
class SlotFact:
    """What is known of a slot at the moment it is locked."""

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
    """those of them who can be in one place only: a role stands for its Practitioner, a place counts if it is a room"""
    taken_by: str | None = None
    """id of the appointment that has it"""
    displaced: bool = False
    """whether it would be free, were nobody of its agenda taken elsewhere"""
    capacity: int = 1
    """how many patients have a place in it"""
    places: int | None = None
    """of those, how many are left, once somebody has one of several"""
    parts: bool | None = None
    """whether its agenda gives parts of it to patients; None: if it is so long that it is no one visit"""
    adjacent_max: int | None = None
    """how many slots of its agenda a patient's visit may have; None: it does not say"""
    visibility: frozenset[str] = frozenset()
    """TRE_R314 codes (PUBLIC, PRO, SNP, CPTS); empty: open to all"""
    owners: frozenset[str] = frozenset()
    """ids of the organisations whose agenda it is"""
    confirmed_by_practice: bool = False
    """whether its practice agrees to each booking of a patient"""
    known_only: bool = False
    """whether it is for patients whom the practice knows"""
    offers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """what it is for, by element, as in `Appointment.visit`; an element that it does not have is missing"""
    fresh_until: datetime | None = None
    """until when what its agenda's software has said is to be believed; None: for good"""

    @property
    def is_group(self) -> bool:
        """Whether it is taken place by place. Who took it when it had one has it alone until they give it back."""
        return self.places is not None or (self.capacity > 1 and self.taken_by is None)

    @property
    def places_left(self) -> int:
        return self.capacity if self.places is None else self.places

    @property
    def specialties(self) -> frozenset[str]:
        return self.offers.get("specialty", frozenset())
