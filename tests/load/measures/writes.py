"""Writes: bookings by software and by patients, and transactions of the directory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.load import data
from tests.load.http_load import Load, http_request, run
from tests.load.measures.figures import CONNECTIONS, SECONDS
from tests.load.system import System


@dataclass
class Desk:
    """Whose turn it is and which slot is next: no two bookings are for the same slot, as long as there are free ones."""

    system: System
    agenda: data.Agenda
    booked: int = 0
    slots: Iterator[data.Slot] = field(init=False)

    def __post_init__(self) -> None:
        self.slots = iter(self.agenda.slots)

    def next(self, tokens: Sequence[str]) -> bytes | None:
        """The request for the next slot, for the next patient, by them or by the one software; None: all is booked."""
        slot = next(self.slots, None)
        if slot is None:
            return None
        number, self.booked = self.booked, self.booked + 1
        appointment = self.agenda.appointment(slot, data.patient_id(number))
        body = json.dumps(appointment, ensure_ascii=False).encode()
        return http_request("POST", "/fhir/Appointment", self.system.host, tokens[number % len(tokens)], body)


async def book(desk: Desk, tokens: Sequence[str]) -> Load:
    """One booking for each free slot; patient by patient, each with their token, or all with the one."""

    def bookings(seconds: float) -> Iterator[bytes]:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until and (request := desk.next(tokens)) is not None:
            yield request

    await run(desk.system.address, bookings(SECONDS / 5), CONNECTIONS)
    return await run(desk.system.address, bookings(SECONDS), CONNECTIONS)


async def transactions(system: System, token: str) -> Load:
    """Bundles that create twenty Locations each."""

    def bundles(seconds: float) -> Iterator[bytes]:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            body = json.dumps(data.transaction_of_locations(20)).encode()
            yield http_request("POST", "/fhir", system.host, token, body)

    await run(system.address, bundles(SECONDS / 5), CONNECTIONS)
    return await run(system.address, bundles(SECONDS), CONNECTIONS)
