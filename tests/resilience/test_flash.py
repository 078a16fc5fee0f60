"""A slot release at eight o'clock: hundreds write at once, and nobody else waits for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import httpx

from tests.fixtures.local_run import LocalRun
from tests.resilience.client import Answer, Client

PATIENTS = 200
PATIENT = {"resourceType": "Patient", "name": [{"family": "Éclair", "given": ["Camille"]}]}


async def test_two_hundred_patients_register_at_once(local_run: LocalRun) -> None:
    """Each with an account of their own, through one process with its ten connections: everybody is answered, with
    what was asked for or with 503 `throttled`; a stranger's reads are answered all the while."""
    port = int(local_run.processes()["booking-api-1"]["port"])
    tokens = [local_run.token("patient", f"flash-{number}") for number in range(PATIENTS)]
    reads: list[tuple[int, bool]] = []
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(port, token)) for token in tokens]
        await asyncio.gather(*(client.connect() for client in clients))
        reader = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
        writes = [asyncio.create_task(client.post("/fhir/Patient", PATIENT)) for client in clients]

        async def read() -> None:
            while not all(write.done() for write in writes):
                answer = await reader.get(f"http://127.0.0.1:{port}/fhir/Slot?_count=1")
                reads.append((answer.status_code, all(write.done() for write in writes)))

        await read()
        answers = await asyncio.gather(*writes)
    told = Counter(what(answer) for answer in answers)
    print(f"\n{dict(told)}; {len(reads)} reads meanwhile")
    assert set(told) <= {"201", "503 throttled"}
    assert told["201"] >= PATIENTS // 4
    assert {status for status, _ in reads} == {200}
    assert not reads[0][1], "the first read was answered after the last write"


def what(answer: Answer) -> str:
    """The status; with what a 503 says."""
    return "201" if answer.status == 201 else f"{answer.status} {answer.body['issue'][0]['code']}"
