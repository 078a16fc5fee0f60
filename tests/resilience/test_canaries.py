"""No name, INS, address, number or free text in a log, an event, a dead letter, a metric or an address.

Canaries are planted in every field; every path is driven, with faults on the way: the broker away, the mail server
refusing, the database killed, services killed under way, bodies and events that nobody can read. Then everything is
read that others may read or keep: the logs of all processes, every topic but the one for contacts, the dead letters'
headers, the metrics, and the links of the answers.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.fixtures.canary_words import Canaries
from tests.fixtures.local_run import LocalRun, eventually, running
from tests.resilience.office import Office, Resource

CONTACTS = "creneau.booking.contacts"
APPOINTMENTS = "creneau.booking.appointments"
MET_WITHIN_S = 180.0
FHIR = {"Content-Type": "application/fhir+json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Caller:
    """Asks, and keeps every address that an answer gives, unless the caller itself had put a word into its own."""

    client: httpx.AsyncClient
    addresses: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer; a connection that a fault breaks is answered 599."""
        try:
            answer = await self.client.request(method, path, **options)
        except httpx.HTTPError:
            return httpx.Response(599)
        self._keep(answer)
        return answer

    async def send(self, method: str, path: str, resource: Any, **headers: str) -> httpx.Response:
        return await self.ask(method, path, json=resource, headers={**FHIR, **headers})

    async def form(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        return await self.ask("POST", path, data=fields, headers={**FORM, **headers})

    def _keep(self, answer: httpx.Response) -> None:
        if "canari" in str(answer.request.url).lower():
            return
        self.addresses += [
            answer.headers[name] for name in ("location", "content-location") if name in answer.headers
        ]
        with suppress(ValueError):
            self.addresses += _links(answer.json())


def _links(value: Any) -> Iterator[str]:
    """Every Bundle.link and response.location, however deep."""
    if isinstance(value, dict):
        for link in value.get("link", ()) if value.get("resourceType") == "Bundle" else ():
            yield link["url"]
        if isinstance(value.get("location"), str):
            yield value["location"]
        for part in value.values():
            yield from _links(part)
    elif isinstance(value, list):
        for part in value:
            yield from _links(part)


def next_of(answer: httpx.Response) -> str | None:
    links = answer.json().get("link", ()) if answer.status_code == 200 else ()
    return next((link["url"] for link in links if link["relation"] == "next"), None)


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest) -> Iterator[LocalRun]:
    with running(request.session, demonstration=False) as started:
        yield started


@pytest_asyncio.fixture
async def caller(run: LocalRun) -> AsyncIterator[Caller]:
    headers = {"Authorization": f"Bearer {run.token('system')}"}
    async with httpx.AsyncClient(base_url=f"{run.url}/fhir", headers=headers, timeout=60) as client:
        yield Caller(client)


async def test_nobody_is_named_where_others_read(run: LocalRun, caller: Caller) -> None:
    planted = Canaries()
    office = Office(run)
    await office.open()
    patient = await _registers(caller, planted)
    await _lives(caller, office, planted, patient)
    await _searches(caller, planted, patient)
    await _is_refused(caller, planted, patient)
    await _breaks(run, caller, office, planted, patient)
    leaks = {place: found for place, text in await _read(run, caller) if (found := planted.found_in(text))}
    assert leaks == {}
    await _controls(run, planted)


# -- what people do ------------------------------------------------------------------------------------------


def _patient(planted: Canaries, **elements: Any) -> Resource:
    return {
        "resourceType": "Patient",
        "name": [{"family": planted.family, "given": [planted.given]}],
        "telecom": [{"system": "email", "value": planted.email}, {"system": "phone", "value": planted.phone}],
        "address": [{"line": [planted.line], "city": planted.junk}],
        "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.10", "value": planted.ins}],
        "contact": [{"name": {"family": planted.relative}}],
        **elements,
    }


async def _registers(caller: Caller, planted: Canaries) -> str:
    created = await caller.send("POST", "/Patient", _patient(planted))
    assert created.status_code == 201, created.text
    for number in range(2):
        other = _patient(planted, name=[{"family": planted.family, "given": [f"{planted.given}{number}"]}])
        other["identifier"][0]["value"] = str(int(planted.ins[:13]) + 1 + number)
        other.pop("telecom")
        added = await caller.send("POST", "/Patient", other)
        assert added.status_code == 201, added.text
    id_ = created.json()["id"]
    await caller.send(
        "POST",
        "/RelatedPerson",
        {
            "resourceType": "RelatedPerson",
            "patient": {"reference": f"Patient/{id_}", "display": planted.family},
            "name": [{"family": planted.relative}],
        },
    )
    return f"Patient/{id_}"


def _booking(office: Office, planted: Canaries, patient: str, slot: Any) -> Resource:
    booking = office.booking(slot)
    booking["participant"][0]["actor"] = {"reference": patient, "display": planted.family}
    own = {"system": "https://cabinet.exemple.fr/codes", "code": planted.label, "display": planted.label}
    known = {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "code": "AMB",
        "display": planted.label,
    }
    return booking | {
        "comment": planted.comment,
        "description": planted.description,
        "patientInstruction": planted.instruction,
        "serviceType": [{"coding": [known, own], "text": planted.label}],
        "reasonCode": [{"text": planted.reason}],
    }


def _parameters(**given: Any) -> Resource:
    parts = [{"name": name.replace("_", "-"), **value} for name, value in given.items()]
    return {"resourceType": "Parameters", "parameter": parts}


async def _lives(caller: Caller, office: Office, planted: Canaries, patient: str) -> None:
    """Booked, replayed, held, moved, amended and cancelled, with a reason in words."""
    slots = await office.free_slots(6)
    first = _booking(office, planted, patient, slots[0])
    key = {"Idempotency-Key": "canaries-1"}
    booked = await caller.send("POST", "/Appointment", first, **key)
    assert booked.status_code == 201, booked.text
    await caller.send("POST", "/Appointment", first, **key)
    await caller.send("POST", "/Appointment", first | {"comment": planted.junk}, **key)
    proposed = _booking(office, planted, patient, slots[1]) | {"status": "proposed"}
    held = await caller.send("POST", "/Appointment/$hold", _parameters(appointment={"resource": proposed}))
    assert held.status_code == 201, held.text
    await caller.ask("POST", f"/Appointment/{held.json()['id']}/$book", headers=key)
    path = f"/Appointment/{booked.json()['id']}"
    moved = _parameters(slot={"valueReference": {"reference": f"Slot/{slots[2].id}"}})
    await caller.send("POST", f"{path}/$reschedule", moved)
    cancelled = {
        **(await caller.ask("GET", path)).json(),
        "status": "cancelled",
        "cancelationReason": {"text": planted.reason, "coding": [{"code": planted.reason}]},
    }
    await caller.send("PUT", path, cancelled)
    await caller.send(
        "POST", "/Appointment/$find", _parameters(location_string={"valueString": planted.searched})
    )


async def _searches(caller: Caller, planted: Canaries, patient: str) -> None:
    """By what is personal, in a body each time, and every page of it."""
    for fields in (
        {"family": planted.family, "_count": "1"},
        {"family": planted.family, "_sort": "identifier", "_count": "1"},
        {"name": planted.family, "_sort": "family", "_count": "1"},
        {"identifier": planted.ins},
        {"telecom": planted.email, "_revinclude": "Appointment:patient"},
        {"_filter": f'family eq "{planted.family}"', "_count": "1"},
        {"_content": planted.searched},
        {"address": planted.line, "nonsense": planted.junk},
    ):
        answer = await caller.form("/Patient/_search", fields)
        assert answer.status_code == 200, answer.text
        pages = 1
        while (following := next_of(answer)) is not None:
            answer = await caller.ask("GET", following)
            assert answer.status_code == 200, answer.text
            pages += 1
        assert pages == 3 or fields.get("_count") != "1", "each page leads to the next"
    await caller.ask("GET", "/Patient", params={"_sort": "identifier", "_count": "1"})
    await caller.ask("GET", "/Patient", params={"_sort": "-family", "_count": "1"})
    await caller.form("/Appointment/_search", {"patient.family": planted.family, "_count": "1"})
    await caller.form("/Slot/_search", {"_has:Appointment:slot:patient.identifier": planted.ins})
    await caller.form("/AuditEvent/_search", {"patient.family": planted.family, "_count": "1"})
    await caller.form("/Communication/_search", {"_content": planted.searched})
    whole = await caller.form(
        "/_search", {"_type": "Patient,Appointment", "_content": planted.family, "_count": "1"}
    )
    while (following := next_of(whole)) is not None:
        whole = await caller.ask("GET", following)
    later = await caller.form("/Patient/_search", {"family": planted.family}, Prefer="respond-async")
    if "content-location" in later.headers:

        async def done() -> bool:
            return (await caller.ask("GET", later.headers["content-location"])).status_code != 202

        await eventually(done, "the search is carried out", within_s=120)
    entries = [
        {"request": {"method": "GET", "url": f"Patient?family={planted.family}&_count=1"}},
        {"request": {"method": "GET", "url": f"Appointment?patient.family={planted.family}"}},
        {"request": {"method": "GET", "url": f"AuditEvent?patient.family={planted.family}&_count=1"}},
        {"request": {"method": "GET", "url": f"Practitioner?name={planted.searched}"}},
        {
            "request": {"method": "POST", "url": "Patient"},
            "resource": _patient(planted, birthDate=planted.junk),
        },
    ]
    await caller.send("POST", "/", {"resourceType": "Bundle", "type": "batch", "entry": entries})


async def _is_refused(caller: Caller, planted: Canaries, patient: str) -> None:
    """Unreadable, against the rules, unknown, too long, too much."""
    word = planted.junk
    await caller.send("POST", "/Patient/$validate", _patient(planted, gender=word, **{word: word}))
    await caller.send("POST", "/Patient", _patient(planted, birthDate=word))
    await caller.send("POST", "/Patient", _patient(planted, name=[{"family": f"{word}\x00"}]))
    await caller.send(
        "POST", "/Appointment", {"resourceType": "Appointment", "status": word, "comment": word}
    )
    for body in (
        f'{{"resourceType":"Patient","name":[{{"family":"{word}',
        f"<Patient><name>{word}",
        word * 9,
    ):
        for kind in ("application/fhir+json", "application/fhir+xml", word):
            await caller.ask("POST", "/Patient", content=body.encode(), headers={"Content-Type": kind})
    for path in (
        f"/Patient/{word}",
        f"/{word}",
        f"/Patient/${word}",
        f"/Patient/{word}/_history/1",
        f"/{word}/{word}",
    ):
        await caller.ask("GET", path)
        await caller.ask("DELETE", path)
    await caller.ask(word.upper(), "/Patient")
    await caller.ask("GET", f"/Patient?family={word * 2000}")
    await caller.form("/Patient/_search", {"family": word * 2000})
    await caller.form("/Patient/_search", {"birthdate": word, "_sort": word, "_cursor": word, "_count": word})
    await caller.ask("GET", "/Patient", params={"family": "~sealed." + word})
    await caller.ask("GET", "/Patient", headers={"Authorization": f"Bearer {word}"})
    await caller.ask(
        "GET", "/Patient", headers={"Authorization": f"{word} {word}", "Accept": word, "Prefer": word}
    )
    await caller.send("PUT", f"/{patient}", _patient(planted), **{"If-Match": word})
    await caller.send(
        "POST", "/Patient", _patient(planted), **{"If-None-Exist": f"family={word}&{word}={word}"}
    )
    await caller.send("PATCH", f"/{patient}", [{"op": "replace", "path": f"/{word}", "value": word}])


# -- what goes wrong -----------------------------------------------------------------------------------------


async def _breaks(run: LocalRun, caller: Caller, office: Office, planted: Canaries, patient: str) -> None:
    """Parts die one after the other while people go on asking."""
    slots = await office.free_slots(12)
    for number, part in enumerate(("broker", "mailbox", "booking-worker", "notifications-worker", "gateway")):
        await _ask_through(run, caller, part, _booking(office, planted, patient, slots[number]), planted)
    await _ask_through(run, caller, "postgres", _booking(office, planted, patient, slots[6]), planted)
    await _both_apis_die(run, caller, planted)
    await _constraints_speak(run, planted, patient)
    await _poison(run, planted)
    await asyncio.to_thread(run.wait_ready)

    async def told() -> bool:
        waiting = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
        return not await run.value("booking", waiting)

    await eventually(told, "an empty outbox", MET_WITHIN_S)


async def _ask_through(
    run: LocalRun, caller: Caller, part: str, booking: Resource, planted: Canaries
) -> None:
    killed = run.kill(part)

    async def back() -> bool:
        await caller.send("POST", "/Appointment", booking, **{"Idempotency-Key": f"canaries-{part}"})
        await caller.ask("GET", "/Patient", params={"family": planted.searched})
        await caller.form("/Patient/_search", {"family": planted.family, "_sort": "identifier"})
        await caller.ask("GET", "/", params={"_type": "Patient,Slot", "_content": planted.searched})
        return run.is_back(part, killed)

    await eventually(back, f"the return of {part}", MET_WITHIN_S, every_s=0.1)


async def _both_apis_die(run: LocalRun, caller: Caller, planted: Canaries) -> None:
    """nginx finds nobody, with the family name in the line of the request."""
    names = ("booking-api-1", "booking-api-2")
    killed = {name: run.kill(name) for name in names}
    seen: set[int] = set()

    async def back() -> bool:
        seen.add((await caller.ask("GET", f"/Patient?family={quote(planted.searched)}")).status_code)
        return all(run.is_back(name, pid) for name, pid in killed.items())

    await eventually(back, "the return of booking", MET_WITHIN_S, every_s=0.02)
    assert 502 in seen, f"nginx was to find nobody at least once: {seen}"


async def _constraints_speak(run: LocalRun, planted: Canaries, patient: str) -> None:
    """PostgreSQL refuses a row, and would tell it."""
    async with run.connection("booking") as connection:
        await connection.execute("CREATE TABLE canaries (value text PRIMARY KEY)")
        await connection.execute("INSERT INTO canaries VALUES ($1)", planted.family)
        with pytest.raises(Exception, match=planted.family):
            await connection.execute(f"INSERT INTO canaries VALUES ('{planted.family}')")
        with pytest.raises(Exception, match=planted.junk):
            await connection.execute(f"SELECT '{planted.junk}'::integer")
        await connection.execute("DROP TABLE canaries")


async def _poison(run: LocalRun, planted: Canaries) -> None:
    """Events that no consumer can read, with somebody's data in them, end as dead letters."""
    servers = f"127.0.0.1:{run.folder.port('broker')}"
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    try:
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"0199f3a1-7c44-7d52-8a34-0123456789ab"),
            ("ce_source", b"/test"),
            ("ce_type", b"fr.creneau.booking.contact.changed.v1"),
            ("ce_time", b"2026-11-28T00:00:00Z"),
            ("content-type", b"application/json"),
        ]
        for data in ({"recipient": {planted.family: planted.email}}, [planted.family], planted.family):
            await producer.send_and_wait(
                CONTACTS, key=b"Patient/x", value=json.dumps(data).encode(), headers=headers
            )
        await producer.send_and_wait(CONTACTS, key=b"Patient/y", value=planted.junk.encode(), headers=headers)
    finally:
        await producer.stop()

    async def buried() -> bool:
        return any(topic.endswith(".dead") for topic, _ in await _records(run))

    await eventually(buried, "a dead letter", MET_WITHIN_S)


# -- what is read --------------------------------------------------------------------------------------------


async def _read(run: LocalRun, caller: Caller) -> list[tuple[str, str]]:
    """(place, text) of all that others may read."""
    places = [
        (f"log {path.name}", path.read_text(errors="replace")) for path in sorted(run.folder.logs.iterdir())
    ]
    places.append(("terminal", run.output))
    async with httpx.AsyncClient(timeout=20) as client:
        for name, part in run.processes().items():
            if name.endswith(("-api", "-api-1", "-api-2", "-worker")) or name == "gateway":
                metrics = await client.get(f"http://127.0.0.1:{part['port']}/metrics")
                assert metrics.status_code == 200, name
                places.append((f"metrics {name}", metrics.text))
    for topic, record in await _records(run):
        headers = " ".join(f"{name}: {value.decode(errors='replace')}" for name, value in record.headers)
        places.append((f"headers on {topic}", headers))
        if topic != CONTACTS:
            places.append(
                (f"event on {topic}", f"{record.key!r} {(record.value or b'').decode(errors='replace')}")
            )
    return [*places, *(("address", address) for address in caller.addresses)]


async def _records(run: LocalRun) -> list[tuple[str, Any]]:
    """Everything on every topic."""
    servers = f"127.0.0.1:{run.folder.port('broker')}"
    reader = AIOKafkaConsumer(
        bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await reader.start()
    try:
        topics = sorted(t for t in await reader.topics() if t.startswith("creneau."))
        places = [TopicPartition(t, p) for t in topics for p in reader.partitions_for_topic(t) or ()]
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        found: list[tuple[str, Any]] = []
        for _ in range(6):
            batches = await reader.getmany(timeout_ms=500)
            found += [(place.topic, record) for place, records in batches.items() for record in records]
        return found
    finally:
        await reader.stop()


async def _controls(run: LocalRun, planted: Canaries) -> None:
    """The eyes see: where a name may be, it is found; and what used to leak would be."""
    records = await _records(run)
    contacts = " ".join((record.value or b"").decode() for topic, record in records if topic == CONTACTS)
    assert {"family", "mailbox", "phone"} <= planted.found_in(contacts), "the topic that may name people does"
    assert any(topic == APPOINTMENTS for topic, _ in records), "the events were there to be read"
    dead = [topic for topic, _ in records if topic.startswith(CONTACTS) and topic.endswith(".dead")]
    assert dead, "what could not be handled is there, without what it said"
    assert run.log("booking-api-1"), "there are logs to be read"
    assert '"event":"fault"' in run.log("nginx"), "nginx says that it found nobody, without the request"
    for leak in (
        f'connect() failed while connecting to upstream, request: "GET /fhir/Patient?family={planted.family} HTTP/1.1"',
        f"DETAIL:  Key (value)=({planted.family.lower()}) already exists.",
        base64.urlsafe_b64encode(json.dumps([["x", planted.family], False, 3]).encode()).decode(),
        base64.urlsafe_b64encode(b"\x01" * 16 + json.dumps([[planted.ins]]).encode()).decode(),
        f"/fhir/Patient?telecom={quote(planted.email)}",
    ):
        assert planted.found_in(leak), leak
