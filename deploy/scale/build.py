"""The people and places of a plan as FHIR resources, a département at a time, in constant memory.

Ids begin with `s`: nothing of the demonstration is met. RPPS and SIRET have valid keys, in ranges that nobody was given.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from creneau_directory.domain.care.places import Commune
from deploy.demo import identifiers
from deploy.demo.catalogue import people
from deploy.demo.codes import (
    ACTIVITY,
    COMMUNE,
    EXTENSION_CONTRACTED,
    EXTENSION_INSEE_CODE,
    LANGUAGE,
    OWN_EXTENSION,
    PROFESSION,
    SECTOR,
    SPECIALTY,
    TEST_DATA,
    VISIT,
    coding,
    concept,
)
from deploy.scale.plan import Kind, Seat

Resource = dict[str, Any]

FIRST_NUMBER = 1_000_000
"""RPPS and SIRET start here, beyond the demonstration"""
_BEGINNINGS = [
    "Al",
    "Ar",
    "Bar",
    "Bel",
    "Ber",
    "Bon",
    "Bou",
    "Bra",
    "Bri",
    "Cam",
    "Car",
    "Cas",
    "Cha",
    "Che",
    "Cla",
    "Col",
    "Cor",
    "Cou",
    "Dan",
    "Dar",
    "Del",
    "Des",
    "Dor",
    "Du",
    "Fa",
    "Fer",
    "Fon",
    "For",
    "Fou",
    "Gal",
    "Gar",
    "Gau",
    "Ger",
    "Gi",
    "Gra",
    "Gri",
    "Gui",
    "Ha",
    "Her",
    "Hu",
    "Jac",
    "Jan",
    "Jo",
    "La",
    "Lar",
    "Lau",
    "Le",
    "Lou",
    "Ma",
    "Mar",
    "Mau",
    "Men",
    "Mer",
    "Mon",
    "Mou",
    "Nau",
    "Nor",
    "Or",
    "Pa",
    "Per",
    "Pla",
    "Por",
    "Pra",
    "Ra",
    "Re",
    "Ri",
    "Ro",
    "Sa",
    "Sau",
    "Ser",
    "Ta",
    "Ter",
    "Tho",
    "Tou",
    "Va",
    "Ver",
    "Vi",
]
_ENDINGS = [
    "bert",
    "bier",
    "bin",
    "bois",
    "bon",
    "chard",
    "chet",
    "claud",
    "dal",
    "deau",
    "det",
    "dier",
    "don",
    "doux",
    "fard",
    "ferre",
    "fils",
    "gand",
    "geon",
    "gnac",
    "gnier",
    "gnon",
    "land",
    "lard",
    "lec",
    "let",
    "lier",
    "lin",
    "lot",
    "main",
    "mand",
    "med",
    "mier",
    "mon",
    "nard",
    "naud",
    "net",
    "nier",
    "nin",
    "not",
    "pard",
    "pelle",
    "pin",
    "quet",
    "quin",
    "rand",
    "rard",
    "raud",
    "ret",
    "rier",
    "rin",
    "ron",
    "sac",
    "sard",
    "sin",
    "son",
    "tard",
    "teau",
    "telle",
    "tier",
    "tin",
    "ton",
    "vac",
    "val",
    "vier",
    "vin",
    "zac",
]


@dataclass(frozen=True)
class Built:
    """One resource, with the département that it stands in."""

    department: str
    resource: Resource


def build(seats: Iterable[Seat], *, seed: int, situations_each: float = 1.0) -> Iterator[Built]:
    """Every resource of a plan, each after what it refers to. `situations_each`: places of a professional, on average."""
    counter = FIRST_NUMBER
    for department, of_department in groupby(seats, key=lambda seat: seat.commune.department):
        chance = random.Random(f"{seed} {department}")  # noqa: S311 - the same for everyone, not a secret
        builder = _Department(department, chance, counter)
        yield from builder.build(list(of_department), situations_each)
        counter = builder.counter


class _Department:
    def __init__(self, department: str, chance: random.Random, counter: int) -> None:
        self._department = department
        self._chance = chance
        self.counter = counter

    def _next(self) -> int:
        self.counter += 1
        return self.counter

    def _built(self, resource: Resource) -> Built:
        return Built(self._department, resource)

    def build(self, seats: list[Seat], situations_each: float) -> Iterator[Built]:
        practices: dict[str, list[tuple[Commune, str]]] = {}
        """kind → its practices: commune, id"""
        posts: list[tuple[Kind, Commune, str]] = []
        for seat in seats:
            left = seat.count
            while left:
                size = min(left, self._chance.randint(1, 4))
                left -= size
                id_ = f"s{self._next()}"
                practices.setdefault(seat.kind.key, []).append((seat.commune, id_))
                yield from self._practice(id_, seat.kind, seat.commune)
                posts += [(seat.kind, seat.commune, id_)] * size
        more = situations_each - 1
        for kind, _commune, practice in posts:
            person = self._person(kind)
            yield self._built(person)
            yield self._built(self._role(person, kind, practice, 1))
            others = practices[kind.key]
            extra = int(more) + (self._chance.random() < more % 1)
            for n in range(2, 2 + extra):
                _, other = self._chance.choice(others)
                yield self._built(self._role(person, kind, other, n))

    def _practice(self, id_: str, kind: Kind, commune: Commune) -> Iterator[Built]:
        chance = self._chance
        name = f"{kind.cabinet} {chance.choice(people().practice_names)}"
        postal_code = chance.choice(commune.postal_codes) if commune.postal_codes else ""
        city = commune.name.split(" ")[0] if commune.part_of else commune.name
        address: Resource = {
            "extension": [
                {"url": EXTENSION_INSEE_CODE, "valueCoding": coding(COMMUNE, commune.insee, commune.name)}
            ],
            "line": [f"{chance.randint(1, 98)} {chance.choice(people().streets)}"],
            "city": city,
            "country": "FRA",
            **({"postalCode": postal_code} if postal_code else {}),
        }
        number = int(id_[1:])
        yield self._built(
            _resource("Organization", id_)
            | {
                "identifier": identifiers.of_structure(siret=identifiers.siret(number)),
                "active": True,
                "name": name,
                "address": [address],
            }
        )
        spread = 0.012 if commune.population >= 10_000 else 0.005
        assert commune.latitude is not None
        assert commune.longitude is not None
        location = _resource("Location", id_) | {
            "status": "active",
            "name": name,
            "mode": "instance",
            "telecom": [{"system": "phone", "value": f"+3326191{number % 10_000:04d}"}],
            "address": address,
            "position": {
                "longitude": round(commune.longitude + chance.uniform(-spread, spread), 5),
                "latitude": round(commune.latitude + chance.uniform(-spread, spread), 5),
            },
            "managingOrganization": {"reference": f"Organization/{id_}", "display": name},
        }
        if chance.random() < 0.6:
            location["extension"] = [{"url": f"{OWN_EXTENSION}accessibility", "valueCode": "wheelchair"}]
        yield self._built(location)
        modes = [
            "AMB",
            *(["VR"] if chance.random() < kind.video else []),
            *(["HH"] if chance.random() < kind.home else []),
        ]
        specialties = [
            *([concept(SPECIALTY, kind.specialty.partition(":")[2])] if kind.specialty else []),
            *([concept(ACTIVITY, kind.activity.partition(":")[2])] if kind.activity else []),
        ]
        yield self._built(
            _resource("HealthcareService", id_)
            | {
                "active": True,
                "providedBy": {"reference": f"Organization/{id_}", "display": name},
                "location": [{"reference": f"Location/{id_}"}],
                "name": name,
                "characteristic": [concept(VISIT, mode) for mode in modes],
            }
            | ({"specialty": specialties} if specialties else {})
        )

    def _person(self, kind: Kind) -> Resource:
        chance, number = self._chance, self._next()
        gender = "female" if chance.random() < kind.female else "male"
        family = (
            chance.choice(people().families)
            if chance.random() < 0.3
            else chance.choice(_BEGINNINGS) + chance.choice(_ENDINGS)
        )
        given = chance.choice(people().given[gender])
        languages = [("fr", "Français")]
        if chance.random() < 0.3:
            languages.append(chance.choice(people().languages))
        name = f"{'Dr ' if kind.doctor else ''}{given} {family}"
        system, _, code = kind.profession.partition(":")
        exercise = [coding(PROFESSION[system], code, kind.label)]
        qualification: list[Resource] = [{"code": {"coding": exercise}}]
        if kind.specialty:
            qualification.append({"code": concept(SPECIALTY, kind.specialty.partition(":")[2])})
        return _resource("Practitioner", f"s{number}") | {
            "identifier": identifiers.of_practitioner(identifiers.rpps(number)),
            "active": True,
            "name": [{"use": "official", "text": name, "family": family, "given": [given]}],
            "gender": gender,
            "qualification": qualification,
            "communication": [concept(LANGUAGE, *language) for language in languages],
        }

    def _role(self, person: Resource, kind: Kind, practice: str, rank: int) -> Resource:
        chance = self._chance
        system, _, code = kind.profession.partition(":")
        extensions: list[Resource] = []
        if kind.doctor:
            sector = "3" if chance.random() < kind.sector2 else "1"
            extensions.append({"url": EXTENSION_CONTRACTED, "valueCodeableConcept": concept(SECTOR, sector)})
        if chance.random() < 0.4:
            extensions.append({"url": f"{OWN_EXTENSION}new-patients", "valueBoolean": True})
        return (
            _resource("PractitionerRole", f"{person['id']}-{rank}")
            | ({"extension": extensions} if extensions else {})
            | {
                "active": True,
                "practitioner": {
                    "reference": f"Practitioner/{person['id']}",
                    "display": person["name"][0]["text"],
                },
                "organization": {"reference": f"Organization/{practice}"},
                "code": [concept(PROFESSION[system], code, kind.label)],
                "location": [{"reference": f"Location/{practice}"}],
                "healthcareService": [{"reference": f"HealthcareService/{practice}"}],
            }
            | (
                {"specialty": [concept(SPECIALTY, kind.specialty.partition(":")[2])]}
                if kind.specialty
                else {}
            )
        )


def _resource(resource_type: str, id_: str) -> Resource:
    tag = coding(TEST_DATA, "HTEST", "test health data")
    return {"resourceType": resource_type, "id": id_, "meta": {"tag": [tag]}}
