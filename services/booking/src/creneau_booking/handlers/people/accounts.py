"""What an account may do has changed: the other services are told, in the transaction of the change."""

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
    """Publish the people of these accounts as they are now. Rivals of one account wait for each other, so that the last
    one told is what holds."""
    for account in sorted(set(accounts)):
        await take_turn(connection, account)
        links = await links_to_come(connection, account, now)
        await append(connection, [account_event(account, links, correlation_id)])
