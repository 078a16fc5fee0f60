"""Whether messages about a visit reach somebody, as far as the pages know: one rule for what is said before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from creneau_shared.contact_points import Countries
from creneau_web.people.messages import Message
from creneau_web.people.model import Person

Reach = Literal["reached", "nobody", "phone_alone", "phone_abroad", "unconfirmed", "hidden"]
"""`phone_alone`: the only contact is a number that no text message reaches; `phone_abroad`: a mobile number of a country to
which none are sent"""


def reach_of(
    person: Person | None, *, hidden: bool, texted: Countries, sent: Sequence[Message] = ()
) -> Reach:
    """`person`: the visit's patient; None if unknown: who came by a message's link is reached. `hidden`: whether the visit
    is hidden from representatives, who may read the person's mail. `texted`: to which countries the deployment sends text
    messages. `sent`: earlier messages to them."""
    if hidden:
        return "hidden"
    if person is not None and not person.email and not any(map(texted.reach, person.mobiles)):
        if person.mobiles and texted.codes:
            return "phone_abroad"
        return "phone_alone" if person.phone else "nobody"
    return "unconfirmed" if _stopped(sent) else "reached"


def _stopped(sent: Sequence[Message]) -> bool:
    """Whether each channel's last message was kept back because nobody has confirmed its address. Messages not sent for
    another reason (no such address, the visit was cancelled before) do not count."""
    done = sorted(
        (one for one in sent if one.state == "sent" or one.is_unconfirmed), key=lambda one: one.updated
    )
    last = {one.channel: one for one in done}
    return bool(last) and all(one.is_unconfirmed for one in last.values())
