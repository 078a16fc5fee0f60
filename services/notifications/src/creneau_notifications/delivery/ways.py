"""Chooses the channel of a message when it leaves, by the addresses that its recipient has then.

News of a visit is planned by the channels with `ChannelRules.notices`. If none of them has a usable address, the message of
the first leaves by a channel that stands in. It is the same message, so nobody is told twice, whichever address comes or
goes between two tries.

A question (`ASKING`) is also planned by the channels with `offers`, for recipients whom they are known to reach. If too
little was known of a recipient, only the first channel's message exists; it leaves as news does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from uuid import UUID

from creneau_notifications.channels.channel import Channel
from creneau_notifications.channels.registry import Channels
from creneau_notifications.domain.address import InvalidAddressError
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.plan import Kind
from creneau_notifications.storage.messages import Message


def by_its_way(
    message: Message,
    contacts: Mapping[str, Contact],
    channels: Channels,
    offered: Collection[str],
    beside: Collection[UUID],
) -> Message:
    """The message with the channel by which it leaves. `offered`: names of the channels by which this deployment plans;
    `beside`: messages that another channel repeats."""
    contact = contacts.get(message.recipient)
    if contact is None or message.kind is Kind.REMINDER or message.id in beside:
        return message
    telling = [name for name, channel in channels.items() if channel.rules.notices]
    planned_by = telling[0] if channels[message.channel].rules.stands_in else message.channel
    stands_in = [name for name, channel in channels.items() if channel.rules.stands_in and name in offered]
    is_told = planned_by != telling[0] or any(_serves(channels[name], contact) for name in telling)
    ways = [] if is_told else [name for name in stands_in if _serves(channels[name], contact)]
    return replace(message, channel=next(iter(ways), planned_by))


def _serves(channel: Channel, contact: Contact) -> bool:
    """Whether the contact has a valid address for the channel."""
    given = channel.given(contact)
    try:
        return given is not None and bool(channel.address(given))
    except InvalidAddressError:
        return False
