"""The API: Communications are read by those whom they concern, and by nobody else, and are never written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from creneau_notifications.app import create_app
from creneau_notifications.channels.email.transport import LoggedEmails
from creneau_notifications.settings import NotificationsSettings
from creneau_notifications.storage import accounts
from creneau_notifications.storage.accounts import Person
from creneau_shared.fhir.validation import validate
from creneau_shared.security.accounts import account_digest
from creneau_shared.security.confirmation import Presented
from creneau_shared.security.principal import Principal, principal_of
from creneau_shared.security.tokens import TokenVerifier
from creneau_shared.security.vouching import HEADER, Vouchers

from .factories import BOOKED_AT, CAMILLE, PATIENT, event
from .serving import serving

SECRET = "between booking and notifications"
SOMEONE_ELSE = "Patient/0193a5c0-0003-7000-8000-000000000009"


@pytest.fixture
async def client(service, new_database, monkeypatch) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API over the service's database; the token is `<patient id>`, `account-<subject>` or
    `secretary-<organisation>`."""

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
        if token == "administration":
            return principal_of(
                {
                    "iss": "test",
                    "sub": token,
                    "scope": "system/Communication.rs",
                    "creneau_role": "system",
                }
            )
        claims = {"iss": "test", "sub": token, "scope": "patient/Communication.rs"}
        # An account is known to booking alone: its token names no Patient.
        return principal_of(claims if token.startswith("account") else {**claims, "patient": token})

    monkeypatch.setattr(TokenVerifier, "verify", verify)
    settings = NotificationsSettings(
        database_url=service.url,
        oidc_issuer="http://127.0.0.1:1",
        public_base_url="http://test/fhir",
        vouching_secret=SECRET,
    )
    async with serving(create_app(settings, service.clock), "http://test") as opened:
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
    assert answer.headers["ETag"] == 'W/"1"', "written once: as it was sent"


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


@pytest.mark.parametrize(
    ("person", "count"),
    [
        ({"oneself": True, "may": ("see",)}, 4),
        ({"oneself": False, "may": ("see",)}, 4),
        ({"oneself": False, "may": ("cancel",)}, 0),
        ({"oneself": False, "may": ("see",), "since": BOOKED_AT + timedelta(days=1)}, 0),
        ({"oneself": False, "may": ("see",), "until": BOOKED_AT}, 0),
    ],
    ids=["oneself", "carer", "without see", "not yet", "no longer"],
)
async def test_an_account_that_only_booking_knows_reads_what_was_sent(client, service, told, person, count):
    """By the replica, at this moment; another account of the same subject name reads nothing."""
    digest = account_digest("test", "account-camille")
    async with service.database.transaction() as connection:
        person = Person(patient=PATIENT.removeprefix("Patient/"), **person)
        await accounts.save(connection, digest, [person])
    assert len(await search(client, "", "account-camille")) == count
    assert await search(client, "", "account-yann") == []


MESSAGES = f"/fhir/Communication/$messages?patient={PATIENT}"


async def test_a_person_s_messages_say_where_they_went(client, told, service):
    answer = await client.get(MESSAGES, headers=bearer(PATIENT))
    assert answer.status_code == 200, answer.text
    assert [i for i in validate(answer.json(), "Bundle") if i.severity in ("error", "fatal")] == []
    found = [entry["resource"] for entry in answer.json()["entry"]]
    messages = [resource for resource in found if resource["resourceType"] == "Communication"]
    assert {resource["id"] for resource in messages} == {str(row["id"]) for row in told}
    [sent] = [resource for resource in messages if resource["status"] == "completed"]
    said = {part["url"]: list(part.values())[1] for part in sent["extension"][0]["extension"]}
    assert said["sent-to"] == CAMILLE.email
    assert said["subject"] == "Votre rendez-vous du mardi 1er décembre à 10\u00a0h"
    assert said["result"] == "accepted"


async def test_a_person_s_messages_come_in_pages(client, told):
    found, url = [], MESSAGES + "&_count=2"
    while url:
        bundle = (await client.get(url, headers=bearer(PATIENT))).json()
        found += [entry["resource"] for entry in bundle["entry"]]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    messages = [resource["id"] for resource in found if resource["resourceType"] == "Communication"]
    assert len(messages) == len(set(messages)) == 4


@pytest.mark.parametrize("token", [SOMEONE_ELSE, "secretary-centre-1", "account-1"])
async def test_nobody_else_gets_a_person_s_messages(client, told, token):
    answer = await client.get(MESSAGES, headers=bearer(token))
    assert answer.status_code == 403, answer.text
    assert (await client.get(MESSAGES)).status_code == 401


async def test_an_account_for_which_booking_vouches_gets_them_and_no_other(client, told, service):
    """A voucher is one caller's, for one Patient, for a minute."""
    vouchers, now = Vouchers(SECRET), service.clock.now()
    text = vouchers.write(Principal("test", "account-1"), PATIENT.removeprefix("Patient/"), now)
    headers = {HEADER: str(text)}
    assert (await client.get(MESSAGES, headers=bearer("account-1") | headers)).status_code == 200
    assert (await client.get(MESSAGES, headers=bearer("account-2") | headers)).status_code == 403
    elsewhere = MESSAGES.replace(PATIENT, SOMEONE_ELSE)
    assert (await client.get(elsewhere, headers=bearer("account-1") | headers)).status_code == 403
    forged = {HEADER: str(text)[:-1] + ("0" if str(text)[-1] != "0" else "1")}
    assert (await client.get(MESSAGES, headers=bearer("account-1") | forged)).status_code == 403
    service.at(now + timedelta(minutes=2))
    assert (await client.get(MESSAGES, headers=bearer("account-1") | headers)).status_code == 403


async def test_the_administration_gets_anybody_s(client, told):
    assert (await client.get(MESSAGES, headers=bearer("administration"))).status_code == 200
