"""A practice's software synchronises its agenda while its slots are booked: nothing that is booked is lost, and nothing
that is taken is free."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from urllib.parse import quote

from tests.fixtures.local_run import LocalRun
from tests.resilience.client import Client
from tests.resilience.office import VISIT, Office, Slot
from tests.resilience.test_race import (
    CLIENTS,
    ROOM_WITHIN_S,
    ROUNDS,
    SEED,
    clients,
    deadlocks,
    race,
    require_stored,
    require_truth,
)

SLOTS = 24
SYSTEM = "https://agenda.exemple.fr/creneau"


def feed(office: Office, slots: list[Slot], **members: Any) -> dict[str, Any]:
    """What the software says of these slots."""
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {
                "resource": {
                    "resourceType": "Slot",
                    "id": slot.id,
                    "schedule": {"reference": f"Schedule/{office.id}-0"},
                    "status": "free",
                    "start": slot.start.isoformat(),
                    "end": slot.end.isoformat(),
                    **members,
                }
            }
            for slot in slots
        ],
    }


def counts(answer: dict[str, Any]) -> dict[str, int]:
    return {p["name"]: p["valueInteger"] for p in answer["parameter"] if "valueInteger" in p}


@ROUNDS
async def test_slots_are_booked_while_their_agenda_is_synchronised(local_run: LocalRun, rounds: int) -> None:
    office, chance = Office(local_run), random.Random(SEED)
    await office.open()
    before = await deadlocks(local_run)
    async with (
        clients(local_run, CLIENTS) as racers,
        Client(local_run.port, local_run.token("system")) as software,
    ):
        for number in range(rounds):
            slots = await office.free_slots(SLOTS)
            first, last = slots[0].start, slots[-1].start + VISIT
            window = f"?from={quote(first.isoformat())}&to={quote(last.isoformat())}"
            path = f"/fhir/Schedule/{office.id}-0/$sync-slots{window}"
            racing = asyncio.create_task(race(racers, office, slots, chance))
            rewritten = 0
            while not racing.done():
                # Some are gone, some say something else; in the end there is all of it again.
                some = [slot for slot in slots if chance.random() < 0.7]
                said = feed(office, some, comment=f"https://exemple.fr/{rewritten}")
                answer = await software.post_when_there_is_room(path, said, ROOM_WITHIN_S)
                assert answer.status == 200, answer.content
                rewritten += 1
            outcome = await racing
            whole = await software.post(path, feed(office, slots))
            assert whole.status == 200
            again = counts((await software.post(path, feed(office, slots))).body)
            print(f"\nround {number + 1}: {outcome.rate}, synchronised {rewritten} times; {again}")
            assert set(outcome.statuses) <= {201, 409, 422}, outcome.statuses
            assert outcome.booked
            assert all(len(booked) == 1 for booked in outcome.booked.values())
            await require_stored(local_run, slots, outcome)
            assert again == {
                "created": 0,
                "updated": 0,
                "deleted": 0,
                "unchanged": SLOTS - len(outcome.booked),
                "conflicts": len(outcome.booked),
            }
            taken = """SELECT count(*) FROM slot JOIN agenda_actor USING (schedule_key) JOIN occupancy USING (actor)
                WHERE slot.name = ANY($1) AND slot.status = 'free' AND occupancy.period && tstzrange(slot.start, slot."end")"""
            assert await local_run.value("booking", taken, [slot.id for slot in slots]) == 0
    await require_truth(local_run)
    assert await deadlocks(local_run) == before
