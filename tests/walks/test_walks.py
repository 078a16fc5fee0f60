"""People who go through the pages as chance has it find nothing wrong with them, and leave nothing wrong behind.

WALKS=20 make walks      as many seeds, a thousand steps each
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import httpx
import pytest
from deploy.local.mail_store import MailStore
from deploy.local.tokens import Issuer

from tests.fixtures.local_run import LocalRun
from tests.walks.afterwards import Base, disagreements
from tests.walks.walker import Town, Walker

WALKS = int(os.environ.get("WALKS", "3"))
PEOPLE = 3
"""who walk at once, in turn"""
FEW_STEPS, MANY_STEPS = 60, 1000
SETTLED_S = 2.0
"""until what was booked last is told to everybody"""


def in_mail(store: MailStore, pattern: str) -> Callable[[str], str | None]:
    """What is found in the latest mail to an address that has it."""

    def found(address: str) -> str | None:
        texts = (mail.text for mail in store.newest_first(address))
        return next((match[0] for text in texts if (match := re.search(pattern, text))), None)

    return found


def town_of(run: LocalRun) -> Town:
    """A running system as walkers see it."""
    link, code = in_mail(run.mail, r"http://\S+/rdv/[\w-]+"), in_mail(run.mail, r"\b\d{6}\b")
    return Town(run.url, Issuer.of(run.folder).url, datetime.now(UTC).date(), link, code)


@contextmanager
def people(town: Town, seed: int) -> Iterator[list[Walker]]:
    """Walkers, whose connections are closed in the end."""
    with ExitStack() as stack:
        walkers = [Walker(town, seed * PEOPLE + n) for n in range(PEOPLE)]
        for walker in walkers:
            stack.callback(walker.window.close)
        yield walkers


def walk(run: LocalRun, seed: int, steps: int) -> None:
    """Some steps of everybody in turn, then the list of each beside what the FHIR base has."""
    town, began = town_of(run), time.monotonic()
    headers = {"Authorization": f"Bearer {run.token('system')}"}
    with (
        people(town, seed) as walkers,
        httpx.Client(base_url=f"{run.url}/fhir", headers=headers, timeout=60) as system,
    ):
        for n in range(steps):
            walkers[n % PEOPLE].step()
        time.sleep(SETTLED_S)
        wrong = list(disagreements(Base(system), walkers))
        slowest = max(walker.window.slowest_s for walker in walkers)
    took = time.monotonic() - began
    print(
        f"\nseed {seed}: {steps} steps in {took:.0f} s, {len(town.seen)} kinds of requests, slowest {slowest:.1f} s"
    )
    assert not town.faults.first, f"seed {seed}\n{town.faults}"
    assert not wrong, f"seed {seed}\n" + "\n".join(wrong)


def test_a_walk(local_run: LocalRun) -> None:
    walk(local_run, 1, FEW_STEPS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 100 + WALKS))
def test_long_walks(local_run: LocalRun, seed: int) -> None:
    walk(local_run, seed, MANY_STEPS)
