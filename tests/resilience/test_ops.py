"""The operator's page while parts are away: the sentence turns within a minute, and the line of that part alone."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from deploy.local.ports import LOOPBACK, wait_until

from tests.fixtures.local_run import LocalRun, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SEEN_WITHIN_S = 60.0
GONE_WITHIN_S = 180.0
QUIET_WITHIN_S = 240.0
LOOKS_S = 25.0
DRIVEN = 400
LINE = re.compile(r'<li class="(\w+)">\s*<p><strong>(.*?)</strong>', re.DOTALL)
SECTION = re.compile(r"<h2[^>]*>(.*?)</h2>(.*?)(?=<h2|</main>)", re.DOTALL)
STATE = re.compile(r"<title>(.*?) –", re.DOTALL)
PLACES = {"Ce dont tout dépend", "Les processus"}
NOW = {*PLACES, "Une réservation d'essai chaque minute"}

PROCESSES = (
    *("booking-api-1", "booking-api-2", "booking-worker", "directory-api", "directory-worker"),
    *("notifications-api", "notifications-worker", "gateway", "web-rehearsal"),
)
DEPENDENCIES = {
    "postgres": "PostgreSQL",
    "broker": "Kafka",
    "issuer": "issuer",
    "mailbox": "mail",
    "nginx": "entrance",
}


@dataclass(frozen=True)
class Board:
    """The page as somebody sees it."""

    title: str
    text: str

    def bad(self, sections: set[str] | None = None) -> set[str]:
        """The subjects of the lines that are bad, in these sections or in all."""
        return {
            name
            for section, content in SECTION.findall(self.text)
            if sections is None or section in sections
            for state, name in LINE.findall(content)
            if state == "bad"
        }


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest) -> Iterator[LocalRun]:
    with running(request.session, demonstration=False) as local_run:
        yield local_run


def board(run: LocalRun) -> Board:
    """By the pages' own port: nginx may be what is away."""
    port = run.processes()["web"]["port"]
    text = httpx.get(f"http://{LOOPBACK}:{port}/ops", timeout=20).text
    title = STATE.search(text)
    assert title is not None, text
    return Board(title[1], text)


def quiet(run: LocalRun) -> None:
    """Wait until everything works now; what rings for a quarter of an hour after it has happened may go on ringing."""
    wait_until(lambda: not board(run).bad(NOW), within_s=QUIET_WITHIN_S, what="all is well", every_s=1)


@contextmanager
def away(run: LocalRun, name: str) -> Iterator[None]:
    """Kill a part, and keep the supervisor from starting it again meanwhile."""
    assert run._process is not None
    run._process.send_signal(signal.SIGSTOP)
    try:
        pid = int(json.loads(run.folder.state.read_text())["processes"][name]["pid"])
        os.killpg(pid, signal.SIGKILL)
        yield
    finally:
        run._process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("name", [*PROCESSES, *DEPENDENCIES])
def test_a_part_that_is_away_is_its_own_line(run: LocalRun, name: str) -> None:
    """O1: one sentence, within a minute of the break; of processes and dependencies the right line and no other; and all is
    well again once it is back."""
    quiet(run)
    subject = DEPENDENCIES.get(name, name)
    began = time.monotonic()
    with away(run, name):
        wait_until(
            lambda: subject in board(run).bad(PLACES),
            within_s=SEEN_WITHIN_S,
            what=f"{subject} is bad",
            every_s=0.5,
        )
        took, seen = time.monotonic() - began, board(run)
        assert seen.bad(PLACES) == {subject}
        assert seen.title == "En panne"
        assert subject in re.sub(
            r"<[^>]+>", "", seen.text.partition('role="status"')[2].partition("</div>")[0]
        )
        # In the looks after that it is still the only one: what follows from it is not called a cause.
        until = time.monotonic() + LOOKS_S
        while time.monotonic() < until:
            assert board(run).bad(PLACES) == {subject}
            time.sleep(1)
    print(f"{name}: seen after {took:.0f} s")
    wait_until(
        lambda: subject not in board(run).bad(),
        within_s=GONE_WITHIN_S,
        what=f"{subject} is well again",
        every_s=1,
    )


def test_a_process_that_hangs_is_seen(run: LocalRun) -> None:
    """It is there and answers nothing."""
    quiet(run)
    pid = int(run.processes()["directory-api"]["pid"])
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(
            lambda: board(run).bad(PLACES) == {"directory-api"},
            within_s=SEEN_WITHIN_S,
            what="it is bad",
            every_s=0.5,
        )
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_restart_stands_among_what_changed(run: LocalRun) -> None:
    """Too short to be seen as a break, it is seen as a start."""
    quiet(run)
    run.kill("gateway")
    run.wait_ready()

    def told() -> bool:
        row = re.search(r'<th scope="row">gateway</th>\s*<td>(.*?)</td>', board(run).text, re.DOTALL)
        return row is not None and "seconde" in row[1]

    wait_until(told, within_s=SEEN_WITHIN_S, what="the gateway's new start", every_s=1)


async def test_a_rehearsal_that_cannot_be_made_turns_the_page_before_anybody_complains(run: LocalRun) -> None:
    """O2: every process is fine, and nobody can book: no slot is left."""
    quiet(run)
    taken = "UPDATE slot SET status = 'busy', said = 'busy' WHERE schedule_key = (SELECT key FROM schedule WHERE id = $1)"
    async with run.connection("booking") as connection:
        await connection.execute(taken, "creneau-rehearsal")
        try:
            wait_until(
                lambda: board(run).title == "En panne",
                within_s=SEEN_WITHIN_S,
                what="the page turns",
                every_s=1,
            )
            seen = board(run)
            assert seen.bad(NOW) == {"Réservation d'essai"}
            assert "chercher" in seen.text
            assert "no-slot" in seen.text
        finally:
            await connection.execute(taken.replace("'busy'", "'free'"), "creneau-rehearsal")
    quiet(run)


async def test_driven_load_is_read_right(run: LocalRun) -> None:
    """O3: as many answers as were driven, and the p95 that their client measured, within a tenth; the page adds what others
    searched in its fifteen minutes, as the rehearsal."""
    quiet(run)
    before, times = _row(board(run), "Recherche"), []
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=run.url) as client:
        for _ in range(DRIVEN):
            asked = time.perf_counter()
            answer = await client.get("/fhir/Slot", params={"status": "free", "start": "gt2026-01-01"})
            times.append(time.perf_counter() - asked)
            assert answer.status_code == 200

    def all_seen() -> bool:
        return bool(_row(board(run), "Recherche")["minutes"] - before["minutes"] >= DRIVEN * 0.9)

    wait_until(all_seen, within_s=SEEN_WITHIN_S, what="what was driven is on the page", every_s=1)
    after = _row(board(run), "Recherche")
    rehearsed = (time.monotonic() - began) / 40 + 2
    assert after["minutes"] - before["minutes"] <= DRIVEN * 1.1 + rehearsed
    # What failed while parts were away a moment ago is on the page still; of what was driven nothing failed.
    assert after["failures"] <= before["failures"]
    # What others searched in these fifteen minutes, while parts were away, may all have taken longer than what was driven.
    measured = sorted(times)[min(DRIVEN - 1, int(0.95 * after["minutes"]))]
    print(f"p95: the client {measured * 1000:.1f} ms, the page {after['p95_ms']} ms")
    # The client's own time stands between: the page may say less, never a tenth more.
    assert after["p95_ms"] <= measured * 1000 * 1.1 + 1


def _row(seen: Board, function: str) -> dict[str, Any]:
    """A function's figures: the sum of its minutes, the share of failures as it is written, the p95."""
    table = seen.text.partition("<details>")[2].partition("</details>")[0]
    column = re.findall(r'<th scope="col">(.*?)</th>', table).index(function)
    rows = re.findall(r'<tr><th scope="row">\d+</th>(.*?)</tr>', table)
    cells = re.search(rf'<th scope="row">{function}</th>(.*?)</tr>', seen.text, re.DOTALL)
    assert cells is not None
    _, failures, p95 = re.findall(r"<td>([^<]*)</td>", cells[1])
    value, _, unit = p95.replace(",", ".").partition("\N{NO-BREAK SPACE}")
    return {
        "minutes": sum(int(re.findall(r"<td>(\d+)</td>", row)[column - 1]) for row in rows),
        "failures": float(failures.partition("\N{NO-BREAK SPACE}")[0].replace(",", ".")),
        "p95_ms": float(value) * {"ms": 1, "s": 1000}.get(unit, 0) if unit else 0.0,
    }
