"""Tells the other services that an account's rights have changed, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from creneau_booking.publishing import account_event
from creneau_booking.storage.people.accounts import Account, links_to_come, take_turn
from creneau_shared.database.pool import Connection
from creneau_shared.messaging.outbox import append


async def tell(
    connection: Connection, accounts: Iterable[Account], now: datetime, correlation_id: str | None
) -> None:
    """Publishes the people for whom these accounts act now. Transactions of one account wait for each other, so that the
    last event is the valid state."""
    for account in sorted(set(accounts)):
        await take_turn(connection, account)
        links = await links_to_come(connection, account, now)
        await append(connection, [account_event(account, links, correlation_id)])
