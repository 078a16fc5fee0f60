"""Nothing that a call of an operation on appointments gives is dropped without a word: it is heard, or the call is refused."""

from __future__ import annotations

import pytest
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, patient, ref, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_shared.fhir.storage.store import Resource


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    return await practice.open_agenda(3)


def fatal(bundle: Resource) -> list[tuple[str, str]]:
    """The issues of IHE's refusal."""
    [entry] = bundle["entry"]
    return [(issue["severity"], issue["code"]) for issue in entry["resource"]["issue"]]


@pytest.mark.parametrize("operation", ["$book", "$hold"])
async def test_all_whom_a_practice_brings_are_registered_and_come(
    callers: Callers, agenda: Agenda, operation: str
) -> None:
    """IHE ITI-117 and Argonaut: patient-resource 0..*."""
    wanted = appointment("proposed", slots=agenda.slots[:1], start=agenda.start, actors=[agenda.practitioner])
    brought = [patient("Lou"), patient("Yann")]
    taken = await callers.software().post(
        f"Appointment/{operation}", parameters(appointment=wanted, patient_resource=brought)
    )
    assert taken.status_code == 201, taken.text
    come = [p["actor"]["reference"] for p in taken.json()["participant"]]
    come = [actor for actor in come if actor.startswith("Patient/")]
    names = [(await callers.software().get(who)).json()["name"][0]["given"] for who in come]
    assert names == [["Lou"], ["Yann"]]


@pytest.mark.parametrize("beside", ["stored", "proposal", "resources"])
@pytest.mark.parametrize("operation", ["$book", "$hold"])
async def test_a_stored_one_is_taken_by_itself(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, operation: str, beside: str
) -> None:
    first, second = [
        await practice.create(appointment("proposed", slots=[slot], patient=camille))
        for slot in agenda.slots[:2]
    ]
    proposal = f"Appointment/proposal.{agenda.slots[1]}"
    ids = [f"Appointment/{first.id}"]
    ids += {"stored": [f"Appointment/{second.id}"], "proposal": [proposal], "resources": []}[beside]
    sent = [appointment("proposed", slots=[slot], patient=camille) for slot in agenda.slots[1:]]
    more = {"appt_resource": sent} if beside == "resources" else {}
    refused = await callers.software().post(f"Appointment/{operation}", parameters(appt_id=ids, **more))
    assert refused.status_code == 400, refused.text
    assert await practice.slot_statuses(agenda.slots) == ["free"] * 3


@pytest.mark.parametrize(
    ("operation", "name"),
    [("$book", "cancelled-appt-id"), ("$confirm", "appointment"), ("$reschedule", "start")],
)
async def test_what_can_be_given_once_is_not_given_twice(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, operation: str, name: str
) -> None:
    """As the OperationDefinition says (max)."""
    booked = await practice.create(
        appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    )
    values = (
        [utc(agenda.at(index)) for index in (1, 2)] if name == "start" else [f"Appointment/{booked.id}"] * 2
    )
    wanted = appointment("proposed", slots=agenda.slots[1:2], patient=camille)
    more = {"appointment": wanted} if operation == "$book" else {}
    path = (
        f"Appointment/{booked.id}/{operation}" if operation == "$reschedule" else f"Appointment/{operation}"
    )
    refused = await callers.software().post(path, parameters(**{name: values}, **more))
    assert refused.status_code == 400, refused.text
    assert name in refused.json()["issue"][0]["expression"][0]
    assert await practice.slot_statuses(agenda.slots) == ["busy", "free", "free"]


@pytest.mark.parametrize("operation", ["$cancel", "$confirm", "$reschedule", "$wait"])
@pytest.mark.parametrize("beside", ["instance", "reference", "spelling", "resource"])
async def test_several_stored_ones_are_not_changed_by_the_first(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, operation: str, beside: str
) -> None:
    first, second = [
        await practice.create(appointment("booked", slots=[slot], patient=camille, start=agenda.at(index)))
        for index, slot in enumerate(agenda.slots[:2])
    ]
    path, ids = f"Appointment/{operation}", [f"Appointment/{one.id}" for one in (first, second)]
    call = {
        "instance": parameters(appointment=ref(ids[1])),
        "reference": parameters(appt_id=ids),
        "spelling": parameters(appt_id=ids[0], appointment_reference=ref(ids[1])),
        "resource": parameters(
            appt_id=ids[0],
            appointment_resource=appointment(
                "booked", id=second.id, slots=agenda.slots[1:2], patient=camille, start=agenda.at(1)
            ),
        ),
    }[beside]
    if beside == "instance":
        path = f"{ids[0]}/{operation}"
    refused = await callers.software().post(path, call)
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "not-supported"), refused.text
    assert await practice.slot_statuses(agenda.slots) == ["busy", "busy", "free"]


@pytest.mark.parametrize(
    "given",
    [
        {"reason": "pat", "cancelationReason": "prov"},
        {"comment": "Je suis malade.", "note": "Je suis guérie."},
    ],
)
async def test_a_reason_in_two_spellings_is_one_reason(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, given: dict[str, str]
) -> None:
    booked = await practice.create(
        appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    )
    path = f"Appointment/{booked.id}/$cancel"
    refused = await callers.software().post(path, parameters(**given))
    assert refused.status_code == 400, refused.text
    same = dict.fromkeys(given, next(iter(given.values())))
    assert (await callers.software().post(path, parameters(**same))).status_code == 200


async def test_no_more_times_than_wait_allows(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    booked = await practice.create(
        appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    )
    times = ["morning", "afternoon", "evening", "morning"]
    refused = await callers.software().post(f"Appointment/{booked.id}/$wait", parameters(times=times))
    assert refused.status_code == 400, refused.text
    assert "times" in refused.json()["issue"][0]["expression"][0]


@pytest.mark.parametrize("operation", ["$book", "$hold"])
@pytest.mark.parametrize("spelling", ["appointment_resource", "appointment_reference"])
async def test_whoever_asks_in_ihes_spelling_is_refused_in_it(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, operation: str, spelling: str
) -> None:
    """ITI-116 and ITI-117: what is taken, and what is offered no more, is fatal and not-found."""
    software = callers.software()
    taken = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    assert (await software.post("Appointment", taken)).status_code == 201
    other = await practice.new_patient()
    if spelling == "appointment_resource":
        wanted = appointment("proposed", slots=agenda.slots[:1], patient=other, start=agenda.start)
        calls = [parameters(appointment_resource=wanted)]
    else:
        proposals = [ref(f"Appointment/proposal.{slot}") for slot in (agenda.slots[0], "disparu")]
        calls = [parameters(appointment_reference=one, patient_id=other) for one in proposals]
    for call in calls:
        refused = await software.post(f"Appointment/{operation}", call)
        assert refused.status_code == 200, refused.text
        assert fatal(refused.json()) == [("fatal", "not-found")]


async def test_others_are_told_what_became_of_a_proposal(callers: Callers, camille: str) -> None:
    gone = parameters(appt_id="Appointment/proposal.disparu", patient_id=camille)
    refused = await callers.software().post("Appointment/$hold", gone)
    assert (refused.status_code, code(refused)) == (404, "")
