"""The dead letters of all services in one list, each dealt with by its own."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from .conftest import Services, outcome


def listed(*ids: str) -> dict[str, Any]:
    parts = [{"name": "letter", "part": [{"name": "id", "valueString": id_}]} for id_ in ids]
    return {"resourceType": "Parameters", **({"parameter": parts} if parts else {})}


def of_id(id_: str) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "id", "valueString": id_}]}


async def test_letters_of_all_services_are_one_list(client: httpx.AsyncClient, services: Services) -> None:
    """With the caller's own token; a service without any adds nothing."""
    services.answer("booking", "/fhir/$dead-letters", listed("booking-1"))
    services.answer("notifications", "/fhir/$dead-letters", listed("notifications-2"))
    found = (await client.get("/$dead-letters")).json()
    assert [part["part"][0]["valueString"] for part in found["parameter"]] == ["booking-1", "notifications-2"]
    assert {asked.headers["authorization"] for asked in services.asked} == {"Bearer someone's"}
    services.answer("notifications", "/fhir/$dead-letters", listed())
    assert len((await client.post("/$dead-letters")).json()["parameter"]) == 1


async def test_they_are_asked_for_and_dealt_with_in_a_batch_too(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.answer("booking", "/fhir/$dead-letters", listed("booking-1"))
    services.answer("notifications", "/fhir/$dead-letters", listed("notifications-2"))
    services.answer("booking", "/fhir/$replay-dead-letter", {"resourceType": "Parameters"})
    entries = [
        {"request": {"method": "GET", "url": "$dead-letters"}},
        {"resource": of_id("booking-1"), "request": {"method": "POST", "url": "$replay-dead-letter"}},
    ]
    asked = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answered = (await client.post("", json=asked)).json()["entry"]
    assert [entry["response"]["status"] for entry in answered] == ["200", "200"]
    assert len(answered[0]["resource"]["parameter"]) == 2
    refused = await client.post("", json={**asked, "type": "transaction"})
    assert refused.status_code == 400


async def test_a_service_that_is_away_is_named(client: httpx.AsyncClient, services: Services) -> None:
    """The others' letters can be read just when something is wrong."""
    services.answer("booking", "/fhir/$dead-letters", listed("booking-1"))
    services.down.add("notifications-1")
    found = (await client.get("/$dead-letters")).json()["parameter"]
    assert {"name": "unavailable", "valueString": "notifications"} in found
    assert len(found) == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_whom_one_service_refuses_gets_nothing(
    client: httpx.AsyncClient, services: Services, status: int
) -> None:
    services.answer("booking", "/fhir/$dead-letters", outcome("forbidden"), status)
    services.answer("notifications", "/fhir/$dead-letters", listed("notifications-2"))
    answer = await client.get("/$dead-letters")
    assert answer.status_code == status
    assert "notifications-2" not in answer.text


@pytest.mark.parametrize("code", ["$replay-dead-letter", "$discard-dead-letter"])
async def test_an_act_goes_to_the_letter_s_own_service(
    client: httpx.AsyncClient, services: Services, code: str
) -> None:
    """As it was sent, and its answer as it was given: a refusal too."""
    services.answer("notifications", f"/fhir/{code}", {"resourceType": "Parameters", "parameter": []})
    answer = await client.post(f"/{code}", json=of_id("notifications-2"))
    assert answer.status_code == 200
    (asked,) = services.asked
    assert (asked.service, orjson.loads(asked.content)) == ("notifications", of_id("notifications-2"))
    services.answer("notifications", f"/fhir/{code}", outcome("conflict", details="letter-closed"), 409)
    refused = await client.post(f"/{code}", json=of_id("notifications-2"))
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (409, "conflict")


@pytest.mark.parametrize("id_", ["directory-1", "1", "", "nobody-1"])
async def test_a_letter_of_no_service_is_not_found(
    client: httpx.AsyncClient, services: Services, id_: str
) -> None:
    assert (await client.post("/$replay-dead-letter", json=of_id(id_))).status_code == 404
    assert not services.asked


async def test_an_act_is_no_reading(client: httpx.AsyncClient, services: Services) -> None:
    """A link that somebody follows deals with no letter."""
    answer = await client.get("/$discard-dead-letter", params={"id": "booking-1", "reason": "x"})
    assert answer.status_code == 405
    assert not services.asked
