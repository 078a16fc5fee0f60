"""The limits of the base as a whole: what the gateway process reads, and whom its questions to the services count for."""

from __future__ import annotations

import json

import asyncpg
import httpx
import pytest

from creneau_shared.fhir.xml import from_xml, to_xml
from tests.fixtures.stack import Stack

KIB = 1024


def batch(entries: int, url: str = "Slot?_count=1", padding: int = 0) -> bytes:
    made = [
        {"fullUrl": f"urn:oid:1.{number}{'1' * padding}", "request": {"method": "GET", "url": url}}
        for number in range(1, entries + 1)
    ]
    return json.dumps({"resourceType": "Bundle", "type": "batch", "entry": made}).encode()


def post(client: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    return client.post("", content=body, headers={"Content-Type": "application/fhir+json", **headers})


def code(answer: httpx.Response) -> str:
    return str(answer.json()["issue"][0]["details"]["coding"][0]["code"])


def test_a_bundle_without_a_token_is_small(stack: Stack) -> None:
    with stack.client(None) as stranger, stack.client("system") as loader:
        refused = post(stranger, batch(1, padding=70 * KIB))
        assert (refused.status_code, code(refused)) == (413, "body-too-large")
        assert post(stranger, batch(1, padding=60 * KIB)).status_code == 200
        assert post(loader, batch(1, padding=70 * KIB)).status_code == 200


def test_a_large_bundle_of_several_services(stack: Stack) -> None:
    """Read in the process beside, split, and put together as XML there."""
    mixed = json.loads(batch(40, padding=KIB))
    for number, entry in enumerate(mixed["entry"]):
        entry["request"] = {"method": "GET", "url": ("Slot?_count=1", "Practitioner?_count=1")[number % 2]}
    with stack.client("system") as loader:
        answer = loader.post(
            "",
            content=to_xml(mixed),
            headers={"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"},
        )
    assert answer.status_code == 200, answer.text[:300]
    entries = from_xml(answer.content)["entry"]
    assert [entry["response"]["status"] for entry in entries] == ["200"] * 40


@pytest.mark.parametrize("url", ["gopher://x/Slot", "http://127.0.0.1:9/fhir/Slot", "//x/Slot"])
def test_an_entry_asks_this_base_only(stack: Stack, url: str) -> None:
    with stack.client("system") as loader:
        answer = post(loader, batch(1, url))
        assert (answer.status_code, code(answer)) == (400, "foreign-address")
        assert post(loader, batch(1, f"{stack.fhir}/Slot?_count=1")).status_code == 200


async def test_what_is_asked_through_the_gateway_counts_for_who_asked(stack: Stack) -> None:
    """Not for the gateway, which would then stand for all strangers at once."""
    gateway = f"http://127.0.0.1:{stack.topology.folder.port('gateway')}/fhir"
    connection = await asyncpg.connect(stack.database_url("booking"))
    before = await connection.fetchval("SELECT count(*) FROM rate_bucket")
    async with httpx.AsyncClient() as client:
        for address in ("198.51.100.1", "198.51.100.2", "198.51.100.3"):
            answer = await client.post(
                gateway,
                content=batch(1),
                headers={
                    "Content-Type": "application/fhir+json",
                    "X-Client-Address": address,
                    "X-Gateway-Secret": stack.topology.folder.secret("gateway"),
                },
            )
            assert answer.status_code == 200, answer.text[:300]
    after = await connection.fetchval("SELECT count(*) FROM rate_bucket")
    await connection.close()
    assert after == before + 3
