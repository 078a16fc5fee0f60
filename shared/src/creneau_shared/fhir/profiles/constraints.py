"""The invariants of the known profiles, by key: each is a function of the element on which it is stated."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from creneau_shared.errors import Issue
from creneau_shared.fhir.profiles.catalogue import FR_CORE

Json = dict[str, Any]

_RELIABILITY: Final = FR_CORE + "fr-core-identity-reliability"
_INSEE_CODE: Final = FR_CORE + "fr-core-address-insee-code"
_BIRTH_PLACE: Final = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
_INS_NIR: Final = "urn:oid:1.2.250.1.213.1.4.8"
_OTHER_INS: Final = frozenset(f"urn:oid:1.2.250.1.213.1.4.{number}" for number in (9, 10, 11))
_ABROAD: Final = "99999"
_OLD_EXTENSIONS: Final = "http://fhir.fr/StructureDefinition/"


@dataclass(frozen=True)
class Constraint:
    """An invariant: `holds` tells whether an element fulfils it; `fr` and `en` state it."""

    key: str
    severity: Literal["error", "warning"]
    fr: str
    en: str
    holds: Callable[[Json], bool]

    def issue(self, profile: str, path: str) -> Issue:
        return Issue(
            "invariant",
            f"{path} : {self.fr} ({self.key}, profil {profile}).",
            f"{path}: {self.en} ({self.key}, profile {profile}).",
            (path,),
            self.severity,
            details_code="profile",
        )


def _values(element: Json, url: str) -> list[Any]:
    return [
        value
        for extension in element.get("extension", ())
        if extension.get("url") == url
        for name, value in extension.items()
        if name.startswith("value")
    ]


def _extensions(element: Json, url: str) -> list[Json]:
    return [extension for extension in element.get("extension", ()) if extension.get("url") == url]


def _is_validated(patient: Json) -> bool:
    return any(
        status.get("code") == "VALI"
        for reliability in _extensions(patient, _RELIABILITY)
        for status in _values(reliability, "identityStatus")
    )


def _official(patient: Json) -> list[Json]:
    return [found for found in patient.get("identifier", ()) if found.get("use") == "official"]


def _fr_core_1(patient: Json) -> bool:
    if not _is_validated(patient):
        return True
    return any(
        identifier.get("system") in _OTHER_INS
        or (
            identifier.get("system") == _INS_NIR
            and any(
                coding.get("code") == "INS-NIR" for coding in identifier.get("type", {}).get("coding", ())
            )
        )
        for identifier in _official(patient)
    )


def _fr_core_2(patient: Json) -> bool:
    return not _is_validated(patient) or len(_official(patient)) == 1


def _fr_core_3(patient: Json) -> bool:
    if not _is_validated(patient):
        return True
    return all(
        code.get("code") != _ABROAD
        for place in _values(patient, _BIRTH_PLACE)
        for code in _values(place, _INSEE_CODE)
    )


def _typed(extension: str, code: str) -> Callable[[Json], bool]:
    """A rule: a Location with the extension has the type `code`."""

    def holds(location: Json) -> bool:
        return not _extensions(location, _OLD_EXTENSIONS + extension) or any(
            coding.get("code") == code
            for concept in location.get("type", ())
            for coding in concept.get("coding", ())
        )

    return holds


def _numbered(pattern: str) -> Callable[[Json], bool]:
    number = re.compile(pattern)
    return lambda identifier: "value" not in identifier or number.fullmatch(identifier["value"]) is not None


CONSTRAINTS: Final[Mapping[str, Constraint]] = {
    constraint.key: constraint
    for constraint in (
        Constraint(
            "fr-core-1",
            "error",
            "une identité validée porte une INS officielle",
            "a validated identity has an official INS",
            _fr_core_1,
        ),
        Constraint(
            "fr-core-2",
            "error",
            "une identité validée porte un seul identifiant officiel",
            "a validated identity has one official identifier only",
            _fr_core_2,
        ),
        Constraint(
            "fr-core-3",
            "warning",
            "une identité validée a un lieu de naissance connu",
            "a validated identity has a known place of birth",
            _fr_core_3,
        ),
        Constraint(
            "inv-location-type-chambre",
            "error",
            "un lieu qui a un type de chambre est une chambre (CHAMB)",
            "a place with a kind of room is a room (CHAMB)",
            _typed("fr-core-location-type-chambre", "CHAMB"),
        ),
        Constraint(
            "inv-location-type-lit",
            "error",
            "un lieu qui a une position de lit est un lit (LIT)",
            "a place with a position of bed is a bed (LIT)",
            _typed("fr-core-location-position-lit", "LIT"),
        ),
        Constraint(
            "FINESS-invariant",
            "error",
            "l'identifiant est un FINESS préfixé de 1 : dix chiffres",
            "the identifier is a FINESS after a 1: ten digits",
            _numbered("1[0-9]{9}"),
        ),
        Constraint(
            "SIRET-invariant",
            "error",
            "l'identifiant est un SIRET préfixé de 3 : quinze chiffres",
            "the identifier is a SIRET after a 3: fifteen digits",
            _numbered("3[0-9]{14}"),
        ),
    )
}
