"""The directory's composition root."""

from __future__ import annotations

from datetime import datetime, timedelta

from creneau_directory.conformance import served_types
from creneau_directory.domain.care.places import gazetteer
from creneau_directory.domain.care.vocabulary import vocabulary
from creneau_directory.operations.export import Exports
from creneau_directory.operations.find_care import FindCareOperation
from creneau_directory.operations.suggest import SuggestOperation
from creneau_directory.settings import DirectorySettings
from creneau_directory.storage.tables import TYPES
from creneau_directory.words import told
from creneau_shared.app import ServiceApplication, create_fhir_server, create_service_app, open_database
from creneau_shared.clock import Clock, SystemClock
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.rest.operation import Operation
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.fhir.search.generic import GenericTable
from creneau_shared.fhir.search.sql import Catalog
from creneau_shared.fhir.storage.audit_events import AuditEventTable, names_in
from creneau_shared.security.access import Known
from creneau_shared.security.memberships import practices_of
from creneau_shared.security.principal import Principal

SERVICE = "creneau-directory"
NAMES = names_in({"Practitioner": "practitioner", "Organization": "organization"})
"""Names of professionals and organisations for the trail."""


def create_catalog() -> Catalog:
    """The types that can be searched in the directory."""
    return Catalog([*(GenericTable.of(name) for name in TYPES), AuditEventTable(SERVICE, NAMES)])


def create_fhir(settings: DirectorySettings, database: Database, clock: Clock) -> FhirServer:
    """The directory's FHIR interactions, for the API and for the worker alike."""
    return create_fhir_server(
        settings,
        service=SERVICE,
        database=database,
        clock=clock,
        types=served_types(settings, NAMES),
        catalog=create_catalog(),
        operations=create_operations(settings),
        memberships=known,
        words=told,
    )


def create_operations(settings: DirectorySettings) -> list[Operation]:
    """The operations: people's search, its suggestions while somebody types, and exports."""
    base = settings.public_base_url.rstrip("/")
    finding = FindCareOperation(
        base,
        compared_max=settings.care_compared_max,
        text_characters_max=settings.care_text_characters_max,
        headers_required=settings.ror_headers_required,
    )
    suggesting = SuggestOperation(
        settings.care_text_characters_max, headers_required=settings.ror_headers_required
    )
    exporting = Exports(
        base,
        create_catalog(),
        settings.export_file_resources,
        settings.ror_headers_required,
        request_max=timedelta(seconds=settings.request_timeout_s),
    )
    return [finding.declare(), suggesting.declare(), exporting.declare_export(), exporting.declare_file()]


async def known(connection: Connection, principal: Principal, now: datetime) -> Known:
    """The practices for which a principal acts; the directory keeps nothing of patients."""
    practices = await practices_of(connection, principal, now)
    return Known(practices=practices.may, own_practices=practices.own)


def create_app(settings: DirectorySettings | None = None, clock: Clock | None = None) -> ServiceApplication:
    """The directory's API."""
    settings = settings or DirectorySettings()
    database = open_database(settings, f"{SERVICE}-api", serves=True)
    (
        vocabulary(),
        gazetteer(),
    )  # loaded at start: loading takes a second, during which no request would be answered
    return create_service_app(settings, create_fhir(settings, database, clock or SystemClock()))
