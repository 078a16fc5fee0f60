"""Words of refusals: how much one patient, one account or one counsellor may book."""

from __future__ import annotations

from datetime import timedelta

from creneau_booking.domain.refusals.quotas import (
    TooManyBookings,
    TooManyCancellations,
    TooManyChanges,
    TooManyHolds,
    TooManyHoldsBegun,
    TooManyPatients,
    TooManyRequestsWaiting,
    TooManyToCome,
)
from creneau_booking.words.phrases import counted
from creneau_shared.errors import CreneauError, TooManyRequests, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()


_BOOKINGS = {
    "counsellor": (
        "Vous avez pris ou déplacé {} en une heure, le plus qu'un conseiller puisse.",
        "You have booked or moved {} within an hour, the most that a counsellor may.",
    ),
    "account": (
        "Ce compte a pris ou déplacé {} en une heure, le plus qu'il puisse.",
        "This account has booked or moved {} within an hour, the most that it may.",
    ),
    "patient": (
        "{} ont été pris ou déplacés en une heure pour ce patient, le plus qui soit possible.",
        "{} have been booked or moved within an hour for this patient, the most that is possible.",
    ),
}
_TO_COME = {
    "all": (
        "too-many-appointments-to-come",
        "Ce patient a déjà {} à venir, le plus qui soit possible en ligne.",
        "This patient has {} to come already, the most that is possible online.",
    ),
    "specialty": (
        "too-many-in-specialty",
        "Ce patient a déjà {} à venir dans cette spécialité, le plus qui soit possible en ligne.",
        "This patient has {} to come in this speciality already, the most that is possible online.",
    ),
    "agenda": (
        "too-many-appointments",
        "Ce patient a déjà {} à venir dans cet agenda, le plus qu'il accepte en ligne.",
        "This patient has {} to come in this agenda already, the most that it takes online.",
    ),
}
_WAITING = {
    "patient": ("Ce patient a", "This patient has"),
    "account": ("Les personnes de ce compte ont", "The people of this account have"),
}


@WORDS.says(TooManyBookings)
def _(r: TooManyBookings) -> CreneauError:
    number_fr, number_en = counted(r.number, "rendez-vous", "appointment")
    fr, en = _BOOKINGS[r.actor]
    return _later("too-many-bookings", fr.format(number_fr), en.format(number_en), r.wait)


@WORDS.says(TooManyHolds)
def _(r: TooManyHolds) -> CreneauError:
    return TooManyRequests(
        f"Vous réservez déjà {r.held} créneaux : confirmez-les ou rendez-les d'abord.",
        f"You are holding {r.held} slots already: confirm or release them first.",
        details_code="too-many-holds",
        headers={"Retry-After": str(int(r.duration.total_seconds()))},
    )


@WORDS.says(TooManyHoldsBegun)
def _(r: TooManyHoldsBegun) -> CreneauError:
    number_fr, number_en = counted(r.number, "créneau", "slot")
    return _later(
        "too-many-holds-begun",
        f"Ce compte a mis de côté {number_fr} en une heure, confirmés ou non, le plus qu'il puisse.",
        f"This account has held {number_en} within an hour, confirmed or not, the most that it may.",
        r.wait,
    )


@WORDS.says(TooManyCancellations)
def _(r: TooManyCancellations) -> CreneauError:
    number_fr, number_en = counted(r.number, "rendez-vous", "appointment")
    return _later(
        "too-many-cancellations",
        f"Ce compte a annulé {number_fr} en un jour : il n'en prend plus pour le moment.",
        f"This account has cancelled {number_en} within a day: it can book no more for now.",
        r.wait,
    )


@WORDS.says(TooManyChanges)
def _(r: TooManyChanges) -> CreneauError:
    fr, en = counted(r.number, "fois", "time")
    return _later(
        "too-many-changes",
        f"Ce dossier a été modifié {fr} en un jour, le plus qui soit possible en ligne.",
        f"This record has been changed {en} within a day, the most that is possible online.",
        r.wait,
    )


def _later(details_code: str, fr: str, en: str, wait: timedelta) -> TooManyRequests:
    minutes = max(1, -(-int(wait.total_seconds()) // 60))
    wait_fr, wait_en = counted(minutes, "minute", "minute")
    return TooManyRequests(
        f"{fr} Recommencez dans {wait_fr}, ou appelez le cabinet.",
        f"{en} Try again in {wait_en}, or call the practice.",
        details_code=details_code,
        headers={"Retry-After": str(minutes * 60)},
    )


@WORDS.says(TooManyToCome)
def _(r: TooManyToCome) -> CreneauError:
    count_fr, count_en = counted(r.count, "rendez-vous", "appointment")
    details_code, fr, en = _TO_COME[r.among]
    return Unprocessable(
        f"{fr.format(count_fr)} Annulez-en un, ou appelez le cabinet.",
        f"{en.format(count_en)} Cancel one, or call the practice.",
        expression="Appointment.participant",
        details_code=details_code,
        diagnostics=f"{r.count} of at most {r.most}",
    )


@WORDS.says(TooManyRequestsWaiting)
def _(r: TooManyRequestsWaiting) -> CreneauError:
    fr, en = counted(r.waiting, "demande", "request")
    who_fr, who_en = _WAITING[r.whose]
    return Unprocessable(
        f"{who_fr} déjà {fr} en attente (proposées ou en liste d'attente) : retirez-en une d'abord.",
        f"{who_en} {en} waiting already (proposed or on a waiting list): withdraw one first.",
        expression="Appointment.status",
        details_code="too-many-requests",
    )


@WORDS.says(TooManyPatients)
def _(r: TooManyPatients) -> CreneauError:
    fr, en = counted(r.most, "personne", "person", "people")
    return Unprocessable(
        f"Ce compte a déjà enregistré {fr}, le plus qui soit possible : demandez au cabinet ou à un conseiller"
        " d'enregistrer la suivante.",
        f"This account has registered {en} already, the most that is possible: ask the practice or a counsellor to"
        " register the next one.",
        expression="Patient",
        details_code="too-many-patients",
    )
