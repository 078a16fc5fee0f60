"""The refusals that a rival or a busy person causes: Conflict (409), naming the slot or the person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo

from creneau_booking.domain.appointment import SlotFact
from creneau_shared.clock import PARIS
from creneau_shared.errors import Conflict


def taken(slot: SlotFact) -> Conflict:
    """The refusal that the slower of two rivals gets."""
    held = slot.status == "busy-tentative"
    return Conflict(
        f"Le créneau du {when(slot.start)} (Slot/{slot.id}) "
        + ("est en cours de réservation par quelqu'un d'autre." if held else "vient d'être pris.")
        + " Choisissez-en un autre.",
        f"The slot of {when(slot.start)} (Slot/{slot.id}) "
        + ("is being booked by someone else." if held else "has just been taken.")
        + " Choose another one.",
        code="conflict",
        expression="Appointment.slot",
        details_code="slot-held" if held else "slot-taken",
        diagnostics=f"Slot/{slot.id} is {slot.status}",
    )


def occupied(actors: Iterable[str], start: datetime) -> Conflict:
    """The refusal when a person or a device is already taken at that time, perhaps through another agenda."""
    names = ", ".join(sorted(actors))
    return Conflict(
        f"{names} a déjà un rendez-vous à cette heure ({when(start)}). Choisissez un autre créneau.",
        f"{names} already has an appointment at that time ({when(start)}). Choose another slot.",
        code="conflict",
        expression="Appointment.participant",
        details_code="actor-occupied",
        diagnostics=names,
    )


def require_no_visits(resource_type: str, id_: str, visits: Sequence[str]) -> None:
    """Conflict when what is to be deleted has appointments (ids) to come, naming the first."""
    if not visits:
        return
    first, count = f"Appointment/{visits[0]}", len(visits)
    raise Conflict(
        f"{resource_type}/{id_} a {count} rendez-vous à venir ({first}) : annulez-les ou déplacez-les d'abord.",
        f"{resource_type}/{id_} has {count} appointment{'s' if count > 1 else ''} to come ({first}): cancel or move first.",
        code="conflict",
        expression=resource_type,
        details_code="visits-to-come",
    )


def when(moment: datetime) -> str:
    """An instant as a sentence says it: in the zone that a date without one means here."""
    return f"{moment.astimezone(PARIS):%Y-%m-%d %H:%M} (Europe/Paris)"


def local(moment: datetime, zone: tzinfo) -> str:
    """An instant as the clocks of its place show it, and which place that is."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M} ({zone})"


def time_in_words(duration: timedelta) -> tuple[str, str]:
    """A duration in French and in English, in the largest unit that it is a whole number of."""
    minutes = int(duration.total_seconds()) // 60
    for unit, fr, en in ((1440, "jour", "day"), (60, "heure", "hour")):
        if minutes >= unit and minutes % unit == 0:
            return counted(minutes // unit, fr, en)
    return counted(minutes, "minute", "minute")


def months_in_words(months: int) -> tuple[str, str]:
    """An age in French and in English: years, and months where they are not whole."""
    years, rest = divmod(months, 12)
    years_fr, years_en = counted(years, "an", "year")
    if not rest:
        return years_fr, years_en
    rest_en = counted(rest, "mois", "month")[1]
    return (f"{years_fr} et {rest} mois", f"{years_en} and {rest_en}") if years else (f"{rest} mois", rest_en)


def counted(number: int, fr: str, en: str, en_plural: str | None = None) -> tuple[str, str]:
    """`1 jour`, `2 jours`, `2 rendez-vous`; in French zero is singular."""
    several_fr = fr if fr.endswith("s") else f"{fr}s"
    several_en = en_plural or f"{en}s"
    return f"{number} {several_fr if number > 1 else fr}", f"{number} {several_en if number != 1 else en}"
