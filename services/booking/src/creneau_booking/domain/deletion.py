"""The rule of deleting: a resource with visits to come is not deleted."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.domain.refusals.slots import VisitsToCome, WithVisits


def require_no_visits(resource_type: WithVisits, id_: str, visits: Sequence[str]) -> None:
    """Raises VisitsToCome if the resource has appointments (ids) to come; names the first."""
    if visits:
        raise VisitsToCome(resource_type, id_, visits[0], len(visits))
