"""The least: what a booking cannot do without, in one statement on bare tables of its own database.

A slot is claimed by its key, the time is taken so that nobody is in two places, the content is kept, and the event
that tells of it. Tables `least_…` have the one index that each of these needs, and no other.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import asyncpg
from tests.load import data

from creneau_shared.fhir.json import dumps

DATABASE = "least"
SLOTS = 100_000
_TABLES = f"""
CREATE EXTENSION btree_gist;
CREATE TABLE least_slot (number bigint PRIMARY KEY, status text NOT NULL, version int NOT NULL, taken_by uuid)
    WITH (fillfactor = 50);
CREATE TABLE least_occupancy (actor uuid, period tstzrange, appointment uuid NOT NULL,
    PRIMARY KEY (actor, period WITHOUT OVERLAPS));
CREATE TABLE least_appointment (id uuid PRIMARY KEY, version int NOT NULL, last_updated timestamptz NOT NULL,
    content bytea NOT NULL);
CREATE TABLE least_outbox (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key uuid NOT NULL,
    data bytea NOT NULL, time timestamptz NOT NULL);
INSERT INTO least_slot SELECT number, 'free', 1 FROM generate_series(1, {SLOTS}) number;
"""
_SAMPLE = data.Slot("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000", 1, "2026-12-01T08:00:00Z", "2026-12-01T08:15:00Z")
_CONTENT = f"'\\x{dumps(data.appointment(_SAMPLE)).hex()}'::bytea"
_EVENT = f"'\\x{(b'x' * 700).hex()}'::bytea"
SCRIPT = f"""\\set number random(1, {SLOTS})
WITH claimed AS (UPDATE least_slot SET status = 'busy', version = version + 1, taken_by = gen_random_uuid()
 WHERE number = :number RETURNING taken_by),
 taken AS (INSERT INTO least_occupancy SELECT gen_random_uuid(), tstzrange(now(), now() + interval '15 min'), taken_by
 FROM claimed),
 resource AS (INSERT INTO least_appointment SELECT taken_by, 1, now(), {_CONTENT} FROM claimed)
 INSERT INTO least_outbox (key, data, time) SELECT taken_by, {_EVENT}, now() FROM claimed;
""".replace("\n ", " ")


async def create(server: str) -> str:
    """Make the database on a server (the URL of any of its databases); its URL."""
    connection = await asyncpg.connect(server)
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.close()
    url = urlunsplit(urlsplit(server)._replace(path=f"/{DATABASE}"))
    connection = await asyncpg.connect(url)
    await connection.execute(_TABLES)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return url
