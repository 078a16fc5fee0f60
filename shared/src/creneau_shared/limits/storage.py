"""`rate_bucket`: the units left to each caller, for all processes of a service. Unlogged: after a crash all are full."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Double, LargeBinary, MetaData, Table

from creneau_shared.database.pool import Database
from creneau_shared.limits.callers import Limit

_NOW_LEFT = (
    "LEAST($3::float8, b.units + GREATEST(0, EXTRACT(EPOCH FROM statement_timestamp() - b.at)) * $2::float8)"
)
_LEASE = f"""
    INSERT INTO rate_bucket AS b (key, units, granted, at)
    VALUES ($1, $3::float8 - LEAST($3::float8, $5::float8), LEAST($3::float8, $5::float8), statement_timestamp())
    ON CONFLICT (key) DO UPDATE SET
        granted = CASE WHEN {_NOW_LEFT} >= $4::float8 THEN LEAST({_NOW_LEFT}, $5::float8) ELSE 0 END,
        units = {_NOW_LEFT} - CASE WHEN {_NOW_LEFT} >= $4::float8 THEN LEAST({_NOW_LEFT}, $5::float8) ELSE 0 END,
        at = GREATEST(b.at, statement_timestamp())
    RETURNING granted, units
"""


def rate_bucket_table(metadata: MetaData) -> Table:
    """`rate_bucket`: the `units` left at `at`, and the units `granted` then."""
    return Table(
        "rate_bucket",
        metadata,
        Column("key", LargeBinary, primary_key=True),
        Column("units", Double, nullable=False),
        Column("granted", Double, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False, index=True),
        prefixes=["UNLOGGED"],
    )


class StoredBuckets:
    """Leases from `rate_bucket`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lease(self, key: bytes, limit: Limit, need: float, want: float) -> tuple[float, float]:
        """Takes `want` units, or all that are left if at least `need`, or none; returns (granted, left). Atomic."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_LEASE, key, limit.per_s, float(limit.burst), need, want)
        assert row is not None
        return row["granted"], row["units"]
