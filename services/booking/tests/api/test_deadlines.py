"""A patient reads until when they may cancel and move; nobody else does, and nobody writes it."""

from __future__ import annotations

from datetime import timedelta

from services.booking.tests.api.test_access_rules import booked, deadline, ruled
from services.booking.tests.api.test_proxies import People, agenda, books, people  # noqa: F401
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import utc
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.storage.mapping.appointment import CANCELABLE_UNTIL, RESCHEDULABLE_UNTIL
from creneau_shared.fhir.storage.store import Resource

CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]


def until(resource: Resource) -> tuple[str | None, str | None]:
    said = {e["url"]: e.get("valueInstant") for e in resource.get("extension", ())}
    return said.get(CANCELABLE_UNTIL), said.get(RESCHEDULABLE_UNTIL)


async def found(caller: Caller, **query: str) -> list[Resource]:
    answer = await caller.get("Appointment", **query)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", ())]


async def test_it_says_until_when_and_keeps_its_word(callers: Callers, practice: Practice) -> None:
    """On read and on search, by the rule as it is now; the last second is granted, the next is refused; the practice and
    its software read what is stored."""
    strict, free = await ruled(callers, practice, deadline(24)), await ruled(callers, practice, days=8)
    who = await practice.new_patient()
    patient, software = callers.patient(who), callers.software()
    ids = [(await patient.post("Appointment", booked(one, who))).json()["id"] for one in (strict, free)]
    expected = {ids[0]: (utc(strict.start - timedelta(hours=24)),) * 2, ids[1]: (utc(free.start),) * 2}
    for id_ in ids:
        assert until((await patient.get(f"Appointment/{id_}")).json()) == expected[id_]
        assert until((await software.get(f"Appointment/{id_}")).json()) == (None, None)
    mine = await found(patient, _sort="date", date=f"ge{utc(practice.clock.now())}")
    assert {one["id"]: until(one) for one in mine} == expected
    assert [until(one) for one in await found(software, patient=who)] == [(None, None)] * 2
    ahead = strict.start - timedelta(hours=24) - practice.clock.now()
    practice.clock.advance(ahead + timedelta(seconds=1))
    refused = await patient.patch(f"Appointment/{ids[0]}", CANCELLED)
    practice.clock.advance(-timedelta(seconds=1))
    granted = await patient.patch(f"Appointment/{ids[0]}", CANCELLED)
    practice.clock.advance(-ahead)
    assert (refused.status_code, code(refused)) == (422, "change-too-late"), refused.text
    assert granted.status_code == 200, granted.text
    assert until((await patient.get(f"Appointment/{ids[0]}")).json()) == (None, None)


async def test_what_was_read_is_sent_back_and_never_kept(callers: Callers, practice: Practice) -> None:
    """A patient's PUT of what they read changes nothing, and what they say of it is not stored."""
    agenda = await ruled(callers, practice, deadline(24))  # noqa: F811 - another agenda
    who = await practice.new_patient()
    patient = callers.patient(who)
    id_ = (await patient.post("Appointment", booked(agenda, who))).json()["id"]
    read = (await patient.get(f"Appointment/{id_}")).json()
    told = until(read)
    assert None not in told
    spoken = {**read, "comment": "en fauteuil"}
    for said in spoken["extension"]:
        said["valueInstant"] = "2099-01-01T00:00:00Z"
    answer = await patient.put(f"Appointment/{id_}", spoken)
    assert (answer.status_code, answer.json()["comment"]) == (200, "en fauteuil"), answer.text
    stored = (await callers.software().get(f"Appointment/{id_}")).json()
    assert until(stored) == (None, None)
    assert "extension" not in stored
    assert until((await patient.get(f"Appointment/{id_}")).json()) == told


async def test_it_says_no_more_than_one_may(
    people: People,  # noqa: F811
    agenda: Agenda,  # noqa: F811
    callers: Callers,
) -> None:
    """Who only sees for somebody is told nothing, who may cancel when to cancel; by a link one cancels and moves."""
    for scope, parts in (("see", (False, False)), ("cancel", (True, False)), ("book", (True, True))):
        person, of, carer, _ = await people.carer(scope)
        stored = (await books(person, of, agenda)).json()
        path = f"Appointment/{stored['id']}"
        told = until((await carer.get(path)).json())
        assert (scope, tuple(one is not None for one in told)) == (scope, parts)
        assert None not in until((await person.get(path)).json())
        assert None not in until((await callers.by_link(stored["id"], of).get(path)).json())
        assert (await person.patch(path, CANCELLED)).status_code == 200
