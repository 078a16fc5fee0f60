"""How much one patient, one account or one counsellor may take: limits that a person understands.

They bind whoever acts as a patient. Practices, which see the person, are not limited; a counsellor, who books for one
after the other, only by the hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from creneau_booking.domain.refusals.quotas import (
    Among,
    TooManyBookings,
    TooManyCancellations,
    TooManyHoldsBegun,
    TooManyPatients,
    TooManyRequestsWaiting,
    TooManyToCome,
)

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
    adjacent_slots_max: int
    """unless the agenda says another number itself"""

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
    """Refused when this act, which is counted already, is one too many for its account or its patient."""
    if counsellor:
        if (
            wait := _wait(account.booked, quotas.bookings_per_counsellor_per_hour_max, now, HOUR)
        ) is not None:
            raise TooManyBookings("counsellor", quotas.bookings_per_counsellor_per_hour_max, wait)
        return
    if (wait := _wait(account.booked, quotas.bookings_per_account_per_hour_max, now, HOUR)) is not None:
        raise TooManyBookings("account", quotas.bookings_per_account_per_hour_max, wait)
    if (wait := _wait(patient.booked, quotas.bookings_per_patient_per_hour_max, now, HOUR)) is not None:
        raise TooManyBookings("patient", quotas.bookings_per_patient_per_hour_max, wait)
    if (wait := _wait(account.held, quotas.holds_begun_per_account_per_hour_max, now, HOUR)) is not None:
        raise TooManyHoldsBegun(quotas.holds_begun_per_account_per_hour_max, wait)


def require_few_cancellations(quotas: Quotas, account: Actions, now: datetime) -> None:
    """TooManyCancellations for a booking by who has cancelled too much today. Cancelling itself is never refused."""
    # One more than the limit is too many only for what comes next, which this act is.
    count = len(account.cancelled)
    wait = _wait(account.cancelled, quotas.cancellations_per_account_per_day_max - 1, now, DAY)
    if wait is not None:
        raise TooManyCancellations(count, wait)


def require_room_to_come(
    quotas: Quotas,
    upcoming: Sequence[Upcoming],
    agendas: Mapping[str, int | None],
    specialties: frozenset[str],
    *,
    counsellor: bool,
) -> None:
    """Refused when the patient has as many appointments to come as one may.

    `agendas` are those wanted (ids) with the number that they allow themselves, None where they say nothing;
    `specialties` those of the wanted slots. A counsellor is held to what agendas say themselves.
    """
    if not counsellor:
        _require_fewer("all", len(upcoming), quotas.future_appointments_per_patient_max)
    for specialty in specialties if not counsellor else ():
        count = sum(specialty in one.specialties for one in upcoming)
        _require_fewer("specialty", count, quotas.future_appointments_per_specialty_max)
    for agenda, most in agendas.items():
        if counsellor and most is None:
            continue
        count = sum(agenda in one.agendas for one in upcoming)
        _require_fewer("agenda", count, quotas.future_appointments_per_agenda_max if most is None else most)


def require_few_requests(quotas: Quotas, waiting: int) -> None:
    """TooManyRequestsWaiting when the patient has as many as one may; `waiting` without the new one."""
    if waiting >= quotas.requests_per_patient_max:
        raise TooManyRequestsWaiting(waiting)


def require_few_patients(quotas: Quotas, registered: int) -> None:
    """TooManyPatients when an account has registered more people than one may; `registered` with the new one."""
    if registered > quotas.patients_per_account_max:
        raise TooManyPatients(quotas.patients_per_account_max)


def _require_fewer(among: Among, count: int, most: int) -> None:
    if count >= most:
        raise TooManyToCome(among, count, most)


def _wait(instants: Sequence[datetime], most: int, now: datetime, window: timedelta) -> timedelta | None:
    """How long until the oldest leaves the window, when there are more than `most`, this act included; else None."""
    return min(instants) + window - now if len(instants) > most else None
