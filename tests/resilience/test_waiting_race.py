"""Time that frees while 64 clients ask for it, through both API processes: whoever waits has it, every time."""

from __future__ import annotations

import asyncio

from tests.fixtures.local_run import LocalRun
from tests.resilience.client import Client
from tests.resilience.office import Office, Resource, Slot
from tests.resilience.test_race import (
    APPOINTMENT,
    CLIENTS,
    ROOM_WITHIN_S,
    ROUNDS,
    clients,
    deadlocks,
    require_truth,
)


def for_nobody(office: Office, slot: Slot) -> Resource:
    """A booking without the office's patient, who waits."""
    booking = office.booking(slot)
    others = [p for p in booking["participant"] if p["actor"]["reference"] != office.patient]
    return {**booking, "participant": others}


def wish(office: Office) -> Resource:
    people = (office.patient, office.practitioner)
    participants = [{"actor": {"reference": one}, "status": "needs-action"} for one in people]
    return {"resourceType": "Appointment", "status": "waitlist", "participant": participants}


@ROUNDS
async def test_whoever_waits_has_it_and_no_rival(local_run: LocalRun, rounds: int) -> None:
    """Asked for by 64 without a pause from before it is cancelled until after: 409 to each of them, an offer to the one."""
    office = Office(local_run)
    await office.open()
    before = await deadlocks(local_run)
    async with clients(local_run, CLIENTS + 1) as (canceller, *rivals):
        for _ in range(rounds):
            (slot,) = await office.free_slots(1)
            booked = await canceller.post(APPOINTMENT, for_nobody(office, slot))
            waits = await canceller.post(APPOINTMENT, wish(office))
            assert (booked.status, waits.status) == (201, 201), (booked.content, waits.content)
            over = asyncio.Event()

            async def ask(client: Client, slot: Slot = slot, over: asyncio.Event = over) -> set[int]:
                seen: set[int] = set()
                while not over.is_set() or len(seen) == 0:
                    wanted = for_nobody(office, slot)
                    seen.add(
                        (await client.post_when_there_is_room(APPOINTMENT, wanted, ROOM_WITHIN_S)).status
                    )
                return seen

            asking = [asyncio.create_task(ask(client)) for client in rivals]
            parameters = {"resourceType": "Parameters"}
            path = f"{APPOINTMENT}/{booked.body['id']}/$cancel"
            freed = await canceller.post_when_there_is_room(path, parameters, ROOM_WITHIN_S)
            assert freed.status == 200, freed.content
            over.set()
            assert set().union(*await asyncio.gather(*asking)) == {409}
            holder = "SELECT taken_by FROM slot WHERE name = $1 AND status = 'busy-tentative'"
            assert await local_run.value("booking", holder, slot.id) == waits.body["id"]
            accepted = await canceller.post(f"{APPOINTMENT}/{waits.body['id']}/$book", parameters)
            assert (accepted.status, accepted.body["status"]) == (200, "booked"), accepted.content
            # Of one person an agenda takes so many visits only.
            await canceller.post(f"{APPOINTMENT}/{waits.body['id']}/$cancel", parameters)
    await require_truth(local_run)
    assert await deadlocks(local_run) == before
