"""creneau-notifications api | worker | migrate"""

from __future__ import annotations

import asyncio

import typer

from creneau_notifications.app import SERVICE, create_app, create_tasks
from creneau_notifications.settings import NotificationsSettings
from creneau_shared.app import open_database, run_api
from creneau_shared.clock import SystemClock
from creneau_shared.database.migrations import find_migrations
from creneau_shared.database.migrations import migrate as run_migrations
from creneau_shared.worker import run_worker

main = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@main.command()
def api() -> None:
    """Serve FHIR under /fhir on PORT."""
    settings = NotificationsSettings()
    run_api(settings, SERVICE, lambda: create_app(settings))


@main.command()
def worker() -> None:
    """Follow what happens, plan messages and send them."""
    asyncio.run(_work())


@main.command()
def migrate() -> None:
    """Bring the database to the current schema."""
    path = find_migrations("creneau_notifications")
    asyncio.run(run_migrations(path, str(NotificationsSettings().database_url)))


async def _work() -> None:
    settings, clock = NotificationsSettings(), SystemClock()
    async with open_database(settings, f"{SERVICE}-worker") as database:
        tasks = create_tasks(settings, database, clock)
        await run_worker(settings, f"{SERVICE}-worker", tasks, {"database": database.ping})


if __name__ == "__main__":
    main()
