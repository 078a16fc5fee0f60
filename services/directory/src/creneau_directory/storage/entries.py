"""What the directory adds to an entry as it is written: it resolves references by identifier, and marks regulators' accounts.

A role that names its professional by number alone would otherwise belong to nobody: a search by the professional's name
would miss it, and it would not prevent another booking at the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from creneau_directory.domain.regulators import as_account, is_account
from creneau_directory.domain.ror.visibility import SENSITIVE_TERM
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.bearers import as_given, bears, meant
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.terms import identifier_terms
from creneau_shared.fhir.storage.generic import GenericStore, owned_by
from creneau_shared.fhir.storage.store import Resource, WriteContext
from creneau_shared.security.rights import REGULATION

NAMED: Mapping[str, Mapping[str, str]] = {
    "Device": {"owner": "Organization", "location": "Location"},
    "Endpoint": {"managingOrganization": "Organization"},
    "HealthcareService": {"providedBy": "Organization", "location": "Location"},
    "Location": {"managingOrganization": "Organization", "partOf": "Location"},
    "Organization": {"partOf": "Organization"},
    "OrganizationAffiliation": {
        "organization": "Organization",
        "participatingOrganization": "Organization",
        "location": "Location",
        "healthcareService": "HealthcareService",
    },
    "PractitionerRole": {
        "practitioner": "Practitioner",
        "organization": "Organization",
        "location": "Location",
        "healthcareService": "HealthcareService",
    },
}
"""type → element → the type of the entry that the element names"""


class EntryStore(GenericStore):
    """The generic store of one type of the directory, whose entries name others by their references."""

    async def as_known(self, connection: Connection, context: WriteContext, resource: Resource) -> Resource:
        if self.resource_type == "Practitioner" and (context.role == "regulator" or is_account(resource)):
            return as_account(resource)
        return await with_known_entries(connection, resource)


async def with_known_entries(connection: Connection, resource: Resource) -> Resource:
    """Adds `Type/id` to references by identifier alone, if exactly one entry has the identifier as it is given, or, where
    none has, in another spelling of its number."""
    said: dict[str, Any] = dict(resource)
    for element, kind in NAMED.get(resource["resourceType"], {}).items():
        value = said.get(element)
        if isinstance(value, list):
            said[element] = [await _known(connection, one, kind) for one in value]
        elif value is not None:
            said[element] = await _known(connection, value, kind)
    return said


async def _known(connection: Connection, named: Resource, kind: str) -> Resource:
    identifier = named.get("identifier", {})
    if named.get("reference") or not identifier.get("system") or not identifier.get("value"):
        return named
    bearers = await _bearers(connection, kind, identifier["system"], identifier["value"])
    return {**named, "reference": f"{kind}/{bearers[0]}"} if len(bearers) == 1 else named


async def _bearers(connection: Connection, kind: str, system: str, value: str) -> Sequence[str]:
    """The ids of entries that an identifier means, at most two. Sensitive units and regulators' accounts are left out."""
    unfound: Collection[str] = (SENSITIVE_TERM, *owned_by([REGULATION]))
    rows = await connection.fetch(
        f"SELECT id, {as_given('$1::text[]')} AS given FROM {table_name(kind)}"
        f" WHERE {bears('$1::text[]')} AND NOT terms && $2::text[] AND NOT deleted ORDER BY given DESC LIMIT 2",
        identifier_terms(system, value),
        list(unfound),
    )
    return meant((row["id"], row["given"]) for row in rows)
