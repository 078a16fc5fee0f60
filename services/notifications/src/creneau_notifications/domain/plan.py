"""From an event to the messages that it calls for. Planning the same event twice gives the same messages."""

from __future__ import annotations

from collections.abc import Mapping
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
"""in which status another time is proposed"""
NOTICES = frozenset({Kind.CONFIRMATION, Kind.CHANGE, Kind.CANCELLATION})
"""what tells at once of what has happened"""
OF_SEVERAL = NOTICES
"""what is told of a series as a whole; a reminder is of one visit"""


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

    `supersedes`: what messages say of the appointment is another thing since.
    """

    supersedes: bool
    withdraws: frozenset[Kind] = frozenset()
    messages: tuple[PlannedMessage, ...] = ()
    leavers: frozenset[str] = frozenset()
    """whose visit it is no more while it stays that of others: all that is pending for them is withdrawn"""


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
    """The plan for `event`, as far as one recipient is concerned: `to`, of several patients.

    `known` is the last version of the appointment seen before, `basis` the event that its pending messages tell of; `zone`
    is the place's; `channels` are those by which this recipient can be planned for, with their rules; `leaves`: they were
    erased, and are told of cancellations alone. What is already useless at `now` is left out.
    """
    supersedes = _is_told_anew(event, known)
    to = to or event.appointment.patient
    event_to = event if to is None else event.told_to(to)
    kind = None if event.told_elsewhere else _notice_kind(event, known, to)
    messages = _notices(event_to, kind, channels) if kind is not None else []
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
        expires_at=event.held_until
        or min(max([event.appointment.end, *(o.end for o in event.together)]), event.time + NOTICE_LIFE),
    )


def _joined(
    event: AppointmentEvent, known: Appointment | None, basis: AppointmentEvent | None
) -> AppointmentEvent | None:
    """The event to remind somebody of who joins a visit of others that stays as it is: what the others were told."""
    if known is None or basis is None or event.appointment.patient in known.patients:
        return None
    return replace(basis, appointment=event.appointment)


def _leavers(after: Appointment, known: Appointment) -> frozenset[str]:
    return frozenset(known.patients) - frozenset(after.patients)


def _notice_kind(event: AppointmentEvent, known: Appointment | None, to: str | None) -> Kind | None:
    """What to tell at once. A hold that lapses was never announced, so its end is not either."""
    if _is_asked_anew(event, known, to):
        return Kind.PROPOSAL
    match event.change:
        case Change.BOOKED:
            return Kind.CONFIRMATION
        case Change.MOVED:
            return Kind.CHANGE
        case Change.CANCELLED:
            return Kind.CANCELLATION if _is_end_told(event, known) else None
        case Change.UPDATED:
            if known is None or not known.status == event.appointment.status == "booked":
                return None
            if _is_otherwise(event.appointment, known):
                return Kind.CHANGE
            return Kind.CONFIRMATION if to not in known.patients else None
        case Change.OFFERED:
            return Kind.OFFER
        case Change.HELD | Change.HOLD_EXPIRED:
            return None


def _is_end_told(event: AppointmentEvent, known: Appointment | None) -> bool:
    """Whether a cancellation is told; the first rule wins: never once the record has ended (nobody writes to the dead, even
    if their contact is heard of after their visits); always if it was booked; a request only if the patient did not withdraw
    it themselves; a hold never."""
    if event.record_ended:
        return False
    if event.was_booked:
        return True
    if event.awaited:
        return event.cancelled_by != "patient"
    return known is None or known.status != "pending"


def _is_told_anew(event: AppointmentEvent, known: Appointment | None) -> bool:
    """Whether what messages say of the appointment is another thing since: a hold that is new has none, an update may touch
    nothing that they say."""
    if known is None:
        return event.change is not Change.HELD
    same = known.status == event.appointment.status and not _is_otherwise(event.appointment, known)
    return event.change is not Change.UPDATED or not same


def _withdrawn(event: AppointmentEvent, known: Appointment | None, *, supersedes: bool) -> frozenset[Kind]:
    """What is not to be told any more. A time that is still proposed goes on waiting for its answer, and one that is
    proposed no more takes nothing with it."""
    stands = known is not None and _is_still_proposed(known, event.appointment)
    if supersedes:
        return frozenset(Kind) - {Kind.PROPOSAL} if stands else frozenset(Kind)
    was_proposed = known is not None and known.proposed is not None
    return frozenset({Kind.PROPOSAL}) if was_proposed and not stands else frozenset()


def _is_still_proposed(known: Appointment, after: Appointment) -> bool:
    same = known.proposed == after.proposed and after.stays_with(known)
    return same and after.proposed is not None and after.status in ANSWERABLE and not after.hidden


def _is_asked_anew(event: AppointmentEvent, known: Appointment | None, to: str | None) -> bool:
    """Whether the practice proposes a time that the last version did not, or not to this person: another record may have
    taken the place of theirs."""
    after = event.appointment
    asked = event.change in (Change.UPDATED, Change.HELD) and after.status in ANSWERABLE
    heard = known is not None and known.proposed == after.proposed and to in known.patients
    return asked and after.proposed is not None and not heard


def _is_otherwise(after: Appointment, known: Appointment) -> bool:
    """Whether messages say another thing of it since, or to others alone."""
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
