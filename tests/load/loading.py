"""`python -m tests.load.loading`: how fast an extraction of the Annuaire Santé is loaded, beside PostgreSQL's own COPY.

A PostgreSQL of its own with the directory's tables. LINES lines (100,000) about invented people: one in three has a second
situation, one in five another skill. Loaded once into nothing, once more unchanged, once with a hundredth of the lines
changed; then the same rows are copied out and COPYed into tables alike (the same indexes), which nothing can beat.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from services.directory.tests.test_loading import HEADER, line
from stdnum import luhn
from tests.fixtures.postgres import running_postgres

from creneau_directory.loading.annuaire import Annuaire
from creneau_directory.loading.runner import Loading
from creneau_directory.loading.settings import LoadSettings
from creneau_directory.storage.loads import Load
from creneau_shared.clock import SystemClock
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.database.pool import Database

LINES = int(os.environ.get("LINES", "100000"))
TOWNS = (
    ("29232", "29000", "Quimper"),
    ("44109", "44000", "Nantes"),
    ("35238", "35000", "Rennes"),
    ("75115", "75015", "Paris"),
)
TABLES = ("practitioner", "organization", "location", "practitioner_role")
SIDES = ("practitioner_string", "organization_string", "location_string", "practitioner_role_string")


def lines(changed: float) -> Iterator[str]:
    """The lines of a file; of the share `changed`, the name is another."""
    chance, other = random.Random(13), random.Random(14)
    number, person = 0, 0
    while number < LINES:
        person += 1
        body = f"{person:010d}"
        rpps = body + luhn.calc_check_digit(body)
        code, postal, town = chance.choice(TOWNS)
        name = "LE BIHAN" if other.random() < changed else f"NOM{person % 5000}"
        said = {"Nom": name, "Code_commune": code, "Code_postal": postal, "Libellé_commune": town}
        yield line(rpps, **said)
        number += 1
        if chance.random() < 0.33:
            yield line(rpps, Code_mode="S", Identifiant_technique=f"F{person % 4000:09d}", **said)
            number += 1
        if chance.random() < 0.2:
            yield line(rpps, Code_savoir="SM49", **said)
            number += 1


def written(path: Path, changed: float = 0.0) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        file.writelines(text + "\n" for text in lines(changed))
    return path


async def loaded(database: Database, path: Path) -> tuple[Load, float]:
    began = time.perf_counter()
    loading = Loading(database, SystemClock(), "http://127.0.0.1/fhir", Annuaire(1 << 24), LoadSettings())
    return await loading.run(path, whole=True), time.perf_counter() - began


async def copied(database: Database) -> tuple[int, float]:
    """Rows of tables alike, and the seconds that COPY takes for all of them."""
    rows, seconds = 0, 0.0
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        for table in (*TABLES, *SIDES):
            bytes_ = io.BytesIO()
            await connection.copy_from_query(f"SELECT * FROM {table}", output=bytes_)
            await connection.execute(f"CREATE TABLE alike (LIKE {table} INCLUDING ALL EXCLUDING IDENTITY)")
            bytes_.seek(0)
            began = time.perf_counter()
            status = await connection.copy_to_table("alike", source=bytes_)
            seconds += time.perf_counter() - began
            rows += int(status.split()[-1])
            await connection.execute("DROP TABLE alike")
    return rows, seconds


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running_postgres() as server:
        url = server.create_database("loading")
        await migrate(find_migrations("creneau_directory"), url)
        first = written(Path(folder) / "first.txt")
        again = written(Path(folder) / "again.txt")
        changed = written(Path(folder) / "changed.txt", changed=0.01)
        async with Database(url, size=4, statement_timeout_s=600, name="loading") as database:
            for name, path in (
                ("into nothing", first),
                ("unchanged", again),
                ("a hundredth changed", changed),
            ):
                load, seconds = await loaded(database, path)
                made = sum(load.counts.get(key, 0) for key in ("created", "updated", "unchanged"))
                print(
                    f"{name}: {load.counts['read']} lines, {made} resources in {seconds:.1f} s:"
                    f" {load.counts['read'] / seconds:.0f} lines/s, {made / seconds:.0f} resources/s;"
                    f" memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB",
                    flush=True,
                )
            rows, seconds = await copied(database)
            print(
                f"yardstick: COPY of the same {rows} rows with their indexes in {seconds:.1f} s", flush=True
            )


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
