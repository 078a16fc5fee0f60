"""Nobody can stop the service with a handful of requests: bodies, rates and waits are bounded by who asks."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from services.booking.tests.client import Caller, code, reason, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import appointment, parameters, unique
from services.booking.tests.issuer import running_issuer
from services.booking.tests.practice import Practice

from creneau_booking.app import create_app
from creneau_shared.app import ServiceApplication
from creneau_shared.database.pool import Database
from creneau_shared.errors import Unavailable
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.xml import from_xml, to_xml

KIB = 1024
BESIDE = "the secret that nginx and the service share"


def from_address(address: str) -> dict[str, str]:
    """What nginx adds to a request from there."""
    return {"X-Client-Address": address, "X-Gateway-Secret": BESIDE}


@asynccontextmanager
async def service(practice: Practice, **changed: Any) -> AsyncIterator[tuple[Callers, ServiceApplication]]:
    """The API with settings of its own."""
    async with running_issuer() as issuer:
        settings = settings_for(str(practice.settings.database_url), issuer.url)
        changed = {"cursor_secret": unique("secret"), "gateway_secret": SecretStr(BESIDE), **changed}
        app = create_app(settings.model_copy(update=changed), practice.clock)
        async with serving(app) as client:
            yield Callers(client, issuer, practice.clock), app


def patient(bytes_: int, **more: Any) -> Resource:
    """A Patient of about so many bytes, in many small texts."""
    numbers = [{"system": "phone", "value": f"+3319900{n:05d}"} for n in range(bytes_ // 47)]
    return {"resourceType": "Patient", "name": [{"family": "Banc"}], "telecom": numbers, **more}


def batch(entries: list[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


def creation(resource: Resource) -> Resource:
    return {"resource": resource, "request": {"method": "POST", "url": "Patient"}}


def read_entry(**request: str) -> Resource:
    return {"request": {"method": "GET", "url": "Slot?_count=1", **request}}


class TestBodies:
    @pytest.mark.parametrize(
        ("who", "path", "bytes_", "status"),
        [
            ("nobody", "Patient/$validate", 60 * KIB, 200),
            ("nobody", "Patient/$validate", 70 * KIB, 413),
            ("nobody", "", 70 * KIB, 413),
            ("patient", "Patient/$validate", 200 * KIB, 200),
            ("patient", "Patient/$validate", 300 * KIB, 413),
            ("patient", "Patient", 300 * KIB, 413),
            ("software", "Patient/$validate", 3500 * KIB, 200),
            ("software", "Patient/$validate", 5000 * KIB, 413),
            ("software", "Patient", 300 * KIB, 413),
        ],
    )
    async def test_as_long_as_the_caller_may(
        self, callers: Callers, who: str, path: str, bytes_: int, status: int
    ) -> None:
        caller: Caller = getattr(callers, who)()
        answer = await caller.post(path, patient(bytes_))
        assert answer.status_code == status, answer.text[:300]
        if status == 413:
            assert code(answer) == "body-too-large"
            assert "Kio" in reason(answer)

    async def test_it_is_refused_before_it_is_read(self, callers: Callers) -> None:
        """Who announces four megabytes is answered at once: not one byte of them is asked for."""

        async def body() -> AsyncIterator[bytes]:
            raise AssertionError("the body was read")
            yield b""

        answer = await callers.client.post(
            "/fhir/Patient/$validate",
            content=body(),
            headers={"Content-Type": "application/fhir+json", "Content-Length": str(4 * 1024 * KIB)},
        )
        assert answer.status_code == 413

    async def test_a_body_of_unknown_length_is_bounded_too(self, callers: Callers) -> None:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(70):
                yield b" " * KIB

        answer = await callers.client.post(
            "/fhir/Patient/$validate", content=body(), headers={"Content-Type": "application/fhir+json"}
        )
        assert answer.status_code == 413

    async def test_what_is_read_beside_is_answered_alike(self, practice: Practice, callers: Callers) -> None:
        """The same bodies, small enough and too large to be worked on where they come in: same status, same words."""
        resources = {
            "valid": patient(40 * KIB),
            "wrong": patient(40 * KIB, gender="x"),
            "unreadable": patient(40 * KIB, name=None),
        }
        async with service(practice, heavy_bytes_min=10**9) as (here, _):
            for name, resource in resources.items():
                for path in ("Patient/$validate", "Patient"):
                    answers = [await c.software().post(path, resource) for c in (callers, here)]
                    beside, inline = ({**a.json(), "id": "", "meta": ""} for a in answers)
                    assert answers[0].status_code == answers[1].status_code, name
                    assert beside == inline, name

    async def test_xml_both_ways(self, callers: Callers) -> None:
        """A large resource comes as XML and goes as XML through the process beside."""
        resource, token = patient(40 * KIB), callers.issuer.token("software", unique("logiciel"))
        answer = await callers.client.post(
            "/fhir/Patient",
            content=to_xml(resource),
            headers={
                "Content-Type": "application/fhir+xml",
                "Accept": "application/fhir+xml",
                "Authorization": f"Bearer {token}",
            },
        )
        assert answer.status_code == 201, answer.text[:300]
        assert from_xml(answer.content)["telecom"] == resource["telecom"]

    async def test_a_large_page_cut_down(self, callers: Callers) -> None:
        """`_elements` of many resources: the page is the same as one resource's, many times."""
        caller, marker = callers.software(), unique("page")
        for _ in range(8):
            created = await caller.post(
                "Patient", patient(4 * KIB, identifier=[{"system": "urn:banc", "value": marker}])
            )
            assert created.status_code == 201
        page = (await caller.get("Patient", identifier=marker, _elements="name")).json()
        assert len(page["entry"]) == 8
        assert all("telecom" not in entry["resource"] for entry in page["entry"])
        assert all(entry["resource"]["name"] == [{"family": "Banc"}] for entry in page["entry"])


class TestResources:
    """What is stored is bounded as one resource, however it comes: it is indexed, told on the bus, shown to people."""

    async def test_a_name_of_a_million_characters(self, practice: Practice) -> None:
        """Was a 500: the event about it was longer than the bus takes. Also where bodies of the size are let in."""
        async with service(practice, resource_bytes_max=800_000) as (callers, _):
            for length, status, said in ((1_000_000, 413, "body-too-large"), (700_000, 422, "text-too-long")):
                answer = await callers.software().post(
                    "Patient", {"resourceType": "Patient", "name": [{"family": "a" * length}]}
                )
                assert (answer.status_code, code(answer)) == (status, said)
            assert answer.json()["issue"][0]["expression"] == ["Patient.name[0].family"]

    async def test_in_a_batch_the_large_entry_fails_alone(self, callers: Callers) -> None:
        large, long = (
            patient(300 * KIB),
            {"resourceType": "Patient", "name": [{"given": ["x", "a" * 20_000]}]},
        )
        answer = await callers.software().post("", batch([creation(r) for r in (large, long, patient(KIB))]))
        assert answer.status_code == 200, answer.text[:300]
        statuses = [entry["response"]["status"] for entry in answer.json()["entry"]]
        assert statuses == ["413", "422", "201"]
        outcome = answer.json()["entry"][1]["response"]["outcome"]
        assert outcome["issue"][0]["expression"] == ["Patient.name[0].given[1]"]

    async def test_what_an_operation_writes(self, callers: Callers, practice: Practice) -> None:
        """Item 66: a word to the practice, a comment, an appointment that is sent: as long as a plain write may have it, and
        refused before anything is changed, with the parameter named."""
        agenda, who = await practice.open_agenda(), await practice.new_patient()
        caller, long = callers.patient(who), "a" * 10_001
        wanted = appointment("booked", slots=agenda.slots[:1], patient=who, start=agenda.start)
        visit = await caller.post("Appointment", wanted)
        assert visit.status_code == 201, visit.text
        path = f"Appointment/{visit.json()['id']}"
        other = {**wanted, **appointment("booked", slots=agenda.slots[1:2], patient=who, start=agenda.at(1))}
        for address, body, where in (
            (f"{path}/$cancel", parameters(comment=long), "Parameters.parameter[0].valueString"),
            (f"{path}/$wait", parameters(times=long), "Parameters.parameter[0].valueString"),
            ("Appointment/$book", {**other, "comment": long}, "Appointment.comment"),
            (
                "Appointment/$hold",
                parameters(appointment={**other, "comment": long}),
                "Parameters.parameter[0].resource.comment",
            ),
        ):
            answer = await caller.post(address, body)
            assert (answer.status_code, code(answer)) == (422, "text-too-long"), answer.text[:300]
            assert answer.json()["issue"][0]["expression"] == [where]
        assert (await caller.get(path)).json()["status"] == "booked"
        assert await practice.slot_statuses(agenda.slots[:2]) == ["busy", "free"]

    async def test_a_patch_makes_nothing_larger(self, callers: Callers) -> None:
        caller = callers.software()
        id_ = (await caller.post("Patient", patient(KIB))).json()["id"]
        value = [{"telecom": patient(120 * KIB)["telecom"]}]
        operations = [{"op": "add", "path": "/contact", "value": value}]
        operations += [{"op": "copy", "from": "/contact/0", "path": "/contact/-"}] * 3
        answer = await caller.patch(f"Patient/{id_}", operations)
        assert (answer.status_code, code(answer)) == (413, "resource-too-large")

    async def test_a_narrative_may_be_long(self, callers: Callers) -> None:
        div = f'<div xmlns="http://www.w3.org/1999/xhtml">{"mot " * 10_000}</div>'
        resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
        assert (await callers.software().post("Patient", resource)).status_code == 201


class TestRates:
    async def test_an_address_without_a_token(self, practice: Practice) -> None:
        """Each address has its own; what a client says of itself beside the gateway's header counts for nothing."""
        async with service(practice, anonymous_requests_burst=3, anonymous_requests_per_s=0.001) as (
            callers,
            _,
        ):

            async def ask(address: str) -> httpx.Response:
                return await callers.client.get(
                    "/fhir/Slot?_count=1",
                    headers={**from_address(address), "X-Forwarded-For": unique("a")},
                )

            assert [(await ask("198.51.100.1")).status_code for _ in range(4)] == [200, 200, 200, 429]
            assert (await ask("198.51.100.2")).status_code == 200
            refused = await ask("198.51.100.1")
            assert code(refused) == "rate"
            assert int(refused.headers["Retry-After"]) > 1
            assert refused.json()["issue"][0]["code"] == "throttled"

    async def test_an_address_that_nginx_did_not_say(self, practice: Practice) -> None:
        """Whoever reaches the service past the entrance is a stranger of unknown address, whatever they say."""
        async with service(practice, anonymous_requests_burst=3, anonymous_requests_per_s=0.001) as (
            callers,
            _,
        ):
            statuses = [
                (
                    await callers.client.get(
                        "/fhir/Slot?_count=1", headers={"X-Client-Address": f"198.51.100.{number}"}
                    )
                ).status_code
                for number in range(4)
            ]
            assert statuses == [200, 200, 200, 429]

    async def test_what_an_account_has_used_up_in_one_process_it_has_in_the_other(
        self, practice: Practice
    ) -> None:
        limits = {
            "patient_requests_burst": 10,
            "patient_requests_per_s": 0.001,
            "cursor_secret": unique("secret"),
        }
        async with running_issuer() as issuer:
            settings = settings_for(str(practice.settings.database_url), issuer.url).model_copy(update=limits)
            one, other = (create_app(settings, practice.clock) for _ in range(2))
            token, neighbour = (issuer.token("patient", unique("citoyen")) for _ in range(2))
            async with serving(one) as first, serving(other) as second:
                statuses = [
                    (await Caller(client, token).get("Slot", _count="1")).status_code
                    for client in (first, second) * 10
                ]
                assert sorted(statuses) == [200] * 10 + [429] * 10
                assert (await Caller(second, neighbour).get("Slot", _count="1")).status_code == 200

    async def test_a_batch_counts_entry_by_entry_before_any_is_carried_out(self, practice: Practice) -> None:
        limits = {"patient_requests_burst": 20, "patient_requests_per_s": 0.001}
        async with service(practice, **limits) as (callers, _):
            caller, marker = callers.patient(), unique("lot")
            creations = [creation(patient(0, identifier=[{"system": "urn:lot", "value": marker}]))]
            never = await caller.post("", batch(creations * 30))
            assert (never.status_code, code(never)) == (429, "rate-never")
            assert (await caller.post("", batch([read_entry()] * 15))).status_code == 200
            later = await caller.post("", batch(creations * 10))
            assert (later.status_code, code(later)) == (429, "rate")
            found = await practice.database.pool.fetchval(
                "SELECT count(*) FROM patient WHERE terms && $1::text[]", [f"identifier=urn:lot|{marker}"]
            )
            assert found == 0

    async def test_large_bodies_and_answers_count_for_more(self, practice: Practice) -> None:
        async with service(practice, patient_requests_burst=12, patient_requests_per_s=0.001) as (callers, _):
            caller = callers.patient()
            assert (await caller.post("Patient/$validate", patient(100 * KIB))).status_code == 200
            assert (await caller.post("Patient/$validate", patient(100 * KIB))).status_code == 429

    @pytest.mark.parametrize("sent", ["compressed", "in chunks"])
    async def test_a_body_counts_by_its_length_once_decoded(self, practice: Practice, sent: str) -> None:
        """A hundred KiB of text are a few hundred bytes on the wire, or of a length that nobody declares."""
        content = json.dumps(patient(100 * KIB)).encode()
        headers = {"Content-Type": "application/fhir+json", **from_address("198.51.100.3")}

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(content), KIB):
                yield content[at : at + KIB]

        limits = {"anonymous_requests_burst": 12, "anonymous_requests_per_s": 0.001}
        async with service(practice, anonymous_body_bytes_max=200 * KIB, **limits) as (callers, _):

            async def post() -> httpx.Response:
                at = "/fhir/Patient/$validate"
                if sent == "in chunks":
                    return await callers.client.post(at, content=chunks(), headers=headers)
                coded = {**headers, "Content-Encoding": "gzip"}
                return await callers.client.post(at, content=gzip.compress(content), headers=coded)

            assert [(await post()).status_code for _ in range(2)] == [200, 429]

    async def test_trusted_loaders_are_not_counted(self, practice: Practice) -> None:
        async with service(practice, software_requests_burst=1, staff_requests_burst=1) as (callers, _):
            caller = callers.software()
            assert {(await caller.get("Slot", _count="1")).status_code for _ in range(20)} == {200}

    async def test_a_count_that_cannot_be_asked_stops_nobody(self, practice: Practice) -> None:
        async with service(practice) as (callers, app):
            await app.fhir.service.limits.database.pool.close()
            assert (await callers.nobody().get("Slot", _count="1")).status_code == 200

    async def test_no_address_is_stored(self, practice: Practice) -> None:
        async with service(practice) as (callers, _):
            await callers.client.get("/fhir/Slot?_count=1", headers=from_address("203.0.113.77"))
            rows = await practice.database.pool.fetch("SELECT key::text FROM rate_bucket")
            assert rows
            assert all(b"203.0.113" not in bytes.fromhex(row["key"][2:]) for row in rows)


class TestWaiting:
    async def test_who_waits_too_long_for_a_connection_is_told_so(self, practice: Practice) -> None:
        """503 `throttled` with Retry-After and not the end of their patience; readiness says why, until there is room."""
        async with service(practice, database_pool_size=2, database_pool_wait_s=1.0) as (callers, app):
            database = app.fhir.service.database
            async with AsyncExitStack() as both:
                for _ in range(2):
                    await both.enter_async_context(_held(database))
                answer = await callers.nobody().get("Slot", _count="1")
                assert answer.status_code == 503
                assert answer.json()["issue"][0]["code"] == "throttled"
                assert code(answer) == "busy"
                assert answer.headers["Retry-After"] == "2"
                ready, states = await app.health.ready()
                assert not ready
                assert states["database pool"] == "down (PoolStarvedError)"
            assert (await callers.nobody().get("Slot", _count="1")).status_code == 200
            assert await app.health.ready() == (True, dict.fromkeys(states, "ok"))

    async def test_who_reads_does_not_wait_for_all_who_write(self, practice: Practice) -> None:
        """As many transactions as there are connections, and none of them ends: reads are answered all the same, and
        the next who writes is told so."""
        limits = {"database_pool_size": 4, "database_pool_reads": 1, "database_pool_wait_s": 1.0}
        async with service(practice, **limits) as (callers, app), AsyncExitStack() as writers:
            for _ in range(3):
                await writers.enter_async_context(_held(app.fhir.service.database, write=True))
            answer = await callers.software().post("Patient", patient(0))
            assert (answer.status_code, code(answer)) == (503, "busy")
            assert (await callers.nobody().get("Slot", _count="1")).status_code == 200
            assert not (await app.health.ready())[0]


@asynccontextmanager
async def _held(database: Database, *, write: bool = False) -> AsyncIterator[None]:
    """A connection that another task has in use meanwhile, for a transaction or without one. On a busy machine one may
    take longer to open than these tests let anybody wait: it is asked for until it is there."""
    taken, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        while not done.is_set():
            with suppress(Unavailable):
                async with database.transaction() if write else database.connection():
                    taken.set()
                    await done.wait()

    holding = asyncio.create_task(hold())
    await taken.wait()
    yield
    done.set()
    await holding


class TestEntries:
    """An entry of a Bundle asks for no more than a request could."""

    @pytest.mark.parametrize("name", ["ifNoneMatch", "ifMatch", "ifNoneExist"])
    async def test_control_characters_in_place_of_a_header(self, callers: Callers, name: str) -> None:
        answer = await callers.nobody().post("", batch([read_entry(**{name: 'W/"1"\r\nX-Role: system'})]))
        assert (answer.status_code, code(answer)) == (400, "control-character")
        assert answer.json()["issue"][0]["expression"] == [f"Bundle.entry[0].request.{name}"]

    @pytest.mark.parametrize(
        "url",
        [
            "gopher://x/Slot",
            "http://127.0.0.1:9/Slot",
            "https://elsewhere.example/fhir/Slot",
            "//elsewhere.example/Slot",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "\\\\elsewhere\\Slot",
            " gopher://x/Slot",
        ],
    )
    async def test_another_address_than_ours(self, callers: Callers, url: str) -> None:
        answer = await callers.nobody().post("", batch([read_entry(url=url)]))
        assert answer.status_code == 400, answer.text[:300]
        assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0].request.url"]

    async def test_a_base_that_only_begins_like_ours(self, callers: Callers, practice: Practice) -> None:
        url = f"{practice.settings.public_base_url}x/Slot"
        assert (await callers.nobody().post("", batch([read_entry(url=url)]))).status_code == 400

    @pytest.mark.parametrize("prefix", ["", "/", "{base}/"])
    async def test_ours(self, callers: Callers, practice: Practice, prefix: str) -> None:
        url = f"{prefix.format(base=practice.settings.public_base_url)}Slot?_count=1&start=ge2026-11-25T08:00:00"
        answer = await callers.nobody().post("", batch([read_entry(url=url)]))
        assert answer.json()["entry"][0]["response"]["status"] == "200", json.dumps(answer.json())[:300]
