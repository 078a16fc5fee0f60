"""Which channels there are."""

from __future__ import annotations

from collections.abc import Mapping

from creneau_notifications.channels.channel import Channel
from creneau_notifications.channels.email.channel import EmailChannel
from creneau_notifications.channels.email.notes import EmailNotes
from creneau_notifications.channels.notes import NoteWay
from creneau_notifications.channels.sms.channel import SmsChannel
from creneau_notifications.channels.sms.notes import SmsNotes

Channels = Mapping[str, Channel]
"""by their names"""


def by_name(*channels: Channel) -> Channels:
    """The channels by their names, in this order."""
    return {channel.name: channel for channel in channels}


CHANNELS = by_name(
    EmailChannel(),
    SmsChannel(),
)
"""Every sender carries all channels: messages planned while one was offered still leave when it is not."""

NOTE_WAYS: tuple[NoteWay, ...] = (EmailNotes(), SmsNotes())
"""How notes go out, by the channels that carry some."""


def note_ways(channels: Channels) -> Mapping[str, NoteWay]:
    """Note ways of these channels, by name."""
    return {way.name: way for way in NOTE_WAYS if way.name in channels}


def offered(channels: Channels = CHANNELS) -> Channels:
    """The channels by which this deployment plans."""
    return {name: channel for name, channel in channels.items() if channel.is_offered()}


def media(channels: Channels = CHANNELS) -> Mapping[str, Mapping[str, str]]:
    """Codings of Communication.medium by the channels' names."""
    return {name: channel.medium for name, channel in channels.items()}
