"""Whether the migrations of each service give exactly the tables that its code declares (`alembic check`)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.local.folder import REPOSITORY
from deploy.local.postgres import WITHOUT_DURABILITY, Postgres
from deploy.local.topology import SERVICES, installed_programs


def check(service: str, server: Postgres) -> bool:
    """Migrate an empty database up to the head, then compare; says what differs."""
    url = server.create_database(f"check_{service}")
    command = (*installed_programs()[service], "migrate", "--check")
    environment = {**os.environ, "DATABASE_URL": url}
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    verdict = "migrations and tables agree" if done.returncode == 0 else "migrations and tables differ"
    print(f"{service}: {verdict}")
    if done.returncode:
        print(done.stdout + done.stderr)
    return done.returncode == 0


def main() -> int:
    """1 when a service's migrations differ from its tables."""
    with tempfile.TemporaryDirectory(prefix="creneau-check-") as name:
        folder = Path(name)
        server = Postgres(folder / "data", log=folder / "log", settings=WITHOUT_DURABILITY)
        server.start()
        try:
            verdicts = [check(service, server) for service in SERVICES]
        finally:
            server.stop()
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
