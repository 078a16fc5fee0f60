"""What the directory does around a write: refuse wrong national identifiers, tell everyone of the change, keep the
accounts of regulators apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from creneau_directory.domain.identifiers import CHECKS
from creneau_directory.domain.regulators import account_issues, is_account, numbers_of, without_numbers
from creneau_directory.publishing import resource_event
from creneau_directory.storage.references import named_by
from creneau_directory.storage.regulators import others_bearing
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Conflict, Issue, Unprocessable
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.fhir.zones import zone_issues
from creneau_shared.messaging.outbox import append


async def resource_changed(
    connection: Connection, context: WriteContext, kind: ChangeKind, stored: Stored, resource: Resource | None
) -> None:
    """The hook of every directory type, inside the transaction of the write. What others name is not deleted: a role
    would be left without its professional, an offer without its place. It can be ended (`active`, `status`, `period`)."""
    if resource is not None:
        issues = [*identifier_issues(resource), *zone_issues(resource), *_patients_own(resource)]
        if issues:
            raise Unprocessable(issues=issues)
    elif others := await named_by(connection, stored.resource_type, stored.id):
        raise _still_named(stored, others)
    await append(connection, [resource_event(stored, context.correlation_id)])


def _still_named(stored: Stored, others: Sequence[str]) -> Conflict:
    name = f"{stored.resource_type}/{stored.id}"
    return Conflict(
        f"{name} est encore nommé par d'autres entrées ({', '.join(others)}) : supprimez-les ou changez-les d'abord, ou"
        " rendez celle-ci inactive.",
        f"{name} is still named by other entries ({', '.join(others)}): delete or change these first, or make this one"
        " inactive.",
        code="conflict",
        expression=stored.resource_type,
        details_code="still-named",
    )


def _patients_own(resource: Resource) -> Iterator[Issue]:
    """An issue for a Device that is a patient's: what is in the directory is read by everybody."""
    if resource["resourceType"] == "Device" and "patient" in resource:
        yield Issue(
            "business-rule",
            "L'annuaire décrit les équipements des structures ; celui d'un patient n'y a pas sa place.",
            "The directory describes what structures work with; a patient's own device has no place in it.",
            ("Device.patient",),
            details_code="patients-device",
        )


class PractitionerChanged:
    """The hook of Practitioner: as for every type, and the rules of regulators' accounts (SAS, INT_R02)."""

    def __init__(self, base_url: str) -> None:
        self._accounts = GenericStore("Practitioner", base_url, resource_changed)

    async def __call__(
        self,
        connection: Connection,
        context: WriteContext,
        kind: ChangeKind,
        stored: Stored,
        resource: Resource | None,
    ) -> None:
        """Unprocessable for an account that says too little, Conflict for one whose number another one bears."""
        if resource is not None and (context.role == "regulator" or is_account(resource)):
            issues = list(account_issues(resource))
            if issues:
                raise Unprocessable(issues=issues)
            await self._take_numbers(connection, context, resource)
        await resource_changed(connection, context, kind, stored, resource)

    async def _take_numbers(self, connection: Connection, context: WriteContext, account: Resource) -> None:
        """An active account takes its numbers from those that are no longer active; they keep the rest."""
        numbers = numbers_of(account)
        for other in await others_bearing(connection, numbers, account["id"]):
            bearer = loads(other.content or b"null")
            if bearer.get("active") is not False or not account["active"]:
                raise Conflict(
                    f"Un autre compte de régulateur porte déjà cet identifiant : Practitioner/{other.id}.",
                    f"Another regulator's account bears this identifier already: Practitioner/{other.id}.",
                    code="duplicate",
                    expression="Practitioner.identifier",
                    details_code="regulator-known",
                )
            await self._accounts.replace(connection, context, other, without_numbers(bearer, numbers))


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
