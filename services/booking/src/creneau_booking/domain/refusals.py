"""Every refusal of the rules, as facts. How each is told (status, FHIRPath, French, English): `creneau_booking.words`.

Instants carry their zone, ids are without their type, indexes are those of the appointment's participants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from creneau_shared.refusal import Refusal

Among = Literal["all", "specialty", "agenda"]
"""Which of a patient's appointments to come are counted."""
Actor = Literal["counsellor", "account", "patient"]
"""Whose bookings are counted."""
PatientsNamedIn = Literal["appointment", "answer", "proxy", "provenance"]
"""What names Patients: a visit, an answer to one, who represents them, where something comes from."""
ActorsNamedIn = Literal["appointment", "schedule"]
"""What names the people, offers and places whose time it is."""
RuleFault = Literal[
    "repeated",
    "too-long",
    "days",
    "unknown-part",
    "no-ages",
    "too-old",
    "ages-turned",
    "count",
    "yes-or-no",
    "unit",
    "number",
    "boolean",
    "instant",
]
"""Why a practice's rule cannot be read."""


# -- the waiting list -------------------------------------------------------------------------------------


@dataclass(eq=False)
class UnreadableWish(Refusal):
    """An extension (its url) of a waiting-list request says what cannot be read."""

    url: str


@dataclass(eq=False)
class ReplacedNotTheirs(Refusal):
    """What a waiting-list request would replace is no booked appointment of the same person."""


@dataclass(eq=False)
class OfferNotMovable(Refusal):
    """An offer of the waiting list is accepted or refused, and neither moved nor put off."""


# -- slots -----------------------------------------------------------------------------------------------


@dataclass(eq=False)
class SlotTaken(Refusal):
    """Somebody else was faster, or is at it: `status` is the slot's."""

    id: str
    start: datetime
    status: str


@dataclass(eq=False)
class GroupFull(Refusal):
    """A slot of several places has not as many left as are wanted."""

    id: str
    start: datetime
    left: int
    wanted: int


@dataclass(eq=False)
class PlaceTaken(Refusal):
    """Somebody (references) has a place in a slot already, by another appointment."""

    id: str
    start: datetime
    persons: tuple[str, ...]


# -- series ----------------------------------------------------------------------------------------------


@dataclass(eq=False)
class OccurrenceRefused(Refusal):
    """One of a series is refused, and with it the whole: the `number` that it would have, of how many, when it would be, and
    where in what was sent it stands (FHIRPath; `itself`: it was sent as a resource of its own)."""

    number: int
    total: int
    start: datetime | None
    where: str
    itself: bool
    refusal: Refusal


@dataclass(eq=False)
class RecurrenceUnread(Refusal):
    """How a series recurs cannot be read, or is of a kind that is not known here: in which of its elements."""

    element: str


@dataclass(eq=False)
class OccurrenceWithoutDay(Refusal):
    """A series by the day of the month comes to a month that has no such day: which occurrence, and which day."""

    number: int
    year: int
    month: int
    day: int


@dataclass(eq=False)
class SeriesTooLong(Refusal):
    """More occurrences than may be booked at once."""

    most: int


@dataclass(eq=False)
class SeriesOffPattern(Refusal):
    """The appointment itself is not on one of the days on which it is to recur."""

    start: datetime


@dataclass(eq=False)
class SeriesWithoutTime(Refusal):
    """Nothing says when the appointment is that is to recur."""


@dataclass(eq=False)
class SeriesBusy(Refusal):
    """Somebody else is changing one of the series at this moment."""


@dataclass(eq=False)
class ScopeUnfit(Refusal):
    """A scope that there is not, or that goes with cancelling and moving only, or with an appointment that is in a series."""

    scope: str
    why: Literal["unknown", "not-a-series", "neither"]


# -- slots that are taken --------------------------------------------------------------------------------


@dataclass(eq=False)
class ActorsTaken(Refusal):
    """People, rooms or devices (references, in order) are taken at that time, perhaps through another agenda."""

    actors: tuple[str, ...]
    start: datetime


@dataclass(eq=False)
class UnknownSlots(Refusal):
    """Slots (ids, in order) that do not exist, or not for whoever names them."""

    ids: tuple[str, ...]


@dataclass(eq=False)
class NoTime(Refusal):
    """Neither a slot, nor a start and an end."""


@dataclass(eq=False)
class AppointmentOrder(Refusal):
    """The end is not after the start."""


@dataclass(eq=False)
class OutOfReach(Refusal):
    """An end (`element`) of a slot or an appointment (`kind`) lies in none of the years `first` … `last`."""

    kind: str
    element: str
    first: int
    last: int


@dataclass(eq=False)
class LastsTooLong(Refusal):
    """A slot or an appointment (`kind`) that lasts longer than so many days."""

    kind: str
    days: int


@dataclass(eq=False)
class OutsideSlots(Refusal):
    """The period `[start, end)` reaches beyond its slots, `[first, last)`."""

    start: datetime
    end: datetime
    first: datetime
    last: datetime


@dataclass(eq=False)
class NoPartOfSlot(Refusal):
    """A slot lies outside the period `[start, end)`."""

    id: str
    start: datetime
    end: datetime


@dataclass(eq=False)
class PartOfSlot(Refusal):
    """A part of a slot that is taken whole, or one that leaves what nobody could use."""

    id: str


@dataclass(eq=False)
class VisitOfTooManySlots(Refusal):
    """A patient's visit is made of more slots of one agenda than it allows."""

    count: int
    most: int


@dataclass(eq=False)
class SlotsNotAdjacent(Refusal):
    """Two slots of one agenda do not follow each other."""

    before: str
    after: str


@dataclass(eq=False)
class SlotsOfTwoKinds(Refusal):
    """Two slots of one agenda are not for the same."""

    one: str
    other: str


@dataclass(eq=False)
class AgendaClosed(Refusal):
    """The agenda (id) is not open for booking any more."""

    schedule: str


@dataclass(eq=False)
class AgendaNotUpToDate(Refusal):
    """The agenda's (id) software has not synchronised it within the time that it states."""

    schedule: str


@dataclass(eq=False)
class TooManySlots(Refusal):
    """More slots are sent at once than `most`."""

    most: int


@dataclass(eq=False)
class SlotOfAnotherAgenda(Refusal):
    """One of the slots that are sent (the `number`th) names another agenda."""

    number: int
    reference: str


@dataclass(eq=False)
class SlotOutsideWindow(Refusal):
    """One of the slots that are sent (the `number`th) does not start within the period of which they are the whole."""

    number: int


@dataclass(eq=False)
class SlotSentTwice(Refusal):
    """Two of the slots that are sent have the same id."""

    id: str


@dataclass(eq=False)
class AgendaWrittenMeanwhile(Refusal):
    """Others kept writing the slots of the agenda (id) while it was synchronised."""

    schedule: str


@dataclass(eq=False)
class NewAgendaBusy(Refusal):
    """A slot goes to an agenda (id) of whose people somebody takes or frees time at this moment."""

    schedule: str


@dataclass(eq=False)
class NoSlot(Refusal):
    """A patient books without a slot."""


@dataclass(eq=False)
class SlotBegun(Refusal):
    """The slot has begun."""

    start: datetime


@dataclass(eq=False)
class OutsideHorizon(Refusal):
    """The slot lies outside the period that its agenda covers."""

    id: str


@dataclass(eq=False)
class VisitsToCome(Refusal):
    """What is to be deleted has `count` appointments to come; `first` is the id of one."""

    resource_type: str
    id: str
    first: str
    count: int


# -- the rehearsal ---------------------------------------------------------------------------------------


@dataclass(eq=False)
class RehearsalApart(Refusal):
    """The rehearsal's agenda for somebody, or its patient elsewhere, or somebody else beside them."""


@dataclass(eq=False)
class RehearsalKept(Refusal):
    """What booking keeps for its rehearsals is nobody's to write."""

    resource_type: str


# -- changes ---------------------------------------------------------------------------------------------


@dataclass(eq=False)
class IllegalTransition(Refusal):
    """The state machine has no such step."""

    before: str
    after: str


@dataclass(eq=False)
class StatusNotTheirs(Refusal):
    """Only the practice gives this status."""

    status: str


@dataclass(eq=False)
class AlreadyEnded(Refusal):
    """What is over (`status`) is amended: these elements."""

    status: str
    elements: tuple[str, ...]


@dataclass(eq=False)
class NotMovable(Refusal):
    """An appointment of this status is not moved."""

    status: str


@dataclass(eq=False)
class MovedByAmending(Refusal):
    """A patient changes when or with whom by an update."""


@dataclass(eq=False)
class OtherPatient(Refusal):
    """The appointment would change its patient."""


@dataclass(eq=False)
class AlreadyStarted(Refusal):
    """A patient cancels or moves what has begun."""


@dataclass(eq=False)
class NotStarted(Refusal):
    """Nobody has missed what has not begun."""


@dataclass(eq=False)
class WaitsForPractice(Refusal):
    """A patient confirms what only the practice confirms."""


@dataclass(eq=False)
class HoldNotTheirs(Refusal):
    """The hold was begun by another account."""


@dataclass(eq=False)
class AnsweredTooLate(Refusal):
    """The practice had until then to answer."""

    until: datetime


@dataclass(eq=False)
class HoldExpired(Refusal):
    """The hold has run out."""


# -- participants ----------------------------------------------------------------------------------------


@dataclass(eq=False)
class NotOnePatient(Refusal):
    """A patient's appointment is for none or several."""


@dataclass(eq=False)
class PatientNotTheirs(Refusal):
    """The caller does not act for the patient, who is named at these indexes."""

    indexes: tuple[int, ...]


@dataclass(eq=False)
class ParticipantsNotTheirs(Refusal):
    """Participants whom a patient's word cannot bring."""

    indexes: tuple[int, ...]


@dataclass(eq=False)
class NotOffered(Refusal):
    """The element says what the slots do not offer."""

    element: str


@dataclass(eq=False)
class ParticipantsTouched(Refusal):
    """A patient changes more of the participants than their own answer: these, or (none) takes some away."""

    indexes: tuple[int, ...]


@dataclass(eq=False)
class UnknownActors(Refusal):
    """Nobody knows these actors (references, in order), named at these indexes or by the slots."""

    actors: tuple[str, ...]
    indexes: tuple[int, ...]


@dataclass(eq=False)
class ActorsNotTheirs(Refusal):
    """Actors (references, in order) of another practice, named at these indexes or by the slots."""

    actors: tuple[str, ...]
    indexes: tuple[int, ...]


@dataclass(eq=False)
class NoActorOfTheirs(Refusal):
    """An appointment without a slot concerns nobody of the practice."""


@dataclass(eq=False)
class AnswerForOthers(Refusal):
    """A patient answers for somebody else."""


@dataclass(eq=False)
class AnswerForAnotherPractice(Refusal):
    """A practice answers for somebody of another."""


@dataclass(eq=False)
class AnsweredAfterEnd(Refusal):
    """What has begun or is over (`status`) is answered."""

    status: str


@dataclass(eq=False)
class AnswerOrder(Refusal):
    """An answer says only one end of a time, or its end is not after its start."""


@dataclass(eq=False)
class AnswerTimes(Refusal):
    """An answer other than a counter-proposal says a time that nobody has proposed."""


@dataclass(eq=False)
class ProposalNotFree(Refusal):
    """What was proposed is accepted, and its time is not to be had."""

    start: datetime


@dataclass(eq=False)
class ElementsNotTheirs(Refusal):
    """Elements (paths within Appointment) that are not, or no longer, the patient's to say."""

    elements: tuple[str, ...]


# -- agendas' rules --------------------------------------------------------------------------------------


@dataclass(eq=False)
class NotOpenYet(Refusal):
    """The agenda opens `days` days ahead: the slot at `opening`."""

    days: int
    start: datetime
    opening: datetime
    zone: tzinfo


@dataclass(eq=False)
class NoticeTooShort(Refusal):
    """The agenda is booked at least `notice` before the slot starts."""

    notice: timedelta
    start: datetime
    zone: tzinfo


@dataclass(eq=False)
class BirthDateUnknown(Refusal):
    """The agenda asks for an age (in months, half-open) and the patient's is not known."""

    from_months: int
    below_months: int | None


@dataclass(eq=False)
class AgeOutsideLimit(Refusal):
    """The patient is not of the age (in months, half-open) that the agenda takes."""

    from_months: int
    below_months: int | None


@dataclass(eq=False)
class ReferralRequired(Refusal):
    """The agenda asks for a referral, and the appointment says none."""


@dataclass(eq=False)
class NotOpenToNewPatients(Refusal):
    """The agenda takes online only whom the practice knows."""


@dataclass(eq=False)
class ChangeTooLate(Refusal):
    """A patient cancels or moves later than `deadline` before the start."""

    deadline: timedelta
    start: datetime
    zone: tzinfo


# -- quotas ----------------------------------------------------------------------------------------------


@dataclass(eq=False)
class TooManyBookings(Refusal):
    """So many bookings and moves within an hour; one more is possible after `wait`."""

    actor: Actor
    number: int
    wait: timedelta


@dataclass(eq=False)
class TooManyHoldsBegun(Refusal):
    """So many holds begun within an hour by an account."""

    number: int
    wait: timedelta


@dataclass(eq=False)
class TooManyCancellations(Refusal):
    """So many cancellations within a day by an account."""

    number: int
    wait: timedelta


@dataclass(eq=False)
class TooManyToCome(Refusal):
    """The patient has `count` appointments to come, of at most `most`."""

    among: Among
    count: int
    most: int


@dataclass(eq=False)
class TooManyRequestsWaiting(Refusal):
    """The patient has so many requests waiting."""

    waiting: int


@dataclass(eq=False)
class TooManyPatients(Refusal):
    """The account has registered as many people as one may."""

    most: int


# -- people ----------------------------------------------------------------------------------------------


@dataclass(eq=False)
class ProxyNotTheirs(Refusal):
    """They do not say who represents the person."""


@dataclass(eq=False)
class AccountOfTheirOwn(Refusal):
    """The person has an account of their own, and decides about it."""


@dataclass(eq=False)
class GuardianAtPractice(Refusal):
    """A protective measure is the practice's to state."""


@dataclass(eq=False)
class MinorOnParents(Refusal):
    """A minor would decide who their parents are."""


@dataclass(eq=False)
class StatedByStaff(Refusal):
    """Elements of a Patient that its account does not state."""

    elements: tuple[str, ...]


@dataclass(eq=False)
class AddressesUnreachable(Refusal):
    """E-mail addresses (indexes of Patient.telecom) at which nothing can arrive."""

    indexes: tuple[int, ...]


@dataclass(eq=False)
class OfficialInsUnverified(Refusal):
    """An INS (index of Patient.identifier) that is called official, of an identity that is stated not to be validated."""

    index: int


@dataclass(eq=False)
class IdentityRegistered(Refusal):
    """The national identity is another Patient's: its id, for whom may see it."""

    holder: str | None


@dataclass(eq=False)
class NoSlotThen(Refusal):
    """The agenda (id) has no slot at that time."""

    schedule: str
    start: datetime


@dataclass(eq=False)
class SlotsUnclear(Refusal):
    """References to slots (index, what is said) that mean none, or more than one."""

    said: tuple[tuple[int, str], ...]


# -- slots as their agenda writes them ----------------------------------------------------------------------


@dataclass(eq=False)
class SlotOrder(Refusal):
    """The end of a slot is not after its start."""


@dataclass(eq=False)
class SlotFraction(Refusal):
    """An instant of a slot (element, what is said) is finer than what is kept."""

    element: str
    said: str


@dataclass(eq=False)
class NoAgendaNamed(Refusal):
    """The slot's reference (perhaps empty) is not to an agenda of this base."""

    reference: str


@dataclass(eq=False)
class UnknownAgenda(Refusal):
    """The slot's agenda (id) does not exist."""

    schedule: str


@dataclass(eq=False)
class SlotMadeMeanwhile(Refusal):
    """Another request has just made a slot of this id."""

    id: str


@dataclass(eq=False)
class SlotClaimed(Refusal):
    """The slot would be moved or removed behind the back of an appointment (id)."""

    id: str
    appointment: str


@dataclass(eq=False)
class BookableUnclear(Refusal):
    """A search asks whether slots are bookable, and not by yes or no."""


@dataclass(eq=False)
class SlotsNotSearchedBy(Refusal):
    """Slots are not looked for by this parameter and modifier."""

    parameter: str
    modifier: str | None


# -- agendas and whose they are -----------------------------------------------------------------------------


@dataclass(eq=False)
class ActorOfOthers(Refusal):
    """The actor (reference) belongs to another practice."""

    actor: str
    named_in: ActorsNamedIn


@dataclass(eq=False)
class ActorOfNobody(Refusal):
    """It is not known to which practice the actor (reference) belongs, or not yet."""

    actor: str
    named_in: ActorsNamedIn


@dataclass(eq=False)
class UnknownZones(Refusal):
    """An agenda states time zones (index of the extension, name) that there are not."""

    zones: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class UnreadRule:
    """One extension (index) that cannot be read as a rule: what is wrong, in which of its elements, and what was said, or
    could be, there."""

    index: int
    fault: RuleFault
    element: str = ""
    detail: str = ""


@dataclass(eq=False)
class RulesUnread(Refusal):
    """A Schedule or an offer states rules that cannot be read."""

    resource_type: str
    rules: tuple[UnreadRule, ...]


# -- who is registered, and what is theirs to say ------------------------------------------------------------


@dataclass(eq=False)
class UnknownPatients(Refusal):
    """Patients (ids, in order) who are not there, or (`to_practice`) not known to the practice that names them."""

    ids: tuple[str, ...]
    named_in: PatientsNamedIn
    to_practice: bool


@dataclass(eq=False)
class PatientsUnclear(Refusal):
    """Participants (index, what is said) who are said to be Patients, and are none of this base."""

    said: tuple[tuple[int, str], ...]


@dataclass(eq=False)
class PatientsUnavailable(Refusal):
    """Patients (ids) for whom nothing can be booked: deleted, inactive or deceased."""

    ids: tuple[str, ...]


@dataclass(eq=False)
class PatientErased(Refusal):
    """The Patient was erased at their own request, in this version."""

    id: str
    version: int


@dataclass(eq=False)
class OtherPerson(Refusal):
    """The id was that of another person."""

    id: str


@dataclass(eq=False)
class BirthDateSettled(Refusal):
    """An account would correct a birth date that a parent's authority ends by."""


@dataclass(eq=False)
class NoPatientNamed(Refusal):
    """A representative is not of a Patient of this base."""


@dataclass(eq=False)
class UnknownProxyScope(Refusal):
    """There is no such thing that a representative may do; what there is."""

    scope: str
    scopes: tuple[str, ...]


@dataclass(eq=False)
class UnknownProxy(Refusal):
    """The representative (id) is not there, to whoever asks."""

    id: str


@dataclass(eq=False)
class ProxyEnded(Refusal):
    """Nobody is invited to represent by a statement that has ended."""


@dataclass(eq=False)
class ProxyOfAnother(Refusal):
    """A representative would become another Patient's."""


@dataclass(eq=False)
class HidingNotTheirs(Refusal):
    """A representative would hide an appointment from the others."""


@dataclass(eq=False)
class HiddenLate(Refusal):
    """An appointment that may have been seen would be hidden."""


@dataclass(eq=False)
class MayOnlyCancel(Refusal):
    """The representative may cancel, and changes something else."""


@dataclass(eq=False)
class MayOnlyAnswer(Refusal):
    """Whoever came by the link of a message accepts or declines, and says something else."""


@dataclass(eq=False)
class AppointmentUnknown(Refusal):
    """The appointment that somebody answers is none that they may see."""


@dataclass(eq=False)
class AppointmentNotSeen(Refusal):
    """The appointment (reference, if any) that an answer is stored for is none that its writer may see."""

    reference: str | None


@dataclass(eq=False)
class UnknownTarget(Refusal):
    """What a Provenance (index of its target) is about does not exist, or not for whoever says it."""

    index: int
    resource_type: str
    id: str


@dataclass(eq=False)
class NotAHold(Refusal):
    """What waits for the practice is no hold, and is not put off."""


@dataclass(eq=False)
class HoldNotExtensible(Refusal):
    """The hold was put off as often as it may be."""

    extensions: int


@dataclass(eq=False)
class TooManyHolds(Refusal):
    """So many slots are held already; each for so long."""

    held: int
    duration: timedelta


def require_no_visits(resource_type: str, id_: str, visits: Sequence[str]) -> None:
    """VisitsToCome when what is to be deleted has appointments (ids) to come, naming the first."""
    if visits:
        raise VisitsToCome(resource_type, id_, visits[0], len(visits))
