"""`python -m tests.load.soonest`: how long `Slot/$soonest` takes, on a country of its own making.

A PostgreSQL of its own with booking's tables, filled by SQL: AGENDAS agendas (20,000) of one professional each in towns of
very different sizes, SLOTS_EACH slots of each (40), a third of which are taken. Then anybody asks over HTTP, in one process:
a speciality around a town, both drawn as they are frequent. QUESTIONS: of which of the lines, a regular expression. Each
says the CPU of a call as well, of the database and of the process, which others on the machine hardly change. Beside it, in
the same run: one row read by its key, as the yardstick of what this machine does at that moment. No table that grows may be
read from end to end: that is counted.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlencode

import asyncpg
import httpx
from services.booking.tests.client import serving
from tests.fixtures.postgres import running_postgres
from tests.load.processes import cpu_s

from creneau_booking.app import create_app
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.slots.partitions import ensure_partitions
from creneau_shared.database.migrations import find_migrations, migrate

AGENDAS = int(os.environ.get("AGENDAS", "20000"))
SLOTS_EACH = int(os.environ.get("SLOTS_EACH", "40"))
CALLS = int(os.environ.get("CALLS", "200"))
WARM_UP = 15
"""calls before those that are measured"""
QUESTIONS = re.compile(os.environ.get("QUESTIONS", ""))
TOWNS = 400
AT_ONCE = 5_000
"""agendas whose slots are made by one statement"""
FIRST = datetime.now(UTC).replace(hour=7, minute=0, second=0, microsecond=0) + timedelta(days=1)
SYSTEM = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
SPECIALTIES = [("SM54", 40.0), *((f"SM{n:02}", 30.0 / n) for n in range(1, 41))]
"""code, and how frequent it is"""

# Towns: the n-th has a share of 1/n. Professionals live around the middle of theirs.
_TABLES = """
CREATE UNLOGGED TABLE bench_town AS
SELECT n, 43.2 + random() * 7 AS latitude, -1.2 + random() * 8 AS longitude,
  sum(1.0 / n) OVER (ORDER BY n) / sum(1.0 / n) OVER () AS share
FROM generate_series(1, $TOWNS) AS n;
CREATE UNLOGGED TABLE bench_specialty AS
SELECT code, sum(weight) OVER (ORDER BY n) / sum(weight) OVER () AS share
FROM unnest($CODES::text[], $WEIGHTS::float[]) WITH ORDINALITY AS s (code, weight, n);
CREATE INDEX ON bench_town (share);
CREATE INDEX ON bench_specialty (share);
CREATE UNLOGGED TABLE bench_person AS
SELECT person.n, (SELECT code FROM bench_specialty WHERE share >= person.chance ORDER BY share LIMIT 1) AS code,
  town.latitude + (random() + random() - 1) * 0.12 AS latitude, town.longitude + (random() + random() - 1) * 0.17 AS longitude
FROM (SELECT n, random() AS chance, random() AS where_ FROM generate_series(1, $AGENDAS) AS n) AS person,
LATERAL (SELECT * FROM bench_town WHERE share >= person.where_ ORDER BY share LIMIT 1) AS town;
"""
_DIRECTORY = (
    """INSERT INTO location (id, version, last_updated, content, terms, latitude, longitude)
SELECT 'l' || n, 1, now(), convert_to(format('{"resourceType":"Location","id":"l%s","name":"Cabinet %s",'
  '"position":{"longitude":%s,"latitude":%s}}', n, n, longitude, latitude), 'UTF8'), '{}', latitude, longitude
FROM bench_person""",
    """INSERT INTO practitioner (id, version, last_updated, content, terms)
SELECT 'p' || n, 1, now(), convert_to(format('{"resourceType":"Practitioner","id":"p%s"}', n), 'UTF8'), '{}'
FROM bench_person""",
    """INSERT INTO practitioner_role (id, version, last_updated, content, terms)
SELECT 'r' || n, 1, now(), convert_to(format('{"resourceType":"PractitionerRole","id":"r%s","practitioner":{"reference":'
  '"Practitioner/p%s"},"location":[{"reference":"Location/l%s"}]}', n, n, n), 'UTF8'),
  ARRAY['practitioner', 'practitioner=Practitioner/p' || n, 'location', 'location=Location/l' || n, 'specialty=' || code]
FROM bench_person""",
    """INSERT INTO schedule (id, version, last_updated, content, terms)
SELECT 's' || n, 1, now(), convert_to(format('{"resourceType":"Schedule","id":"s%s","actor":[{"reference":'
  '"PractitionerRole/r%s"}]}', n, n), 'UTF8'), ARRAY['actor', 'actor=PractitionerRole/r' || n] FROM bench_person""",
    """INSERT INTO agenda (schedule_key, open, slot_length_max)
SELECT key, true, '20 min' FROM schedule WHERE starts_with(id, 's')""",
    """INSERT INTO agenda_named SELECT 'PractitionerRole/r' || n, schedule.key FROM bench_person
JOIN schedule ON schedule.id = 's' || n""",
    """INSERT INTO agenda_actor SELECT 'Practitioner/p' || n, schedule.key FROM bench_person
JOIN schedule ON schedule.id = 's' || n""",
    """INSERT INTO slot_kind (schedule_key, digest, members, meta, terms)
SELECT schedule.key, 'x', format('"schedule":{"reference":"Schedule/s%s"},"specialty":[{"coding":[{"code":"%s"}]}]', n, code),
  '', ARRAY['specialty', 'specialty=' || code, 'specialty=$SYSTEM|' || code] FROM bench_person
JOIN schedule ON schedule.id = 's' || n""",
    """INSERT INTO found_by SELECT kind.key, kind.schedule_key,
  ARRAY['actor=PractitionerRole/r' || n, 'actor=Practitioner/p' || n, 'specialty=' || code, 'specialty=$SYSTEM|' || code],
  latitude, longitude
FROM bench_person JOIN schedule ON schedule.id = 's' || n JOIN slot_kind AS kind ON kind.schedule_key = schedule.key""",
    """INSERT INTO found_in SELECT specialty, found_cell(latitude, longitude), schedule.key, kind.key
FROM bench_person JOIN schedule ON schedule.id = 's' || n JOIN slot_kind AS kind ON kind.schedule_key = schedule.key
CROSS JOIN LATERAL (VALUES (''), (code)) AS s (specialty)""",
)
_SLOTS = """
INSERT INTO slot (id, start, "end", status, said, schedule_key, kind_key, last_updated, version)
SELECT gen_random_uuid(), at, at + interval '20 min', status, status, schedule_key, key, now(), 1
FROM slot_kind, generate_series(0, $3::integer - 1) AS n,
LATERAL (SELECT $4::timestamptz + interval '1 day' * (n / 16 + key % 9) + interval '20 min' * (n % 16 + key % 3) AS at,
  (CASE WHEN hashint8(key * 1009 + n) % 3 = 0 THEN 'busy' ELSE 'free' END)::slot_status AS status) AS made
WHERE schedule_key > $1::bigint AND schedule_key <= $2::bigint ORDER BY schedule_key, n
"""
_FIRST = """
INSERT INTO first_free SELECT schedule_key, kind_key, min(start) FILTER (WHERE status = 'free') FROM slot GROUP BY 1, 2
"""
_READ_WHOLE = """
SELECT relname, seq_scan FROM pg_stat_user_tables
WHERE relname ~ '^(slot|first_free|found_|schedule|practitioner|location|agenda)' AND n_live_tup > 5000
"""


async def fill(url: str, agendas: int = AGENDAS) -> Sequence[tuple[float, float]]:
    """Fill the database with so many agendas; the middle of each town, the largest first."""
    connection = await asyncpg.connect(url)
    await ensure_partitions(connection, FIRST, 3)
    await connection.execute(
        "SET session_replication_role = replica; SET synchronous_commit = off; SELECT setseed(0.5)"
    )
    codes = "'{" + ",".join(code for code, _ in SPECIALTIES) + "}'"
    weights = "'{" + ",".join(str(weight) for _, weight in SPECIALTIES) + "}'"
    texts = {
        "$TOWNS": str(TOWNS),
        "$CODES": codes,
        "$WEIGHTS": weights,
        "$AGENDAS": str(agendas),
        "$SYSTEM": SYSTEM,
    }
    for statement in (*filter(str.strip, _TABLES.split(";")), *_DIRECTORY):
        for name, text in texts.items():
            statement = statement.replace(name, text)
        await connection.execute(statement)
    last = await connection.fetchval("SELECT max(key) FROM schedule")
    for first in range(0, last + 1, AT_ONCE):
        await connection.execute(_SLOTS, first, first + AT_ONCE, SLOTS_EACH, FIRST)
        _say(f"\r{min(first + AT_ONCE, last):,} agendas", end="")
    await connection.execute(_FIRST)
    _say("\rvacuum …          ", end="")
    await connection.execute("VACUUM ANALYZE")
    slots = await connection.fetchval("SELECT count(*) FROM slot")
    _say(f"\r{agendas:,} agendas, {slots:,} slots")
    towns = await connection.fetch("SELECT latitude, longitude FROM bench_town ORDER BY n")
    await connection.close()
    return [tuple(row) for row in towns]


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds of one call: of time, and of CPU in the database's sessions and in this process with its client."""

    time: float
    database: float
    process: float


async def measured(calls: Sequence[Callable[[], Awaitable[None]]], watch: asyncpg.Connection) -> list[Taken]:
    """What each call takes, one after the other."""
    rows = await watch.fetch("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
    sessions = [row["pid"] for row in rows]
    found = []
    for call in calls:
        began, database, process = time.perf_counter(), cpu_s(sessions), time.process_time()
        await call()
        took = time.perf_counter() - began, cpu_s(sessions) - database, time.process_time() - process
        found.append(Taken(*(seconds * 1000 for seconds in took)))
    return found


def told(name: str, taken: Sequence[Taken]) -> str:
    time_, database, process = (
        statistics.quantiles([getattr(one, what) for one in taken], n=100, method="inclusive")
        for what in ("time", "database", "process")
    )
    return (
        f"{name:<56} p50 {time_[49]:6.1f} ms   p95 {time_[94]:6.1f} ms   p99 {time_[98]:6.1f} ms"
        f"   CPU of the database p50 {database[49]:5.1f}   p95 {database[94]:5.1f}"
        f"   of the process {process[49]:4.1f}   {process[94]:4.1f}"
    )


async def bench(url: str, towns: Sequence[tuple[float, float]]) -> None:
    chance = random.Random(7)
    codes, weights = zip(*SPECIALTIES, strict=True)
    shares = [1 / n for n in range(1, len(towns) + 1)]
    watch = await asyncpg.connect(url)
    before: dict[str, int] = {row[0]: row[1] for row in await watch.fetch(_READ_WHOLE)}
    settings = BookingSettings(
        database_url=url,
        public_base_url="http://127.0.0.1:8080/fhir",
        oidc_issuer=None,
        anonymous_requests_per_s=0,
    )
    app = create_app(settings)

    def a_town() -> str:
        latitude, longitude = chance.choices(towns, shares)[0]
        return f"{latitude:.5f}|{longitude:.5f}|20|km"

    def a_specialty() -> str:
        return f"{SYSTEM}|{chance.choices(codes, weights)[0]}"

    third_day = (FIRST + timedelta(days=2, hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    questions: dict[str, Callable[[], dict[str, str]]] = {
        "a speciality within 20 km": lambda: {"specialty": a_specialty(), "near": a_town()},
        "… without counts": lambda: {"specialty": a_specialty(), "near": a_town(), "facets": "false"},
        "… nearest first": lambda: {"specialty": a_specialty(), "near": a_town(), "sort": "distance"},
        "general practice within 20 km, nearest first": lambda: {
            "specialty": f"{SYSTEM}|SM54",
            "near": a_town(),
            "sort": "distance",
        },
        "anybody within 20 km, nearest first": lambda: {"near": a_town(), "sort": "distance"},
        "a speciality, nearest first, from the third day on": lambda: {
            "specialty": a_specialty(),
            "near": a_town(),
            "sort": "distance",
            "after": third_day,
        },
        "general practice within 20 km": lambda: {"specialty": f"{SYSTEM}|SM54", "near": a_town()},
        "anybody within 20 km": lambda: {"near": a_town()},
        "a speciality anywhere": lambda: {"specialty": a_specialty()},
        "a speciality anywhere, from the third day on": lambda: {
            "specialty": a_specialty(),
            "after": third_day,
        },
        "a speciality within 20 km, from the third day on": lambda: {
            "specialty": a_specialty(),
            "near": a_town(),
            "after": third_day,
        },
        "a speciality within 20 km, in the morning": lambda: {
            "specialty": a_specialty(),
            "near": a_town(),
            "times": "morning",
        },
        "general practice by video, which nobody does": lambda: {
            "specialty": f"{SYSTEM}|SM54",
            "near": a_town(),
            "mode": "video",
        },
        "anybody anywhere": dict,
        "one professional": lambda: {"practitioner": f"p{chance.randrange(1, AGENDAS)}"},
    }
    async with serving(app) as client:

        async def ask(query: dict[str, str]) -> None:
            answer = await client.get(f"/fhir/Slot/$soonest?{urlencode(query)}")
            if answer.status_code != httpx.codes.OK:
                raise RuntimeError(answer.text)

        async def key() -> None:
            await watch.fetchrow("SELECT * FROM schedule WHERE id = $1", f"s{chance.randrange(1, AGENDAS)}")

        async def following(question: Callable[[], dict[str, str]]) -> list[str]:
            answers = [await client.get(f"/fhir/Slot/$soonest?{urlencode(question())}") for _ in range(CALLS)]
            links = [link for answer in answers for link in answer.json()["link"]]
            return [link["url"].partition("/fhir/")[2] for link in links if link["relation"] == "next"]

        async def turn(page: str) -> None:
            await client.get(f"/fhir/{page}")

        asked = {
            name: [partial(ask, question()) for _ in range(WARM_UP + CALLS)]
            for name, question in questions.items()
            if QUESTIONS.search(name)
        }
        for of in ("a speciality within 20 km", "… nearest first"):
            if QUESTIONS.search(name := f"the next page: {of}"):
                asked[name] = [partial(turn, page) for page in await following(questions[of])]
        for name, calls in asked.items():
            await measured(calls[:WARM_UP], watch)
            print(told(name, await measured(calls[WARM_UP:], watch)), flush=True)
        print(told("yardstick: one row by its key", await measured([key] * CALLS, watch)))
    await asyncio.sleep(1)
    after: dict[str, int] = {row[0]: row[1] for row in await watch.fetch(_READ_WHOLE)}
    whole = {name: after[name] - before.get(name, 0) for name in after if after[name] > before.get(name, 0)}
    print("read from end to end:", ", ".join(f"{n} ({c})" for n, c in sorted(whole.items())) or "nothing")
    await watch.close()


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


async def main() -> None:
    with running_postgres() as server:
        url = server.create_database("soonest")
        await migrate(find_migrations("creneau_booking"), url)
        await bench(url, await fill(url))


if __name__ == "__main__":
    asyncio.run(main())
