"""Resources into the directory's database by COPY, with all that searches need. Not through the API: for scale only.

Stores what the API would have stored, but no events: `creneau-directory republish` or a rebuild tells others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg

from creneau_directory.domain.care.around import Around
from creneau_directory.domain.care.places import gazetteer
from creneau_directory.domain.care.situation import Situation, situation_of
from creneau_directory.domain.care.spelling import sound
from creneau_directory.domain.care.vocabulary import vocabulary
from creneau_directory.storage.care import COLUMNS, called, row_of
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.index import index_resource
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.registry import storage_needs
from creneau_shared.fhir.storage.generic import owned_by, stamp
from deploy.scale.build import Built

Resource = dict[str, Any]
BATCH = 10_000
"""resources that are copied together"""
TYPES = ("Organization", "Location", "HealthcareService", "Practitioner", "PractitionerRole")
OWNERS = {
    "Location": "managingOrganization",
    "HealthcareService": "providedBy",
    "PractitionerRole": "organization",
}


class Copier:
    """Copies resources with their search index. `light`: without what FHIR searches need, for people's search alone."""

    def __init__(self, connection: asyncpg.Connection, base_url: str, *, light: bool = False) -> None:
        self._connection = connection
        self._base_url = base_url
        self._light = light
        self._now = datetime.now(UTC).replace(microsecond=0)
        self.copied = 0
        self.situations = 0

    async def copy(self, built: Iterable[Built], told: Callable[[int, int], None]) -> None:
        """Copies all; `told` is called with the resources and situations so far at each batch."""
        known = _Known(self._now)
        for department, batch in _batches(built):
            await self._copy_batch(batch, known.situations(department, batch))
            told(self.copied, self.situations)

    async def _copy_batch(self, batch: list[Resource], situations: list[Situation]) -> None:
        async with self._connection.transaction():
            for kind in TYPES:
                own = [resource for resource in batch if resource["resourceType"] == kind]
                if own:
                    await self._copy_type(kind, own)
            await self._connection.copy_records_to_table(
                "care_situation", records=[row_of(s) for s in situations], columns=list(COLUMNS)
            )
            names = sorted({name for situation in situations for name in situation.names})
            await self._connection.execute(
                "INSERT INTO care_name (name, heard) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
                names,
                [sound(name) for name in names],
            )
        self.copied += len(batch)
        self.situations += len(situations)

    async def _copy_type(self, kind: str, resources: list[Resource]) -> None:
        table = table_name(kind)
        needs = storage_needs(kind)
        keys = await self._connection.fetch(
            f"SELECT nextval(pg_get_serial_sequence('{table}', 'key')) AS key FROM generate_series(1, $1)",
            len(resources),
        )
        main: list[tuple[Any, ...]] = []
        sides: dict[str, list[tuple[Any, ...]]] = {"string": [], "date": [], "number": []}
        for resource, row in zip(resources, keys, strict=True):
            stored = stamp(resource, resource["id"], 1, self._now)
            terms: list[str] = []
            words = ""
            position: tuple[float | None, float | None] = (None, None)
            if not self._light:
                entries = index_resource(kind, stored, base_url=self._base_url)
                terms, words = [*entries.terms, *_owner(kind, resource)], entries.words
                position = entries.position or position
                sides["string"] += [(row["key"], *entry) for entry in entries.strings]
                sides["date"] += [(row["key"], *entry) for entry in entries.dates]
                sides["number"] += [(row["key"], *entry) for entry in entries.numbers]
            place = position if needs.position else ()
            main.append((resource["id"], row["key"], 1, self._now, dumps(stored), terms, words, *place))
        columns = ["id", "key", "version", "last_updated", "content", "terms", "words"]
        await self._copy_main(table, columns + (["latitude", "longitude"] if needs.position else []), main)
        names = {"string": ("value", "exact"), "date": ("low", "high"), "number": ("value",)}
        for side, rows in sides.items():
            if rows:
                await self._connection.copy_records_to_table(
                    f"{table}_{side}", records=rows, columns=["key", "parameter", *names[side]]
                )

    async def _copy_main(self, table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        """Copies through a temporary table: `words` is text there, and keys can be set."""
        listed = ", ".join(columns)
        selected = listed.replace("words", "words::tsvector")
        await self._connection.execute(
            f"CREATE TEMP TABLE scale_rows ON COMMIT DROP AS SELECT {listed.replace('words', 'words::text')}"
            f" FROM {table} WITH NO DATA"
        )
        await self._connection.copy_records_to_table("scale_rows", records=rows, columns=columns)
        await self._connection.execute(
            f"INSERT INTO {table} ({listed}) OVERRIDING SYSTEM VALUE SELECT {selected} FROM scale_rows"
        )
        await self._connection.execute("DROP TABLE scale_rows")


class _Known:
    """What roles of the current département refer to."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._department = ""
        self._by_name: dict[str, Resource] = {}

    def situations(self, department: str, batch: list[Resource]) -> list[Situation]:
        if department != self._department:
            self._department, self._by_name = department, {}
        found = []
        for resource in batch:
            if resource["resourceType"] != "PractitionerRole":
                self._by_name[f"{resource['resourceType']}/{resource['id']}"] = resource
                continue
            found.append(situation_of(self._around(resource), vocabulary(), gazetteer()))
        return [situation for situation in found if situation is not None]

    def _around(self, role: Resource) -> Around:
        known = self._by_name
        person = known.get(role["practitioner"]["reference"])
        return Around(
            role,
            practitioner=person,
            locations=[known[one["reference"]] for one in role["location"]],
            services=[known[one["reference"]] for one in role["healthcareService"]],
            organization=known.get(role["organization"]["reference"]),
            called=called(person, self._now),
        )


def _owner(kind: str, resource: Resource) -> list[str]:
    if kind == "Organization":
        return owned_by([resource["id"]])
    reference = resource.get(OWNERS.get(kind, ""), {}).get("reference", "")
    return owned_by([reference.partition("/")[2]]) if reference else []


def _batches(built: Iterable[Built]) -> Iterator[tuple[str, list[Resource]]]:
    department, batch = "", list[Resource]()
    for one in built:
        if batch and (one.department != department or len(batch) >= BATCH):
            yield department, batch
            batch = []
        department = one.department
        batch.append(one.resource)
    if batch:
        yield department, batch


_TERMS = (
    "CREATE INDEX IF NOT EXISTS ix_care_situation_terms ON care_situation USING gin (terms)"
    " WITH (gin_pending_list_limit = 256)"
)


async def prepare(connection: asyncpg.Connection) -> None:
    """An empty index of situations is filled without its GIN index, which is made at the end: several times faster."""
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM care_situation)"):
        await connection.execute("DROP INDEX IF EXISTS ix_care_situation_terms")


async def finish(connection: asyncpg.Connection) -> None:
    """What searches need to be quick: the index, statistics, and no pending entries."""
    await connection.execute("SET maintenance_work_mem = '512MB'")
    await connection.execute(_TERMS)
    await connection.execute("VACUUM (ANALYZE) care_situation")
    await connection.execute("VACUUM (ANALYZE) care_name")
    for kind in TYPES:
        await connection.execute(f"ANALYZE {table_name(kind)}")


async def connect(url: str) -> asyncpg.Connection:
    """A connection for a long load."""
    return await asyncio.wait_for(asyncpg.connect(url, command_timeout=3_600), 30)
