"""Booking's database, migrated once; the service over it; and callers with tokens.

Tests share one database and stay apart by ids of their own; those that need an empty one ask for `fresh`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from services.booking.tests.client import Caller, serving
from services.booking.tests.factories import BASE, NOW, unique
from services.booking.tests.issuer import LIFETIME_S, Issuer, running_issuer
from services.booking.tests.practice import Practice

from creneau_booking.app import create_app
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.slots.partitions import ensure_partitions
from creneau_shared.clock import FixedClock
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.database.pool import Database
from creneau_shared.security.contact_accounts import ContactAccounts, ContactKind
from creneau_shared.security.own_tokens import OneAppointment, TokenSigner, new_signing_key, public_part

CONTACT_KEY = new_signing_key()
CONTACT_SECRET = "names accounts for ever"


@pytest.fixture(scope="session")
async def template(postgres_server: Any) -> str:
    """A migrated database with its partitions, to be copied."""
    name = "booking_template"
    url = postgres_server.create_database(name)
    await migrate(find_migrations("creneau_booking"), url)
    connection = await asyncpg.connect(url)
    await ensure_partitions(connection, NOW, 3)
    await connection.close()
    return name


def settings_for(url: str, issuer: str | None = None) -> BookingSettings:
    return BookingSettings(
        database_url=url,
        public_base_url=BASE,
        oidc_issuer=issuer,
        oidc_token_lifetime_max_s=LIFETIME_S,
        holds_per_subject_max=2,
        contact_keys=json.dumps({"keys": [public_part(CONTACT_KEY)]}),
        contact_secret=CONTACT_SECRET,
        database_pool_size=16,
        # On a busy machine a crowd of rivals waits, and is not turned away.
        database_pool_wait_s=60,
        database_statement_timeout_s=60,
        request_timeout_s=120,
        # All who say no name are one address here, and the clock by which they are counted stands still.
        anonymous_requests_per_s=0,
    )


@pytest.fixture(scope="session")
def shared_clock() -> FixedClock:
    """Of the database that most tests share."""
    return FixedClock(NOW)


@pytest.fixture(scope="module", autouse=True)
def at_the_beginning(shared_clock: FixedClock) -> None:
    """Each file of tests begins at the same hour, wherever those before it have moved the clock."""
    shared_clock.instant = NOW


@pytest.fixture(scope="session")
async def practice(postgres_server: Any, template: str, shared_clock: FixedClock) -> AsyncIterator[Practice]:
    """The database that most tests share."""
    url = postgres_server.create_database("booking_shared", template=template)
    async with Database(url, size=20, statement_timeout_s=60, name="test") as database:
        yield Practice(database, settings_for(url), shared_clock)


@pytest.fixture
async def fresh(new_database: Callable[..., str], template: str) -> AsyncIterator[Practice]:
    """A database of the test's own."""
    url = new_database(template=template)
    async with Database(url, size=20, statement_timeout_s=60, name="test") as database:
        yield Practice(database, settings_for(url), FixedClock(NOW))


@dataclass
class Callers:
    """Who calls the API."""

    client: httpx.AsyncClient
    issuer: Issuer
    clock: FixedClock
    """the service's: what is signed here is signed at its hour, whatever other tests have made of it"""

    def software(self, language: str = "fr") -> Caller:
        return Caller(self.client, self.issuer.token("software", unique("logiciel")), language)

    def patient(
        self, reference: str | None = None, *, subject: str | None = None, language: str = "fr"
    ) -> Caller:
        id_ = reference.removeprefix("Patient/") if reference else None
        return Caller(self.client, self.issuer.token("patient", subject or unique("citoyen"), id_), language)

    def by_code(self, kind: ContactKind, contact: str) -> Caller:
        """Somebody without an account who has proven this contact by a one-time code."""
        subject = ContactAccounts(CONTACT_SECRET).subject(kind, contact)
        assert subject is not None
        token, _ = TokenSigner(CONTACT_KEY, "creneau").sign(subject, self.clock.now(), timedelta(hours=1))
        return Caller(self.client, token)

    def by_link(self, appointment: str, reference: str) -> Caller:
        """Whoever has come by the link of a message about an Appointment (id) to a Patient (a reference)."""
        only = OneAppointment(appointment, reference.removeprefix("Patient/"))
        signer = TokenSigner(CONTACT_KEY, "creneau")
        token, _ = signer.sign(unique("message/"), self.clock.now(), timedelta(minutes=30), only)
        return Caller(self.client, token)

    def answering(self, reference: str) -> Caller:
        """A patient whose token is for AppointmentResponse."""
        return self.with_scopes("answering", reference)

    def staff(self, *organizations: str, role: str = "secretary", **claims: object) -> Caller:
        """Who speaks for these Organizations (ids); without any, for no practice."""
        said = {"creneau_role": role, "creneau_organizations": list(organizations), **claims}
        return Caller(self.client, self.issuer.token("practice", unique(role), None, **said))

    def counsellor(self, reference: str | None, mandate: str | None = "présence") -> Caller:
        """A counsellor with somebody, or with nobody; `mandate`: by what they may act."""
        said = {"creneau_role": "counsellor", "creneau_for": reference, "creneau_mandate": mandate}
        return Caller(self.client, self.issuer.token("patient", unique("conseil"), None, **said))

    def with_scopes(self, role: str, reference: str) -> Caller:
        return Caller(
            self.client, self.issuer.token(role, unique("citoyen"), reference.removeprefix("Patient/"))
        )

    def nobody(self) -> Caller:
        return Caller(self.client, None)


@asynccontextmanager
async def callers_of(practice: Practice) -> AsyncIterator[Callers]:
    """The API over a database."""
    async with running_issuer() as issuer:
        settings = settings_for(str(practice.settings.database_url), issuer.url)
        async with serving(create_app(settings, practice.clock)) as client:
            yield Callers(client, issuer, practice.clock)


@pytest.fixture(scope="session")
async def callers(practice: Practice) -> AsyncIterator[Callers]:
    """The API over the shared database."""
    async with callers_of(practice) as callers:
        yield callers
