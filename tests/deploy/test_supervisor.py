"""The supervisor: what dies comes back, what stops stays stopped, nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deploy.local.child import Command
from deploy.local.ports import free_port
from deploy.local.probes import Probe, blocking, http, http_status
from deploy.local.supervisor import Part, Pauses, StartError, Supervisor, rotate

QUICK = Pauses(first_s=0.05, longest_s=0.2, healthy_s=60)


def python(code: str, **environment: str) -> Command:
    """A process that runs a few lines of Python."""
    return Command((sys.executable, "-u", "-c", code), {**os.environ, **environment})


def server(port: int) -> Command:
    """A process that answers any GET with 200 (an empty folder's listing)."""
    return Command(
        (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", "/usr/share")
    )


async def always() -> bool:
    return True


async def never() -> bool:
    return False


def has_written(file: Path, word: str = "") -> Probe:
    """Ready when the file has the word in it, or anything at all."""

    def check() -> bool:
        text = file.read_text() if file.exists() else ""
        return word in text if word else bool(text)

    return blocking(check)


async def until(condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
        await asyncio.sleep(0.02)


class Told(list[str]):
    """What the supervisor said."""


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def supervisor(tmp_path: Path, told: Told) -> Supervisor:
    return Supervisor(tmp_path, say=told.append, pauses=QUICK)


def test_the_pause_doubles_up_to_the_longest() -> None:
    pauses, seen = Pauses(), [Pauses().first_s]
    for _ in range(6):
        seen.append(pauses.next(seen[-1]))
    assert seen == [1, 2, 4, 8, 16, 30, 30]


async def test_a_killed_part_comes_back_on_its_port(supervisor: Supervisor, told: Told) -> None:
    port = free_port()
    part = Part("web", server(port), http(port, "/"), port)
    await supervisor.start(part)
    first = part.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: part.ready and part.pid != first, "the part is ready again")
    assert part.restarts == 1
    assert told == ["web was killed by SIGKILL; starting it again in 0.05 s"]
    assert await http_status(port, "/") == 200
    await supervisor.stop()
    assert await http_status(port, "/") is None
    assert part.pid is None


async def test_the_pause_grows_for_a_part_that_keeps_dying(supervisor: Supervisor, told: Told) -> None:
    part = Part("frail", python("print('no luck'); raise SystemExit(7)"), never)
    with pytest.raises(StartError, match="frail keeps ending\nno luck"):
        await supervisor.start(part)
    await supervisor.stop()
    pauses = [line.rpartition("in ")[2] for line in told if "ended with exit code 7" in line]
    assert pauses[:4] == ["0.05 s", "0.1 s", "0.2 s", "0.2 s"]
    assert any("no luck" in line for line in told), "the end of its log is shown"


async def test_what_could_not_be_prepared_is_said_and_tried_again(supervisor: Supervisor, told: Told) -> None:
    tries: list[int] = []

    def prepare() -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            raise OSError("no space left on device")

    part = Part("database", python("import time; time.sleep(600)"), always, prepare=prepare)
    await supervisor.start(part)
    await until(lambda: part.pid is not None, "it lives")
    await supervisor.stop()
    assert told[0].startswith("database could not be started (OSError: no space left on device); starting it")


async def test_health_is_rewarded_with_the_first_pause(tmp_path: Path, told: Told) -> None:
    pauses = Pauses(first_s=0.05, longest_s=5, healthy_s=0)
    supervisor = Supervisor(tmp_path, say=told.append, pauses=pauses)
    part = Part("frail", python("raise SystemExit(1)"), always)
    await supervisor.start(part)
    await until(lambda: len(told) >= 4, "four deaths")
    await supervisor.stop()
    assert {line.rpartition("in ")[2] for line in told if "ended" in line} == {"0.05 s"}


async def test_stages_stop_in_reverse_order(supervisor: Supervisor, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    code = (
        "import os, signal, sys, time\n"
        "def end(*_):\n open(os.environ['JOURNAL'], 'a').write(os.environ['NAME'] + '\\n'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('set', flush=True)\n"
        "while True: time.sleep(1)"
    )
    for name in ("first", "second", "third"):
        command = python(code, JOURNAL=str(journal), NAME=name)
        await supervisor.start(Part(name, command, has_written(tmp_path / f"{name}.log", "set")))
    await supervisor.stop()
    assert journal.read_text().split() == ["third", "second", "first"]


async def test_a_part_that_will_not_stop_is_killed(
    supervisor: Supervisor, told: Told, tmp_path: Path
) -> None:
    code = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    part = Part("deaf", python(code), has_written(tmp_path / "deaf.log", "deaf"), stop_within_s=0.3)
    await supervisor.start(part)
    await asyncio.wait_for(supervisor.stop(), 60)
    assert told == ["deaf did not end within 0.3 s; killing it"]
    assert part.pid is None


async def test_children_of_a_part_do_not_outlive_it(supervisor: Supervisor, tmp_path: Path) -> None:
    """A crash of nginx's master must not leave workers that hold its port."""
    family = tmp_path / "family"
    code = (
        "import os, time, pathlib\n"
        "child = os.fork()\n"
        "if child: pathlib.Path(os.environ['FAMILY']).write_text(str(child))\n"
        "time.sleep(600)"
    )
    part = Part("parent", python(code, FAMILY=str(family)), has_written(family))
    await supervisor.start(part)
    child, first = int(family.read_text()), part.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: not is_running(child), "the orphan is gone")
    await supervisor.stop()


async def test_a_command_that_fails_is_told_with_its_last_words(supervisor: Supervisor) -> None:
    await supervisor.run_once("fine", python("print('ok')"))
    with pytest.raises(StartError, match=r"migrate failed \(ended with exit code 3\)\nno such table"):
        await supervisor.run_once("migrate", python("print('no such table'); raise SystemExit(3)"))


def test_one_former_log_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    for text in ("one", "two"):
        log.write_text(text)
        rotate(log)
    assert not log.exists()
    assert (tmp_path / "part.log.1").read_text() == "two"


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
