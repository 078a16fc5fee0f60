"""The SAS platform is told of what was booked for a regulator: once in effect, in order, whatever fails on the way."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import NOW, appointment, schedule, unique
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear, open_surgery

from creneau_booking.app import create_sas_reports
from creneau_booking.handlers.outside.sas_reports import SasReports
from creneau_booking.views.sas_appointment import OF_PLATFORM, OPERATOR, OPERATOR_OF_CORE, SOS_PROFILE
from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Database
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.storage.store import Resource

RPPS = "10101010107"
REGULATOR = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "3456780581/11242343"}
MINUTE = timedelta(minutes=1)


@dataclass
class Platform:
    """The stand-in: where it is, and the words that it was told so far."""

    port: int
    process: asyncio.subprocess.Process
    words: list[dict[str, Any]] = field(default_factory=list)

    async def heard(self, count: int) -> list[tuple[str, int, str]]:
        """The next `count` words: method, answer, status of the appointment."""
        assert self.process.stdout is not None
        for _ in range(count):
            self.words.append(json.loads(await asyncio.wait_for(self.process.stdout.readline(), 20)))
        return [(w["method"], w["status"], w["body"]["status"]) for w in self.words[-count:]]


@asynccontextmanager
async def standing_in(plan: str = "") -> AsyncIterator[Platform]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.booking.tests.sas_platform", plan, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield Platform(int(await process.stdout.readline()), process)
    finally:
        process.kill()
        await process.wait()


@dataclass
class Desk:
    """A practice that reports, the slots of one professional, and how they are booked for a regulator."""

    practice: Practice
    slots: tuple[str, ...]
    practitioner: str

    def reports(self, platform: Platform) -> SasReports:
        settings = self.practice.settings.model_copy(
            update={"sas_platform_url": f"http://127.0.0.1:{platform.port}/fhir"}
        )
        made = create_sas_reports(settings, self.practice.database, self.practice.clock)
        assert made is not None
        return made

    async def book(self, index: int, *extensions: Resource) -> str:
        patient = await self.practice.new_patient(given="Secrète")
        wanted = appointment(
            "booked",
            slots=[self.slots[index]],
            patient=patient,
            actors=[self.practitioner],
            extension=list(extensions),
        )
        return (await self.practice.create(wanted)).id

    async def delete(self, id_: str) -> None:
        practice = self.practice
        async with practice.database.transaction() as connection:
            current = await practice.repository.store.lock(connection, id_)
            assert current is not None
            await practice.handlers.remove(connection, practice.context(), current)


def by_number() -> Resource:
    return {"url": OPERATOR, "valueReference": {"identifier": REGULATOR}}


@pytest.fixture
async def desk(new_database: Callable[..., str], template: str) -> AsyncIterator[Desk]:
    url = new_database(template=template)
    async with Database(url, size=8, statement_timeout_s=60, name="test") as database:
        settings = settings_for(url).model_copy(update={"sas_platform_url": "http://127.0.0.1:9/fhir"})
        practice = Practice(database, settings, FixedClock(NOW))
        surgery = await open_surgery(practice, 6)
        meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
        person = {"resourceType": "Practitioner", "id": surgery.practitioner.partition("/")[2], "meta": meta}
        await hear(
            practice, {**person, "identifier": [{"system": "https://rpps.esante.gouv.fr", "value": RPPS}]}
        )
        account = {"system": OF_PLATFORM, "value": "b6e39355-8a61-4556-b340-36f7b95fec6a"}
        await hear(
            practice,
            {**person, "id": "regulator", "meta": {**meta, "source": OF_PLATFORM}, "identifier": [account]},
        )
        yield Desk(practice, surgery.slots, surgery.practitioner)


async def test_it_is_told_of_each_change_and_of_no_patient(desk: Desk) -> None:
    async with standing_in() as platform:
        reports = desk.reports(platform)
        id_ = await desk.book(0, by_number())
        assert await reports.tell_all() == 1
        assert await platform.heard(1) == [("POST", 201, "booked")]
        assert await reports.tell_all() == 0
        await desk.practice.change(id_, comment="rien pour la plateforme")
        await desk.practice.change(id_, status="cancelled")
        await reports.tell_all()
        assert await platform.heard(1) == [("PUT", 200, "cancelled")]
        said = platform.words[0]["body"]
        assert said["identifier"] == [{"system": "http://127.0.0.1:8080/fhir", "value": id_}]
        [who] = said["participant"]
        assert who["actor"]["identifier"]["value"] == f"8{RPPS}"
        assert who["actor"]["identifier"]["type"]["coding"][0]["code"] == "IDNPS"
        assert said["extension"][0]["valueReference"]["identifier"]["value"] == REGULATOR["value"]
        text = json.dumps(platform.words)
        assert "Patient" not in text
        assert "Secr" not in text


async def test_what_is_deleted_is_told_as_cancelled(desk: Desk) -> None:
    """By its last word, once; what the platform has never heard of it does not hear of by its deletion."""
    async with standing_in() as platform:
        reports = desk.reports(platform)
        told, untold = await desk.book(0, by_number()), await desk.book(1)
        early = await desk.book(2, by_number())
        await desk.delete(early)
        await reports.tell_all()
        assert await platform.heard(1) == [("POST", 201, "booked")]
        for id_ in (told, untold):
            await desk.delete(id_)
        assert await reports.tell_all() == 1
        assert await platform.heard(1) == [("PUT", 200, "cancelled")]
        booked, cancelled = (word["body"] for word in platform.words)
        assert cancelled == {**booked, "status": "cancelled"}
        assert await reports.tell_all() == 0


async def test_what_fails_is_told_again_and_what_was_lost_is_not_told_twice(desk: Desk) -> None:
    """Refused for now; then carried out but never answered: the next word is a PUT, which makes no second one."""
    async with standing_in("503,drop") as platform:
        reports = desk.reports(platform)
        await desk.book(0, by_number())
        for expected in (("POST", 503, "booked"), ("PUT", 201, "booked"), ("PUT", 200, "booked")):
            await reports.tell_all()
            assert await platform.heard(1) == [expected]
            assert await reports.tell_all() == 0, "not before its time"
            desk.practice.clock.advance(2 * MINUTE)
        assert await reports.tell_all() == 0


async def test_two_workers_and_a_restart_keep_the_order(desk: Desk) -> None:
    """Told by many at once, while each changes: of every appointment the last word is the last state, and none is told of
    an older one after it."""
    async with standing_in() as platform:
        ids = [await desk.book(n, by_number()) for n in range(4)]

        async def tell(rounds: int) -> int:
            workers = [desk.reports(platform) for _ in range(4)]
            return sum([sum(await asyncio.gather(*(w.tell_all() for w in workers))) for _ in range(rounds)])

        telling = asyncio.create_task(tell(5))
        for status in ("arrived", "fulfilled"):
            for id_ in ids:
                await desk.practice.change(id_, status=status)
        said = await telling + await tell(2)
        desk.practice.clock.advance(5 * MINUTE)
        said += await tell(2)
        await platform.heard(said)
        for id_ in ids:
            states = [
                w["body"]["status"] for w in platform.words if w["body"]["identifier"][0]["value"] == id_
            ]
            assert states[-1] == "fulfilled"
            assert states == sorted(states), "booked before fulfilled"


async def test_of_whom_it_is_not_told(desk: Desk) -> None:
    """Who is no regulator; what was never booked; and by their account a regulator is known in FR Core's words, too."""
    async with standing_in() as platform:
        reports = desk.reports(platform)
        await desk.book(0)
        await desk.book(1, {"url": OPERATOR_OF_CORE, "valueReference": {"reference": desk.practitioner}})
        await reports.tell_all()
        await desk.book(
            2, {"url": OPERATOR_OF_CORE, "valueReference": {"reference": "Practitioner/regulator"}}
        )
        await reports.tell_all()
        assert await platform.heard(1) == [("POST", 201, "booked")]
        operator = platform.words[0]["body"]["extension"][0]["valueReference"]["identifier"]
        assert (operator["system"], operator["type"]["coding"][0]["code"]) == (OF_PLATFORM, "INTRN")
        held = appointment(
            "booked",
            slots=[desk.slots[3]],
            patient=await desk.practice.new_patient(),
            extension=[by_number()],
        )
        await desk.practice.hold(held)
        assert await reports.tell_all() == 0


async def test_6_4_of_a_centre_it_is_told_in_its_own_form(desk: Desk) -> None:
    """sas-sos-appointment of an agenda that is a place's and nobody's: pending until the centre has agreed, then booked; a hold
    is nothing yet."""
    practice, agenda = desk.practice, unique("sos")
    place = await practice.put({"resourceType": "Location", "id": unique("centre"), "name": "SOS"})
    await practice.put(schedule(agenda, [place]))
    _, slots = await practice.fill(agenda, 2)
    async with standing_in() as platform:
        reports = desk.reports(platform)

        async def made(status: str, slot: str, answer: str) -> str:
            wanted = appointment(
                status,
                slots=[slot],
                patient=await practice.new_patient(given="Secrète"),
                actors=[place],
                extension=[by_number()],
            )
            wanted["participant"][-1]["status"] = answer
            return (await practice.create(wanted)).id

        await made("pending", slots[1], "tentative")
        assert await reports.tell_all() == 0
        id_ = await made("pending", slots[0], "needs-action")
        await reports.tell_all()
        await practice.change(id_, status="booked")
        await reports.tell_all()
        await practice.change(id_, status="cancelled")
        await reports.tell_all()
        assert await platform.heard(3) == [
            ("POST", 201, "pending"),
            ("PUT", 200, "booked"),
            ("PUT", 200, "cancelled"),
        ]
        said = [word["body"] for word in platform.words]
        assert {one["meta"]["profile"][0] for one in said} == {SOS_PROFILE}
        assert [one["participant"][0]["status"] for one in said] == ["needs-action", "accepted", "accepted"]
        assert all(not [i for i in profile_issues(one) if i.severity == "error"] for one in said)


def test_by_default_it_is_told_nothing(practice: Practice) -> None:
    assert create_sas_reports(practice.settings, practice.database, practice.clock) is None
