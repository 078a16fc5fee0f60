"""Bundles that are POSTed to the base: a batch is split by service, a transaction is not."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from typing import Any

import httpx
import pytest
import structlog

from creneau_gateway.app import create_app
from creneau_shared.clock import FixedClock

from .conftest import BASE, FHIR, NOW, Asked, Services, bundle, match, outcome, settings
from .test_record import keep


def get(url: str, **request: str) -> dict[str, Any]:
    return {"request": {"method": "GET", "url": url, **request}}


def says_who(asked: Asked) -> httpx.Response:
    """Each entry answered with its own address."""
    entries = [
        {"response": {"status": "200"}, "resource": {"resourceType": "Basic", "id": entry["request"]["url"]}}
        for entry in json.loads(asked.content)["entry"]
    ]
    return httpx.Response(200, headers=FHIR, json=bundle("batch-response", *entries))


async def post(
    client: httpx.AsyncClient, *entries: dict[str, Any], kind: str = "batch", **headers: str
) -> Any:
    body = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await client.post("", json=body, headers={"Content-Type": "application/fhir+json", **headers})


async def test_a_batch_is_split_by_service_and_answered_in_its_own_order(
    services: Services, client: httpx.AsyncClient
) -> None:
    for service in ("booking", "directory"):
        services.says[service, "/fhir"] = says_who
    urls = ["Slot/1", "Location/2", "Slot/3", "Practitioner/4/Schedule"]
    answer = await post(client, *map(get, urls), Prefer="respond-async,return=minimal")
    assert answer.status_code == 200
    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == urls
    assert [len(json.loads(asked.content)["entry"]) for asked in services.of("booking")] == [3]
    for asked in services.asked:
        assert asked.headers["authorization"] == "Bearer someone's"
        assert asked.headers["prefer"] == "return=minimal", "what is put together is answered at once"


async def test_a_bundle_of_one_service_goes_there_as_it_is(
    services: Services, client: httpx.AsyncClient
) -> None:
    """Also with the wish for a later answer, which that service can fulfil."""
    accepted = httpx.Response(202, headers={"Content-Location": "http://x/_async/booking/1"})
    services.says["booking", "/fhir"] = lambda _: accepted
    for kind in ("batch", "transaction"):
        answer = await post(client, get("Slot/1"), get("Slot/2"), kind=kind, Prefer="respond-async")
        assert answer.status_code == 202
        assert answer.headers["content-location"] == "http://x/_async/booking/1"
    assert [asked.headers["prefer"] for asked in services.asked] == ["respond-async"] * 2


async def test_a_transaction_over_services_is_refused_by_name_and_nothing_is_asked(
    services: Services, client: httpx.AsyncClient
) -> None:
    answer = await post(client, get("Slot/1"), get("Location/2"), kind="transaction")
    assert answer.status_code == 400
    said = answer.json()["issue"][0]["details"]["text"]
    assert "booking : Slot" in said
    assert "directory : Location" in said
    assert services.asked == []


async def test_what_nobody_serves_is_refused_alone(services: Services, client: httpx.AsyncClient) -> None:
    services.says["booking", "/fhir"] = says_who
    answer = await post(client, get("Observation/1"), get("Slot/2"))
    first, second = answer.json()["entry"]
    assert first["response"]["status"] == "404"
    assert first["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[0].request.url"]
    assert second["resource"]["id"] == "Slot/2"


@pytest.mark.parametrize("status", [400, 401, 403, 413, 429])
async def test_a_service_s_refusal_is_told_as_it_is_and_is_no_failure_of_the_gateway(
    services: Services, client: httpx.AsyncClient, status: int
) -> None:
    """It was logged as an error with a traceback, and told as an internal one."""
    services.says["directory", "/fhir"] = says_who
    refused = outcome("throttled", "Trop de requêtes.", "rate")
    services.answer("booking", "/fhir", refused, status)
    with structlog.testing.capture_logs() as logged:
        answer = await post(client, get("Slot/1"), get("Location/2"), get("Slot/3"))
    assert answer.status_code == 200
    entries = answer.json()["entry"]
    assert [entry["response"]["status"] for entry in entries] == [str(status), "200", str(status)]
    assert entries[0]["response"]["outcome"] == entries[2]["response"]["outcome"] == refused
    assert logged == []


async def test_what_nobody_foresaw_is_the_answer_to_its_entry_alone(
    services: Services, client: httpx.AsyncClient
) -> None:
    """What the others wrote is written: their client is told so."""
    services.says["booking", "/fhir"] = says_who
    services.answer("directory", "/fhir", b'{"resourceType":"Bundle","entry":[]}', 200)
    for service in ("booking", "directory", "notifications"):
        services.answer(service, "/fhir/metadata", {"resourceType": "CapabilityStatement"})
    answer = await post(client, get("Slot/1"), get("Location/2"), get("metadata"), Prefer="Respond-Async")
    assert answer.status_code == 200
    statuses = [entry["response"]["status"] for entry in answer.json()["entry"]]
    assert statuses == ["200", "500", "500"]


@pytest.mark.parametrize("content", [b"", b"Internal Server Error", b"<html>", b'{"status":"down"}', b"[]"])
async def test_a_service_that_says_nothing_readable_is_away_for_its_entries_alone(
    services: Services, client: httpx.AsyncClient, content: bytes
) -> None:
    services.says["directory", "/fhir"] = says_who
    services.answer("booking", "/fhir", content, 500)
    answer = await post(client, get("Slot/1"), get("Location/2"))
    first, second = answer.json()["entry"]
    assert first["response"]["status"] == "503"
    assert first["response"]["outcome"]["issue"][0]["code"] == "transient"
    assert second["response"]["status"] == "200"


async def test_definitions_are_answered_here_beside_the_rest(
    services: Services, client: httpx.AsyncClient
) -> None:
    services.says["booking", "/fhir"] = says_who
    answer = await post(client, get("CodeSystem/nothing"), get("Slot/1"), get("SearchParameter?_count=1"))
    first, second, third = answer.json()["entry"]
    assert first["response"]["status"] == "404"
    assert second["resource"]["id"] == "Slot/1"
    assert third["resource"]["type"] == "searchset"
    etag = (await post(client, get("StructureDefinition/Slot"), get("Slot/1"))).json()["entry"][0][
        "response"
    ]["etag"]
    again = await post(client, get("StructureDefinition/Slot", ifNoneMatch=etag), get("Slot/1"))
    assert again.json()["entry"][0]["response"] == {"status": "304", "etag": etag}


async def test_an_entry_of_the_trail_is_read_if_it_was_modified_since_an_instant(
    services: Services, client: httpx.AsyncClient
) -> None:
    services.answer("booking", "/fhir/AuditEvent/a", b"", 304)
    answer = await post(client, get("AuditEvent/a", ifModifiedSince="2026-03-29T12:00:00.5+02:00"))
    assert answer.json()["entry"][0]["response"]["status"] == "304"
    asked = services.of("booking")[0].headers
    assert asked["if-modified-since"] == "Sun, 29 Mar 2026 10:00:00 GMT"


async def test_a_key_goes_with_a_transaction_and_not_with_a_batch_of_several_services(
    services: Services, client: httpx.AsyncClient
) -> None:
    services.answer("booking", "/fhir", bundle("transaction-response"), Idempotency_Replayed="true")
    key = {"Idempotency-Key": "one"}
    answer = await post(client, get("Slot/1"), kind="transaction", **key)
    assert answer.headers["idempotency-replayed"] == "true"
    assert services.asked[0].headers["idempotency-key"] == "one"
    answer = await post(client, get("Slot/1"), get("Location/2"), **key)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["http.idempotency-key"]
    assert len(services.asked) == 1


async def test_a_provenance_is_not_dropped_without_a_word(
    services: Services, client: httpx.AsyncClient
) -> None:
    """As an entry it would be kept; as a header of a Bundle it cannot be."""
    for kind in ("batch", "transaction"):
        answer = await post(client, get("Slot/1"), kind=kind, **{"X-Provenance": "{}"})
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["expression"] == ["http.x-provenance"]
    assert services.asked == []


async def test_what_is_asked_of_the_whole_base_is_answered_as_an_entry_too(
    services: Services, client: httpx.AsyncClient
) -> None:
    for service in ("booking", "directory", "notifications"):
        rest = {"mode": "server", "resource": []}
        services.answer(service, "/fhir/metadata", {"resourceType": "CapabilityStatement", "rest": [rest]})
        services.answer(service, "/fhir/_history", bundle("history", total=0))
    patient = {"resourceType": "Patient", "id": "1"}
    services.answer("booking", "/fhir/Patient/_search", bundle("searchset", match(patient), total=1))
    answer = await post(client, *map(get, ("metadata", "_history", "?_type=Patient&family=Lef%C3%A8vre")))
    statement, history, search = answer.json()["entry"]
    assert statement["resource"]["resourceType"] == "CapabilityStatement"
    assert (history["resource"]["type"], history["resource"]["total"]) == ("history", 0)
    assert [entry["resource"] for entry in search["resource"]["entry"]] == [patient]
    assert "Lef" not in json.dumps(search["resource"]["link"]), "what came in a body stands in no link"


async def test_what_one_service_has_done_is_told_though_another_hangs(services: Services) -> None:
    """Such a batch has no Idempotency-Key: who hears "try again" of it all would book twice. The base's own entries
    that hang are told with it."""
    services.says["booking", "/fhir"] = says_who
    hanging = asyncio.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        if request.url.host == "directory-1" or request.url.path == "/fhir/metadata":
            await hanging.wait()
        return await services.handle(request)

    app = create_app(settings(upstream_timeout_s=1.0), FixedClock(NOW), httpx.MockTransport(handle))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://gateway/fhir",
        headers={"Authorization": "Bearer x"},
    ) as client:
        answer = await post(client, get("Location/1"), get("Appointment/2"), get("metadata"))
    assert answer.status_code == 200
    location, appointment, metadata = answer.json()["entry"]
    assert appointment["response"]["status"] == "200"
    for late in (location, metadata):
        assert late["response"]["status"] == "503"
        assert late["response"]["outcome"]["issue"][0]["code"] == "timeout"


async def test_a_person_s_record_is_whole_in_a_batch_too(
    services: Services, client: httpx.AsyncClient
) -> None:
    """Also where all entries are of one service, as when a client makes one Bundle of its reads."""
    keep(services)
    services.says["booking", "/fhir"] = says_who
    answer = await post(client, get("Patient/p/$everything"), get("Patient/p/$archive"), get("Patient/p"))
    everything, archive, patient = answer.json()["entry"]
    assert patient["resource"]["id"] == "Patient/p"
    (following,) = (ln["url"] for ln in everything["resource"]["link"] if ln["relation"] == "next")
    page = (await client.get(following.removeprefix(BASE))).json()
    assert [entry["resource"]["id"] for entry in page["entry"]] == ["m"]
    assert archive["resource"]["resourceType"] == "Binary"
    assert archive["resource"]["contentType"] == "application/zip"
    assert b64decode(archive["resource"]["data"]).startswith(b"PK")


@pytest.mark.parametrize(
    "url", ["Patient/1/$everything", "Patient/1/$archive", "AuditEvent?patient=1", "metadata", "?_type=Slot"]
)
async def test_what_the_base_puts_together_is_in_no_transaction(
    services: Services, client: httpx.AsyncClient, url: str
) -> None:
    answer = await post(client, get("Slot/1"), get(url), kind="transaction")
    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (400, "not-supported")
    assert issue["expression"] == ["Bundle.entry[1].request.url"]
    assert services.asked == []


@pytest.mark.parametrize("url", ["/", "?", "#", BASE])
@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_bundle_within_a_bundle_is_refused_and_nobody_is_asked(
    services: Services, client: httpx.AsyncClient, kind: str, url: str
) -> None:
    services.says["booking", "/fhir"] = says_who
    inner = bundle("batch", get("Slot"), get("Slot"))
    asked = {"request": {"method": "POST", "url": url}, "resource": inner}
    answer = await post(client, get("Slot/1"), asked, kind=kind)
    assert answer.status_code == 400
    (issue,) = answer.json()["issue"]
    assert (issue["code"], issue["expression"]) == ("not-supported", ["Bundle.entry[1].request.url"])
    assert services.asked == []


async def test_entries_that_no_service_is_asked_for_are_counted_before_any_is_carried_out(
    services: Services,
) -> None:
    """Whatever the Authorization header holds. Others' entries are for their services to count."""
    services.says["booking", "/fhir"] = says_who
    async with limited(services, burst=10) as client:
        entries = [get("Slot/1"), *[get("CodeSystem/nothing")] * 8]
        assert (await post(client, *entries)).status_code == 200
        again = await post(client, *entries)
        assert again.status_code == 429
        assert len(services.asked) == 1
        never = await post(client, *[get("CodeSystem/nothing")] * 11)
        assert never.json()["issue"][0]["details"]["coding"][0]["code"] == "rate-never"
        assert (await post(client, *[get("Slot/1")] * 20)).status_code == 200


async def test_a_bundle_is_given_no_more_large_answers_than_requests_would_be(services: Services) -> None:
    async with limited(services, burst=100) as client:
        asked = [get("StructureDefinition?_count=1000")] * 50
        answer = await post(client, get("Slot/1"), *asked)
        statuses = [entry["response"]["status"] for entry in answer.json()["entry"][1:]]
        assert statuses[0] == "200"
        assert statuses[-1] == "429"
        assert statuses.count("200") < 20
        assert (await client.get("/CodeSystem/nothing")).status_code == 429


async def test_a_batch_is_given_the_gateways_answers_until_they_are_too_large(services: Services) -> None:
    given = settings(bundle_answer_bytes_max=1_000_000, anonymous_requests_per_s=0)
    app = create_app(given, FixedClock(NOW), httpx.MockTransport(services.handle))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/fhir") as client:
        answer = await post(client, *[get("StructureDefinition?_count=1000")] * 50)
    entries = answer.json()["entry"]
    statuses = [entry["response"]["status"] for entry in entries]
    assert statuses[0] == "200"
    assert statuses[-1] == "413"
    assert entries[-1]["response"]["outcome"]["issue"][0]["code"] == "too-costly"


def limited(services: Services, burst: int) -> httpx.AsyncClient:
    """The base, where an address may read so much of what no service is asked for, with a token that nobody has judged."""
    given = settings(anonymous_requests_burst=burst, anonymous_requests_per_s=0.001)
    app = create_app(given, FixedClock(NOW), httpx.MockTransport(services.handle))
    headers = {"Authorization": "Bearer someone's"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway/fhir", headers=headers
    )
