"""The commands that every service has: `creneau-<service> api | migrate | revoke-tokens`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import typer

from creneau_shared.app import ServiceApplication, open_database, run_api
from creneau_shared.database.migrations import find_migrations
from creneau_shared.database.migrations import migrate as run_migrations
from creneau_shared.security.revocation import CLAIM, Kind, revoke
from creneau_shared.settings import ServiceSettings

Settings = TypeVar("Settings", bound=ServiceSettings)


def add_commands(
    main: typer.Typer,
    settings: Callable[[], Settings],
    service: str,
    create_app: Callable[[Settings], ServiceApplication],
    after_migration: Callable[[Settings], Awaitable[None]] | None = None,
) -> None:
    """Adds the commands of every service to the command line of a service (`creneau-booking`).

    `after_migration`: prepares the database once it has the current schema.
    """

    @main.command()
    def api() -> None:
        """Serve FHIR under /fhir on PORT."""
        told = settings()
        run_api(told, service, lambda: create_app(told))

    @main.command()
    def migrate(
        back_to: Annotated[
            str | None, typer.Option(help="an earlier revision; what only later ones hold is lost")
        ] = None,
    ) -> None:
        """Bring the database to the current schema."""
        asyncio.run(_migrate(settings(), service, after_migration, back_to))

    @main.command(name="revoke-tokens")
    def revoke_tokens(
        kind: Annotated[str, typer.Argument(help="token (by its jti), subject or client")],
        value: Annotated[str, typer.Argument(help="which one")],
        issued_before: Annotated[
            datetime | None, typer.Option(help="only tokens issued before (UTC); now when not given")
        ] = None,
    ) -> None:
        """Take back tokens issued until now; every process refuses them within REVOCATION_REFRESH_S."""
        found: Kind | None = next((known for known in CLAIM if known == kind), None)
        if found is None:
            raise typer.BadParameter("it is token, subject or client")
        moment = datetime.now(UTC) if issued_before is None else issued_before.replace(tzinfo=UTC)
        asyncio.run(take_back(settings(), service, found, value, moment))


async def _migrate(
    settings: Settings,
    service: str,
    after: Callable[[Settings], Awaitable[None]] | None,
    back_to: str | None,
) -> None:
    path = find_migrations(service.replace("-", "_"))
    await run_migrations(path, settings.migration_url, runtime_role=settings.runtime_role, back_to=back_to)
    if after is not None and back_to is None:
        await after(settings)


async def take_back(
    settings: ServiceSettings, service: str, kind: Kind, value: str, issued_before: datetime
) -> None:
    """Revokes the tokens of this token id, subject or client that were issued until this moment."""
    until = max(issued_before, datetime.now(UTC)) + timedelta(seconds=settings.oidc_token_lifetime_max_s + 60)
    async with open_database(settings, f"{service}-revoke") as database, database.transaction() as connection:
        # One second later: issuers write `iat` in whole seconds, and a token of this same second must be revoked too.
        before = issued_before + timedelta(seconds=1)
        await revoke(connection, kind, value, issued_before=before, needed_until=until)
    typer.echo(f"{kind} {value}: tokens issued before {issued_before:%Y-%m-%dT%H:%M:%SZ} hold no more")
