"""Words of refusals: a practice's rules on who may book its agenda online, and when."""

from __future__ import annotations

from datetime import timedelta

from creneau_booking.domain.refusals.agendas import (
    AgeOutsideLimit,
    BirthDateUnknown,
    ChangeTooLate,
    NoticeTooShort,
    NotOpenToNewPatients,
    NotOpenYet,
    ReferralRequired,
)
from creneau_booking.words.phrases import ages_in_words, local, time_in_words
from creneau_shared.errors import CreneauError, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()


@WORDS.says(NotOpenYet)
def _(r: NotOpenYet) -> CreneauError:
    days_fr, days_en = time_in_words(timedelta(days=r.days))
    return Unprocessable(
        f"Cet agenda s'ouvre {days_fr} à l'avance : le créneau du {local(r.start, r.zone)} pourra être réservé"
        f" à partir du {local(r.opening, r.zone)}.",
        f"This agenda opens {days_en} ahead: the slot of {local(r.start, r.zone)} can be booked from"
        f" {local(r.opening, r.zone)} on.",
        diagnostics=f"bookable from {r.opening.isoformat()}",
        expression="Appointment.slot",
        details_code="not-open-yet",
    )


@WORDS.says(NoticeTooShort)
def _(r: NoticeTooShort) -> CreneauError:
    time_fr, time_en = time_in_words(r.notice)
    return Unprocessable(
        f"Cet agenda se réserve en ligne au plus tard {time_fr} à l'avance : le créneau du"
        f" {local(r.start, r.zone)} ne peut plus être réservé ainsi. Choisissez-en un autre, ou appelez le cabinet.",
        f"This agenda is booked online {time_en} ahead at the latest: the slot of {local(r.start, r.zone)} can no"
        " longer be booked so. Choose another one, or call the practice.",
        diagnostics=f"bookable until {(r.start - r.notice).isoformat()}",
        expression="Appointment.slot",
        details_code="notice-too-short",
    )


@WORDS.says(BirthDateUnknown)
def _(r: BirthDateUnknown) -> CreneauError:
    whom_fr, whom_en = ages_in_words(r.from_months, r.below_months)
    return Unprocessable(
        f"Cet agenda reçoit les patients {whom_fr} : indiquez la date de naissance du patient (Patient.birthDate).",
        f"This agenda takes patients {whom_en}: give the patient's date of birth (Patient.birthDate).",
        expression="Appointment.participant",
        details_code="birthdate-unknown",
    )


@WORDS.says(AgeOutsideLimit)
def _(r: AgeOutsideLimit) -> CreneauError:
    whom_fr, whom_en = ages_in_words(r.from_months, r.below_months)
    return Unprocessable(
        f"Cet agenda reçoit les patients {whom_fr} au jour du rendez-vous.",
        f"This agenda takes patients {whom_en} on the day of the appointment.",
        expression="Appointment.participant",
        details_code="age-outside-limit",
    )


@WORDS.says(ReferralRequired)
def _(_: ReferralRequired) -> CreneauError:
    return Unprocessable(
        "Cet agenda se réserve sur prescription : dites laquelle (Appointment.basedOn, par référence ou identifiant).",
        "This agenda is booked on a referral: say which one (Appointment.basedOn, by reference or identifier).",
        code="required",
        expression="Appointment.basedOn",
        details_code="referral-required",
    )


@WORDS.says(NotOpenToNewPatients)
def _(_: NotOpenToNewPatients) -> CreneauError:
    return Unprocessable(
        "Cet agenda n'accueille en ligne que les patients déjà suivis par le cabinet : appelez-le.",
        "This agenda takes online only patients whom the practice knows already: call it.",
        expression="Appointment.participant",
        details_code="not-open-to-new-patients",
    )


@WORDS.says(ChangeTooLate)
def _(r: ChangeTooLate) -> CreneauError:
    time_fr, time_en = time_in_words(r.deadline)
    return Unprocessable(
        f"Ce rendez-vous s'annule ou se déplace en ligne jusqu'à {time_fr} avant son début"
        f" ({local(r.start, r.zone)}) : appelez le cabinet.",
        f"This appointment can be cancelled or moved online until {time_en} before it starts"
        f" ({local(r.start, r.zone)}): call the practice.",
        expression="Appointment.status",
        diagnostics=f"changeable until {(r.start - r.deadline).isoformat()}",
        details_code="change-too-late",
    )
