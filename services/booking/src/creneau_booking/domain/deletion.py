"""The rule of deleting: what visits to come need stays."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.domain.refusals.slots import VisitsToCome, WithVisits


def require_no_visits(resource_type: WithVisits, id_: str, visits: Sequence[str]) -> None:
    """VisitsToCome when what is to be deleted has appointments (ids) to come, naming the first."""
    if visits:
        raise VisitsToCome(resource_type, id_, visits[0], len(visits))
