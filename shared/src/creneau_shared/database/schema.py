"""The schema version of a database."""

from __future__ import annotations

from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_shared.database.pool import Database

LOOK_S = 2.0


async def schema_of(database: Database) -> str | None:
    """The revision to which the database was migrated; None when it has none, or does not answer now."""
    try:
        found: str | None = await database.pool.fetchval(
            "SELECT version_num FROM alembic_version", timeout=LOOK_S
        )
    except DATABASE_FAILURES:
        return None
    return found
