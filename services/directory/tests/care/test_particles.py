"""Names with particles are found alike whether these are written apart, with a hyphen or an apostrophe, or together."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from services.directory.tests.care.test_index import entries, put
from services.directory.tests.conftest import Directory

from creneau_directory.domain.care.reading.facts import KnownNames
from creneau_directory.domain.care.reading.reader import reader
from creneau_directory.domain.care.suggestions import endings

FAMILIES = (
    *("LE QUIVRIC", "Lequivric", "Quivric"),
    *("d’Ozambre", "DOZAMBRE"),
    *("Saint Zorbin", "ST-ZORBIN", "STZORBIN"),
    *("Ben Avoulé", "BENAVOULE", "Avoulé"),
    *("de La Zourve", "DE LAZOURVE", "Delazourve"),
)
ALIKE = [
    (["lequivric", "le quivric", "le-quivric", "Le Quivric"], {"LE QUIVRIC", "Lequivric"}),
    (["dozambre", "d'ozambre", "d ozambre"], {"d’Ozambre", "DOZAMBRE"}),
    (["saint zorbin", "st-zorbin", "stzorbin", "saintzorbin"], {"Saint Zorbin", "ST-ZORBIN", "STZORBIN"}),
    (["ben avoulé", "benavoule"], {"Ben Avoulé", "BENAVOULE"}),
    (["de la zourve", "delazourve"], {"de La Zourve", "DE LAZOURVE", "Delazourve"}),
]
WAYS = [pytest.param(typed, families, id=typed) for ways, families in ALIKE for typed in ways]


@pytest.fixture
async def people(directory: Directory) -> AsyncIterator[dict[str, str]]:
    """Their roles' ids by family name; they go again."""
    written = {}
    for family in FAMILIES:
        person, place, role = entries(family)
        await put(directory, person, place, role)
        written[family] = role["id"]
    yield written
    for id_ in written.values():
        for kind in ("PractitionerRole", "Practitioner"):
            await directory.client.delete(f"/fhir/{kind}/{id_}")


@pytest.mark.parametrize(("typed", "families"), WAYS)
async def test_as_people_type_them(
    directory: Directory, people: dict[str, str], typed: str, families: set[str]
) -> None:
    """By `family`, of the person and of the role, in `$find-care` and in `$suggest`, with a title and without."""
    family_of = {id_: family for family, id_ in people.items()}

    async def of(path: str, **query: str) -> list[str]:
        answer = await directory.client.get(f"/fhir/{path}", params=query)
        assert answer.status_code == 200, answer.text
        matches = [e["resource"] for e in answer.json().get("entry", ()) if e["search"]["mode"] == "match"]
        return [family_of.get(one["id"], one["id"]) for one in matches]

    assert set(await of("Practitioner", family=typed)) == families
    assert set(await of("PractitionerRole", **{"practitioner.family": typed})) == families
    assert set(await of("PractitionerRole/$find-care", text=f"dr {typed} morlaix")) >= families
    for text in (typed, f"dr {typed[:-1]}"):
        answer = await directory.client.get(
            "/fhir/PractitionerRole/$suggest", params={"text": text, "_count": "20"}
        )
        parts = [{p["name"]: p for p in one["part"]} for one in answer.json().get("parameter", ())]
        shown = {p["reference"]["valueReference"]["reference"] for p in parts if "reference" in p}
        assert shown >= {f"PractitionerRole/{people[family]}" for family in families}, text


def test_a_particle_is_no_name_of_its_own_before_one() -> None:
    """Of `Ben Ali`, were `ben` a name and `ali` another, whoever is called Benali would not be found."""
    known = KnownNames({name: ((name,), 1.0) for name in ("ben", "ali", "benali", "nora")})
    assert [name.names for name in reader().read("dr nora ben ali", known).names] == [("nora",), ("benali",)]
    without = KnownNames({name: ((name,), 1.0) for name in ("ben", "ali")})
    assert [name.names for name in reader().read("dr ben ali", without).names] == [("ben",), ("ali",)]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("dr paye", [[["paye"]]]),
        ("dr le goff yan", [[["goff"], ["yan"]], [["legoff"], ["yan"]]]),
        ("nora ben", [[["nora"], ["ben"]]]),
        ("nora ben avo", [[["nora"], ["ben"], ["avo"]], [["nora"], ["benavo"]]]),
    ],
)
def test_what_is_typed_last_may_be_a_name_with_its_particles(text: str, read: list[list[list[str]]]) -> None:
    assert [[list(one) for one in reading] for reading in endings(text)] == read
