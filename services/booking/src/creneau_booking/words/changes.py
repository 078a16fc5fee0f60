"""Words of refusals: changes of an appointment, and who may make them."""

from __future__ import annotations

from creneau_booking.domain.refusals.changes import (
    AlreadyEnded,
    AlreadyStarted,
    AnsweredTooLate,
    CancelledOtherwise,
    HoldExpired,
    HoldNotExtensible,
    HoldNotTheirs,
    IllegalTransition,
    MovedByAmending,
    NotAHold,
    NotMovable,
    NotStarted,
    OtherPatient,
    StatusNotTheirs,
    WaitsForPractice,
)
from creneau_shared.clock import shown
from creneau_shared.errors import CreneauError, Forbidden, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()


@WORDS.says(IllegalTransition)
def _(r: IllegalTransition) -> CreneauError:
    return Unprocessable(
        f"Un rendez-vous « {r.before} » ne peut pas devenir « {r.after} ».",
        f"An appointment that is “{r.before}” cannot become “{r.after}”.",
        expression="Appointment.status",
        details_code="illegal-transition",
        diagnostics=f"from {r.before} to {r.after}",
    )


@WORDS.says(StatusNotTheirs)
def _(r: StatusNotTheirs) -> CreneauError:
    return Forbidden(
        f"Seul le cabinet peut donner le statut « {r.status} » à ce rendez-vous.",
        f"Only the practice can give this appointment the status “{r.status}”.",
        expression="Appointment.status",
        details_code="status-not-yours",
    )


@WORDS.says(AlreadyEnded)
def _(r: AlreadyEnded) -> CreneauError:
    if not r.elements:
        return Unprocessable(
            f"Un rendez-vous « {r.status} » ne se supprime pas : le cabinet doit pouvoir lire ce qu'il est devenu.",
            f"An appointment that is “{r.status}” is not deleted: the practice has to read what became of it.",
            expression="Appointment.status",
            details_code="already-ended",
        )
    return Unprocessable(
        f"Un rendez-vous « {r.status} » ne se modifie plus ({', '.join(r.elements)}) : prenez-en un autre.",
        f"An appointment that is “{r.status}” is not amended any more ({', '.join(r.elements)}): book another one.",
        expression=[f"Appointment.{name}" for name in r.elements],
        details_code="already-ended",
    )


@WORDS.says(CancelledOtherwise)
def _(r: CancelledOtherwise) -> CreneauError:
    return Unprocessable(
        f"Une annulation ne change ni l'horaire ni le patient ({', '.join(r.elements)}) : annulez le rendez-vous tel qu'il"
        " est.",
        f"A cancellation changes neither the time nor the patient ({', '.join(r.elements)}): cancel the appointment as it"
        " stands.",
        expression=[f"Appointment.{name}" for name in r.elements],
        details_code="cancelled-otherwise",
    )


@WORDS.says(NotMovable)
def _(r: NotMovable) -> CreneauError:
    return Unprocessable(
        f"Un rendez-vous « {r.status} » ne peut pas être déplacé.",
        f"An appointment that is “{r.status}” cannot be moved.",
        expression="Appointment.status",
        details_code="not-movable",
    )


@WORDS.says(MovedByAmending)
def _(_: MovedByAmending) -> CreneauError:
    return Unprocessable(
        "Pour changer d'horaire ou de praticien, utilisez $reschedule : l'ancien créneau n'est rendu que si le"
        " nouveau est pris.",
        "To change the time or the practitioner, use $reschedule: the old slot is given back only once the new"
        " one is taken.",
        expression="Appointment.slot",
        details_code="use-reschedule",
    )


@WORDS.says(OtherPatient)
def _(_: OtherPatient) -> CreneauError:
    return Unprocessable(
        "Un rendez-vous ne change pas de patient : annulez-le et prenez-en un autre.",
        "An appointment does not change its patient: cancel it and book another one.",
        expression="Appointment.participant",
        details_code="other-patient",
    )


@WORDS.says(AlreadyStarted)
def _(_: AlreadyStarted) -> CreneauError:
    return Unprocessable(
        "Ce rendez-vous a déjà commencé : il ne peut plus être annulé ni déplacé.",
        "This appointment has already started: it can no longer be cancelled or moved.",
        expression="Appointment.status",
        details_code="already-started",
    )


@WORDS.says(NotStarted)
def _(_: NotStarted) -> CreneauError:
    return Unprocessable(
        "Ce rendez-vous n'a pas encore commencé : le patient ne peut pas l'avoir manqué.",
        "This appointment has not started yet: the patient cannot have missed it.",
        expression="Appointment.status",
        details_code="not-started",
    )


@WORDS.says(WaitsForPractice)
def _(r: WaitsForPractice) -> CreneauError:
    return Forbidden(
        "Ce rendez-vous attend l'accord du cabinet : lui seul peut le confirmer.",
        "This appointment waits for the practice's agreement: only the practice can confirm it.",
        expression="Appointment.status",
        details_code="waits-for-practice",
    )


@WORDS.says(HoldNotTheirs)
def _(r: HoldNotTheirs) -> CreneauError:
    return Forbidden(
        "Cette mise en attente a été commencée par un autre compte : lui seul peut la confirmer.",
        "This hold was begun by another account: only that account can confirm it.",
        expression="Appointment.status",
        details_code="hold-not-yours",
    )


@WORDS.says(AnsweredTooLate)
def _(r: AnsweredTooLate) -> CreneauError:
    return Unprocessable(
        f"Le cabinet avait jusqu'au {shown(r.until)} pour répondre : la demande est close et le créneau est rendu.",
        f"The practice had until {shown(r.until)} to answer: the request is closed and the slot is given back.",
        expression="Appointment.status",
        details_code="answered-too-late",
        diagnostics=f"until {r.until.isoformat()}",
    )


@WORDS.says(HoldExpired)
def _(_: HoldExpired) -> CreneauError:
    return Unprocessable(
        "La mise en attente est terminée : cherchez de nouveau et choisissez un créneau.",
        "The hold has run out: search again and choose a slot.",
        expression="Appointment.status",
        details_code="hold-expired",
    )


@WORDS.says(NotAHold)
def _(_: NotAHold) -> CreneauError:
    return Unprocessable(
        "Ce rendez-vous attend l'accord du cabinet : il n'y a pas de mise en attente à prolonger.",
        "This appointment waits for the practice's agreement: there is no hold to extend.",
        expression="Appointment.status",
        details_code="not-a-hold",
    )


@WORDS.says(HoldNotExtensible)
def _(r: HoldNotExtensible) -> CreneauError:
    return Unprocessable(
        f"Cette mise en attente a déjà été prolongée {r.extensions} fois : confirmez le rendez-vous ou rendez-le.",
        f"This hold has been extended {r.extensions} times already: confirm the appointment or release it.",
        expression="Appointment.status",
        details_code="hold-not-extensible",
    )
