"""The StructureDefinitions that this server has: of FHIR's types, of the profiles that it checks, of extensions."""

from __future__ import annotations

from functools import cache
from typing import Any

from creneau_shared.fhir.profiles.catalogue import profile_catalogue
from creneau_shared.fhir.structure_definitions.base import base_definition, data_types_of
from creneau_shared.fhir.structure_definitions.profiled import profile_definition

__all__ = ["structure_definitions"]


@cache
def structure_definitions(types: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """The StructureDefinitions of the resource `types`, of their data types, and of every known profile and extension.
    Not to be changed."""
    return (
        *(base_definition(name) for name in (*types, *data_types_of(types))),
        *(profile_definition(url) for url in profile_catalogue()),
    )
