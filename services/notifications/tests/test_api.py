"""The API: Communications are read by those whom they concern, and by nobody else, and are never written."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from creneau_notifications.app import create_app
from creneau_notifications.delivery.transport import LoggedEmails
from creneau_notifications.settings import NotificationsSettings
from creneau_shared.security.confirmation import Presented
from creneau_shared.security.principal import Principal, principal_of
from creneau_shared.security.tokens import TokenVerifier

from .factories import PATIENT, event

SOMEONE_ELSE = "Patient/0193a5c0-0003-7000-8000-000000000009"


@pytest.fixture
async def client(service, new_database, monkeypatch) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API over the service's database; the token is `<patient id>` or `secretary-<organisation>`."""

    async def verify(_: TokenVerifier, token: str, __: Presented) -> Principal:
        if token.startswith("secretary-"):
            practice = token.removeprefix("secretary-")
            return principal_of(
                {
                    "iss": "test",
                    "sub": token,
                    "scope": "user/Communication.rs",
                    "creneau_role": "secretary",
                    "creneau_organizations": [practice],
                }
            )
        return principal_of(
            {"iss": "test", "sub": token, "scope": "patient/Communication.rs", "patient": token}
        )

    monkeypatch.setattr(TokenVerifier, "verify", verify)
    settings = NotificationsSettings(
        database_url=service.database._url,
        oidc_issuer="http://127.0.0.1:1",
        public_base_url="http://test/fhir",
    )
    app = create_app(settings, service.clock)
    async with app._database:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
            yield opened


@pytest.fixture
async def told(service):
    """A confirmation that was sent, and reminders to come."""
    await service.learn()
    await service.hear(event())
    await service.sender(LoggedEmails()).send_due()
    return await service.messages()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.removeprefix('Patient/')}"}


async def search(client, query, token=PATIENT):
    answer = await client.get(f"/fhir/Communication?{query}", headers=bearer(token))
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 4),
        (f"recipient={PATIENT}", 4),
        (f"subject={PATIENT}", 4),
        ("status=completed", 1),
        ("status=preparation", 3),
        ("medium=EMAILWRIT", 3),
        ("medium=SMSWRIT", 1),
        ("category=reminder", 3),
        ("sent=ge2026-11-16", 1),
        ("sent=lt2026-11-16", 0),
        (f"recipient={SOMEONE_ELSE}", 0),
    ],
)
async def test_communications_are_found(client, told, query, count):
    assert len(await search(client, query)) == count


async def test_a_communication_is_read_by_its_id(client, told):
    confirmation = next(row for row in told if row["kind"] == "confirmation")
    answer = await client.get(f"/fhir/Communication/{confirmation['id']}", headers=bearer(PATIENT))
    assert answer.status_code == 200
    assert answer.json()["payload"] == [{"contentString": "Confirmation d’un rendez-vous"}]
    assert answer.headers["ETag"] == 'W/"2"'


async def test_a_patient_sees_nothing_of_anyone_else(client, told):
    assert await search(client, "", SOMEONE_ELSE) == []
    answer = await client.get(f"/fhir/Communication/{told[0]['id']}", headers=bearer(SOMEONE_ELSE))
    assert answer.status_code == 404


async def test_the_practice_sees_what_its_patients_were_told(client, told):
    """Its own: the practice next door, whatever its role, is shown nothing of it."""
    assert len(await search(client, f"recipient={PATIENT}", "secretary-cabinet")) == 4
    assert await search(client, f"recipient={PATIENT}", "secretary-voisin") == []


async def test_without_a_token_nothing_is_seen(client, told):
    assert (await client.get("/fhir/Communication")).status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nobody_writes_communications(client, told, method):
    path = "/fhir/Communication" if method == "POST" else f"/fhir/Communication/{told[0]['id']}"
    answer = await client.request(
        method, path, json={"resourceType": "Communication"}, headers=bearer("secretary-cabinet")
    )
    assert answer.status_code == 405


async def test_the_capability_statement_promises_reading_only(client):
    statement = (await client.get("/fhir/metadata")).json()
    resources = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    assert set(resources) == {"AuditEvent", "Communication"}
    for resource in resources.values():
        assert {i["code"] for i in resource["interaction"]}.isdisjoint(
            {"create", "update", "patch", "delete"}
        )
