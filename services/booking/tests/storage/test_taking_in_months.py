"""Taking names the one month that it is about; what reaches over a month's end is taken all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from services.booking.tests.factories import NOW, appointment, slot, unique
from services.booking.tests.practice import Practice

from creneau_shared.database.pool import Connection

MONTH_END = datetime(2026, 12, 1, tzinfo=UTC)
PLANS = """
SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements
WHERE statement ~ '\\m(UPDATE|INTO) slot' AND generic_plans + custom_plans >= 8
"""


async def long_slot(practice: Practice, practitioner: str, start: datetime, end: datetime) -> str:
    """A slot of this time in an agenda of its own of the practitioner; its id."""
    agenda = await practice.open_agenda(0, practitioner=practitioner)
    made = slot(unique("long"), agenda.id, start)
    return (await practice.put({**made, "end": end.isoformat()})).partition("/")[2]


@pytest.mark.parametrize("before", [timedelta(hours=3), timedelta(days=33)])
async def test_a_slot_of_a_month_before_is_free_no_more_when_its_person_is_taken(
    practice: Practice, before: timedelta
) -> None:
    """Somebody on call since the month before has no other time in the first hours of this one."""
    agenda = await practice.open_agenda(1, start=MONTH_END + timedelta(minutes=10))
    reaching = await long_slot(
        practice, agenda.practitioner, MONTH_END - before, MONTH_END + timedelta(hours=2)
    )
    beside = await long_slot(practice, agenda.practitioner, MONTH_END - before, MONTH_END)
    wanted = appointment("booked", slots=agenda.slots, actors=[agenda.practitioner], start=agenda.start)
    booked = await practice.create(wanted)
    assert await practice.slot_statuses([*agenda.slots, reaching, beside]) == [
        "busy",
        "busy-unavailable",
        "free",
    ]
    await practice.change(booked.id, status="cancelled")
    assert await practice.slot_statuses([*agenda.slots, reaching, beside]) == ["free", "free", "free"]


async def test_a_visit_over_the_end_of_a_month(practice: Practice) -> None:
    """Its slots lie in two months, and so do those that it makes unavailable."""
    agenda = await practice.open_agenda(4, start=MONTH_END - timedelta(minutes=40))
    beside = await practice.open_agenda(
        4, practitioner=agenda.practitioner, start=MONTH_END - timedelta(minutes=40)
    )
    visit = appointment(
        "booked",
        slots=agenda.slots[1:3],
        actors=[agenda.practitioner],
        start=agenda.at(1),
        length=timedelta(minutes=40),
    )
    await practice.create(visit)
    assert await practice.slot_statuses(agenda.slots) == ["free", "busy", "busy", "free"]
    assert await practice.slot_statuses(beside.slots) == [
        "free", "busy-unavailable", "busy-unavailable", "free",
    ]  # fmt: skip


async def test_slots_are_found_whatever_month_the_appointment_names(practice: Practice) -> None:
    """A part of a larger slot begins later than the slot, perhaps in another month."""
    agenda = await practice.open_agenda(0)
    large = slot(unique("large"), agenda.id, MONTH_END - timedelta(hours=2))
    id_ = (await practice.put({**large, "end": (MONTH_END + timedelta(hours=2)).isoformat()})).partition("/")[
        2
    ]
    part = appointment(
        "booked", slots=[id_], actors=[agenda.practitioner], start=MONTH_END + timedelta(minutes=30)
    )
    await practice.create(part)
    assert (await practice.slot(id_))["status"] == "busy"


async def test_one_plan_serves_all_bookings(fresh: Practice) -> None:
    """Planning over all months costs more than what is planned: after a few calls nothing is planned any more."""
    agenda = await fresh.open_agenda(26)
    async with fresh.database.transaction() as connection:
        for at in range(0, 24, 2):
            wanted = appointment(
                "booked", slots=[agenda.slots[at]], actors=[agenda.practitioner], start=agenda.at(at)
            )
            booked = await fresh.handlers.create(connection, fresh.context(), wanted)
            held = {**wanted, "slot": [{"reference": f"Slot/{agenda.slots[at + 1]}"}]}
            held = {name: value for name, value in held.items() if name not in ("start", "end")}
            hold, _ = await fresh.handlers.holding.begin(
                connection, fresh.context(), {**held, "status": "pending"}
            )
            await change(fresh, connection, hold.id, status="booked")
            await change(fresh, connection, booked.id, status="cancelled")
        plans = await connection.fetch(PLANS)
    for row in plans:
        assert row["generic_plans"] >= 5, row["statement"]
    texts = " ".join(row["statement"] for row in plans)
    for way in ("WITH wanted", "taken_by = NULL", "status <> "):
        assert way in texts, f"{way}: no statement of this kind was watched"
    assert f"slot_{NOW:%Y_%m} AS slot SET status" in texts, (
        "and no month is looked into but the one that is named"
    )


async def change(practice: Practice, connection: Connection, id_: str, **members: object) -> None:
    current = await practice.repository.store.lock(connection, id_)
    assert current is not None
    resource = {**practice.repository.resource(current), **members}
    await practice.handlers.change(connection, practice.context(), current, resource)


async def test_a_claim_finds_room_on_its_slots_page_and_leaves_its_indexes_alone(fresh: Practice) -> None:
    """What is booked is written beside what was free (a HOT update), in a month whose pages are full as far as they are
    filled: no index of slots holds what a claim changes."""
    agenda = await fresh.open_agenda(400)
    partition = f"slot_{agenda.start:%Y_%m}"
    counted = f"SELECT pg_stat_get_xact_tuples_{{}}('{partition}'::regclass)"
    async with fresh.database.transaction() as connection:
        for at in range(0, 400, 40):
            wanted = appointment(
                "booked", slots=[agenda.slots[at]], actors=[agenda.practitioner], start=agenda.at(at)
            )
            await fresh.handlers.create(connection, fresh.context(), wanted)
        updated = await connection.fetchval(counted.format("updated"))
        in_place = await connection.fetchval(counted.format("hot_updated"))
    assert (updated, in_place) == (10, 10)
