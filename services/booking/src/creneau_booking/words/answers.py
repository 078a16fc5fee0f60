"""Words of refusals: answers of participants."""

from __future__ import annotations

from creneau_booking.domain.refusals.answers import (
    AnsweredAfterEnd,
    AnsweredAfterStart,
    AnswererUnknown,
    AnswerForAnotherPractice,
    AnswerOrder,
    AnswerTimes,
    MayOnlyAnswer,
    ProposalBegun,
    ProposalNotFree,
    ProposalNotInAgenda,
)
from creneau_shared.clock import shown
from creneau_shared.errors import Conflict, CreneauError, Forbidden, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()


@WORDS.says(AnswerForAnotherPractice)
def _(_: AnswerForAnotherPractice) -> CreneauError:
    return Forbidden(
        "Un cabinet répond pour les siens et pour son patient, jamais pour un autre cabinet.",
        "A practice answers for its own people and for its patient, never for another practice.",
        expression="AppointmentResponse.actor",
        details_code="actor-not-yours",
    )


@WORDS.says(MayOnlyAnswer)
def _(_: MayOnlyAnswer) -> CreneauError:
    return Forbidden(
        "Ce lien permet d'accepter ou de refuser, sans rien dire d'autre : pour proposer une autre heure ou écrire au"
        " cabinet, connectez-vous ou téléphonez.",
        "This link lets you accept or decline, and say nothing else: to propose another time or to write to the practice,"
        " log in or telephone.",
        expression="AppointmentResponse",
        details_code="link-only",
    )


@WORDS.says(AnswererUnknown)
def _(r: AnswererUnknown) -> CreneauError:
    return Unprocessable(
        f"Pour qui cette réponse est donnée n'est pas connu ici : « {r.said} ». Nommez un participant du rendez-vous par sa"
        " référence, ou par un identifiant qu'il porte, avec son système.",
        f"For whom this answer is given is not known here: “{r.said}”. Name a participant of the appointment by a reference,"
        " or by an identifier that they bear, with its system.",
        code="not-found",
        expression="AppointmentResponse.actor",
        details_code="unknown-actor",
    )


@WORDS.says(AnsweredAfterEnd)
def _(r: AnsweredAfterEnd) -> CreneauError:
    return Unprocessable(
        f"Un rendez-vous « {r.status} » n'attend plus de réponse.",
        f"An appointment that is “{r.status}” waits for no answer any more.",
        expression="AppointmentResponse.appointment",
        details_code="already-ended",
        diagnostics=f"status {r.status}",
    )


@WORDS.says(AnsweredAfterStart)
def _(r: AnsweredAfterStart) -> CreneauError:
    return Unprocessable(
        f"L'heure de cette demande ({shown(r.start)}) est passée : elle ne peut plus être acceptée.",
        f"The time of this request ({shown(r.start)}) has passed: it can no longer be accepted.",
        expression="AppointmentResponse.appointment",
        details_code="already-started",
    )


@WORDS.says(AnswerOrder)
def _(_: AnswerOrder) -> CreneauError:
    return Unprocessable(
        "Une autre heure se dit par son début et sa fin, celle-ci après celui-là.",
        "Another time is said by its start and its end, the latter after the former.",
        expression=["AppointmentResponse.start", "AppointmentResponse.end"],
        details_code="appointment-order",
    )


@WORDS.says(AnswerTimes)
def _(_: AnswerTimes) -> CreneauError:
    return Unprocessable(
        "Cette heure n'est ni celle du rendez-vous ni celle qui est proposée : pour en proposer une autre, répondez"
        " « tentative ».",
        "This time is neither the appointment's nor the one that is proposed: to propose another, answer “tentative”.",
        expression=["AppointmentResponse.start", "AppointmentResponse.end"],
        details_code="answer-times",
    )


@WORDS.says(ProposalBegun)
def _(_: ProposalBegun) -> CreneauError:
    return Unprocessable(
        "Cette heure est passée : seule une heure à venir peut être proposée ou acceptée.",
        "This time has passed: only a time that is to come can be proposed or accepted.",
        expression="AppointmentResponse.start",
        details_code="proposal-begun",
    )


@WORDS.says(ProposalNotInAgenda)
def _(r: ProposalNotInAgenda) -> CreneauError:
    return Unprocessable(
        f"L'agenda n'a pas de créneau à l'heure proposée ({shown(r.start)}) : ajoutez-y d'abord ce créneau, ou proposez une"
        " autre heure.",
        f"The agenda has no slot at the proposed time ({shown(r.start)}): add that slot first, or propose another time.",
        expression=["AppointmentResponse.start", "AppointmentResponse.end"],
        details_code="proposal-not-in-agenda",
    )


@WORDS.says(ProposalNotFree)
def _(r: ProposalNotFree) -> CreneauError:
    return Conflict(
        f"L'heure proposée ({shown(r.start)}) n'est pas libre dans l'agenda : le rendez-vous reste où il est.",
        f"The proposed time ({shown(r.start)}) is not free in the agenda: the appointment stays where it is.",
        expression="AppointmentResponse.appointment",
        details_code="proposal-not-free",
    )
