"""A time in an agenda that offers twenty minutes of one thing and thirty of another side by side: which slots are meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, ref, schedule, unique, utc
from services.booking.tests.practice import Practice

SYSTEM = "urn:actes"
MINUTES = timedelta(minutes=1)


def for_(code: str) -> list[dict[str, Any]]:
    return [{"coding": [{"system": SYSTEM, "code": code}]}]


@dataclass(frozen=True)
class Lanes:
    """Three times twenty minutes of `short`, twice thirty of `long`, in the same hour."""

    agenda: str
    start: datetime

    def at(self, minutes: int) -> datetime:
        return self.start + minutes * MINUTES

    def slot(self, code: str, minutes: int) -> str:
        return f"{self.agenda}-{code}-{minutes}"


@pytest.fixture
async def lanes(practice: Practice) -> Lanes:
    lanes = Lanes(unique("agenda"), practice.clock.now() + timedelta(days=8))
    await practice.put(schedule(lanes.agenda, [f"Practitioner/{unique('prat')}"]))
    for code, length in (("short", 20), ("long", 30)):
        for minutes in range(0, 60, length):
            await practice.put(
                {
                    "resourceType": "Slot",
                    "id": lanes.slot(code, minutes),
                    "schedule": ref(f"Schedule/{lanes.agenda}"),
                    "serviceType": for_(code),
                    "status": "free",
                    "start": utc(lanes.at(minutes)),
                    "end": utc(lanes.at(minutes + length)),
                }
            )
    return lanes


async def books(callers: Callers, lanes: Lanes, patient: str, minutes: int, length: int, **said: Any) -> Any:
    wanted = appointment("booked", patient=patient, start=lanes.at(minutes), length=length * MINUTES, **said)
    answer = await callers.patient(patient).post(
        "Appointment/$book", parameters(appointment=wanted, schedule=ref(f"Schedule/{lanes.agenda}"))
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def slots_of(visit: Any) -> list[str]:
    return [slot["reference"].removeprefix("Slot/") for slot in visit["slot"]]


async def test_the_slot_that_is_just_that_long(callers: Callers, lanes: Lanes, camille: str) -> None:
    assert slots_of(await books(callers, lanes, camille, 20, 20)) == [lanes.slot("short", 20)]


async def test_the_kind_that_is_wanted(callers: Callers, lanes: Lanes, camille: str) -> None:
    """Both begin then; an hour of one kind is its slots one after the other."""
    visit = await books(callers, lanes, camille, 0, 60, serviceType=for_("short"))
    assert slots_of(visit) == [lanes.slot("short", minutes) for minutes in (0, 20, 40)]


async def test_a_visit_moves_to_a_time_of_its_own_kind(callers: Callers, lanes: Lanes, camille: str) -> None:
    visit = await books(callers, lanes, camille, 0, 30)
    given = parameters(start=utc(lanes.at(30)), schedule=ref(f"Schedule/{lanes.agenda}"))
    moved = await callers.patient(camille).post(f"Appointment/{visit['id']}/$reschedule", given)
    assert moved.status_code == 200, moved.text
    assert slots_of(moved.json()) == [lanes.slot("long", 30)]


async def test_what_the_practice_proposes_can_be_accepted(
    callers: Callers, practice: Practice, lanes: Lanes, camille: str
) -> None:
    visit = await books(callers, lanes, camille, 0, 20)
    who = (await callers.software().get(f"Schedule/{lanes.agenda}")).json()["actor"][0]
    proposal = {
        "resourceType": "AppointmentResponse",
        "appointment": {"reference": f"Appointment/{visit['id']}"},
        "actor": {"reference": who["reference"]},
        "participantStatus": "tentative",
        "start": utc(lanes.at(40)),
        "end": utc(lanes.at(60)),
    }
    proposed = await callers.software().post("AppointmentResponse", proposal)
    assert proposed.status_code == 201, proposed.text
    answer = {
        "resourceType": "AppointmentResponse",
        "appointment": {"reference": f"Appointment/{visit['id']}"},
        "actor": {"reference": camille},
        "participantStatus": "accepted",
        "start": utc(lanes.at(40)),
        "end": utc(lanes.at(60)),
    }
    accepted = await callers.answering(camille).post("AppointmentResponse", answer)
    assert accepted.status_code == 201, accepted.text
    now = (await callers.patient(camille).get(f"Appointment/{visit['id']}")).json()
    assert slots_of(now) == [lanes.slot("short", 40)]
