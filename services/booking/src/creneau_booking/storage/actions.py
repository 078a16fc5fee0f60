"""Recent acts of accounts and patients, counted in the transaction of the act itself.

One statement adds the act, drops old acts and returns the rest. Its row lock makes concurrent acts of one account or of
one patient wait for each other until the transaction ends. A refusal undoes the count with everything else.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from creneau_booking.domain.quotas import DAY, HOUR, MONTH, ActionKind, Actions
from creneau_shared.database.pool import Connection

KEY_BYTES = 16

_COUNTED: tuple[ActionKind, ...] = ("booked", "held", "cancelled", "registered")
_ADD = """
INSERT INTO booking_action AS known (key, booked, held, cancelled, registered, latest)
SELECT key, $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6
FROM unnest($1::bytea[]) AS acting (key) ORDER BY key
ON CONFLICT (key) DO UPDATE SET
  booked = ARRAY(SELECT moment FROM unnest(known.booked || excluded.booked) moment WHERE moment > $7),
  held = ARRAY(SELECT moment FROM unnest(known.held || excluded.held) moment WHERE moment > $7),
  cancelled = ARRAY(SELECT moment FROM unnest(known.cancelled || excluded.cancelled) moment WHERE moment > $8),
  registered = ARRAY(SELECT moment FROM unnest(known.registered || excluded.registered) moment WHERE moment > $9),
  latest = greatest(known.latest, excluded.latest)
RETURNING key, booked, held, cancelled, registered
"""


def account_key(issuer: str, subject: str) -> bytes:
    """The key of the holder of a token."""
    return _digest("account", issuer, subject)


def patient_key(reference: str, *, hidden: bool = False) -> bytes:
    """Returns the key of a Patient; `hidden`: for appointments that their representatives are not shown."""
    return _digest("patient, hidden" if hidden else "patient", reference)


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=KEY_BYTES).digest()


async def await_account(connection: Connection, keys: list[bytes], now: datetime) -> None:
    """Locks the rows of an account and of patients, as `act` does, without counting an act."""
    await connection.execute(
        "INSERT INTO booking_action AS known (key, booked, held, cancelled, latest)"
        " SELECT key, '{}', '{}', '{}', $2 FROM unnest($1::bytea[]) AS acting (key) ORDER BY key"
        " ON CONFLICT (key) DO UPDATE SET latest = known.latest",
        keys,
        now,
    )


async def act(
    connection: Connection, kind: ActionKind, account: bytes, patient: bytes | None, now: datetime
) -> tuple[Actions, Actions]:
    """Counts an act of an account for a patient; returns the recent acts of each, this one included."""
    keys = [account] if patient is None else [account, patient]
    moments = [[now] if name == kind else [] for name in _COUNTED]
    rows = await connection.fetch(_ADD, keys, *moments, now, now - HOUR, now - DAY, now - MONTH)
    found = {bytes(row["key"]): Actions(*(row[name] for name in _COUNTED)) for row in rows}
    return found[account], found[patient] if patient is not None else Actions()


async def take_back_hold(connection: Connection, account: bytes, patient: bytes) -> None:
    """Uncounts the hold that this transaction has counted last, because it replaces another hold."""
    await connection.execute(
        "UPDATE booking_action SET held = trim_array(held, 1) WHERE key = ANY($1)", [account, patient]
    )


async def forget_actions(connection: Connection, now: datetime) -> int:
    """Deletes the rows of those who have not acted for a day, and have registered nobody for thirty; returns how many."""
    result: str = await connection.execute(
        "DELETE FROM booking_action WHERE latest < $1 AND NOT $2 < ANY (registered)", now - DAY, now - MONTH
    )
    return int(result.rsplit(" ", 1)[-1])
