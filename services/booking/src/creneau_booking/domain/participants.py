"""Who may take part in an appointment on whose word: a patient's gives rights over nobody but the patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from creneau_booking.domain.appointment import Appointment, Participant, SlotFact
from creneau_shared.errors import Forbidden, Issue, Unprocessable

SAID_BY_SLOT = ("serviceCategory", "serviceType", "specialty", "appointmentType")
"""What an appointment in a slot is for, where the slot says it: same elements, same meaning."""


def require_one_own_patient(appointment: Appointment, own: Collection[str]) -> str:
    """The one Patient (reference) whom a patient's appointment is for.

    Unprocessable when it is for none or several, Forbidden when it is for somebody for whom the caller does not act.
    Whatever its status: what lies in somebody's list is in their compartment.
    """
    patients = set(appointment.patients)
    if len(patients) != 1:
        raise Unprocessable(
            "Un rendez-vous se prend pour une personne : un participant Patient, et un seul.",
            "An appointment is for one person: one Patient participant, and only one.",
            expression="Appointment.participant",
            details_code="one-patient",
        )
    [patient] = patients
    if patient.removeprefix("Patient/") not in own:
        raise Forbidden(
            "Vous ne pouvez prendre rendez-vous que pour vous ou une personne que vous représentez.",
            "You can only make appointments for yourself or someone you represent.",
            expression=tuple(
                f"Appointment.participant[{index}].actor"
                for index, participant in enumerate(appointment.participants)
                if participant.reference == patient
            ),
            details_code="participant-not-yours",
        )
    return patient


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


def not_yours(indexes: Sequence[int]) -> Forbidden:
    """The refusal of participants whom a patient's word cannot bring."""
    return Forbidden(
        issues=[
            Issue(
                "forbidden",
                "Un patient prend rendez-vous avec les acteurs de l'agenda de son créneau, pour lui-même et ses proches"
                " déclarés : ce participant n'est ni l'un ni l'autre.",
                "A patient makes an appointment with the actors of the slot's agenda, for themselves and the related"
                " persons on record: this participant is neither.",
                (f"Appointment.participant[{index}].actor",),
                details_code="participant-not-yours",
            )
            for index in indexes
        ]
    )


def require_only_agendas_people(
    appointment: Appointment, taken: Sequence[str], by_agendas: Sequence[str], roles: Mapping[str, str]
) -> None:
    """Forbidden when an appointment that a patient makes or moves would take people beside its agendas'.

    `taken` are the people and devices that it takes, `by_agendas` those that its agendas bring themselves.
    """
    beside = set(taken) - set(by_agendas)
    if beside:
        raise not_yours(
            [
                index
                for index, participant in enumerate(appointment.participants)
                if roles.get(participant.reference or "", participant.reference) in beside
            ]
        )


def require_said_by_slots(appointment: Appointment, slots: Sequence[SlotFact]) -> None:
    """Forbidden when a patient's appointment is for something that its slots do not offer; their silence is no limit."""
    for element in SAID_BY_SLOT:
        offered = [slot.offers[element] for slot in slots if slot.offers.get(element)]
        said = appointment.visit.get(element, frozenset())
        if said and offered and not said <= frozenset().union(*offered):
            raise Forbidden(
                f"Ce créneau n'offre pas ce que dit {element} : reprenez ce que dit le créneau.",
                f"This slot does not offer what {element} says: take what the slot says.",
                expression=f"Appointment.{element}",
                details_code="element-not-yours",
            )


def require_others_untouched(
    before: Sequence[Participant],
    after: Sequence[Participant],
    own: Collection[str],
    *,
    may_join: Collection[str] = (),
) -> None:
    """Forbidden when a patient changes more of the participants than the answers of their own.

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
            touched.append(f"Appointment.participant[{index}]")
    if touched or +kept:
        raise Forbidden(
            "Des participants, un patient ne change que sa propre réponse (participant.status) : le reste est l'affaire"
            " du cabinet.",
            "Of the participants, a patient changes their own answer only (participant.status): the rest is the"
            " practice's.",
            expression=touched or "Appointment.participant",
            details_code="element-not-yours",
        )


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
    """Unprocessable when software of a practice names actors whom nobody knows here."""
    _refuse_actors(
        appointment,
        unknown,
        "Cet acteur n'est connu ni de l'annuaire ni d'un agenda d'ici.",
        "This actor is known neither to the directory nor to an agenda here.",
        "unknown-actor",
        Unprocessable,
    )


def require_actors_theirs(appointment: Appointment, foreign: Collection[str]) -> None:
    """Forbidden when software of a practice would take actors of another."""
    _refuse_actors(
        appointment,
        foreign,
        "Cet acteur n'est pas de vos organisations : un logiciel ne prend que les acteurs de ses propres agendas.",
        "This actor is not of your organizations: software takes actors of its own agendas only.",
        "actor-not-yours",
        Forbidden,
    )


def _refuse_actors(
    appointment: Appointment,
    actors: Collection[str],
    fr: str,
    en: str,
    details_code: str,
    refusal: type[Forbidden | Unprocessable],
) -> None:
    if not actors:
        return
    where = tuple(
        f"Appointment.participant[{index}].actor"
        for index, participant in enumerate(appointment.participants)
        if participant.reference in actors
    )
    names = ", ".join(sorted(actors))
    raise refusal(
        fr, en, expression=where or "Appointment.slot", details_code=details_code, diagnostics=names
    )


def require_one_of_theirs(actors: Collection[str]) -> None:
    """Forbidden when software of a practice makes an appointment without a slot that concerns nobody of theirs."""
    if not actors:
        raise Forbidden(
            "Sans créneau, un rendez-vous nomme au moins un acteur de vos organisations.",
            "Without a slot, an appointment names at least one actor of your organizations.",
            expression="Appointment.participant",
            details_code="actor-not-yours",
        )


def require_answerable(actor: str | None, own: Collection[str], status: str) -> None:
    """Forbidden when a patient answers for somebody else, or with what only a practice can say."""
    if actor not in own:
        raise Forbidden(
            "Un patient répond pour lui-même ou pour un proche déclaré, jamais pour le cabinet.",
            "A patient answers for themselves or a related person on record, never for the practice.",
            expression="AppointmentResponse.actor",
            details_code="participant-not-yours",
        )
    if status not in ("accepted", "declined", "tentative"):
        raise Forbidden(
            f"Un patient accepte, décline ou hésite (accepted, declined, tentative) ; reçu « {status} ».",
            f"A patient accepts, declines or hesitates (accepted, declined, tentative); got “{status}”.",
            expression="AppointmentResponse.participantStatus",
            details_code="status-not-yours",
        )
