"""How much one patient, one account or one counsellor may book: limits that a person understands.

They bind callers who act as a patient. Practices, which see the person, are not limited. A counsellor, who books for many
people, has an hourly limit, and the limits that agendas state themselves.
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
    TooManyChanges,
    TooManyHoldsBegun,
    TooManyPatients,
    TooManyRequestsWaiting,
    TooManyToCome,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONTH = timedelta(days=30)

ActionKind = Literal["booked", "held", "cancelled", "registered", "asked"]
"""The counted actions: an appointment booked or moved, a hold begun, an appointment cancelled after it was booked, a person
registered. `asked` is not counted; it only waits its turn."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits; each is a setting of the same name."""

    future_appointments_per_patient_max: int
    future_appointments_per_specialty_max: int
    future_appointments_per_agenda_max: int
    """unless the agenda states its own number"""
    bookings_per_account_per_hour_max: int
    bookings_per_patient_per_hour_max: int
    bookings_per_counsellor_per_hour_max: int
    holds_begun_per_account_per_hour_max: int
    cancellations_per_account_per_day_max: int
    requests_per_patient_max: int
    requests_per_account_max: int
    patients_per_account_max: int
    patient_changes_per_day_max: int
    adjacent_slots_max: int
    """unless the agenda states its own number"""

    @property
    def future_least(self) -> int:
        """With fewer appointments to come than this, none of their default limits is reached."""
        return min(
            self.future_appointments_per_patient_max,
            self.future_appointments_per_specialty_max,
            self.future_appointments_per_agenda_max,
        )


@dataclass(frozen=True, slots=True)
class Actions:
    """The recent actions of one account or patient: their instants in the last hour (cancelled: the last day; registered:
    the last thirty days)."""

    booked: Sequence[datetime] = ()
    held: Sequence[datetime] = ()
    cancelled: Sequence[datetime] = ()
    registered: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True)
class Upcoming:
    """One appointment to come: its agendas (ids) and the specialities of its slots (`system|code`)."""

    agendas: frozenset[str]
    specialties: frozenset[str]


def require_rate(
    quotas: Quotas, account: Actions, patient: Actions, now: datetime, *, counsellor: bool
) -> None:
    """Refuses an action, counted already, that is one too many for its account or its patient."""
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
    """Raises TooManyCancellations if an account that books has cancelled too much in a day. Cancelling is never refused."""
    # This booking comes after the cancellations and is not among them: hence the limit minus one.
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
    """Refuses a further appointment if the patient has the maximum to come.

    `agendas` are the wanted agendas (ids) with their own maximum, None if they state none; `specialties` are those of the
    wanted slots. Only the agendas' own maximum binds a counsellor.
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


def require_few_requests(quotas: Quotas, of_patient: int, of_account: int) -> None:
    """Raises TooManyRequestsWaiting if the patient, or all the people together for whom the account acts, have the maximum of
    requests; neither number includes the new one."""
    if of_patient >= quotas.requests_per_patient_max:
        raise TooManyRequestsWaiting("patient", of_patient)
    if of_account >= quotas.requests_per_account_max:
        raise TooManyRequestsWaiting("account", of_account)


def require_few_patients(quotas: Quotas, linked: int, account: Actions) -> None:
    """Raises TooManyPatients if an account has more people than the maximum (`linked`), or has registered more lately, whether
    it still acts for them or not. Both numbers include the new one."""
    if max(linked, len(account.registered)) > quotas.patients_per_account_max:
        raise TooManyPatients(quotas.patients_per_account_max)


def require_few_changes(quotas: Quotas, superseded: Sequence[datetime], now: datetime) -> None:
    """Raises TooManyChanges if an account changes a Patient of which more versions than the maximum were superseded in the
    last day, by whomever (`superseded`: when; this change included): each is kept, however large."""
    most = quotas.patient_changes_per_day_max
    if (wait := _wait(superseded, most, now, DAY)) is not None:
        raise TooManyChanges(most, wait)


def _require_fewer(among: Among, count: int, most: int) -> None:
    if count >= most:
        raise TooManyToCome(among, count, most)


def _wait(instants: Sequence[datetime], most: int, now: datetime, window: timedelta) -> timedelta | None:
    """The time until the oldest instant leaves the window, if there are more than `most`; else None."""
    return min(instants) + window - now if len(instants) > most else None
