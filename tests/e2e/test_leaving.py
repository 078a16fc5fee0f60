"""A person takes all of their data with them and leaves: over all services, the bus, the mail and every database."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from deploy.local.mail_store import MailStore, Message
from deploy.local.ports import wait_until
from deploy.local.topology import SERVICES

from tests.fixtures.canaries import Canaries
from tests.fixtures.local_run import eventually
from tests.fixtures.stack import Stack, running_full_stack

WITHIN_S = 120.0
PUBLIC = {"resourceType": "Parameters", "parameter": [{"name": "confirm", "valueBoolean": True}]}


@pytest.fixture(scope="module")
def city() -> Iterator[Stack]:
    """The whole system, which looks for erased people at once."""
    with running_full_stack(
        ERASURE_SWEEP_AFTER_S="1", ERASURE_SWEEP_INTERVAL_S="1", ERASURE_INTERVAL_S="0.5"
    ) as running:
        yield running


class Person:
    """Somebody who registers, is renamed, books with words, moves, cancels, and has a proxy."""

    def __init__(self, city: Stack) -> None:
        self.city = city
        self.canaries = Canaries()
        self.account = city.client("patient", subject=f"compte-{self.canaries.tag}")
        self.system = city.client("system")
        self.address = ""
        self.id = ""
        self.actors: list[str] = []

    def live(self) -> None:
        slots = self._open_agenda()
        self.id = _made(self.account.post("/Patient", json=self.canaries.own_patient()))["id"]
        moved = {**self.canaries.own_patient("moved"), "id": self.id}
        assert self.account.put(f"/Patient/{self.id}", json=moved).status_code == 200
        # The practice answers for the address: more than a few messages may go to it.
        vouched = {**self.canaries.patient("vouched"), "id": self.id}
        assert self.system.put(f"/Patient/{self.id}", json=vouched).status_code == 200
        self.address = f"{self.canaries.plant('emailvouched')}@exemple.fr"
        proxy = {
            **self.canaries.related_person(f"Patient/{self.id}"),
            "relationship": [
                {
                    "coding": [
                        {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "CAREGIVER"}
                    ],
                    "text": self.canaries.plant("proxyrelation"),
                }
            ],
        }
        _made(self.account.post("/RelatedPerson", json=proxy))
        staying, cancelled = (self._book(slot) for slot in slots[:2])
        answer = self.account.post(
            f"/Appointment/{staying}/$reschedule",
            json={
                "resourceType": "Parameters",
                "parameter": [{"name": "slot", "valueReference": {"reference": f"Slot/{slots[2]['id']}"}}],
            },
        )
        assert answer.status_code == 200, answer.text
        gone = [{"op": "replace", "path": "/status", "value": "cancelled"}]
        headers = {"Content-Type": "application/json-patch+json"}
        answer = self.account.patch(f"/Appointment/{cancelled}", json=gone, headers=headers)
        assert answer.status_code == 200, answer.text
        wait_until(
            lambda: len(self.mails()) >= 2,
            within_s=WITHIN_S,
            what="the messages of the bookings",
            every_s=0.3,
        )

    def _open_agenda(self) -> list[dict[str, Any]]:
        doctor = _made(
            self.system.post(
                "/Practitioner", json={"resourceType": "Practitioner", "name": [{"family": "Lefèvre"}]}
            )
        )
        place = _made(
            self.system.post("/Location", json={"resourceType": "Location", "name": "Cabinet du Phare"})
        )
        self.actors = [f"Practitioner/{doctor['id']}", f"Location/{place['id']}"]
        agenda = _made(
            self.system.post(
                "/Schedule",
                json={
                    "resourceType": "Schedule",
                    "active": True,
                    "actor": [{"reference": actor} for actor in self.actors],
                },
            )
        )
        begin = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=20)
        return [
            _made(
                self.system.post(
                    "/Slot",
                    json={
                        "resourceType": "Slot",
                        "schedule": {"reference": f"Schedule/{agenda['id']}"},
                        "status": "free",
                        "start": (begin + timedelta(minutes=20 * n)).isoformat(),
                        "end": (begin + timedelta(minutes=20 * n + 20)).isoformat(),
                    },
                )
            )
            for n in range(3)
        ]

    def _book(self, slot: dict[str, Any]) -> str:
        wish = {
            "resourceType": "Appointment",
            "status": "booked",
            "slot": [{"reference": f"Slot/{slot['id']}"}],
            "start": slot["start"],
            "end": slot["end"],
            "comment": self.canaries.plant("comment"),
            "participant": [
                {
                    "actor": {"reference": f"Patient/{self.id}", "display": self.canaries.plant("display")},
                    "status": "accepted",
                },
                *({"actor": {"reference": actor}, "status": "accepted"} for actor in self.actors),
            ],
        }
        headers = {"Idempotency-Key": f"{slot['id']}"}
        return str(_made(self.account.post("/Appointment", json=wish, headers=headers))["id"])

    def mails(self) -> list[Message]:
        """What was sent to this person's present address, the latest first."""
        return list(MailStore(self.city.topology.folder.mail).newest_first(self.address))


def _made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.fixture(scope="module")
def person(city: Stack) -> Person:
    somebody = Person(city)
    somebody.live()
    return somebody


def test_the_archive_holds_all_that_was_ever_sent_and_received(person: Person) -> None:
    """By the account alone, without a launch context: registered, renamed, booked, moved, cancelled, told."""
    answer = person.account.get(f"/Patient/{person.id}/$archive")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    assert "attachment" in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert set(archive.namelist()) == {"donnees.json", "lisez-moi.html", "read-me.html"}
    data = archive.read("donnees.json")
    assert person.canaries.within(data) == person.canaries.planted
    resources = [entry["resource"] for entry in json.loads(data)["entry"]]
    kinds = {resource["resourceType"] for resource in resources}
    assert {"Patient", "Person", "RelatedPerson", "Appointment", "Communication", "AuditEvent"} <= kinds
    page = archive.read("lisez-moi.html").decode()
    assert person.address in page
    assert "Votre rendez-vous" in page
    assert "Lefèvre" in page
    assert person.canaries.plant("comment") in page
    assert "<script" not in page


def test_everything_is_one_bundle_over_the_services_page_by_page(person: Person) -> None:
    found: list[dict[str, Any]] = []
    url = f"/Patient/{person.id}/$everything?_count=4"
    while url:
        bundle = person.account.get(url).json()
        found += [entry["resource"] for entry in bundle.get("entry", ())]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    told = [resource for resource in found if resource["resourceType"] == "Communication"]
    keys = [(r["resourceType"], r["id"]) for r in found if r["resourceType"] != "AuditEvent"]
    assert len(keys) == len(set(keys))
    assert len(told) >= 2
    assert {"Patient", "Appointment"} <= {kind for kind, _ in keys}


def test_nobody_else_gets_either(city: Stack, person: Person) -> None:
    stranger = city.client("patient", subject="quelqu'un d'autre")
    for operation in ("$everything", "$archive"):
        assert stranger.get(f"/Patient/{person.id}/{operation}").status_code == 404
        assert city.client(None).get(f"/Patient/{person.id}/{operation}").status_code == 401


async def test_afterwards_nothing_is_left_anywhere_and_they_were_told(city: Stack, person: Person) -> None:
    """The cancellation reaches them; then no database and no topic's present state holds a word of theirs."""
    answer = person.account.post(f"/Patient/{person.id}/$erase", json=PUBLIC)
    assert answer.status_code == 200, answer.text
    wait_until(
        lambda: any("annulé" in mail.subject for mail in person.mails()),
        within_s=WITHIN_S,
        what="the notice of cancellation",
        every_s=0.3,
    )

    left: list[tuple[str, str, str]] = []

    async def nowhere() -> bool:
        left[:] = [
            (service, table, canary)
            for service in SERVICES
            for table, canary in await person.canaries.in_database(city.database_url(service))
        ]
        return not left

    await eventually(nowhere, f"nothing left in the databases, but {left}", within_s=WITHIN_S)
    await eventually(lambda: all_told(city), "everything in the outboxes published", within_s=WITHIN_S)
    assert await on_the_bus(city, person.canaries) == []


async def all_told(city: Stack) -> bool:
    """Whether the relays have published all that happened, the tombstones among it."""
    waiting = 0
    for service in ("booking", "directory"):  # notifications publishes nothing
        connection = await asyncpg.connect(city.database_url(service))
        try:
            waiting += await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")
        finally:
            await connection.close()
    return waiting == 0


async def on_the_bus(city: Stack, canaries: Canaries) -> list[tuple[str, str]]:
    """(where, canary): of compacted topics the last record of each key is looked at, of others every record."""
    found: list[tuple[str, str]] = []
    servers = city.topology.bootstrap_servers
    reader = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    await reader.start()
    try:
        for topic in sorted(await reader.topics()):
            places = [TopicPartition(topic, n) for n in sorted(reader.partitions_for_topic(topic) or ())]
            records = await all_of(reader, places)
            compacted = topic.endswith((".contacts", ".resources"))
            latest = {record.key: record for record in records} if compacted else dict(enumerate(records))
            for record in latest.values():
                said = b"".join((record.value or b"", record.key or b"", repr(record.headers).encode()))
                where = f"{topic}, partition {record.partition}, offset {record.offset}"
                found += [(where, canary) for canary in canaries.within(said)]
    finally:
        await reader.stop()
    return found


async def all_of(reader: AIOKafkaConsumer, places: list[TopicPartition]) -> list[ConsumerRecord]:
    """Every record of these partitions, up to where the broker says that they end."""
    reader.assign(places)
    records: list[ConsumerRecord] = []
    async with asyncio.timeout(WITHIN_S):
        while True:
            for some in (await reader.getmany(timeout_ms=200)).values():
                records += some
            ends = [(place, reader.highwater(place)) for place in places]
            if all([end is not None and await reader.position(place) >= end for place, end in ends]):
                return records
