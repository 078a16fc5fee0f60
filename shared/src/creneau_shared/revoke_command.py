"""`creneau-<service> revoke-tokens`: the operator takes tokens back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from creneau_shared.app import open_database
from creneau_shared.security.revocation import CLAIM, Kind, revoke
from creneau_shared.settings import ServiceSettings


def add_revoke_command(main: typer.Typer, settings: Callable[[], ServiceSettings], service: str) -> None:
    """Give a service's command line `revoke-tokens`."""

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


async def take_back(
    settings: ServiceSettings, service: str, kind: Kind, value: str, issued_before: datetime
) -> None:
    """Tokens of this token id, subject or client that were issued before this moment hold no more."""
    until = max(issued_before, datetime.now(UTC)) + timedelta(seconds=settings.oidc_token_lifetime_max_s + 60)
    async with open_database(settings, f"{service}-revoke") as database, database.transaction() as connection:
        # A second more: issuers write whole seconds, and a token of this very second is from before.
        before = issued_before + timedelta(seconds=1)
        await revoke(connection, kind, value, issued_before=before, needed_until=until)
    typer.echo(f"{kind} {value}: tokens issued before {issued_before:%Y-%m-%dT%H:%M:%SZ} hold no more")
