"""What people report of a page, for whoever runs this deployment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_shared.database.pool import Database
from creneau_shared.errors import CreneauError
from creneau_shared.limits.callers import Callers, Counted, Limit
from creneau_shared.limits.leases import Limiter

# One at a time, so that a hundred at once see each other's rows and keep to the limit.
TURN = "SELECT pg_advisory_xact_lock(hashtext('creneau_web.report'))"
KEEP = """
INSERT INTO report (at, path, reason, text)
SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM report WHERE at > $5) < $6
"""
LATEST = "SELECT at, path, reason, text FROM report ORDER BY at DESC, id DESC LIMIT $1"
TALLY = "SELECT count(*) AS number, max(at) AS latest FROM report"
SWEEP = "DELETE FROM report WHERE at <= $1"
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Report:
    """One report: which page (a path without its query), why, and in which words."""

    at: datetime
    path: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How many reports are kept, and when the latest came; None where there are none."""

    number: int
    latest: datetime | None


class Reports:
    """The store. `keep`: how long; `most`: how many in an hour; `most_of_one`: of one network, counted by this process in its
    memory."""

    def __init__(self, database: Database, *, keep: timedelta, most: int, most_of_one: int) -> None:
        self._database = database
        self._keep = keep
        self._most = most
        self._of_one = Limit("reports", most_of_one / HOUR.total_seconds(), most_of_one)
        self._networks, self._limiter = Callers("", {}), Limiter()

    async def add(self, report: Report, address: str | None) -> bool:
        """Keep a report; False when too many have come within the hour, in all or from the network of this
        address, if it is known."""
        network = self._networks.network(address)
        counted = () if network is None else (Counted(network, self._of_one),)
        try:
            await self._limiter.take(counted, 1)
        except CreneauError:
            return False
        # A text column holds every character but this one.
        text = report.text.replace("\0", "")
        async with self._database.transaction() as connection:
            await connection.execute(TURN)
            done = await connection.execute(
                KEEP, report.at, report.path, report.reason, text, report.at - HOUR, self._most
            )
        return bool(done.endswith(" 1"))

    async def latest(self, most: int) -> list[Report]:
        """The latest first."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(LATEST, most)
        return [Report(row["at"], row["path"], row["reason"], row["text"]) for row in rows]

    async def tally(self) -> Tally:
        """All that are kept, as one number."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(TALLY)
        assert row is not None, "an aggregate has its row"
        return Tally(row["number"], row["latest"])

    async def sweep(self, now: datetime) -> None:
        """Remove what has been kept long enough."""
        async with self._database.connection() as connection:
            await connection.execute(SWEEP, now - self._keep)
