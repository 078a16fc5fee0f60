"""Who may take part in an appointment, depending on who writes it: a patient can book nobody but the patient and the
agendas' people."""

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
"""The elements of an appointment that its slots may state too, with the same meaning."""


def require_one_own_patient(appointment: Appointment, own: Collection[str]) -> str:
    """Returns the one Patient (reference) whom a patient's appointment is for.

    Raises NotOnePatient if it is for none or several, PatientNotTheirs if the caller does not act for the patient.
    The status does not matter: every appointment of a patient is in their compartment.
    """
    return _one_own(appointment, set(appointment.patients), own)


def require_nobody_else_comes(appointment: Appointment, own: Collection[str]) -> str:
    """Returns the Patient (reference) whom an appointment is for, or who alone has not declined it. Raises as
    `require_one_own_patient`."""
    coming = set(appointment.coming)
    return _one_own(appointment, coming if len(coming) == 1 else set(appointment.patients), own)


def _one_own(appointment: Appointment, patients: Collection[str], own: Collection[str]) -> str:
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
    """Refuses a visit that takes time though all its patients have declined: a declined patient's own time is not taken, so
    they could have two visits at one time."""
    was_so = before is not None and claims(before.status) and _is_declined(before)
    if claims(after.status) and _is_declined(after) and not was_so:
        raise NobodyComes()


def _is_declined(appointment: Appointment) -> bool:
    patients = [p.status for p in appointment.participants if p.type == "Patient"]
    return bool(patients) and all(status == "declined" for status in patients)


def strangers(appointment: Appointment, allowed: Collection[str | None]) -> tuple[int, ...]:
    """Indexes of participants whose reference is not allowed, or who have none."""
    return tuple(
        index
        for index, participant in enumerate(appointment.participants)
        if participant.reference not in allowed
    )


def named_at(appointment: Appointment, indexes: Sequence[int], kind: str) -> tuple[str, ...]:
    """The references of type `kind` among the participants at these indexes."""
    found = (appointment.participants[index].reference for index in indexes)
    return tuple(reference for reference in found if reference and reference.startswith(f"{kind}/"))


def require_only_agendas_people(
    appointment: Appointment, taken: Sequence[str], by_agendas: Sequence[str], roles: Mapping[str, str]
) -> None:
    """Refuses a patient's new or moved appointment that would take people other than its agendas'.

    `taken` are the people and devices that it takes, `by_agendas` those of its agendas.
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
    """Refuses a patient's appointment for what its slots do not offer. An element that no slot states sets no limit."""
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
    """Refuses a patient's changes to participants, except to the answers of their own.

    `own`: the references whose `status` they may change; `may_join`: the references that they may add and remove.
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
    """Orders the names of JSON objects, so that equal values have equal texts."""
    if isinstance(value, Mapping):
        return sorted((name, _ordered(part)) for name, part in value.items())
    return [_ordered(part) for part in value] if isinstance(value, list) else value


def require_actors_known(appointment: Appointment, unknown: Collection[str]) -> None:
    """Raises UnknownActors if a practice's software names actors who are unknown here."""
    if unknown:
        raise UnknownActors(tuple(sorted(unknown)), _named(appointment, unknown))


def require_actors_theirs(appointment: Appointment, foreign: Collection[str]) -> None:
    """Raises ActorsNotTheirs if a practice's software would take actors of another practice."""
    if foreign:
        raise ActorsNotTheirs(tuple(sorted(foreign)), _named(appointment, foreign))


def _named(appointment: Appointment, actors: Collection[str]) -> tuple[int, ...]:
    """Indexes of the participants who name one of the actors."""
    return tuple(
        index for index, participant in enumerate(appointment.participants) if participant.reference in actors
    )


def require_one_of_theirs(actors: Collection[str]) -> None:
    """Refuses an appointment without a slot, written by a practice's software, that takes no actor of that practice."""
    if not actors:
        raise NoActorOfTheirs()


def require_answerable(actor: str | None, own: Collection[str]) -> None:
    """Refuses a patient who answers for somebody else."""
    if actor not in own:
        raise AnswerForOthers()
