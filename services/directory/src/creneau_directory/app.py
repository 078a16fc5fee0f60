"""The directory's composition root."""

from __future__ import annotations

from creneau_directory.conformance import served_types
from creneau_directory.settings import DirectorySettings
from creneau_directory.storage.tables import TYPES
from creneau_shared.app import ServiceApplication, create_service_app, open_database
from creneau_shared.clock import Clock, SystemClock
from creneau_shared.fhir.search.generic import GenericTable
from creneau_shared.fhir.search.sql import Catalog

SERVICE = "creneau-directory"


def create_catalog() -> Catalog:
    """What can be searched here."""
    return Catalog([GenericTable.of(name) for name in TYPES])


def create_app(settings: DirectorySettings | None = None, clock: Clock | None = None) -> ServiceApplication:
    """The directory's API."""
    settings = settings or DirectorySettings()
    return create_service_app(
        settings,
        service=SERVICE,
        database=open_database(settings, f"{SERVICE}-api"),
        clock=clock or SystemClock(),
        types=served_types(settings.public_base_url.rstrip("/")),
        catalog=create_catalog(),
    )
