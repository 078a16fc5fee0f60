"""The gateway's own HTTP: what is not there, forms of an answer, how much strangers may send, health."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest
import structlog

from creneau_gateway.app import create_app
from creneau_shared.clock import FixedClock

from .conftest import NOW, Services, bundle, outcome, settings


def stranger(services: Services, **given: object) -> httpx.AsyncClient:
    app = create_app(settings(**given), FixedClock(NOW), httpx.MockTransport(services.handle))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/Observation", 404, "not-supported"),
        ("GET", "/Patient/1/$nothing", 501, "not-supported"),
        ("DELETE", "/metadata", 405, "not-supported"),
        ("PUT", "", 405, "not-supported"),
        ("GET", "/_search", 405, "not-supported"),
        ("POST", "/AuditEvent", 405, "not-supported"),
        ("GET", "/metadata?mode=x", 400, "value"),
        ("GET", "/CodeSystem/nothing", 404, "not-found"),
        ("GET", "/CodeSystem?_cursor=%C2%B2", 400, "invalid"),
        ("GET", "/CodeSystem?_cursor=%D9%A3", 400, "invalid"),
    ],
)
async def test_what_cannot_be_had_is_told_in_fhir(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    with structlog.testing.capture_logs() as logged:
        answer = await client.request(method, path, headers={"Accept-Language": "en"})
        assert answer.status_code == status
        assert answer.json()["issue"][0]["code"] == code
        assert ("allow" in answer.headers) is (status == 405)
        xml = await client.request(method, path, headers={"Accept": "application/fhir+xml"})
    assert xml.status_code == status
    assert xml.text.startswith("<OperationOutcome") or "<OperationOutcome" in xml.text
    assert logged == []


async def test_what_is_served_is_for_the_statement_to_say(client: httpx.AsyncClient) -> None:
    """No list of its own, which told of types that nobody serves and left out those that are served here."""
    answer = await client.get("/Observation", headers={"Accept-Language": "en"})
    said = answer.json()["issue"][0]["details"]["text"]
    assert "Subscription" not in said
    assert "/fhir/metadata" in said


@pytest.mark.parametrize("path", ["/CodeSystem?_cursor=" + "9" * 5_000, "/CodeSystem?_count=" + "9" * 5_000])
async def test_a_number_of_any_length_is_answered(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/metadata", "/CodeSystem/issue"])
async def test_what_the_client_has_it_is_not_given_again(
    services: Services, client: httpx.AsyncClient, path: str
) -> None:
    """If-None-Match is a list, compared weakly, or a star (RFC 9110 13.1.2); over several lines it is still one."""
    for service in ("booking", "directory", "notifications"):
        statement = {"resourceType": "CapabilityStatement", "rest": [{"resource": []}]}
        services.answer(service, "/fhir/metadata", statement)
    etag = (await client.get(path)).headers["etag"]
    for known in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
        assert (await client.get(path, headers={"If-None-Match": known})).status_code == 304, known
    lines = [("If-None-Match", etag), ("If-None-Match", '"x"')]
    assert (await client.get(path, headers=lines)).status_code == 304
    assert (await client.get(path, headers={"If-None-Match": '"x"'})).status_code == 200


async def test_preferences_over_several_lines_all_count(client: httpx.AsyncClient) -> None:
    """RFC 7240 2: a wish to know of unknown names is not lost behind another wish."""
    lines = [("Prefer", "handling=strict"), ("Prefer", "return=minimal")]
    assert (await client.get("/CodeSystem?colour=red", headers=lines)).status_code == 400


async def test_head_says_what_get_would(client: httpx.AsyncClient) -> None:
    got, headed = await client.get("/CodeSystem"), await client.head("/CodeSystem")
    assert headed.content == b""
    assert headed.headers["content-length"] == str(len(got.content))


async def test_every_answer_has_its_number_and_its_protection(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nothing", headers={"X-Request-Id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_stranger_sends_little_and_asks_a_limited_number_of_times(services: Services) -> None:
    limits = {"anonymous_requests_burst": 5, "anonymous_requests_per_s": 0.001}
    async with stranger(services, anonymous_body_bytes_max=100, **limits) as client:
        long = await client.post(
            "/fhir", content=b"x" * 101, headers={"Content-Type": "application/fhir+json"}
        )
        assert long.status_code == 413
        statuses = [(await client.get("/fhir/CodeSystem/nothing")).status_code for _ in range(8)]
        assert statuses[-1] == 429


async def test_where_nobody_judges_a_token_it_allows_no_longer_body(services: Services) -> None:
    services.answer("booking", "/fhir", bundle("batch-response"))
    headers = {"Authorization": "Bearer x", "Content-Type": "application/x-www-form-urlencoded"}
    async with stranger(services, anonymous_body_bytes_max=2_000) as client:
        form = b"code=" + b"z" * 2_000
        search = await client.post("/fhir/CodeSystem/_search", content=form, headers=headers)
        assert search.status_code == 413
        json_ = {**headers, "Content-Type": "application/fhir+json"}
        assert (await client.post("/fhir", content=padded(3_000), headers=json_)).status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        {"code": ",".join(["z"] * 300)},
        {"code": "z", "_sort": ",".join(["description"] * 5)},
        {f"code{n}": "z" for n in range(17)},
        {"_sort": ",".join(f"unknown{n}" for n in range(1_000))},
        {"description": "a" * 20_000},
    ],
    ids=["values", "sort keys", "parameters", "unknown sort keys", "characters"],
)
async def test_a_search_of_definitions_asks_for_as_much_as_one_of_the_services(
    client: httpx.AsyncClient, form: dict[str, str]
) -> None:
    """The gateway answers it on its only loop; what is over the limits is refused before anything is compared."""
    answer = await client.post("/CodeSystem/_search", data=form)
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0]["code"] in ("too-costly", "too-long")


SECRET = "the deployment's"
SLOW = {"anonymous_requests_per_s": 0.001, "authorization_requests_per_s": 0.001}


def sent_from(address: str, **headers: str) -> dict[str, str]:
    """What nginx says of a request from there."""
    return {"X-Gateway-Secret": SECRET, "X-Client-Address": address, **headers}


@pytest.mark.parametrize("said", ["x", "Bearer x", "Basic Og=="])
async def test_what_no_service_is_asked_for_counts_for_the_address_whoever_asks(
    services: Services, said: str
) -> None:
    """Anybody can write an Authorization header: here nobody looks at what it holds."""
    async with stranger(services, gateway_secret=SECRET, anonymous_requests_burst=5, **SLOW) as client:

        async def ask(address: str, path: str = "CodeSystem/nothing") -> int:
            headers = sent_from(address, Authorization=said)
            return (await client.get(f"/fhir/{path}", headers=headers)).status_code

        assert [await ask("198.51.100.1") for _ in range(6)] == [404] * 5 + [429]
        assert await ask("198.51.100.1", "ValueSet/$expand?url=x") == 429
        assert await ask("198.51.100.1", "metadata") == 429
        assert await ask("198.51.100.2") == 404
        services.answer("booking", "/fhir/Slot/_search", bundle("searchset"))
        assert await ask("198.51.100.1", "?_type=Slot") == 200, "the service judges, and counts"


async def test_a_large_answer_counts_for_more(services: Services) -> None:
    async with stranger(services, anonymous_requests_burst=20, **SLOW) as client:
        statuses = [(await client.get("/fhir/StructureDefinition?_count=1000")).status_code for _ in range(4)]
    assert statuses[0] == 200
    assert statuses[-1] == 429


def padded(bytes_: int) -> bytes:
    """A Bundle of about this length, of one entry that booking answers."""
    entry = {"fullUrl": f"urn:oid:1.{'1' * bytes_}", "request": {"method": "GET", "url": "Slot/1"}}
    return json.dumps({"resourceType": "Bundle", "type": "batch", "entry": [entry]}).encode()


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_a_bundle_counts_for_the_address_by_its_length_before_it_is_read(
    services: Services, coding: str
) -> None:
    """Whoever sends large ones, with a token that holds or not, leaves others the process beside in which they are read."""
    services.answer("booking", "/fhir", bundle("batch-response"))
    sent = gzip.compress(padded(200_000)) if coding else padded(200_000)
    limits = {"anonymous_requests_burst": 5, "authorization_requests_burst": 20, **SLOW}
    async with stranger(services, gateway_secret=SECRET, **limits) as client:

        async def post(address: str, content: bytes = sent) -> int:
            headers = sent_from(address, **{"Authorization": "Bearer x", "Content-Encoding": coding})
            kind = {"Content-Type": "application/fhir+json"}
            return (await client.post("/fhir", content=content, headers={**headers, **kind})).status_code

        assert [await post("198.51.100.1") for _ in range(2)] == [200, 429]
        assert len(services.asked) == 1
        assert await post("198.51.100.1", gzip.compress(b"{") if coding else b"{") == 400, "small ones go on"
        assert await post("198.51.100.2") == 200


async def test_a_compressed_bundle_of_a_stranger_counts_by_what_it_holds(services: Services) -> None:
    services.answer("booking", "/fhir", bundle("batch-response"))
    headers = {"Content-Type": "application/fhir+json", "Content-Encoding": "gzip"}
    async with stranger(services, anonymous_requests_burst=5, **SLOW) as client:
        sent = gzip.compress(padded(60_000))
        statuses = [(await client.post("/fhir", content=sent, headers=headers)).status_code for _ in range(2)]
    assert statuses == [200, 429]


async def test_ready_when_every_service_is(services: Services) -> None:
    for service in ("booking", "directory", "notifications"):
        services.answer(service, "/health/ready", {"status": "ok"})
    async with stranger(services) as client:
        assert (await client.get("/health/ready")).json()["checks"] == {
            "booking": "ok",
            "directory": "ok",
            "notifications": "ok",
        }
        services.answer("booking", "/health/ready", outcome("transient"), 503)
        answer = await client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"]["booking"].startswith("down")
        assert (await client.get("/health/live")).status_code == 200
        assert b"creneau_" in (await client.get("/metrics")).content


@pytest.mark.parametrize(
    "path", ["/.well-known/smart-configuration", "/fhir/.well-known/smart-configuration"]
)
async def test_how_to_get_a_token_is_told_below_the_base_and_at_the_root(
    services: Services, path: str
) -> None:
    published = {"issuer": "https://issuer.example", "token_endpoint": "https://issuer.example/token"}
    issuer = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=published)))
    told = settings(oidc_issuer="https://issuer.example")
    app = create_app(told, FixedClock(NOW), httpx.MockTransport(services.handle), issuer)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.get(
            path, headers={"Accept": "application/fhir+xml", "Origin": "https://app.example"}
        )
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.json()["token_endpoint"] == published["token_endpoint"]
        assert (await client.head(path)).content == b""
        assert (await client.post(path)).headers["allow"] == "GET, HEAD"
    async with stranger(services) as client:
        answer = await client.get(path, headers={"Accept-Language": "en"})
        assert answer.status_code == 404
        assert answer.json()["issue"][0]["details"]["text"] == "No identity provider is configured here."
