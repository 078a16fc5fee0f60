"""The ROR's addresses: profiles, extensions, code systems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Resource = Mapping[str, Any]

EXTENSION: Final = "https://interop.esante.gouv.fr/ig/fhir/ror/StructureDefinition/"
SENSITIVE_UNIT: Final = f"{EXTENSION}ror-healthcareservice-sensitive-unit"
CAPACITY: Final = f"{EXTENSION}ror-location-supported-capacity"


def extensions(element: Resource, url: str) -> Iterator[Resource]:
    """The extensions of an element under a URL, or the parts of an extension under a name."""
    for extension in element.get("extension", ()):
        if extension.get("url") == url:
            yield extension


def value_of(extension: Resource) -> Any:
    """The value[x] of an extension; None when it has none."""
    return next((value for name, value in extension.items() if name.startswith("value")), None)


def codes(concept: Any) -> list[str]:
    """The codes of a CodeableConcept or Coding; a code given as a string is the only one."""
    if isinstance(concept, str):
        return [concept]
    codings = concept.get("coding", [concept]) if isinstance(concept, Mapping) else []
    return [coding["code"] for coding in codings if isinstance(coding.get("code"), str)]
