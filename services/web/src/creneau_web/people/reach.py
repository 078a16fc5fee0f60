"""Whether messages about a visit reach somebody, as far as the pages know: one rule for what is said before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from creneau_web.people.messages import Message
from creneau_web.people.model import Person

Reach = Literal["reached", "nobody", "landline", "unconfirmed", "hidden"]


def reach_of(person: Person | None, *, hidden: bool, sent: Sequence[Message] = ()) -> Reach:
    """`person`: for whom the visit is; None where nothing is known of them: whoever came by the link of a message is reached.
    `hidden`: whether it is hidden from representatives, who may read the person's mail. `sent`: earlier messages to them."""
    if hidden:
        return "hidden"
    if person is not None and not person.email and not person.gets_texts:
        return "landline" if person.phone else "nobody"
    return "unconfirmed" if _stopped(sent) else "reached"


def _stopped(sent: Sequence[Message]) -> bool:
    """Whether the last message by each channel was kept back, because nobody has confirmed its address."""
    done = sorted((one for one in sent if one.state in ("sent", "not_sent")), key=lambda one: one.updated)
    last = {one.channel: one for one in done}
    return bool(last) and all(one.is_unconfirmed for one in last.values())
