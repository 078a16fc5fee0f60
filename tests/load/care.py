"""`python -m tests.load.care`: people's search over a fictional France: latency per kind of query, plans, memory.

CARE_PROFESSIONALS (250000) and CARE_SITUATIONS (1200000) of `deploy.scale`, in a PostgreSQL of its own; or
`--database URL` of a directory that is filled already. Each query goes through the whole of the API in this process, one
after the other, warm. `--each 200`: how often each kind is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import asyncpg
import httpx
from tests.fixtures.postgres import running_postgres

from creneau_directory.app import create_app
from creneau_directory.settings import DirectorySettings
from creneau_shared.app import ServiceApplication
from creneau_shared.database.migrations import find_migrations, migrate

TOWNS = [
    "rennes",
    "vannes",
    "lyon 3",
    "paris 18",
    "marseille 8",
    "lille",
    "nantes",
    "bordeaux",
    "toulouse",
    "quimper",
    "le mans",
    "dijon",
]
KINDS: dict[str, Sequence[dict[str, str]]] = {
    "profession + town": [{"text": f"dentiste {town}"} for town in TOWNS],
    "speciality + town": [{"text": f"dermato {town}"} for town in TOWNS],
    "misspelt": [
        {"text": f"{word} {town}"} for word in ("dermathologe", "ofthalmo") for town in ("reines", "bordau")
    ],
    "complaint + town": [{"text": f"mal au dos {town}"} for town in TOWNS],
    "complaint": [{"text": text} for text in ("rage de dent", "grain de beauté", "mal au dos", "vaccin")],
    "general practitioner, Paris": [{"text": "médecin paris"}, {"text": "kiné paris"}],
    "speciality, anywhere": [{"text": text} for text in ("médecin", "orl", "neurologue", "dentiste")],
    "region": [{"text": "sage-femme bretagne"}, {"text": "cardiologue finistère"}],
    "name": [{"text": "dr payet"}, {"text": "le goff rennes"}, {"text": "docteur lefebvre"}],
    "near 5 km": [
        {"text": "dentiste", "near": "48.11|-1.67|5|km"},
        {"text": "médecin", "near": "48.86|2.35|5|km"},
    ],
    "near 50 km": [
        {"text": "dermato", "near": "48.28|-3.57|50|km"},
        {"text": "orl", "near": "45.76|4.85|50|km"},
    ],
    "wishes": [{"text": f"gynécologue femme secteur 1 {town}"} for town in TOWNS],
    "nobody there": [{"text": "neurochirurgien carhaix"}, {"text": "allergologue quimperlé"}],
}
SUGGESTED = [
    {"text": text} for text in ("der", "dent", "mal au", "ren", "dr pay", "le g", "dermato ren", "kin", "350")
]
GOAL_MS = {"find": 50.0, "suggest": 20.0}


async def measure(url: str, each: int) -> None:
    """All kinds, then suggestions."""
    settings = DirectorySettings(database_url=url, anonymous_requests_per_s=1e6, anonymous_requests_burst=1e7)
    app = create_app(settings)
    async with serving(app) as client:
        rows = await _counts(url)
        print(f"{rows['people']:,} professionals, {rows['situations']:,} situations; index {rows['size']}")
        for kind, queries in KINDS.items():
            await _report(client, f"find-care: {kind}", "$find-care", queries, each, GOAL_MS["find"])
        await _report(client, "suggest", "$suggest", SUGGESTED, each, GOAL_MS["suggest"])
    await _scans(url)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory of this process at most: {used:.0f} MiB")


async def _report(
    client: httpx.AsyncClient,
    name: str,
    operation: str,
    queries: Sequence[dict[str, str]],
    each: int,
    goal: float,
) -> None:
    took: list[float] = []
    for turn in range(each + len(queries)):
        query = queries[turn % len(queries)]
        begun = time.perf_counter()
        answer = await client.get(f"/fhir/PractitionerRole/{operation}", params=query)
        if turn >= len(queries):  # the first round warms up
            took.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, answer.text
    took.sort()
    p50, p95, p99 = (took[min(len(took) - 1, int(len(took) * share))] for share in (0.5, 0.95, 0.99))
    print(
        f"{name:40} p50 {p50:7.1f}  p95 {p95:7.1f}  p99 {p99:7.1f} ms"
        f"  (goal p95 < {goal:.0f} ms: × {p95 / goal:.2f})",
        flush=True,
    )


async def _counts(url: str) -> asyncpg.Record:
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM practitioner) AS people, (SELECT count(*) FROM care_situation) AS situations,"
            " pg_size_pretty(pg_relation_size('ix_care_situation_terms')) AS size"
        )
        assert row is not None
        return row
    finally:
        await connection.close()


async def _scans(url: str) -> None:
    """How often the tables of the index have been read from end to end."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT relname, seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname LIKE 'care_%' ORDER BY relname"
        )
    finally:
        await connection.close()
    for row in rows:
        print(f"{row['relname']}: {row['seq_scan']} sequential scans, {row['idx_scan']} by index", flush=True)


class serving:  # noqa: N801 - reads like a function
    """The application, started and in the end stopped as a server would do it, and a client of it."""

    def __init__(self, app: ServiceApplication) -> None:
        self._app = app
        self._inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def __aenter__(self) -> httpx.AsyncClient:
        self._running = asyncio.create_task(
            self._app({"type": "lifespan"}, self._inbox.get, self._outbox.put)
        )
        self._inbox.put_nowait({"type": "lifespan.startup"})
        started = await self._outbox.get()
        assert started["type"] == "lifespan.startup.complete", started
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app), base_url="http://127.0.0.1"
        )
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        await self._running


@contextmanager
def filled() -> Iterator[str]:
    """A directory of its own, filled."""
    with running_postgres() as server:
        url = server.create_database("directory")
        asyncio.run(migrate(find_migrations("creneau_directory"), url))
        sizes = [
            "--professionals",
            os.environ.get("CARE_PROFESSIONALS", "250000"),
            "--situations",
            os.environ.get("CARE_SITUATIONS", "1200000"),
        ]
        subprocess.run(
            [sys.executable, "-m", "deploy.scale", "--light", "--database", url, *sizes], check=True
        )
        yield url


def main() -> None:
    """Fill, or take what is filled, and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.care", description=__doc__)
    parser.add_argument("--database")
    parser.add_argument("--each", type=int, default=200)
    arguments = parser.parse_args()
    if arguments.database:
        asyncio.run(measure(arguments.database, arguments.each))
        return
    with filled() as url:
        asyncio.run(measure(url, arguments.each))


if __name__ == "__main__":
    main()
