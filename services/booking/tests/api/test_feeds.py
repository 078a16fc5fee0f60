"""A feed of slots ends as if each had been written alone: the same rows, the same answers, the same refusals.

Random feeds go into two copies of one small world: into one as they are carried out, into the other with nothing written
together. What differs between the two is the ids that were given, and nothing else.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.client import Caller, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import (
    GENERAL,
    NOW,
    SKIN,
    VIDEO,
    appointment,
    for_professionals,
    parameters,
    schedule,
    slot,
    utc,
)
from services.booking.tests.issuer import running_issuer
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear, role_resource

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.app import create_app
from creneau_booking.storage.availability.rule import JUDGED
from creneau_booking.storage.slots.store import SlotStore
from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Database
from creneau_shared.fhir.rest.bundles import batch, together
from creneau_shared.fhir.storage.store import Resource

FIRST = NOW.replace(hour=9, minute=0) + timedelta(days=7)
SEEDS = range(4)
FEEDS = 14
LENGTHS = (10, 20, 45)
KNOWN = 14
"""slots of each agenda to begin with"""
AGENDAS = ("here", "beside", "next-door")
"""two of one professional, in one practice, and one of the practice next door"""
UUID_ID = "0199aaaa-bbbb-7ccc-8ddd-0000000000{:02d}"
_GIVEN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
Entry = tuple[str, str, Resource | None, dict[str, str]]


def known(agenda: str, number: int) -> str:
    return UUID_ID.format(number) if agenda == "beside" else f"{agenda}-{number}"


async def fill(practice: Practice) -> None:
    """The world that the feeds find: some slots are booked, some held, some gone."""
    for practitioner, organization in (("anne", "ours"), ("bruno", "theirs")):
        await hear(
            practice, role_resource(f"role-{practitioner}", f"Practitioner/{practitioner}", organization)
        )
    store = ScheduleStore(practice.slots._base_url)
    for agenda in AGENDAS:
        who = "bruno" if agenda == "next-door" else "anne"
        actors = [f"Practitioner/{who}", f"PractitionerRole/role-{who}"]
        async with practice.database.transaction() as connection:
            await store.create(connection, practice.context(), schedule(agenda, actors), agenda)
        for number in range(KNOWN):
            start = FIRST + number * timedelta(minutes=20)
            await practice.put(slot(known(agenda, number), agenda, start))
    for number in (1, 4):
        for agenda in ("here", "next-door"):
            start, who = FIRST + number * timedelta(minutes=20), "bruno" if agenda == "next-door" else "anne"
            patient = await practice.new_patient()
            wanted = appointment(
                "booked",
                slots=[known(agenda, number)],
                patient=patient,
                actors=[f"Practitioner/{who}"],
                start=start,
            )
            await practice.create(wanted)
    for agenda in AGENDAS:
        async with practice.database.transaction() as connection:
            gone = await practice.slots.lock(connection, known(agenda, KNOWN - 1))
            assert gone is not None
            await practice.slots.delete(connection, practice.context(), gone)


@dataclass
class Feeder:
    """Makes feeds up. The wilder, the more of it is refused or unusual."""

    chance: random.Random
    made: list[str] = field(default_factory=list)
    """the ids that earlier feeds have chosen"""
    count: int = 0

    def feed(self) -> tuple[str, list[Entry]]:
        kind = self.chance.choice(("batch", "transaction"))
        wild = self.chance.choice((0.0, 0.02, 0.3) if kind == "batch" else (0.0, 0.0, 0.01, 0.1))
        makers = self.chance.choice(
            ([self.new], [self.put_new], [self.put_known], [self.new, self.put_new, self.put_known])
        )
        entries: list[Entry] = []
        named: set[str] = set()
        for _ in range(self.chance.randrange(3, 30)):
            maker = self.odd if self.chance.random() < wild else self.chance.choice(makers)
            entry = maker()
            while entry[0] != "POST" and entry[1] in named and self.chance.random() > wild:
                entry = self.put_new()
            named.add(entry[1])
            entries.append(entry)
        return kind, entries

    def some(
        self, id_: str, agenda: str | None = None, start: datetime | None = None, **more: Any
    ) -> Resource:
        chance = self.chance
        self.count += 1
        start = start or FIRST + timedelta(
            minutes=10 * chance.randrange(60), days=chance.choice((0, 0, 0, 25))
        )
        if chance.random() < 0.5:
            more["identifier"] = [{"system": "urn:oid:1.2.3", "value": f"n-{self.count}"}]
        if chance.random() < 0.2:
            more["text"] = {
                "status": "generated",
                "div": '<div xmlns="http://www.w3.org/1999/xhtml">Été</div>',
            }
        if chance.random() < 0.2:
            more["meta"] = chance.choice((for_professionals(), {"tag": [{"code": "t"}]}, {"versionId": "9"}))
        return slot(
            id_,
            agenda or chance.choice(AGENDAS),
            start,
            timedelta(minutes=chance.choice(LENGTHS)),
            chance.choice(("free", "free", "busy", "busy-unavailable", "busy-tentative", "entered-in-error")),
            **{
                "specialty": [chance.choice((GENERAL, SKIN))],
                "serviceType": [VIDEO],
                "comment": f"n° {chance.randrange(3)} « \\ \" ' »",
                **more,
            },
        )

    def new(self) -> Entry:
        resource = self.some("")
        del resource["id"]
        return "POST", "Slot", resource, {}

    def put_new(self) -> Entry:
        self.count += 1
        id_ = f"feed-{self.count}" if self.chance.random() < 0.7 else UUID_ID.format(20 + self.count % 60)
        self.made.append(id_)
        return "PUT", f"Slot/{id_}", self.some(id_), {}

    def put_known(self) -> Entry:
        """A slot that is there: as it was, or elsewhere, or somebody's."""
        chance = self.chance
        agenda, number = chance.choice(AGENDAS), chance.randrange(KNOWN - 1)
        id_ = known(agenda, number)
        if self.made and chance.random() < 0.3:
            id_ = chance.choice(self.made)
            return "PUT", f"Slot/{id_}", self.some(id_), {}
        if number in (1, 4) or chance.random() < 0.5:
            resource = self.some(id_, agenda, FIRST + number * timedelta(minutes=20))
            resource["end"] = utc(FIRST + (number + 1) * timedelta(minutes=20))
            return "PUT", f"Slot/{id_}", resource, {}
        return "PUT", f"Slot/{id_}", self.some(id_), {}

    def odd(self) -> Entry:
        """What is refused, or not written as the others are."""
        chance = self.chance
        agenda, number = chance.choice(AGENDAS), chance.randrange(KNOWN)
        id_ = known(agenda, number)
        resource = self.some(id_)
        whole = {**resource, "end": resource["start"]}
        entries: list[Entry] = [
            ("PUT", f"Slot/{id_}", whole, {}),
            ("PUT", f"Slot/{id_}", {**resource, "status": "libre"}, {}),
            ("PUT", f"Slot/{id_}", {**resource, "schedule": {"reference": "Schedule/nowhere"}}, {}),
            ("PUT", f"Slot/{id_}", {**resource, "schedule": {"display": "agenda"}}, {}),
            ("PUT", f"Slot/{id_}", {**resource, "start": "2026-11-23T09:00:00.1234567Z"}, {}),
            ("PUT", f"Slot/{id_}", {name: value for name, value in resource.items() if name != "id"}, {}),
            ("PUT", "Slot/no_id", {**resource, "id": "no_id"}, {}),
            ("PUT", f"Slot/{id_.upper()}", {**resource, "id": id_.upper()}, {}),
            ("PUT", f"Slot/{known(agenda, KNOWN - 1)}", {**resource, "id": known(agenda, KNOWN - 1)}, {}),
            ("PUT", f"Slot/{known('here', 1)}", {**resource, "id": known("here", 1)}, {}),
            ("PUT", f"Slot/{id_}", resource, {"ifMatch": f'W/"{chance.randrange(1, 4)}"'}),
            ("PUT", f"Slot?identifier=urn:oid:1.2.3|n-{chance.randrange(1, 40)}", resource, {}),
            (
                "POST",
                "Slot",
                self.new()[2],
                {"ifNoneExist": f"identifier=urn:oid:1.2.3|n-{chance.randrange(1, 40)}"},
            ),
            ("POST", "Slot", {**resource, "comment": "a\u0000b"}, {}),
            ("POST", "Schedule", schedule("", ["Practitioner/anne"]) | {"id": "any"}, {}),
            ("POST", "Slot?_format=json", self.new()[2], {}),
            ("PUT", f"Schedule/{agenda}", schedule(agenda, ["Practitioner/anne"], active=True), {}),
            ("DELETE", f"Slot/{id_}", None, {}),
            ("GET", f"Slot/{id_}", None, {}),
        ]
        return chance.choice(entries)


@dataclass
class World:
    """One of the copies, and who feeds it."""

    practice: Practice
    callers: Callers

    def caller(self, name: str) -> Caller:
        return self.callers.software() if name == "software" else self.callers.staff(name)

    async def rows(self) -> dict[str, list[Any]]:
        """Everything that slots are made of, without what was given at random."""
        pool = self.practice.database.pool
        asked = {
            "slot": f"SELECT {_WHOLE.format(row='slot')}, slot.said::text, slot.taken_by, slot.terms, slot.words::text"
            " FROM slot JOIN slot_kind kind ON kind.key = slot.kind_key",
            "history": f"SELECT {_WHOLE.format(row='past')} FROM slot_history past"
            " JOIN slot_kind kind ON kind.key = past.kind_key",
            "kinds": "SELECT schedule_key, digest, members, meta, terms, words::text FROM slot_kind",
            "agendas": "SELECT schedule_key, slot_length_max FROM agenda",
            "outbox": "SELECT type, count(*) FROM outbox GROUP BY 1",
            "audit": "SELECT interaction, outcome, resource_type, count(*) FROM audit GROUP BY 1, 2, 3",
        }
        return {name: sorted(map(repr, map(tuple, await pool.fetch(sql)))) for name, sql in asked.items()}


_WHOLE = """{row}.schedule_key, coalesce({row}.name, CASE WHEN {row}.id::text LIKE '0199aaaa-%' THEN {row}.id::text END),
  {row}.version, {row}.start, {row}."end", kind.digest, {row}.last_updated, {row}.status::text, {row}.extra"""


def bundle(kind: str, entries: list[Entry]) -> Resource:
    parts = []
    for method, url, resource, conditions in entries:
        part: Resource = {"request": {"method": method, "url": url, **conditions}}
        parts.append(part if resource is None else {"resource": resource, **part})
    return {"resourceType": "Bundle", "type": kind, "entry": parts}


def said(answer: Any) -> tuple[int, str]:
    """An answer in which the ids that were given are called by the order in which they appear."""
    names: dict[str, str] = {}

    def call(match: re.Match[str]) -> str:
        return (
            match[0]
            if match[0].startswith("0199aaaa-")
            else names.setdefault(match[0], f"given-{len(names)}")
        )

    return answer.status_code, _GIVEN.sub(call, answer.text)


@pytest.fixture
async def worlds(new_database: Callable[..., str], template: str) -> AsyncIterator[tuple[World, World]]:
    """Two copies of one world."""
    first = new_database(template=template)
    async with Database(first, size=4, statement_timeout_s=60, name="test") as database:
        await fill(Practice(database, settings_for(first), FixedClock(NOW)))
    urls = [new_database(template=first.rpartition("/")[2]) for _ in range(2)]
    async with running_issuer() as issuer:
        clock = FixedClock(NOW + timedelta(minutes=1))
        apps = [create_app(settings_for(url, issuer.url), clock) for url in urls]
        async with (
            Database(urls[0], size=4, statement_timeout_s=60, name="test") as one,
            Database(urls[1], size=4, statement_timeout_s=60, name="test") as other,
            serving(apps[0]) as to_one,
            serving(apps[1]) as to_other,
        ):
            yield (
                World(Practice(one, settings_for(urls[0]), clock), Callers(to_one, issuer, clock)),
                World(Practice(other, settings_for(urls[1]), clock), Callers(to_other, issuer, clock)),
            )


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_feed_ends_as_if_each_slot_were_written_alone(
    worlds: tuple[World, World], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """By a publisher, by a practice that may write in its own agendas only, in batches and in transactions."""
    written: list[int] = []
    write_many = SlotStore.write_many

    async def counting(*arguments: Any) -> Any:
        stored = await write_many(*arguments)
        written.append(sum(one is not None for one in stored))
        return stored

    monkeypatch.setattr(SlotStore, "write_many", counting)
    monkeypatch.setattr(batch, "BATCH_PARALLEL", 1)  # what entries say of each other depends on their order
    chance = random.Random(seed)
    feeder = Feeder(chance)
    for number in range(FEEDS):
        kind, entries = feeder.feed()
        who = chance.choice(("software", "software", "ours"))
        answers = []
        for world, shortest in zip(worlds, (3, 10_000), strict=True):
            monkeypatch.setattr(together, "RUN_MIN", shortest)
            answers.append(said(await world.caller(who).post("", bundle(kind, entries))))
        assert answers[0] == answers[1], (number, who, kind, entries)
        assert await worlds[0].rows() == await worlds[1].rows(), (number, who, kind, entries)
    assert sum(written) > FEEDS  # something was written together


async def test_rivals_of_a_feed_leave_one_truth(worlds: tuple[World, World]) -> None:
    """The same slots at other times, from several publishers at once, together and alone, while people book: each id
    once, each slot as its people are taken, no answer but done or refused."""
    world, chance = worlds[0], random.Random(7)

    def feed(kind: str, day: int) -> Resource:
        ids = [f"rival-{number}" for number in range(40)]
        chance.shuffle(ids)
        slots = [slot(id_, "here", FIRST + timedelta(days=day, minutes=20 * int(id_[6:]))) for id_ in ids]
        return bundle(kind, [("PUT", f"Slot/{one['id']}", one, {}) for one in slots])

    def booking(number: int) -> Resource:
        wanted = appointment("proposed", slots=[known("beside", number)], patient=patients[number])
        return parameters(appt_resource=wanted)

    patients = {number: await world.practice.new_patient() for number in range(5, 11)}
    software = world.callers.software()
    alone = [slot("rival-alone", "here", FIRST + timedelta(days=day)) for day in range(8)]
    answers = await asyncio.gather(
        *(software.post("", feed(kind, day)) for kind in ("batch", "transaction") for day in (0, 0, 2, 20)),
        *(software.put("Slot/rival-alone", one) for one in alone),
        *(software.post("Appointment/$book", booking(number)) for number in patients),
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 409, 503}
    pool = world.practice.database.pool
    assert await pool.fetch("SELECT id FROM slot GROUP BY id HAVING count(*) > 1") == []
    judged = JUDGED.format(slot="slot", besides="''")
    stale = f"SELECT id, name, status, {judged} FROM slot WHERE taken_by IS NULL AND status <> {judged}"
    assert await pool.fetch(stale) == []
    assert await pool.fetchval("SELECT count(*) FROM slot WHERE name LIKE 'rival-%'") == 41
