"""The composition root: settings → the services as they are reached → what is put together of them → the application."""

from __future__ import annotations

import httpx

from creneau_gateway.api.application import BodyLimits, GatewayApplication
from creneau_gateway.conformance.resources import ConformanceResources
from creneau_gateway.operations.dead_letters import AllDeadLetters
from creneau_gateway.operations.record import PersonalRecord
from creneau_gateway.senders import Senders
from creneau_gateway.settings import GatewaySettings
from creneau_gateway.upstreams.calls import Upstreams
from creneau_gateway.upstreams.routing import SERVICE_OF
from creneau_gateway.whole.bundles import Bundles
from creneau_gateway.whole.joined import Whole
from creneau_gateway.whole.own_types import OwnTypes
from creneau_shared.clock import Clock, SystemClock
from creneau_shared.fhir.search.registry import REGISTRY
from creneau_shared.fhir.search.sealing import QuerySeal
from creneau_shared.heavy.workshop import Workshop
from creneau_shared.limits.callers import Limit
from creneau_shared.metrics import tell_process
from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_shared.security.smart import SmartConfiguration

SERVICE = "creneau-gateway"
CONNECTIONS_MAX, CONNECTIONS_IDLE_MAX, CONNECTION_IDLE_S = 100, 50, 30.0
"""of a gateway process to each service"""
CONNECT_TIMEOUT_S = 2.0
"""as nginx has it: a machine that has vanished refuses nothing, and another process may be asked instead"""
PUTTING_TOGETHER_S = 3.0
"""for reading a request and putting the services' answers together: with `UPSTREAM_TIMEOUT_S` less than nginx waits"""


def create_app(
    settings: GatewaySettings | None = None,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    issuer: httpx.AsyncClient | None = None,
) -> GatewayApplication:
    """The API. `transport` stands in for the way to the services, `issuer` for the way to the issuer."""
    settings = settings or GatewaySettings()
    clock = clock or SystemClock()
    base_url = settings.public_base_url.rstrip("/")
    tell_process(SERVICE, settings)
    upstreams = Upstreams(settings.upstreams, lambda: _client(settings, transport))
    smart = SmartConfiguration(str(settings.oidc_issuer) if settings.oidc_issuer else None, issuer)
    whole = Whole(upstreams, base_url, QuerySeal(settings.cursor_secret), smart)
    conformance = ConformanceResources(REGISTRY, tuple(SERVICE_OF), base_url, clock)
    record, letters = PersonalRecord(upstreams, base_url, clock), AllDeadLetters(upstreams)
    own = OwnTypes(whole, record, letters, conformance)
    return GatewayApplication(
        upstreams=upstreams,
        whole=whole,
        own=own,
        bundles=Bundles(
            upstreams,
            own,
            base_url,
            parallel=settings.batch_parallel,
            timeout_s=settings.upstream_timeout_s,
            answer_bytes_max=settings.bundle_answer_bytes_max,
        ),
        smart=smart,
        workshop=Workshop(bytes_min=settings.heavy_bytes_min, waiting_max=settings.heavy_waiting_max),
        senders=_senders(settings),
        bodies=BodyLimits(settings.anonymous_body_bytes_max, settings.request_body_bytes_max),
        timeout_s=settings.upstream_timeout_s + PUTTING_TOGETHER_S,
    )


def _client(settings: GatewaySettings, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    limits = httpx.Limits(
        max_connections=CONNECTIONS_MAX,
        max_keepalive_connections=CONNECTIONS_IDLE_MAX,
        keepalive_expiry=CONNECTION_IDLE_S,
    )
    timeout = httpx.Timeout(settings.upstream_timeout_s, connect=CONNECT_TIMEOUT_S)
    return httpx.AsyncClient(timeout=timeout, limits=limits, transport=transport)


def _senders(settings: GatewaySettings) -> Senders:
    return Senders(
        GatewayHeaders(settings.gateway_secret.get_secret_value()),
        Limit("anonymous", settings.anonymous_requests_per_s, settings.anonymous_requests_burst),
        Limit("authorization", settings.authorization_requests_per_s, settings.authorization_requests_burst),
    )
