"""Turns an event into the messages it calls for. Planning the same event twice gives the same messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from creneau_notifications.domain.appointment import Appointment, AppointmentEvent, Change
from creneau_notifications.domain.rules import ChannelRules

MESSAGES = UUID("6f0d3f0e-5b0c-5d43-9a53-0f5f1c1f7a11")
"""Namespace of message ids: never changes, or every message would be planned anew."""

NOTICE_LIFE = timedelta(hours=72)
"""A confirmation that could not be delivered for three days tells nothing that the patient does not know."""


class Kind(StrEnum):
    """What a message says."""

    CONFIRMATION = "confirmation"
    CHANGE = "change"
    CANCELLATION = "cancellation"
    REMINDER = "reminder"
    OFFER = "offer"
    PROPOSAL = "proposal"


ASKING = frozenset({Kind.OFFER, Kind.PROPOSAL})
"""what waits for an answer"""
ANSWERABLE = frozenset({"pending", "booked"})
"""statuses that allow a proposal of time"""
BEFORE_BOOKING = frozenset({"proposed", "pending", "waitlist"})
"""statuses of a visit that has not been booked yet, or has to be agreed to again"""
NOTICES = frozenset({Kind.CONFIRMATION, Kind.CHANGE, Kind.CANCELLATION})
"""kinds that tell at once what happened"""
OF_SEVERAL = NOTICES
"""kinds that tell of a whole series; a reminder is of one visit"""


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """One message to one recipient. `rule` names the reminder rule; it is empty for other kinds."""

    id: UUID
    appointment: str
    recipient: str
    kind: Kind
    rule: str
    channel: str
    due_at: datetime
    expires_at: datetime
    """from this instant on the message is of no use and must not leave"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: withdraw what is still pending of these kinds for the appointment, then keep these messages.

    `supersedes`: messages now say something else of the appointment.
    """

    supersedes: bool
    withdraws: frozenset[Kind] = frozenset()
    messages: tuple[PlannedMessage, ...] = ()
    leavers: frozenset[str] = frozenset()
    """patients who left a visit that others keep: all that is pending for them is withdrawn"""


def message_id(event: str, kind: Kind, rule: str, recipient: str, channel: str) -> UUID:
    """The id that makes planning repeatable."""
    return uuid5(MESSAGES, "\n".join((event, kind, rule, recipient, channel)))


def plan(
    event: AppointmentEvent,
    *,
    known: Appointment | None,
    now: datetime,
    zone: ZoneInfo,
    channels: Mapping[str, ChannelRules],
    leaves: bool = False,
    to: str | None = None,
    basis: AppointmentEvent | None = None,
) -> Plan:
    """The plan for `event`, for one recipient: `to`, of several patients.

    `known`: the last version of the appointment seen before. `basis`: the event that its pending messages tell of. `zone`:
    of the place. `channels`: those that can be planned for this recipient, with their rules. `leaves`: the recipient was
    erased, and is told of cancellations alone. Messages that are useless at `now` are left out.
    """
    supersedes = _is_told_anew(event, known)
    to = to or event.appointment.patient
    event_to = event if to is None else event.told_to(to)
    kinds = () if event.told_elsewhere else tuple(_told_at_once(event, known, to))
    messages = [message for kind in kinds for message in _notices(event_to, kind, channels)]
    reminded_by = event_to if supersedes else _joined(event_to, known, basis)
    if reminded_by is not None and event.appointment.status == "booked":
        messages += reminders(reminded_by, now=now, zone=zone, channels=channels)
    if event.appointment.hidden:
        messages = []
    return Plan(
        supersedes=supersedes,
        withdraws=_withdrawn(event, known, supersedes=supersedes),
        messages=tuple(
            m for m in messages if now < m.expires_at and (not leaves or m.kind is Kind.CANCELLATION)
        ),
        leavers=frozenset() if known is None or supersedes else _leavers(event.appointment, known),
    )


def reminders(
    event: AppointmentEvent,
    *,
    now: datetime,
    zone: ZoneInfo,
    channels: Mapping[str, ChannelRules],
) -> list[PlannedMessage]:
    """The reminders that lie ahead of `now`, for an appointment that `event` made or changed."""
    appointment = event.appointment
    if appointment.patient is None or appointment.hidden:
        return []
    found = []
    for channel, rule in ((name, rule) for name, rules in channels.items() for rule in rules.reminders):
        due = rule.due(appointment.start, zone)
        booked_ahead = appointment.start - event.time
        if booked_ahead > rule.booked_ahead_min and due > max(now, event.time):
            message = _message(event, appointment.patient, Kind.REMINDER, channel, rule.name)
            found.append(replace(message, due_at=due, expires_at=appointment.start))
    return found


def _notices(
    event: AppointmentEvent, kind: Kind, channels: Mapping[str, ChannelRules]
) -> list[PlannedMessage]:
    patient = event.appointment.patient
    if patient is None:
        return []
    told_by = [name for name, rules in channels.items() if rules.notices or (rules.offers and kind in ASKING)]
    return [_message(event, patient, kind, name) for name in told_by]


def _message(
    event: AppointmentEvent, recipient: str, kind: Kind, channel: str, rule: str = ""
) -> PlannedMessage:
    return PlannedMessage(
        id=message_id(event.id, kind, rule, recipient, channel),
        appointment=event.appointment.id,
        recipient=recipient,
        kind=kind,
        rule=rule,
        channel=channel,
        due_at=event.time,
        expires_at=event.held_until or _useless_from(event, kind),
    )


def _useless_from(event: AppointmentEvent, kind: Kind) -> datetime:
    """Returns the moment after which the message helps nobody: the end of the visit (of a series the last one), and at the
    most NOTICE_LIFE after the event. News of a change or a cancellation helps until the last of the times before and after:
    whoever has not had it goes to where nobody waits for them."""
    end = max([event.appointment.end, *(o.end for o in event.together)])
    if kind in (Kind.CHANGE, Kind.CANCELLATION):
        return max(end, *event.moments)
    return min(end, event.time + NOTICE_LIFE)


def _joined(
    event: AppointmentEvent, known: Appointment | None, basis: AppointmentEvent | None
) -> AppointmentEvent | None:
    """Returns the event by which the reminders of a patient are planned who joins a visit: `basis`, the one that the others
    were told, about this patient. None if nobody was told yet, or the patient was in the visit before (`known`)."""
    if known is None or basis is None or event.appointment.patient in known.patients:
        return None
    return replace(basis, appointment=event.appointment)


def _leavers(after: Appointment, known: Appointment) -> frozenset[str]:
    return frozenset(known.patients) - frozenset(after.patients)


def _told_at_once(event: AppointmentEvent, known: Appointment | None, to: str | None) -> Iterator[Kind]:
    """What to tell at once: the news of the visit itself, too, where another time is proposed with it. The proposal may be
    taken back before it has left."""
    kind = _notice_kind(event, known, to)
    if kind is not None:
        yield kind
    if _is_asked_anew(event, known, to):
        yield Kind.PROPOSAL


def _notice_kind(event: AppointmentEvent, known: Appointment | None, to: str | None) -> Kind | None:
    """What to tell of the visit itself. A hold that lapses was never announced, so its end is not either."""
    match event.change:
        case Change.BOOKED:
            return Kind.CONFIRMATION
        case Change.MOVED:
            return Kind.CONFIRMATION if _is_first_heard(event.appointment, known, to) else Kind.CHANGE
        case Change.CANCELLED:
            return Kind.CANCELLATION if _is_end_told(event, known) else None
        case Change.UPDATED:
            if _is_first_heard(event.appointment, known, to):
                return Kind.CONFIRMATION
            stood = known is not None and known.status == event.appointment.status == "booked"
            return Kind.CHANGE if stood and known and _is_otherwise(event.appointment, known) else None
        case Change.OFFERED:
            return Kind.OFFER
        case Change.HELD | Change.HOLD_EXPIRED:
            return None


def _is_first_heard(after: Appointment, known: Appointment | None, to: str | None) -> bool:
    """Whether `to` was told nothing of the visit that is booked for them: it was another's, or the event of its booking was
    not heard of (buried, or behind)."""
    if known is None or after.status != "booked":
        return False
    return known.status in BEFORE_BOOKING or (known.status == "booked" and to not in known.patients)


def _is_end_told(event: AppointmentEvent, known: Appointment | None) -> bool:
    """Whether a cancellation is told. The first rule wins. Never once the record has ended (nobody writes to the dead, even
    if their contact arrives after their visits). Always if it was booked. A request, only if the patient did not withdraw
    it. A hold, never."""
    if event.record_ended:
        return False
    if event.was_booked:
        return True
    if event.awaited:
        return event.cancelled_by != "patient"
    return known is None or known.status != "pending"


def _is_told_anew(event: AppointmentEvent, known: Appointment | None) -> bool:
    """Whether messages now say something else of the appointment. A new hold has no messages; an update may change nothing
    that they say."""
    if known is None:
        return event.change is not Change.HELD
    same = known.status == event.appointment.status and not _is_otherwise(event.appointment, known)
    return event.change is not Change.UPDATED or not same


def _withdrawn(event: AppointmentEvent, known: Appointment | None, *, supersedes: bool) -> frozenset[Kind]:
    """Returns the kinds whose waiting messages are withdrawn. If the event replaces what was told (`supersedes`): all, but
    not a proposal whose time is proposed still. Otherwise only a proposal that has ended."""
    stands = known is not None and _is_still_proposed(known, event.appointment)
    if supersedes:
        return frozenset(Kind) - {Kind.PROPOSAL} if stands else frozenset(Kind)
    was_proposed = known is not None and known.proposed is not None
    return frozenset({Kind.PROPOSAL}) if was_proposed and not stands else frozenset()


def _is_still_proposed(known: Appointment, after: Appointment) -> bool:
    same = known.proposed == after.proposed and after.stays_with(known)
    return same and after.proposed is not None and after.status in ANSWERABLE and not after.hidden


def _is_asked_anew(event: AppointmentEvent, known: Appointment | None, to: str | None) -> bool:
    """Whether the practice proposes a time that the last version did not propose, or not to this person: their record may
    have replaced another."""
    after = event.appointment
    asked = event.change in (Change.UPDATED, Change.HELD) and after.status in ANSWERABLE
    heard = known is not None and known.proposed == after.proposed and to in known.patients
    return asked and after.proposed is not None and not heard


def _is_otherwise(after: Appointment, known: Appointment) -> bool:
    """Whether messages now say something else, or to other patients only."""
    return _told(known) != _told(after) or not after.stays_with(known)


def _told(appointment: Appointment) -> tuple[object, ...]:
    """What a message tells of the appointment: when, who and where, how; and whether it tells anybody."""
    return (
        appointment.start,
        appointment.end,
        frozenset(appointment.actors),
        appointment.mode,
        appointment.hidden,
    )
