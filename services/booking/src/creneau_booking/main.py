"""creneau-booking api | worker | migrate | rebuild-replica | replay-dead | republish | revoke-tokens"""

from __future__ import annotations

import asyncio

import typer

from creneau_booking.app import (
    REPLICA,
    SERVICE,
    create_app,
    create_commands,
    create_consumer,
    create_erasure,
    create_external_calendars,
    create_fhir,
    create_publication,
    create_rehearsal,
    create_sas_reports,
    open_booking,
)
from creneau_booking.feed_jobs import feed_tasks
from creneau_booking.handlers.people.patients import tell_all_contacts
from creneau_booking.jobs import Jobs
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.slots.partitions import ensure_partitions
from creneau_booking.topics import ACCOUNTS, APPOINTMENTS, CONTACTS, DIRECTORY
from creneau_shared.app import open_database
from creneau_shared.clock import SystemClock
from creneau_shared.commands import add_commands
from creneau_shared.database.listening import Listening
from creneau_shared.fhir.rest.async_runner import AsyncRunner
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.messaging.broker.clients import check_kafka
from creneau_shared.messaging.rebuild import rebuild
from creneau_shared.messaging.relay import Relay
from creneau_shared.messaging.replay import replay
from creneau_shared.tasks import Task
from creneau_shared.worker import run, run_worker

main = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


async def _make_months(settings: BookingSettings) -> None:
    async with open_database(settings, f"{SERVICE}-migrate") as database, database.connection() as connection:
        await ensure_partitions(connection, SystemClock().now(), settings.slot_months_ahead)


add_commands(main, BookingSettings, SERVICE, create_app, _make_months)


@main.command()
def worker() -> None:
    """Publish events, keep the directory replica, let holds run out, carry out asynchronous requests."""
    run(_work())


@main.command(name="rebuild-replica")
def rebuild_replica() -> None:
    """Read the directory's topic again from its beginning, and forget what it holds no more; running workers do it."""
    asyncio.run(_rebuild())


@main.command(name="replay-dead")
def replay_dead() -> None:
    """Handle again the directory's events that could not be handled."""
    asyncio.run(_replay())


@main.command(name="republish")
def republish_all() -> None:
    """Tell again how every patient is reached, and which addresses somebody answers for."""
    asyncio.run(_republish())


async def _rebuild() -> None:
    async with open_database(BookingSettings(), f"{SERVICE}-rebuild") as database:
        await rebuild(database, REPLICA)


async def _replay() -> None:
    settings, clock = BookingSettings(), SystemClock()
    async with open_booking(settings, "replay") as database:
        done = await replay(create_consumer(settings, database, clock), DIRECTORY)
    typer.echo(f"{done.handled} handled, {done.failed} buried again")


async def _republish() -> None:
    settings = BookingSettings()
    async with open_database(settings, f"{SERVICE}-republish") as database:
        told = await tell_all_contacts(database, settings.contact_rules, SystemClock().now())
    typer.echo(f"{told} patients")


async def _work() -> None:
    settings, clock = BookingSettings(), SystemClock()
    async with open_booking(settings, "worker") as database:
        relay = Relay(database, settings, [APPOINTMENTS, CONTACTS, ACCOUNTS], clock)
        consumer = create_consumer(settings, database, clock)
        handlers = create_commands(settings).handlers
        jobs = Jobs(
            database, settings, handlers.expiry, create_erasure(settings), create_rehearsal(settings), clock
        )
        tasks = [
            Task("wake-ups", Listening(database, settings.database_listen_check_s).run),
            Task("relay", relay.run),
            Task("directory replica", consumer.run, consumer.stuck),
            *jobs.tasks(),
            *feed_tasks(
                settings,
                create_publication(settings, database),
                create_sas_reports(settings, database, clock),
                create_external_calendars(settings, database, clock),
                clock,
            ),
            *AsyncRunner(create_fhir(settings, database, clock), AsyncSettings()).tasks(),
        ]
        await run_worker(
            settings,
            f"{SERVICE}-worker",
            tasks,
            {"database": database.ping, "kafka": lambda: check_kafka(settings)},
            database,
        )


if __name__ == "__main__":
    main()
