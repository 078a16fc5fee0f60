"""Slots live in narrow rows and kinds, and are served as if each were stored whole."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.factories import (
    BASE,
    CONSULTATION,
    SLOT_LENGTH,
    VIDEO,
    appointment,
    slot,
    unique,
    utc,
)
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.telling import in_words
from tests.fixtures.local_run import eventually

from creneau_booking.storage.availability.actors import TURN, wait_for_turn
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Conflict, Unprocessable
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.store import HistoryQuery, Resource, Stored

UUID_ID = "0199aaaa-bbbb-7ccc-8ddd-00000000000{}"


def without_meta(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "meta"}


async def somebody_waits(practice: Practice) -> bool:
    waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    return bool(await practice.database.pool.fetchval(waiting))


async def stored(practice: Practice, id_: str) -> Stored:
    async with practice.database.connection() as connection:
        found = await practice.slots.read(connection, id_)
    assert found is not None
    return found


async def replace(practice: Practice, id_: str, **members: Any) -> Stored:
    async with practice.database.transaction() as connection:
        current = await practice.slots.lock(connection, id_)
        assert current is not None
        assert current.content is not None
        resource = {**loads(current.content), **members}
        return await practice.slots.replace(connection, practice.context(), current, resource)


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    return await practice.open_agenda()


@pytest.mark.parametrize("named", [True, False])
async def test_what_goes_in_comes_out(practice: Practice, agenda: Agenda, named: bool) -> None:
    """Every member of a Slot, under an id that the client chose or that looks like ours; instants in UTC."""
    resource: Resource = {
        "resourceType": "Slot",
        "id": unique("nom.commun") if named else UUID_ID.format(1),
        "meta": {
            "profile": ["https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-slot"],
            "tag": [{"code": "t"}],
        },
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Été "9 h"</div>'},
        "identifier": [{"system": "urn:oid:1.2.3", "value": "42"}],
        "serviceCategory": [{"text": "consultation"}],
        "serviceType": [CONSULTATION],
        "specialty": [{"text": "médecine \\ générale"}],
        "appointmentType": {"coding": [{"code": "ROUTINE"}]},
        "schedule": {"reference": f"Schedule/{agenda.id}", "display": "l'agenda"},
        "status": "busy-unavailable",
        "start": "2026-12-01T10:00:00+01:00",
        "end": "2026-12-01T10:20:00+01:00",
        "overbooked": True,
        "comment": "apporter l'ordonnance 💊",
        "extension": [{"url": "urn:x", "valueDecimal": 1}],
    }
    await practice.put(resource)
    served = loads((await stored(practice, resource["id"])).content or b"")
    expected = {**resource, "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T09:20:00Z"}
    assert without_meta(served) == without_meta(expected)
    assert served["meta"] == {
        **resource["meta"], "versionId": "1", "lastUpdated": utc(practice.clock.now()).replace("Z", ".000Z")
    }  # fmt: skip
    await delete(practice, resource["id"])


async def delete(practice: Practice, id_: str) -> Stored:
    async with practice.database.transaction() as connection:
        current = await practice.slots.lock(connection, id_)
        assert current is not None
        return await practice.slots.delete(connection, practice.context(), current)


async def test_slots_of_an_agenda_share_their_kind(practice: Practice, agenda: Agenda) -> None:
    """What repeats is stored once; another service type is another kind."""
    kinds = (
        "SELECT count(*) FROM slot_kind JOIN schedule ON schedule.key = schedule_key WHERE schedule.id = $1"
    )
    assert await practice.database.pool.fetchval(kinds, agenda.id) == 1
    await practice.put(slot(unique("video"), agenda.id, agenda.at(9), serviceType=[VIDEO]))
    assert await practice.database.pool.fetchval(kinds, agenda.id) == 2


async def test_a_kind_of_an_undone_transaction_is_made_anew(practice: Practice, agenda: Agenda) -> None:
    """Two slots of a new kind, rolled back: the next slot of that kind must still be found."""
    members: Resource = {"comment": unique("nouveau")}
    async with practice.database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        for index in (20, 21):
            resource = slot(unique("perdu"), agenda.id, agenda.at(index), **members)
            await practice.slots.create(connection, practice.context(), resource, resource["id"])
        await transaction.rollback()
    kept = slot(unique("garde"), agenda.id, agenda.at(20), **members)
    await practice.put(kept)
    assert (await practice.slot(kept["id"]))["comment"] == members["comment"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"end": "2026-11-23T09:00:00Z"}, "slot-order"),
        ({"start": "2026-11-23T08:00:00.1234567Z"}, "slot-fraction"),
        ({"schedule": {"reference": "Schedule/inconnu"}}, "unknown-schedule"),
        ({"schedule": {"reference": "https://ailleurs.example/fhir/Schedule/1"}}, "unknown-schedule"),
        ({"schedule": {"display": "Dr Fictif"}}, "unknown-schedule"),
    ],
)
async def test_refusals(practice: Practice, agenda: Agenda, changed: Resource, code: str) -> None:
    with pytest.raises(Unprocessable) as refused, in_words():
        await practice.put({**slot(unique("s"), agenda.id, agenda.start), **changed})
    assert refused.value.issues[0].details_code == code


async def test_an_absolute_reference_to_the_schedule_is_understood(
    practice: Practice, agenda: Agenda
) -> None:
    resource = slot(
        unique("s"), agenda.id, agenda.at(5), schedule={"reference": f"{BASE}/Schedule/{agenda.id}"}
    )
    await practice.put(resource)
    assert (await practice.slot(resource["id"]))["schedule"] == resource["schedule"]


async def test_one_id_is_given_once_whatever_its_month(practice: Practice, agenda: Agenda) -> None:
    """The primary key holds the start too; the id alone must still be unique."""
    with pytest.raises(Conflict), in_words():
        await practice.put(slot(agenda.slots[0], agenda.id, agenda.start + timedelta(days=40)))


async def test_versions_and_history(practice: Practice, agenda: Agenda) -> None:
    """Each version stays readable; a move over a month's end, a deletion and a return are versions too."""
    id_ = agenda.slots[0]
    later = agenda.start + timedelta(days=20)
    await replace(practice, id_, start=utc(later), end=utc(later + SLOT_LENGTH), comment="décalé")
    await delete(practice, id_)
    gone = await stored(practice, id_)
    assert (gone.version, gone.deleted) == (3, True)
    await put_again(practice, id_, agenda)
    async with practice.database.connection() as connection:
        versions = await practice.slots.history(connection, HistoryQuery(id_, None, None, 10))
        assert [(v.version, v.deleted) for v in versions] == [(4, False), (3, True), (2, False), (1, False)]
        page = await practice.slots.history(connection, HistoryQuery(id_, None, _place(versions[1]), 10))
        assert [v.version for v in page] == [2, 1]
        for version, start in ((1, agenda.start), (2, later), (4, agenda.start)):
            assert loads((await _version(practice, connection, id_, version)).content or b"")["start"] == utc(
                start
            )
        assert (await _version(practice, connection, id_, 3)).deleted


def _place(version: Stored) -> tuple[Any, ...]:
    return version.last_updated, version.id, version.version


async def _version(practice: Practice, connection: Connection, id_: str, version: int) -> Stored:
    found = await practice.slots.read_version(connection, id_, version)
    assert found is not None
    return found


async def put_again(practice: Practice, id_: str, agenda: Agenda) -> None:
    async with practice.database.transaction() as connection:
        gone = await practice.slots.lock(connection, id_)
        assert gone is not None
        await practice.slots.replace(connection, practice.context(), gone, slot(id_, agenda.id, agenda.start))


@pytest.mark.parametrize(
    "changed",
    [
        {"start": "2026-11-23T09:05:00Z"},
        {"schedule": {"reference": "Schedule/autre-agenda"}},
        None,
    ],
    ids=["moved", "other agenda", "deleted"],
)
async def test_a_claimed_slot_is_not_republished(
    practice: Practice, agenda: Agenda, changed: Resource | None
) -> None:
    """Software that sends its agenda again must not move or remove what has been booked meanwhile."""
    booked = await practice.create(appointment("booked", slots=agenda.slots[:1]))
    again = (
        delete(practice, agenda.slots[0])
        if changed is None
        else replace(practice, agenda.slots[0], **changed)
    )
    with pytest.raises(Conflict) as refused, in_words():
        await again
    assert booked.id in str(refused.value.issues[0])
    await replace(practice, agenda.slots[0], comment="salle 2")
    assert (await practice.slot(agenda.slots[0]))["status"] == "busy"


@pytest.mark.parametrize("word", ["free", "busy", "busy-unavailable"])
async def test_what_an_agenda_says_of_a_taken_slot_holds_once_it_is_given_back(
    practice: Practice, agenda: Agenda, word: str
) -> None:
    """A feed may say it again at any time: it frees nothing that is taken, and is not forgotten. What it says to be busy
    because we have booked it is said after us, and closes nothing."""
    booked = await practice.create(appointment("booked", slots=agenda.slots[:1]))
    await replace(practice, agenda.slots[0], status=word)
    assert (await practice.slot(agenda.slots[0]))["status"] == "busy"
    await practice.change(booked.id, status="cancelled")
    left = "free" if word == "busy" else word
    assert (await practice.slot(agenda.slots[0]))["status"] == left


async def test_a_slot_of_a_month_that_was_dropped_is_gone(fresh: Practice) -> None:
    """Not free again, as an older version said; and nothing is written of it as if it were there."""
    opened = await fresh.open_agenda(1)
    booked = await fresh.create(appointment("booked", slots=opened.slots))
    await fresh.database.pool.execute("DELETE FROM slot")
    async with fresh.database.connection() as connection:
        gone = await fresh.slots.read(connection, opened.slots[0])
    assert gone is not None
    assert gone.deleted
    assert booked.id


async def test_a_slot_whose_appointment_was_cancelled_is_its_publishers_again(
    practice: Practice, agenda: Agenda
) -> None:
    booked = await practice.create(appointment("booked", slots=agenda.slots[:1]))
    await practice.change(booked.id, status="cancelled")
    await replace(practice, agenda.slots[0], status="busy-unavailable")
    await delete(practice, agenda.slots[0])


async def test_a_slot_does_not_go_where_somebody_takes_time_at_that_moment(practice: Practice) -> None:
    """It is locked with the people of the agenda that it leaves: whoever has those of the other may be waiting for these."""
    agenda, busy = await practice.open_agenda(), await practice.open_agenda(0)
    elsewhere = {"schedule": {"reference": f"Schedule/{busy.id}"}}
    async with practice.database.pool.acquire() as rival, rival.transaction():
        await wait_for_turn(rival, people=[busy.practitioner])
        with pytest.raises(Conflict) as refused, in_words():
            await replace(practice, agenda.slots[0], **elsewhere)
    assert refused.value.issues[0].details_code == "agenda-busy"
    assert (await replace(practice, agenda.slots[0], **elsewhere)).version == 2


async def test_who_waited_for_a_slot_that_went_elsewhere_writes_beside_those_who_are_there(
    practice: Practice,
) -> None:
    """Locked beside the people of the agenda that it has left: whoever takes those of the other would be met in a circle."""
    agenda, other = await practice.open_agenda(1), await practice.open_agenda(0)
    [id_] = agenda.slots
    elsewhere = slot(id_, other.id, agenda.start)

    async def lock_it() -> tuple[Stored | None, bool]:
        async with practice.database.transaction() as connection:
            found = await practice.slots.lock(connection, id_)
            async with practice.database.pool.acquire() as rival, rival.transaction():
                taken = f"SELECT pg_try_advisory_xact_lock({TURN.format(actor='$1')})"
                return found, bool(await rival.fetchval(taken, other.practitioner))

    async with practice.database.transaction() as connection:
        current = await practice.slots.lock(connection, id_)
        assert current is not None
        await practice.slots.replace(connection, practice.context(), current, elsewhere)
        waiting = asyncio.create_task(lock_it())
        await eventually(lambda: somebody_waits(practice), "somebody who waits for the slot", 60)
    found, free_for_rivals = await waiting
    assert found is not None
    assert found.version == 2
    assert not free_for_rivals, "nobody takes the people of the agenda in which it is by now"


@pytest.mark.parametrize("same", [True, False])
async def test_a_deleted_slot_is_made_anew_in_another_agenda_without_waiting_for_its_people(
    practice: Practice, same: bool
) -> None:
    """Whoever waited for it while it was deleted has the people of its former agenda: who takes those of both would be met
    in a circle. In its own agenda it is made anew as before."""
    agenda, other = await practice.open_agenda(1), await practice.open_agenda(0)
    [id_] = agenda.slots
    anew = slot(id_, agenda.id if same else other.id, agenda.start)

    async def make_anew() -> Stored:
        async with practice.database.transaction() as connection:
            current = await practice.slots.lock(connection, id_)
            assert current is not None
            assert current.deleted
            return await practice.slots.replace(connection, practice.context(), current, anew)

    async with practice.database.pool.acquire() as rival, rival.transaction():
        await rival.execute(f"SELECT pg_advisory_xact_lock({TURN.format(actor='$1')})", other.practitioner)
        async with practice.database.transaction() as connection:
            current = await practice.slots.lock(connection, id_)
            assert current is not None
            await practice.slots.delete(connection, practice.context(), current)
            waiting = asyncio.create_task(make_anew())
            await eventually(lambda: somebody_waits(practice), "somebody who waits for the slot", 60)
        if same:
            assert (await waiting).version == 3
        else:
            with pytest.raises(Conflict), in_words():
                await waiting
