"""`$cancel`: who, when, why, with which words; and what it leaves."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from services.booking.tests.api.test_access_rules import deadline
from services.booking.tests.api.test_answers import booked, read
from services.booking.tests.api.test_confirmation import CONFIRMS, asked, told
from services.booking.tests.api.test_deadlines import until as deadlines
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, ref, unique, utc
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.telling import in_words

from creneau_booking.domain.appointment import CANCELLATION_REASONS
from creneau_booking.storage.mapping.appointment import (
    CANCELLATION_DATE,
    CANCELLED_BY,
    NOTE,
    REPLACED_BY,
    REPLACES,
)
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.storage.store import Resource

FEELS_BETTER = {"coding": [{"system": CANCELLATION_REASONS, "code": "pat-fb"}]}


def said(resource: Resource) -> Resource:
    """What extensions say, by url."""
    values = {}
    for extension in resource.get("extension", ()):
        values[extension["url"]] = next((v for name, v in extension.items() if name != "url"), None)
    return values


def cancelling(name: str = "reason", **more: object) -> Resource:
    body = parameters(**more)
    body.setdefault("parameter", []).append({"name": name, "valueCodeableConcept": FEELS_BETTER})
    return body


async def test_a_misspelt_name_is_not_passed_over(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """What changes something understands all that it is told, or does nothing; the nearest name is told."""
    stored = await practice.create(
        appointment("booked", slots=agenda.slots[:1], patient=await practice.new_patient())
    )
    path, software = f"Appointment/{stored.id}", callers.software("en")
    refused = await software.post(f"{path}/$cancel", cancelling("raeson"))
    assert (refused.status_code, code(refused)) == (400, "unknown-parameter")
    assert "“reason”" in refused.json()["issue"][0]["details"]["text"]
    assert (await software.post(f"{path}/$cancel?dryrun=true", cancelling())).status_code == 400
    assert (await software.get(path)).json()["status"] == "booked"


@pytest.mark.parametrize("way", ["instance", "type", "identifier"])
async def test_75_a_patient_cancels_with_a_reason_and_a_word(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    """75: why, who, when and what they say are kept, the slot is free, its reference stays, one event tells; again it is
    answered as it is."""
    caller, own = callers.patient(camille), {"system": "urn:cabinet", "value": unique("rdv")}
    wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    stored = (await callers.software().post("Appointment", {**wanted, "identifier": [own]})).json()
    path = f"Appointment/{stored['id']}"
    body = cancelling(comment="Merci, je vais mieux")
    if way == "type":
        body["parameter"].append({"name": "appointment", "valueReference": ref(path)})
    elif way == "identifier":
        body["parameter"].append({"name": "appointment", "valueReference": {"identifier": own}})
    address = f"{path}/$cancel" if way == "instance" else "Appointment/$cancel"
    answer = await caller.post(address, body)
    assert answer.status_code == 200, answer.text
    gone = answer.json()
    assert (gone["status"], gone["cancelationReason"], gone["slot"]) == (
        "cancelled",
        FEELS_BETTER,
        [ref(f"Slot/{agenda.slots[0]}")],
    )
    kept = said(gone)
    assert (kept[CANCELLED_BY], kept[CANCELLATION_DATE]) == ("patient", utc(practice.clock.now()))
    assert kept[NOTE]["text"] == "Merci, je vais mieux"
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
    assert await practice.occupied(agenda.practitioner) == []
    again = await caller.post(address, body)
    assert (again.status_code, again.json()["meta"]) == (200, gone["meta"])
    [_, (kind, data)] = await told(practice, stored["id"])
    assert (kind, data["cancellation"]) == ("cancelled", {"reason": "pat-fb", "by": "patient"})
    listed = await caller.get("Appointment", patient=camille)
    assert [e["resource"]["status"] for e in listed.json()["entry"]] == ["cancelled"]


async def test_75_a_patients_words_are_no_reason_of_the_practices(
    callers: Callers, agenda: Agenda, camille: str
) -> None:
    """75: words go to the other side as words; a reason that is the practice's is refused."""
    caller = callers.patient(camille)
    path = await booked(caller, agenda, camille)
    practices = {
        "name": "reason",
        "valueCodeableConcept": {"coding": [{"system": CANCELLATION_REASONS, "code": "prov"}]},
    }
    refused = await caller.post(f"{path}/$cancel", {"resourceType": "Parameters", "parameter": [practices]})
    assert (refused.status_code, code(refused)) == (403, "element-not-yours"), refused.text
    words = {"name": "cancelation-reason", "valueCodeableConcept": {"text": "grève des trains"}}
    answer = await caller.post(f"{path}/$cancel", {"resourceType": "Parameters", "parameter": [words]})
    assert answer.status_code == 200, answer.text
    assert "cancelationReason" not in answer.json()
    assert said(answer.json())[NOTE]["text"] == "grève des trains"


async def test_76_a_deadline_binds_the_patient_and_not_the_practice(
    callers: Callers, practice: Practice, camille: str
) -> None:
    """76: too late is told as such, with until when; the practice cancels, and it is said that it did."""
    strict = await practice.open_agenda(extension=[deadline(24 * 6)])
    caller = callers.patient(camille)
    path = await booked(caller, strict, camille)
    practice.clock.advance(timedelta(days=2))
    try:
        late = await caller.post(f"{path}/$cancel", parameters())
        assert (late.status_code, code(late)) == (422, "change-too-late"), late.text
        answer = await callers.software().post(f"{path}/$cancel", parameters(note="Le médecin est souffrant"))
    finally:
        practice.clock.advance(-timedelta(days=2))
    assert answer.status_code == 200, answer.text
    assert said(answer.json())[CANCELLED_BY] == "provider"
    assert said(await read(caller, path))[NOTE]["text"] == "Le médecin est souffrant"


async def test_76_what_waits_for_the_practice_may_be_withdrawn(
    callers: Callers, practice: Practice, camille: str
) -> None:
    """76: until it begins it is cancelable, until the deadline it may be moved, and a patient's deadline binds neither."""
    strict = await practice.open_agenda(extension=[*CONFIRMS, deadline(24 * 30)])
    caller = callers.patient(camille)
    one = await asked(caller, strict, camille)
    last = practice.clock.now() + timedelta(seconds=practice.settings.confirmation_deadline_s)
    path = f"Appointment/{one['id']}"
    assert deadlines(await read(caller, path)) == (utc(strict.start), utc(last))
    assert (await caller.post(f"{path}/$cancel", parameters())).status_code == 200
    assert await practice.slot_statuses(strict.slots[:1]) == ["free"]
    assert deadlines(await read(caller, path)) == (None, None)


async def test_52_a_hold_is_let_go(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """52: by `$cancel`, by a PATCH and by `$book` of the cancelled resource."""
    caller = callers.patient(camille)
    for way in ("$cancel", "patch", "$book"):
        wanted = parameters(appointment=appointment("proposed", slots=agenda.slots[:1], patient=camille))
        held = (await caller.post("Appointment/$hold", wanted)).json()
        path = f"Appointment/{held['id']}"
        if way == "$cancel":
            answer = await caller.post(f"{path}/$cancel", parameters())
        elif way == "patch":
            answer = await caller.patch(path, [{"op": "replace", "path": "/status", "value": "cancelled"}])
        else:
            gone = {**held, "status": "cancelled"}
            answer = await caller.post("Appointment/$book", parameters(appointment_resource=gone))
        assert answer.status_code == 200, answer.text
        assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
        assert await practice.kinds(held["id"]) == ["held", "cancelled"]


@pytest.mark.parametrize("way", ["another's", "unknown", "nothing", "past", "fulfilled"])
async def test_75_what_is_not_cancelled(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    """75, 76: what is not one's own is not there; what has begun or is over stays."""
    caller, stranger = callers.patient(camille), callers.patient(await practice.new_patient(given="Yann"))
    path = await booked(caller, agenda, camille)
    match way:
        case "another's":
            answer, expected = await stranger.post(f"{path}/$cancel", parameters()), (404, "")
        case "unknown":
            body = parameters(appointment={"identifier": {"system": "urn:x", "value": unique("y")}})
            answer, expected = await caller.post("Appointment/$cancel", body), (404, "")
        case "nothing":
            answer, expected = await caller.post("Appointment/$cancel", parameters()), (400, "")
        case "past":
            practice.clock.advance(timedelta(days=8))
            answer, expected = await caller.post(f"{path}/$cancel", parameters()), (422, "already-started")
            practice.clock.advance(-timedelta(days=8))
        case _:
            software = callers.software()
            over = [{"op": "replace", "path": "/status", "value": "fulfilled"}]
            assert (await software.patch(path, over)).status_code == 200
            answer, expected = (
                await software.post(f"{path}/$cancel", parameters()),
                (422, "illegal-transition"),
            )
    assert (answer.status_code, code(answer)) == expected, answer.text


async def test_77_each_names_the_other(callers: Callers, agenda: Agenda, camille: str) -> None:
    """77: the new one says what it replaces, the old one by what it was replaced; sent back it is not amended."""
    caller = callers.patient(camille)
    old = await booked(caller, agenda, camille)
    wanted = appointment("proposed", slots=agenda.slots[1:2], patient=camille)
    answer = await caller.post(
        "Appointment/$book", parameters(appt_resource=wanted, cancelled_appt_id=old.partition("/")[2])
    )
    assert answer.status_code == 201, answer.text
    new = answer.json()
    assert said(new)[REPLACES] == ref(old)
    gone = await read(caller, old)
    assert (gone["status"], said(gone)[REPLACED_BY]) == ("cancelled", ref(f"Appointment/{new['id']}"))
    bare = {name: value for name, value in gone.items() if name != "extension"}
    again = await callers.software().put(old, bare)
    assert (again.status_code, said(again.json()).get(REPLACED_BY)) == (200, ref(f"Appointment/{new['id']}"))


async def test_75_cancel_against_book(fresh: Practice) -> None:
    """75, 58: 64 at once, one cancels what the others want: nobody has it twice, and what is told says who has it."""
    agenda = await fresh.open_agenda(4)
    before = [await fresh.create(appointment("booked", slots=[slot])) for slot in agenda.slots]

    async def cancel(id_: str) -> str:
        await fresh.change(id_, status="cancelled")
        return "cancelled"

    async def book(slot: str) -> str:
        try:
            with in_words():
                await fresh.create(appointment("booked", slots=[slot]))
        except CreneauError as refused:
            return refused.issues[0].details_code or "?"
        return "booked"

    attempts = []
    for stored, slot in zip(before, agenda.slots, strict=True):
        attempts += [*(book(slot) for _ in range(7)), cancel(stored.id), *(book(slot) for _ in range(8))]
    said_ = await asyncio.gather(*attempts)
    assert set(said_) <= {"booked", "cancelled", "slot-taken"}
    taken = [s for s in await fresh.slot_statuses(agenda.slots) if s == "busy"]
    assert len(taken) == said_.count("booked") == len(await fresh.occupied(agenda.practitioner))
    for stored in before:
        assert await fresh.kinds(stored.id) == ["booked", "cancelled"]


async def test_75_by_the_link_of_a_message_and_by_whoever_may_only_cancel(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """75: a link cancels its one appointment, with a reason and a word, and answers no other."""
    path = await booked(callers.patient(camille), agenda, camille)
    other = await booked(callers.patient(camille), agenda, camille, 1)
    link = callers.by_link(path.partition("/")[2], camille)
    refused = await link.post(f"{other}/$cancel", parameters())
    assert refused.status_code == 404, refused.text
    answer = await link.post(f"{path}/$cancel", cancelling(comment="Je ne pourrai pas venir"))
    assert answer.status_code == 200, answer.text
    kept = said(answer.json())
    assert (answer.json()["status"], kept[CANCELLED_BY], kept[NOTE]["text"]) == (
        "cancelled",
        "patient",
        "Je ne pourrai pas venir",
    )
