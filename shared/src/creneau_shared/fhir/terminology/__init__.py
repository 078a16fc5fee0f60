"""The terminology that Créneau knows: code systems, value sets, and lookups in them.

All of it is data of this package, read once at first use; every answer is a lookup. For an unknown system or value set
the answer is None (or False), never an empty set: "not known here" is not "no such code".
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from creneau_shared.fhir.terminology.catalogue import catalogue, value_set_catalogue
from creneau_shared.fhir.terminology.expansion import expansion
from creneau_shared.fhir.terminology.resources import code_system_resource, value_set_resource

__all__ = [
    "ancestors",
    "code_systems",
    "descendants",
    "display",
    "known_code_system",
    "value_set_codes",
    "value_set_url",
    "value_sets",
]


def known_code_system(url: str) -> bool:
    """Whether codes of this system are held here, all or some."""
    return url in catalogue()


def display(system: str, code: str) -> str | None:
    """The label of a code; None when the system or the code is not known."""
    held = catalogue().get(system)
    concept = held.concepts.get(code) if held else None
    return concept.display if concept else None


REMEMBERED = 1024
"""number of answers kept in a cache: clients can ask any number of different questions"""


@lru_cache(REMEMBERED)
def value_set_codes(canonical: str) -> frozenset[tuple[str, str]] | None:
    """The (system, code) pairs of a value set; None when it is not known. A `|version` is ignored."""
    members = expansion(canonical.partition("|")[0])
    return None if members is None else frozenset((member.system, member.code) for member in members)


def value_set_url(logical_id: str) -> str | None:
    """The canonical URL of the value set that is served as `ValueSet/[id]`."""
    return _value_set_urls().get(logical_id)


@lru_cache(REMEMBERED)
def descendants(system: str, code: str) -> frozenset[str] | None:
    """The code and all codes below it by is-a; None when the system or the code is not known."""
    return _closure(system, code, upwards=False)


@lru_cache(REMEMBERED)
def ancestors(system: str, code: str) -> frozenset[str] | None:
    """The code and all codes above it by is-a; None when the system or the code is not known."""
    return _closure(system, code, upwards=True)


@cache
def code_systems() -> tuple[dict[str, Any], ...]:
    """The code systems as FHIR resources; not to be changed."""
    return tuple(code_system_resource(system) for system in catalogue().values())


@cache
def value_sets() -> tuple[dict[str, Any], ...]:
    """The value sets as FHIR resources; not to be changed."""
    return tuple(value_set_resource(value_set) for value_set in value_set_catalogue().values())


def _closure(system: str, code: str, *, upwards: bool) -> frozenset[str] | None:
    held = catalogue().get(system)
    return held.closure(code, upwards=upwards) if held and code in held.concepts else None


@cache
def _value_set_urls() -> dict[str, str]:
    return {value_set.id: url for url, value_set in value_set_catalogue().items()}
