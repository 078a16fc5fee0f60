"""Calendars elsewhere that agendas follow: their addresses, and how reading them went."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Range

from creneau_booking.domain.busy_times import Period
from creneau_booking.domain.not_read import PROBLEMS, Problem
from creneau_booking.storage.outside.calendars import close_feed, keep_busy
from creneau_shared.database.pool import Connection

_FOLLOW = """
INSERT INTO external_calendar (schedule, url, credentials, due_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (schedule) DO UPDATE SET (url, credentials, due_at, homes, state, busy, busy_until, failing_since, problem)
  = ROW (excluded.url, excluded.credentials, excluded.due_at, excluded.homes, NULL, NULL, NULL, NULL, NULL)
"""
_HOST = "lower(substring(url FROM '//([^/?#]*)'))"
_DUE = f"""
UPDATE external_calendar SET due_at = $2 WHERE schedule = (
  SELECT schedule FROM external_calendar WHERE due_at <= $1 AND {_HOST} <> ALL ($3::text[])
  ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING schedule, url, {_HOST} AS host, credentials, homes, state, busy, busy_until
"""
_READ = """
UPDATE external_calendar SET (read_at, homes, state, busy, busy_until, failing_since, problem)
  = ROW ($2, $3, $4, $5, $6, NULL, NULL) WHERE schedule = $1
"""
_FAILED = """
UPDATE external_calendar SET failing_since = coalesce(failing_since, $2), problem = $3 WHERE schedule = $1
"""
# An agenda loses its calendars with the last of its professionals: they may have belonged to any of them.
_OF_THE_LAST = """
SELECT schedule.id FROM agenda_actor AS own JOIN schedule ON schedule.key = own.schedule_key
WHERE own.actor = $1 AND (EXISTS (SELECT FROM external_calendar WHERE external_calendar.schedule = schedule.id)
  OR EXISTS (SELECT FROM calendar_feed WHERE calendar_feed.schedule = schedule.id))
AND NOT EXISTS (
  SELECT FROM agenda_actor AS beside WHERE beside.schedule_key = schedule.key AND beside.actor <> $1
  AND starts_with(beside.actor, 'Practitioner/')
  AND NOT EXISTS (SELECT FROM practitioner WHERE deleted AND 'Practitioner/' || id = beside.actor))
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Followed:
    """A calendar elsewhere (URL) whose busy times block the time of an agenda's (id) professionals."""

    schedule: str
    url: str
    host: str
    """the server named in the URL"""
    credentials: str | None
    """sealed credentials to read it over CalDAV; None: it is an iCalendar file"""
    homes: tuple[str, ...] = ()
    state: str | None = None
    busy: tuple[Period, ...] = ()
    """busy times as last read, in `state`"""
    busy_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastReading:
    """How reading the calendar (URL) of an agenda went; `problem`: why it could not be read the last time."""

    url: str
    read_at: datetime | None
    failing_since: datetime | None
    problem: Problem | None


async def follow_calendar(
    connection: Connection, schedule: str, url: str, now: datetime, credentials: str | None = None
) -> None:
    """Lets the busy times at this address block the time of the agenda's (id) professionals; `credentials`: sealed."""
    await connection.execute(_FOLLOW, schedule, url, credentials, now)


async def leave_calendar(connection: Connection, schedule: str, now: datetime) -> None:
    """Ends the following of a calendar by the agenda; nobody is busy because of it any more."""
    left = await connection.fetchval(
        "DELETE FROM external_calendar WHERE schedule = $1 RETURNING true", schedule
    )
    if left:
        await keep_busy(connection, schedule, (), (now, now), now)


async def handed_over(
    connection: Connection, schedule: str, had: Collection[str], has: Collection[str], now: datetime
) -> None:
    """Follows a change of the agenda's (id) owners (internal terms). If one of them has it no more, its secret address opens
    nothing and its followed calendar blocks nothing: these were that owner's. Nobody takes its people's time meanwhile."""
    if not set(had) <= set(has):
        await leave_calendars(connection, schedule, now)


async def leave_calendars(connection: Connection, schedule: str, now: datetime) -> None:
    """Ends the calendars of the agenda: its secret address, and the calendar that it follows."""
    await close_feed(connection, schedule)
    await leave_calendar(connection, schedule, now)


async def calendars_of_the_last(connection: Connection, practitioner: str) -> list[str]:
    """Returns the agendas (ids) that follow a calendar, or are read by a secret address, and have only this professional
    (reference)."""
    return [row["id"] for row in await connection.fetch(_OF_THE_LAST, practitioner)]


async def next_calendar(
    connection: Connection, now: datetime, again_at: datetime, asked: Collection[str] = ()
) -> Followed | None:
    """Returns the calendar to read next, of none of the hosts that are `asked` already; nobody else reads it until
    `again_at`."""
    row = await connection.fetchrow(_DUE, now, again_at, list(asked))
    if row is None:
        return None
    busy = tuple((period.lower, period.upper) for period in row["busy"] or ())
    return Followed(
        schedule=row["schedule"],
        url=row["url"],
        host=row["host"],
        credentials=row["credentials"],
        homes=tuple(row["homes"]),
        state=row["state"],
        busy=busy,
        busy_until=row["busy_until"],
    )


async def still_follows(connection: Connection, followed: Followed) -> bool:
    """Whether the agenda follows this calendar in this way; if so, it does until the transaction ends."""
    sql = (
        "SELECT EXISTS (SELECT FROM external_calendar WHERE schedule = $1 AND url = $2"
        " AND credentials IS NOT DISTINCT FROM $3 FOR SHARE)"
    )
    return bool(await connection.fetchval(sql, followed.schedule, followed.url, followed.credentials))


async def calendar_read(connection: Connection, read: Followed, now: datetime) -> None:
    """Stores a calendar as it was read."""
    await connection.execute(
        _READ, read.schedule, now, read.homes, read.state, _ranges(read), read.busy_until
    )


async def calendar_failed(
    connection: Connection, followed: Followed, problem: Problem, now: datetime
) -> None:
    """Notes that a calendar was not read, unless another one is followed by now."""
    if await still_follows(connection, followed):
        await connection.execute(_FAILED, followed.schedule, now, problem)


async def last_reading(connection: Connection, schedule: str) -> LastReading | None:
    """Returns how reading the calendar of an agenda (id) went; None: it follows none."""
    row = await connection.fetchrow(
        "SELECT url, read_at, failing_since, problem FROM external_calendar WHERE schedule = $1", schedule
    )
    return LastReading(*row) if row is not None else None


async def failing_calendars(connection: Connection) -> dict[Problem, int]:
    """Counts the calendars that could not be read the last time, by problem."""
    rows = await connection.fetch(
        "SELECT problem, count(*) AS count FROM external_calendar WHERE failing_since IS NOT NULL GROUP BY problem"
    )
    counted = {row["problem"]: row["count"] for row in rows}
    return {problem: counted.get(problem, 0) for problem in PROBLEMS}


def _ranges(read: Followed) -> Sequence[Range[datetime]] | None:
    return [Range(start, end) for start, end in read.busy] if read.state is not None else None
