"""On which terms somebody is seen, as the directory states it: fees, access, new patients. Pure; `$find-care` filters by
the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from creneau_web.fhir.values import codes, extension

Resource = Mapping[str, Any]

CONTRACTED = (
    "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-practitionerrole-contracted"
)
SECTOR = "https://mos.esante.gouv.fr/NOS/TRE_R282-CNAMAmeliSecteurConventionnement/FHIR/TRE-R282-CNAMAmeliSecteurConventionnement"
ACCESSIBILITY = "https://creneau.sante.fr/fhir/StructureDefinition/accessibility"
NEW_PATIENTS = "https://creneau.sante.fr/fhir/StructureDefinition/new-patients"
_SECTORS = {"nc": "0", "c1": "1", "c2": "2", "c3": "3"}
"""replaced codes of TRE_R282 → those of its present version"""


def sector_of(role: Resource) -> str | None:
    """The sector of fees by the contract with the health insurance (TRE_R282): `0` none, `1` its rates, `2` its rates or
    above, `3` free fees; None if it is not stated."""
    stated = (extension(role, CONTRACTED) or {}).get("valueCodeableConcept", {})
    code = next(iter(codes([stated], SECTOR)), None)
    return _SECTORS.get(code, code) if code else None


def access_of(stating: Iterable[Resource]) -> tuple[str, ...]:
    """What a role, its offer and its place allow for (`wheelchair`, `hearing` …)."""
    found = (
        one.get("valueCode")
        for resource in stating
        for one in resource.get("extension", ())
        if one.get("url") == ACCESSIBILITY
    )
    return tuple(dict.fromkeys(code for code in found if code))


def takes_new_patients(stating: Iterable[Resource]) -> bool | None:
    """What a role says, else its offer; None if neither says it."""
    said = ((extension(one, NEW_PATIENTS) or {}).get("valueBoolean") for one in stating)
    return next((one for one in said if one is not None), None)
