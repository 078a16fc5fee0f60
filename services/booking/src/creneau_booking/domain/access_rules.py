"""The practice's rules on who may book an agenda online, and when (GP Connect: booking window, embargo, limits).

They bind patients. The practice and software that acts for it may go beyond: on the phone, or at the desk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from dateutil.relativedelta import relativedelta

from creneau_booking.domain.refusals.agendas import (
    AgeOutsideLimit,
    BirthDateUnknown,
    ChangeTooLate,
    NoticeTooShort,
    NotOpenYet,
)
from creneau_booking.domain.times import FIRST, LAST

MIDNIGHT = time()
DAYS_MAX = 3660
"""the longest notice or window that makes sense, days: ten years"""
AGE_YEARS_MAX = 150


@dataclass(frozen=True, slots=True)
class BookingWindow:
    """Slots of a day open `days` days before it, at `opens_at` of the agenda's local time."""

    days: int
    opens_at: time = MIDNIGHT


@dataclass(frozen=True, slots=True)
class AgeLimit:
    """Ages in completed months on the day of the appointment: from `from_months` on, below `below_months`."""

    from_months: int = 0
    below_months: int | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """The first and the last day on which a person may have been born: the same, unless the date is partial."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The rules that a practice sets. None: no rule of that kind."""

    minimum_notice: timedelta | None = None
    """elapsed time before the start, up to which a slot may be booked"""
    window: BookingWindow | None = None
    age: AgeLimit | None = None
    appointments_max: int | None = None
    """future appointments that one patient may have in the agenda"""
    change_deadline: timedelta | None = None
    """elapsed time before the start, up to which a patient may cancel or move"""
    confirmation_required: bool | None = None
    """a patient's booking waits for the practice's agreement"""
    referral_required: bool | None = None
    """a patient needs a referral"""
    known_patients_only: bool | None = None
    """new patients book by telephone"""

    def over(self, inherited: AccessRules) -> AccessRules:
        """These rules, completed with those of `inherited`."""
        return AccessRules(
            *(
                getattr(inherited, field.name)
                if getattr(self, field.name) is None
                else getattr(self, field.name)
                for field in fields(self)
            )
        )


@dataclass(frozen=True, slots=True)
class AgendaRules:
    """The rules of one agenda, in the time zone of its place."""

    schedule: str
    rules: AccessRules
    zone: tzinfo


def strictest(several: Iterable[AccessRules]) -> AccessRules:
    """The rules of several offers that share an agenda, combined: a slot is bookable only if every offer allows it."""
    everyone = tuple(several)
    windows = [rules.window for rules in everyone if rules.window is not None]
    ages = [rules.age for rules in everyone if rules.age is not None]
    below = [age.below_months for age in ages if age.below_months is not None]
    return AccessRules(
        minimum_notice=max(
            (r.minimum_notice for r in everyone if r.minimum_notice is not None), default=None
        ),
        window=min(windows, key=lambda window: (window.days, _reversed(window.opens_at)), default=None),
        age=AgeLimit(max(age.from_months for age in ages), min(below, default=None)) if ages else None,
        appointments_max=min(
            (r.appointments_max for r in everyone if r.appointments_max is not None), default=None
        ),
        change_deadline=max(
            (r.change_deadline for r in everyone if r.change_deadline is not None), default=None
        ),
        confirmation_required=any(r.confirmation_required for r in everyone) or None,
        referral_required=any(r.referral_required for r in everyone) or None,
        known_patients_only=any(r.known_patients_only for r in everyone) or None,
    )


def _reversed(moment: time) -> timedelta:
    """Orders times of a day from the latest to the earliest."""
    return -timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)


def local_instant(day: date, moment: time, zone: tzinfo) -> datetime:
    """The instant of a local time: the later one where the clock shows it twice, shifted forward where the clock skips it.

    PostgreSQL's `AT TIME ZONE` does the same. In UTC, because Python compares two times of one zone by local time.
    A time outside the calendar becomes its first or last moment.
    """
    wall = datetime.combine(day, moment, zone)
    try:
        return max(wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC))
    except OverflowError:
        return LAST if day.year == date.max.year else FIRST


def opens(window: BookingWindow, start: datetime, zone: tzinfo) -> datetime:
    """When a slot that starts at `start` may first be booked."""
    day = start.astimezone(zone).date() - timedelta(days=window.days)
    return local_instant(day, window.opens_at, zone)


def months_later(day: date, months: int) -> date:
    """The same day `months` months later, or the last day of a shorter month; `date.max` where the calendar ends before."""
    try:
        return day + relativedelta(months=months)
    except ValueError:
        return date.max


def fits(age: AgeLimit, birth: Birth, day: date) -> bool:
    """Whether a person with this birth date may be of the required age on `day`."""
    old_enough = months_later(birth.first, age.from_months) <= day
    return old_enough and (age.below_months is None or day < months_later(birth.last, age.below_months))


def require_open(
    agenda: AgendaRules, start: datetime, now: datetime, *, begins: datetime | None = None
) -> None:
    """Refuses a slot that starts at `start` if it is not open to patients yet, or no longer. `begins`: when the part of it
    begins that the visit takes (None: with the slot), which has the notice; the window is that of the slot's day."""
    window, notice = agenda.rules.window, agenda.rules.minimum_notice
    if window is not None and now < (opening := opens(window, start, agenda.zone)):
        raise NotOpenYet(window.days, start, opening, agenda.zone)
    begins = begins or start
    if notice is not None and begins - now < notice:
        raise NoticeTooShort(notice, begins, agenda.zone)


def require_age(agenda: AgendaRules, birth: Birth | None, start: datetime) -> None:
    """Refuses a patient whose age the agenda does not take, or whose birth date is unknown."""
    age = agenda.rules.age
    if age is None:
        return
    if birth is None:
        raise BirthDateUnknown(age.from_months, age.below_months)
    if not fits(age, birth, start.astimezone(agenda.zone).date()):
        raise AgeOutsideLimit(age.from_months, age.below_months)


def require_changeable(agenda: AgendaRules, start: datetime, now: datetime) -> None:
    """Raises ChangeTooLate if a patient can no longer cancel or move an appointment that starts at `start`."""
    deadline = agenda.rules.change_deadline
    if deadline is not None and start - now < deadline:
        raise ChangeTooLate(deadline, start, agenda.zone)
