"""A person's whole record: booking's part, then the messages, page by page or as an archive."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from creneau_gateway.operations.archive import archive_of
from creneau_shared.fhir.rest import bounds
from creneau_shared.security.vouching import HEADER

from .conftest import NOW, Services, bundle, match, outcome

PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "language": "fr",
    "name": [{"family": "Martin <Durand>", "given": ["Camille"]}],
    "meta": {"lastUpdated": "2026-11-01T08:00:00Z"},
}
APPOINTMENT = {
    "resourceType": "Appointment",
    "id": "a",
    "status": "booked",
    "start": "2026-12-01T08:30:00Z",
    "participant": [{"actor": {"reference": "Practitioner/d"}}, {"actor": {"reference": "Patient/p"}}],
}
MESSAGE = {"resourceType": "Communication", "id": "m", "status": "completed", "sent": "2026-11-02T08:00:00Z"}
VOUCHER = {HEADER: "booking's word"}


def keep(services: Services) -> None:
    found = bundle("searchset", match(PATIENT), match(APPOINTMENT))
    for operation in ("$everything", "$archive"):
        services.answer("booking", f"/fhir/Patient/p/{operation}", found, 200, **VOUCHER)
    services.answer("notifications", "/fhir/Communication/$messages", bundle("searchset", match(MESSAGE)))
    doctor = {"resourceType": "Practitioner", "id": "d", "name": [{"prefix": ["Dr"], "family": "Payet"}]}
    services.answer("directory", "/fhir/Practitioner/_search", bundle("searchset", match(doctor)))


def following(found: dict[str, Any]) -> dict[str, str] | None:
    url = next((link["url"] for link in found["link"] if link["relation"] == "next"), None)
    return None if url is None else dict(parse_qsl(urlsplit(url).query))


async def test_everything_is_booking_s_part_and_then_the_messages(
    services: Services, client: httpx.AsyncClient
) -> None:
    """Each page of messages is asked for with booking's word that this caller may have it."""
    keep(services)
    first = (await client.get("/Patient/p/$everything")).json()
    assert [entry["resource"]["id"] for entry in first["entry"]] == ["p", "a"]
    query = following(first)
    assert query is not None
    second = (await client.get("/Patient/p/$everything", params=query)).json()
    assert [entry["resource"]["id"] for entry in second["entry"]] == ["m"]
    assert following(second) is None
    asked = services.of("notifications")[-1]
    assert asked.headers[HEADER] == "booking's word"
    assert asked.query["patient"] == "Patient/p"


async def test_who_asks_for_messages_alone_gets_them_at_once(
    services: Services, client: httpx.AsyncClient
) -> None:
    """Booking has nothing of that, says what it makes of the request, and gives its word for them."""
    keep(services)
    remark = {"resource": outcome("not-supported"), "search": {"mode": "outcome"}}
    services.answer("booking", "/fhir/Patient/p/$everything", bundle("searchset", remark), 200, **VOUCHER)
    found = (await client.get("/Patient/p/$everything?_type=Communication")).json()
    assert [entry["resource"].get("id") for entry in found["entry"]] == [None, "m"]
    assert following(found) is None
    assert services.of("booking")[0].query["_type"] == "Communication"
    assert services.of("notifications")[-1].headers[HEADER] == "booking's word"


async def test_links_say_what_was_understood(services: Services, client: httpx.AsyncClient) -> None:
    """Booking is told of all, so that it can say what it leaves out."""
    keep(services)
    found = (await client.get("/Patient/p/$everything?colour=red&_count=5")).json()
    assert services.of("booking")[0].query["colour"] == "red"
    assert all("colour" not in link["url"] and "_count=5" in link["url"] for link in found["link"])


async def test_who_is_refused_by_booking_is_refused(services: Services, client: httpx.AsyncClient) -> None:
    keep(services)
    services.answer("booking", "/fhir/Patient/p/$everything", outcome("not-found"), 404)
    query = {"_cursor": "WyJub3RpZmljYXRpb25zIiwiIl0"}
    for params in ({}, query):
        answer = await client.get("/Patient/p/$everything", params=params)
        assert answer.status_code == 404
    assert services.of("notifications") == []


async def test_a_page_link_of_somebody_s_making_is_refused(client: httpx.AsyncClient) -> None:
    for cursor in ("x", "WyJkaXJlY3RvcnkiLCIiXQ", "e30", "NQ"):
        answer = await client.get("/Patient/p/$everything", params={"_cursor": cursor})
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "cursor"


async def test_the_archive_holds_all_of_it_for_programs_and_for_people(
    services: Services, client: httpx.AsyncClient
) -> None:
    keep(services)
    answer = await client.get("/Patient/p/$archive")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        data = json.loads(archive.read("donnees.json"))
        page = archive.read("lisez-moi.html").decode()
    assert [entry["resource"]["id"] for entry in data["entry"]] == ["p", "a", "m"]
    assert "Dr Payet" in page
    assert "01/12/2026 09:30" in page, "as a clock in Paris shows it"
    assert "Martin &lt;Durand&gt;" in page
    assert "<Durand>" not in page


async def test_an_archive_goes_without_names_that_the_directory_does_not_tell_and_messages_that_are_not_for_them(
    services: Services, client: httpx.AsyncClient
) -> None:
    keep(services)
    services.answer("directory", "/fhir/Practitioner/_search", outcome("throttled"), 429)
    services.answer("notifications", "/fhir/Communication/$messages", outcome("forbidden"), 403)
    answer = await client.get("/Patient/p/$archive")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert "Practitioner/d" in archive.read("lisez-moi.html").decode()
        assert "Communication" not in archive.read("donnees.json").decode()


async def test_an_archive_is_whole_or_refused(services: Services, client: httpx.AsyncClient) -> None:
    keep(services)
    services.down = {"notifications-1"}
    answer = await client.get("/Patient/p/$archive")
    assert answer.status_code == 503
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_an_archive_has_a_size_however_many_messages_there_are(
    services: Services, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page is asked for beyond it: such a record is read by the pages of $everything."""
    keep(services)
    monkeypatch.setattr(bounds, "ARCHIVE_BYTES_MAX", 4_000)
    page = bundle("searchset", match({**MESSAGE, "note": [{"text": "x" * 1_500}]}), following="more")
    services.answer("notifications", "/fhir/Communication/$messages", page)
    answer = await client.get("/Patient/p/$archive")
    assert answer.status_code == 413
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "archive-too-large"
    assert len(services.of("notifications")) == 2


def test_an_archive_of_nothing_is_a_page_all_the_same() -> None:
    content = archive_of({"resourceType": "Bundle", "type": "collection"}, {}, NOW)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {"donnees.json"} < set(archive.namelist())
