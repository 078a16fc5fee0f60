"""The upgrade from the last version's databases, in place: nothing is lost, and nothing that is taken is free.

The databases are those that the last version left (`tests/fixtures/upgrade`): demonstration data, a story told, people
who have booked, cancelled and held.
"""

from __future__ import annotations

import lzma
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from deploy.local.postgres import Postgres
from deploy.local.topology import SERVICES
from services.booking.tests.client import Caller, serving
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import BASE
from services.booking.tests.issuer import LIFETIME_S, running_issuer

from creneau_booking.app import create_app as create_booking
from creneau_directory.app import create_app as create_directory
from creneau_directory.settings import DirectorySettings
from creneau_notifications.app import create_app as create_notifications
from creneau_notifications.settings import NotificationsSettings
from creneau_shared.clock import FixedClock
from tests.fixtures.postgres import drop_database

FOLDER = Path(__file__).parents[1] / "fixtures" / "upgrade"
NOW = datetime(2026, 11, 28, 5, 1, tzinfo=UTC)
"""a minute after the last of them was dumped: the newest holds are still kept"""
PAGE = "500"

Resource = dict[str, Any]


@dataclass
class Upgraded:
    """The three databases at the present schema; what was in booking's before; callers of its API and of the others."""

    before: dict[str, list[asyncpg.Record]]
    connection: asyncpg.Connection
    everything: dict[str, Caller]
    """by service: who may see everything"""
    person: Callable[[str], Caller]
    """a patient's account, by its subject"""

    async def all(self, service: str, resource_type: str, **query: str) -> list[Resource]:
        """Every match of a search, over all its pages."""
        caller = self.everything[service]
        answer = await caller.get(resource_type, _count=PAGE, **query)
        found: list[Resource] = []
        while True:
            assert answer.status_code == 200, answer.text
            bundle = answer.json()
            found += [e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "match"]
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            if not following:
                return found
            answer = await caller.get(following[0].partition("/fhir/")[2])


BEFORE = {
    "slots": 'SELECT coalesce(name, id::text) AS id, status::text, start, "end" FROM slot',
    "appointments": "SELECT id, version, terms, content FROM appointment WHERE NOT deleted",
    "schedules": "SELECT id, version, terms FROM schedule WHERE NOT deleted",
    "patients": "SELECT id, version, terms FROM patient WHERE NOT deleted",
    "versions": "SELECT resource_type, id, version FROM resource_history",
    "occupied": "SELECT appointment_id, actor, lower(period) AS start, upper(period) AS end FROM occupancy",
    "audit": "SELECT count(*) AS rows FROM audit",
    "outbox": "SELECT count(*) AS rows FROM outbox",
    "accounts": "SELECT issuer, subject, patient_id FROM patient_account",
}


@pytest.fixture(scope="module")
async def upgraded(postgres_server: Postgres) -> AsyncIterator[Upgraded]:
    urls = {}
    for service in SERVICES:
        urls[service] = postgres_server.create_database(f"upgrade_{service}")
        restore(postgres_server, urls[service], FOLDER / f"creneau_{service}.sql.xz")
    connection = await asyncpg.connect(urls["booking"])
    before = {name: await connection.fetch(sql) for name, sql in BEFORE.items()}
    await connection.close()
    for service in SERVICES:
        migrate(service, urls[service])
    async with running_issuer() as issuer:
        clock = FixedClock(NOW)
        own: dict[str, Any] = {
            "public_base_url": BASE,
            "oidc_issuer": issuer.url,
            "oidc_token_lifetime_max_s": LIFETIME_S,
        }
        apps = {
            "booking": create_booking(settings_for(urls["booking"], issuer.url), clock),
            "directory": create_directory(DirectorySettings(database_url=urls["directory"], **own), clock),
            "notifications": create_notifications(
                NotificationsSettings(database_url=urls["notifications"], **own), clock
            ),
        }
        connection = await asyncpg.connect(urls["booking"])
        async with (
            serving(apps["booking"]) as booking,
            serving(apps["directory"]) as directory,
            serving(apps["notifications"]) as notifications,
        ):
            clients = {"booking": booking, "directory": directory, "notifications": notifications}
            token = issuer.token("software", "upgrade")
            yield Upgraded(
                before,
                connection,
                {service: Caller(client, token) for service, client in clients.items()},
                lambda subject: Caller(booking, issuer.token("patient", subject)),
            )
        await connection.close()
    for service in SERVICES:
        drop_database(postgres_server, f"upgrade_{service}")


def restore(server: Postgres, url: str, dump: Path) -> None:
    argv = [str(server.bin("psql")), "-Xq", "-v", "ON_ERROR_STOP=1", "-d", url]
    done = subprocess.run(argv, input=lzma.decompress(dump.read_bytes()), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def migrate(service: str, url: str) -> None:
    """As an operator does it."""
    argv = [sys.executable, "-m", f"creneau_{service}.main", "migrate"]
    environment = {"DATABASE_URL": url, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def owners(row: asyncpg.Record) -> set[str]:
    """The internal terms that say whose a row is, and who may see it."""
    return {term for term in row["terms"] if term.startswith("~")}


async def test_every_slot_is_there_and_what_was_taken_is_taken(upgraded: Upgraded) -> None:
    before = {row["id"]: row["status"] for row in upgraded.before["slots"]}
    after = {slot["id"]: slot["status"] for slot in await upgraded.all("booking", "Slot")}
    assert after.keys() == before.keys()
    assert {i: after[i] for i in before if before[i] != "free"} == {
        i: status for i, status in before.items() if status != "free"
    }
    assert {after[i] for i in before if before[i] == "free"} <= {"free", "busy-unavailable"}


async def test_nothing_is_free_in_the_time_of_somebody_who_is_taken(upgraded: Upgraded) -> None:
    """Neither the slot of a visit nor another of its people in that time, in whichever agenda."""
    agendas = {
        s["id"]: {a["reference"] for a in s["actor"]} for s in await upgraded.all("booking", "Schedule")
    }
    free: list[tuple[set[str], datetime, datetime]] = [
        (
            agendas[slot["schedule"]["reference"].partition("/")[2]],
            parsed(slot["start"]),
            parsed(slot["end"]),
        )
        for slot in await upgraded.all("booking", "Slot", status="free")
    ]
    assert free
    for row in upgraded.before["occupied"]:
        overlapping = [f for f in free if row["actor"] in f[0] and f[1] < row["end"] and f[2] > row["start"]]
        assert overlapping == [], f"{row['actor']} is with {row['appointment_id']}"
    for appointment in await upgraded.all("booking", "Appointment", status="booked,pending"):
        for slot in appointment["slot"]:
            answer = await upgraded.everything["booking"].get(slot["reference"])
            assert answer.json()["status"] in ("busy", "busy-tentative"), slot


def parsed(instant: str) -> datetime:
    return datetime.fromisoformat(instant)


@pytest.mark.parametrize(
    ("kind", "resource_type"),
    [("appointments", "Appointment"), ("schedules", "Schedule"), ("patients", "Patient")],
)
async def test_every_resource_is_the_same_and_belongs_to_whom_it_belonged(
    upgraded: Upgraded, kind: str, resource_type: str
) -> None:
    before = {row["id"]: row for row in upgraded.before[kind]}
    assert before
    after = {r["id"]: r for r in await upgraded.all("booking", resource_type)}
    assert after.keys() == before.keys()
    rows = await upgraded.connection.fetch(
        f"SELECT id, terms FROM {resource_type.lower()} WHERE id = ANY($1)", list(before)
    )
    belonging = {row["id"]: owners(row) for row in rows}
    for id_, row in before.items():
        assert int(after[id_]["meta"]["versionId"]) >= row["version"]
        assert belonging[id_] >= owners(row), id_


async def test_every_version_is_readable_and_every_history_whole(upgraded: Upgraded) -> None:
    caller = upgraded.everything["booking"]
    assert upgraded.before["versions"]
    for row in upgraded.before["versions"]:
        answer = await caller.get(f"{row['resource_type']}/{row['id']}/_history/{row['version']}")
        assert answer.status_code in (200, 410), answer.text
    for row in upgraded.before["appointments"]:
        answer = await caller.get(f"Appointment/{row['id']}/_history")
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["entry"]) >= row["version"]


async def test_the_trail_the_events_and_the_accounts_are_kept(upgraded: Upgraded) -> None:
    for table in ("audit", "outbox"):
        rows = await upgraded.connection.fetchval(f"SELECT count(*) FROM {table}")
        assert rows >= upgraded.before[table][0]["rows"] > 0
    kept = await upgraded.connection.fetch(BEFORE["accounts"])
    assert set(map(tuple, upgraded.before["accounts"])) <= set(map(tuple, kept))
    assert (await upgraded.everything["booking"].get("AuditEvent", _count="5")).json()["entry"]


@pytest.mark.parametrize(
    ("service", "types"),
    [
        ("directory", ("Practitioner", "PractitionerRole", "Organization", "Location", "HealthcareService")),
        ("notifications", ("Communication",)),
    ],
)
async def test_the_other_services_find_what_they_had(
    upgraded: Upgraded, service: str, types: Sequence[str]
) -> None:
    for resource_type in types:
        found = await upgraded.all(service, resource_type)
        assert found, resource_type
        answer = await upgraded.everything[service].get(f"{resource_type}/{found[0]['id']}")
        assert answer.status_code == 200, answer.text


async def test_somebody_new_books_what_is_shown_free_and_nobody_what_is_not(upgraded: Upgraded) -> None:
    """By the way of a patient's page: found, held, booked; then cancelled, and free again."""
    camille = upgraded.person("camille")
    named = {"family": "Martin", "given": ["Camille"]}
    patient = await camille.post(
        "Patient", {"resourceType": "Patient", "name": [named], "birthDate": "1984-05-17"}
    )
    assert patient.status_code == 201, patient.text
    found = await camille.get("Appointment/$find", start="2026-11-30", end="2026-12-08", specialty="SM54")
    assert found.status_code == 200, found.text
    matches = [entry["resource"] for entry in found.json()["entry"] if entry["search"]["mode"] == "match"]
    proposals = [proposal["id"] for proposal in matches]
    assert proposals
    held = await camille.post(
        "Appointment/$hold",
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "appt-id", "valueUri": proposals[0]},
                {"name": "patient-id", "valueUri": f"Patient/{patient.json()['id']}"},
            ],
        },
    )
    assert held.status_code in (200, 201), held.text
    appointment = held.json()["entry"][0]["resource"]
    assert appointment["resourceType"] == "Appointment", held.text
    booked = await camille.post(f"Appointment/{appointment['id']}/$book", {"resourceType": "Parameters"})
    assert booked.status_code == 200, booked.text
    slot = appointment["slot"][0]["reference"]
    assert (await camille.get(slot)).json()["status"] == "busy"
    cancelled = await camille.patch(
        f"Appointment/{appointment['id']}", [{"op": "replace", "path": "/status", "value": "cancelled"}]
    )
    assert cancelled.status_code == 200, cancelled.text
    assert (await camille.get(slot)).json()["status"] == "free"
    taken = next(row for row in upgraded.before["slots"] if row["status"] == "busy" and row["start"] > NOW)
    refused = await camille.post(
        "Appointment",
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": taken["start"].isoformat(),
            "end": taken["end"].isoformat(),
            "slot": [{"reference": f"Slot/{taken['id']}"}],
            "participant": [
                {"actor": {"reference": f"Patient/{patient.json()['id']}"}, "status": "accepted"}
            ],
        },
    )
    assert refused.status_code == 409, refused.text


async def test_what_was_cancelled_after_the_upgrade_is_given_back(upgraded: Upgraded) -> None:
    """A visit that the last version booked can be cancelled: its slot is free again, and its people's time."""
    row = next(
        r
        for r in upgraded.before["appointments"]
        if "status=booked" in r["terms"] and any(t.startswith("slot=Slot/") for t in r["terms"])
    )
    caller = upgraded.everything["booking"]
    slot = next(t.removeprefix("slot=") for t in row["terms"] if t.startswith("slot=Slot/"))
    answer = await caller.patch(
        f"Appointment/{row['id']}", [{"op": "replace", "path": "/status", "value": "cancelled"}]
    )
    assert answer.status_code == 200, answer.text
    assert (await caller.get(slot)).json()["status"] == "free"
    left = await upgraded.connection.fetchval(
        "SELECT count(*) FROM occupancy WHERE appointment_id = $1", row["id"]
    )
    assert left == 0
