"""Calendars elsewhere: agendas that are read by a secret address, and busy times that come from one.

A time at which somebody is busy elsewhere is a row of `occupancy`, as a visit's is: so there is one truth about who can be
booked when. A visit keeps the time that it has already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.domain.busy_times import Period
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.agendas import rejudge
from creneau_booking.storage.began import BEGAN
from creneau_shared.database.pool import Connection
from creneau_shared.security.rights import AGENDA

_VISITS = f"""
FROM appointment {BEGAN}
WHERE terms @> ARRAY[$1] AND terms && $2::text[] AND NOT deleted AND low >= $3 AND low < $4
ORDER BY low, id LIMIT $5
"""
_SHOWN = f"SELECT id, version, last_updated, content {_VISITS}"
_SHOWN_STATE = f"""
SELECT encode(sha256(convert_to(coalesce(string_agg(id || ' ' || version, ',' ORDER BY low, id), ''), 'UTF8')), 'hex')
FROM (SELECT id, version, low {_VISITS}) AS shown
"""
_SHOWN_STATUSES = [f"status={s}" for s in ("booked", "pending", "arrived", "checked-in", "fulfilled")]
_PIECES = """
SELECT whose.actor, lower(piece) AS start, upper(piece) AS until
FROM unnest($2::text[]) AS whose (actor) CROSS JOIN LATERAL unnest(
  (SELECT coalesce(range_agg(tstzrange(start, until)), '{}')
    FROM unnest($3::timestamptz[], $4::timestamptz[]) AS busy (start, until))
  - coalesce((SELECT range_agg(period) FROM occupancy
      WHERE occupancy.actor = whose.actor AND occupancy.appointment_id <> $1 AND period && tstzrange($5, $6)), '{}')) AS piece
ORDER BY 1, 2
"""
_KEPT = "SELECT actor, lower(period) AS start, upper(period) AS until FROM occupancy WHERE appointment_id = $1 ORDER BY 1, 2"
_PEOPLE = """
SELECT actor FROM agenda_actor JOIN schedule ON schedule.key = schedule_key
WHERE schedule.id = $1 AND NOT schedule.deleted AND starts_with(actor, 'Practitioner/') ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class ShownVisit:
    """An appointment of an agenda (JSON), for a calendar."""

    id: str
    version: int
    last_updated: datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class CalendarFeed:
    """An agenda (id) that is read by a secret address; `details`: with the purpose of visits."""

    schedule: str
    details: bool


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def open_feed(
    connection: Connection, schedule: str, token: str, *, details: bool, now: datetime
) -> None:
    """Lets the agenda be read by this secret, and by no earlier one. Keeps only its digest."""
    await connection.execute(
        "INSERT INTO calendar_feed (schedule, digest, details, created_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (schedule) DO UPDATE SET digest = excluded.digest, details = excluded.details,"
        " created_at = excluded.created_at",
        schedule,
        _digest(token),
        details,
        now,
    )


async def close_feed(connection: Connection, schedule: str) -> None:
    await connection.execute("DELETE FROM calendar_feed WHERE schedule = $1", schedule)


async def feed_of(connection: Connection, token: str) -> CalendarFeed | None:
    """Returns the agenda that a secret opens; None: nothing, or no more."""
    row = await connection.fetchrow(
        "SELECT feed.schedule, feed.details FROM calendar_feed AS feed JOIN schedule ON schedule.id = feed.schedule"
        " WHERE feed.digest = $1 AND NOT schedule.deleted",
        _digest(token),
    )
    return CalendarFeed(*row) if row is not None else None


async def shown_visits(
    connection: Connection, schedule: str, start: datetime, end: datetime, most: int
) -> list[ShownVisit]:
    """The visits of the agenda (id) that begin in `[start, end)`."""
    rows = await connection.fetch(_SHOWN, f"{AGENDA}{schedule}", _SHOWN_STATUSES, start, end, most)
    return [ShownVisit(*row) for row in rows]


async def state_of_shown_visits(
    connection: Connection, schedule: str, start: datetime, end: datetime, most: int
) -> str:
    """A value that changes whenever what `shown_visits` returns does."""
    return str(
        await connection.fetchval(_SHOWN_STATE, f"{AGENDA}{schedule}", _SHOWN_STATUSES, start, end, most)
    )


async def people_of(connection: Connection, schedule: str) -> list[str]:
    """The professionals (references) of an agenda (id)."""
    return [row["actor"] for row in await connection.fetch(_PEOPLE, schedule)]


async def zone_of_agenda(connection: Connection, schedule: str) -> str:
    """The time zone (IANA) of an agenda (id)."""
    return str(
        await connection.fetchval(
            "SELECT zone FROM agenda JOIN schedule ON schedule.key = schedule_key WHERE schedule.id = $1",
            schedule,
        )
        or "Europe/Paris"
    )


async def keep_busy(
    connection: Connection, schedule: str, busy: Sequence[Period], within: Period, now: datetime
) -> bool:
    """Makes the professionals of the agenda (id) busy at these times, as far as no visit has them. Their slots follow, and
    are free again where they were busy before. Returns whether anything has changed."""
    by = f"calendar:{schedule}"
    people = await people_of(connection, schedule)
    if not await _differs(connection, by, people, busy, within):
        return False
    before = {row["actor"] for row in await connection.fetch(_KEPT, by)}
    everybody = sorted(before | set(people))
    await wait_for_turn(connection, people=everybody)
    await connection.execute("DELETE FROM occupancy WHERE appointment_id = $1", by)
    await connection.execute(
        f"INSERT INTO occupancy (appointment_id, actor, period)"
        f" SELECT $1, actor, tstzrange(start, until) FROM ({_PIECES}) AS pieces",
        by,
        *_asked(people, busy, within),
    )
    rows = await connection.fetch(
        "SELECT DISTINCT schedule_key FROM agenda_actor WHERE actor = ANY($1::text[])", everybody
    )
    await rejudge(connection, [row["schedule_key"] for row in rows], now)
    return True


async def _differs(
    connection: Connection, by: str, people: Sequence[str], busy: Sequence[Period], within: Period
) -> bool:
    wanted = await connection.fetch(_PIECES, by, *_asked(people, busy, within))
    kept = await connection.fetch(_KEPT, by)
    return [tuple(row) for row in wanted] != [tuple(row) for row in kept]


def _asked(
    people: Sequence[str], busy: Sequence[Period], within: Period
) -> tuple[list[str], list[datetime], list[datetime], datetime, datetime]:
    starts, ends = [start for start, _ in busy], [end for _, end in busy]
    return list(people), starts, ends, min([within[0], *starts]), max([within[1], *ends])
