"""The gateway's own HTTP: what is not there, forms of an answer, how much strangers may send, health."""

from __future__ import annotations

import httpx
import pytest
import structlog

from creneau_gateway.app import create_app
from creneau_shared.clock import FixedClock

from .conftest import NOW, Services, outcome, settings


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
        known = {"Authorization": "Bearer x"}
        assert (await client.get("/fhir/CodeSystem/nothing", headers=known)).status_code == 404


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
