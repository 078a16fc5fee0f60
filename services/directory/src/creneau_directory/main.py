"""creneau-directory api | worker | migrate | load | reindex | republish | revoke-tokens"""

from __future__ import annotations

import asyncio

import typer

from creneau_directory.app import SERVICE, create_app, create_fhir
from creneau_directory.jobs import CareIndex, retention
from creneau_directory.loading.command import load
from creneau_directory.publishing import RESOURCES
from creneau_directory.settings import DirectorySettings
from creneau_directory.storage.reindexing import reindex
from creneau_directory.views import indexed
from creneau_shared.app import open_database
from creneau_shared.clock import SystemClock
from creneau_shared.commands import add_commands
from creneau_shared.database.listening import Listening
from creneau_shared.fhir.rest.async_runner import AsyncRunner
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.messaging.broker.clients import check_kafka
from creneau_shared.messaging.relay import Relay
from creneau_shared.messaging.retention import republish
from creneau_shared.tasks import Task
from creneau_shared.worker import run, run_worker

main = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
add_commands(main, DirectorySettings, SERVICE, create_app)
main.command(name="load")(load)


@main.command()
def worker() -> None:
    """Publish every change of the directory, carry out asynchronous requests."""
    run(_work())


@main.command(name="republish")
def republish_all() -> None:
    """Publish the present state of every resource again, for consumers that start from nothing."""
    asyncio.run(_republish())


@main.command(name="reindex")
def reindex_all() -> None:
    """Make anew by what each resource is found, after an upgrade that finds by more."""
    typer.echo(f"{asyncio.run(_reindex())} resources")


async def _reindex() -> int:
    settings = DirectorySettings()
    async with open_database(settings, f"{SERVICE}-reindex") as database:
        base_url = settings.public_base_url.rstrip("/")
        return await reindex(
            database, base_url, indexed, lambda name, done: typer.echo(f"{name}: {done}", err=True)
        )


async def _work() -> None:
    settings, clock = DirectorySettings(), SystemClock()
    async with open_database(settings, f"{SERVICE}-worker") as database:
        relay = Relay(database, settings, [RESOURCES], clock)
        tasks = [
            Task("wake-ups", Listening(database, settings.database_listen_check_s).run),
            Task("relay", relay.run),
            Task("care index", CareIndex(database, clock, settings.care_due_interval_s).run),
            Task("retention", retention(database, clock).run),
            *AsyncRunner(create_fhir(settings, database, clock), AsyncSettings()).tasks(),
        ]
        await run_worker(
            settings,
            f"{SERVICE}-worker",
            tasks,
            {"database": database.ping, "kafka": lambda: check_kafka(settings)},
            database,
        )


async def _republish() -> None:
    async with open_database(DirectorySettings(), f"{SERVICE}-republish") as database:
        await republish(database, RESOURCES)


if __name__ == "__main__":
    main()
