"""Whether the migrations of each service give exactly the tables that its code declares (as `alembic check`).

An empty database is migrated by the service itself, back by the newest migration and forth again, then compared with
`creneau_<service>.storage.tables`.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

from creneau_shared.database.migrations import find_migrations, migrate
from deploy.local.folder import REPOSITORY
from deploy.local.postgres import WITHOUT_DURABILITY, Postgres
from deploy.local.topology import WITH_DATABASE, Programs, installed_programs

PARTITIONS = "SELECT relname FROM pg_class WHERE relispartition AND relkind IN ('r', 'p')"


def differences(connection: Connection, declared: MetaData) -> list[Any]:
    """What a new migration would have to do; partitions belong to their parent and are left out."""
    partitions = set(connection.execute(text(PARTITIONS)).scalars())

    def is_ours(name: str | None, kind: str, _: object) -> bool:
        return not (kind == "table" and (name in partitions or name == "alembic_version"))

    context = MigrationContext.configure(connection, opts={"include_name": is_ours, "compare_type": True})
    return list(compare_metadata(context, declared))


async def compare(url: str, declared: MetaData) -> list[Any]:
    """The differences between a database and the declared tables."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(differences, declared)
    finally:
        await engine.dispose()


async def back_and_forth(migrations: Path, url: str) -> None:
    """Takes the newest migration back and carries it out again: an operator can go back to the version before."""
    await migrate(migrations, url, back_to="-1")
    await migrate(migrations, url)


def check(service: str, server: Postgres, programs: Programs) -> bool:
    """Migrate an empty database to the head and compare; says what differs."""
    url = server.create_database(f"check_{service}")
    environment = {**os.environ, "DATABASE_URL": url}
    command = (*programs[service], "migrate")
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"{service}: the migration failed\n{done.stdout}{done.stderr}")
        return False
    asyncio.run(back_and_forth(find_migrations(f"creneau_{service}"), url))
    declared = importlib.import_module(f"creneau_{service}.storage.tables").metadata
    found = asyncio.run(compare(url, declared))
    print(f"{service}: migrations and tables {'differ' if found else 'agree'}")
    for difference in found:
        print(f"  {difference}")
    return not found


def main() -> int:
    """1 when a service's migrations differ from its tables."""
    with tempfile.TemporaryDirectory(prefix="creneau-check-") as name:
        folder = Path(name)
        server = Postgres(folder / "data", log=folder / "log", settings=WITHOUT_DURABILITY)
        try:
            server.start()
            verdicts = [check(service, server, installed_programs()) for service in WITH_DATABASE]
        finally:
            server.stop()
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
