"""`Prefer: respond-async`: judged and recorded now, carried out once, answered to who asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from shared.tests.service.small import BASE, Said, Small, bundle

from creneau_shared.fhir.rest import async_runner
from creneau_shared.fhir.rest.async_runner import AsyncRunner
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.fhir.storage import async_requests

PERSON = {"resourceType": "Patient", "name": [{"family": "Lefèvre"}]}
LATER = {"Prefer": "respond-async"}


@pytest.fixture
def runner(small: Small, monkeypatch: pytest.MonkeyPatch) -> AsyncRunner:
    """A worker whose leases end at once."""
    monkeypatch.setattr(async_runner, "LEASE_S", 0.0)
    return new_runner(small)


def new_runner(small: Small) -> AsyncRunner:
    return AsyncRunner(small.server, AsyncSettings())


def address(accepted: Said) -> str:
    assert accepted.status == 202, accepted.resource
    return accepted.headers["Content-Location"].removeprefix(f"{BASE}/")


async def test_it_is_carried_out_later_and_answered_as_if_at_once(small: Small, runner: AsyncRunner) -> None:
    camille = small.patient("camille")
    at = address(await camille.ask("POST", "Patient", PERSON, **LATER))
    assert await small.count("patient") == 0
    assert (await camille.ask("GET", at)).status == 202
    assert await runner.run_next()
    said = await camille.ask("GET", at)
    assert (said.status, said.resource["name"]) == (201, PERSON["name"])
    assert not await runner.run_next()
    for other in (small.patient("camille", subject="another account"), small.system):
        assert (await other.ask("GET", at)).status == 404


async def test_what_cannot_succeed_is_refused_at_once(small: Small, runner: AsyncRunner) -> None:
    """By the same route as at once, without an attempt."""
    camille = small.patient("camille")
    for address_, body, status in (
        ("Organization", {"resourceType": "Organization", "name": "x"}, 403),
        ("Observation", PERSON, 404),
        ("AuditEvent", PERSON, 405),
        ("Patient/$nothing", PERSON, 501),
        ("", {"resourceType": "Bundle", "type": "searchset"}, 400),
        ("", bundle("batch", ("POST", "/", bundle("batch", ("GET", "Organization", None)))), 400),
        ("", bundle("batch", ("GET", "https://elsewhere.example/Organization", None)), 400),
    ):
        said = await camille.ask("POST", address_, body, **LATER)
        assert said.status == status, (address_, said.resource)
    assert not await runner.run_next()


async def test_several_workers_carry_it_out_once(small: Small, runner: AsyncRunner) -> None:
    at = address(await small.system.ask("POST", "Patient", PERSON, **LATER))
    assert any(await asyncio.gather(*(new_runner(small).run_next() for _ in range(3))))
    assert (await small.system.ask("GET", at)).status == 201
    assert await small.count("patient") == 1


async def test_effect_and_answer_are_there_together_or_not_at_all(
    small: Small, runner: AsyncRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies between the two leaves neither, and the next one does both."""
    at = address(await small.system.ask("POST", "Patient", PERSON, **LATER))
    written: list[int] = []

    async def die(connection: Any, *_: object) -> None:
        written.append(await connection.fetchval("SELECT count(*) FROM patient"))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(async_requests, "keep", die)
        with pytest.raises(KeyboardInterrupt):
            await runner.run_next()
    assert written == [1], "it was there, in the transaction"
    assert await small.count("patient") == 0
    assert await new_runner(small).run_next()
    assert (await small.system.ask("GET", at)).status == 201
    assert await small.count("patient") == 1


async def test_a_batch_keeps_its_savepoints_in_the_answers_transaction(
    small: Small, runner: AsyncRunner
) -> None:
    """What fails undoes itself alone, its trace too; the rest commits with the answer."""
    wrong = {"resourceType": "Patient", "gender": "x"}
    asked = bundle(
        "batch", ("POST", "Patient", PERSON), ("POST", "Patient", wrong), ("POST", "Patient", PERSON)
    )
    at = address(await small.system.ask("POST", "", asked, **LATER))
    await runner.run_next()
    said = (await small.system.ask("GET", at)).resource
    assert [entry["response"]["status"] for entry in said["entry"]] == ["201", "400", "201"]
    assert await small.count("patient") == 2


async def test_a_batch_is_asked_for_once_with_its_key(small: Small, runner: AsyncRunner) -> None:
    asked = bundle("batch", ("POST", "Patient", PERSON))
    first, again = [await small.system.ask("POST", "", asked, Idempotency_Key="one", **LATER) for _ in "12"]
    assert address(first) == address(again)
    assert await runner.run_next()
    said = await small.system.ask("GET", address(first))
    assert [entry["response"]["status"] for entry in said.resource["entry"]] == ["201"]
    assert await small.count("patient") == 1


async def test_what_is_kept_for_one_account_is_bounded(
    small: Small, runner: AsyncRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number and by size, whichever client asked; what was read can be taken away, and others are not concerned."""

    def at_most(**bound: Any) -> None:
        monkeypatch.setattr(small.server.asynchronous, "_settings", AsyncSettings(**bound))

    camille = small.patient("camille")
    first = address(await camille.ask("POST", "Patient", PERSON, **LATER))
    address(await camille.ask("POST", "Patient", PERSON, **LATER))
    while await runner.run_next():
        pass
    for bound in ({"async_kept_per_subject_max": 2}, {"async_kept_bytes_per_subject_max": 200}):
        at_most(**bound)
        refused = await camille.ask("POST", "Patient", PERSON, **LATER)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "3600")
        assert refused.resource["issue"][0]["details"]["coding"][0]["code"] == "answers-kept"
        assert "24 hours" in refused.resource["issue"][0]["details"]["text"]
        address(await small.system.ask("POST", "Patient", PERSON, **LATER))
    at_most(async_kept_per_subject_max=2)
    assert (await camille.ask("DELETE", first)).status == 202
    address(await camille.ask("POST", "Patient", PERSON, **LATER))
