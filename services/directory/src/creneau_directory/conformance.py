"""What the directory contributes to /metadata."""

from __future__ import annotations

from creneau_directory.handlers import PractitionerChanged, resource_changed
from creneau_directory.judging import entry_issues
from creneau_directory.settings import DirectorySettings
from creneau_directory.storage.entries import EntryStore
from creneau_directory.storage.ownership import entry_belonging
from creneau_directory.storage.tables import TYPES
from creneau_directory.views import (
    ROR_TYPES,
    RorPolicy,
    in_hindsight,
    indexed,
    require_ror_headers,
    shown,
)
from creneau_shared.fhir.profiles import profiles_of
from creneau_shared.fhir.rest.declaration import ServedType
from creneau_shared.fhir.rest.trail import served_trail
from creneau_shared.fhir.search.request import Limits
from creneau_shared.fhir.storage.audit_events import NameOf


def served_types(settings: DirectorySettings, names: NameOf) -> list[ServedType]:
    """The types that the directory serves."""
    base_url = settings.public_base_url.rstrip("/")
    limits = {
        "HealthcareService": Limits(
            count_default=settings.offers_per_page, total_counted_max=settings.offers_counted_max
        )
    }
    hooks = {"Practitioner": PractitionerChanged(base_url)}
    policy = RorPolicy()
    public = [
        ServedType(
            EntryStore(name, base_url, hooks.get(name, resource_changed), entry_belonging, indexed=indexed),
            profiles=profiles_of(name),
            search_policy=policy,
            shown=shown if name in ROR_TYPES else None,
            in_hindsight=in_hindsight if name in ROR_TYPES else None,
            own_rules=entry_issues,
            # Of every type: a search of devices leads to their organisations as well.
            asked_by=require_ror_headers if settings.ror_headers_required else None,
            search_limits=limits.get(name),
        )
        for name in TYPES
    ]
    trail = served_trail(
        "creneau-directory",
        names,
        "Who read or changed which personal data here. What the directory holds is public: reading it leaves no trace.",
    )
    return [*public, trail]
