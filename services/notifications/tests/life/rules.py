"""The rules of telling, each in a few lines that know nothing of the code: what is news, when one is reminded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.notifications.tests.life.facts import STANDS_ASKED, Channel, Heard, Owed, Person, Said

NOTICE_LIFE = timedelta(hours=72)
REMINDERS: dict[str, tuple[Channel, timedelta, timedelta, timedelta]] = {
    "7-days": ("email", timedelta(days=7), timedelta(0), timedelta(days=10)),
    "2-days": ("email", timedelta(days=2), timedelta(0), timedelta(days=3)),
    "2-hours": ("sms", timedelta(0), timedelta(hours=2), timedelta(hours=6)),
}
"""by name: how, how many days of the calendar and hours before, and how long ahead one must have known of the visit"""
ASKING = ("offer", "proposal")
NEWS = ("confirmation", "change", "cancellation")
LANDLINE = "+33199000001"
NO_ADDRESSES = ("pas une adresse", "12")


def useless_from(kind: str, ends: Iterable[datetime], before: datetime | None, told_at: datetime) -> datetime:
    """A move or a cancellation helps whoever would go there, at the new time or the one before; other news for three days."""
    if kind in ("change", "cancellation"):
        return max([*ends, *([before] if before is not None else [])])
    return min(max(ends), told_at + NOTICE_LIFE)


def is_civil(instant: datetime, zone: ZoneInfo) -> bool:
    return 8 <= instant.astimezone(zone).hour < 20


def morning(instant: datetime, zone: ZoneInfo) -> datetime:
    """When next nobody sleeps: at once by day."""
    while not is_civil(instant, zone):
        instant = (instant + timedelta(minutes=1)).replace(second=0, microsecond=0)
    return instant


def reminders(visit: Heard, zone: ZoneInfo) -> Iterator[tuple[str, Channel, datetime]]:
    """Those of a visit: name, channel and when, at an hour at which nobody sleeps."""
    for name, (channel, days, before, ahead) in REMINDERS.items():
        if visit.start - visit.told_at > ahead:
            local = visit.start.astimezone(zone) - days
            due = local.astimezone(UTC) - before
            if not is_civil(due, zone):
                shown = due.astimezone(zone)
                evening = shown.date() - timedelta(days=1 if shown.hour < 8 else 0)
                due = datetime.combine(evening, time(19, 30), zone).astimezone(UTC)
            yield name, channel, due


def takes_texts(person: Person | None) -> bool:
    """Whether text messages are planned; of what is no number it is then seen that nothing can be sent to it."""
    return person is not None and person.phone not in (None, LANDLINE)


def way(one: Owed, person: Person | None) -> Channel:
    """By which a message leaves: what is told at once by text to whoever has no e-mail address that serves, unless another
    channel repeats it: of whom nothing was known a question is planned by e-mail alone."""
    if person is None or one.kind == "reminder" or one.beside or one.channel != "email":
        return one.channel
    has_mobile = takes_texts(person) and person.phone not in NO_ADDRESSES
    return "sms" if person.email in (None, *NO_ADDRESSES) and has_mobile else "email"


def may_wake(starts: Iterable[datetime], now: datetime, zone: ZoneInfo) -> bool:
    """Whether news of visits at these times cannot wait for the morning: one is by noon."""
    return any(now <= start < morning(now, zone) + timedelta(hours=4) for start in starts)


def is_anew(before: Heard | None, after: Heard, change: str) -> bool:
    """Whether the visit is another one for whoever was told of it, so that what was to be told is not right any more."""
    if change == "held":
        return before is not None
    return change != "updated" or before is None or (before.status, before.told) != (after.status, after.told)


def stays_proposed(before: Heard | None, after: Heard) -> bool:
    """Whether the time that the practice proposed is still to be answered."""
    asked = after.proposed is not None and not _is_asked_anew(before, after)
    return asked and after.status in STANDS_ASKED and not after.hidden


def _is_asked_anew(before: Heard | None, after: Heard) -> bool:
    return before is None or (before.patient, before.proposed) != (after.patient, after.proposed)


def news(before: Heard | None, after: Heard, said: Said) -> Iterator[str]:
    """What the patient is told at once: of the visit, and that another time is proposed."""
    kind = _of_visit(before, after, said)
    if kind is not None:
        yield kind
    proposed = after.proposed is not None and _is_asked_anew(before, after)
    if said.change in ("held", "updated") and proposed and after.status in STANDS_ASKED:
        yield "proposal"


def _of_visit(before: Heard | None, after: Heard, said: Said) -> str | None:
    if said.change == "cancelled":
        return _end(before, after, said)
    if said.change in ("updated", "moved") and _is_new_to_them(before, after):
        return "confirmation"
    if said.change == "updated":
        stood = before is not None and before.status == after.status == "booked"
        return "change" if stood and before is not None and before.told != after.told else None
    return {"booked": "confirmation", "moved": "change", "offered": "offer"}.get(said.change)


def _is_new_to_them(before: Heard | None, after: Heard) -> bool:
    """Whether it is booked for somebody who knows nothing of that: it was another's, or its booking was not heard of."""
    if before is None or after.status != "booked":
        return False
    return before.status in ("pending", "waitlist") or (
        before.status == "booked" and before.patient != after.patient
    )


def is_in_calendar(before: Heard | None, after: Heard) -> bool:
    """Whether the person has an entry of what the visit was before."""
    if before is None or before.patient != after.patient:
        return False
    return before.status == "booked" or (before.status == "pending" and before.in_calendar)


def _end(before: Heard | None, after: Heard, said: Said) -> str | None:
    """A hold that nobody was told of ends unsaid, and so does what the patient asked for and takes back themselves; but what
    is in their calendar is taken off it. Nobody writes to the dead."""
    if said.data["cancellation"].get("recordEnded"):
        return None
    if after.in_calendar:
        return "cancellation"
    if said.data.get("awaits") == "practice":
        return None if said.data["cancellation"]["by"] == "patient" else "cancellation"
    return None if before is not None and before.status == "pending" else "cancellation"
