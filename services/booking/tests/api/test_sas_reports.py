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
from creneau_booking.handlers.outside.sas_reports import LOOKS_MAX, SasReports
from creneau_booking.messaging.directory_replica import RESOURCE_CHANGED
from creneau_booking.topics import DIRECTORY
from creneau_booking.views.sas.appointment import OF_PLATFORM, OPERATOR, OPERATOR_OF_CORE, SOS_PROFILE
from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Database
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.messaging.events import ReceivedEvent

RPPS = "10101010107"
REGULATOR = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "3456780581/11242343"}
ACCOUNT = {"system": OF_PLATFORM, "value": "b6e39355-8a61-4556-b340-36f7b95fec6a"}
LATER = {"system": REGULATOR["system"], "value": "3456780581/99"}
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

    async def hear_of(self, practitioner: str, *numbers: Resource, version: int, **meta: str) -> None:
        """What the directory says of a person now."""
        stamp = {"versionId": str(version), "lastUpdated": "2026-11-02T08:00:00Z"}
        known = {
            "resourceType": "Practitioner",
            "id": practitioner.removeprefix("Practitioner/"),
            "meta": {**stamp, **meta},
            "identifier": list(numbers),
        }
        await hear(self.practice, {name: value for name, value in known.items() if value})

    async def hear_that_is_gone(self, key: str) -> None:
        event = ReceivedEvent(
            topic=DIRECTORY,
            key=key,
            type=RESOURCE_CHANGED,
            subject=key,
            source="/creneau/directory",
            data=None,
            time=self.practice.clock.now(),
            partition=0,
            offset=0,
            raw=None,
        )
        async with self.practice.database.transaction() as connection:
            await self.practice.replica().apply(connection, event)

    async def delete(self, id_: str) -> None:
        practice = self.practice
        async with practice.database.transaction() as connection:
            current = await practice.repository.store.lock(connection, id_)
            assert current is not None
            await practice.handlers.remove(connection, practice.context(), current)


def by_number() -> Resource:
    return {"url": OPERATOR, "valueReference": {"identifier": REGULATOR}}


def by_account() -> Resource:
    return {"url": OPERATOR, "valueReference": {"reference": "Practitioner/regulator"}}


def named_in(word: dict[str, Any]) -> tuple[str, str]:
    """The numbers of the regulator and of the professional."""
    [operator], [who] = word["body"]["extension"], word["body"]["participant"]
    return operator["valueReference"]["identifier"]["value"], who["actor"]["identifier"]["value"]


@pytest.fixture
async def desk(new_database: Callable[..., str], template: str) -> AsyncIterator[Desk]:
    url = new_database(template=template)
    async with Database(url, size=8, statement_timeout_s=60, name="test") as database:
        settings = settings_for(url).model_copy(update={"sas_platform_url": "http://127.0.0.1:9/fhir"})
        practice = Practice(database, settings, FixedClock(NOW))
        surgery = await open_surgery(practice, 8)
        meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
        person = {"resourceType": "Practitioner", "id": surgery.practitioner.partition("/")[2], "meta": meta}
        await hear(
            practice, {**person, "identifier": [{"system": "https://rpps.esante.gouv.fr", "value": RPPS}]}
        )
        await hear(
            practice,
            {**person, "id": "regulator", "meta": {**meta, "source": OF_PLATFORM}, "identifier": [ACCOUNT]},
        )
        await hear(
            practice,
            {**person, "id": "other", "meta": {**meta, "source": OF_PLATFORM}, "identifier": [REGULATOR]},
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


async def test_whom_the_directory_has_deleted_is_named_as_before(desk: Desk) -> None:
    """A professional goes, and their visits are cancelled with them: of this the platform is told, too."""
    async with standing_in() as platform:
        reports = desk.reports(platform)
        await desk.book(0, by_number())
        await reports.tell_all()
        await desk.hear_that_is_gone(desk.practitioner)
        await reports.tell_all()
        assert await platform.heard(2) == [("POST", 201, "booked"), ("PUT", 200, "cancelled")]
        assert named_in(platform.words[1]) == named_in(platform.words[0])


async def test_a_regulator_whose_account_has_lost_its_number_is_named_as_before(desk: Desk) -> None:
    """INT_R02 gives the number of a closed account to another one. A number that takes its place is told."""
    async with standing_in() as platform:
        reports = desk.reports(platform)
        id_ = await desk.book(0, by_account())
        await reports.tell_all()
        await desk.hear_of("regulator", version=2, source=OF_PLATFORM)
        await desk.practice.change(id_, status="fulfilled")
        await reports.tell_all()
        await desk.hear_of("regulator", LATER, version=3, source=OF_PLATFORM)
        await desk.practice.change(id_, status="entered-in-error")
        await reports.tell_all()
        assert [said for *_, said in await platform.heard(3)] == ["booked", "fulfilled", "cancelled"]
        regulators = [named_in(word)[0] for word in platform.words]
        assert regulators == [ACCOUNT["value"], ACCOUNT["value"], LATER["value"]]


async def test_what_the_platform_knows_of_is_followed_whatever_is_sent(desk: Desk) -> None:
    """Software that does not keep the operator; an appointment that names its professional no more, or has no time."""
    async with standing_in() as platform:
        reports = desk.reports(platform)
        id_ = await desk.book(0, by_number())
        await reports.tell_all()
        arrived = await desk.practice.change(id_, extension=None, status="arrived")
        await reports.tell_all()
        [patient, _] = desk.practice.repository.resource(arrived)["participant"]
        await desk.practice.change(
            id_, status="cancelled", start=None, end=None, slot=None, participant=[patient]
        )
        await reports.tell_all()
        assert [said for *_, said in await platform.heard(3)] == ["booked", "booked", "cancelled"]
        booked, cancelled = platform.words[0]["body"], platform.words[2]["body"]
        assert cancelled == {**booked, "status": "cancelled"}


async def test_what_gives_its_time_back_is_told_as_cancelled(desk: Desk) -> None:
    """Renegotiated, it keeps its time and the platform its word; once it is let go, it is cancelled; booked anew, it is booked.
    What has given its time back before the platform heard of it is told once it is booked again."""
    async with standing_in() as platform:
        reports = desk.reports(platform)
        known, unknown = await desk.book(0, by_number()), await desk.book(1, by_number())
        for id_ in (unknown, known):
            await desk.practice.change(id_, status="pending")
        await desk.practice.change(unknown, status="proposed")
        assert await reports.tell_all() == 2
        await desk.practice.change(known, status="booked")
        await reports.tell_all()
        await desk.practice.change(known, status="pending")
        await reports.tell_all()
        assert await platform.heard(1) == [("POST", 201, "booked")]
        for status in ("proposed", "booked"):
            await desk.practice.change(known, status=status)
            await reports.tell_all()
        assert await platform.heard(2) == [("PUT", 200, "cancelled"), ("PUT", 200, "booked")]
        await desk.practice.change(unknown, status="booked")
        await reports.tell_all()
        assert await platform.heard(1) == [("POST", 201, "booked")]


async def test_an_appointment_of_its_patient_alone_is_with_the_agendas_people(desk: Desk) -> None:
    """As events and pages have it; a centre's is told in its own form."""
    practice, agenda = desk.practice, unique("sos")
    place = await practice.put({"resourceType": "Location", "id": unique("centre"), "name": "SOS"})
    await practice.put(schedule(agenda, [place]))
    _, [of_centre] = await practice.fill(agenda, 1)
    async with standing_in() as platform:
        for slot in (desk.slots[0], of_centre):
            patient = await practice.new_patient()
            await practice.create(
                appointment("booked", slots=[slot], patient=patient, extension=[by_number()])
            )
            await desk.reports(platform).tell_all()
        assert [said for *_, said in await platform.heard(2)] == ["booked", "booked"]
        assert named_in(platform.words[0]) == (REGULATOR["value"], f"8{RPPS}")
        assert platform.words[1]["body"]["meta"]["profile"] == [SOS_PROFILE]


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


@pytest.mark.parametrize("extension", [OPERATOR, OPERATOR_OF_CORE])
async def test_a_regulator_is_who_has_an_account_of_the_regulation(desk: Desk, extension: str) -> None:
    """Whichever extension names them, by reference or by number; a number that the directory's doctor has is a doctor's,
    and the system of regulators' numbers alone is nobody's."""
    own = {"system": REGULATOR["system"], "value": f"8{RPPS}"}
    unknown = {"system": OF_PLATFORM, "value": "00000000-0000-4000-8000-000000000000"}
    named: list[tuple[Resource, str | None]] = [
        ({"identifier": own}, None),
        ({"identifier": unknown}, None),
        ({"identifier": {"system": REGULATOR["system"]}}, None),
        ({"identifier": {"system": OF_PLATFORM}}, None),
        ({"reference": desk.practitioner, "identifier": {**ACCOUNT, "system": "urn:oid:1.2.3"}}, None),
        ({"identifier": REGULATOR}, REGULATOR["value"]),
        ({"identifier": ACCOUNT}, ACCOUNT["value"]),
        ({"reference": "Practitioner/regulator"}, ACCOUNT["value"]),
    ]
    async with standing_in() as platform:
        for index, (operator, _) in enumerate(named):
            await desk.book(index, {"url": extension, "valueReference": operator})
            await desk.reports(platform).tell_all()
        told = [number for _, number in named if number is not None]
        await platform.heard(len(told))
        assert [named_in(word)[0] for word in platform.words] == told


async def test_the_numbers_are_those_that_hold(desk: Desk) -> None:
    """A professional's former number, and a regulator's, are not told; by a former one an account is still found."""
    plain = "https://rpps.esante.gouv.fr"
    former = {"system": plain, "value": RPPS, "use": "old"}
    await desk.hear_of(desk.practitioner, former, {"system": plain, "value": "10101010206"}, version=2)
    ended = {**ACCOUNT, "period": {"end": "2026-10-31"}}
    await desk.hear_of("regulator", ended, LATER, version=2, source=OF_PLATFORM)
    async with standing_in() as platform:
        await desk.book(0, {"url": OPERATOR, "valueReference": {"identifier": ACCOUNT}})
        await desk.reports(platform).tell_all()
        await platform.heard(1)
        assert named_in(platform.words[0]) == (LATER["value"], "810101010206")


async def test_a_regulator_of_whom_the_directory_is_heard_later_is_told_then(desk: Desk) -> None:
    """They log in for the first time, and book before their account has come here."""
    new = {**LATER, "value": "3456780581/1"}
    async with standing_in() as platform:
        reports = desk.reports(platform)
        await desk.book(0, {"url": OPERATOR, "valueReference": {"identifier": new}})
        assert await reports.tell_all() == 1
        await desk.hear_of("new", new, version=1, source=OF_PLATFORM)
        assert await reports.tell_all() == 0
        desk.practice.clock.advance(MINUTE)
        await reports.tell_all()
        assert await platform.heard(1) == [("POST", 201, "booked")]
        await desk.book(1, {"url": OPERATOR, "valueReference": {"identifier": {**LATER, "value": "2"}}})
        looks = 0
        for _ in range(2 * LOOKS_MAX):
            looks += await reports.tell_all()
            desk.practice.clock.advance(60 * MINUTE)
        assert looks == LOOKS_MAX, "not for ever"


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
        declined = await made("pending", slots[0], "needs-action")
        await reports.tell_all()
        await practice.change(declined, status="waitlist")
        await reports.tell_all()
        assert await platform.heard(2) == [("POST", 201, "pending"), ("PUT", 200, "cancelled")]
        said = [word["body"] for word in platform.words]
        assert {one["meta"]["profile"][0] for one in said} == {SOS_PROFILE}
        answers = [one["participant"][0]["status"] for one in said]
        assert answers == ["needs-action", "accepted", "accepted", "needs-action", "accepted"]
        assert all(not [i for i in profile_issues(one) if i.severity == "error"] for one in said)


async def test_6_4_of_a_centre_that_only_its_agenda_names_it_is_told_alike(desk: Desk) -> None:
    """Software may name the patient alone; with an end it is a hold."""
    practice, agenda = desk.practice, unique("sos")
    place = await practice.put({"resourceType": "Location", "id": unique("centre"), "name": "SOS"})
    await practice.put(schedule(agenda, [place]))
    _, slots = await practice.fill(agenda, 2)

    def wanted(slot: str, patient: str) -> Resource:
        return appointment("pending", slots=[slot], patient=patient, extension=[by_number()])

    async with standing_in() as platform:
        reports = desk.reports(platform)
        id_ = (await practice.create(wanted(slots[0], await practice.new_patient()))).id
        await practice.hold(wanted(slots[1], await practice.new_patient()))
        await reports.tell_all()
        await practice.change(id_, status="booked")
        await reports.tell_all()
        assert await platform.heard(2) == [("POST", 201, "pending"), ("PUT", 200, "booked")]
        assert {word["body"]["meta"]["profile"][0] for word in platform.words} == {SOS_PROFILE}


def test_by_default_it_is_told_nothing(practice: Practice) -> None:
    assert create_sas_reports(practice.settings, practice.database, practice.clock) is None
