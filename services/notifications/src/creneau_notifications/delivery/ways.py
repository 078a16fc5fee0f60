"""By which way a message leaves: decided when it does, by the addresses that its recipient has then.

What happens to a visit is planned by the channels that tell of it (`ChannelRules.notices`). Where none of these has an
address that serves, the message of the first leaves by one that stands in for them. It is the same message, so that
nobody is told twice whichever address comes or goes between two tries.

What waits for an answer is planned by those that tell of offers too, for whom they are known to reach. Of whom too little
was known then, it has the message of the first alone, and that one leaves as what happens does.
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
    """The message, by the channel by which it leaves. `offered`: the names of those by which this deployment plans;
    `beside`: the messages beside which another tells the same."""
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
    """Whether the contact has an address for it to which something can be sent."""
    given = channel.given(contact)
    try:
        return given is not None and bool(channel.address(given))
    except InvalidAddressError:
        return False
