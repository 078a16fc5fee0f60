"""`Prefer: respond-async`: accepted, carried out exactly once, answered to the one who asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from services.booking.tests.api.test_proxies import People
from services.booking.tests.client import Caller, as_stored
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import BASE, appointment, patient, unique
from services.booking.tests.practice import Agenda, Practice
from tests.fixtures.bells import hearing

from creneau_booking.app import create_fhir
from creneau_shared.fhir.rest import async_runner
from creneau_shared.fhir.rest.async_runner import AsyncRunner
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.fhir.storage import async_requests
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.retention.rules import removing

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def caller(callers: Callers, camille: str) -> Caller:
    return callers.patient(camille)


@pytest.fixture
async def runner(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> AsyncRunner:
    """A worker with nothing left over from other tests, whose leases end at once."""
    await practice.database.pool.execute("DELETE FROM async_request")
    monkeypatch.setattr(async_runner, "LEASE_S", 0.0)
    return new_runner(practice)


def new_runner(practice: Practice, **limits: Any) -> AsyncRunner:
    server = create_fhir(practice.settings, practice.database, practice.clock)
    return AsyncRunner(server, AsyncSettings(**limits))


def wish(agenda: Agenda, camille: str) -> Resource:
    return appointment("proposed", slots=agenda.slots[:1], patient=camille, start=agenda.start)


def address(accepted: httpx.Response) -> str:
    assert accepted.status_code == 202, accepted.text
    assert accepted.headers["preference-applied"] == "respond-async"
    return accepted.headers["content-location"].removeprefix(f"{BASE}/")


async def taken(practice: Practice, agenda: Agenda) -> int:
    return len(await practice.occupied(agenda.practitioner))


async def until_taken(practice: Practice, agenda: Agenda) -> None:
    for _ in range(3000):
        if await taken(practice, agenda):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody has carried it out")


@asynccontextmanager
async def running(runner: AsyncRunner) -> AsyncIterator[None]:
    """One lane of a worker."""
    stop = asyncio.Event()
    lane = asyncio.create_task(runner.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(lane, 30)


async def test_book_is_accepted_then_answered_as_if_at_once(
    practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    """ISiK: 202 and an absolute Content-Location; there 202 until it is done, then the Appointment itself."""
    accepted = await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC)
    assert accepted.headers["content-location"].startswith(f"{BASE}/_async/booking/")
    assert accepted.json()["issue"][0]["severity"] == "information"
    assert await taken(practice, agenda) == 0
    waiting = await caller.get(address(accepted))
    assert (waiting.status_code, waiting.headers["retry-after"]) == (202, "1")
    assert waiting.headers["x-progress"] == "en attente"
    assert await runner.run_next()
    answer = await caller.get(address(accepted))
    booked = answer.json()
    assert (answer.status_code, booked["status"], answer.headers["etag"]) == (201, "booked", 'W/"1"')
    assert answer.headers["location"] == f"{BASE}/Appointment/{booked['id']}/_history/1"
    assert as_stored((await caller.get(f"Appointment/{booked['id']}")).json()) == booked
    assert (await caller.get(address(accepted))).content == answer.content, "as often as wanted"
    assert (await caller.get(address(accepted), _format="xml")).text.startswith("<?xml")
    assert not await runner.run_next()


async def test_what_was_asked_is_erased_once_it_is_answered(
    practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    """Personal data is kept no longer than it is needed, the answer no longer than its time."""
    await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC)
    await runner.run_next()
    rows = await practice.database.pool.fetch("SELECT request, body, status FROM async_request")
    assert [tuple(row) for row in rows] == [(None, None, 201)]
    async with practice.database.connection() as connection:
        forget = removing("async_request", "finished_at")
        finished = await connection.fetchval("SELECT finished_at FROM async_request")
        assert await forget(connection, finished, 10) == 0
        assert await forget(connection, finished + timedelta(seconds=1), 10) == 1


async def test_a_failure_is_an_answer_too(
    practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    wanted = wish(agenda, camille)
    first, second = [await caller.post("Appointment/$book", wanted, **ASYNC) for _ in range(2)]
    assert await runner.run_next()
    assert await runner.run_next()
    assert (await caller.get(address(first))).status_code == 201
    refused = await caller.get(address(second))
    assert (refused.status_code, refused.json()["resourceType"]) == (409, "OperationOutcome")
    assert await taken(practice, agenda) == 1


async def test_two_workers_on_one_request_carry_it_out_once(
    practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    """Even when the lease has ended while the first is at it: the row's lock decides."""
    accepted = await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC)
    done = await asyncio.gather(*(new_runner(practice).run_next() for _ in range(3)))
    assert any(done)
    assert (await caller.get(address(accepted))).status_code == 201
    assert await taken(practice, agenda) == 1
    assert not await runner.run_next()


async def test_a_process_that_dies_between_effect_and_answer_leaves_neither(
    practice: Practice,
    agenda: Agenda,
    camille: str,
    caller: Caller,
    runner: AsyncRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted = await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC)
    seen: list[int] = []

    async def die(connection: Any, *_: object) -> None:
        seen.append(
            await connection.fetchval("SELECT count(*) FROM occupancy WHERE actor = $1", agenda.practitioner)
        )
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(async_requests, "keep", die)
        with pytest.raises(KeyboardInterrupt):
            await runner.run_next()
    assert seen == [1], "the effect was there, in the transaction"
    assert await taken(practice, agenda) == 0
    assert (await caller.get(address(accepted))).headers["x-progress"] == "en cours"
    assert await new_runner(practice).run_next()
    assert (await caller.get(address(accepted))).status_code == 201
    assert await taken(practice, agenda) == 1


async def test_what_ends_its_process_again_and_again_is_given_up(
    practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    accepted = await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC)
    async with practice.database.connection() as connection:
        for _ in range(3):
            assert await async_requests.lease(connection, 0.0) is not None
    assert await runner.run_next()
    answer = await caller.get(address(accepted))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (500, "exception")
    assert await taken(practice, agenda) == 0


async def test_cancelling(
    practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    """Before it has begun nothing is done; under way it is too late; finished, the answer is forgotten."""
    before, during = [
        address(await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC)) for _ in "ab"
    ]
    assert (await caller.delete(before)).status_code == 202
    assert (await caller.get(before)).status_code == 404
    async with practice.database.transaction() as connection:
        leased = await async_requests.lease(practice.database.pool, 0.0)  # type: ignore[arg-type]
        assert leased is not None
        assert await async_requests.hold(connection, leased)
        assert (await caller.delete(during)).status_code == 409
    assert await runner.run_next()
    assert (await caller.get(during)).status_code == 201
    assert (await caller.delete(during)).status_code == 202
    assert (await caller.get(during)).status_code == 404
    assert await taken(practice, agenda) == 1


async def test_nobody_else_comes_for_the_answer(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    """Neither software with every right nor another account of the same patient; nor whoever has no token."""
    at = address(await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC))
    await runner.run_next()
    for other in (callers.software(), callers.patient(camille), callers.nobody()):
        assert (await other.get(at)).status_code == 404
        assert (await other.delete(at)).status_code == 404
    assert (await caller.get(at)).status_code == 201
    assert (await caller.get("_async/booking/not-a-uuid")).status_code == 404
    assert (await caller.get(at.replace("booking", "directory"))).status_code == 404
    assert (await caller.put(at, {})).status_code == 405


async def test_an_answer_is_for_the_rights_that_it_was_asked_with(
    practice: Practice, agenda: Agenda, camille: str, callers: Callers, runner: AsyncRunner
) -> None:
    """The same account through another client, with fewer scopes, or for other practices comes for nothing, and withdraws
    nothing; a refreshed token, which says the same, does."""
    subject, client = unique("compte"), callers.client

    def holder(**claims: object) -> Caller:
        said = {"client_id": "page", **claims}
        return Caller(client, callers.issuer.token("patient", subject, camille.partition("/")[2], **said))

    at = address(await holder().post("Appointment/$book", wish(agenda, camille), **ASYNC))
    others = [
        holder(client_id="another"),
        holder(scope="patient/Slot.rs"),
        holder(creneau_organizations=["cabinet"]),
        holder(creneau_role="practitioner"),
    ]
    for moment in ("waiting", "answered"):
        for other in others:
            assert (await other.get(at)).status_code == 404, moment
            assert (await other.delete(at)).status_code == 404, moment
        assert await runner.run_next() == (moment == "waiting")
    assert (await holder(jti=unique("token")).get(at)).status_code == 201


async def test_an_answer_is_not_given_once_the_right_to_it_has_ended(
    callers: Callers, runner: AsyncRunner
) -> None:
    """To a carer whose part the person has ended meanwhile. What ends one's own part answers all the same."""
    people = People(callers)
    person, of, carer, statement = await people.carer("see")

    async def later(who: Caller, method: str, path: str, body: Resource | None = None) -> str:
        sent = await callers.client.request(
            method, f"/fhir/{path}", json=body, headers={**who.headers, **ASYNC}
        )
        at = address(sent)
        assert await runner.run_next()
        return at

    seen = await later(carer, "GET", f"Appointment?patient={of}")
    assert (await carer.get(seen)).status_code == 200
    assert (await person.delete(statement)).status_code == 204
    assert (await carer.get(seen)).status_code == 404

    _, _, other, part = await people.carer("see")
    ended = await later(other, "POST", f"{part}/$renounce", {"resourceType": "Parameters"})
    assert (await other.get(ended)).status_code == 200


async def test_what_can_be_refused_is_refused_at_once(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    wanted = wish(agenda, camille)
    reader = callers.with_scopes("reader", camille)
    entry = {"request": {"method": "GET", "url": "Slot"}}
    for who, path, body, status in (
        (caller, "Appointment/$nothing", wanted, 501),
        (caller, "Observation", wanted, 404),
        (caller, "AuditEvent", wanted, 405),
        (reader, f"Appointment/{unique('a')}/$reschedule", wanted, 403),
        (reader, "Patient", patient(), 403),
        (caller, "", {"resourceType": "Bundle", "type": "searchset", "entry": [entry]}, 400),
        (caller, "", {"resourceType": "Bundle", "type": "batch", "entry": [{}]}, 400),
    ):
        answer = await who.post(path, body, **ASYNC)
        assert answer.status_code == status, (path, answer.text)
    assert not await runner.run_next()


async def test_a_lane_that_waits_is_woken_by_what_is_accepted(
    practice: Practice,
    agenda: Agenda,
    camille: str,
    caller: Caller,
    runner: AsyncRunner,
    waiting: asyncio.Event,
) -> None:
    """Nothing else does: with nothing unfinished it would wait for ever. The API's database is another process's."""
    async with hearing(practice.database), running(runner):
        await asyncio.wait_for(waiting.wait(), 30)
        await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC)
        await until_taken(practice, agenda)


async def test_a_lane_waits_no_longer_than_the_lease_of_what_another_has_begun(
    practice: Practice,
    agenda: Agenda,
    camille: str,
    caller: Caller,
    runner: AsyncRunner,
    waiting: asyncio.Event,
) -> None:
    """Whoever leased it has died: nobody says so."""
    await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC)
    async with practice.database.connection() as connection:
        assert await async_requests.lease(connection, 1.0) is not None
    async with running(runner):
        await asyncio.wait_for(waiting.wait(), 30)
        assert not await taken(practice, agenda)
        await until_taken(practice, agenda)


async def test_without_a_token_the_preference_is_left_aside(callers: Callers, runner: AsyncRunner) -> None:
    """Nobody could come back for the answer; and a single read is answered at once for everybody."""
    found = await callers.nobody().post("Appointment/$find", {"resourceType": "Parameters"}, **ASYNC)
    assert found.status_code != 202
    assert "preference-applied" not in found.headers
    assert not await runner.run_next()


async def test_one_idempotency_key_is_one_request(
    practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    """Sent twice it is recorded once, before and after it is carried out; at once, too, it is the same booking."""
    key = {"Idempotency_Key": unique("cle")}
    wanted = wish(agenda, camille)
    first = address(await caller.post("Appointment/$book", wanted, **ASYNC, **key))
    assert address(await caller.post("Appointment/$book", wanted, **ASYNC, **key)) == first
    await runner.run_next()
    assert address(await caller.post("Appointment/$book", wanted, **ASYNC, **key)) == first
    answer = await caller.get(first)
    at_once = await caller.post("Appointment/$book", wanted, **key)
    assert (at_once.status_code, at_once.json()) == (201, answer.json())
    other = await caller.post("Appointment/$book", {**wanted, "comment": "autre"}, **ASYNC, **key)
    assert (other.status_code, other.json()["issue"][0]["code"]) == (422, "duplicate")


async def test_return_preferences_hold_for_the_later_answer(
    practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    minimal = await caller.post(
        "Appointment/$book", wish(agenda, camille), Prefer="respond-async, return=minimal"
    )
    said = await caller.post("Patient", patient(), Prefer="return=OperationOutcome; respond-async")
    assert await runner.run_next()
    assert await runner.run_next()
    answer = await caller.get(address(minimal))
    assert (answer.status_code, answer.content) == (201, b"")
    assert "/Appointment/" in answer.headers["location"]
    outcome = await caller.get(address(said))
    assert (outcome.status_code, outcome.json()["resourceType"]) == (201, "OperationOutcome")


async def test_a_batch_runs_entry_by_entry_and_what_fails_fails_alone(
    practice: Practice, agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    """The entries share the transaction of the answer; each has a savepoint of its own."""

    def post(resource: Resource) -> Resource:
        return {"request": {"method": "POST", "url": "Appointment"}, "resource": resource}

    wanted = {**wish(agenda, camille), "status": "booked"}
    entries = [post(wanted), post(wanted), {"request": {"method": "GET", "url": f"Slot/{agenda.slots[0]}"}}]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    accepted = await caller.post("", bundle, **ASYNC)
    await runner.run_next()
    answer = (await caller.get(address(accepted))).json()
    assert answer["type"] == "batch-response"
    assert [entry["response"]["status"] for entry in answer["entry"]] == ["201", "409", "200"]
    assert answer["entry"][2]["resource"]["status"] == "busy"
    assert await taken(practice, agenda) == 1


async def test_searches_and_histories_can_wait_too(
    callers: Callers, practice: Practice, agenda: Agenda, runner: AsyncRunner
) -> None:
    software = callers.software()
    for path in (f"Slot?schedule=Schedule/{agenda.id}", f"Slot/{agenda.slots[0]}/_history"):
        accepted = await software.send("GET", path, None, ASYNC)
        assert await runner.run_next()
        answer = await software.get(address(accepted))
        assert (answer.status_code, answer.json()["resourceType"]) == (200, "Bundle")
        assert answer.json()["entry"]
    read = await software.send("GET", f"Slot/{agenda.slots[0]}", None, ASYNC)
    assert (read.status_code, read.json()["resourceType"]) == (200, "Slot")


async def test_polling_without_a_pause_is_refused(
    agenda: Agenda, camille: str, caller: Caller, runner: AsyncRunner
) -> None:
    at = address(await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC))
    statuses = [(await caller.get(at)).status_code for _ in range(12)]
    assert statuses[:10] == [202] * 10
    assert statuses[11] == 429


async def test_one_subject_does_not_fill_the_queue(
    callers: Callers, practice: Practice, camille: str, runner: AsyncRunner
) -> None:
    caller = callers.patient(camille)
    await caller.post("Patient", patient(), **ASYNC)
    await practice.database.pool.execute(
        "INSERT INTO async_request (id, issuer, subject, digest)"
        " SELECT gen_random_uuid(), issuer, subject, '' FROM async_request, generate_series(1, 49)"
    )
    refused = await caller.post("Patient", patient(), **ASYNC)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert (await callers.patient(camille).post("Patient", patient(), **ASYNC)).status_code == 202
    await practice.database.pool.execute("DELETE FROM async_request")


async def test_what_may_pass_is_tried_again(
    practice: Practice,
    agenda: Agenda,
    camille: str,
    caller: Caller,
    runner: AsyncRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lost connection or a rival's lock is no answer as long as there are attempts left."""
    at = address(await caller.post("Appointment/$book", wish(agenda, camille), **ASYNC))

    async def unreachable(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(FhirServer, "handle", unreachable)
        assert await runner.run_next()
        assert await runner.run_next()
    assert (await caller.get(at)).status_code == 202
    assert await runner.run_next()
    assert (await caller.get(at)).status_code == 201
