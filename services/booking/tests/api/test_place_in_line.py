"""Where the practice confirms: whoever accepts an offer keeps their place until it has agreed (checklist 61, 74, 82)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from services.booking.tests.api.test_confirmation import CONFIRMS, answers, told
from services.booking.tests.api.test_waiting import (
    ACCEPTED,
    CANCELLED,
    agenda_wish,
    extension,
    join,
    read,
)
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import parameters, ref
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.storage.mapping.appointment import WAITING_SINCE


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    return await practice.open_agenda(0, extension=CONFIRMS)


async def offered(callers: Callers, practice: Practice, agenda: Agenda) -> tuple[str, str]:
    """A patient to whom a new slot of the agenda is offered, and their Appointment (ids)."""
    patient = await practice.new_patient()
    wish = await join(callers, patient, extension=[agenda_wish(agenda.id)])
    await practice.fill(agenda.id, 1)
    assert (await read(callers, patient, wish))["status"] == "pending"
    return patient, wish


@pytest.mark.parametrize("way", ["response", "$cancel", "patch", "nothing"])
async def test_82_61_declined_by_the_practice_they_are_back_in_their_place(
    callers: Callers, practice: Practice, agenda: Agenda, way: str
) -> None:
    """Since when they wait, and what for, stays; the time goes to the next, who came later; both are told."""
    patient, wish = await offered(callers, practice, agenda)
    practice.clock.advance(timedelta(seconds=1))
    other = await practice.new_patient()
    next_wish = await join(callers, other, extension=[agenda_wish(agenda.id)])
    before = await read(callers, patient, wish)
    accepted = await callers.patient(patient).patch(f"Appointment/{wish}", ACCEPTED)
    assert (accepted.json()["status"], extension(accepted.json(), WAITING_SINCE)) == ("pending", None)
    software, path = callers.software(), f"Appointment/{wish}"
    if way == "response":
        said = {"appointment": ref(path), "actor": ref(agenda.practitioner), "participantStatus": "declined"}
        answer = await software.post("AppointmentResponse", {"resourceType": "AppointmentResponse", **said})
        assert answer.status_code == 201, answer.text
    elif way == "$cancel":
        answer = await software.post(f"{path}/$cancel", parameters(comment="absent"))
        assert answer.status_code == 200, answer.text
    elif way == "patch":
        answer = await software.patch(path, CANCELLED)
        assert answer.status_code == 200, answer.text
    else:
        ahead = timedelta(seconds=practice.settings.confirmation_deadline_s)
        practice.clock.advance(ahead)
        await practice.jobs().expire_holds()
        practice.clock.advance(-ahead)
    back = await read(callers, patient, wish)
    assert (back["status"], extension(back, WAITING_SINCE)) == ("waitlist", extension(before, WAITING_SINCE))
    assert "slot" not in back
    assert extension(back, agenda_wish("")["url"]) == ref(f"Schedule/{agenda.id}")
    kind, data = (await told(practice, wish))[-1]
    assert (kind, data["status"], data["awaits"]) == ("cancelled", "waitlist", "practice")
    assert (await read(callers, other, next_wish))["status"] == "pending"
    # First in line again for the next time, before whoever came later and refuses this one.
    await callers.patient(other).post(f"Appointment/{next_wish}/$cancel", parameters())
    await practice.fill(agenda.id, 1, practice.clock.now().replace(hour=15) + timedelta(days=9))
    assert [(await read(callers, *one))["status"] for one in ((patient, wish), (other, next_wish))] == [
        "pending",
        "waitlist",
    ]


async def test_82_72_the_practice_may_agree_before_the_person_does(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """`$confirm` of an offer is the practice's word and not the person's; once they accept, nobody is asked again."""
    patient, wish = await offered(callers, practice, agenda)
    agreed = await callers.software().post(f"Appointment/{wish}/$confirm", parameters())
    assert (agreed.status_code, agreed.json()["status"]) == (200, "pending"), agreed.text
    assert answers(agreed.json()) | {patient: "needs-action"} == answers(agreed.json())
    accepted = await callers.patient(patient).patch(f"Appointment/{wish}", ACCEPTED)
    assert (accepted.status_code, accepted.json()["status"]) == (200, "booked"), accepted.text
    assert await practice.kinds(wish) == ["offered", "updated", "booked"]


async def test_82_whoever_leaves_while_the_practice_is_asked_has_left(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    patient, wish = await offered(callers, practice, agenda)
    caller = callers.patient(patient)
    await caller.patch(f"Appointment/{wish}", ACCEPTED)
    left = await caller.patch(f"Appointment/{wish}", CANCELLED)
    assert left.json()["status"] == "cancelled", left.text
    assert (
        await practice.database.pool.fetchval("SELECT count(*) FROM waiting WHERE appointment_id = $1", wish)
        == 0
    )
