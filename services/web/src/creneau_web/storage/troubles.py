"""Since when what is not well on the operators' page is so: what a process that begins anew would not know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from creneau_shared.database.pool import Database

GOING_ON = "SELECT line, since FROM trouble WHERE ended_at IS NULL AND seen_at >= $1"
LAST_END = "SELECT max(coalesce(ended_at, seen_at)) FROM trouble WHERE ended_at IS NOT NULL OR seen_at < $1"
SEEN = """
INSERT INTO trouble AS known (line, since, seen_at)
SELECT line, since, $3 FROM unnest($1::text[], $2::timestamptz[]) AS bad (line, since)
ON CONFLICT (line) DO UPDATE SET since = excluded.since, seen_at = excluded.seen_at, ended_at = NULL
"""
ENDED = "UPDATE trouble SET ended_at = $2 WHERE ended_at IS NULL AND line <> ALL ($1::text[])"


class Troubles:
    """The store. Moments are seconds since 1970, as on the page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, seen_after: float) -> tuple[dict[str, float], float | None]:
        """Each line that was bad when it was last seen, if that is not from before `seen_after`, with since when; and when
        the last of the others ended."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(GOING_ON, _moment(seen_after))
            ended = await connection.fetchval(LAST_END, _moment(seen_after))
        return {row["line"]: row["since"].timestamp() for row in rows}, ended and ended.timestamp()

    async def write(self, bad_since: Mapping[str, float], now: float) -> None:
        """These are bad now, and nothing else is."""
        lines, at = list(bad_since), _moment(now)
        async with self._database.transaction() as connection:
            await connection.execute(SEEN, lines, [_moment(since) for since in bad_since.values()], at)
            await connection.execute(ENDED, lines, at)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
