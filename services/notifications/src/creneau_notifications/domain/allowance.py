"""How much is sent to an address that nobody has vouched for, and to any address in a day.

The few messages to an unconfirmed address are spent like this. The first (a booking's confirmation with its calendar file,
then a reminder) may take all but the last `news_reserve`. The reserve is for `NEWS`, as a move or a cancellation, without
which somebody would stand before a closed door. Each carries the link to confirm.
"""

from __future__ import annotations

from dataclasses import dataclass

from creneau_notifications.domain.plan import ASKING, Kind

UNCONFIRMED = "address-unconfirmed"
TOO_MANY = "too-many-messages"
NEWS = frozenset({Kind.CHANGE, Kind.CANCELLATION, *ASKING})


@dataclass(frozen=True, slots=True)
class Allowance:
    """The limits. `news_reserve` gives way where it would leave nothing for the first message."""

    unconfirmed_max: int = 3
    news_reserve: int = 1
    day_max: int = 20

    def unconfirmed_for(self, kind: Kind) -> int:
        """How many messages may have gone to an unconfirmed address, one of `kind` included."""
        if kind in NEWS:
            return self.unconfirmed_max
        return max(self.unconfirmed_max - self.news_reserve, min(1, self.unconfirmed_max))


@dataclass(frozen=True, slots=True)
class Standing:
    """What has gone to one letter box so far."""

    unconfirmed: int = 0
    """messages for people whose address nobody had confirmed"""
    today: int = 0
    refused: bool = False
    """its owner has said: not me"""


def withheld(allowance: Allowance, standing: Standing, kind: Kind, *, known: bool) -> str | None:
    """Why a message of `kind` must not leave, or None.

    `known`: a practice has vouched for the address, or its owner has confirmed it. A refusal gives the same reason as a
    missing confirmation: whoever registered the address learns nothing of who reads it.
    """
    if not known and (standing.refused or standing.unconfirmed >= allowance.unconfirmed_for(kind)):
        return UNCONFIRMED
    return TOO_MANY if standing.today >= allowance.day_max else None
