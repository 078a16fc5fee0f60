"""The terms of one situation (a professional in one place): its row in the index of people's search.

R38:SM15 G15:10 R211:437   care: nomenclature and code, of the role, the professional's expertise, the offer
c:69383 c:69123 z:69003    where: commune and arrondissement (INSEE), postal code,
d:69 r:84                  département and region (INSEE)
g:915:96 h:91:9            the cells of 0.05 and 0.5 degrees in which it lies
n:payet                    words of the names of the person and the place
gender:female language:ar mode:VR sector:1 accessibility:wheelchair new-patient:true
x:plain                    no speciality beside the profession
b:07 l:007                 one of 64 lots and one of 256, fixed by the role's id: samples where very many match
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, cos, floor, radians
from typing import Any
from zlib import crc32

from creneau_directory.domain.care.around import Around, in_use
from creneau_directory.domain.care.places import KM_PER_DEGREE, Gazetteer
from creneau_directory.domain.care.spelling import SMALL, joined
from creneau_directory.domain.care.vocabulary import Vocabulary
from creneau_directory.domain.ror.visibility import is_sensitive
from creneau_shared.postal_codes import postal_code
from creneau_shared.spelling import fold
from creneau_shared.territories import is_abroad

Resource = Mapping[str, Any]

FINE, COARSE = 0.05, 0.5
"""degrees of a cell"""
FINE_KM_MAX = 12.0
"""largest radius that is covered with fine cells"""
LOTS, SMALL_LOTS = 64, 256
PLAIN = "x:plain"

_OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
ACCESSIBILITY = _OWN + "accessibility"
"""code: what a role, an offer or a place allows for. Others' extensions are read, too, if their name holds this word."""
NEW_PATIENTS = _OWN + "new-patients"
"""boolean: whether a role or an offer takes new patients"""


def _last(url: str) -> str:
    """The name of an extension: the last part of its canonical."""
    return url.rpartition("/")[2]


_ON_NEW_PATIENTS = frozenset({_last(NEW_PATIENTS), "newpatients", "accepts-new-patients"})
_NOMENCLATURE = re.compile(r"TRE[_-]([GR]\d+)[_-]")
_OIDS = {
    "urn:oid:1.2.250.1.213.2.28": "R38",
    "urn:oid:1.2.250.1.71.1.2.7": "G15",
    "urn:oid:1.2.250.1.213.1.6.1.109": "R95",
    "urn:oid:1.2.250.1.213.3.3.12": "R211",
}
_ABOUT_CARE = frozenset({"G15", "R38", "R95", "R94", "R39", "R40", "R42", "R43", "R211"})
_EXPERTISE = frozenset({"R38", "R39", "R40", "R42", "R43"})
_SECTORS = {"nc": "0", "c1": "1", "c2": "2", "c3": "3"}
"""replaced codes of TRE_R282 → those of its present version"""
_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_ACT_MODES = {"AMB": "AMB", "VR": "VR", "HH": "HH"}
_RECEPTION_MODES = {"03": "AMB", "04": "VR", "14": "VR", "05": "HH", "27": "HH"}
"""TRE_R338: on site, by video, at home"""
_FOR_DISABLED = {"15": "disability-rooms", "16": "disability", "17": "disability-theatre"}
"""TRE_R338: consultations for people with a disability in rooms of their own, or without these, and operating theatres. They
say nothing of a wheelchair."""
_FOR_NEW_PATIENTS = "471"
"""TRE_R211"""
_NAMELESS = frozenset(
    [
        "cabinet",
        "medical",
        "dentaire",
        "centre",
        "sante",
        "maison",
        "groupe",
        "pole",
        "clinique",
        "hopital",
        "chu",
        "infirmier",
        "kinesitherapie",
        "sage",
        "femme",
        "sages",
        "femmes",
        "dr",
        "docteur",
        "pluriprofessionnelle",
        "psychologie",
        "orthophonie",
        "imagerie",
        "radiologie",
        "laboratoire",
        "pharmacie",
    ]
)
"""words in names of places that do not tell one place from another"""

FACETS = ("profession", "specialty", "commune", "sector", "language", "mode", "accessibility")


@dataclass(frozen=True, slots=True)
class Situation:
    """One row of the index."""

    role: str
    practitioner: str | None
    terms: tuple[str, ...]
    facets: tuple[str, ...]
    """the values that facets count: `profession|G15:40`, `commune|35238` …"""
    latitude: float | None
    longitude: float | None
    label: str
    """the text that a suggestion shows"""
    names: tuple[str, ...]
    """the words of the person's name, folded, for the table of names"""
    since: date | None = None
    until: date | None = None
    """first and last day on which the situation is found"""


def lot_of(drawn: int) -> str:
    """The term of the lot, one of `LOTS`, that a drawn number falls into."""
    return f"b:{drawn % LOTS:02d}"


def small_lot_of(drawn: int) -> str:
    """The term of the small lot, one of `SMALL_LOTS`, that a drawn number falls into."""
    return f"l:{drawn % SMALL_LOTS:03d}"


def situation_of(found: Around, words: Vocabulary, places: Gazetteer) -> Situation | None:
    """Returns the row of a role; None if no search may find it: it is not in use (`in_use`), or an offer is a sensitive
    unit."""
    used = None if any(is_sensitive(service) for service in found.services) else in_use(found)
    if used is None:
        return None
    found, role, person = used, used.role, used.practitioner
    codes = list(dict.fromkeys(_care_codes(found)))
    sites = found.sites
    communes = list(dict.fromkeys(filter(None, (_commune(site, places) for site in sites))))
    position = next((at for at in map(_position, sites) if at is not None), None)
    if position is None and communes:
        position = places.communes[communes[0]].place.position
    traits = list(dict.fromkeys(_traits(found)))
    drawn = crc32(role["id"].encode())
    own_names = _person_words(person or {}) or _name_words(_display(role.get("practitioner")))
    other_names = _place_words(found)
    terms = dict.fromkeys(
        (
            *codes,
            *_areas(communes, sites, places),
            *(cells(*position) if position else ()),
            *(f"n:{name}" for name in (*own_names, *other_names)),
            *traits,
            *(() if any(code.partition(":")[0] in _EXPERTISE for code in codes) else (PLAIN,)),
            lot_of(drawn),
            small_lot_of(drawn),
        )
    )
    facets = [*_care_facets(codes), *(f"commune|{code}" for code in communes[:1])]
    facets += [
        f"{kind}|{value}" for kind, _, value in (trait.partition(":") for trait in traits) if kind in FACETS
    ]
    town = places.communes[communes[0]].name if communes else ""
    return Situation(
        role=role["id"],
        practitioner=_id(role.get("practitioner")),
        terms=tuple(terms),
        facets=tuple(facets),
        latitude=position[0] if position else None,
        longitude=position[1] if position else None,
        label=_label(found, codes, words, town),
        names=tuple(own_names),
        since=found.since,
        until=found.until,
    )


def cells(latitude: float, longitude: float) -> tuple[str, str]:
    """The fine and the coarse cell of a point."""
    return (
        f"g:{floor(latitude / FINE)}:{floor(longitude / FINE)}",
        f"h:{floor(latitude / COARSE)}:{floor(longitude / COARSE)}",
    )


def cells_around(latitude: float, longitude: float, km: float) -> list[str]:
    """The cells that a circle touches, all fine or all coarse."""
    letter, size = ("g", FINE) if km <= FINE_KM_MAX else ("h", COARSE)
    high = km / KM_PER_DEGREE
    wide = km / (KM_PER_DEGREE * max(0.05, cos(radians(latitude))))
    rows = range(floor((latitude - high) / size), ceil((latitude + high) / size))
    columns = range(floor((longitude - wide) / size), ceil((longitude + wide) / size))
    return [f"{letter}:{row}:{column}" for row in rows for column in columns]


# -- care ----------------------------------------------------------------------------------------------------


def codes_of(resource: Any) -> Iterator[tuple[str, str]]:
    """Yields every code within a part of a resource: (nomenclature such as `R38`, or else its system; code)."""
    if isinstance(resource, list):
        for part in resource:
            yield from codes_of(part)
    elif isinstance(resource, Mapping):
        system, code = resource.get("system"), resource.get("code")
        if isinstance(system, str) and isinstance(code, str):
            yield _nomenclature(system), code
        for part in resource.values():
            if isinstance(part, (list, Mapping)):
                yield from codes_of(part)


def term_of(system: str, code: str) -> str:
    """The term of a code. Without a system the form of the code decides on the nomenclature (`SM15`: TRE_R38)."""
    if system:
        return f"{_nomenclature(system)}:{code}"
    if ":" in code:
        return code
    if code[:1].isdigit():
        return f"G15:{code}" if len(code) == 2 else f"R211:{code}"
    return f"R38:{code}"


def _nomenclature(system: str) -> str:
    found = _NOMENCLATURE.search(system)
    return found[1] if found else _OIDS.get(system, system)


def _care_codes(found: Around) -> Iterator[str]:
    """The profession and speciality of the role, or else of the professional; the activities of the offers (TRE_R211)."""
    own = [
        (kind, code)
        for element in ("code", "specialty")
        for kind, code in codes_of(found.role.get(element, ()))
        if kind in _ABOUT_CARE
    ]
    learnt = [
        pair
        for pair in codes_of((found.practitioner or {}).get("qualification", ()))
        if pair[0] in _ABOUT_CARE
    ]
    yield from (f"{kind}:{code}" for kind, code in own)
    if not any(kind in _EXPERTISE for kind, _ in own):
        yield from (f"{kind}:{code}" for kind, code in learnt if kind in _EXPERTISE)
    if not any(kind not in _EXPERTISE for kind, _ in own):
        yield from (f"{kind}:{code}" for kind, code in learnt if kind not in _EXPERTISE)
    for service in found.services:
        yield from (
            f"{kind}:{code}" for kind, code in codes_of(service.get("specialty", ())) if kind == "R211"
        )


def _care_facets(codes: Sequence[str]) -> Iterator[str]:
    for code in codes:
        kind = code.partition(":")[0]
        if kind in ("G15", "R95", "R94"):
            yield f"profession|{code}"
        elif kind in _EXPERTISE:
            yield f"specialty|{code}"


# -- where ----------------------------------------------------------------------------------------------------


def _commune(location: Resource, places: Gazetteer) -> str | None:
    address = location.get("address") or {}
    if is_abroad(address.get("country") or ""):
        return None
    code = next((code for kind, code in codes_of(location) if kind == "R13"), None)
    return places.insee_of(code, address.get("postalCode"), address.get("city"))


def _areas(communes: Sequence[str], locations: Sequence[Resource], places: Gazetteer) -> Iterator[str]:
    for insee in communes:
        commune = places.communes[insee]
        yield f"c:{insee}"
        if commune.part_of:
            yield f"c:{commune.part_of}"
        yield f"d:{commune.department}"
        if commune.department in places.region_of:
            yield f"r:{places.region_of[commune.department]}"
    for location in locations:
        address = location.get("address") or {}
        code = (
            None if is_abroad(address.get("country") or "") else postal_code(address.get("postalCode") or "")
        )
        if code is not None:
            yield f"z:{code}"


def _position(location: Resource) -> tuple[float, float] | None:
    position = location.get("position") or {}
    try:
        return float(position["latitude"]), float(position["longitude"])
    except (KeyError, TypeError, ValueError):
        return None


# -- traits ---------------------------------------------------------------------------------------------------


def _traits(found: Around) -> Iterator[str]:
    person = found.practitioner or {}
    if person.get("gender") in ("female", "male"):
        yield f"gender:{person['gender']}"
    for concept in person.get("communication", ()):
        for coding in concept.get("coding", ()):
            if coding.get("code"):
                yield f"language:{coding['code'].partition('-')[0].lower()}"
    parts = [found.role, *found.services]
    modes = list(dict.fromkeys(_modes(parts)))
    # A role with a place and no stated mode receives patients on site.
    yield from modes or (("mode:AMB",) if found.locations else ())
    # The role's word goes before its offers': the pages say the same (`creneau_web.care.terms`).
    sectors = (list(dict.fromkeys(_sectors(part))) for part in parts)
    yield from (f"sector:{sector}" for sector in next(filter(None, sectors), ()))
    said = (_takes_new_patients(part) for part in parts)
    if next((word for word in said if word is not None), False):
        yield "new-patient:true"
    for kind, code in codes_of(parts):
        if kind == "R338" and code in _FOR_DISABLED:
            yield f"accessibility:{_FOR_DISABLED[code]}"
    for resource in (*parts, *found.locations, *found.sites):
        yield from (f"accessibility:{code}" for code in _access(resource))


def _modes(parts: Iterable[Resource]) -> Iterator[str]:
    for part in parts:
        for kind, code in codes_of({k: v for k, v in part.items() if k != "extension"}):
            if kind == _ACT_CODE and code in _ACT_MODES:
                yield f"mode:{code}"
            elif kind == "R338" and code in _RECEPTION_MODES:
                yield f"mode:{_RECEPTION_MODES[code]}"


def _sectors(part: Resource) -> Iterator[str]:
    return (_SECTORS.get(code, code) for kind, code in codes_of(part) if kind == "R282")


def _takes_new_patients(part: Resource) -> bool | None:
    """What a role or an offer says by our extension or another's of the same meaning, else by an activity; None if
    nothing."""
    stated = [one for one in part.get("extension", ()) if _last(str(one.get("url", ""))) in _ON_NEW_PATIENTS]
    said = [one for extension in stated for one in (extension, *extension.get("extension", ()))]
    if said:
        return any(one.get("valueBoolean") is True for one in said) or "newpt" in {
            c for _, c in codes_of(said)
        }
    return True if ("R211", _FOR_NEW_PATIENTS) in codes_of(part) else None


def _access(resource: Resource) -> Iterator[str]:
    """What a resource allows for, by our extension or another's of the same meaning; a bare yes is about wheelchairs."""
    for extension in resource.get("extension", ()):
        if _last(ACCESSIBILITY) in _last(str(extension.get("url", ""))):
            yield from (code for _, code in codes_of(extension))
            if "valueCode" in extension:
                yield extension["valueCode"]
            if extension.get("valueBoolean") is True:
                yield "wheelchair"


# -- names and label -----------------------------------------------------------------------------------------


def _person_words(person: Resource) -> list[str]:
    found: dict[str, None] = {}
    for name in person.get("name", ()):
        family = str(name.get("family", ""))
        found.update(dict.fromkeys(_name_words(family)))
        for given in name.get("given", ()):
            found.update(dict.fromkeys(_name_words(str(given))))
        if not family:
            found.update(dict.fromkeys(_name_words(str(name.get("text", "")))))
    return list(found)


def _name_words(name: str) -> list[str]:
    """`Le Goff` → `goff`, `legoff`: each word that is not small, and all words joined."""
    words = fold(name).split()
    single = [word for word in words if word not in SMALL and len(word) > 1]
    return [*single, *([joined(words)] if len(words) > 1 else [])]


def _place_words(found: Around) -> list[str]:
    named = (*found.locations, *found.sites, found.organization or {})
    names = [one.get("name", "") for one in named]
    words = dict.fromkeys(word for name in names for word in fold(name).split())
    return [word for word in words if word not in SMALL and word not in _NAMELESS and len(word) > 2]


def _label(found: Around, codes: Sequence[str], words: Vocabulary, town: str) -> str:
    name = found.called or _display(found.role.get("practitioner"))
    care = next((words.by_code[code].french for code in codes if code in words.by_code), "")
    return " – ".join(part for part in (name, ", ".join(filter(None, (care, town)))) if part)


def _display(reference: Resource | None) -> str:
    return str((reference or {}).get("display", ""))


def _id(reference: Resource | None) -> str | None:
    return str((reference or {}).get("reference", "")).rpartition("/")[2] or None
