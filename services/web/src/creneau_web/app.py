"""The composition root: settings → database, FHIR base, catalogues, templates → the pages."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import httpx
from fastapi import Depends, FastAPI

from creneau_shared.clock import Clock, SystemClock
from creneau_shared.database.pool import Database
from creneau_shared.database.schema import schema_of
from creneau_shared.http import health as health_http
from creneau_shared.http.edge import EdgeMiddleware
from creneau_shared.http.health import Health
from creneau_shared.metrics import tell_process
from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_web.admission.gate import Gate
from creneau_web.assets import Assets
from creneau_web.auth.keeping import Keeping
from creneau_web.auth.login import Login
from creneau_web.care.directory import Directory
from creneau_web.care.finding import Finding
from creneau_web.care.model import PARIS
from creneau_web.care.reasons import Reasons
from creneau_web.drawing import template_engine
from creneau_web.fhir.wire import HttpWire, Wire
from creneau_web.headers import PageHeaders, with_head
from creneau_web.ops.collecting import Collector
from creneau_web.ops.settings import OpsSettings
from creneau_web.page import check_form
from creneau_web.pages import all_routes, back_channel, failures, routers, shown_paths
from creneau_web.sessions.cookie import SessionCookie
from creneau_web.sessions.store import Sessions
from creneau_web.settings import WebSettings
from creneau_web.site import Site
from creneau_web.storage.reports import Reports
from creneau_web.storage.troubles import Troubles
from creneau_web.sweeping import sweep_for_ever
from creneau_web.wording import read_catalogues

SERVICE = "creneau-web"
CONNECTION_KEPT_S = 30.0
"""how long an idle connection to the FHIR base is kept: less than any server does"""


class WebApplication:
    """The pages as an ASGI application, with what every process answers beside them."""

    def __init__(self, pages: FastAPI, site: Site, database: Database) -> None:
        self.pages = pages
        self.site = site
        self.database = database
        self.health = Health({"database": database.ping})
        self._answer = with_head(pages)
        self._app = EdgeMiddleware(self._dispatch, frozenset())

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._app(cast("dict[str, Any]", scope), receive, send)
        else:
            await self.pages(scope, receive, send)

    async def _dispatch(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if not await health_http.answer(self.health, scope, send):
            await self._answer(scope, receive, send)


def create_app(
    settings: WebSettings | None = None,
    clock: Clock | None = None,
    wire: Wire | None = None,
    providers: httpx.AsyncBaseTransport | None = None,
) -> WebApplication:
    """The pages. `wire` stands in for the way to the FHIR base, `providers` for that to the identity providers."""
    settings = settings or WebSettings()
    clock = clock or SystemClock()
    database = open_database(settings)
    site = create_site(settings, clock, database, wire or open_wire(settings), providers)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with database, site.wire:
            tell_process(SERVICE, settings, await schema_of(database))
            beside = [
                asyncio.create_task(
                    sweep_for_ever(
                        settings.session_sweep_s, site.sessions.sweep, lambda: site.reports.sweep(clock.now())
                    )
                ),
                asyncio.create_task(site.collector.run()),
            ]
            yield
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await site.login.close()

    pages = FastAPI(title="Créneau", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    pages.state.site = site
    pages.state.shown = shown_paths()
    pages.state.routes = all_routes()
    pages.add_middleware(Gate, site=site)
    pages.add_middleware(PageHeaders, site=site)
    for router in routers():
        pages.include_router(router, dependencies=[Depends(check_form)])
    pages.include_router(back_channel.router)  # a provider has no form of ours: its signature is checked
    failures.handle(pages)
    return WebApplication(pages, site, database)


def create_site(
    settings: WebSettings,
    clock: Clock,
    database: Database,
    wire: Wire,
    providers: httpx.AsyncBaseTransport | None = None,
) -> Site:
    """Builds what the pages use."""
    sessions = Sessions(
        database,
        clock,
        idle=timedelta(minutes=settings.session_idle_min),
        longest=timedelta(hours=settings.session_max_h),
    )
    login = Login(settings, clock, providers)
    directory = Directory(settings.directory_cache_s)
    return Site(
        settings=settings,
        clock=clock,
        wire=wire,
        sessions=sessions,
        login=login,
        keeping=Keeping(login, sessions),
        cookie=SessionCookie(settings),
        entrance=GatewayHeaders(settings.gateway_secret.get_secret_value()),
        directory=directory,
        reasons=Reasons(settings.directory_cache_s),
        finding=Finding(clock, directory, settings.results_cache_s),
        reports=Reports(
            database,
            keep=timedelta(days=settings.reports_keep_days),
            most=settings.reports_per_hour_max,
            most_of_one=settings.reports_per_network_hour_max,
        ),
        wordings={
            language: wording.at(lambda: clock.now().astimezone(PARIS).year)
            for language, wording in read_catalogues(sends_texts=settings.sends_texts).items()
        },
        templates=template_engine(settings, settings.theme_folder),
        assets=Assets(settings.theme_folder),
        collector=Collector(OpsSettings(), lambda: clock.now().timestamp(), Troubles(database)),
    )


def open_wire(settings: WebSettings) -> Wire:
    """The way to the FHIR base; to be entered as a context manager."""
    return HttpWire(
        settings.fhir_url,
        timeout_s=settings.fhir_timeout_s,
        connections_max=settings.fhir_connections_max,
        kept_s=CONNECTION_KEPT_S,
        verify=ssl.create_default_context(cafile=settings.fhir_ca) if settings.fhir_ca else None,
    )


def open_database(settings: WebSettings) -> Database:
    """The pages' own database; to be entered as a context manager."""
    return Database(
        str(settings.database_url),
        size=settings.database_pool_size,
        statement_timeout_s=settings.database_statement_timeout_s,
        name=SERVICE,
        wait_s=settings.database_pool_wait_s,
    )
