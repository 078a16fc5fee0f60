"""Who may take part in an appointment on whose word: a patient's gives rights over nobody but the patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from creneau_booking.domain.appointment import Appointment, Participant, SlotFact
from creneau_booking.domain.refusals.participants import (
    ActorsNotTheirs,
    AnswerForOthers,
    NoActorOfTheirs,
    NobodyComes,
    NotOffered,
    NotOnePatient,
    ParticipantsNotTheirs,
    ParticipantsTouched,
    PatientNotTheirs,
    UnknownActors,
)
from creneau_booking.domain.status import claims

SAID_BY_SLOT = ("serviceCategory", "serviceType", "specialty", "appointmentType")
"""What an appointment in a slot is for, where the slot says it: same elements, same meaning."""


def require_one_own_patient(appointment: Appointment, own: Collection[str]) -> str:
    """The one Patient (reference) whom a patient's appointment is for.

    Refused when it is for none or several, and when it is for somebody for whom the caller does not act.
    Whatever its status: what lies in somebody's list is in their compartment.
    """
    patients = set(appointment.patients)
    if len(patients) != 1:
        raise NotOnePatient()
    [patient] = patients
    if patient.removeprefix("Patient/") not in own:
        raise PatientNotTheirs(
            tuple(
                index
                for index, participant in enumerate(appointment.participants)
                if participant.reference == patient
            )
        )
    return patient


def require_somebody_comes(before: Appointment | None, after: Appointment) -> None:
    """Refused when a visit takes time for patients of whom none comes: whoever has declined takes none of their own, so that
    they could be given two visits at one time."""
    was_so = before is not None and claims(before.status) and _is_declined(before)
    if claims(after.status) and _is_declined(after) and not was_so:
        raise NobodyComes()


def _is_declined(appointment: Appointment) -> bool:
    patients = [p.status for p in appointment.participants if p.type == "Patient"]
    return bool(patients) and all(status == "declined" for status in patients)


def strangers(appointment: Appointment, allowed: Collection[str | None]) -> tuple[int, ...]:
    """Which participants (by index) are none of the allowed references; those without a reference among them."""
    return tuple(
        index
        for index, participant in enumerate(appointment.participants)
        if participant.reference not in allowed
    )


def named_at(appointment: Appointment, indexes: Sequence[int], kind: str) -> tuple[str, ...]:
    """The references of one type among these participants."""
    found = (appointment.participants[index].reference for index in indexes)
    return tuple(reference for reference in found if reference and reference.startswith(f"{kind}/"))


def require_only_agendas_people(
    appointment: Appointment, taken: Sequence[str], by_agendas: Sequence[str], roles: Mapping[str, str]
) -> None:
    """Refused when an appointment that a patient makes or moves would take people beside its agendas'.

    `taken` are the people and devices that it takes, `by_agendas` those that its agendas bring themselves.
    """
    beside = set(taken) - set(by_agendas)
    if beside:
        raise ParticipantsNotTheirs(
            tuple(
                index
                for index, participant in enumerate(appointment.participants)
                if roles.get(participant.reference or "", participant.reference) in beside
            )
        )


def require_said_by_slots(appointment: Appointment, slots: Sequence[SlotFact]) -> None:
    """Refused when a patient's appointment is for something that its slots do not offer; their silence is no limit."""
    for element in SAID_BY_SLOT:
        offered = [slot.offers[element] for slot in slots if slot.offers.get(element)]
        said = appointment.visit.get(element, frozenset())
        if said and offered and not said <= frozenset().union(*offered):
            raise NotOffered(element)


def require_others_untouched(
    before: Sequence[Participant],
    after: Sequence[Participant],
    own: Collection[str],
    *,
    may_join: Collection[str] = (),
) -> None:
    """Refused when a patient changes more of the participants than the answers of their own.

    `own`: the references whose `status` they may change; `may_join`: those who may come and go as well.
    """
    kept = Counter(_said(one, own) for one in before if one.reference not in may_join)
    touched = []
    for index, one in enumerate(after):
        if one.reference in may_join:
            continue
        said = _said(one, own)
        if kept[said]:
            kept[said] -= 1
        else:
            touched.append(index)
    if touched or +kept:
        raise ParticipantsTouched(tuple(touched))


def _said(participant: Participant, own: Collection[str]) -> str:
    said = {**participant.description, "status": participant.status}
    if participant.reference in own:
        del said["status"]
    return repr(_ordered(said))


def _ordered(value: object) -> object:
    """JSON in one order of names, so that equal values have equal texts."""
    if isinstance(value, Mapping):
        return sorted((name, _ordered(part)) for name, part in value.items())
    return [_ordered(part) for part in value] if isinstance(value, list) else value


def require_actors_known(appointment: Appointment, unknown: Collection[str]) -> None:
    """UnknownActors when software of a practice names actors whom nobody knows here."""
    if unknown:
        raise UnknownActors(tuple(sorted(unknown)), _named(appointment, unknown))


def require_actors_theirs(appointment: Appointment, foreign: Collection[str]) -> None:
    """ActorsNotTheirs when software of a practice would take actors of another."""
    if foreign:
        raise ActorsNotTheirs(tuple(sorted(foreign)), _named(appointment, foreign))


def _named(appointment: Appointment, actors: Collection[str]) -> tuple[int, ...]:
    """Which participants (by index) name one of the actors."""
    return tuple(
        index for index, participant in enumerate(appointment.participants) if participant.reference in actors
    )


def require_one_of_theirs(actors: Collection[str]) -> None:
    """Refused when software of a practice makes an appointment without a slot that concerns nobody of theirs."""
    if not actors:
        raise NoActorOfTheirs()


def require_answerable(actor: str | None, own: Collection[str]) -> None:
    """Refused when a patient answers for somebody else."""
    if actor not in own:
        raise AnswerForOthers()
