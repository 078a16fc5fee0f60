"""The owner of a directory entry: the organisation that it names; for a professional, the one that entered them."""

from __future__ import annotations

from datetime import datetime

from creneau_directory.domain.refusals import PartsIdNotTheirs, ProfessionalNotTheirs, WholeNotTheirs
from creneau_directory.domain.regulators import is_account
from creneau_directory.domain.ror.visibility import SENSITIVE_TERM, is_sensitive
from creneau_directory.storage.professionals import is_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.current import bounds, is_active
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.security.rights import REGULATION

ORGANIZATION_OF = {
    "Location": "managingOrganization",
    "HealthcareService": "providedBy",
    "PractitionerRole": "organization",
    "OrganizationAffiliation": "organization",
    "Endpoint": "managingOrganization",
    "Device": "owner",
}
"""the element in which each type names its organisation"""


async def entry_belonging(
    connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
) -> list[str] | None:
    """Returns the internal terms of a directory entry; None if its owner stays the same.

    An organisation belongs to itself and to the one that it is a part of: whoever speaks for a hospital may open a unit
    of it, and speaks for the unit too. A regulator's account belongs to the regulation, whoever enters it.
    """
    kind = resource["resourceType"]
    if kind == "Organization":
        whole = _referred(resource, "partOf", kind)
        if whole is not None and context.organizations is not None:
            _require_own_part(context, context.organizations, resource["id"], whole, current)
        return owned_by(filter(None, (resource["id"], whole)))
    if kind == "Practitioner" and is_account(resource):
        return owned_by([REGULATION])
    if kind == "Practitioner":
        return None if current is not None else owned_by(context.own_organizations)
    if kind == "PractitionerRole":
        await _require_own_professional(connection, context, resource, current)
    owner = _referred(resource, ORGANIZATION_OF[kind], "Organization")
    sensitive = [SENSITIVE_TERM] if is_sensitive(resource) else []
    return [*owned_by([owner] if owner else ()), *sensitive]


def _require_own_part(
    context: WriteContext, theirs: frozenset[str], id_: str, whole: str, current: Stored | None
) -> None:
    """Checks that a practice may make an organisation a part of another; who speaks for a whole speaks for its parts too.

    WholeNotTheirs if the practice does not speak for the whole: the part would know each new Patient of the whole.
    PartsIdNotTheirs if it chooses an id for which it does not speak, unless the id begins with one of its own ids and a dot:
    tokens may name an organisation before the directory has it."""
    before = loads(current.content) if current is not None and current.content is not None else {}
    if whole not in theirs and whole != _referred(before, "partOf", "Organization"):
        raise WholeNotTheirs(whole)
    is_theirs = id_ in theirs or id_.startswith(tuple(f"{one}." for one in theirs))
    if current is None and context.names_new and not is_theirs:
        raise PartsIdNotTheirs(id_)


async def _require_own_professional(
    connection: Connection, context: WriteContext, role: Resource, current: Stored | None
) -> None:
    """Raises ProfessionalNotTheirs if a practice gives a role to a professional whom it did not enter, who does not (or no
    longer) work there, and who is not the caller: with a role it could take their time. It may still change a role of the
    same professional to one that is over."""
    person = _referred(role, "practitioner", "Practitioner")
    if context.organizations is None or person is None or person == context.practitioner:
        return
    if current is not None and current.content is not None and _is_over(role, context.now):
        before = _referred(loads(current.content), "practitioner", "Practitioner")
        if person == before:
            return
    if not await is_of(connection, person, owned_by(context.organizations), context.now):
        raise ProfessionalNotTheirs(person)


def _is_over(role: Resource, now: datetime) -> bool:
    _, end = bounds(role.get("period"))
    return not is_active(role) or (end is not None and end <= now)


def _referred(resource: Resource, element: str, expected: str) -> str | None:
    """The id in a reference to the expected type; None if the element refers to another type, or to nothing."""
    reference = str(resource.get(element, {}).get("reference", "")).split("/_history/")[0]
    kind, _, id_ = reference.rpartition("/")
    return id_ if kind.rpartition("/")[2] == expected else None
