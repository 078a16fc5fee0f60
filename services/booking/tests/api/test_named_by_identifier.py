"""Item 42 of the scheduling digest: whoever and whatever an operation is about may be named by an identifier alone, in every
parameter that takes a reference, as far as the caller sees them; what stands on another server is nobody's here."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from services.booking.tests.api.test_cancel import said
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import BASE, appointment, parameters, ref, unique, utc
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import open_surgery

from creneau_booking.storage.mapping.appointment import REPLACED_BY, REPLACES
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.national_numbers import NATIONAL_PERSON

ELSEWHERE = "https://other.example/fhir"
SPELLINGS = ("reference", "identifier", "token")


def spelled(way: str, own: Resource) -> Resource:
    """The value of a parameter that names somebody or something by an identifier."""
    values: dict[str, Resource] = {
        "reference": {"valueReference": {"identifier": own}},
        "identifier": {"valueIdentifier": own},
        "token": {"valueString": f"{own['system']}|{own['value']}"},
    }
    return values[way]


def calling(*parts: tuple[str, Resource]) -> Resource:
    return {"resourceType": "Parameters", "parameter": [{"name": name, **value} for name, value in parts]}


def number(prefix: str = "rdv") -> Resource:
    return {"system": "urn:cabinet", "value": unique(prefix)}


async def booked(callers: Callers, agenda: Agenda, who: str, own: Resource) -> Resource:
    wanted = appointment("booked", slots=agenda.slots[:1], patient=who, start=agenda.start)
    answer = await callers.software().post("Appointment", {**wanted, "identifier": [own]})
    assert answer.status_code == 201, answer.text
    found: Resource = answer.json()
    return found


async def known(practice: Practice) -> tuple[str, Resource]:
    """A Patient (reference), and the identifier that they bear."""
    own = number("ipp")
    return await practice.new_patient(identifier=[own]), own


def patients(resource: Resource) -> set[str]:
    actors = (p["actor"].get("reference", "") for p in resource["participant"])
    return {a for a in actors if a.startswith("Patient/")}


@pytest.mark.parametrize("way", SPELLINGS)
async def test_77_what_is_replaced_may_be_named_by_its_identifier(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    own = number()
    old = await booked(callers, agenda, camille, own)
    wanted = appointment("booked", slots=agenda.slots[1:2], patient=camille, start=agenda.at(1))
    answer = await callers.patient(camille).post(
        "Appointment/$book",
        calling(("appt-resource", {"resource": wanted}), ("cancelled-appt-id", spelled(way, own))),
    )
    assert answer.status_code == 201, answer.text
    new = answer.json()
    before = (await callers.patient(camille).get(f"Appointment/{old['id']}")).json()
    assert (before["status"], said(before)[REPLACED_BY]) == ("cancelled", ref(f"Appointment/{new['id']}"))
    assert said(new)[REPLACES] == ref(f"Appointment/{old['id']}")
    assert await practice.slot_statuses(agenda.slots[:2]) == ["free", "busy"]


async def test_77_what_names_no_appointment_is_refused_and_nothing_is_booked(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """Nobody's identifier, one of somebody else's appointment, and an empty reference: in silence both would stay booked."""
    theirs = number()
    other = await practice.open_agenda()
    await booked(callers, other, await practice.new_patient(), theirs)
    wanted = appointment("booked", slots=agenda.slots[1:2], patient=camille, start=agenda.at(1))
    for value in (spelled("reference", number()), spelled("token", theirs)):
        answer = await callers.patient(camille).post(
            "Appointment/$book",
            calling(("appt-resource", {"resource": wanted}), ("cancelled-appt-id", value)),
        )
        assert answer.status_code == 404, answer.text
    unsaid = {"valueReference": {"display": "celui de lundi"}}
    answer = await callers.patient(camille).post(
        "Appointment/$book", calling(("appt-resource", {"resource": wanted}), ("cancelled-appt-id", unsaid))
    )
    assert answer.status_code == 400, answer.text
    assert await practice.slot_statuses(agenda.slots[:2]) == ["free", "free"]
    assert await practice.slot_statuses(other.slots[:1]) == ["busy"]


@pytest.mark.parametrize("way", SPELLINGS)
@pytest.mark.parametrize("name", ["appointment-reference", "appt-id"])
@pytest.mark.parametrize("operation", ["hold", "book"])
async def test_42_a_request_is_held_and_booked_by_its_identifier(
    callers: Callers, agenda: Agenda, camille: str, operation: str, name: str, way: str
) -> None:
    own, caller = number(), callers.patient(camille)
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    request = (await callers.software().post("Appointment", {**wanted, "identifier": [own]})).json()
    answer = await caller.post(f"Appointment/${operation}", calling((name, spelled(way, own))))
    assert answer.status_code == 200, answer.text
    one = answer.json()["entry"][0]["resource"]
    assert (one["id"], one["status"]) == (request["id"], {"hold": "pending", "book": "booked"}[operation])


@pytest.mark.parametrize("way", SPELLINGS)
@pytest.mark.parametrize("name", ["patient-id", "patient-reference"])
@pytest.mark.parametrize("operation", ["hold", "book"])
async def test_42_for_whom_may_be_said_by_an_identifier(
    callers: Callers, practice: Practice, agenda: Agenda, operation: str, name: str, way: str
) -> None:
    who, own = await known(practice)
    proposal = {"valueReference": ref(f"Appointment/proposal.{agenda.slots[0]}")}
    answer = await callers.patient(who).post(
        f"Appointment/${operation}", calling(("appointment-reference", proposal), (name, spelled(way, own)))
    )
    assert answer.status_code == 200, answer.text
    assert patients(answer.json()["entry"][0]["resource"]) == {who}


async def test_42_a_patient_whom_nobody_here_is_or_whom_the_caller_does_not_see_is_told(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """Whether somebody else's identifier is known here is not to be learnt."""
    _, somebodys = await known(practice)
    proposal = {"valueReference": ref(f"Appointment/proposal.{agenda.slots[0]}")}
    for own in (number(), somebodys):
        answer = await callers.patient(camille).post(
            "Appointment/$book",
            calling(("appointment-reference", proposal), ("patient-reference", spelled("reference", own))),
        )
        assert (answer.status_code, code(answer)) == (422, "unknown-patient"), answer.text
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]


async def test_of_two_under_one_number_the_one_that_bears_it_as_given_is_meant(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """In an operation, and in an Appointment that is written; by a third spelling neither is."""
    value = f"{uuid4().int % 10**11:011d}"
    borne = [
        {"system": "https://rpps.esante.gouv.fr", "value": value},
        {"system": NATIONAL_PERSON, "value": f"8{value}"},
    ]
    people = [await practice.new_patient(identifier=[own]) for own in borne]

    async def book(place: int, own: Resource) -> httpx.Response:
        proposal = {"valueReference": ref(f"Appointment/proposal.{agenda.slots[place]}")}
        named = ("patient-reference", spelled("reference", own))
        return await callers.software().post(
            "Appointment/$book", calling(("appointment-reference", proposal), named)
        )

    async def request(own: Resource) -> Resource:
        wanted = appointment("proposed", slots=agenda.slots[2:3], start=agenda.at(2))
        actor = {"actor": {"type": "Patient", "identifier": own}, "status": "accepted"}
        others = wanted.get("participant", [])
        answer = await callers.software().post("Appointment", {**wanted, "participant": [actor, *others]})
        said: Resource = answer.json()
        return said

    for place, (who, own) in enumerate(zip(people, borne, strict=True)):
        assert patients(await request(own)) == {who}
        answer = await book(place, own)
        assert answer.status_code == 200, answer.text
        assert patients(answer.json()["entry"][0]["resource"]) == {who}
    third = {"system": "http://rpps.fr", "value": value}
    assert (await book(2, third)).status_code == 400
    assert (await request(third))["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("way", SPELLINGS)
async def test_42_the_other_visits_of_whom_an_identifier_names_are_looked_at(
    callers: Callers, practice: Practice, way: str
) -> None:
    """As for whom a reference names: what `$book` would refuse is not proposed to their practice."""
    surgery, elsewhere = await open_surgery(practice), await practice.open_agenda()
    who, own = await known(practice)
    staff = callers.staff(surgery.organization)
    seen = appointment(
        "booked", slots=surgery.slots[2:3], patient=who, start=surgery.start + 2 * timedelta(minutes=20)
    )
    assert (await callers.software().post("Appointment", seen)).status_code == 201
    assert elsewhere.start == surgery.start
    await booked(callers, elsewhere, who, number())

    async def proposed(caller: Caller, value: Resource) -> set[str]:
        window = parameters(start=utc(surgery.start), end=utc(surgery.start + timedelta(hours=2)))
        schedule = {"name": "schedule", "valueReference": ref(f"Schedule/{surgery.agenda}")}
        named = {"name": "patient-reference", **value}
        answer = await caller.post(
            "Appointment/$find", {**window, "parameter": [*window["parameter"], schedule, named]}
        )
        assert answer.status_code == 200, answer.text
        found = [e["resource"] for e in answer.json().get("entry", ()) if e["search"]["mode"] == "match"]
        assert own["value"] not in answer.json()["link"][0]["url"]
        return {one["slot"][0]["reference"].removeprefix("Slot/") for one in found}

    by_reference = await proposed(staff, {"valueReference": ref(who)})
    assert by_reference == {surgery.slots[1]}
    assert await proposed(staff, spelled(way, own)) == by_reference


async def test_what_stands_on_another_server_is_nothing_of_ours(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """An absolute reference of another base ends with an id that may be in use here: it does not mean it."""
    one = await booked(callers, agenda, camille, number())
    software = callers.software()
    slot, diary = f"{ELSEWHERE}/Slot/{agenda.slots[1]}", f"{ELSEWHERE}/Schedule/{agenda.id}"
    start, end = utc(agenda.at(1)), utc(agenda.at(2))
    timed = {"start": start, "end": end}
    wanted = {**appointment("booked", patient=camille), **timed}
    moved = {**one, "slot": [ref(slot)], **timed}
    calls: dict[str, Resource] = {
        f"Appointment/{one['id']}/$reschedule": parameters(slot=ref(slot)),
        "Appointment/$cancel": parameters(appointment=ref(f"{ELSEWHERE}/Appointment/{one['id']}")),
        "Appointment/$confirm": parameters(appointment=ref(f"{ELSEWHERE}/Appointment/{one['id']}")),
        "Appointment/$book": parameters(appt_resource=wanted, schedule=ref(diary)),
        "Appointment/$hold": parameters(
            appointment_reference=ref(f"{ELSEWHERE}/Appointment/proposal.{agenda.slots[1]}")
        ),
        "Appointment/$find": parameters(**timed, schedule=ref(diary)),
        "Slot/$soonest": parameters(schedule=ref(diary)),
        "Schedule/$close": parameters(**timed, schedule=ref(diary)),
        "Schedule/$preview-slots": parameters(schedule=ref(diary)),
    }
    for path, body in calls.items():
        answer = await software.post(path, body)
        assert (answer.status_code, code(answer)) == (422, "foreign-reference"), (path, answer.text)
    # In an Appointment, a slot is named as in one that is created.
    for path in ("Appointment/$reschedule", "Appointment/$book"):
        answer = await software.post(path, parameters(appointment=moved))
        assert (answer.status_code, code(answer)) == (422, "unknown-slot"), (path, answer.text)
    assert await practice.slot_statuses(agenda.slots[:2]) == ["busy", "free"]


async def test_our_own_base_may_be_written_out(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    one = await booked(callers, agenda, camille, number())
    answer = await callers.patient(camille).post(
        "Appointment/$reschedule",
        parameters(
            appointment=ref(f"{BASE}/Appointment/{one['id']}"), slot=ref(f"{BASE}/Slot/{agenda.slots[1]}")
        ),
    )
    assert answer.status_code == 200, answer.text
    assert await practice.slot_statuses(agenda.slots[:2]) == ["free", "busy"]


async def test_an_agenda_is_not_of_whoever_stands_on_another_server(
    callers: Callers, practice: Practice
) -> None:
    """A practice keeps no agenda of somebody elsewhere whose id one of its own people bears; written out, ours are ours."""
    surgery = await open_surgery(practice)
    staff = callers.staff(surgery.organization, role="practitioner")
    answers = [
        await staff.post("Schedule", {"resourceType": "Schedule", "actor": [ref(f"{base}/{surgery.role}")]})
        for base in (ELSEWHERE, BASE)
    ]
    assert [a.status_code for a in answers] == [422, 201], [a.text for a in answers]
    assert code(answers[0]) == "unknown-actor"
