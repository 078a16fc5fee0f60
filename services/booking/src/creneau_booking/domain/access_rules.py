"""The practice's rules on who may book an agenda online, and when (GP Connect: booking window, embargo, limits).

They bind patients. The practice and software that acts for it may go beyond: on the phone, or at the desk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from dateutil.relativedelta import relativedelta

from creneau_booking.domain.refusals import local, months_in_words, time_in_words
from creneau_shared.errors import Unprocessable

MIDNIGHT = time()


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
    """What a practice demands. None: it demands nothing of the kind."""

    minimum_notice: timedelta | None = None
    """elapsed time before the start, up to which a slot may be booked"""
    window: BookingWindow | None = None
    age: AgeLimit | None = None
    appointments_max: int | None = None
    """future appointments that one patient may have in the agenda"""
    change_deadline: timedelta | None = None
    """elapsed time before the start, up to which a patient may cancel or move"""

    def over(self, inherited: AccessRules) -> AccessRules:
        """These rules, and those of `inherited` where nothing is said."""
        return AccessRules(
            *(
                getattr(inherited, field.name)
                if getattr(self, field.name) is None
                else getattr(self, field.name)
                for field in fields(self)
            )
        )


NO_RULES = AccessRules()


@dataclass(frozen=True, slots=True)
class AgendaRules:
    """The rules of one agenda, in the time zone of its place."""

    schedule: str
    rules: AccessRules
    zone: tzinfo


def strictest(several: Iterable[AccessRules]) -> AccessRules:
    """What is bookable only if each of them allows it: of several offers that share an agenda."""
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
    )


def _reversed(moment: time) -> timedelta:
    """Orders times of a day from the latest to the earliest."""
    return -timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)


def local_instant(day: date, moment: time, zone: tzinfo) -> datetime:
    """The instant of a local time: the later one where the clock shows it twice, shifted on where it leaps over it.

    PostgreSQL's `AT TIME ZONE` reads local times so, too. In UTC: Python compares times of one zone by their faces.
    """
    wall = datetime.combine(day, moment, zone)
    return max(wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC))


def opens(window: BookingWindow, start: datetime, zone: tzinfo) -> datetime:
    """When a slot that starts at `start` may first be booked."""
    day = start.astimezone(zone).date() - timedelta(days=window.days)
    return local_instant(day, window.opens_at, zone)


def months_later(day: date, months: int) -> date:
    """The same day `months` months later, or the last of that month when it is shorter."""
    return day + relativedelta(months=months)


def fits(age: AgeLimit, birth: Birth, day: date) -> bool:
    """Whether a person born then may be of the age that is asked for on `day`."""
    old_enough = months_later(birth.first, age.from_months) <= day
    return old_enough and (age.below_months is None or day < months_later(birth.last, age.below_months))


def require_open(agenda: AgendaRules, start: datetime, now: datetime) -> None:
    """Unprocessable when a slot that starts at `start` is not open to patients yet, or no longer."""
    window, notice = agenda.rules.window, agenda.rules.minimum_notice
    if window is not None and now < (opening := opens(window, start, agenda.zone)):
        days_fr, days_en = time_in_words(timedelta(days=window.days))
        raise _refusal(
            "not-open-yet",
            f"Cet agenda s'ouvre {days_fr} à l'avance : le créneau du {local(start, agenda.zone)} pourra être réservé"
            f" à partir du {local(opening, agenda.zone)}.",
            f"This agenda opens {days_en} ahead: the slot of {local(start, agenda.zone)} can be booked from"
            f" {local(opening, agenda.zone)} on.",
            diagnostics=f"bookable from {opening.isoformat()}",
        )
    if notice is not None and start - now < notice:
        time_fr, time_en = time_in_words(notice)
        raise _refusal(
            "notice-too-short",
            f"Cet agenda se réserve en ligne au plus tard {time_fr} à l'avance : le créneau du"
            f" {local(start, agenda.zone)} ne peut plus être réservé ainsi. Choisissez-en un autre, ou appelez le cabinet.",
            f"This agenda is booked online {time_en} ahead at the latest: the slot of {local(start, agenda.zone)} can no"
            " longer be booked so. Choose another one, or call the practice.",
            diagnostics=f"bookable until {(start - notice).isoformat()}",
        )


def require_age(agenda: AgendaRules, birth: Birth | None, start: datetime) -> None:
    """Unprocessable when the agenda does not take people of the patient's age, or the age is not known."""
    age = agenda.rules.age
    if age is None:
        return
    whom_fr, whom_en = _ages_in_words(age)
    if birth is None:
        raise _refusal(
            "birthdate-unknown",
            f"Cet agenda reçoit les patients {whom_fr} : indiquez la date de naissance du patient (Patient.birthDate).",
            f"This agenda takes patients {whom_en}: give the patient's date of birth (Patient.birthDate).",
            expression="Appointment.participant",
        )
    if not fits(age, birth, start.astimezone(agenda.zone).date()):
        raise _refusal(
            "age-outside-limit",
            f"Cet agenda reçoit les patients {whom_fr} au jour du rendez-vous.",
            f"This agenda takes patients {whom_en} on the day of the appointment.",
            expression="Appointment.participant",
        )


def require_changeable(agenda: AgendaRules, start: datetime, now: datetime) -> None:
    """Unprocessable when it is too late for a patient to cancel or move an appointment that starts at `start`."""
    deadline = agenda.rules.change_deadline
    if deadline is not None and start - now < deadline:
        time_fr, time_en = time_in_words(deadline)
        raise _refusal(
            "change-too-late",
            f"Ce rendez-vous s'annule ou se déplace en ligne jusqu'à {time_fr} avant son début"
            f" ({local(start, agenda.zone)}) : appelez le cabinet.",
            f"This appointment can be cancelled or moved online until {time_en} before it starts"
            f" ({local(start, agenda.zone)}): call the practice.",
            expression="Appointment.status",
            diagnostics=f"changeable until {(start - deadline).isoformat()}",
        )


def _ages_in_words(age: AgeLimit) -> tuple[str, str]:
    from_fr, from_en = months_in_words(age.from_months)
    if age.below_months is None:
        return f"à partir de {from_fr}", f"from the age of {from_en} on"
    below_fr, below_en = months_in_words(age.below_months)
    if age.from_months == 0:
        return f"de moins de {below_fr}", f"younger than {below_en}"
    return f"de {from_fr} à moins de {below_fr}", f"from {from_en} to less than {below_en}"


def _refusal(
    details_code: str,
    fr: str,
    en: str,
    *,
    expression: str = "Appointment.slot",
    diagnostics: str | None = None,
) -> Unprocessable:
    return Unprocessable(fr, en, expression=expression, details_code=details_code, diagnostics=diagnostics)
