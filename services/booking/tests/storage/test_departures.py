"""Whom the directory has deleted: their visits are cancelled, however many there are."""

from __future__ import annotations

from services.booking.tests.factories import SLOT_LENGTH, appointment
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import open_surgery

from creneau_booking.topics import DIRECTORY
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.progress import heard_by


async def test_each_visit_of_who_is_gone_is_a_step_by_which_the_consumer_is_known_to_move(
    practice: Practice,
) -> None:
    """Who has visits for months ahead takes longer than a consumer may be silent: it would be restarted for ever."""
    surgery = await open_surgery(practice, 3)
    visits = [
        await practice.create(
            appointment("booked", slots=[slot], patient=await practice.new_patient(), start=begins)
        )
        for slot, begins in zip(
            surgery.slots, (surgery.start + number * SLOT_LENGTH for number in range(3)), strict=True
        )
    ]
    gone = ReceivedEvent(
        topic=DIRECTORY,
        key=surgery.practitioner,
        type="",
        subject="",
        source="",
        data=None,
        time=practice.clock.now(),
        partition=0,
        offset=0,
        raw=None,
    )
    steps = 0

    def hears() -> None:
        nonlocal steps
        steps += 1

    async with practice.database.transaction() as connection:
        with heard_by(hears):
            await practice.replica().apply(connection, gone)
    for visit in visits:
        assert "cancelled" in (await practice.kinds(visit.id))[-1]
    assert steps == 2 * len(visits), "as they are locked, and as they are cancelled"
