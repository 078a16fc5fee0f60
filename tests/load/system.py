"""A system of the benchmarks' own: as `make run` starts it, in a folder of its own, and how to reach its parts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.folder import Folder, read_json
from deploy.local.ports import free_port
from deploy.local.tokens import Issuer
from deploy.local.topology import Settings, Topology
from tests.load import data

GENEROUS = {
    "ANONYMOUS_REQUESTS_PER_S": "1000000",
    "ANONYMOUS_REQUESTS_BURST": "10000000",
    "AUTHORIZATION_REQUESTS_PER_S": "1000000",
    "AUTHORIZATION_REQUESTS_BURST": "10000000",
    "PATIENT_REQUESTS_PER_S": "1000000",
    "PATIENT_REQUESTS_BURST": "10000000",
    "FUTURE_APPOINTMENTS_PER_PATIENT_MAX": "1000000",
    "FUTURE_APPOINTMENTS_PER_SPECIALTY_MAX": "1000000",
    "FUTURE_APPOINTMENTS_PER_AGENDA_MAX": "1000000",
    "BOOKINGS_PER_ACCOUNT_PER_HOUR_MAX": "1000000",
    "BOOKINGS_PER_PATIENT_PER_HOUR_MAX": "1000000",
    "MESSAGES_PER_ADDRESS_DAY_MAX": "1000000",
}
"""All strangers are one address here, and one patient books for a town: counted as everywhere, never refused."""


@dataclass
class System:
    """A running system and how to reach its parts."""

    port: int
    folder: Path

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def database(self, service: str) -> str:
        """A service's database, by the superuser."""
        return self.server(f"creneau_{service}")

    def server(self, database: str = "postgres") -> str:
        """A database of its PostgreSQL, by the superuser."""
        password = (self.folder / "postgres.secret").read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port_of('postgres')}/{database}"

    def port_of(self, part: str) -> int:
        return int(read_json(self.folder / "ports.json")[part])

    def pids(self) -> dict[str, int]:
        """The process of each part that runs."""
        parts = read_json(self.folder / "state.json")["processes"]
        return {name: part["pid"] for name, part in parts.items() if part["pid"]}

    def token_of(self, role: str, subject: str | None = None, patient: str | None = None) -> str:
        """A token of its issuer; `patient` is the SMART launch context."""
        return Issuer.of(Folder(self.folder)).token(role, subject, patient)

    def patients(self) -> list[str]:
        """A token for each patient who has an account, each in the context of their own Patient."""
        issuer = Issuer.of(Folder(self.folder))
        return [
            issuer.token("patient", f"bench-{number}", data.patient_id(number))
            for number in range(data.PATIENTS)
        ]


@contextmanager
def running(
    settings: Mapping[str, str] | None = None, *, postgres: Mapping[str, str] | None = None
) -> Iterator[System]:
    """A system without demonstration data, ready, removed afterwards. `settings` are those of its processes,
    `postgres` those of its PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="creneau-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        _configure(folder, postgres or {})
        system, process = _start(folder, {**GENEROUS, **(settings or {})})
        try:
            yield system
        finally:
            process.terminate()
            process.wait(60)


def _configure(folder: Path, settings: Mapping[str, str]) -> None:
    """Make the database's folder and write `settings` into it, before the run finds it there."""
    kept = Folder(folder)
    kept.create()
    postgres = Topology(Settings(), kept).postgres
    assert postgres is not None
    postgres.prepare()
    with (kept.postgres / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def _start(folder: Path, settings: Mapping[str, str]) -> tuple[System, subprocess.Popen[str]]:
    port = free_port()
    environment = {
        **os.environ,
        "CRENEAU_FOLDER": str(folder),
        "CRENEAU_PORT": str(port),
        "DEMONSTRATION": "off",
        **settings,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.run"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Créneau is ready"):
            return System(port, folder), process
    raise RuntimeError("the system did not start:\n" + "".join(said))
