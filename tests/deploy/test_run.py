"""`make run` as a whole: real PostgreSQL, broker, issuer, mailbox and nginx; stand-ins for the services."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from deploy.local.folder import REPOSITORY
from deploy.local.ports import free_port, wait_until
from deploy.local.postgres import installation
from tests.deploy.test_supervisor import is_running

STANDIN_RUN = Path(__file__).with_name("standin_run.py")

EVERY_PROCESS = {
    *("postgres", "broker", "issuer", "mailbox", "gateway", "web", "web-rehearsal", "nginx"),
    *("directory-api", "directory-worker", "booking-api-1", "booking-api-2", "booking-worker"),
    *("notifications-api", "notifications-worker"),
}


@dataclass
class System:
    """One run in a folder of its own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        return (self.folder / "terminal").read_text()

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "CRENEAU_FOLDER": str(self.folder),
            "CRENEAU_PORT": str(self.port),
            "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(REPOSITORY)))),
            "VANISH_LOG": str(self.folder / "vanished"),
        }
        return {**os.environ, **own}

    def command(self) -> list[str]:
        return [sys.executable, str(STANDIN_RUN)]

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "terminal").open("wb") as terminal:
            self.process = subprocess.Popen(
                self.command(), env=self.environment, stdout=terminal, stderr=subprocess.STDOUT
            )

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.output
            return "\nCréneau is ready" in self.output

        wait_until(ready, within_s=60, what="the system")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)

    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "state.json").read_text()))

    def processes(self) -> dict[str, dict[str, Any]]:
        return dict(self.state()["processes"])

    def pids(self) -> list[int]:
        return [process["pid"] for process in self.processes().values() if process["pid"]]

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=60, **arguments)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("system") / "folder", free_port())
    running.start()
    yield running
    running.stop()


@pytest.fixture
def new_system(tmp_path: Path) -> Iterator[System]:
    fresh = System(tmp_path / "folder", free_port())
    yield fresh
    if fresh.process is not None:
        fresh.stop()


def test_every_process_is_known_and_ready(system: System) -> None:
    processes = system.processes()
    assert set(processes) == EVERY_PROCESS
    assert all(process["ready"] and is_running(process["pid"]) for process in processes.values())
    assert len({process["port"] for process in processes.values()}) == len(processes)
    assert system.get("/ops/status").json() == system.state()
    last = system.output.rstrip().splitlines()[-1]
    assert last.startswith("Créneau is ready")


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/fhir/Practitioner?name=x", "directory"),
        ("/fhir/HealthcareService/1/_history/2", "directory"),
        ("/fhir/Endpoint", "directory"),
        ("/fhir/Slot?status=free", "booking"),
        ("/fhir/Appointment/$find", "booking"),
        ("/fhir/AuditEvent", "gateway"),
        ("/fhir/AuditEvent/_search", "gateway"),
        ("/fhir/AuditEvent/0199-a.b", "gateway"),
        ("/fhir/AuditEvent/$validate", "booking"),
        ("/fhir/_async/booking/1", "booking"),
        ("/fhir/_async/directory/1", "directory"),
        ("/fhir/_async/notifications/1", "notifications"),
        ("/fhir/_async/1", "gateway"),
        ("/fhir/Communication/1", "notifications"),
        ("/fhir/Subscription", "gateway"),
        ("/fhir", "gateway"),
        ("/fhir/", "gateway"),
        ("/fhir/metadata", "gateway"),
        ("/fhir/_history", "gateway"),
        ("/fhir/StructureDefinition/x", "gateway"),
        ("/fhir/Slots", "gateway"),
        ("/fhir/Observation/1", "gateway"),
        ("/health/ready", "gateway"),
    ],
)
def test_the_gateway_finds_the_service(system: System, path: str, who: str) -> None:
    answer = system.get(path).json()
    assert answer["who"][0] == who
    assert answer["path"] == path, "the path arrives untouched"


def test_a_correlation_id_is_kept_or_given(system: System) -> None:
    def arrived(**headers: str) -> str:
        return str(system.get("/fhir/Slot", headers=headers).json()["headers"]["X-Request-Id"])

    assert arrived(**{"X-Request-Id": "abc-1"}) == "abc-1"
    assert len(arrived()) == 32
    assert arrived(**{"X-Request-Id": "a b"}) != "a b"


@pytest.mark.parametrize("path", ["/docs/", "/docs/en/", "/style.css", "/dev/mail"])
def test_pages_are_served_and_fetch_nothing_from_elsewhere(system: System, path: str) -> None:
    page = system.get(path)
    assert page.status_code == 200
    assert 'src="http' not in page.text
    assert 'href="http' not in page.text
    assert "@import" not in page.text


@pytest.mark.parametrize(
    ("language", "word"), [("fr-FR,fr;q=0.9", "corps"), ("en-GB", "body"), ("", "corps")]
)
def test_too_long_a_body_is_an_operation_outcome(system: System, language: str, word: str) -> None:
    answer = httpx.post(
        f"http://127.0.0.1:{system.port}/fhir/Appointment",
        content=b" " * (8 * 1024 * 1024 + 1),
        headers={"Accept-Language": language},
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("application/fhir+json")
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["code"] == "too-long"
    assert word in outcome["issue"][0]["details"]["text"]


def test_too_long_an_address_is_an_operation_outcome(system: System) -> None:
    answer = system.get("/fhir/Slot?_id=" + "a" * 40_000)
    assert answer.status_code == 414
    assert answer.json()["issue"][0]["code"] == "too-long"


def test_a_write_that_may_have_arrived_is_never_sent_twice(system: System) -> None:
    """The service crashes in the middle of a POST: the client is told, and no other process gets the POST."""
    before = system.processes()
    answer = httpx.post(f"http://127.0.0.1:{system.port}/fhir/Appointment/$vanish", timeout=60)
    assert answer.status_code == 502
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert "retry-after" in answer.headers
    assert (system.folder / "vanished").read_text() == "once\n"
    after = recovered(system, before, {"booking-api-1", "booking-api-2"})
    assert sum(after[name]["restarts"] - before[name]["restarts"] for name in before) == 1


def recovered(
    system: System, before: dict[str, dict[str, Any]], among: set[str]
) -> dict[str, dict[str, Any]]:
    """Wait until one of `among` has been started again and all is ready; the processes then."""

    def again() -> bool:
        now = system.processes()
        restarted = any(now[name]["restarts"] > before[name]["restarts"] for name in among)
        return restarted and all(process["ready"] for process in now.values())

    wait_until(again, within_s=40, what=f"{among} again")
    return system.processes()


@pytest.mark.parametrize("name", ["nginx", "broker", "postgres", "booking-worker"])
def test_a_part_that_dies_comes_back_on_its_port(system: System, name: str) -> None:
    before = system.processes()
    os.kill(before[name]["pid"], signal.SIGKILL)
    after = recovered(system, before, {name})
    assert after[name]["pid"] != before[name]["pid"]
    assert after[name]["port"] == before[name]["port"]
    assert f"{name} was killed by SIGKILL; starting it again in" in system.output
    assert system.get("/fhir/Slot").status_code == 200


def test_a_second_run_is_refused(system: System) -> None:
    done = subprocess.run(
        system.command(), env=system.environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert f"pid {system.state()['supervisor']}" in done.stderr
    assert f":{system.port}" in done.stderr
    assert system.get("/fhir/Slot").status_code == 200


def test_a_taken_port_is_said(new_system: System) -> None:
    new_system.folder.mkdir()
    with socket.create_server(("127.0.0.1", new_system.port)):
        done = subprocess.run(
            new_system.command(), env=new_system.environment, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 1
    assert f"port {new_system.port} is taken" in done.stderr


def test_a_stop_is_clean_and_the_next_start_keeps_the_data(new_system: System) -> None:
    new_system.start()
    stop = [sys.executable, "-m", "deploy.local.stop"]
    url = database_url(new_system)
    psql(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    pids = new_system.pids()
    done = subprocess.run(stop, env=new_system.environment, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert new_system.process is not None
    assert new_system.process.wait(120) == 0
    assert not any(is_running(pid) for pid in pids)
    assert "Créneau has stopped." in new_system.output
    assert "killing it" not in new_system.output
    new_system.start()
    assert psql(database_url(new_system), "SELECT answer FROM kept") == "42"


def test_nothing_outlives_a_killed_supervisor(new_system: System) -> None:
    new_system.start()
    pids = new_system.pids()
    assert len(pids) == len(EVERY_PROCESS)
    new_system.stop(signal.SIGKILL)
    wait_until(lambda: not any(is_running(pid) for pid in pids), within_s=120, what="the end of all children")


def database_url(system: System) -> str:
    password = (system.folder / "postgres.secret").read_text()
    return (
        f"postgresql://postgres:{password}@127.0.0.1:{system.processes()['postgres']['port']}/creneau_booking"
    )


def psql(url: str, sql: str) -> str:
    argv = [str(installation() / "bin" / "psql"), "-XqAt", "-d", url, "-c", sql]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
