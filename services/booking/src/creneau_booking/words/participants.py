"""Words of refusals: the participants of an appointment, and the elements that a patient sets in it."""

from __future__ import annotations

from creneau_booking.domain.refusals.participants import (
    ActorsNotTheirs,
    AnswerForOthers,
    ElementsNotTheirs,
    NoActorOfTheirs,
    NobodyComes,
    NotOffered,
    NotOnePatient,
    ParticipantsNotTheirs,
    ParticipantsTouched,
    PatientNotTheirs,
    UnknownActors,
)
from creneau_shared.errors import CreneauError, Forbidden, Issue, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()


@WORDS.says(NotOnePatient)
def _(_: NotOnePatient) -> CreneauError:
    return Unprocessable(
        "Un rendez-vous se prend pour une personne : un participant Patient, et un seul.",
        "An appointment is for one person: one Patient participant, and only one.",
        expression="Appointment.participant",
        details_code="one-patient",
    )


@WORDS.says(NobodyComes)
def _(_: NobodyComes) -> CreneauError:
    return Unprocessable(
        "Qui a décliné ne vient pas : un rendez-vous n'est pas pris pour un patient « declined ». Pour y renoncer,"
        " annulez-le (status: cancelled).",
        "Whoever has declined does not come: no visit is booked for a patient who is “declined”. To give it up, cancel it"
        " (status: cancelled).",
        expression="Appointment.participant",
        details_code="patient-declined",
    )


@WORDS.says(PatientNotTheirs)
def _(r: PatientNotTheirs) -> CreneauError:
    return Forbidden(
        "Vous ne pouvez prendre rendez-vous que pour vous ou une personne que vous représentez.",
        "You can only make appointments for yourself or someone you represent.",
        expression=_actors(r.indexes),
        details_code="participant-not-yours",
    )


@WORDS.says(NotOffered)
def _(r: NotOffered) -> CreneauError:
    return Forbidden(
        f"Ce créneau n'offre pas ce que dit {r.element} : reprenez ce que dit le créneau.",
        f"This slot does not offer what {r.element} says: take what the slot says.",
        expression=f"Appointment.{r.element}",
        details_code="element-not-yours",
    )


@WORDS.says(ParticipantsTouched)
def _(r: ParticipantsTouched) -> CreneauError:
    return Forbidden(
        "Des participants, un patient ne change que sa propre réponse (participant.status) : le reste est l'affaire"
        " du cabinet.",
        "Of the participants, a patient changes their own answer only (participant.status): the rest is the"
        " practice's.",
        expression=[f"Appointment.participant[{index}]" for index in r.indexes] or "Appointment.participant",
        details_code="element-not-yours",
    )


@WORDS.says(NoActorOfTheirs)
def _(_: NoActorOfTheirs) -> CreneauError:
    return Forbidden(
        "Sans créneau, un rendez-vous nomme au moins un acteur de vos organisations.",
        "Without a slot, an appointment names at least one actor of your organizations.",
        expression="Appointment.participant",
        details_code="actor-not-yours",
    )


@WORDS.says(AnswerForOthers)
def _(_: AnswerForOthers) -> CreneauError:
    return Forbidden(
        "Un patient répond pour lui-même ou pour un proche déclaré, jamais pour le cabinet.",
        "A patient answers for themselves or a related person on record, never for the practice.",
        expression="AppointmentResponse.actor",
        details_code="participant-not-yours",
    )


@WORDS.says(ParticipantsNotTheirs)
def _(r: ParticipantsNotTheirs) -> CreneauError:
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
            for index in r.indexes
        ]
    )


@WORDS.says(UnknownActors)
def _(r: UnknownActors) -> CreneauError:
    return Unprocessable(
        "Cet acteur n'est connu ni de l'annuaire ni d'un agenda d'ici.",
        "This actor is known neither to the directory nor to an agenda here.",
        expression=_actors(r.indexes) or "Appointment.slot",
        details_code="unknown-actor",
        diagnostics=", ".join(r.actors),
    )


@WORDS.says(ActorsNotTheirs)
def _(r: ActorsNotTheirs) -> CreneauError:
    return Forbidden(
        "Cet acteur n'est pas de vos organisations : un logiciel ne prend que les acteurs de ses propres agendas.",
        "This actor is not of your organizations: software takes actors of its own agendas only.",
        expression=_actors(r.indexes) or "Appointment.slot",
        details_code="actor-not-yours",
        diagnostics=", ".join(r.actors),
    )


@WORDS.says(ElementsNotTheirs)
def _(r: ElementsNotTheirs) -> CreneauError:
    return Forbidden(
        issues=[
            Issue(
                "forbidden",
                f"{element} est l'affaire du cabinet, ou ne se change plus à ce stade : ce que le patient peut dire d'un"
                " rendez-vous est une liste publiée.",
                f"{element} is the practice's, or can no longer be changed: what a patient may say of an appointment is a"
                " published list.",
                (f"Appointment.{element}",),
                details_code="element-not-yours",
            )
            for element in r.elements
        ]
    )


def _actors(indexes: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"Appointment.participant[{index}].actor" for index in indexes)
