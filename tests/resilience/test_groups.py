"""Many want the places of one group, or series that meet: through two processes, each patient with a token of their own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from uuid import uuid4

from tests.fixtures.local_run import LocalRun
from tests.resilience.client import Answer, Client
from tests.resilience.office import Office, Resource, Slot
from tests.resilience.test_race import APPOINTMENT, ROUNDS, deadlocks, require_truth

CLIENTS, PLACES = 64, 10
SERIES, WEEKS = 16, 4
TOLD_WITHIN_S = 120.0
"""a busy machine says first that it has no time"""
CAPACITY = "https://creneau.sante.fr/fhir/StructureDefinition/schedule-capacity"


class Town:
    """An office, and people who book in it for themselves."""

    def __init__(self, run: LocalRun) -> None:
        self.office, self._run = Office(run), run

    async def people(self, count: int) -> list[str]:
        """New patients (ids), whom the office knows."""
        ids = [f"{self.office.id}-{uuid4().hex[:8]}" for _ in range(count)]
        await self.office.put(
            [
                {"resourceType": "Patient", "id": id_, "name": [{"family": "Épreuve", "given": [id_[-4:]]}]}
                for id_ in ids
            ]
        )
        return ids

    def booking(self, slot: Slot, patient: str) -> Resource:
        booking = self.office.booking(slot)
        who = {"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}
        return {**booking, "participant": [who]}

    async def at_once(self, asked: Sequence[tuple[str, str, Resource]]) -> list[Answer]:
        """Each of these (patient, path, body), by a connection and a token of the patient's own."""
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(
                    Client(self._run.port, self._run.token("patient", f"sub-{patient}", patient))
                )
                for patient, _, _ in asked
            ]
            await asyncio.gather(*(client.connect() for client in clients))
            return await asyncio.gather(
                *(
                    client.post_until_told(path, body, TOLD_WITHIN_S)
                    for client, (_, path, body) in zip(clients, asked, strict=True)
                )
            )

    async def require_truth(self) -> None:
        await require_truth(self._run)


@ROUNDS
async def test_ten_places(local_run: LocalRun, rounds: int) -> None:
    """64 patients, ten places: ten 201, the rest 409; the slot is full."""
    town = Town(local_run)
    await town.office.open(extension=[{"url": CAPACITY, "valuePositiveInt": PLACES}])
    before = await deadlocks(local_run)
    for _ in range(rounds):
        people, (slot,) = await town.people(CLIENTS), await town.office.free_slots(1)
        answers = await town.at_once([(who, APPOINTMENT, town.booking(slot, who)) for who in people])
        statuses = Counter(answer.status for answer in answers)
        assert statuses == {201: PLACES, 409: CLIENTS - PLACES}, [a.content for a in answers]
        row = await local_run.fetch(
            "booking", "SELECT places, status::text FROM slot WHERE name = $1", slot.id
        )
        assert [tuple(one) for one in row] == [(0, "busy")]
        await town.require_truth()
    assert await deadlocks(local_run) == before


@ROUNDS
async def test_series_that_meet(local_run: LocalRun, rounds: int) -> None:
    """Half of them want the first weeks and half, sent backwards, the last; one week is in both: one wins whole."""
    town = Town(local_run)
    await town.office.open()
    before = await deadlocks(local_run)
    for _ in range(rounds):
        people = await town.people(SERIES)
        slots = await town.office.free_slots(2 * WEEKS - 1)
        asked = []
        for number, who in enumerate(people):
            wanted = slots[:WEEKS] if number % 2 else slots[: WEEKS - 2 : -1]
            bookings = [{"resource": town.booking(slot, who)} for slot in wanted]
            bundle = {"resourceType": "Bundle", "type": "collection", "entry": bookings}
            asked.append((who, f"{APPOINTMENT}/$book", bundle))
        answers = await town.at_once(asked)
        assert Counter(a.status for a in answers) == {201: 1, 409: SERIES - 1}, [a.content for a in answers]
        [won] = [answer.body["entry"] for answer in answers if answer.status == 201]
        busy = "SELECT count(*) FROM slot WHERE name = ANY($1) AND status = 'busy'"
        assert await local_run.value("booking", busy, [slot.id for slot in slots]) == len(won) == WEEKS
        await town.require_truth()
    assert await deadlocks(local_run) == before
