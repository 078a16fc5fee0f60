"""What a new user does: `make run`, `make demo`, `make run` again after a crash."""

from __future__ import annotations

import subprocess
import sys

import httpx
from deploy.local.ports import wait_until

from tests.fixtures.local_run import LocalRun, is_running

KEPT = ("Practitioner", "Slot", "Schedule", "Patient", "Appointment", "Communication")


def totals(run: LocalRun) -> dict[str, int]:
    """How many resources of each type there are."""
    headers = {"Authorization": f"Bearer {run.token('system')}"}
    with httpx.Client(base_url=f"{run.url}/fhir", headers=headers, timeout=60) as client:
        parameters = {"_summary": "count", "_total": "accurate"}
        answers = {kind: client.get(f"/{kind}", params=parameters) for kind in KEPT}
    assert all(answer.status_code == 200 for answer in answers.values()), answers
    return {kind: answer.json()["total"] for kind, answer in answers.items()}


def test_the_demonstration_tells_the_whole_main_job(local_run: LocalRun) -> None:
    """Search, hold, book, refuse, event, e-mail, move and cancel, through the gateway, on the region's data."""
    told = subprocess.run(
        [sys.executable, "-m", "deploy.demo.tell"],
        env=local_run.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    print(told.stdout, told.stderr)
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr
    assert told.stdout.rstrip().endswith("Tout s'est passé comme annoncé.")


def test_the_region_is_as_large_as_promised(local_run: LocalRun) -> None:
    """At least 300 professionals and 20,000 slots, as the gateway counts them."""
    found = totals(local_run)
    assert found["Practitioner"] >= 300
    assert found["Slot"] >= 20_000


def test_a_killed_supervisor_leaves_no_process_and_the_data(local_run: LocalRun) -> None:
    """SIGKILL cannot be handled: the kernel ends its children, PostgreSQL in order. The next start finds the same resources
    and loads nothing. (That a stop in order keeps them: `tests/deploy/test_run.py`.)"""
    before = totals(local_run)
    family = local_run.crash()

    def gone() -> bool:
        return not any(is_running(pid, identity) for pid, identity in family.items())

    try:
        wait_until(gone, within_s=60, what="the end of every process", every_s=0.1)
    finally:
        started_s = local_run.start()
    print(f"\nstart after the crash in {started_s:.1f} s")
    assert len(family) > len(local_run.processes())
    assert totals(local_run) == before
    assert "Loading the demonstration data" not in local_run.output
