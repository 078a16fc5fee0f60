"""On which terms somebody is seen, as the directory states it: fees, access, new patients. Pure; `$find-care` filters by
the same (`creneau_directory.domain.care.situation`; tests/contract/test_terms.py holds both to it)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Resource = Mapping[str, Any]

_OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
ACCESSIBILITY = _OWN + "accessibility"
"""others' extensions are read, too, if their name holds this word"""
NEW_PATIENTS = _OWN + "new-patients"
_NOMENCLATURE = re.compile(r"TRE[_-](R\d+)[_-]")
_OIDS = {"urn:oid:1.2.250.1.213.3.3.12": "R211"}
_SECTORS = {"nc": "0", "c1": "1", "c2": "2", "c3": "3"}
"""replaced codes of TRE_R282 → those of its present version"""
_FOR_DISABLED = {"15": "disability-rooms", "16": "disability", "17": "disability-theatre"}
"""TRE_R338: consultations for people with a disability in rooms of their own, or without these, and operating theatres. They
say nothing of a wheelchair."""
_FOR_NEW_PATIENTS = "471"
"""TRE_R211"""


def _last(url: str) -> str:
    """The name of an extension: the last part of its canonical."""
    return url.rpartition("/")[2]


_ON_NEW_PATIENTS = frozenset({_last(NEW_PATIENTS), "newpatients", "accepts-new-patients"})


def sector_of(parts: Iterable[Resource]) -> str | None:
    """The sector of fees by the contract with the health insurance (TRE_R282): `0` none, `1` its rates, `2` its rates or
    above, `3` free fees. What a role says, else its offers; None if none of `parts` states it."""
    stated = (code for part in parts for kind, code in _codes(part) if kind == "R282")
    code = next(stated, None)
    return _SECTORS.get(code, code) if code else None


def access_of(parts: Iterable[Resource], places: Iterable[Resource]) -> tuple[str, ...]:
    """What a role and its offers (`parts`) and its places allow for (`wheelchair`, `hearing`, `disability` …)."""
    parts = list(parts)
    found = [_FOR_DISABLED[code] for kind, code in _codes(parts) if kind == "R338" and code in _FOR_DISABLED]
    found += (code for resource in (*parts, *places) for code in _access(resource))
    return tuple(dict.fromkeys(found))


def takes_new_patients(parts: Iterable[Resource]) -> bool | None:
    """What a role says, else its offers; None if none of `parts` says it."""
    said = (_takes_new_patients(part) for part in parts)
    return next((one for one in said if one is not None), None)


def _takes_new_patients(part: Resource) -> bool | None:
    """By our extension or another's of the same meaning, else by an activity."""
    stated = [one for one in part.get("extension", ()) if _last(one.get("url", "")) in _ON_NEW_PATIENTS]
    said = [one for extension in stated for one in (extension, *extension.get("extension", ()))]
    if said:
        return any(one.get("valueBoolean") is True for one in said) or "newpt" in {c for _, c in _codes(said)}
    return True if ("R211", _FOR_NEW_PATIENTS) in _codes(part) else None


def _access(resource: Resource) -> Iterator[str]:
    """By our extension or another's of the same meaning; a bare yes is about wheelchairs."""
    for extension in resource.get("extension", ()):
        if _last(ACCESSIBILITY) in _last(extension.get("url", "")):
            yield from (code for _, code in _codes(extension))
            if "valueCode" in extension:
                yield extension["valueCode"]
            if extension.get("valueBoolean") is True:
                yield "wheelchair"


def _codes(part: Any) -> Iterator[tuple[str, str]]:
    """Every code within a part of a resource: (nomenclature such as `R282`, or else its system; code)."""
    if isinstance(part, list):
        for one in part:
            yield from _codes(one)
    elif isinstance(part, Mapping):
        system, code = part.get("system"), part.get("code")
        if isinstance(system, str) and isinstance(code, str):
            found = _NOMENCLATURE.search(system)
            yield found[1] if found else _OIDS.get(system, system), code
        for one in part.values():
            yield from _codes(one)
