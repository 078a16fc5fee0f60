"""Finds what a conditional interaction designates, and makes rivals with the same condition wait for each other.

A transaction that acts on "is there one already?" takes a lock before asking and holds it until it ends; so does every
rival. The lock depends on what the condition means (`search.normal_form`): two spellings of one condition are one lock,
so that no two transactions can both find nothing and create.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, PreconditionFailed
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.searching import catalog_for, parse, scope_of
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.search.execute import search as run_search
from creneau_shared.fhir.search.normal_form import meeting_points, normal_form
from creneau_shared.fhir.search.request import SearchRequest

MATCHES_MAX = 2
"""enough to tell none, one and several apart"""

Query = str | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Criteria:
    """A condition as it was understood."""

    wanted: SearchRequest
    """with identifiers in every spelling of their numbers"""
    as_given: SearchRequest
    """with identifiers as they are given"""

    @property
    def meaning(self) -> str:
        """A text that is the same for all conditions with the same meaning."""
        return f"{self.wanted.resource_type}?{normal_form(self.wanted.conditions)}"

    @property
    def locks(self) -> frozenset[int]:
        """Keys of the advisory locks that rivals share."""
        points = meeting_points(self.wanted.conditions)
        return frozenset(_key(f"{self.wanted.resource_type}?{point}") for point in points)


def read_criteria(service: FhirService, request: FhirRequest, resource_type: str, query: Query) -> Criteria:
    """Reads a condition, which must be understood whole: an unknown name or missing value is an error, not a wider match."""
    pairs = parse_qsl(query, keep_blank_values=True) if isinstance(query, str) else list(query)
    pairs = [(name, value) for name, value in pairs if name not in ("_format", "_pretty")]
    empty = next((name for name, value in pairs if not value.replace(",", "").strip()), None)
    if empty is not None:
        raise BadRequest(
            f"Le critère « {empty} » n'a pas de valeur : une interaction conditionnelle n'en laisse aucun de côté.",
            f"The criterion “{empty}” has no value: a conditional interaction leaves none aside.",
            code="value",
            expression=f"http.{empty}",
        )

    def understood(*, every_spelling: bool) -> SearchRequest:
        wanted = parse(service, request, resource_type, pairs, strict=True, every_spelling=every_spelling)
        return replace(wanted, count=MATCHES_MAX, total="none", includes=(), sort=())

    criteria = Criteria(understood(every_spelling=True), understood(every_spelling=False))
    if not criteria.wanted.conditions:
        raise BadRequest(
            "Une interaction conditionnelle a besoin d'au moins un critère de recherche.",
            "A conditional interaction needs at least one search criterion.",
            code="required",
        )
    return criteria


async def take_turn(connection: Connection, criteria: Iterable[Criteria]) -> None:
    """Waits for the rivals of all the conditions, in one order for everybody; later rivals wait until the transaction
    ends. Called before the statement that matches, so that it sees what the rivals have committed."""
    keys = sorted({key for one in criteria for key in one.locks})
    if keys:
        await connection.execute("SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key", keys)


async def matching_ids(
    service: FhirService, connection: Connection, request: FhirRequest, criteria: Criteria
) -> list[str]:
    """The ids (none, one or two) of what a condition designates. It finds what the caller's own search of the type finds,
    so that no answer tells of anything else. Of several, the only one that bears the identifiers as they are given is
    meant: another may be the same person's, under another spelling of their number."""
    # Regulators' accounts bear the same national numbers as the entries of the same people in the directory.
    reading = request.principal.role != "regulator"
    access = request.access(criteria.wanted.resource_type, "s" if reading else "u")
    catalog = await catalog_for(service, connection, request, access, criteria.wanted)

    async def found(wanted: SearchRequest) -> list[str]:
        result = await run_search(
            connection, catalog, wanted, cursor_codec=service.cursors, scope=scope_of(service, access)
        )
        return [row.id for row in result.matches]

    ids = await found(criteria.wanted)
    if len(ids) < MATCHES_MAX or criteria.as_given == criteria.wanted:
        return ids
    given = await found(criteria.as_given)
    return given if len(given) == 1 else ids


async def designated(
    service: FhirService,
    connection: Connection,
    request: FhirRequest,
    resource_type: str,
    query: Query,
    what: str,
) -> str | None:
    """The id that a conditional interaction designates: None for no match, PreconditionFailed for several."""
    criteria = read_criteria(service, request, resource_type, query)
    await take_turn(connection, (criteria,))
    ids = await matching_ids(service, connection, request, criteria)
    if len(ids) > 1:
        raise PreconditionFailed(
            f"{what} : plusieurs ressources correspondent à la recherche ; précisez-la.",
            f"{what}: several resources match the search; make it more precise.",
            code="multiple-matches",
        )
    return ids[0] if ids else None


def _key(text: str) -> int:
    """A signed 64-bit number."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") - 2**63
