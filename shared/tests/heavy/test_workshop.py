"""Heavy work is done beside, gives what it would have given here, and whatever happens to it stays there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from creneau_shared.errors import BadRequest, Unavailable
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.judging import Question, judge_body
from creneau_shared.fhir.xml import to_xml
from creneau_shared.heavy.wire import packed
from creneau_shared.heavy.workshop import Workshop

PATIENT = {"resourceType": "Patient", "name": [{"family": "Lefèvre"}], "active": True}
QUESTION = Question("Patient", None, None, "fr")


@pytest.fixture
async def workshop() -> AsyncIterator[Workshop]:
    made = Workshop(bytes_min=1, waiting_max=2)
    yield made
    await made.close()


def pid(workshop: Workshop) -> int:
    assert workshop.pid is not None
    return workshop.pid


async def ended(process: int) -> None:
    """Wait until this process is gone."""
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    loop.add_reader(handle, gone.set)
    try:
        await asyncio.wait_for(gone.wait(), 20)
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def long_work() -> bytes:
    """A body that takes seconds to judge."""
    return json.dumps(
        {**PATIENT, "telecom": [{"system": "phone", "value": "+33199000000"}] * 400_000}
    ).encode()


async def test_jobs_give_what_they_would_give_here(workshop: Workshop) -> None:
    """Values with their digits, bytes as they are, refusals with their issues and status."""
    body = b'{"resourceType":"Location","position":{"longitude":1.10,"latitude":48}}'
    read = await workshop.do("read", "json", body)
    assert read["position"]["longitude"].as_tuple() == Decimal("1.10").as_tuple()
    assert await workshop.do("read", "xml", to_xml(PATIENT)) == PATIENT
    named = {"reference": "Practitioner?identifier=urn:x|1"}
    entry = {"resource": {**PATIENT, "generalPractitioner": [named, named]}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry]}
    assert await workshop.do("read bundle", "json", dumps(bundle)) == (bundle, 3)
    assert await workshop.do("write xml", dumps(PATIENT)) == to_xml(PATIENT)
    wrong = {**PATIENT, "gender": "x"}
    assert await workshop.do("validate", "json", dumps(wrong), QUESTION) == judge_body(wrong, QUESTION)
    (cut,) = await workshop.do("cut", [dumps({**PATIENT, "photo": [{"title": "x"}]})], ("name",), "false")
    assert "photo" not in loads(cut)
    with pytest.raises(BadRequest) as refused:
        await workshop.do("read", "json", b'{"a":')
    with pytest.raises(BadRequest) as here:
        loads(b'{"a":')
    assert refused.value.issues == here.value.issues


async def test_one_process_for_all_jobs(workshop: Workshop) -> None:
    await workshop.do("read", "json", dumps(PATIENT))
    first = pid(workshop)
    await workshop.do("read", "json", dumps(PATIENT))
    assert pid(workshop) == first


async def test_a_job_that_is_given_up_ends(workshop: Workshop) -> None:
    """A request's time is over: its work does not go on, and the next one gets its own answer."""
    await workshop.do("read", "json", dumps(PATIENT))
    before = pid(workshop)
    job = asyncio.create_task(workshop.do("validate", "json", long_work(), QUESTION))
    await asyncio.sleep(0)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await ended(before)
    assert await workshop.do("read", "json", dumps(PATIENT)) == PATIENT


async def test_a_process_that_dies_fails_its_job_alone(workshop: Workshop) -> None:
    await workshop.do("read", "json", dumps(PATIENT))
    job = asyncio.create_task(workshop.do("validate", "json", long_work(), QUESTION))
    await asyncio.sleep(0)
    os.kill(pid(workshop), signal.SIGKILL)
    with pytest.raises(Unavailable):
        await job
    assert await workshop.do("read", "json", dumps(PATIENT)) == PATIENT


async def test_who_comes_when_too_many_wait_is_told_so(workshop: Workshop) -> None:
    """503 `throttled` with Retry-After, at once; those who wait are served."""
    waiting = [asyncio.create_task(workshop.do("read", "json", dumps(PATIENT))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refused:
        await workshop.do("read", "json", dumps(PATIENT))
    assert refused.value.issues[0].code == "throttled"
    assert "Retry-After" in refused.value.headers
    assert await asyncio.gather(*waiting) == [PATIENT, PATIENT]
    assert await workshop.do("read", "json", dumps(PATIENT)) == PATIENT


def test_it_ends_with_its_parent() -> None:
    """The pipe ends, and the process with it, without an error."""
    for said in (b"", packed(("read", ("json", dumps(PATIENT))))):
        done = subprocess.run(
            [sys.executable, "-m", "creneau_shared.heavy"],
            input=said,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
