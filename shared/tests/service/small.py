"""A FHIR service as small as one can be: the platform with two types of the generic store, one public (Organization),
one personal (Patient), what is kept beside them (Provenance, the trail), and a replica of another service's type
(Practitioner). No rules, no HTTP: what fails here is the platform's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
from shared.tests.search.store import create_statements

from creneau_shared.app import create_fhir_server
from creneau_shared.clock import FixedClock
from creneau_shared.database.metadata import new_metadata
from creneau_shared.database.pool import Database
from creneau_shared.fhir.audit import audit_table
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.declaration import READ_ONLY, ServedType
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.rest.idempotency import idempotency_table
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.fhir.rest.trail import served_trail
from creneau_shared.fhir.search.generic import GenericTable
from creneau_shared.fhir.search.sql import Catalog
from creneau_shared.fhir.storage.async_requests import async_request_table
from creneau_shared.fhir.storage.audit_events import AuditEventTable, names_in
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.storage.tables import SEARCH_EXTENSIONS, history_table, resource_tables
from creneau_shared.limits.storage import rate_bucket_table
from creneau_shared.security.principal import ANONYMOUS, Principal, Scope
from creneau_shared.settings import ServiceSettings

BASE = "https://small.example/fhir"
SERVICE = "creneau-small"
NOW = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
OWN, KEPT_BESIDE = ("Organization", "Patient"), ("Provenance",)
REPLICA = "Practitioner"
"""a type of another service, that is searched here and not served"""
NAMES = names_in({"Patient": "patient"})


def ddl() -> str:
    """The SQL that makes the service's database."""
    metadata = new_metadata()
    for resource_type in (*OWN, *KEPT_BESIDE, REPLICA):
        resource_tables(metadata, resource_type)
    for table in (history_table, idempotency_table, audit_table, async_request_table, rate_bucket_table):
        table(metadata)
    extensions = [f"CREATE EXTENSION IF NOT EXISTS {name}" for name in SEARCH_EXTENSIONS]
    return ";\n".join([*extensions, *create_statements(metadata)])


def small_server(url: str, database: Database) -> FhirServer:
    """The service over a database, which need not be open as long as nothing is read or written."""
    types = [
        *(ServedType(GenericStore(name, BASE)) for name in OWN),
        ServedType(GenericStore("Provenance", BASE), interactions=READ_ONLY | {"create"}),
        served_trail(SERVICE, NAMES, "Who read or changed what."),
    ]
    tables = [GenericTable.of(name) for name in (*OWN, *KEPT_BESIDE, REPLICA)]
    return create_fhir_server(
        ServiceSettings(database_url=url, public_base_url=BASE),
        service=SERVICE,
        database=database,
        clock=FixedClock(NOW),
        types=types,
        catalog=Catalog([*tables, AuditEventTable(SERVICE, NAMES)]),
    )


@dataclass(frozen=True)
class Said:
    """An answer with its content read."""

    answer: Answer

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self.answer.headers

    @property
    def resource(self) -> Resource:
        return loads(self.answer.content or b"{}")

    @property
    def code(self) -> str:
        """The code of the first issue of an OperationOutcome."""
        return str(self.resource["issue"][0]["code"])


@dataclass(frozen=True)
class Caller:
    """Somebody who asks the service, as the HTTP edge would ask it for them."""

    server: FhirServer
    principal: Principal

    async def ask(self, method: str, address: str, body: object = None, **headers: str) -> Said:
        """`address` is relative to the base; headers are written `If_Match`. A failure is an answer, too."""
        path, _, query = address.partition("?")
        request = FhirRequest(
            method=method,
            path=tuple(part for part in path.split("/") if part),
            query=parse_qsl(query, keep_blank_values=True),
            headers={
                "content-type": "application/fhir+json",
                **{name.lower().replace("_", "-"): value for name, value in headers.items()},
            },
            body=b"" if body is None else dumps(body),
            principal=self.principal,
            now=NOW,
            base_url=BASE,
            language="en",
            raw_query=query,
        )
        try:
            return Said(await self.server.answer(request))
        except Exception as error:
            return Said(failure(error, "en"))


@dataclass(frozen=True)
class Small:
    """The service, its database, and who asks it."""

    server: FhirServer
    database: Database
    url: str

    @property
    def system(self) -> Caller:
        """The deployment itself, which may do all."""
        scopes = (Scope("system", "*", frozenset("cruds")),)
        return Caller(self.server, Principal("https://issuer.example", "system", scopes, role="system"))

    def patient(self, id_: str, subject: str = "camille") -> Caller:
        """A person's account, which acts for one Patient."""
        return Caller(self.server, patient_principal(id_, subject))

    @property
    def nobody(self) -> Caller:
        return Caller(self.server, ANONYMOUS)

    async def count(self, table: str) -> int:
        return int(await self.database.pool.fetchval(f"SELECT count(*) FROM {table}"))


def patient_principal(id_: str, subject: str = "camille") -> Principal:
    scopes = (Scope("patient", "*", frozenset("cruds")),)
    return Principal("https://issuer.example", subject, scopes, patient=id_, role="patient", client="app")


async def make(url: str) -> None:
    """Makes the service's tables in an empty database."""
    connection = await asyncpg.connect(url)
    await connection.execute(ddl())
    await connection.close()


@asynccontextmanager
async def running(url: str) -> AsyncIterator[Small]:
    """The service over a database that has its tables (`make`), opened."""
    async with Database(url, size=6, statement_timeout_s=60, name=SERVICE) as database:
        server = small_server(url, database)
        async with server.service.limits.database:
            yield Small(server, database, url)


def bundle(kind: str, *entries: tuple[str, str, Any]) -> Resource:
    """A Bundle of (method, url, resource); what is posted has its place as fullUrl: `urn:uuid:…0000`, `…0001`."""
    made = []
    for index, (method, url, resource) in enumerate(entries):
        entry: dict[str, Any] = {"request": {"method": method, "url": url}}
        if resource is not None:
            entry |= {"resource": resource, "fullUrl": urn(index)}
        made.append(entry)
    return {"resourceType": "Bundle", "type": kind, "entry": made}


def urn(index: int) -> str:
    """The fullUrl of an entry, by its place."""
    return f"urn:uuid:00000000-0000-4000-8000-{index:012d}"
