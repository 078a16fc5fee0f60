"""`python -m tests.load.loading`: how fast an extraction of the Annuaire Santé is loaded, beside PostgreSQL's own COPY.

A PostgreSQL of its own with the directory's tables. LINES lines (100,000), a situation each, of PEOPLE invented people
(two thirds as many): further situations in other structures, or of other skills. Loaded once into nothing, once more
unchanged, once with a hundredth of the lines changed; then the same rows are copied out and COPYed into tables alike (the
same indexes), which nothing can beat. Of each the seconds, and the CPU of this process and of PostgreSQL apart, which others
on the machine do not lengthen as much.

`LINES=1200000 PEOPLE=250000 python -m tests.load.loading once`: a whole France, into nothing alone.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local.postgres import Postgres
from services.directory.tests.test_loading import HEADER, line
from stdnum import luhn
from tests.fixtures.postgres import running_postgres
from tests.load.processes import cpu_ms

from creneau_directory.loading.annuaire import Annuaire
from creneau_directory.loading.runner import Loading
from creneau_directory.loading.settings import LoadSettings
from creneau_directory.storage.loads import Load
from creneau_shared.clock import SystemClock
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.database.pool import Database

LINES = int(os.environ.get("LINES", "100000"))
PEOPLE = int(os.environ.get("PEOPLE", LINES * 2 // 3))
SHARED_STRUCTURES = 4000
SKILLS = ("SM49", "SM24", "SM26", "SM05")
TOWNS = (
    ("29232", "29000", "Quimper"),
    ("44109", "44000", "Nantes"),
    ("35238", "35000", "Rennes"),
    ("75115", "75015", "Paris"),
)
_SAID = {
    "Nom": "{name}",
    "Code_commune": "{code}",
    "Code_postal": "{postal}",
    "Libellé_commune": "{town}",
}
ALONE = line("{rpps}", **_SAID)
ELSEWHERE = line("{rpps}", Code_mode="S", Identifiant_technique="{structure}", **_SAID)
SKILLED = line("{rpps}", Code_savoir="{skill}", **_SAID)
HOUR_S = 3600
TOLD_EACH_S = 60.0
TABLES = ("practitioner", "organization", "location", "practitioner_role")
SIDES = ("practitioner_string", "organization_string", "location_string", "practitioner_role_string")


def lines(changed: float) -> Iterator[str]:
    """The lines of a file; of the share `changed`, the name is another."""
    chance, other = random.Random(13), random.Random(14)
    number, person, further = 0, 0, 2 * (LINES / PEOPLE - 1)
    while number < LINES:
        person += 1
        body = f"{person:010d}"
        rpps = body + luhn.calc_check_digit(body)
        code, postal, town = chance.choice(TOWNS)
        name = "LE BIHAN" if other.random() < changed else f"NOM{person % 5000}"
        said = {"rpps": rpps, "name": name, "code": code, "postal": postal, "town": town}
        yield ALONE.format(**said)
        number += 1
        for n in range(int(chance.random() * further + 0.5)):
            if n % 2:
                yield SKILLED.format(**said, skill=SKILLS[n // 2 % len(SKILLS)])
            else:
                structure = (person * 7 + n * 13) % SHARED_STRUCTURES
                yield ELSEWHERE.format(**said, structure=f"F{structure:09d}")
            number += 1


def written(path: Path, changed: float = 0.0) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        file.writelines(text + "\n" for text in lines(changed))
    return path


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds: on the clock, and of CPU of this process and of PostgreSQL's."""

    clock: float
    here: float
    server: float

    @classmethod
    def until_now(cls, server: Postgres) -> Spent:
        assert server.child.pid is not None
        used = cpu_ms({"postgres": server.child.pid})["postgres"] / 1000
        return cls(time.perf_counter(), time.process_time(), used)

    def since(self, before: Spent) -> Spent:
        return Spent(self.clock - before.clock, self.here - before.here, self.server - before.server)

    def told(self, what: str, number: int) -> str:
        computed = self.here + self.server
        return (
            f"{number} {what} in {self.clock:.1f} s: {number / self.clock:.0f}/s; CPU {self.here:.1f} s here,"
            f" {self.server:.1f} s PostgreSQL: {number / computed:.0f} a second of one core for both"
        )


async def loaded(database: Database, path: Path, server: Postgres) -> tuple[Load, Spent]:
    """What a load of the file counted, and what it took; told as it goes on."""
    before = Spent.until_now(server)

    def tell(phase: str, load: Load) -> None:
        spent = Spent.until_now(server).since(before)
        print(f"  … {phase}: line {load.lines}; {spent.told('resources', made(load))}", flush=True)

    settings = LoadSettings(load_progress_s=TOLD_EACH_S)
    source = Annuaire(1 << 24)
    loading = Loading(database, SystemClock(), "http://127.0.0.1/fhir", source, settings, tell=tell)
    return await loading.run(path, whole=True), Spent.until_now(server).since(before)


def made(load: Load) -> int:
    return sum(load.counts.get(key, 0) for key in ("created", "updated", "unchanged"))


async def copied(database: Database, server: Postgres, folder: Path) -> tuple[int, Spent]:
    """Rows of tables alike, and what COPY takes for all of them."""
    rows, total = 0, Spent(0, 0, 0)
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        for table in (*TABLES, *SIDES):
            file = folder / f"{table}.copy"
            await connection.copy_from_query(f"SELECT * FROM {table}", output=file, timeout=HOUR_S)
            await connection.execute(f"CREATE TABLE alike (LIKE {table} INCLUDING ALL EXCLUDING IDENTITY)")
            before = Spent.until_now(server)
            status = await connection.copy_to_table("alike", source=file, timeout=HOUR_S)
            spent = Spent.until_now(server).since(before)
            total = Spent(total.clock + spent.clock, total.here + spent.here, total.server + spent.server)
            rows += int(status.split()[-1])
            await connection.execute("DROP TABLE alike")
            file.unlink()
    return rows, total


async def main() -> None:
    with tempfile.TemporaryDirectory() as name, running_postgres() as server:
        folder = Path(name)
        url = server.create_database("loading")
        await migrate(find_migrations("creneau_directory"), url)
        files = [("into nothing", written(folder / "first.txt"))]
        if "once" not in sys.argv:
            files.append(("unchanged", written(folder / "again.txt")))
            files.append(("a hundredth changed", written(folder / "changed.txt", changed=0.01)))
        async with Database(url, size=4, statement_timeout_s=3600, name="loading") as database:
            for title, path in files:
                load, spent = await loaded(database, path, server)
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                print(f"{title}: {load.counts}")
                print(f"  {spent.told('resources', made(load))}; memory {memory} MB", flush=True)
            async with database.connection() as connection:
                size = await connection.fetchval("SELECT pg_database_size(current_database())")
            print(f"the database has {size / 1e9:.2f} GB")
            rows, spent = await copied(database, server, folder)
            print(f"yardstick: COPY of the same {spent.told('rows with their indexes', rows)}", flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
