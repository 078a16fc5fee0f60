"""What a caller may see: applies the rules of `domain.ror.visibility` to stored bytes, searches and events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from operator import or_

from creneau_directory.domain.refusals import RorHeadersMissing
from creneau_directory.domain.ror.visibility import (
    EVERYBODY,
    MARKS,
    SENSITIVE_TERM,
    Viewer,
    Withheld,
    belongs_to,
    is_sensitive,
    masked,
    seen_by,
    withheld_from,
)
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Unauthenticated
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.declaration import Pairs
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.search.generic import GenericTable, literal
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.fhir.search.sql import SearchTable
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, Stored
from creneau_shared.security.access import Access
from creneau_shared.security.principal import ANONYMOUS
from creneau_shared.security.role_table import STAFF

ROR_HEADERS = (
    "Ror-Profil-Utilisateur-Code",
    "Ror-Profil-Utilisateur-System",
    "Ror-Role-Metier-Code",
    "Ror-Role-Metier-System",
)
ROR_TYPES = ("HealthcareService", "Location", "Organization", "Practitioner", "PractitionerRole")
OFFERS = "HealthcareService"
_KEPT_IN_EVENTS = ("active", "providedBy", "location")
"""elements of a sensitive unit that events keep: other services need its owner and place to know whose an agenda is"""


def viewer_of(access: Access) -> Viewer:
    """The Viewer of an access, from its role and the organisations for which the caller speaks."""
    role = access.rights.role
    speaks = access.rights.organizations if role in STAFF else frozenset[str]()
    return Viewer(role == "system", role in STAFF and bool(speaks), role == "regulator", speaks)


def shown(access: Access, content: bytes) -> bytes:
    """The stored bytes as the caller may see them; most resources have nothing to hide and are not parsed."""
    if not any(mark in content for mark in MARKS):
        return content
    viewer = viewer_of(access)
    if viewer.everything:
        return content
    resource = loads(content)
    seen = seen_by(viewer, resource)
    return content if seen is resource or seen == resource else dumps(seen)


async def in_hindsight(
    connection: Connection, access: Access, now: datetime, versions: Sequence[Stored]
) -> Sequence[Stored]:
    """Versions without what is hidden by now: content once declared sensitive or confidential is hidden in earlier
    versions too, whatever these state."""
    viewer = viewer_of(access)
    if viewer.everything or not versions:
        return versions
    if access.resource_type == OFFERS and not viewer.regulates:
        versions = await _without_sensitive(connection, viewer, versions)
    return await _without_confidential(connection, viewer, access.resource_type, versions)


async def _without_sensitive(
    connection: Connection, viewer: Viewer, versions: Sequence[Stored]
) -> Sequence[Stored]:
    rows = await connection.fetch(
        "SELECT id FROM healthcare_service WHERE id = ANY($1::text[]) AND terms @> ARRAY[$2]",
        list({version.id for version in versions}),
        SENSITIVE_TERM,
    )
    sensitive = {row["id"] for row in rows}
    return [_masked(viewer, version) if version.id in sensitive else version for version in versions]


async def _without_confidential(
    connection: Connection, viewer: Viewer, resource_type: str, versions: Sequence[Stored]
) -> Sequence[Stored]:
    """Versions without the parts that a later version withholds, unless the present version shows them again."""
    oldest: dict[str, int] = {}
    for version in versions:
        oldest[version.id] = min(version.version, oldest.get(version.id, version.version))
    rows = await connection.fetch(
        f"""SELECT id, version, content, true AS present FROM {table_name(resource_type)}
          WHERE id = ANY($1::text[]) AND content IS NOT NULL
        UNION ALL SELECT past.id, version, content, false FROM resource_history AS past
          JOIN unnest($1::text[], $3::integer[]) AS shown (id, oldest) ON shown.id = past.id AND version > shown.oldest
          WHERE resource_type = $2 AND position($4::bytea IN content) > 0""",
        list(oldest),
        resource_type,
        list(oldest.values()),
        MARKS[0],
    )
    said = {(row["id"], row["version"]): loads(row["content"]) for row in rows if MARKS[0] in row["content"]}
    if not said:
        return versions
    present = {row["id"]: loads(row["content"]) for row in rows if row["present"]}
    withheld = {place: withheld_from(viewer, resource) for place, resource in said.items()}

    def seen(version: Stored) -> Stored:
        later = [
            found
            for (id_, number), found in withheld.items()
            if id_ == version.id and number > version.version
        ]
        gone = reduce(or_, later, Withheld())
        if version.id in present:
            gone = gone.but(seen_by(viewer, present[version.id]))
        if version.content is None or not gone:
            return version
        resource = loads(version.content)
        left = gone.taken_out_of(resource)
        return version if left is resource else replace(version, content=dumps(left))

    return [seen(version) for version in versions]


def _masked(viewer: Viewer, version: Stored) -> Stored:
    if version.content is None:
        return version
    resource = loads(version.content)
    if belongs_to(resource, viewer.organizations):
        return version
    return replace(version, content=dumps(masked(resource)))


def indexed(resource: Resource) -> Resource:
    """The part of a resource that searches use: what everybody may see; of a sensitive unit all, for who may see it."""
    if is_sensitive(resource):
        return resource
    return seen_by(EVERYBODY, resource)


def published(content: bytes) -> bytes:
    """The bytes for events: other services show everybody what they receive."""
    if not any(mark in content for mark in MARKS):
        return content
    resource = loads(content)
    if is_sensitive(resource):
        return dumps(masked(resource, _KEPT_IN_EVENTS))
    seen = seen_by(EVERYBODY, resource)
    return content if seen == resource else dumps(seen)


@dataclass(frozen=True, slots=True)
class OpenOffers(GenericTable):
    """The offers, without sensitive units other than those of `organizations` (ids)."""

    organizations: tuple[str, ...] = ()

    def live(self, alias: str) -> str:
        hidden = f"{alias}.terms && ARRAY[{literal(SENSITIVE_TERM)}]"
        if self.organizations:
            own = ", ".join(map(literal, owned_by(self.organizations)))
            hidden = f"({hidden} AND NOT {alias}.terms && ARRAY[{own}])"
        return f"(NOT {alias}.deleted AND NOT {hidden})"


@dataclass(frozen=True, slots=True)
class RorPolicy:
    """The policy of searches: only those who may see a sensitive unit find it, or find others through it."""

    def narrow(self, access: Access, pairs: Pairs) -> Pairs:
        return pairs

    def check(self, access: Access, wanted: SearchRequest) -> None:
        pass

    async def table(
        self, connection: Connection, access: Access, request: FhirRequest, wanted: SearchRequest
    ) -> SearchTable | None:
        viewer = viewer_of(access)
        if viewer.everything or viewer.regulates:
            return None
        plain = GenericTable.of(OFFERS)
        return OpenOffers(OFFERS, plain.name, plain.needs, (), tuple(sorted(viewer.organizations)))

    def leaves_nothing_to_complete(self, wanted: SearchRequest) -> bool:
        return True


def require_ror_headers(request: FhirRequest) -> None:
    """Raises Unauthenticated without a token, RorHeadersMissing without the four headers that identify the ROR's callers."""
    if request.principal == ANONYMOUS:
        raise Unauthenticated(
            "Le ROR se consulte avec un jeton d'accès (Authorization: Bearer).",
            "The ROR is consulted with an access token (Authorization: Bearer).",
        )
    missing = tuple(name for name in ROR_HEADERS if not request.headers.get(name.lower(), "").strip())
    if missing:
        raise RorHeadersMissing(missing)
