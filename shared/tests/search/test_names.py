"""Names are found by any of their words, of people in any order; Saint, Sainte, St and Ste are one word."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.tests.search.store import Store, ddl, insert

from creneau_shared.fhir.search.name_words import found_by_words, phrases, readings, same_saint, text_starts
from creneau_shared.fhir.search.registry import REGISTRY, parameters_of
from creneau_shared.spelling import WAYS_MAX, fold, ways_of_writing

TYPES = ["HealthcareService", "Location", "Organization", "Practitioner"]


def person(id_: str, family: str, *given: str, **more: Any) -> dict[str, Any]:
    name = {"family": family, "given": list(given)}
    return {"resourceType": "Practitioner", "id": id_, "name": [name], **more}


RESOURCES: list[dict[str, Any]] = [
    person("tour", "de La Tour du Pin", "Anne"),
    person("gall", "Le Gall-Moreau", "Jeanne", "Marie"),
    person("sido", "VALTIER-SIDOU", "JEAN-PIERRE"),
    person("arvin", "LE GOFF D'ARVIN", "ANNE"),
    person("dupont", "Dupont", "Jean"),
    person("jean", "Jean", "Dupond"),
    person("exupery", "de Saint-Exupéry", "Antoine"),
    person("steiner", "Steiner", "Ève"),
    person("legoff", "LEGOFF", "Yann"),
    person("aubigne", "d’Aubigné", "Théo"),
    person("daubigne", "DAUBIGNE", "Léo"),
    person("stmartin", "ST-MARTIN", "Lou"),
    person("saintmartin", "Saintmartin", "Lou"),
    person("benali", "BENALI", "Nora"),
    person("ben-ali", "Ben Ali", "Sami"),
    person("ali", "Ali", "Ben"),
    person("stiller", "Stiller", "Ben"),
    person("delatour", "DELATOUR", "Zia"),
    person("le-roy-de-latour", "Le Roy de Latour", "Zia"),
    *(
        {"resourceType": "Practitioner", "id": id_, "name": [{"family": family, "given": given, "prefix": ["DR"]}]}
        for id_, family, given in (("wang", "WANG", ["LI"]), ("jo", "MARTINET", ["JO"]), ("ly", "LY", ["SOPHIE"]),
                                   ("riou", "RIOU", ["JEAN-PAUL", "LOUIS"]), ("kerleg", "KERLEG", ["MAI"]))
    ),
    {
        "resourceType": "Practitioner",
        "id": "noel",
        "name": [
            {"use": "maiden", "family": "Noël", "given": ["Zoé"]},
            {"use": "usual", "family": "Kerguélen", "given": ["Zoé"]},
        ],
    },
    {"resourceType": "Location", "id": "malo", "name": "Cabinet St Servan",
     "address": {"city": "Saint-Malo", "line": ["3 rue du Stade"]}},
    {"resourceType": "Location", "id": "anne", "name": "Cabinet des Lilas", "address": {"city": "Ste-Anne d’Auray"}},
    {"resourceType": "Organization", "id": "clinique", "name": "Clinique Sainte Clotilde", "alias": ["Clinique de l’Est"]},
    {"resourceType": "HealthcareService", "id": "soins", "name": "Soins non programmés"},
]  # fmt: skip


@pytest.fixture(scope="module")
async def named(postgres_server: Any) -> AsyncIterator[Store]:
    """People, places and an organisation with names that are known by halves."""
    url = postgres_server.create_database("search_names")
    connection = await asyncpg.connect(url)
    await connection.execute(ddl(TYPES))
    await insert(connection, RESOURCES)
    yield Store(connection, TYPES, url)
    await connection.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # family, by each word
        ("Practitioner?family=tour", "tour"),
        ("Practitioner?family=Tour du Pin", "tour"),
        ("Practitioner?family=pin", "tour"),
        ("Practitioner?family=our", ""),
        ("Practitioner?family=moreau", "gall"),
        ("Practitioner?family=Gall Moreau", "gall"),
        ("Practitioner?family=gall-mor", "gall"),
        ("Practitioner?family=moreau gall", ""),
        ("Practitioner?family=d’Arvin", "arvin"),
        ("Practitioner?family=arvin,sidou", "arvin sido"),
        # given
        ("Practitioner?given=pierre", "sido"),
        ("Practitioner?given=marie", "gall"),
        # both together, in either order
        ("Practitioner?name=jean dupont", "dupont"),
        ("Practitioner?name=dupont jean", "dupont"),
        ("Practitioner?name=jean dupon", "dupont jean"),
        ("Practitioner?name=Jean-Pierre Valtier-Sidou", "sido"),
        ("Practitioner?name=Valtier-Sidou Jean Pierre", "sido"),
        ("Practitioner?name=sidou jean", "sido"),
        ("Practitioner?name=moreau marie", "gall"),
        ("Practitioner?name=marie moreau", "gall"),
        ("Practitioner?name=Goff d'Arvin", "arvin"),
        ("Practitioner?name=anne de la tour", "tour"),
        ("Practitioner?name=anne pin", "tour"),
        ("Practitioner?name=anne", "arvin tour"),
        ("Practitioner?name=zoe noel", "noel"),
        ("Practitioner?name=kerguelen zoe", "noel"),
        ("Practitioner?name=anne moreau", ""),
        ("Practitioner?name=dupont jean,steiner", "dupont steiner"),
        ("Practitioner?name=jean&name=dupont", "dupont"),
        # particles apart, with a hyphen or an apostrophe, and together
        ("Practitioner?family=legoff", "arvin legoff"),
        ("Practitioner?family=Le Goff", "arvin legoff"),
        ("Practitioner?family=le-goff", "arvin legoff"),
        ("Practitioner?family=le-gof", "arvin legoff"),
        ("Practitioner?family=goff", "arvin"),
        ("Practitioner?family=go", "arvin"),
        ("Practitioner?family=off", ""),
        ("Practitioner?family=legall", "gall"),
        ("Practitioner?family=daubigne", "aubigne daubigne"),
        ("Practitioner?family=d'Aubigné", "aubigne daubigne"),
        ("Practitioner?family=d aubigne", "aubigne daubigne"),
        ("Practitioner?family=saint martin", "saintmartin stmartin"),
        ("Practitioner?family=st-martin", "saintmartin stmartin"),
        ("Practitioner?family=stmartin", "saintmartin stmartin"),
        ("Practitioner?family=saintmartin", "saintmartin stmartin"),
        ("Practitioner?family=stexupery", "exupery"),
        ("Practitioner?family=desaintexupery", "exupery"),
        ("Practitioner?family=Ben Ali", "ben-ali benali"),
        ("Practitioner?family=benali", "ben-ali benali"),
        ("Practitioner?family=delatour", "delatour le-roy-de-latour tour"),
        ("Practitioner?family=de la tour", "delatour le-roy-de-latour tour"),
        ("Practitioner?family=de latour du pin", "tour"),
        ("Practitioner?name=yann le goff", "legoff"),
        ("Practitioner?name=legoff anne", "arvin"),
        ("Practitioner?name=ben ali", "ali ben-ali benali"),
        ("Practitioner?name=nora ben ali", "benali"),
        ("Practitioner?name=ben stiller", "stiller"),
        ("Practitioner?name=lou stmartin", "saintmartin stmartin"),
        ("Practitioner?family:exact=LEGOFF", "legoff"),
        ("Practitioner?family:contains=legoff", "legoff"),
        # a short word that is a name, an initial or a title, beside a particle too
        ("Practitioner?name=Li Wang", "wang"),
        ("Practitioner?name=wang li", "wang"),
        ("Practitioner?name=Dr Wang", "wang"),
        ("Practitioner?name=Dr. Li Wang", "wang"),
        ("Practitioner?name=jo martinet", "jo"),
        ("Practitioner?name=ly sophie", "ly"),
        ("Practitioner?name=Sophie Ly", "ly"),
        ("Practitioner?name=j riou", "riou"),
        ("Practitioner?name=jean l riou", "riou"),
        ("Practitioner?name=l riou", "riou"),
        ("Practitioner?name=le riou", ""),
        ("Practitioner?name=y le goff", "legoff"),
        ("Practitioner?name=dr mai kerleg", "kerleg"),
        ("Practitioner?name=dr anne kerleg", ""),
        # Saint
        ("Practitioner?family=saint exupery", "exupery"),
        ("Practitioner?family=St-Exupéry", "exupery"),
        ("Practitioner?name=antoine st exupery", "exupery"),
        ("Practitioner?family=st", "exupery saintmartin steiner stiller stmartin"),
        ("Location?address-city=st malo", "malo"),
        ("Location?address-city=Saint Malo", "malo"),
        ("Location?address-city=sainte anne", "anne"),
        ("Location?address-city=Saint Anne", "anne"),
        ("Location?address=stade", "malo"),
        ("Location?address=saint-malo", "malo"),
        ("Location?name=saint servan", "malo"),
        ("Location?name=lilas", "anne"),
        ("Organization?name=ste clotilde", "clinique"),
        ("Organization?name=l'est", "clinique"),
        ("Organization?name:contains=st clo", "clinique"),
        ("Organization?name=clotilde clinique", ""),
        ("HealthcareService?name=programmes", "soins"),
        # what compares the whole compares the whole
        ("Practitioner?family:exact=Moreau", ""),
        ("Practitioner?family:exact=Le Gall-Moreau", "gall"),
        ("Practitioner?family:contains=oreau", "gall"),
        ("Practitioner?_filter=family eq moreau", ""),
        ("Practitioner?_filter=family eq \"le gall-moreau\"", "gall"),
        ("Practitioner?_filter=family ew moreau", "gall"),
        ("Practitioner?_filter=family sw moreau", "gall"),
        ("Practitioner?family=...", ""),
        ("Practitioner?name=-", ""),
    ],
)  # fmt: skip
async def test_who_is_found(named: Store, query: str, expected: str) -> None:
    """As people ask for them, with and without accents, hyphens, apostrophes and particles."""
    assert await named.ids(query) == expected.split()


async def test_the_order_is_that_of_whole_names(named: Store) -> None:
    """A name that is found by its second half is sorted by its first."""
    found = await named.ids("Practitioner?_sort=family&_count=50")
    known = ["tour", "exupery", "dupont", "jean", "noel", "gall", "arvin", "steiner", "sido"]
    assert [one for one in found if one in known] == known


@pytest.mark.parametrize(
    ("folded", "expected"),
    [
        ("dupont jean", ["dupont", "jean"]),
        ("jean de la tour", ["jean", "de la tour"]),
        ("le goff d arvin", ["le goff", "d arvin"]),
        ("jean d", ["jean", "d"]),
        ("d", ["d"]),
        ("", []),
    ],
)
def test_short_words_stay_with_what_they_lead_to(folded: str, expected: list[str]) -> None:
    """`de` alone would be looked for among half of everybody."""
    assert phrases(folded) == expected


@pytest.mark.parametrize(
    ("folded", "expected"),
    [
        ("jean dupont", [["jean", "dupont"]]),
        ("ben ali", [["ben", "ali"], ["ben ali"]]),
        ("li wang", [["li wang"], ["wang", "li"]]),
        ("yann le goff", [["yann", "le goff"], ["yann", "goff", "le"]]),
        ("dr le goff", [["dr le goff"], ["le goff", "dr"], ["goff", "dr", "le"]]),
        ("d", [["d"]]),
        ("", [[]]),
    ],
)
def test_a_short_word_may_lead_or_be_a_name(folded: str, expected: list[list[str]]) -> None:
    assert readings(folded) == expected


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("go", ["go"]),
        ("du", ["du"]),
        ("martin", ["martin"]),
        ("le g", ["le g", "leg"]),
        ("ben ali", ["ben ali", "benali"]),
        ("benali", ["benali", "ben ali"]),
        ("obrien", ["obrien", "o brien"]),
        ("ndiaye", ["ndiaye", "n diaye", "n di aye"]),
        ("le goff martin", ["le goff martin", "legoff martin", "l egoff martin"]),
    ],
)
def test_a_name_is_written_with_its_particles_apart_or_together(name: str, ways: list[str]) -> None:
    """Nothing else is split, and nothing that would be found among half of everybody."""
    assert list(ways_of_writing(name)) == ways


@given(st.text(alphabet="deltasinbo ", max_size=30))
def test_ways_of_writing_are_few_and_of_the_same_letters(text: str) -> None:
    folded = fold(text)
    ways = ways_of_writing(folded)
    assert ways[0] == folded
    assert len(ways) <= WAYS_MAX
    letters = {_SAINT.sub("", way.replace(" ", "")) for way in ways}
    assert len(letters) == 1


_SAINT = re.compile("(saint|st)e*")
"""`ste` is Sainte, or Saint before an e: what is an e of the saint and what of the name is not known"""


@given(st.text(alphabet="aé’'- Stste", max_size=30))
def test_what_is_stored_is_found_by_each_of_its_words(text: str) -> None:
    """Each start is a tail of the text in one spelling of Saint, and each word begins one."""
    folded = same_saint(fold(text))
    starts = list(text_starts(text))
    assert all(folded.endswith(start) for start in starts)
    assert (
        {start.split()[0] for start in starts} | {folded.split()[0]} >= set(folded.split()[:16])
        if folded
        else not starts
    )


def test_the_parameters_are_strings() -> None:
    """Of each type that has names: what is found by words is a string, under a name of its own."""
    for base in REGISTRY:
        for parameter in parameters_of(base).values():
            if found_by_words(base, parameter.name):
                assert parameter.type == "string"
                assert parameter.index_name == parameter.name
