"""Holds and moves: 64 clients want the same few times, through both API processes."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict

from tests.fixtures.local_run import LocalRun
from tests.resilience.client import Client
from tests.resilience.office import Office, Resource, Slot
from tests.resilience.test_race import (
    APPOINTMENT,
    CLIENTS,
    ROOM_WITHIN_S,
    ROUNDS,
    SEED,
    clients,
    deadlocks,
    require_truth,
)

TARGETS = 10
NOTHING: Resource = {"resourceType": "Parameters"}


def to(slot: Slot) -> Resource:
    """The call that moves to it."""
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "slot", "valueReference": {"reference": f"Slot/{slot.id}"}}],
    }


async def holders(run: LocalRun, slots: list[Slot]) -> dict[str, tuple[str | None, str]]:
    """Slot → which appointment has it, and its status."""
    rows = await run.fetch(
        "booking", "SELECT name, taken_by, status::text FROM slot WHERE name = ANY($1)", [s.id for s in slots]
    )
    return {row["name"]: (row["taken_by"], row["status"]) for row in rows}


@ROUNDS
async def test_a_slot_is_held_by_one_and_booked_by_who_holds_it(local_run: LocalRun, rounds: int) -> None:
    """64 clients ask to hold each of ten slots: one 201 each, the rest 409; then each hold is booked by two at once."""
    office, chance = Office(local_run), random.Random(SEED)
    await office.open()
    before = await deadlocks(local_run)
    async with clients(local_run, CLIENTS) as racers:
        for _ in range(rounds):
            slots = await office.free_slots(TARGETS)
            held: dict[str, list[str]] = defaultdict(list)

            async def hold(
                client: Client, slots: list[Slot] = slots, held: dict[str, list[str]] = held
            ) -> None:
                for slot in chance.sample(slots, len(slots)):
                    wanted = {**office.booking(slot), "status": "proposed"}
                    answer = await client.post_when_there_is_room(
                        f"{APPOINTMENT}/$hold", wanted, ROOM_WITHIN_S
                    )
                    assert answer.status in (201, 409), answer.content
                    if answer.status == 201:
                        held[slot.id].append(answer.body["id"])

            await asyncio.gather(*(hold(client) for client in racers))
            assert {slot: len(ids) for slot, ids in held.items()} == {slot.id: 1 for slot in slots}
            assert await holders(local_run, slots) == {
                s: (ids[0], "busy-tentative") for s, ids in held.items()
            }
            asked = [
                client.post_when_there_is_room(f"{APPOINTMENT}/{ids[0]}/$book", NOTHING, ROOM_WITHIN_S)
                for ids, pair in zip(held.values(), zip(racers[::2], racers[1::2], strict=True), strict=False)
                for client in pair
            ]
            assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
            assert await holders(local_run, slots) == {s: (ids[0], "busy") for s, ids in held.items()}
    await require_truth(local_run)
    assert await deadlocks(local_run) == before


@ROUNDS
async def test_a_time_is_moved_to_by_one(local_run: LocalRun, rounds: int) -> None:
    """64 visits, each of which would be moved to one of ten times: ten get there, the others stay where they were, and
    what was left is free."""
    office, chance = Office(local_run), random.Random(SEED)
    await office.open()
    before = await deadlocks(local_run)
    async with clients(local_run, CLIENTS) as racers:
        for _ in range(rounds):
            homes, targets = await office.free_slots(CLIENTS), await office.free_slots(TARGETS)
            booked = await asyncio.gather(
                *(
                    client.post_when_there_is_room(APPOINTMENT, office.booking(slot), ROOM_WITHIN_S)
                    for client, slot in zip(racers, homes, strict=True)
                )
            )
            assert {answer.status for answer in booked} == {201}, [
                a.content for a in booked if a.status != 201
            ]
            ids = [str(answer.body["id"]) for answer in booked]

            async def move(client: Client, id_: str, targets: list[Slot] = targets) -> Slot | None:
                for slot in chance.sample(targets, len(targets)):
                    path = f"{APPOINTMENT}/{id_}/$reschedule"
                    answer = await client.post_when_there_is_room(path, to(slot), ROOM_WITHIN_S)
                    assert answer.status in (200, 409), answer.content
                    if answer.status == 200:
                        return slot
                return None

            gone = await asyncio.gather(*map(move, racers, ids))
            assert sorted(slot.id for slot in gone if slot is not None) == sorted(slot.id for slot in targets)
            there = {slot.id: (id_, "busy") for slot, id_ in zip(gone, ids, strict=True) if slot is not None}
            assert await holders(local_run, targets) == there
            stayed = {
                home.id: (id_, "busy") if slot is None else (None, "free")
                for home, id_, slot in zip(homes, ids, gone, strict=True)
            }
            assert await holders(local_run, homes) == stayed
    await require_truth(local_run)
    assert await deadlocks(local_run) == before
