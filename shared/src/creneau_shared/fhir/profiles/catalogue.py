"""The known profiles and extensions: national ones (`fhir.national`) and Créneau's own, as data in the shape of FHIR's
differentials.

The served StructureDefinition (`fhir.structure_definitions`) and the check (`tree`) are both made from these rows.
They hold the constraints (cardinalities, fixed values and patterns, bindings, types, slices) and no prose. The SAS
profiles derive from FR Core 1.1.0, which is not in the catalogue: their rows repeat the constraints that they inherit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

from creneau_shared.fhir.bindings import RESOURCE_TYPES
from creneau_shared.fhir.national import national_profiles

FR_CORE: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/"
SAS: Final = "http://sas.fr/fhir/StructureDefinition/"
HL7: Final = "http://hl7.org/fhir/StructureDefinition/"
FR_CORE_1: Final = "http://interopsante.org/fhir/StructureDefinition/Fr"

_DATA: Final = files(__package__) / "data"
_OWN: Final = "creneau-1.0.0.json"


@dataclass(frozen=True)
class Profile:
    """A profile, a profile of a data type or an extension. `elements` are the rows of its differential, each with
    the `id` of its element (`Patient.identifier:NSS-NIR.use`); `context` says where an extension may stand."""

    url: str
    name: str
    version: str
    publisher: str
    type: str
    base: str
    elements: tuple[Mapping[str, Any], ...]
    context: tuple[Mapping[str, str], ...] = ()

    @property
    def id(self) -> str:
        """The logical id that its StructureDefinition is served under."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def short_name(self) -> str:
        """The profile's name in a sentence."""
        return self.id


@cache
def profile_catalogue() -> Mapping[str, Profile]:
    """The profiles by canonical URL. Read once, at first use."""
    own = orjson.loads((_DATA / _OWN).read_bytes())
    return {row["url"]: _profile(row) for row in (*national_profiles(), *own)}


def profile_of(canonical: str) -> Profile | None:
    """The profile of a canonical URL, whatever its `|version`."""
    return profile_catalogue().get(canonical.partition("|")[0])


def target_type(canonical: str) -> str | None:
    """The resource type that a reference to this profile points to; None when it is not known."""
    url = canonical.partition("|")[0]
    known = profile_catalogue().get(url)
    name = known.type if known else url.removeprefix(FR_CORE_1).removeprefix(HL7)
    return name if name in RESOURCE_TYPES else None


def _profile(row: Mapping[str, Any]) -> Profile:
    return Profile(
        **{name: row[name] for name in ("url", "name", "version", "publisher", "type", "base")},
        elements=tuple(row["elements"]),
        context=tuple(row.get("context", ())),
    )
