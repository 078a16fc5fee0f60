"""What an agenda may ask of patients beside the rules of time: a referral, or that the practice knows them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, ref, schedule, unique
from services.booking.tests.openings import OWN
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import open_surgery

from creneau_booking.storage.agendas.access_extensions import KNOWN_PATIENTS_ONLY, REFERRAL_REQUIRED

ON_REFERRAL = [{"url": REFERRAL_REQUIRED, "valueBoolean": True}]
KNOWN_ONLY = [{"url": KNOWN_PATIENTS_ONLY, "valueBoolean": True}]


@pytest.mark.parametrize(
    "referral",
    [
        {"identifier": {"system": "urn:oid:1.2.250.1.213.4.2", "value": "ORD-1"}},
        {"reference": "ServiceRequest/ordonnance-1"},
    ],
)
async def test_69_a_referral_is_asked_for_and_kept(
    callers: Callers, practice: Practice, camille: str, referral: dict[str, object]
) -> None:
    """69: refused without, by its own code; with one it is booked, kept and found; the practice may go without."""
    agenda = await practice.open_agenda(extension=ON_REFERRAL)
    caller = callers.patient(camille)
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille)
    refused = await caller.post("Appointment/$book", wanted)
    assert (refused.status_code, code(refused)) == (422, "referral-required"), refused.text
    answer = await caller.post("Appointment/$book", {**wanted, "basedOn": [referral]})
    assert answer.status_code == 201, answer.text
    assert (await caller.get(f"Appointment/{answer.json()['id']}")).json()["basedOn"] == [referral]
    by_practice = appointment("proposed", slots=agenda.slots[1:2], patient=await practice.new_patient())
    assert (await callers.software().post("Appointment/$book", by_practice)).status_code == 201


async def test_64_an_agenda_for_whom_the_practice_knows(
    callers: Callers, practice: Practice, camille: str
) -> None:
    """64: whoever asks is not known by asking; whoever came to another agenda of the practice is, and whom it states."""
    ours = await open_surgery(practice)
    opened = schedule(ours.agenda, [ours.practitioner, ours.role], extension=KNOWN_ONLY)
    software, caller = callers.software(), callers.patient(camille)
    assert (await software.put(f"Schedule/{ours.agenda}", opened)).status_code == 200
    wanted = appointment("proposed", slots=ours.slots[:1], patient=camille)
    assert (
        await caller.post("Appointment", wanted)
    ).status_code == 201  # a request, which shows them to the practice
    refused = await caller.post("Appointment/$book", wanted)
    assert (refused.status_code, code(refused)) == (422, "not-open-to-new-patients"), refused.text
    before = practice.clock.now() - timedelta(days=30)
    came = appointment("fulfilled", patient=camille, actors=[ours.role], start=before)
    us = callers.staff(ours.organization, role="software")
    recorded = await us.post("Appointment", came)
    assert recorded.status_code == 201, recorded.text
    assert (await caller.post("Appointment/$book", wanted)).status_code == 201
    stated = await practice.put(
        {
            "resourceType": "Patient",
            "id": unique("patient"),
            "active": True,
            "generalPractitioner": [ref(ours.practitioner)],
        }
    )
    theirs = appointment("proposed", slots=ours.slots[1:2], patient=stated)
    assert (await callers.patient(stated).post("Appointment/$book", theirs)).status_code == 201


@pytest.mark.parametrize("said_by", ["slot", "agenda", "slot beyond its agenda"])
async def test_39_a_slot_for_known_patients_is_offered_to_them_alone(
    callers: Callers, practice: Practice, camille: str, said_by: str
) -> None:
    """39, 64: shown free equals can be booked: of whom the practice does not know, a slot that is not open to new patients
    is left out of every search, and refused by its own code. The slot's word goes before its agenda's."""
    closed = {"url": f"{OWN}slot-new-patients", "valueBoolean": False}
    opened = {"url": f"{OWN}slot-new-patients", "valueBoolean": True}
    ours = await open_surgery(practice)
    members: dict[str, Any] = {"extension": [] if said_by == "slot" else KNOWN_ONLY}
    agenda = await practice.open_agenda(0, practitioner=ours.practitioner, **members)
    own: dict[str, Any] = {"extension": [closed]} if said_by == "slot" else {}
    _, asked = await practice.fill(agenda.id, 1, **own)
    later = practice.clock.now().replace(hour=9, minute=0, second=0) + timedelta(days=8)
    word: dict[str, Any] = {"extension": [opened]} if said_by.startswith("slot b") else {}
    _, beside = await practice.fill(agenda.id, 1, later, **word)
    known = await practice.put(
        {
            "resourceType": "Patient",
            "id": unique("patient"),
            "active": True,
            "generalPractitioner": [ref(ours.practitioner)],
        }
    )
    everybody = [] if said_by == "agenda" else [*beside]
    for who, shown in ((camille, everybody), (known, [*asked, *beside])):
        caller = callers.patient(who)
        window = {"start": "2026-11-01", "end": "2026-12-20", "schedule": agenda.id}
        found = (await caller.get("Slot", schedule=agenda.id, status="free")).json()
        assert [
            e["resource"]["id"] for e in found.get("entry", ()) if e["search"]["mode"] == "match"
        ] == shown
        proposed = (await caller.get("Appointment/$find", **window)).json()
        slots = [
            e["resource"]["slot"][0]["reference"]
            for e in proposed.get("entry", ())
            if e["search"]["mode"] == "match"
        ]
        assert slots == [f"Slot/{id_}" for id_ in shown]
        soonest = (await caller.get("Slot/$soonest", schedule=agenda.id)).json()
        first = [e["resource"]["id"] for e in soonest.get("entry", ()) if e["search"]["mode"] == "match"]
        assert first == shown[:1]
    for new, shown in (("false", [*asked, *beside]), ("true", everybody)):
        query = {"schedule": agenda.id, "new-patient": new}
        soonest = (await callers.nobody().get("Slot/$soonest", **query)).json()
        first = [e["resource"]["id"] for e in soonest.get("entry", ()) if e["search"]["mode"] == "match"]
        assert first == shown[:1], new
    for operation in ("$hold", "$book"):
        wanted = appointment("proposed", slots=asked, patient=camille)
        refused = await callers.patient(camille).post(f"Appointment/{operation}", wanted)
        assert (refused.status_code, code(refused)) == (422, "not-open-to-new-patients"), refused.text
    theirs = appointment("proposed", slots=asked, patient=known)
    assert (await callers.patient(known).post("Appointment/$book", theirs)).status_code == 201
    if everybody:
        mine = appointment("proposed", slots=beside, patient=camille)
        assert (await callers.patient(camille).post("Appointment/$book", mine)).status_code == 201


async def test_64_it_waits_for_a_yes_or_a_no(callers: Callers, practice: Practice) -> None:
    """64: a rule that says neither is refused as it is written."""
    agenda: Agenda = await practice.open_agenda(1)
    unclear = schedule(
        agenda.id, [agenda.practitioner], extension=[{"url": REFERRAL_REQUIRED, "valueString": "oui"}]
    )
    answer = await callers.software().put(f"Schedule/{agenda.id}", unclear)
    assert answer.status_code == 422, answer.text
