"""One's own hold gives way to oneself, and to nobody else: for whom a visit is, is chosen after its time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, patient, ref, unique, utc
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.telling import in_words

from creneau_shared.errors import CreneauError
from creneau_shared.fhir.storage.store import Resource, WriteContext


@dataclass(frozen=True)
class Family:
    """An account that acts for its holder and for a child."""

    caller: Caller
    subject: str
    parent: str
    child: str

    async def hold(self, slots: Sequence[str], who: str, status: int = 201) -> Resource:
        wanted = appointment("proposed", slots=slots, patient=who)
        answer = await self.caller.post("Appointment/$hold", parameters(appointment=wanted))
        assert answer.status_code == status, answer.text
        held: Resource = {**answer.json(), "expires": answer.headers.get("expires")}
        return held


@pytest.fixture
async def family(callers: Callers) -> Family:
    subject = unique("famille")
    caller = callers.patient(subject=subject)
    people = [
        await caller.post("Patient", patient(given, birthDate=birth))
        for given, birth in (("Dominique", "1985-04-02"), ("Lou", "2018-09-20"))
    ]
    parent, child = (f"Patient/{answer.json()['id']}" for answer in people)
    return Family(caller, subject, parent, child)


async def holders(practice: Practice, slot: str) -> list[tuple[str, str, int]]:
    """Of the holds on a slot: appointment, subject, how often it was put off."""
    rows = await practice.database.pool.fetch(
        "SELECT appointment_id, subject, extensions FROM hold JOIN slot ON taken_by = appointment_id"
        " WHERE slot.name = $1",
        slot,
    )
    return [tuple(row) for row in rows]


async def test_a_held_slot_is_held_for_somebody_else_of_ones_own(
    practice: Practice, agenda: Agenda, family: Family
) -> None:
    """The old hold is given back and told of, the new one has the slot and the time."""
    slots = agenda.slots[:1]
    old = await family.hold(slots, family.parent)
    new = await family.hold(slots, family.child)
    assert new["id"] != old["id"]
    assert (await family.caller.get(f"Appointment/{old['id']}")).json()["status"] == "cancelled"
    assert await holders(practice, slots[0]) == [(new["id"], family.subject, 1)]
    assert await practice.slot_statuses(slots) == ["busy-tentative"]
    assert [row[2] for row in await practice.occupied(agenda.practitioner)] == [new["id"]]
    assert await practice.occupied(family.parent) == []
    assert (await practice.kinds(old["id"]), await practice.kinds(new["id"])) == (
        ["held", "cancelled"],
        ["held"],
    )


async def test_the_same_hold_is_answered_as_it_is(practice: Practice, agenda: Agenda, family: Family) -> None:
    """A page that is sent twice: the same appointment until the same time, told of once; other words are another hold."""
    first = await family.hold(agenda.slots[:1], family.child)
    practice.clock.advance(timedelta(minutes=1))
    assert await family.hold(agenda.slots[:1], family.child) == first
    practice.clock.advance(-timedelta(minutes=1))
    assert await practice.kinds(first["id"]) == ["held"]
    referred = [{"identifier": {"system": "urn:oid:1.2.3", "value": unique("adressage")}}]
    plain, held = appointment("proposed", slots=agenda.slots[:1], patient=family.child), {first["id"]}
    for element, value in (("comment", "en fauteuil"), ("basedOn", referred)):
        said = {**plain, element: value}
        answer = (await family.caller.post("Appointment/$hold", parameters(appointment=said))).json()
        assert (answer["id"] in held, answer[element]) == (False, value)
        held.add(answer["id"])


async def test_changing_ones_mind_holds_no_longer_than_asking_again(
    practice: Practice, agenda: Agenda, family: Family
) -> None:
    """By turns for one and the other: in the end it ends when a hold put off as often as may be would have."""
    settings, begun = practice.settings, practice.clock.now()
    duration, most = timedelta(seconds=settings.hold_duration_s), settings.hold_extensions_max
    pause, last = duration - timedelta(seconds=1), begun
    for number in range(most + 1):
        held = await family.hold(agenda.slots[:1], (family.parent, family.child)[number % 2])
        last = parsedate_to_datetime(held["expires"])
        if number < most:
            practice.clock.advance(pause)
    assert last == practice.clock.now() + duration
    practice.clock.advance(pause)
    for who in (family.child, family.parent, family.child):
        assert parsedate_to_datetime((await family.hold(agenda.slots[:1], who))["expires"]) == last
    [(id_, _, _)] = await holders(practice, agenda.slots[0])
    refused = await family.caller.post(f"Appointment/{id_}/$hold", parameters())
    assert code(refused) == "hold-not-extensible"
    assert last - begun <= (most + 1) * duration
    practice.clock.advance(begun - practice.clock.now())


async def test_it_begins_no_further_hold(practice: Practice) -> None:
    """Neither among those at once (2 here) nor among those of an hour (4 here); the limits hold for all others."""
    few = Practice(
        practice.database,
        practice.settings.model_copy(update={"holds_begun_per_account_per_hour_max": 4}),
        practice.clock,
    )
    agenda, who = await practice.open_agenda(3), [await practice.new_patient() for _ in range(2)]
    me = practice.context(unique("moi"), who, role="patient")

    async def hold(slot: int, person: int) -> str:
        wanted = appointment("proposed", slots=[agenda.slots[slot]], patient=who[person])
        return await settled(few, me, wanted)

    async def give_back(id_: str) -> None:
        await few.change(id_, status="cancelled")

    await hold(1, 0)
    held = [await hold(0, number % 2) for number in range(6)]
    assert not any(answer.startswith("refused") for answer in held)
    for _ in range(2):
        await give_back(held[-1])
        held.append(await hold(0, 1))
    held.append(await hold(0, 0))  # four have begun, and this one goes on
    assert not any(answer.startswith("refused") for answer in held)
    await give_back(held[-1])
    assert await hold(0, 1) == "refused: too-many-holds-begun"


async def test_it_is_booked_and_moved_to_directly(practice: Practice, family: Family, agenda: Agenda) -> None:
    """`$book` and `$reschedule` of the slot that is held, without saying by which appointment."""
    held = await family.hold(agenda.slots[:1], family.parent)
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=family.child)
    booked = await family.caller.post("Appointment/$book", parameters(appointment=wanted))
    assert (booked.status_code, booked.json()["status"]) == (201, "booked"), booked.text
    await family.hold(agenda.slots[1:2], family.child)
    path = f"Appointment/{booked.json()['id']}/$reschedule"
    moved = await family.caller.post(path, parameters(slot=ref(f"Slot/{agenda.slots[1]}")))
    assert moved.status_code == 200, moved.text
    assert await practice.slot_statuses(agenda.slots) == ["free", "busy", "free"]
    assert (await family.caller.get(f"Appointment/{held['id']}")).json()["status"] == "cancelled"
    assert await holders(practice, agenda.slots[1]) == []


async def test_nobody_elses_gives_way(
    callers: Callers, practice: Practice, agenda: Agenda, family: Family
) -> None:
    """Not another account's, of the same patient either; not with a slot that is not held; not a software's, whose holds
    are for one person after the other."""
    held = await family.hold(agenda.slots[:1], family.child)
    other = Family(callers.patient(family.child), "autre", family.child, family.child)
    await other.hold(agenda.slots[:1], family.child, 409)
    await family.hold(agenda.slots[:2], family.child, 409)
    assert [row[0] for row in await holders(practice, agenda.slots[0])] == [held["id"]]
    software = callers.software()
    for status in (201, 409):
        wanted = appointment("proposed", slots=agenda.slots[2:], patient=await practice.new_patient())
        answer = await software.post("Appointment/$hold", parameters(appointment=wanted))
        assert answer.status_code == status, answer.text


async def test_of_whom_one_no_longer_acts_for_it_stays(
    practice: Practice, agenda: Agenda, family: Family
) -> None:
    """What was held for somebody is theirs; it ends by itself."""
    context = practice.context(family.subject, [family.parent, family.child], role="patient")
    await practice.hold(appointment("proposed", slots=agenda.slots[:1], patient=family.child), context)
    alone = replace(context, patient_ids=frozenset({family.parent.removeprefix("Patient/")}))
    with pytest.raises(CreneauError) as refused:
        await practice.hold(appointment("proposed", slots=agenda.slots[:1], patient=family.parent), alone)
    assert refused.value.issues[0].details_code == "slot-held"


async def test_what_one_holds_is_shown_as_free_to_oneself(
    callers: Callers, practice: Practice, agenda: Agenda, family: Family
) -> None:
    """By a search and by `$find`, with the status of what is free; by its id, and to others, it is what it is."""
    slot = agenda.slots[0]
    await family.hold([slot], family.parent)
    query = {"schedule": f"Schedule/{agenda.id}"}
    window = {"start": utc(agenda.at(0)), "end": utc(agenda.at(9)), "schedule": ref(f"Schedule/{agenda.id}")}
    other = callers.patient(await practice.new_patient())
    for caller, shown in ((family.caller, {slot, *agenda.slots[1:]}), (other, set(agenda.slots[1:]))):
        for more in ({}, {"status": "free"}, {"status": "free,busy-tentative", "_sort": "status"}):
            found = (await caller.get("Slot", **query, **more)).json()
            free = {e["resource"]["id"] for e in found["entry"] if e["resource"]["status"] == "free"}
            assert (more, free) == (more, shown)
        proposals = (await caller.post("Appointment/$find", parameters(**window))).json()["entry"]
        assert {e["resource"]["id"].removeprefix("proposal.") for e in proposals} == shown
    tentative = (await family.caller.get("Slot", **query, status="busy-tentative")).json()
    assert "entry" not in tentative
    for caller in (family.caller, other):
        assert (await caller.get(f"Slot/{slot}")).json()["status"] == "busy-tentative"


async def settled(practice: Practice, context: WriteContext, resource: Resource) -> str:
    """What a hold is answered: its id, or why not."""
    try:
        return (await practice.hold(resource, context)).id
    except CreneauError as refused:
        return f"refused: {refused.issues[0].details_code}"


async def test_no_rival_comes_in_between(fresh: Practice) -> None:
    """While an account changes its mind forty times, twelve others want the same slot all the time."""
    agenda = await fresh.open_agenda(1)
    who = [await fresh.new_patient() for _ in range(2)]
    others = [
        (fresh.context(unique("autre"), [id_]), id_) for id_ in [await fresh.new_patient() for _ in range(12)]
    ]
    me = fresh.context("moi", who)
    wanted = [appointment("proposed", slots=agenda.slots, patient=id_) for id_ in who]
    assert not (await settled(fresh, me, wanted[0])).startswith("refused")
    over = asyncio.Event()

    async def change_mind() -> list[str]:
        found = [await settled(fresh, me, wanted[number % 2]) for number in range(1, 41)]
        over.set()
        return found

    async def want(context: WriteContext, id_: str) -> set[str]:
        found = set()
        while not over.is_set():
            found.add(await settled(fresh, context, appointment("proposed", slots=agenda.slots, patient=id_)))
        return found

    changing = asyncio.create_task(change_mind())
    theirs = await asyncio.gather(*(want(*other) for other in others))
    mine = await changing
    assert not any(answer.startswith("refused") for answer in mine)
    assert set().union(*theirs) == {"refused: slot-held"}
    [(holding, _, _)] = await holders(fresh, agenda.slots[0])
    assert holding == list(mine)[-1]


async def test_one_account_with_itself(fresh: Practice) -> None:
    """Thirty times at once for one of two people, while it confirms, and others book the same child with the same doctor: in
    the end one appointment has the slot, and nobody waited in a circle."""
    for _ in range(6):
        agenda = await fresh.open_agenda(2)
        who = [await fresh.new_patient() for _ in range(2)]
        me, other = fresh.context("moi", who), fresh.context(unique("autre"), who[1:])
        first = await settled(fresh, me, appointment("proposed", slots=agenda.slots[:1], patient=who[0]))

        async def confirm(id_: str = first, me: WriteContext = me) -> str:
            try:
                with in_words():
                    async with fresh.database.transaction() as connection:
                        current = await fresh.repository.store.lock(connection, id_)
                        assert current is not None
                        booked = {**fresh.repository.resource(current), "status": "booked"}
                        return (await fresh.handlers.change(connection, me, current, booked)).id
            except CreneauError as refused:
                return f"refused: {refused.issues[0].details_code}"

        again = [
            settled(fresh, me, appointment("proposed", slots=agenda.slots[:1], patient=who[n % 2]))
            for n in range(8)
        ]
        beside = [
            settled(fresh, other, appointment("proposed", slots=agenda.slots[1:], patient=who[1]))
            for _ in range(3)
        ]
        answers = await asyncio.gather(*again[:4], confirm(), *beside, *again[4:])
        rows = await fresh.database.pool.fetch(
            "SELECT taken_by FROM slot WHERE name = $1 AND taken_by IS NOT NULL", agenda.slots[0]
        )
        assert {row["taken_by"] for row in rows} < set(answers)
        assert len(await fresh.occupied(agenda.practitioner)) == 2
