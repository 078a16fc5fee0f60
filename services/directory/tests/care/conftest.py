"""A directory with one professional of every kind in each of some towns, and some whose names people ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from deploy.scale.build import Built, build
from deploy.scale.copy import Copier, finish
from deploy.scale.plan import Seat, kinds
from services.directory.tests.conftest import BASE, Directory, opened

from creneau_directory.domain.care.places import gazetteer
from creneau_shared.database.migrations import find_migrations, migrate

SEED = 13
TOWNS = [
    "35238",
    "56260",
    "29019",
    "29232",
    "29024",
    "22050",
    "22278",
    "56121",
    "35288",
    "44109",
    "44184",
    "69383",
    "69386",
    "69387",
    "69266",
    "75111",
    "75115",
    "75118",
    "13208",
    "13001",
    "33063",
    "31555",
    "59350",
    "42218",
    "76351",
    "72181",
    "17300",
    "34172",
    "06088",
    "67482",
    "63113",
    "37261",
    "92012",
    "92040",
    "92051",
    "94038",
    "38185",
    "21231",
    "25056",
    "49007",
    "2A004",
    "2B033",
    "97209",
    "97302",
    "97416",
]
NAMED = {
    ("dermatologie", "35238"): ("Payet", "Océane", "female"),
    ("medecine-generale", "56260"): ("Le Goff", "Jean-Baptiste", "male"),
    ("chirurgie-dentaire", "69383"): ("El Amrani", "Fatima", "female"),
    ("kinesitherapie", "29019"): ("Lefèvre", "Paul", "male"),
    ("orl", "44109"): ("N'Diaye", "Awa", "female"),
    ("psychiatrie", "33063"): ("Laval", "Hélène", "female"),
    ("pediatrie", "59350"): ("Nguyen", "Linh", "female"),
}
"""kind and commune → family name, given name, gender"""


@dataclass
class Care:
    """The directory, and who answers to whom."""

    directory: Directory

    async def find(self, text: str = "", **query: str) -> dict[str, Any]:
        """The Bundle of `$find-care`, asked without a token."""
        given = {"text": text, **query} if text else query
        answer = await self.directory.client.get(
            "/fhir/PractitionerRole/$find-care", params=given, headers={"Authorization": ""}
        )
        assert answer.status_code == 200, answer.text
        bundle: dict[str, Any] = answer.json()
        return bundle


def population() -> Iterator[Built]:
    """The people of the tests; those of `NAMED` bear their names."""
    towns = [gazetteer().communes[code] for code in TOWNS]
    by_kind = {kind.key: kind for kind in kinds()}
    one_of_each = [Seat(town, kind, 1) for town in towns for kind in kinds()]
    more = [Seat(gazetteer().communes["35238"], by_kind["dermatologie"], 2)]
    named = dict.fromkeys(NAMED)
    commune_of: dict[str, str] = {}
    people: dict[str, dict[str, Any]] = {}
    seats = sorted([*one_of_each, *more], key=lambda seat: (seat.commune.department, seat.commune.insee))
    for built in build(seats, seed=SEED):
        resource = built.resource
        if resource["resourceType"] == "Location":
            commune_of[resource["id"]] = resource["address"]["extension"][0]["valueCoding"]["code"]
        if resource["resourceType"] == "Practitioner":
            people[resource["id"]] = resource
        if resource["resourceType"] == "PractitionerRole":
            insee = commune_of[resource["location"][0]["reference"].partition("/")[2]]
            key = next((key for key in named if key[1] == insee and _is(resource, by_kind[key[0]])), None)
            if key is not None:
                del named[key]
                family, given, gender = NAMED[key]
                person = people[resource["practitioner"]["reference"].partition("/")[2]]
                person["name"] = [{"family": family, "given": [given], "text": f"{given} {family}"}]
                person["gender"] = gender
                resource["practitioner"]["display"] = f"{given} {family}"
        yield built
    assert not named


def _is(role: dict[str, Any], kind: Any) -> bool:
    codes = {
        coding["code"] for part in ("code", "specialty") for c in role.get(part, ()) for coding in c["coding"]
    }
    wanted = kind.specialty or kind.profession
    return wanted.partition(":")[2] in codes and bool(kind.specialty) == ("specialty" in role)


@pytest.fixture(scope="session")
async def care(postgres_server: Any) -> AsyncIterator[Care]:
    """One for all tests of people's search; they change nothing of it."""
    url = postgres_server.create_database("directory_care")
    await migrate(find_migrations("creneau_directory"), url)
    connection = await asyncpg.connect(url)
    await Copier(connection, BASE, light=True).copy(list(population()), lambda *_: None)
    await finish(connection)
    await connection.close()
    async with opened(url, anonymous_requests_per_s=0) as directory:  # one test asks all that is written down
        yield Care(directory)
