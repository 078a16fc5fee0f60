"""Explains why a search of Slot for one agenda or actor has found no free slot."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.operations.finding.agenda_remarks import remarks_on
from creneau_booking.storage.availability.asked import FREE
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Issue
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.search.request import (
    Chain,
    Clause,
    Condition,
    ReferenceValue,
    SearchRequest,
    TokenValue,
)

_TYPES = ("Practitioner", "PractitionerRole", "HealthcareService", "Location")


async def why_nothing_is_free(
    connection: Connection, request: FhirRequest, wanted: SearchRequest
) -> Sequence[Issue]:
    """Returns why a search found nothing, if it asked for the free slots of one agenda or one actor; else nothing."""
    if not any(map(_wants_free, wanted.conditions)):
        return ()
    named = [reference for condition in wanted.conditions for reference in _named(condition)]
    if len(named) != 1:
        return ()
    return await remarks_on(connection, named, frozenset(), request.now)


def _wants_free(condition: Condition) -> bool:
    if not isinstance(condition, Clause) or condition.modifier is not None:
        return False
    wanted = FREE.get(condition.parameter.name, ())
    return any(isinstance(value, TokenValue) and value.code in wanted for value in condition.values)


def _named(condition: Condition) -> list[str]:
    """Returns the references that a condition names: `schedule=`, `schedule.actor=`, `schedule.actor:Practitioner=`."""
    if isinstance(condition, Clause) and condition.parameter.name in ("schedule", "actor"):
        return [
            reference
            for value in condition.values
            if isinstance(value, ReferenceValue)
            for reference in value.references
            if reference.startswith(("Schedule/", *(f"{name}/" for name in _TYPES)))
        ]
    if isinstance(condition, Chain) and condition.parameter.name == "schedule":
        return [reference for branch in condition.branches for reference in _named(branch.condition)]
    return []
