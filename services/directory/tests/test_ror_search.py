"""Checks 6.6 of the ROR (query side), by number: the queries that its guide publishes, on a small graph of our own."""

from __future__ import annotations

from typing import Any

import pytest
from services.directory.tests.conftest import BASE, Directory
from services.directory.tests.ror import (
    FACETS,
    R66,
    R210,
    R211,
    R213,
    R244,
    R330,
    R338,
    TAG,
    RorGraph,
)

from creneau_directory.storage.reindexing import reindex
from creneau_directory.views import indexed

BASE_INCLUDES = [
    ("_include", "HealthcareService:organization"),
    ("_include:iterate", "Organization:partof"),
    ("_include", "HealthcareService:location"),
    ("_revinclude", "PractitionerRole:service"),
    ("_include", "PractitionerRole:practitioner"),
]


@pytest.fixture(scope="module")
async def ror(directory: Directory) -> RorGraph:
    return await RorGraph.entered(directory)


async def found(directory: Directory, path: str, *pairs: tuple[str, str]) -> dict[str, Any]:
    answer = await directory.client.get(f"/fhir/{path}", params=list(pairs))
    assert answer.status_code == 200, answer.text
    bundle: dict[str, Any] = answer.json()
    return bundle


def ids(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    entries = bundle.get("entry", ())
    return [
        f"{e['resource']['resourceType']}/{e['resource']['id']}"
        for e in entries
        if e["search"]["mode"] == mode
    ]


async def offers(ror: RorGraph, *pairs: tuple[str, str]) -> set[str]:
    """Which of the graph's offers a search finds; it must have understood all of the query."""
    bundle = await found(ror.directory, "HealthcareService", *pairs)
    assert ids(bundle, "outcome") == [], bundle
    return {name for name, id_ in ror.offers.items() if f"HealthcareService/{id_}" in ids(bundle)}


async def places(ror: RorGraph, *pairs: tuple[str, str]) -> set[str]:
    bundle = await found(ror.directory, "Location", *pairs)
    assert ids(bundle, "outcome") == [], bundle
    return {name for name, id_ in ror.places.items() if f"Location/{id_}" in ids(bundle)}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("psychiatric-sector", "44G0", {"psy"}),
        ("intervention-zone", "44109", {"town"}),
        ("patient-type", "CAN", {"psy"}),
        ("age-range-low", "ge18", {"psy"}),
        ("age-range-high", "le17", {"children"}),
        ("notavailable-closing-reopeningdate", "ge2027-01-01", {"children"}),
        ("service-type", "05", {"town", "children"}),
        ("name", "Consultations", {"town"}),
    ],
)
async def test_6_6_1_each_parameter_of_offers(
    ror: RorGraph, name: str, value: str, expected: set[str]
) -> None:
    assert await offers(ror, (name, value), ("_tag", ror.tag)) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("commune-cog", "44109", {"nantes"}),
        ("capacity-status", "02", {"herblain"}),
        ("capacity-status:missing", "false", {"herblain", "beds"}),
        ("nb-capacity", "ge10", {"herblain", "beds"}),
        ("capacity-type", "01", {"herblain", "beds"}),
        ("temporality-capacity", "01", {"herblain", "beds"}),
        ("gender-capacity-available", "02", {"herblain"}),
        ("gender-capacity", "02", {"herblain"}),
        ("capacity-closing-type", "03", {"beds"}),
        ("additional-bed-type", "03", {"beds"}),
        ("crisis-type", "02", {"beds"}),
        ("capacity-update-date", "ge2026-11-01", {"herblain"}),
        ("temporary-assignement", "01", {"herblain", "beds"}),
        ("equipment-type", "IRM", {"beds"}),
        ("equipment-feature", "05", {"beds"}),
        ("limit-value", "ge0.2||t", {"beds"}),
        ("limit-value", "250|http://unitsofmeasure.org|kg", {"beds"}),
        ("residential-type", "T1", {"nantes"}),
        ("residential-number", "4", {"nantes"}),
        ("address-postalcode", "44800", {"herblain"}),
        ("address-city", "Nantes", {"nantes"}),
        ("type", "001", {"herblain"}),
        ("status", "suspended", {"beds"}),
        ("operational-status", "O", {"beds"}),
    ],
)
async def test_6_6_1_each_parameter_of_places(
    ror: RorGraph, name: str, value: str, expected: set[str]
) -> None:
    assert await places(ror, (name, value), ("_tag", ror.tag)) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("drop-zone", "true", {"eg"}),
        ("closing-type", "P", {"ej"}),
        ("period-end", "le2027", {"ej"}),
        ("oi-name", "Pole", {"oi"}),
        ("price-type", "01", {"eg"}),
        ("price-amount", "lt70||EUR", {"eg"}),
        ("partof", "Organization/{ej}", {"eg"}),
        ("name", "Centre hospitalier", {"eg"}),
    ],
)
async def test_6_6_1_each_parameter_of_organizations(
    ror: RorGraph, name: str, value: str, expected: set[str]
) -> None:
    value = value.format(**ror.organizations)
    bundle = await found(ror.directory, "Organization", (name, value), ("_tag", ror.tag))
    assert {n for n, id_ in ror.organizations.items() if f"Organization/{id_}" in ids(bundle)} == expected


async def test_6_6_1_all_are_declared(directory: Directory) -> None:
    """In the metadata, under the ROR's canonicals, with the modifiers that they take."""
    answer = await directory.client.get("/fhir/metadata")
    declared = {
        resource["type"]: {p["name"]: p.get("definition") for p in resource.get("searchParam", ())}
        for resource in answer.json()["rest"][0]["resource"]
    }
    for resource_type, names in FACETS.items():
        assert names <= declared[resource_type].keys(), names - declared[resource_type].keys()
    assert declared["Location"]["nb-capacity"] == (
        "https://interop.esante.gouv.fr/ig/fhir/ror/SearchParameter/ror-sp-nb-capacity"
    )


async def test_6_6_2_pages_of_200_with_the_total(ror: RorGraph) -> None:
    """Without `_count` a page has 200 offers, the total says how many there are, the next page has the rest."""
    tag = await ror.many_offers(203)
    bundle = await found(ror.directory, "HealthcareService", ("_tag", tag))
    assert (len(ids(bundle)), bundle["total"]) == (200, 203)
    following = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
    rest = (await ror.directory.client.get(following)).json()
    assert (len(ids(rest)), rest["total"]) == (3, 203)


async def test_6_6_3_nothing_found_is_a_total_of_zero(ror: RorGraph) -> None:
    bundle = await found(ror.directory, "HealthcareService", ("identifier", "99/none"))
    assert (bundle["total"], bundle.get("entry")) == (0, None)


async def test_6_6_4_and_5_the_base_query_gives_the_whole_graph(ror: RorGraph) -> None:
    """Five includes: internal organisation, establishment and legal entity above it, place, situations, professionals;
    each once, whatever leads to it."""
    bundle = await found(
        ror.directory, "HealthcareService", ("identifier", ror.number("town")), *BASE_INCLUDES
    )
    expected = {f"Organization/{id_}" for id_ in ror.organizations.values()}
    expected |= {
        f"Location/{ror.places['nantes']}",
        f"PractitionerRole/{ror.role}",
        f"Practitioner/{ror.person}",
    }
    included = ids(bundle, "include")
    assert ids(bundle) == [f"HealthcareService/{ror.offers['town']}"]
    assert set(included) == expected
    assert len(included) == len(expected)


async def test_6_6_6_above_climbs_the_organisations(ror: RorGraph) -> None:
    """All the offers of an establishment or legal entity, whichever unit provides them; not those of a unit's sister."""
    assert await offers(ror, ("organization.identifier:above", ror.finess("ej"))) == {
        "town",
        "psy",
        "children",
    }
    assert await offers(ror, ("organization.identifier:above", ror.finess("eg"))) == {"town", "psy"}
    assert await offers(ror, ("organization.identifier", ror.finess("eg"))) == {"psy"}
    tag = ("_tag", ror.tag)
    assert await offers(ror, ("organization.type:above", f"{R66}|355"), tag) == {"town", "psy"}
    bundle = await found(ror.directory, "Organization", ("identifier:above", ror.finess("eg")))
    assert set(ids(bundle)) == {f"Organization/{ror.organizations[name]}" for name in ("eg", "oi")}


async def test_6_6_6_a_circle_of_organisations_comes_to_an_end(ror: RorGraph) -> None:
    """Two organisations that name each other as the one above: both are below each, and the search ends."""
    first, second = await ror.circle()
    bundle = await found(ror.directory, "Organization", ("identifier:above", f"urn:circle|{first}"))
    assert set(ids(bundle)) == {f"Organization/{first}", f"Organization/{second}"}


async def test_6_6_7_and_8_near_a_commune_with_the_distance(ror: RorGraph) -> None:
    """`location.near-insee-code`: what lies within the distance; the answer says how far, of the offer and of its place."""
    near = ("location.near-insee-code", "44162|15|km")
    assert await offers(ror, near, ("_tag", ror.tag)) == {"town", "psy"}
    assert await offers(ror, ("location.near-insee-code", "44162|3|km"), ("_tag", ror.tag)) == {"psy"}
    bundle = await found(ror.directory, "HealthcareService", near, ("_tag", ror.tag), *BASE_INCLUDES)
    distances = {
        f"{e['resource']['resourceType']}/{e['resource']['id']}": ext["valueDistance"]
        for e in bundle["entry"]
        for ext in e["search"].get("extension", ())
        if ext["url"] == "http://hl7.org/fhir/StructureDefinition/location-distance"
    }
    town, place = f"HealthcareService/{ror.offers['town']}", f"Location/{ror.places['nantes']}"
    assert 6 < distances[town]["value"] < 9
    assert distances[place] == distances[town]
    assert distances[town]["code"] == "km"
    answer = await ror.directory.client.get("/fhir/Location", params={"near-insee-code": "99999|15|km"})
    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")
    by_point = await found(ror.directory, "Location", ("near", "47.21154|-1.651|3|km"), ("_tag", ror.tag))
    assert ids(by_point) == [f"Location/{ror.places['herblain']}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"(specialty eq {R211}|005 or {R211}|481)", None),
        (f"(specialty eq {R211}|437 or specialty eq {R211}|481)", {"town", "children"}),
        (
            f"(((service-category eq {R244}|102) or (specialty eq {R211}|233)) and"
            " (age-range-low le 35|https://unitsofmeasure.org|a and age-range-high ge 35|https://unitsofmeasure.org|a))",
            {"psy"},
        ),
        (
            f"((organization.type:above eq {R66}|355) or (service-category eq {R244}|62))",
            {"town", "psy", "children"},
        ),
        (
            "(_lastUpdated ge 2022-11-06T15:00 or organization._lastUpdated:above ge 2022-11-06T15:00)",
            {"all"},
        ),
    ],
)
async def test_6_6_9_the_published_filters(ror: RorGraph, text: str, expected: set[str] | None) -> None:
    """The grammar of the guide's five examples, its short form of `or` (a value without its parameter) among them."""
    if expected is None:
        text, expected = f"(specialty eq {R211}|437 or {R211}|481)", {"town", "children"}
    wanted = set(ror.offers) if expected == {"all"} else expected
    assert await offers(ror, ("_filter", text), ("_tag", ror.tag)) == wanted


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("age-range-low", "le35|https://unitsofmeasure.org|a", {"town", "psy", "children"}),
        ("age-range-high", "ge35|https://unitsofmeasure.org|a", {"town", "psy"}),
        ("age-range-high", "lt205|http://unitsofmeasure.org|mo", {"children"}),
        ("age-range-low", "18||a", {"psy"}),
        ("age-range-low", "18|urn:other|a", set()),
    ],
)
async def test_6_6_10_quantities(ror: RorGraph, name: str, value: str, expected: set[str]) -> None:
    """Compared in one unit of time; a foreign system's unit is another."""
    assert await offers(ror, (name, value), ("_tag", ror.tag)) == expected


async def test_6_6_11_characteristics_by_system(ror: RorGraph) -> None:
    tag = ("_tag", ror.tag)
    assert await offers(ror, ("characteristic", f"{R338}|01"), tag) == {"psy"}
    assert await offers(ror, ("characteristic", f"{R213}|32"), tag) == {"town", "children"}
    assert await offers(ror, ("characteristic", f"{R210}|0626"), tag) == {"psy"}
    assert await offers(ror, ("characteristic", f"{R210}|32"), tag) == set()
    both = [("service-category", f"{R244}|102"), ("characteristic", f"{R338}|01")]
    assert await offers(ror, *both, tag) == {"psy"}


async def test_6_6_12_by_region(ror: RorGraph) -> None:
    """`_tag` of the region, and of another: nothing of this graph."""
    region = f"{TAG}|52"
    bundle = await found(ror.directory, "Organization", ("_tag", region), ("_tag", ror.tag))
    assert bundle["total"] == 3
    assert await offers(ror, ("_tag", f"{TAG}|11"), ("_tag", ror.tag)) == set()


async def test_6_6_13_by_last_update_with_minutes(ror: RorGraph) -> None:
    tag = ("_tag", ror.tag)
    assert await offers(ror, ("_lastUpdated", "ge2022-11-06T15:00"), tag) == set(ror.offers)
    assert await offers(ror, ("_lastUpdated", "le2022-11-06T15:00"), tag) == set()
    assert await offers(
        ror, ("_lastUpdated", "ge2026-11-16T09:00"), ("_lastUpdated", "lt2026-11-16T09:01"), tag
    ) == set(ror.offers)


async def test_6_6_14_a_place_by_an_identifier_with_a_slash(ror: RorGraph) -> None:
    number = ror.place_number("nantes")
    bundle = await found(
        ror.directory, "Location", ("identifier", number), ("_revinclude", "HealthcareService:location")
    )
    assert "/" in number
    assert ids(bundle) == [f"Location/{ror.places['nantes']}"]
    assert ids(bundle, "include") == [f"HealthcareService/{ror.offers['town']}"]


async def test_6_6_15_capacities_hold_of_one_occurrence(ror: RorGraph) -> None:
    """Free beds there are, and ten beds there are, but not ten free ones; by the place, by the offer, in a filter."""
    tag = ("_tag", ror.tag)
    assert await places(ror, ("capacity-status", "02"), ("nb-capacity", "ge1"), tag) == {"herblain"}
    assert await places(ror, ("capacity-status", "02"), ("nb-capacity", "ge10"), tag) == set()
    assert await places(ror, ("capacity-status", f"{R330}|01"), ("nb-capacity", "ge10"), tag) == {
        "herblain",
        "beds",
    }
    recent = ("capacity-update-date", "ge2026-11-01")
    assert await places(ror, ("capacity-status", "02"), recent, tag) == {"herblain"}
    assert await places(ror, ("capacity-status", "01"), recent, tag) == set()
    free = [("location.capacity-status", "02"), ("location.nb-capacity", "ge1")]
    assert await offers(ror, *free, tag) == {"psy"}
    assert await offers(ror, free[0], ("location.nb-capacity", "ge10"), tag) == set()
    filtered = "(location.capacity-status eq 02 and location.nb-capacity ge {})"
    assert await offers(ror, ("_filter", filtered.format(1)), tag) == {"psy"}
    assert await offers(ror, ("_filter", filtered.format(10)), tag) == set()


async def test_6_6_16_by_the_situations_that_name_an_offer(ror: RorGraph) -> None:
    tag = ("_tag", ror.tag)
    by_person = ("_has:PractitionerRole:service:practitioner", f"Practitioner/{ror.person}")
    assert await offers(ror, by_person, tag) == {"town"}
    assert await offers(ror, ("_has:PractitionerRole:service:role", "10"), tag) == {"town"}
    assert await offers(ror, ("_has:PractitionerRole:service:role", "60"), tag) == set()


@pytest.mark.parametrize(
    "query",
    [
        "_filter=(specialty eq",
        "age-range-low=le35|https://unitsofmeasure.org|",
        "location.near-insee-code=44162|15|leagues",
        "_lastUpdated=yesterday",
        "location.nb-capacity=many",
    ],
)
async def test_6_6_23_what_cannot_be_read_is_told(ror: RorGraph, query: str) -> None:
    """4xx and an OperationOutcome that names the parameter."""
    name, _, value = query.partition("=")
    answer = await ror.directory.client.get("/fhir/HealthcareService", params={name: value})
    outcome = answer.json()
    assert (answer.status_code, outcome["resourceType"]) == (400, "OperationOutcome")
    assert outcome["issue"][0]["expression"] == [f"http.{name}"]


async def test_what_was_stored_before_is_found_after_reindexing(ror: RorGraph) -> None:
    """An older version had no entries of capacities, ages and dates: `creneau-directory reindex` makes them, versions and
    whose it is stay as they are."""
    place = ror.places["herblain"]
    before = [(await ror.directory.client.get(f"/fhir/Location/{place}")).headers["ETag"]]
    for statement in (
        "DELETE FROM location_number WHERE key = (SELECT key FROM location WHERE id = $1)",
        "UPDATE location SET occurrences = '[]', terms = '{~owner=Organization/x}', latitude = NULL WHERE id = $1",
    ):
        await ror.directory.database.pool.execute(statement, place)
    tag = ("_tag", ror.tag)
    capacity = [("location.capacity-status", "02"), ("location.nb-capacity", "ge1"), tag]
    assert await offers(ror, *capacity) == set()
    await ror.directory.database.pool.execute("DELETE FROM care_change")
    await reindex(ror.directory.database, BASE, indexed, lambda name, done: None)
    assert await offers(ror, *capacity) == {"psy"}
    assert await offers(ror, ("location.near-insee-code", "44162|3|km"), tag) == {"psy"}
    terms = await ror.directory.database.pool.fetchval("SELECT terms FROM location WHERE id = $1", place)
    assert "~owner=Organization/x" in terms
    assert [(await ror.directory.client.get(f"/fhir/Location/{place}")).headers["ETag"]] == before
    pool = ror.directory.database.pool
    due = await pool.fetchval(
        "SELECT count(DISTINCT reference) FROM care_change WHERE starts_with(reference, 'PractitionerRole/')"
    )
    roles = await pool.fetchval("SELECT count(*) FROM practitioner_role WHERE NOT deleted")
    assert due == roles > 0, "people's search follows by the worker"
