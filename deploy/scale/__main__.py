"""`python -m deploy.scale`: a fictional France into the directory's database, with progress (`make scale-data`)."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time

from creneau_directory.domain.care.places import Commune, gazetteer
from deploy.demo.progress import number
from deploy.scale.build import build
from deploy.scale.copy import Copier, connect, finish, prepare
from deploy.scale.plan import communes, seats


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.scale", description=__doc__)
    parser.add_argument(
        "--database", default=os.environ.get("DATABASE_URL"), help="of the directory, migrated"
    )
    parser.add_argument("--professionals", type=int, default=250_000, help="in all of France")
    parser.add_argument("--situations", type=int, help="of all of them; one each unless said")
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--town", action="append", help="INSEE code: this commune alone (may be repeated)")
    parser.add_argument("--department", action="append", help="this département alone (may be repeated)")
    parser.add_argument("--base-url", default=os.environ.get("PUBLIC_BASE_URL", "http://127.0.0.1:8080/fhir"))
    parser.add_argument(
        "--light", action="store_true", help="without what FHIR searches need: people's search alone"
    )
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    within = _within(arguments.town or (), arguments.department or ())
    plan = seats(arguments.professionals, seed=arguments.seed, within=within)
    each = (arguments.situations or arguments.professionals) / arguments.professionals
    connection = await connect(arguments.database)
    started = time.monotonic()

    def told(copied: int, situations: int) -> None:
        elapsed = max(0.001, time.monotonic() - started)
        print(
            f"\r{number(copied)} ressources, {number(situations)} situations ({number(copied / elapsed)}/s) ",
            end="",
            flush=True,
        )

    try:
        await prepare(connection)
        copier = Copier(connection, arguments.base_url, light=arguments.light)
        await copier.copy(build(plan, seed=arguments.seed, situations_each=each), told)
        print("\nIndex et statistiques …", flush=True)
        await finish(connection)
    finally:
        await connection.close()
    print(f"Terminé en {number(time.monotonic() - started)} s.")


def _within(
    towns: list[str] | tuple[str, ...], departments: list[str] | tuple[str, ...]
) -> list[Commune] | None:
    if not towns and not departments:
        return None
    unknown = [town for town in towns if town not in gazetteer().communes]
    if unknown:
        raise SystemExit(f"Commune inconnue : {unknown[0]}")
    return [c for c in communes() if c.insee in towns or c.part_of in towns or c.department in departments]


def main() -> int:
    """Read the arguments and load."""
    arguments = _arguments()
    if not arguments.database:
        print("Il manque --database (ou DATABASE_URL).", file=sys.stderr)
        return 2
    asyncio.run(_run(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
