"""Resolves the FHIR References in an operation's input."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from creneau_booking.storage.mapping.slot import last_part
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, CreneauError, NotFound, Unprocessable
from creneau_shared.fhir.rest.exchange import FhirRequest, json_object
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.search.bearers import as_given, bears, meant
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.terms import identifier_terms
from creneau_shared.fhir.storage.store import Resource

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("appointment", "appointment-reference", "appt-id"), "Appointment"),
    **dict.fromkeys(("cancelled-appt-id", "ignore-appointment"), "Appointment"),
    **dict.fromkeys(("patient-id", "patient-reference", "patient"), "Patient"),
    "schedule": "Schedule",
    "slot": "Slot",
}
"""Parameters whose References have one type → that type"""
_BEARING = f"""
SELECT id, {as_given("$1::text[]")} AS given FROM {{table}} WHERE {bears("$1::text[]")} AND NOT deleted
  AND ($2::text[] IS NULL OR terms && $2 OR '_id=' || id = ANY($2))
  AND NOT ($3 AND terms && ARRAY['active=false']) ORDER BY given DESC, id LIMIT 2
"""


def id_of(reference: Mapping[str, Any]) -> str:
    """Returns the id of a literal reference within this base; empty for a logical one. Raises Unprocessable for a reference
    to another server, whatever its id."""
    text = str(reference.get("reference", ""))
    if "://" in text:
        raise Unprocessable(
            f"« {text} » est sur un autre serveur ; seules les références de cette base sont comprises ici.",
            f"“{text}” is on another server; only references of this base are understood here.",
            expression="Parameters.parameter",
            details_code="foreign-reference",
        )
    return last_part(reference)


async def with_literal(
    connection: Connection,
    request: FhirRequest,
    given: OperationInput,
    names: Collection[str] = KINDS,
    *,
    strict: bool = True,
) -> OperationInput:
    """Returns the input with `Type/id` for each identifier in the parameters `names` (of `KINDS`), if the caller sees the
    resource. If `strict`, raises NotFound (for a Patient Unprocessable) if none has it, and BadRequest if several have it
    or the reference is empty. Else such a reference stays as it is."""

    async def known_as(name: str, reference: Resource) -> Resource:
        if reference.get("reference"):
            return reference
        found = await _bearing(connection, request, KINDS[name], reference)
        if found is not None and len(found) == 1:
            return {"reference": f"{KINDS[name]}/{found[0]}"}
        if strict:
            raise _unclear(name, found)
        return reference

    return await given.naming(names, known_as)


async def _bearing(
    connection: Connection, request: FhirRequest, kind: str, reference: Resource
) -> list[str] | None:
    """Returns at most two ids of resources of the type `kind` that the caller sees and that have the reference's identifier,
    those alone that have it as it is given if there are any; None if the reference has none."""
    identifier = json_object(reference.get("identifier"))
    value = identifier.get("value")
    if not isinstance(value, str) or not value:
        return None
    system = str(identifier.get("system", ""))
    access = request.access_if_any(kind, "r")
    if access is None:
        return []
    required = list(access.required) if access.required is not None else None
    rows = await connection.fetch(
        _BEARING.format(table=table_name(kind)),
        identifier_terms(system, value),
        required,
        kind == "Patient",
    )
    return meant((row["id"], row["given"]) for row in rows)


def _unclear(name: str, found: list[str] | None) -> CreneauError:
    where = parameter_named(name)
    if found is None:
        return BadRequest(
            f"« {name} » ne désigne rien : donnez une référence, ou un identifiant avec sa valeur.",
            f"“{name}” names nothing: give a reference, or an identifier with its value.",
            code="required",
            expression=where,
        )
    if found:
        return BadRequest(
            f"« {name} » : plusieurs portent cet identifiant ; donnez la référence.",
            f"“{name}”: several have this identifier; give the reference.",
            code="multiple-matches",
            expression=where,
        )
    if KINDS[name] == "Patient":
        return Unprocessable(
            "Aucun patient que vous voyez ne porte cet identifiant : inscrivez d'abord cette personne (POST Patient).",
            "No patient whom you see has this identifier: register that person first (POST Patient).",
            code="not-found",
            expression=where,
            details_code="unknown-patient",
        )
    return NotFound(
        f"« {name} » : rien de ce que vous voyez ne porte cet identifiant.",
        f"“{name}”: nothing that you see has this identifier.",
        expression=where,
    )
