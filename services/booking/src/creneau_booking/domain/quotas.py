"""How much one patient, one account or one counsellor may take: limits that a person understands.

They bind whoever acts as a patient. Practices, which see the person, are not limited; a counsellor, who books for one
after the other, only by the hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from creneau_booking.domain.refusals import counted
from creneau_shared.errors import TooManyRequests, Unprocessable

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ActionKind = Literal["booked", "held", "cancelled", "asked"]
"""What is counted: an appointment booked or moved, a hold begun, an appointment cancelled after it was booked. What is
`asked` is not; it only waits its turn."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits; each is a setting of the same name."""

    future_appointments_per_patient_max: int
    future_appointments_per_specialty_max: int
    future_appointments_per_agenda_max: int
    """unless the agenda says another number itself"""
    bookings_per_account_per_hour_max: int
    bookings_per_patient_per_hour_max: int
    bookings_per_counsellor_per_hour_max: int
    holds_begun_per_account_per_hour_max: int
    cancellations_per_account_per_day_max: int
    requests_per_patient_max: int
    patients_per_account_max: int

    @property
    def future_least(self) -> int:
        """Below so many appointments to come no limit on them is reached, whatever they are for."""
        return min(
            self.future_appointments_per_patient_max,
            self.future_appointments_per_specialty_max,
            self.future_appointments_per_agenda_max,
        )


@dataclass(frozen=True, slots=True)
class Actions:
    """What one account, or one patient, has done lately: the instants of the last hour (cancelled: of the last day)."""

    booked: Sequence[datetime] = ()
    held: Sequence[datetime] = ()
    cancelled: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True)
class Upcoming:
    """One appointment to come: its agendas (ids) and the specialities of its slots (`system|code`)."""

    agendas: frozenset[str]
    specialties: frozenset[str]


def require_rate(
    quotas: Quotas, account: Actions, patient: Actions, now: datetime, *, counsellor: bool
) -> None:
    """TooManyRequests when this act, which is counted already, is one too many for its account or its patient."""
    if counsellor:
        _require_below(
            account.booked,
            quotas.bookings_per_counsellor_per_hour_max,
            now,
            HOUR,
            "too-many-bookings",
            ("Vous avez pris ou déplacé {} en une heure, le plus qu'un conseiller puisse.", "rendez-vous"),
            ("You have booked or moved {} within an hour, the most that a counsellor may.", "appointment"),
        )
        return
    _require_below(
        account.booked,
        quotas.bookings_per_account_per_hour_max,
        now,
        HOUR,
        "too-many-bookings",
        ("Ce compte a pris ou déplacé {} en une heure, le plus qu'il puisse.", "rendez-vous"),
        ("This account has booked or moved {} within an hour, the most that it may.", "appointment"),
    )
    _require_below(
        patient.booked,
        quotas.bookings_per_patient_per_hour_max,
        now,
        HOUR,
        "too-many-bookings",
        (
            "{} ont été pris ou déplacés en une heure pour ce patient, le plus qui soit possible.",
            "rendez-vous",
        ),
        (
            "{} have been booked or moved within an hour for this patient, the most that is possible.",
            "appointment",
        ),
    )
    _require_below(
        account.held,
        quotas.holds_begun_per_account_per_hour_max,
        now,
        HOUR,
        "too-many-holds-begun",
        ("Ce compte a mis de côté {} en une heure, confirmés ou non, le plus qu'il puisse.", "créneau"),
        ("This account has held {} within an hour, confirmed or not, the most that it may.", "slot"),
    )


def require_few_cancellations(quotas: Quotas, account: Actions, now: datetime) -> None:
    """TooManyRequests for a booking by who has cancelled too much today. Cancelling itself is never refused."""
    # One more than the limit is too many only for what comes next, which this act is.
    if len(account.cancelled) >= quotas.cancellations_per_account_per_day_max:
        _refuse(
            account.cancelled,
            len(account.cancelled),
            now,
            DAY,
            "too-many-cancellations",
            ("Ce compte a annulé {} en un jour : il n'en prend plus pour le moment.", "rendez-vous"),
            ("This account has cancelled {} within a day: it can book no more for now.", "appointment"),
        )


def require_room_to_come(
    quotas: Quotas,
    upcoming: Sequence[Upcoming],
    agendas: Mapping[str, int | None],
    specialties: frozenset[str],
    *,
    counsellor: bool,
) -> None:
    """Unprocessable when the patient has as many appointments to come as one may.

    `agendas` are those wanted (ids) with the number that they allow themselves, None where they say nothing;
    `specialties` those of the wanted slots. A counsellor is held to what agendas say themselves.
    """
    if not counsellor:
        _require_fewer(
            len(upcoming),
            quotas.future_appointments_per_patient_max,
            "too-many-appointments-to-come",
            "Ce patient a déjà {} à venir, le plus qui soit possible en ligne.",
            "This patient has {} to come already, the most that is possible online.",
        )
    for specialty in specialties if not counsellor else ():
        _require_fewer(
            sum(specialty in one.specialties for one in upcoming),
            quotas.future_appointments_per_specialty_max,
            "too-many-in-specialty",
            "Ce patient a déjà {} à venir dans cette spécialité, le plus qui soit possible en ligne.",
            "This patient has {} to come in this speciality already, the most that is possible online.",
        )
    for agenda, most in agendas.items():
        if counsellor and most is None:
            continue
        _require_fewer(
            sum(agenda in one.agendas for one in upcoming),
            quotas.future_appointments_per_agenda_max if most is None else most,
            "too-many-appointments",
            "Ce patient a déjà {} à venir dans cet agenda, le plus qu'il accepte en ligne.",
            "This patient has {} to come in this agenda already, the most that it takes online.",
        )


def require_few_requests(quotas: Quotas, waiting: int) -> None:
    """Unprocessable when the patient has as many requests waiting as one may; `waiting` without the new one."""
    most = quotas.requests_per_patient_max
    if waiting >= most:
        fr, en = counted(waiting, "demande", "request")
        raise Unprocessable(
            f"Ce patient a déjà {fr} en attente (proposées ou en liste d'attente) : retirez-en une d'abord.",
            f"This patient has {en} waiting already (proposed or on a waiting list): withdraw one first.",
            expression="Appointment.status",
            details_code="too-many-requests",
        )


def require_few_patients(quotas: Quotas, registered: int) -> None:
    """Unprocessable when an account has registered more people than one may; `registered` with the new one."""
    most = quotas.patients_per_account_max
    if registered > most:
        fr, en = counted(most, "personne", "person", "people")
        raise Unprocessable(
            f"Ce compte a déjà enregistré {fr}, le plus qui soit possible : demandez au cabinet ou à un conseiller"
            " d'enregistrer la suivante.",
            f"This account has registered {en} already, the most that is possible: ask the practice or a counsellor to"
            " register the next one.",
            expression="Patient",
            details_code="too-many-patients",
        )


def _require_fewer(count: int, most: int, details_code: str, fr: str, en: str) -> None:
    if count >= most:
        count_fr, count_en = counted(count, "rendez-vous", "appointment")
        raise Unprocessable(
            f"{fr.format(count_fr)} Annulez-en un, ou appelez le cabinet.",
            f"{en.format(count_en)} Cancel one, or call the practice.",
            expression="Appointment.participant",
            details_code=details_code,
            diagnostics=f"{count} of at most {most}",
        )


def _require_below(
    instants: Sequence[datetime],
    most: int,
    now: datetime,
    window: timedelta,
    details_code: str,
    fr: tuple[str, str],
    en: tuple[str, str],
) -> None:
    """Refuses when there are more than `most`, this act included."""
    if len(instants) > most:
        _refuse(instants, most, now, window, details_code, fr, en)


def _refuse(
    instants: Sequence[datetime],
    number: int,
    now: datetime,
    window: timedelta,
    details_code: str,
    fr: tuple[str, str],
    en: tuple[str, str],
) -> None:
    number_fr, number_en = counted(number, fr[1], en[1])
    wait = min(instants) + window - now
    minutes = max(1, -(-int(wait.total_seconds()) // 60))
    wait_fr, wait_en = counted(minutes, "minute", "minute")
    raise TooManyRequests(
        f"{fr[0].format(number_fr)} Recommencez dans {wait_fr}, ou appelez le cabinet.",
        f"{en[0].format(number_en)} Try again in {wait_en}, or call the practice.",
        details_code=details_code,
        headers={"Retry-After": str(minutes * 60)},
    )
