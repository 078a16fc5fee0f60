"""The index of first free starts is what a full scan finds, after any sequence of rival writes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta

import asyncpg
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import (
    GENERAL,
    NOW,
    SKIN,
    appointment,
    schedule,
    slot,
    unique,
)
from services.booking.tests.first_free import disagreeing
from services.booking.tests.practice import Practice
from services.booking.tests.telling import in_words

from creneau_booking.storage.slots.partitions import drop_old_partitions
from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Connection, Database
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.storage.store import Resource

ROUNDS, RIVALS, STEPS = 3, 8, 10
HOUR = timedelta(hours=1)
AGENDAS = ("alone", "shared", "nobodys")
"""of one doctor; of the same and another; of nobody who can be in one place only"""


class Rivals:
    """Several connections that write slots of a few agendas in every way that there is."""

    def __init__(self, practice: Practice, chance: random.Random, agendas: dict[str, str]) -> None:
        self.practice, self.chance, self.agendas = practice, chance, agendas

    def _slot(self, id_: str, agenda: str | None = None) -> Resource:
        start = self.practice.clock.now() + HOUR * self.chance.randint(-3, 40)
        return slot(
            id_,
            agenda or self.agendas[self.chance.choice(AGENDAS)],
            start,
            status=self.chance.choice(["free", "free", "free", "busy"]),
            specialty=[self.chance.choice([GENERAL, SKIN])],
        )

    async def _some(self, connection: Connection | None = None) -> str | None:
        pool = connection or self.practice.database.pool
        rows = await pool.fetch("SELECT coalesce(name, id::text) AS id FROM slot ORDER BY random() LIMIT 1")
        return rows[0]["id"] if rows else None

    async def live(self) -> list[str]:
        """Many writes, one after the other; the circles that PostgreSQL had to break."""
        circles = []
        for _ in range(STEPS):
            acts = (
                self.feed,
                self.feed_several,
                self.say_again,
                self.remove,
                self.book,
                self.hold,
                self.give_up,
            )
            try:
                with in_words():
                    await self.chance.choice(acts)()
            except CreneauError:
                pass
            except asyncpg.DeadlockDetectedError as circle:
                circles.append(str(circle.detail))
        return circles

    async def feed(self) -> None:
        await self.practice.put(self._slot(unique("creneau")))

    async def feed_several(self) -> None:
        """Of one agenda, in whatever order of kinds, in one transaction."""
        agenda = self.agendas[self.chance.choice(AGENDAS)]
        async with self.practice.database.transaction() as connection:
            for _ in range(4):
                made = self._slot(unique("creneau"), agenda)
                await self.practice.slots.create(connection, self.practice.context(), made, made["id"])

    async def say_again(self) -> None:
        id_ = await self._some()
        if id_ is None:
            return
        async with self.practice.database.transaction() as connection:
            current = await self.practice.slots.lock(connection, id_)
            if current is not None:
                await self.practice.slots.replace(
                    connection, self.practice.context(), current, self._slot(id_)
                )

    async def remove(self) -> None:
        id_ = await self._some()
        if id_ is None:
            return
        async with self.practice.database.transaction() as connection:
            current = await self.practice.slots.lock(connection, id_)
            if current is not None and not current.deleted:
                await self.practice.slots.delete(connection, self.practice.context(), current)

    async def book(self) -> None:
        if (id_ := await self._some()) is not None:
            await self.practice.create(appointment("booked", slots=[id_]))

    async def hold(self) -> None:
        if (id_ := await self._some()) is not None:
            await self.practice.hold(appointment("proposed", slots=[id_]))

    async def give_up(self) -> None:
        rows = await self.practice.database.pool.fetch(
            "SELECT id FROM appointment WHERE terms && $1 ORDER BY random() LIMIT 1",
            ["status=booked", "status=pending"],
        )
        if rows:
            await self.practice.change(rows[0]["id"], status="cancelled")


async def test_it_is_what_a_full_scan_finds(new_database: Callable[..., str], template: str) -> None:
    """Also when time passes, when holds run out, when passed starts are moved on and when months are dropped."""
    url = new_database(template=template)
    clock, chance = FixedClock(NOW), random.Random(11)
    agendas = {name: unique(name) for name in AGENDAS}
    async with (
        Database(url, size=10, statement_timeout_s=60, name="one") as one,
        Database(url, size=10, statement_timeout_s=60, name="two") as two,
    ):
        here, there = (Practice(database, settings_for(url), clock) for database in (one, two))
        for name, actors in (
            ("alone", ["Practitioner/a"]),
            ("shared", ["Practitioner/a", "Device/b"]),
            ("nobodys", ["HealthcareService/c"]),
        ):
            await here.put(schedule(agendas[name], actors))
            for kind in (
                GENERAL,
                SKIN,
            ):  # made by rivals in opposite order, kinds themselves would be waited for
                await here.put(slot(unique("creneau"), agendas[name], NOW + 50 * HOUR, specialty=[kind]))
        for _ in range(ROUNDS):
            rivals = [Rivals(here if n % 2 else there, chance, agendas) for n in range(RIVALS)]
            circles = [
                circle for found in await asyncio.gather(*(r.live() for r in rivals)) for circle in found
            ]
            assert circles == []
            assert await disagreeing(one, clock.now()) == []
            clock.advance(timedelta(hours=5))
            await here.jobs().expire_holds()
            assert await disagreeing(one, clock.now()) == []
            await here.jobs().keep_first_free()
            assert await disagreeing(one, clock.now()) == []
        assert await one.pool.fetchval("SELECT count(*) FROM first_free WHERE start IS NOT NULL") > 2
        clock.advance(timedelta(days=70))
        async with one.connection() as connection:
            assert await drop_old_partitions(connection, clock.now(), 1) > 0
        await here.jobs().keep_first_free()
        assert await disagreeing(one, clock.now()) == []


async def test_rivals_who_write_in_opposite_order_do_not_wait_for_each_other(
    new_database: Callable[..., str], template: str
) -> None:
    """Two transactions free the same two kinds the other way round: nothing of the index is locked before they close."""
    url = new_database(template=template)
    async with Database(url, size=4, statement_timeout_s=60, name="both") as database:
        practice = Practice(database, settings_for(url), FixedClock(NOW))
        agenda = unique("agenda")
        await practice.put(schedule(agenda, ["HealthcareService/c"]))
        for kind in (GENERAL, SKIN):
            await practice.put(slot(unique("creneau"), agenda, NOW + 9 * HOUR, specialty=[kind]))
        written = asyncio.Barrier(2)

        async def both(first: Resource, second: Resource) -> None:
            async with database.transaction() as connection:
                for kind in (first, second):
                    made = slot(unique("creneau"), agenda, NOW + HOUR, specialty=[kind])
                    await practice.slots.create(connection, practice.context(), made, made["id"])
                    await asyncio.wait_for(written.wait(), 10)

        await asyncio.gather(both(GENERAL, SKIN), both(SKIN, GENERAL))
        assert await disagreeing(database, NOW) == []
