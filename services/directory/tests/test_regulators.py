"""Regulators' accounts, the editor's side of SAS INT_R02: checks 6.3."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any
from uuid import uuid4

import httpx
import pytest
from services.directory.tests.conftest import Directory
from services.directory.tests.regulators import account, internal, national
from stdnum import luhn

from creneau_directory.domain.regulators import NATIONAL, PROFILE, SOURCE, account_lacks

DROP = None
EMPTY_NAME = [{"family": " ", "given": ["Camille"]}]


async def post(directory: Directory, resource: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {directory.staff(creneau_role='regulator')}"}
    return await directory.client.post("/fhir/Practitioner", json=resource, headers=headers)


async def put(directory: Directory, identifier: dict[str, Any], resource: dict[str, Any]) -> httpx.Response:
    """The conditional update of the guide, its bar encoded."""
    headers = {"Authorization": f"Bearer {directory.staff(creneau_role='regulator')}"}
    address = f"/fhir/Practitioner?identifier={identifier['system']}%7C{identifier['value']}"
    return await directory.client.put(address, json=resource, headers=headers)


def code(answer: httpx.Response) -> str:
    return str(answer.json()["issue"][0]["details"]["coding"][0]["code"])


@pytest.mark.parametrize("identifier", [national, internal])
async def test_01_02_03_an_account_is_opened_once(directory: Directory, identifier: Any) -> None:
    """With either kind of number; the same again is refused, and says whose it is."""
    opened = account(None, identifier())
    first = await post(directory, opened)
    assert first.status_code == 201
    assert "/Practitioner/" in first.headers["Location"]
    again = await post(directory, opened | {"name": [{"family": "Autre", "given": ["Yann"]}]})
    assert (again.status_code, code(again)) == (409, "regulator-known")
    assert again.json()["issue"][0]["code"] == "duplicate"
    assert f"Practitioner/{first.json()['id']}" in again.json()["issue"][0]["details"]["text"]


async def test_03_of_many_at_once_one_opens_the_account(directory: Directory) -> None:
    opened = account()
    answers = await asyncio.gather(*(post(directory, opened) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"active": DROP}, "Practitioner.active"),
        ({"name": DROP}, "Practitioner.name"),
        ({"name": [{"given": ["Camille"]}]}, "Practitioner.name[0].family"),
        ({"name": EMPTY_NAME}, "Practitioner.name[0].family"),
        ({"name": [{"family": "Exemple"}]}, "Practitioner.name[0].given"),
        ({"name": [{"family": "Exemple", "given": ["Camille", "Zoé"]}]}, "Practitioner.name[0].given"),
        ({"telecom": DROP}, "Practitioner.telecom"),
        ({"telecom": [{"system": "phone", "value": "0199001234"}]}, "Practitioner.telecom[0].system"),
        ({"telecom": [{"system": "email", "value": "camille"}]}, "Practitioner.telecom[0].value"),
        ({"telecom": [{"system": "email"}]}, "Practitioner.telecom[0].value"),
        ({"identifier": DROP}, "Practitioner.identifier"),
        ({"identifier": [{"system": "urn:x", "value": "1"}]}, "Practitioner.identifier"),
        ({"identifier": [national() | {"system": DROP}]}, "Practitioner.identifier[0].system"),
        ({"identifier": [national() | {"value": DROP}]}, "Practitioner.identifier[0].value"),
        ({"identifier": [national() | {"type": DROP}]}, "Practitioner.identifier[0].type"),
        ({"identifier": [national() | {"system": SOURCE}]}, "Practitioner.identifier[0].type"),
        ({"identifier": [internal() | {"system": NATIONAL}]}, "Practitioner.identifier[0].type"),
        ({"identifier": [internal("12")]}, "Practitioner.identifier[0].value"),
        ({"identifier": [national(), {"value": "12"}]}, "Practitioner.identifier[1].system"),
    ],
)
async def test_04_05_09_an_account_that_says_too_little_is_refused(
    directory: Directory, change: dict[str, Any], where: str
) -> None:
    """By POST and by the PUT that would create it, also without the profile that says so; nothing is kept."""
    for plain in (False, True):
        number = national()
        wrong = without(account(None, number) | deepcopy(change))
        if plain:
            del wrong["meta"]
        assert where in [f"Practitioner.{lack.element}" for lack in account_lacks(wrong)]
        for answer in (await post(directory, wrong), await put(directory, number, wrong)):
            assert answer.status_code in (400, 422), answer.text
            assert answer.json()["resourceType"] == "OperationOutcome"
            if plain:
                assert where in [issue["expression"][0] for issue in answer.json()["issue"]]
        assert await directory.ids("Practitioner", identifier=f"{NATIONAL}|{number['value']}") == []


def without(value: Any) -> Any:
    """`value` without what is to be dropped."""
    if isinstance(value, dict):
        return {name: without(inner) for name, inner in value.items() if inner is not DROP}
    return [without(inner) for inner in value] if isinstance(value, list) else value


async def test_06_07_08_it_is_changed_closed_and_opened_by_its_number(directory: Directory) -> None:
    """One that nobody has opens an account."""
    number = internal()
    created = await put(directory, number, account(None, number))
    assert created.status_code == 201
    changed = account(None, number, name=[{"family": "Autre", "given": ["Yann"]}])
    for active in (True, False, True):
        answer = await put(directory, number, changed | {"active": active})
        assert (answer.status_code, answer.json()["active"]) == (200, active)
        assert answer.json()["id"] == created.json()["id"]
        assert answer.json()["name"][0]["family"] == "Autre"


@pytest.mark.parametrize("meta", [{"versionId": "1"}, {"profile": [PROFILE]}, {"source": "urn:oid:1.2.3"}])
async def test_an_account_always_says_that_it_is_one(directory: Directory, meta: dict[str, Any]) -> None:
    """By its source, whatever the platform sends: by it the other services know an account."""
    number = national()
    for _ in range(2):
        answer = await put(directory, number, account(None, number, meta=meta))
        assert answer.json()["meta"]["source"] == SOURCE


async def test_10_a_number_passes_from_a_closed_account_to_another(directory: Directory) -> None:
    """From one of SAS to a national one; then from a closed account to one that is open, and to no other."""
    number, first, second = national(), internal(), internal()
    for own in (first, second):
        assert (await post(directory, account(None, own))).status_code == 201
    assert (await put(directory, first, account(None, number, first))).status_code == 200
    refused = await put(directory, second, account(None, number))
    assert (refused.status_code, code(refused)) == (409, "regulator-known")
    assert (await put(directory, number, account(None, number, first, active=False))).status_code == 200
    assert (await put(directory, second, account(None, number))).status_code == 200
    [bearer] = await directory.ids("Practitioner", identifier=f"{NATIONAL}|{number['value']}")
    again = await put(directory, number, account(None, number))
    assert (again.status_code, again.json()["id"]) == (200, bearer)
    kept = await put(directory, first, account(None, first))
    assert (kept.status_code, kept.json()["id"] != bearer) == (200, True), (
        "the former one keeps its other number"
    )


async def test_12_a_doctor_of_the_directory_may_be_a_regulator_too(directory: Directory) -> None:
    """The two entries have one national number; each side finds its own, and changes no other."""
    digits = f"1{uuid4().int % 10**9:09d}"
    number = national(f"8{digits}{luhn.calc_check_digit(digits)}")
    doctor = {"resourceType": "Practitioner", "id": f"prat-{uuid4().hex[:8]}", "identifier": [number]}
    assert (await directory.put(doctor)).status_code == 201
    opened = await put(directory, number, account(None, number))
    assert opened.status_code == 201
    answer = await put(directory, number, account(None, number, active=False))
    assert (answer.status_code, answer.json()["id"]) == (200, opened.json()["id"])
    served = (await directory.client.get(f"/fhir/Practitioner/{doctor['id']}")).json()
    assert "active" not in served


async def test_whoever_says_that_it_is_an_account_is_held_to_it(directory: Directory) -> None:
    """The deployment itself enters it for the regulation; a practice has none to give."""
    number = national()
    assert (await directory.client.post("/fhir/Practitioner", json=account(None, number))).status_code == 201
    assert (await directory.client.post("/fhir/Practitioner", json=account(None, number))).status_code == 409
    headers = {"Authorization": f"Bearer {directory.staff('cabinet-1')}"}
    answer = await directory.client.post("/fhir/Practitioner", json=account(), headers=headers)
    assert answer.status_code == 403
    closed = await put(directory, number, account(None, number, active=False))
    assert closed.status_code == 200
