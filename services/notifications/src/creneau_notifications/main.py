"""creneau-notifications api | worker | sender | migrate | rebuild-replicas | replay-dead | revoke-tokens |
new-contact-key"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from creneau_notifications.app import SERVICE, create_app, create_consumers, create_senders, create_tasks
from creneau_notifications.messaging.consumers import APPOINTMENTS
from creneau_notifications.settings import NotificationsSettings
from creneau_shared.app import open_database
from creneau_shared.clock import SystemClock
from creneau_shared.commands import add_commands
from creneau_shared.messaging.broker.clients import check_kafka
from creneau_shared.messaging.rebuild import rebuild
from creneau_shared.messaging.replay import replay
from creneau_shared.security.own_tokens import new_signing_key, public_part
from creneau_shared.worker import run, run_worker

main = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
add_commands(main, NotificationsSettings, SERVICE, create_app)


@main.command()
def worker() -> None:
    """Follow what happens, plan messages and send them."""
    run(_work())


@main.command()
def sender() -> None:
    """Send what workers plan, and nothing else: any number of these processes share it."""
    run(_send())


@main.command(name="rebuild-replicas")
def rebuild_replicas() -> None:
    """Read the contacts, the accounts and the directory again from their beginning; running workers take it up by themselves."""
    asyncio.run(_rebuild())


@main.command(name="replay-dead")
def replay_dead() -> None:
    """Handle again the events that could not be handled."""
    asyncio.run(_replay())


@main.command(name="new-contact-key")
def new_contact_key(
    beside: Annotated[
        str, typer.Option(help="the present CONTACT_KEYS, of which the keys stay accepted")
    ] = "",
) -> None:
    """Print a new key by which tokens for people without an account are signed, as the settings take it."""
    key = new_signing_key()
    kept = json.loads(beside)["keys"] if beside else []
    public = {"keys": [*kept, public_part(key)]}
    typer.echo(f"CONTACT_SIGNING_KEY='{json.dumps(key)}'\nCONTACT_KEYS='{json.dumps(public)}'")


async def _rebuild() -> None:
    settings = NotificationsSettings()
    async with open_database(settings, f"{SERVICE}-rebuild") as database:
        for consumer in create_consumers(settings, database, SystemClock()):
            if consumer.topics != (APPOINTMENTS,):
                await rebuild(database, consumer.name)


async def _replay() -> None:
    settings = NotificationsSettings()
    async with open_database(settings, f"{SERVICE}-replay") as database:
        for consumer in create_consumers(settings, database, SystemClock()):
            for topic in consumer.topics:
                done = await replay(consumer, topic)
                typer.echo(f"{topic}: {done.handled} handled, {done.failed} buried again")


async def _work() -> None:
    settings, clock = NotificationsSettings(), SystemClock()
    async with open_database(settings, f"{SERVICE}-worker") as database:
        tasks = create_tasks(settings, database, clock)
        await run_worker(
            settings,
            f"{SERVICE}-worker",
            tasks,
            {"database": database.ping, "kafka": lambda: check_kafka(settings)},
            database,
        )


async def _send() -> None:
    settings, clock = NotificationsSettings(), SystemClock()
    async with open_database(settings, f"{SERVICE}-sender") as database:
        tasks = create_senders(settings, database, clock, settings.delivery_senders_apart)
        await run_worker(settings, f"{SERVICE}-sender", tasks, {"database": database.ping}, database)


if __name__ == "__main__":
    main()
