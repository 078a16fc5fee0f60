"""One answer of several services': metadata, history, search over types, the trail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from creneau_gateway.app import create_app
from creneau_gateway.whole import joined
from creneau_shared.clock import FixedClock
from creneau_shared.fhir.rest.history import Cursor, Place
from creneau_shared.fhir.validation import validate
from creneau_shared.security import discovery, smart
from creneau_shared.type_table import SERVICE_NAMES, TYPES

from .conftest import BASE, FHIR, NOW, Asked, Services, bundle, match, outcome, settings


def following(found: dict[str, Any]) -> dict[str, str] | None:
    """The query of the next link."""
    url = next((link["url"] for link in found["link"] if link["relation"] == "next"), None)
    return None if url is None else dict(parse_qsl(urlsplit(url).query))


# -- metadata ----------------------------------------------------------------------------------------------------


def declare(services: Services) -> None:
    """Each service declares its own types, and AuditEvent; two of them the same system operation."""
    for service in SERVICE_NAMES:
        own = [name for name, row in TYPES.items() if row.service == service]
        resources = [{"type": name, "documentation": service} for name in {*own, "AuditEvent"}]
        operation = {"name": "validate", "definition": f"{BASE}/OperationDefinition/validate"}
        rest = {"mode": "server", "resource": resources, "operation": [operation]}
        services.answer(service, "/fhir/metadata", {"resourceType": "CapabilityStatement", "rest": [rest]})


async def test_each_type_is_declared_as_its_service_declares_it(
    services: Services, client: httpx.AsyncClient
) -> None:
    declare(services)
    answer = await client.get("/metadata")
    rest = answer.json()["rest"][0]
    declared = {one["type"]: one.get("documentation") for one in rest["resource"]}
    assert {name: declared[name] for name in TYPES} == {name: row.service for name, row in TYPES.items()}
    assert {"CodeSystem", "SearchParameter"} <= set(declared)
    assert len(rest["resource"]) == len(declared)
    assert len(rest["operation"]) == 1
    again = await client.get("/metadata", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert len(services.asked) == len(SERVICE_NAMES), "the services are not asked for each reader"


async def test_a_statement_without_one_of_the_services_is_not_given(
    services: Services, client: httpx.AsyncClient
) -> None:
    declare(services)
    services.down = {"directory-1"}
    answer = await client.get("/metadata")
    assert answer.status_code == 503
    services.down = set()
    assert (await client.get("/metadata")).status_code == 200, "nor kept"


async def test_while_a_service_is_away_its_types_are_declared_as_they_were(
    services: Services, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away, or hanging: what clients begin with does not depend on all services at once, and each reader does not wait."""
    monkeypatch.setattr(joined, "METADATA_KEPT_S", 0.0)
    declare(services)
    before = (await client.get("/metadata")).content
    services.down = {"directory-1"}
    answer = await client.get("/metadata")
    assert (answer.status_code, answer.content) == (200, before)
    services.down = set()
    services.answer("directory", "/fhir/metadata", outcome("timeout"), 503)
    assert (await client.get("/metadata")).content == before
    monkeypatch.setattr(joined, "METADATA_WITHIN_S", 0.0)
    declare(services)
    assert (await client.get("/metadata")).content == before


async def test_the_statement_tells_where_to_log_in_as_long_as_the_issuer_has_said_so(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients of SMART 1 read it there alone, and take a base without it for open."""
    declare(services)
    published = {"issuer": "https://issuer.example", "token_endpoint": "https://issuer.example/token"}
    answers = [httpx.Response(500), httpx.Response(200, json=published), httpx.Response(500)]
    issuer = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answers.pop(0)))
    monkeypatch.setattr(joined, "METADATA_KEPT_S", 0.0)
    monkeypatch.setattr(smart, "KEPT_S", 0.0)
    monkeypatch.setattr(discovery, "SILENCE_KEPT_S", 0.0)
    app = create_app(
        settings(oidc_issuer="https://issuer.example"),
        FixedClock(NOW),
        httpx.MockTransport(services.handle),
        issuer,
    )
    told = []
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway/fhir"
    ) as opened:
        while answers:
            statement = (await opened.get("/metadata")).json()
            told.append(statement["rest"][0]["security"].get("extension"))
    addresses = [{"url": "token", "valueUri": published["token_endpoint"]}]
    said = [{"url": smart.OAUTH_URIS, "extension": addresses}]
    assert told == [None, said, said]
    assert not [issue for issue in validate(statement) if issue.severity in ("error", "fatal")]


# -- history -----------------------------------------------------------------------------------------------------


def version(kind: str, id_: str, at: str, number: int = 1) -> dict[str, Any]:
    return {
        "fullUrl": f"{BASE}/{kind}/{id_}",
        "resource": {"resourceType": kind, "id": id_},
        "request": {"method": "PUT", "url": f"{kind}/{id_}"},
        "response": {"status": "200", "etag": f'W/"{number}"', "lastModified": f"2026-11-28T{at}Z"},
    }


def ids(found: dict[str, Any]) -> list[str]:
    return [entry["resource"]["id"] for entry in found.get("entry", ())]


async def test_histories_are_one_newest_first(services: Services, client: httpx.AsyncClient) -> None:
    booking = [version("Slot", "a", "09:00:03"), version("Slot", "b", "09:00:01")]
    services.answer("booking", "/fhir/_history", bundle("history", *booking))
    services.answer("directory", "/fhir/_history", bundle("history", version("Location", "c", "09:00:02")))
    services.answer("notifications", "/fhir/_history", outcome("forbidden"), 403)
    first = (await client.get("/_history", params={"_count": 2})).json()
    assert ids(first) == ["a", "c"]
    query = following(first)
    assert query is not None
    await client.get("/_history", params=query)
    assert services.of("directory")[-1].query["_cursor"] == query["_cursor"], (
        "the place is in the order of all"
    )
    whole = (await client.get("/_history")).json()
    assert ids(whole) == ["a", "c", "b"]
    assert following(whole) is None


@pytest.mark.parametrize(
    ("backward", "relation", "shown"), [(False, "next", ["e", "a"]), (True, "previous", ["a", "c", "d"])]
)
async def test_what_lies_beyond_a_page_that_was_full_waits_for_the_next_page(
    services: Services, client: httpx.AsyncClient, backward: bool, relation: str, shown: list[str]
) -> None:
    """A service's page may end before it has as many versions as were asked for."""
    full = bundle("history", version("Slot", "a", "09:00:05")) | {
        "link": [{"relation": relation, "url": f"{BASE}/_history?_cursor=x"}]
    }
    services.answer("booking", "/fhir/_history", full)
    places = [version("Location", "e", "09:00:07"), version("Location", "c", "09:00:02")]
    places.append(version("Location", "d", "09:00:01"))
    services.answer("directory", "/fhir/_history", bundle("history", *places))
    services.answer("notifications", "/fhir/_history", outcome("forbidden"), 403)
    cursor = Cursor(Place(datetime(2026, 11, 28, 8, tzinfo=UTC), "Slot", "z", 1), backward).encode()
    page = (await client.get("/_history", params={"_cursor": cursor})).json()
    assert ids(page) == shown
    assert relation in {link["relation"] for link in page["link"]}


async def test_a_history_that_nobody_may_read_is_refused_and_one_that_fails_is_not_cut_short(
    services: Services, client: httpx.AsyncClient
) -> None:
    for service in SERVICE_NAMES:
        services.answer(service, "/fhir/_history", outcome("login"), 401, www_authenticate="Bearer")
    answer = await client.get("/_history")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    services.answer("booking", "/fhir/_history", bundle("history", version("Slot", "a", "09:00:03")))
    services.answer("directory", "/fhir/_history", outcome("throttled"), 429, retry_after="7")
    answer = await client.get("/_history")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"


# -- search over types -------------------------------------------------------------------------------------------


def search_of(kind: str, count: int) -> Any:
    """A service's type with so many resources, paged by number."""

    def says(asked: Asked) -> httpx.Response:
        start, size = int(asked.query.get("_cursor", 0)), int(asked.query["_count"])
        rows = [match({"resourceType": kind, "id": str(n)}) for n in range(start, min(start + size, count))]
        more = str(start + size) if start + size < count else None
        return httpx.Response(200, headers=FHIR, json=bundle("searchset", *rows, following=more, total=count))

    return says


async def test_types_of_two_services_are_paged_as_one_list(
    services: Services, client: httpx.AsyncClient
) -> None:
    services.says["booking", "/fhir/Slot/_search"] = search_of("Slot", 3)
    services.says["directory", "/fhir/Location/_search"] = search_of("Location", 2)
    query: dict[str, str] | None = {"_type": "Slot,Location", "_count": "2"}
    pages = []
    while query is not None:
        found = (await client.get("", params=query)).json()
        assert found["total"] == 5
        pages.append(
            [f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in found["entry"]]
        )
        query = following(found)
    assert pages == [["Slot/0", "Slot/1"], ["Slot/2", "Location/0"], ["Location/1"]]


async def test_what_came_in_a_body_stands_in_no_address(
    services: Services, client: httpx.AsyncClient
) -> None:
    services.says["booking", "/fhir/Patient/_search"] = search_of("Patient", 3)
    form = {"_type": "Patient", "family": "Martin", "_count": "1"}
    answer = await client.post("/_search", data=form)
    assert answer.status_code == 200
    assert "Martin" not in answer.text
    assert services.asked[-1].query["family"] == "Martin"
    assert all("Martin" not in str(asked.path) for asked in services.asked)
    query = following(answer.json())
    assert query is not None
    await client.get("", params=query)
    assert services.asked[-1].query["family"] == "Martin", "the next page asks for the same"


async def test_a_refusal_of_one_type_is_that_of_the_whole_also_in_xml(
    services: Services, client: httpx.AsyncClient
) -> None:
    services.answer("booking", "/fhir/Slot/_search", outcome("invalid", "Paramètre inconnu."), 400)
    answer = await client.get("", params={"_type": "Slot", "_format": "xml"})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/fhir+xml")
    assert "Paramètre inconnu." in answer.text


@pytest.mark.parametrize("content", [b"", b"Bad Gateway", b"<html>"])
async def test_an_answer_that_is_no_outcome_is_told_as_one(
    services: Services, client: httpx.AsyncClient, content: bytes
) -> None:
    services.answer("booking", "/fhir/Slot/_search", content, 502)
    for format_ in ("json", "xml"):
        answer = await client.get("", params={"_type": "Slot", "_format": format_})
        assert answer.status_code == 503
        assert "OperationOutcome" in answer.text


# -- the trail ---------------------------------------------------------------------------------------------------


def trail(service: str, *recorded: int) -> Any:
    """A service's events, recorded at these seconds, newest first."""
    order = sorted(recorded, reverse=True)

    def says(asked: Asked) -> httpx.Response:
        start, size = int(asked.query.get("_cursor", 0)), int(asked.query["_count"])
        events = [
            {"resourceType": "AuditEvent", "id": f"{service}-{n}", "recorded": f"2026-11-28T09:00:{n:02}Z"}
            for n in order[start : start + size]
        ]
        more = str(start + size) if start + size < len(order) else None
        found = bundle("searchset", *map(match, events), following=more, total=len(order))
        return httpx.Response(200, headers=FHIR, json=found)

    return says


async def test_the_trails_are_one_page_after_page(services: Services, client: httpx.AsyncClient) -> None:
    services.says["booking", "/fhir/AuditEvent/_search"] = trail("booking", 1, 4, 5, 9)
    services.says["directory", "/fhir/AuditEvent/_search"] = trail("directory", 2, 3, 8)
    services.answer("notifications", "/fhir/AuditEvent/_search", outcome("forbidden"), 403)
    query: dict[str, str] | None = {"_count": "2"}
    seconds: list[int] = []
    while query is not None:
        found = (await client.get("/AuditEvent", params=query)).json()
        assert found["total"] == 7
        seconds += [int(entry["resource"]["recorded"][17:19]) for entry in found.get("entry", ())]
        query = following(found)
    assert seconds == [9, 8, 5, 4, 3, 2, 1]


async def test_an_event_is_read_wherever_it_is(services: Services, client: httpx.AsyncClient) -> None:
    event = {"resourceType": "AuditEvent", "id": "1"}
    services.answer("directory", "/fhir/AuditEvent/1", event, etag='W/"1"')
    services.answer("notifications", "/fhir/AuditEvent/1", outcome("forbidden"), 403)
    answer = await client.get("/AuditEvent/1")
    assert answer.json() == event
    assert answer.headers["etag"] == 'W/"1"'
    assert (await client.get("/AuditEvent/2")).status_code == 404
    services.answer("directory", "/fhir/AuditEvent/1", b"oops", 500)
    assert (await client.get("/AuditEvent/1")).status_code == 503


async def test_the_history_of_the_whole_links_to_what_was_understood(
    services: Services, client: httpx.AsyncClient
) -> None:
    for service in ("booking", "directory", "notifications"):
        services.answer(service, "/fhir/_history", bundle("history", total=0))
    links = (await client.get("/_history?_count=1&colour=red")).json()["link"]
    assert [link["url"] for link in links] == [f"{BASE}/_history?_count=1"]


@pytest.mark.parametrize("query", ["colour=red", "_sort=colour,name", "colour:exact=red"])
async def test_definitions_are_searched_by_one_rule(client: httpx.AsyncClient, query: str) -> None:
    """What is not known is left out and said, or refused where the client wants that, as in every search."""
    answer = await client.get(f"/CodeSystem?_count=1&{query}")
    assert answer.status_code == 200
    first, outcome = answer.json()["entry"]
    assert first["resource"]["resourceType"] == "CodeSystem"
    assert outcome["search"]["mode"] == "outcome"
    (issue,) = outcome["resource"]["issue"]
    assert issue["details"]["coding"][0]["code"] == "ignored"
    assert all("colour" not in link["url"] for link in answer.json()["link"])
    strict = await client.get(f"/CodeSystem?{query}", headers={"Prefer": "handling=strict"})
    assert (strict.status_code, strict.json()["issue"][0]["code"]) == (400, "not-supported")
    assert (await client.get("/CodeSystem?name:nothing=x")).status_code == 400, "a modifier is never left out"
