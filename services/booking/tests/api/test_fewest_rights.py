"""What somebody with few rights might still get at by a way round: a kept answer, an old secret, a name of somebody else's."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest
from services.booking.tests.api.test_proxies import LABEL, People
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, patient, ref, schedule, slot, unique, utc
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import Surgery, hear, open_surgery, role_resource

from creneau_booking.app import create_fhir
from creneau_booking.storage.mapping.appointment import REPLACES
from creneau_booking.storage.outside.calendars import keep_busy
from creneau_booking.storage.outside.followed_calendars import follow_calendar
from creneau_booking.storage.outside.publication import published_named
from creneau_shared.fhir.rest.async_runner import AsyncRunner
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.fhir.storage.store import Resource

CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]


@pytest.fixture
def people(callers: Callers) -> People:
    return People(callers)


def works_for(surgery: Surgery, organization: str) -> Resource:
    """What the directory says next of the role: it is another practice's."""
    meta = {"versionId": "2", "lastUpdated": "2026-11-02T08:00:00Z"}
    return role_resource(surgery.role.partition("/")[2], surgery.practitioner, organization, meta=meta)


class TestAnAgendaThatIsHandedOver:
    async def test_its_earlier_owners_address_opens_nothing(
        self, callers: Callers, practice: Practice
    ) -> None:
        """Whose an agenda was sees what there was; what is booked from then on is not read by an address of theirs."""
        surgery = await open_surgery(practice)
        us, later = callers.staff(surgery.organization, role="software"), unique("cabinet")
        path = f"Schedule/{surgery.agenda}/$calendar-feed"

        async def opened(by: Caller) -> str:
            answer = await by.post(path, {"resourceType": "Parameters"})
            assert answer.status_code == 200, answer.text
            url: str = answer.json()["parameter"][0]["valueUrl"]
            return url.removeprefix("http://127.0.0.1:8080")

        ours = await opened(us)
        assert (await callers.client.get(ours)).status_code == 200
        await hear(practice, works_for(surgery, later))
        assert (await callers.client.get(ours)).status_code == 404
        theirs = await opened(callers.staff(later, role="software"))
        assert (await callers.client.get(theirs)).status_code == 200
        third = await open_surgery(practice)
        moved = schedule(surgery.agenda, [third.practitioner, third.role])
        assert (await callers.software().put(f"Schedule/{surgery.agenda}", moved)).status_code == 200
        assert (await callers.client.get(theirs)).status_code == 404, "by the deployment, too"

    async def test_a_calendar_of_its_earlier_owners_blocks_nothing(
        self, callers: Callers, practice: Practice
    ) -> None:
        """They could keep the others from being booked, as long as they like."""
        surgery = await open_surgery(practice)
        now = practice.clock.now()
        async with practice.database.transaction() as connection:
            await follow_calendar(connection, surgery.agenda, "https://exemple.fr/own.ics", now)
            busy = [(surgery.start, surgery.start + timedelta(minutes=20))]
            await keep_busy(connection, surgery.agenda, busy, (now, now + timedelta(days=60)), now)
        assert await practice.slot_statuses(surgery.slots[:1]) == ["busy-unavailable"]
        await hear(practice, works_for(surgery, unique("cabinet")))
        assert await practice.slot_statuses(surgery.slots[:1]) == ["free"]
        kept = await practice.database.pool.fetch(
            "SELECT FROM external_calendar WHERE schedule = $1", surgery.agenda
        )
        assert kept == []


async def test_a_name_that_was_anothers_is_not_taken_by_synchronising(
    callers: Callers, practice: Practice
) -> None:
    """As by a PUT: a slot that its practice has taken away comes back to it, and to nobody else."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    us, them = (callers.staff(one.organization, role="software") for one in (ours, theirs))
    assert (await us.delete(f"Slot/{ours.slots[0]}")).status_code == 204

    async def sync(by: Caller, agenda: str) -> httpx.Response:
        at = theirs.start + timedelta(days=1)
        one = slot(ours.slots[0], agenda, at)
        return await by.client.post(
            f"/fhir/Schedule/{agenda}/$sync-slots",
            params={"from": utc(at), "to": utc(at + timedelta(hours=1))},
            content=json.dumps(one).encode() + b"\n",
            headers={**by.headers, "Content-Type": "application/fhir+ndjson"},
        )

    stolen = slot(ours.slots[0], theirs.agenda, theirs.start + timedelta(days=1))
    assert (await them.put(f"Slot/{ours.slots[0]}", stolen)).status_code == 403
    refused = await sync(them, theirs.agenda)
    assert refused.status_code in (403, 409), refused.text
    assert (await sync(us, ours.agenda)).status_code == 200


@pytest.mark.parametrize("status", ["arrived", "checked-in", "fulfilled", "noshow", "entered-in-error"])
async def test_a_patient_deletes_no_visit_that_they_could_not_cancel(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, status: str
) -> None:
    """Its slot would be sold again while they sit in the waiting room, and what the practice has put down be gone."""
    caller = callers.patient(camille)
    wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    booked = (await caller.post("Appointment", wanted)).json()
    said = [{"op": "replace", "path": "/status", "value": status}]
    before = practice.clock.instant
    try:
        # Nobody has missed what has not begun; what is refused after its begin is refused for another reason.
        practice.clock.instant = agenda.start if status == "noshow" else before
        answer = await callers.software().patch(f"Appointment/{booked['id']}", said)
        assert answer.status_code == 200, answer.text
    finally:
        practice.clock.instant = before
    taken = await practice.slot_statuses(agenda.slots[:1])
    refused = await caller.delete(f"Appointment/{booked['id']}")
    assert refused.status_code == (403 if status in ("arrived", "checked-in") else 422), refused.text
    assert (await caller.get(f"Appointment/{booked['id']}")).json()["status"] == status
    assert await practice.slot_statuses(agenda.slots[:1]) == taken


class TestAWishThatReplaces:
    async def test_a_visit_that_its_author_does_not_see_is_not_given_up_for_it(
        self, people: People, practice: Practice, agenda: Agenda
    ) -> None:
        """A parent, of what a minor hides from them: neither its existence is told, nor can it be ended."""
        parent, teen, child = await people.teenager()
        hidden = await teen.post(
            "Appointment",
            appointment(
                "booked",
                slots=agenda.slots[:1],
                patient=child,
                start=agenda.start,
                meta={"security": [LABEL]},
            ),
        )
        assert hidden.status_code == 201, hidden.text
        for id_ in (hidden.json()["id"], unique("personne")):
            answer = await parent.post("Appointment", wish(agenda, child, id_))
            assert (answer.status_code, code(answer)) == (422, "replaced-not-yours"), answer.text
        assert (await teen.post("Appointment", wish(agenda, child, hidden.json()["id"]))).status_code == 201

    async def test_nor_one_at_another_practice(self, callers: Callers, practice: Practice) -> None:
        """A practice gives up for its patient what it may cancel itself; neither in waiting, nor in keeping time."""
        ours, theirs = await open_surgery(practice), await open_surgery(practice)
        us, them = (callers.staff(one.organization) for one in (ours, theirs))
        camille = callers.patient()
        who = f"Patient/{(await camille.post('Patient', patient())).json()['id']}"
        made = []
        for index, one in ((0, ours), (1, theirs)):
            at = one.start + index * timedelta(minutes=20)
            answer = await camille.post(
                "Appointment",
                appointment("booked", slots=one.slots[index : index + 1], patient=who, start=at),
            )
            assert answer.status_code == 201, answer.text
            made.append(answer.json()["id"])
        there = Agenda(theirs.agenda, theirs.practitioner, "", theirs.start, theirs.slots)
        answer = await them.post("Appointment", wish(there, who, made[0]))
        assert (answer.status_code, code(answer)) == (422, "replaced-not-yours"), answer.text
        held = appointment("pending", slots=theirs.slots[2:], patient=who, extension=[replacing(made[0])])
        kept = await them.post("Appointment", held)
        if kept.status_code == 201:
            await them.patch(f"Appointment/{kept.json()['id']}", [{**CANCELLED[0], "value": "booked"}])
        assert (await us.get(f"Appointment/{made[0]}")).json()["status"] == "booked"
        assert (await them.post("Appointment", wish(there, who, made[1]))).status_code == 201


def replacing(id_: str) -> Resource:
    return {"url": REPLACES, "valueReference": ref(f"Appointment/{id_}")}


def wish(agenda: Agenda, who: str, instead: str) -> Resource:
    return appointment("waitlist", patient=who, actors=[agenda.practitioner], extension=[replacing(instead)])


class TestAnswersThatAreKept:
    async def test_a_key_answers_the_token_that_asked(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        """A counsellor who is with somebody else by now; an application that may less than the one that asked."""
        await practice.database.pool.execute("DELETE FROM async_request")
        who = [await practice.new_patient() for _ in range(2)]
        wanted = appointment("booked", slots=agenda.slots[:1], patient=who[0], start=agenda.start)
        assert (await callers.patient(who[0]).post("Appointment", wanted)).status_code == 201
        subject = unique("conseil")

        def counsellor(of: str, client: str = "guichet") -> Caller:
            said = {
                "creneau_role": "counsellor",
                "creneau_for": of,
                "creneau_mandate": "présence",
                "client_id": client,
            }
            return Caller(callers.client, callers.issuer.token("patient", subject, None, **said))

        batch: Resource = {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": "Appointment"}}],
        }
        asked: dict[str, str] = {"Prefer": "respond-async", "Idempotency-Key": unique("cle")}
        first = await counsellor(who[0]).post("", batch, **asked)
        assert first.status_code == 202, first.text
        runner = AsyncRunner(
            create_fhir(practice.settings, practice.database, practice.clock), AsyncSettings()
        )
        assert await runner.run_next()
        again = await counsellor(who[0]).post("", batch, **asked)
        assert again.headers["content-location"] == first.headers["content-location"]
        refused = await counsellor(who[1]).post("", batch, **asked)
        assert refused.status_code == 422, refused.text
        other = await counsellor(who[0], "autre").post("", batch, **asked)
        assert other.status_code == 202
        assert other.headers["content-location"] != first.headers["content-location"]

    async def test_a_key_answers_nobody_whose_right_has_ended(
        self, people: People, practice: Practice, agenda: Agenda
    ) -> None:
        """Who acted for somebody is told again what they had booked as long as they act for them."""
        person, of, carer, statement = await people.carer("book")
        wanted = appointment("booked", slots=agenda.slots[:1], patient=of, start=agenda.start)
        key = {"Idempotency-Key": unique("cle")}
        made = await carer.post("Appointment", wanted, **key)
        assert made.status_code == 201, made.text
        assert (await carer.post("Appointment", wanted, **key)).content == made.content
        assert (await person.delete(statement)).status_code == 204
        answer = await carer.post("Appointment", wanted, **key)
        assert answer.status_code == 404, answer.text


async def test_a_masked_offer_tells_not_where_it_is(callers: Callers, practice: Practice) -> None:
    """Of a sensitive unit booking is told whose it is and where, to know whose its agenda is: nobody is led to that, nor can
    ask for it."""
    unit, place, agenda = unique("unite"), f"Location/{unique('lieu')}", unique("agenda")
    security = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "MASKED"}]
    offer: Resource = {
        "resourceType": "HealthcareService",
        "id": unit,
        "meta": {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z", "security": security},
        "providedBy": ref(f"Organization/{unique('org')}"),
        "location": [ref(place)],
    }
    await hear(practice, offer)
    await practice.put(schedule(agenda, [f"HealthcareService/{unit}"]))
    for path in (
        f"Schedule?_id={agenda}&_include=Schedule:actor",
        f"Schedule?_id={agenda}&actor:HealthcareService.location={place}",
    ):
        answer = await callers.nobody().get(path)
        assert answer.status_code == 200, answer.text
        assert place not in answer.text.replace(f"location={place}", ""), path
    assert answer.json()["total"] == 0
    async with practice.database.connection() as connection, connection.transaction():
        named = [content async for content in published_named(connection, "HealthcareService")]
    assert unit not in str(named)
