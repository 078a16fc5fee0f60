"""What a situation is made of, and what of it is in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

Resource = Mapping[str, Any]

_OUT_OF_USE = frozenset({"inactive", "suspended"})
"""`Location.status` of a place where nobody is received"""


@dataclass(frozen=True, slots=True)
class Around:
    """The resources that make a situation: the role, and those it refers to as far as they exist."""

    role: Resource
    practitioner: Resource | None = None
    locations: Sequence[Resource] = ()
    services: Sequence[Resource] = ()
    organization: Resource | None = None
    others: Mapping[str, Resource] = field(default_factory=dict)
    """by reference (`Location/12`): what those named refer to in turn, as far as it exists: the places and organisations of
    offers, the buildings of places"""
    called: str = ""
    """the name by which the professional is called now; empty where none is known"""
    since: date | None = None
    until: date | None = None
    """first and last day of the role, in Paris"""

    @property
    def sites(self) -> list[Resource]:
        """Where the places are: each itself, or the nearest building around it that has an address or a position."""
        return [
            next(
                (
                    whole
                    for whole in buildings_of(place, self.others)
                    if "address" in whole or "position" in whole
                ),
                place,
            )
            for place in self.locations
        ]


def in_use(found: Around) -> Around | None:
    """The situation with those of its places and offers that are in use; None if the role is not in use, or its
    professional, its organisation or all its places. The rule is that of agendas (booking): a place goes with the building
    that it is part of, an offer with its organisation and with the last of its places. A role that names no place is where
    its offers are."""
    if any(map(_is_out_of_use, (found.role, found.practitioner or {}, found.organization or {}))):
        return None
    places = [place for place in found.locations if not _is_place_gone(place, found.others)]
    if found.locations and not places:
        return None
    services = [service for service in found.services if not _is_offer_gone(service, found.others)]
    if not found.role.get("location"):
        offered = [place for service in services for place in _places_of(service, found.others)]
        places = [place for place in offered if not _is_place_gone(place, found.others)]
    return replace(found, locations=places, services=services)


def buildings_of(place: Resource, others: Mapping[str, Resource]) -> Iterator[Resource]:
    """Yields a place, then what it is part of, up to the whole."""
    seen = set()
    inner: Resource | None = place
    while inner is not None and inner["id"] not in seen:
        seen.add(inner["id"])
        yield inner
        inner = _referred(inner.get("partOf"), others)


def _is_out_of_use(resource: Resource) -> bool:
    return resource.get("active") is False or resource.get("status") in _OUT_OF_USE


def _is_place_gone(place: Resource, others: Mapping[str, Resource]) -> bool:
    return any(map(_is_out_of_use, buildings_of(place, others)))


def _is_offer_gone(service: Resource, others: Mapping[str, Resource]) -> bool:
    places = _places_of(service, others)
    stated = len(service.get("location", ()))
    return (
        _is_out_of_use(service)
        or _is_out_of_use(_referred(service.get("providedBy"), others) or {})
        or 0 < stated == sum(_is_place_gone(place, others) for place in places)
    )


def _places_of(service: Resource, others: Mapping[str, Resource]) -> list[Resource]:
    places = (_referred(reference, others) for reference in service.get("location", ()))
    return [place for place in places if place is not None]


def _referred(reference: Resource | None, others: Mapping[str, Resource]) -> Resource | None:
    path = str((reference or {}).get("reference", "")).split("/_history/")[0]
    return others.get("/".join(path.split("/")[-2:]))
