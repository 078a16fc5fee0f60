"""The API process of a service: FHIR under /fhir, health, metrics, correlation, CORS."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, cast

import orjson
import structlog
from fastapi import FastAPI, Request, Response

from creneau_shared.clock import Clock
from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_shared.database.pool import Database
from creneau_shared.database.schema import schema_of
from creneau_shared.database.standby import Standby
from creneau_shared.errors import TooManyRequests
from creneau_shared.fhir.audit import Auditor
from creneau_shared.fhir.outcome import negotiate_language
from creneau_shared.fhir.rest import well_known
from creneau_shared.fhir.rest.asynchronous import AsyncRequests
from creneau_shared.fhir.rest.bounds import Bounds
from creneau_shared.fhir.rest.declaration import ServedType
from creneau_shared.fhir.rest.endpoint import BASE_PATH, FhirEndpoint
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.rest.incoming import BodyLimits
from creneau_shared.fhir.rest.negotiation import CONTENT_TYPE
from creneau_shared.fhir.rest.openapi import openapi
from creneau_shared.fhir.rest.operation import Operation
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.fhir.rest.service import FhirService, Observer, Words, seen_by_nobody
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.fhir.search.sql import Catalog
from creneau_shared.heavy.workshop import Workshop
from creneau_shared.http import health as health_http
from creneau_shared.http.edge import EdgeMiddleware
from creneau_shared.http.health import Check, Health
from creneau_shared.http.serving import serve
from creneau_shared.limits.deployment import DeploymentLimits
from creneau_shared.logging import configure_logging
from creneau_shared.metrics import tell_process
from creneau_shared.security.access import AccessPolicy, Memberships, nothing_known
from creneau_shared.security.certificates import Regulators
from creneau_shared.security.issuers import Issuers, accepted_issuers
from creneau_shared.security.smart import SmartConfiguration
from creneau_shared.settings import ServiceSettings

log = structlog.get_logger(__name__)


class ServiceApplication:
    """One service's API as an ASGI application. Opens its database at startup and closes it at shutdown."""

    def __init__(
        self,
        settings: ServiceSettings,
        fhir: FhirServer,
        database: Database,
        verifier: Issuers | None,
    ) -> None:
        self.settings = settings
        self.fhir = fhir
        self.health = Health(readiness=self._readiness(database, verifier))
        self._database = database
        self._verifier = verifier
        self._endpoint = FhirEndpoint(
            fhir,
            verifier,
            Regulators(fhir.service.limits.gateway, settings.regulation_certificates),
            bodies=BodyLimits(
                anonymous=settings.anonymous_body_bytes_max,
                patient=settings.patient_body_bytes_max,
                others=settings.request_body_bytes_max,
                resource=settings.resource_bytes_max,
                feed=settings.feed_body_bytes_max,
            ),
            timeout_s=settings.request_timeout_s,
        )
        self.rest_of_api = FastAPI(
            title=f"Créneau – {fhir.service.name}", docs_url=None, redoc_url=None, openapi_url=None
        )
        for kind in (*DATABASE_FAILURES, TooManyRequests):
            self.rest_of_api.add_exception_handler(kind, _not_now)
        self._smart = SmartConfiguration(str(settings.oidc_issuer) if settings.oidc_issuer else None)
        self._app = EdgeMiddleware(self._dispatch, frozenset(fhir.service.types))

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._app(cast("dict[str, Any]", scope), receive, send)

    async def _dispatch(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"]
        if path in well_known.PATHS:
            await well_known.answer(self._smart, scope, send)
        elif path == BASE_PATH or path.startswith(f"{BASE_PATH}/"):
            await self._endpoint(scope, receive, send)
        elif path == "/openapi.json":
            await health_http.respond(send, 200, orjson.dumps(openapi(self.fhir)), "application/json")
        elif path == "/operation-definitions":
            body = orjson.dumps([operation.definition for operation in self.fhir.operations])
            await health_http.respond(send, 200, body, "application/json")
        elif not await health_http.answer(self.health, scope, send):
            await self.rest_of_api(scope, receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        async with AsyncExitStack() as stack:
            await receive()
            try:
                await stack.enter_async_context(self._database)
                tell_process(self.fhir.service.name, self.settings, await schema_of(self._database))
                await stack.enter_async_context(self.fhir.service.limits.database)
                stack.push_async_callback(self.fhir.service.workshop.close)
                stack.push_async_callback(self._smart.close)
                if self._verifier is not None:
                    stack.push_async_callback(self._verifier.close)
            except Exception as error:
                await send({"type": "lifespan.startup.failed", "message": repr(error)})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @staticmethod
    def _readiness(database: Database, verifier: Issuers | None) -> dict[str, Check]:
        checks: dict[str, Check] = {"database": database.ping, "database pool": database.check_room}
        if verifier is not None:
            checks["identity provider"] = verifier.ping
        return checks


async def _not_now(request: Request, error: Exception) -> Response:
    """Answers a failed request outside FHIR as the FHIR routes do: OperationOutcome, status, `Retry-After`."""
    answer = failure(error, negotiate_language(request.headers.get("accept-language")))
    return Response(answer.content, answer.status, dict(answer.headers), media_type=CONTENT_TYPE["json"])


def create_fhir_server(
    settings: ServiceSettings,
    *,
    service: str,
    database: Database,
    clock: Clock,
    types: Sequence[ServedType],
    catalog: Catalog,
    operations: Sequence[Operation] = (),
    memberships: Memberships = nothing_known,
    words: Words | None = None,
    observer: Observer = seen_by_nobody,
) -> FhirServer:
    """Builds one service's FHIR interactions over its database, for the API and for the worker that carries out
    asynchronous requests."""
    served = FhirService(
        name=service,
        base_url=settings.public_base_url,
        database=database,
        clock=clock,
        policy=AccessPolicy(memberships, anonymous_read=settings.anonymous_read),
        auditor=Auditor(served.name for served in types),
        types=types,
        catalog=catalog,
        cursor_secret=settings.cursor_secret,
        workshop=Workshop(bytes_min=settings.heavy_bytes_min, waiting_max=settings.heavy_waiting_max),
        limits=DeploymentLimits.of(settings, f"{service}-limits"),
        bounds=Bounds(
            settings.resource_bytes_max, settings.text_characters_max, settings.bundle_answer_bytes_max
        ),
        words=words,
        observer=observer,
    )
    return FhirServer(served, operations, AsyncRequests(service.removeprefix("creneau-"), AsyncSettings()))


def create_service_app(settings: ServiceSettings, fhir: FhirServer) -> ServiceApplication:
    """Builds the API of one service: its FHIR interactions over HTTP, and the paths that every service has."""
    verifier = accepted_issuers(settings, fhir.service.clock, fhir.service.database)
    return ServiceApplication(settings, fhir, fhir.service.database, verifier)


def open_database(settings: ServiceSettings, name: str, *, serves: bool = False) -> Database:
    """Builds the service's database from its settings; to be entered as a context manager.

    `serves`: for a process that answers people. Then the wait for a connection is limited, some connections are kept
    for reads, and reads may go to the standby.
    """
    size, timeout_s = settings.database_pool_size, settings.database_statement_timeout_s
    standby = None
    if serves and settings.database_read_url is not None:
        replicas = Database(
            str(settings.database_read_url),
            size=size,
            statement_timeout_s=timeout_s,
            name=f"{name}-reads",
            wait_s=settings.database_pool_wait_s,
            opened_at_once=0,
        )
        standby = Standby(replicas, lag_max_s=settings.database_read_lag_max_s)
    return Database(
        str(settings.database_url),
        size=size,
        statement_timeout_s=timeout_s,
        name=name,
        wait_s=settings.database_pool_wait_s if serves else None,
        kept_for_reads=settings.database_pool_reads if serves else 0,
        standby=standby,
        wakeup_pause_s=settings.database_wakeup_pause_s,
    )


def run_api(settings: ServiceSettings, service: str, create: Callable[[], ServiceApplication]) -> None:
    """Serves until SIGTERM: readiness fails first, open requests are finished, then the process ends."""
    configure_logging(settings, f"{service}-api")
    serve(create(), settings)
