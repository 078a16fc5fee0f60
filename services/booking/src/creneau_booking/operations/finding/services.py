"""Conditions of a `$find` call that a slot can fulfil in several ways: what for (by its own word, its Schedule's, or that of
the roles and offers that the Schedule names), the offer (HealthcareService; by the agenda that names it or by its service
type), the organisation, the address."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from creneau_booking.operations.finding.find_query import (
    OF_ADDRESS,
    OF_ORGANIZATION,
    SERVICE,
    by_reference,
    codes,
    identifier_of,
    named_in,
)
from creneau_booking.operations.references import id_of
from creneau_booking.storage.finding.computed import AT_PLACE, RECEIVED_IN, found_by
from creneau_booking.storage.logical import identified
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.rest import searching
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.search.generic import clause_terms
from creneau_shared.fhir.search.request import And, Branch, Chain, Clause, Condition, Or, clauses_of
from creneau_shared.fhir.storage.store import Resource

_OFFERS = """
SELECT id, ARRAY(SELECT substr(t, 14) FROM unnest(terms) AS t WHERE t ~ '^service-type=[^|]*[|].+') AS types,
  ARRAY(SELECT substr(t, 14) FROM unnest(terms) AS t WHERE starts_with(t, 'organization=Organization/')) AS organizations
FROM healthcare_service WHERE id = ANY($1) AND NOT deleted ORDER BY id
"""


async def conditions_of(
    connection: Connection, service: FhirService, request: FhirRequest, given: OperationInput
) -> tuple[Condition, ...]:
    """Returns the conditions on Slot for the codes, the offer, the organisation and the address."""
    asked = _Asked(service, request)
    found: list[Condition] = [asked.bearing(pairs) for pairs in codes(given)]
    if organizations := given.references("organization"):
        found.append(asked.of_organizations(organizations))
    if places := given.texts("location-string"):
        found.append(asked.at_addresses(places))
    if (offers := await _of_offers(connection, asked, given)) is not None:
        found.append(offers)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The criteria of a request's searches, as conditions."""

    service: FhirService
    request: FhirRequest

    def every(self, resource_type: str, *pairs: tuple[str, str]) -> And:
        return And(searching.parse(self.service, self.request, resource_type, pairs, strict=True).conditions)

    def bearing(self, pairs: Iterable[tuple[str, str]]) -> Clause:
        """The condition that one of the coded criteria (on Slot) holds for what the slot is found by."""
        clauses = clauses_of(self.every("Slot", *pairs).conditions)
        return found_by(term for clause in clauses for term in clause_terms(clause))

    def of_organizations(self, references: Sequence[Resource]) -> Or:
        named = [
            self.every("Slot", pair) for path in OF_ORGANIZATION for pair in by_reference(references, path)
        ]
        alone = [
            Chain(RECEIVED_IN, (Branch("PractitionerRole", self.every("PractitionerRole", pair)),))
            for pair in by_reference(references, "organization")
        ]
        return Or((*named, *alone))

    def at_addresses(self, places: Sequence[str]) -> Or:
        wanted = ",".join(places)
        at_place = Chain(AT_PLACE, (Branch("Location", self.every("Location", ("address", wanted))),))
        return Or((at_place, *(self.every("Slot", (path, wanted)) for path in OF_ADDRESS)))


async def _of_offers(connection: Connection, asked: _Asked, given: OperationInput) -> Or | None:
    """Returns the alternatives: the agenda names the offer, or the slot is found by the offer's service type. If the call
    names only the offer, the type counts only in the offer's own practice. None: the call names no offer."""
    named = next((one for one in named_in(given) if one.kind == SERVICE), None)
    if named is None:
        return None
    logical = await identified(
        connection, [(SERVICE, t) for r in named.references if (t := identifier_of(r))]
    )
    ids = [
        id_
        for r in named.references
        for id_ in ([id_of(r)] if not identifier_of(r) else logical.get((SERVICE, identifier_of(r)), ()))
    ]
    ways: list[Condition] = [asked.every("Slot", ("schedule.actor:HealthcareService", ",".join(ids) or "-"))]
    alone = len(named_in(given)) == 1 and not given.references("organization")
    for row in await connection.fetch(_OFFERS, ids):
        if row["types"]:
            of_type = asked.bearing([("service-type", ",".join(row["types"]))])
            owners = [{"reference": reference} for reference in row["organizations"]]
            ways.append(And((of_type, asked.of_organizations(owners))) if alone and owners else of_type)
    return Or(tuple(ways))
