"""The directory is loaded from a file while the broker dies: booking's replica becomes what the directory is."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploy.local.ports import LOOPBACK, wait_until
from services.directory.tests.test_loading import HEADER, line, rpps

from tests.fixtures.local_run import LocalRun, eventually, running

pytestmark = pytest.mark.slow

PEOPLE = 1500
CONVERGED_WITHIN_S = 300.0
TYPES = ("practitioner", "organization", "location", "practitioner_role")


@pytest.fixture(scope="module")
def empty_run(request: pytest.FixtureRequest) -> Iterator[LocalRun]:
    """A system without the demonstration data."""
    with running(request.session, demonstration=False) as run:
        yield run


async def load(run: LocalRun, path: Path, *options: str) -> asyncio.subprocess.Process:
    """`creneau-directory load annuaire`, begun."""
    folder = run.folder
    environment = {
        **os.environ,
        "DATABASE_URL": f"postgresql://postgres:{folder.secret('postgres')}@{LOOPBACK}:{folder.port('postgres')}/creneau_directory",
        "PUBLIC_BASE_URL": f"{run.url}/fhir",
        "LOAD_BATCH_RESOURCES": "100",
        "LOAD_PROGRESS_S": "0.01",
    }
    program = ("-m", "creneau_directory.main", "load", "annuaire", str(path), *options)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def state(run: LocalRun, service: str) -> dict[str, list[tuple[Any, ...]]]:
    """What a service has of each type: ids, versions, bytes."""
    found = {}
    for table in TYPES:
        rows = await run.fetch(
            service, f"SELECT id, version, md5(content) FROM {table} WHERE NOT deleted ORDER BY id"
        )
        found[table] = [tuple(row) for row in rows]
    return found


async def converged(run: LocalRun) -> bool:
    return await state(run, "directory") == await state(run, "booking")


async def test_the_broker_dies_during_a_load(empty_run: LocalRun, tmp_path: Path) -> None:
    """Killed in the middle (the embedded one forgets everything): the load goes on, and in the end booking has every entry
    in the directory's version; what a later file has no more is inactive there too."""
    run, numbers = empty_run, [rpps() for _ in range(PEOPLE)]
    path = tmp_path / "annuaire.txt"
    path.write_text("\n".join((HEADER, *map(line, numbers))) + "\n", "utf-8")
    loading = await load(run, path)
    assert loading.stderr is not None
    while not (told := await loading.stderr.readline()).startswith(b"writing"):
        assert told, "the load ended before it wrote"
    killed = run.kill("broker")
    _, errors = await loading.communicate()
    assert loading.returncode == 0, errors.decode()
    wait_until(lambda: run.is_back("broker", killed), within_s=120, what="the broker", every_s=0.5)
    await eventually(lambda: converged(run), "the replica", CONVERGED_WITHIN_S)
    assert len((await state(run, "booking"))["practitioner_role"]) == PEOPLE

    path.write_text("\n".join((HEADER, *map(line, numbers[: PEOPLE - 10]))) + "\n", "utf-8")
    again = await load(run, path)
    _, errors = await again.communicate()
    assert again.returncode == 0, errors.decode()
    await eventually(lambda: converged(run), "the replica after the next file", CONVERGED_WITHIN_S)
    ended = await run.value(
        "booking",
        "SELECT count(*) FROM practitioner_role WHERE convert_from(content, 'UTF8')::jsonb ->> 'active' = 'false'",
    )
    assert ended == 10
