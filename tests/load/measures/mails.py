"""From the answer to a booking to its e-mail at the mail server, at a steady rate of bookings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local.folder import Folder
from deploy.local.mail_store import ENVELOPE_TO
from tests.load import data
from tests.load.draining import Draining
from tests.load.http_load import Answer, paced
from tests.load.measures.figures import CONNECTIONS, SECONDS
from tests.load.measures.writes import Desk

ALONE = 20
"""bookings where nothing else goes on, each made when the e-mail of the one before has come"""


@dataclass(frozen=True)
class Delays:
    """Seconds from answer to acceptance, of those that have come; how many bookings were answered well, and asked for."""

    seconds: list[float]
    booked: int
    asked: int


async def delays(desk: Desk, draining: Draining, token: str, rate: float) -> Delays:
    """At `rate` bookings a second; at 0 one after the other."""
    await draining.drained()
    first = desk.booked
    if rate:
        answers = await paced(
            desk.system.address, _requests(desk, token, int(rate * SECONDS)), rate, CONNECTIONS
        )
        await draining.drained()
    else:
        answers = []
        for request in _requests(desk, token, ALONE):
            answers += await paced(desk.system.address, [request], 1.0, 1)
            await draining.drained()
    booked = [(first + index, answer) for index, answer in enumerate(answers) if answer.status == 201]
    return Delays(
        list(_matched(booked, _arrivals(Folder(desk.system.folder).mail))), len(booked), len(answers)
    )


def _requests(desk: Desk, token: str, count: int) -> Iterator[bytes]:
    for _ in range(count):
        request = desk.next([token])
        if request is None:
            return
        yield request


def _arrivals(mail: Path) -> dict[str, list[float]]:
    """When messages to each address were accepted, in order: a message stands in `new` once it is."""
    arrivals: dict[str, list[float]] = defaultdict(list)
    for path in (mail / "new").iterdir():
        with path.open("rb") as file:
            head = file.read(1024).decode(errors="replace")
        address = head.partition(f"{ENVELOPE_TO}: ")[2].partition("\n")[0].strip()
        arrivals[address].append(path.stat().st_ctime)
    return {address: sorted(times) for address, times in arrivals.items()}


def _matched(booked: list[tuple[int, Answer]], arrivals: dict[str, list[float]]) -> Iterator[float]:
    """Each booking with the first message to its patient after it was sent, each message once."""
    for number, answer in booked:
        times = arrivals.get(data.address_of(number), [])
        later = next((time for time in times if time >= answer.sent_at), None)
        if later is not None:
            times.remove(later)
            yield max(0.0, later - answer.answered_at)
