"""What the directory does around a write: refuse wrong national identifiers, tell everyone of the change."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_directory.domain.identifiers import CHECKS
from creneau_directory.publishing import resource_event
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Issue, Unprocessable
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.fhir.zones import zone_issues
from creneau_shared.messaging.outbox import append


async def resource_changed(
    connection: Connection, context: WriteContext, kind: ChangeKind, stored: Stored, resource: Resource | None
) -> None:
    """The hook of every directory type, inside the transaction of the write."""
    if resource is not None:
        issues = [*identifier_issues(resource), *zone_issues(resource)]
        if issues:
            raise Unprocessable(issues=issues)
    await append(connection, [resource_event(stored, context.correlation_id)])


def identifier_issues(resource: Resource) -> Sequence[Issue]:
    """One issue for each identifier whose national system it cannot belong to."""
    issues = []
    for index, identifier in enumerate(resource.get("identifier", ())):
        check = CHECKS.get(identifier.get("system", ""))
        value = identifier.get("value")
        if check is not None and value is not None and not check[1](value):
            issues.append(
                Issue(
                    "value",
                    f"« {value} » n'est pas un numéro {check[0]} valable : vérifiez ses chiffres et sa clé.",
                    f"“{value}” is not a valid {check[0]} number: check its digits and its key.",
                    (f"{resource['resourceType']}.identifier[{index}].value",),
                    details_code="identifier-key",
                )
            )
    return issues
