"""What the directory adds to a plain FHIR store: national keys, an event for each change, places by distance."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.directory.tests.conftest import Directory
from stdnum import luhn
from tests.contract.closing import closed_validator

from creneau_directory.domain.identifiers import (
    CHECKS,
    FINESS,
    NATIONAL_PERSON_ID,
    NATIONAL_STRUCTURE_ID,
    RPPS,
    SIRENE,
    is_rpps,
    is_sirene,
)

VALID_RPPS = "1000000000" + luhn.calc_check_digit("1000000000")
VALID_SIREN = "90000000" + luhn.calc_check_digit("90000000")


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid4().hex[:12]}"


def practitioner(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Practitioner", "id": unique("prat"), **members}


def location(name: str, latitude: str, longitude: str) -> dict[str, Any]:
    position = {"latitude": orjson.Fragment(latitude), "longitude": orjson.Fragment(longitude)}
    return {"resourceType": "Location", "id": unique(name), "name": name, "position": position}


@pytest.mark.parametrize(
    ("system", "value", "valid"),
    [
        (RPPS, VALID_RPPS, True),
        (RPPS, VALID_RPPS[:-1], False),
        (RPPS, "١٠٠٠٠٠٠٠٠٠١", False),
        (NATIONAL_PERSON_ID, "8" + VALID_RPPS, True),
        (NATIONAL_PERSON_ID, "8" + VALID_RPPS[:-1] + str((int(VALID_RPPS[-1]) + 1) % 10), False),
        (NATIONAL_PERSON_ID, "0012345678", True),
        (NATIONAL_PERSON_ID, "", False),
        (SIRENE, VALID_SIREN, True),
        (SIRENE, VALID_SIREN[:3] + " " + VALID_SIREN[3:6] + " " + VALID_SIREN[6:], True),
        (SIRENE, "35600000000048", True),
        (SIRENE, "35600000049837", True),
        (SIRENE, "35600000049838", False),
        (SIRENE, VALID_SIREN + "000" + "1", False),
        (NATIONAL_STRUCTURE_ID, "335600000049837", True),
        (NATIONAL_STRUCTURE_ID, "335600000049838", False),
        (NATIONAL_STRUCTURE_ID, "1810004421", True),
        (NATIONAL_STRUCTURE_ID, "1X10004421", False),
        (SIRENE, "12345678", False),
        (FINESS, "2A0000014", True),
        (FINESS, "2A00000X4", False),
        (FINESS, "75000001", False),
    ],
)
def test_keys(system: str, value: str, valid: bool) -> None:
    """Right lengths, right digits; prefixes without a key, Corsica and La Poste pass."""
    assert CHECKS[system][1](value) is valid


@given(st.integers(0, 10**10 - 1), st.integers(0, 10), st.integers(1, 9))
def test_a_mistyped_digit_is_always_noticed(number: int, place: int, error: int) -> None:
    """What the Luhn key is for."""
    start = f"{number:010d}"
    value = start + luhn.calc_check_digit(start)
    mistyped = value[:place] + str((int(value[place]) + error) % 10) + value[place + 1 :]
    assert is_rpps(value)
    assert not is_rpps(mistyped)
    assert not is_sirene(mistyped)


async def test_a_wrong_key_is_refused_where_it_stands(directory: Directory) -> None:
    """422 that names the element, in the caller's language; nothing stored, nothing told."""
    wrong = VALID_RPPS[:-1] + str((int(VALID_RPPS[-1]) + 1) % 10)
    resource = practitioner(
        identifier=[{"system": "urn:interne", "value": "1"}, {"system": RPPS, "value": wrong}]
    )
    answer = await directory.put(resource)
    [issue] = answer.json()["issue"]
    assert (answer.status_code, issue["expression"]) == (422, ["Practitioner.identifier[1].value"])
    assert wrong in issue["details"]["text"]
    assert "RPPS" in issue["details"]["text"]
    assert (await directory.client.get(f"/fhir/Practitioner/{resource['id']}")).status_code == 404
    assert await directory.told(f"Practitioner/{resource['id']}") == []
    resource["identifier"][1]["value"] = VALID_RPPS
    assert (await directory.put(resource)).status_code == 201


async def test_each_change_is_told_as_it_is_served(directory: Directory) -> None:
    """The resource whole, with its decimals as they were written; a tombstone once it is deleted."""
    place = location("cabinet", "48.10", "-1.680")
    path = f"/fhir/Location/{place['id']}"
    assert (await directory.client.put(path, content=orjson.dumps(place))).status_code == 201
    served = (await directory.client.get(path)).content
    assert (await directory.client.delete(path)).status_code == 204
    told, tombstone = await directory.told(f"Location/{place['id']}")
    assert told is not None
    assert b'"latitude":48.10,"longitude":-1.680' in told
    assert told == b'{"resource":' + served + b"}"
    closed_validator("directory/resource.changed.v1").validate(orjson.loads(told))
    assert tombstone is None


async def test_an_event_for_each_version_in_order(directory: Directory) -> None:
    resource = practitioner(active=True)
    for active in (True, False, True):
        await directory.put({**resource, "active": active})
    told = [
        orjson.loads(data or b"null")["resource"]
        for data in await directory.told(f"Practitioner/{resource['id']}")
    ]
    assert [(r["meta"]["versionId"], r["active"]) for r in told] == [("1", True), ("2", False), ("3", True)]


async def test_places_by_distance(directory: Directory) -> None:
    """`near` finds what lies within the distance, the nearest first; the role that works there through it."""
    places = [location("rennes", "48.1173", "-1.6778"), location("cesson", "48.1217", "-1.6030")]
    places.append(location("saint-malo", "48.6493", "-2.0257"))
    for place in places:
        path = f"/fhir/Location/{place['id']}"
        assert (await directory.client.put(path, content=orjson.dumps(place))).status_code == 201
    rennes, cesson, saint_malo = (place["id"] for place in places)
    role = {
        "resourceType": "PractitionerRole",
        "id": unique("role"),
        "location": [{"reference": f"Location/{cesson}"}],
    }
    await directory.put(role)
    own = f"{rennes},{cesson},{saint_malo}"
    assert await directory.ids("Location", near="48.1173|-1.6778|20|km", _id=own) == [rennes, cesson]
    assert await directory.ids("Location", near="48.1217|-1.6030|20|km", _id=own) == [cesson, rennes]
    assert await directory.ids("Location", near="48.1173|-1.6778|1|km", _id=own) == [rennes]
    assert saint_malo in await directory.ids("Location", near="48.1173|-1.6778|80|km", _id=own)
    through = {"_id": role["id"], "location.near": "48.1173|-1.6778|20|km"}
    assert await directory.ids("PractitionerRole", **through) == [role["id"]]
    assert (
        await directory.ids("PractitionerRole", **{**through, "location.near": "48.1173|-1.6778|1|km"}) == []
    )


def numbered(system: str, value: str) -> dict[str, Any]:
    return practitioner(identifier=[{"system": system, "value": value}])


async def test_of_two_under_one_number_the_one_that_bears_it_as_given_is_meant(directory: Directory) -> None:
    """Two feeds, each with a spelling of its own: each goes on meaning its own entry; a third spelling means neither."""
    start = f"{uuid4().int % 10**10:010d}"
    rpps = start + luhn.calc_check_digit(start)
    given = [(RPPS, rpps), (NATIONAL_PERSON_ID, f"8{rpps}")]
    entries = [numbered(*one) for one in given]
    for one in entries:
        assert (await directory.put(one)).status_code == 201

    async def asked(system: str, value: str) -> tuple[int, str]:
        new = {"resourceType": "Practitioner", "identifier": [{"system": system, "value": value}]}
        headers = {"If-None-Exist": f"identifier={system}|{value}"}
        answer = await directory.client.post("/fhir/Practitioner", json=new, headers=headers)
        return answer.status_code, answer.json().get("id", "")

    async def named(system: str, value: str) -> str | None:
        who = {"type": "Practitioner", "identifier": {"system": system, "value": value}}
        role = {"resourceType": "PractitionerRole", "id": unique("role"), "practitioner": who}
        reference: str | None = (await directory.put(role)).json()["practitioner"].get("reference")
        return reference

    for one, number in zip(entries, given, strict=True):
        assert await asked(*number) == (200, one["id"])
        assert await named(*number) == f"Practitioner/{one['id']}"
    third = ("http://rpps.fr", rpps)
    assert (await asked(*third))[0] == 412
    assert await named(*third) is None


async def test_whoever_alone_bears_a_number_is_meant_by_each_of_its_spellings(directory: Directory) -> None:
    start = f"{uuid4().int % 10**10:010d}"
    rpps = start + luhn.calc_check_digit(start)
    one = numbered(NATIONAL_PERSON_ID, f"8{rpps}")
    assert (await directory.put(one)).status_code == 201
    new = practitioner(identifier=[{"system": RPPS, "value": rpps}])
    del new["id"]
    headers = {"If-None-Exist": f"identifier={RPPS}|{rpps}"}
    answer = await directory.client.post("/fhir/Practitioner", json=new, headers=headers)
    assert (answer.status_code, answer.json()["id"]) == (200, one["id"])


@pytest.mark.parametrize("kind", ["Location", "Organization"])
async def test_nothing_is_a_part_of_itself(directory: Directory, kind: str) -> None:
    """Neither at once nor through others, and of two who close a circle together one is refused."""
    first, second, third = (f"tout-{uuid4().hex[:12]}" for _ in range(3))

    def entry(id_: str, whole: str | None = None) -> dict[str, Any]:
        part_of = {"partOf": {"reference": f"{kind}/{whole}"}} if whole else {}
        return {"resourceType": kind, "id": id_, "name": "Tout", **part_of}

    for one in (entry(first), entry(second, first), entry(third, second)):
        assert (await directory.put(one)).status_code == 201
    for circle in (entry(first, first), entry(first, third), entry(second, third)):
        refused = await directory.put(circle)
        assert refused.status_code == 422, refused.text
        assert refused.json()["issue"][0]["details"]["coding"][0]["code"] == "part-of-itself"
    assert (await directory.put(entry(third, first))).status_code == 200
    alone, other = (f"tout-{uuid4().hex[:12]}" for _ in range(2))
    for one in (entry(alone), entry(other)):
        assert (await directory.put(one)).status_code == 201
    answers = await asyncio.gather(directory.put(entry(alone, other)), directory.put(entry(other, alone)))
    assert sorted(answer.status_code for answer in answers) == [200, 422]
