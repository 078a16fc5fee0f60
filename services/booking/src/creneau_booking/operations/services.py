"""Conditions of a `$find` call that a slot can fulfil in several ways: the offer (HealthcareService), by the agenda that
names it or by its service type; the organisation; the address."""

from __future__ import annotations

from creneau_booking.operations.find_query import (
    ORGANIZATION,
    SERVICE,
    Pairs,
    identifier_of,
    named_in,
    organization_and_place,
)
from creneau_booking.operations.references import id_of
from creneau_booking.storage.logical import identified
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.rest import searching
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.search.request import And, Condition, Or

_OFFERS = """
SELECT id, ARRAY(SELECT substr(t, 14) FROM unnest(terms) AS t WHERE t ~ '^service-type=[^|]*[|].+') AS types,
  ARRAY(SELECT substr(t, 14) FROM unnest(terms) AS t WHERE starts_with(t, 'organization=Organization/')) AS organizations
FROM healthcare_service WHERE id = ANY($1) AND NOT deleted ORDER BY id
"""


async def conditions_of(
    connection: Connection, service: FhirService, request: FhirRequest, given: OperationInput
) -> tuple[Condition, ...]:
    """Returns the conditions on Slot for the offer, the organisation and the address."""

    def asked(*pairs: tuple[str, str]) -> And:
        return And(searching.parse(service, request, "Slot", list(pairs), strict=True).conditions)

    ways = [[asked(*pairs) for pairs in some] for some in organization_and_place(given)]
    if offers := await _of_offers(connection, given):
        ways.append([asked(*pairs) for pairs in offers])
    return tuple(Or(tuple(some)) if len(some) > 1 else some[0] for some in ways)


async def _of_offers(connection: Connection, given: OperationInput) -> list[Pairs]:
    """Returns the alternatives: the agenda names the offer, or the slot has the offer's service type. If the call names only
    the offer, the type counts only in the offer's own practice."""
    named = next((one for one in named_in(given) if one.kind == SERVICE), None)
    if named is None:
        return []
    logical = await identified(
        connection, [(SERVICE, t) for r in named.references if (t := identifier_of(r))]
    )
    ids = [
        id_
        for r in named.references
        for id_ in ([id_of(r)] if not identifier_of(r) else logical.get((SERVICE, identifier_of(r)), ()))
    ]
    ways: list[Pairs] = [[("schedule.actor:HealthcareService", ",".join(ids) or "-")]]
    alone = len(named_in(given)) == 1 and not given.references("organization")
    for row in await connection.fetch(_OFFERS, ids):
        if row["types"]:
            of_type = ("service-type", ",".join(row["types"]))
            organizations = ",".join(o.removeprefix("Organization/") for o in row["organizations"])
            ways.append([of_type, *([(ORGANIZATION, organizations)] if alone and organizations else [])])
    return ways
