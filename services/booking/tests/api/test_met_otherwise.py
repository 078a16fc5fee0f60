"""A slot that is met otherwise than by a search for free ones is free to a consumer only if they could book it: by its id, led
to from its agenda, by a chain, in a history, in a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.api.test_access_rules import booked, ruled
from services.booking.tests.api.test_freshness import hours
from services.booking.tests.api.test_not_there import open_with_everyone, said
from services.booking.tests.api.test_referrals import KNOWN_ONLY
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.storage.test_agenda_rules import notice, window
from services.booking.tests.surgery import hear

Opened = Callable[[Callers, Practice, str], Awaitable[Agenda]]


@pytest.fixture
def clock(practice: Practice) -> Iterator[None]:
    """What the tests move of it is moved back."""
    before = practice.clock.instant
    yield
    practice.clock.instant = before


async def begun(callers: Callers, practice: Practice, patient: str) -> Agenda:
    return await practice.open_agenda(1, start=practice.clock.now() - timedelta(minutes=5))


async def within_the_notice(callers: Callers, practice: Practice, patient: str) -> Agenda:
    return await ruled(callers, practice, notice(24 * 8), count=1)


async def not_open_yet(callers: Callers, practice: Practice, patient: str) -> Agenda:
    return await ruled(callers, practice, window(3), count=1)


async def beyond_the_horizon(callers: Callers, practice: Practice, patient: str) -> Agenda:
    until = practice.clock.now() + timedelta(days=2)
    period = {"start": "2026-11-01", "end": until.strftime("%Y-%m-%d")}
    return await practice.open_agenda(1, planningHorizon=period)


async def not_up_to_date(callers: Callers, practice: Practice, patient: str) -> Agenda:
    agenda = await practice.open_agenda(1, extension=[hours(1)])
    practice.clock.advance(timedelta(hours=1, seconds=1))
    return agenda


async def gone(callers: Callers, practice: Practice, patient: str) -> Agenda:
    agenda, ids = await open_with_everyone(practice)
    await hear(practice, said("Practitioner", ids["Practitioner"], 2, active=False))
    return agenda


async def elsewhere(callers: Callers, practice: Practice, patient: str) -> Agenda:
    agenda, other = await practice.open_agenda(1), await practice.open_agenda(1)
    answer = await callers.patient(patient).post("Appointment", booked(other, patient))
    assert answer.status_code == 201, answer.text
    return agenda


async def for_known_patients(callers: Callers, practice: Practice, patient: str) -> Agenda:
    return await practice.open_agenda(1, extension=KNOWN_ONLY)


FOR_ALL = [begun, within_the_notice, not_open_yet, beyond_the_horizon, not_up_to_date, gone]
FOR_SOMEBODY = [elsewhere, for_known_patients]
CASES = [(why, who) for why in FOR_ALL for who in ("nobody", "patient")] + [
    (why, "patient") for why in FOR_SOMEBODY
]


async def statuses(caller: Caller, agenda: Agenda) -> dict[str, str | None]:
    """How each reader has the one slot of an agenda; None: not at all."""
    id_ = agenda.slots[0]
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": f"Slot/{id_}"}}],
    }

    def of(answer: Any) -> str | None:
        resources = (
            [answer] if answer["resourceType"] == "Slot" else [e["resource"] for e in answer.get("entry", ())]
        )
        found = [one["status"] for one in resources if one["resourceType"] == "Slot"]
        return found[0] if found else None

    paths = {
        "read": f"Slot/{id_}",
        "vread": f"Slot/{id_}/_history/1",
        "_history": f"Slot/{id_}/_history",
        "_id": f"Slot?_id={id_}",
        "_elements": f"Slot?_id={id_}&_elements=status",
        "_filter": f"Slot?_id={id_}&_filter=status eq free or status eq busy-unavailable",
        "_revinclude": f"Schedule?_id={agenda.id}&_revinclude=Slot:schedule",
        "iterated": f"Slot?_id={id_}&_include=Slot:schedule&_revinclude:iterate=Slot:schedule",
        "system": f"?_type=Slot&_id={id_}",
    }
    found = {}
    for name, path in paths.items():
        answer = await caller.get(path)
        assert answer.status_code == 200, (path, answer.text)
        found[name] = of(answer.json())
    found["batch"] = of((await caller.post("", batch)).json())
    return found


async def chained(caller: Caller, agenda: Agenda) -> dict[str, int]:
    """How many agendas are found by the status of their slots."""
    asked = {
        "free": "_has:Slot:schedule:status=free",
        "not free": "_has:Slot:schedule:status=busy-unavailable",
        "any other": "_has:Slot:schedule:status:not=free",
    }
    answers = {name: await caller.get(f"Schedule?_id={agenda.id}&{query}") for name, query in asked.items()}
    return {name: answer.json()["total"] for name, answer in answers.items()}


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("why", "who"), CASES, ids=lambda it: it if isinstance(it, str) else it.__name__)
async def test_it_is_not_free_to_whom_could_not_book_it(
    callers: Callers, practice: Practice, why: Opened, who: str
) -> None:
    patient = await practice.new_patient()
    agenda = await why(callers, practice, patient)
    caller = callers.nobody() if who == "nobody" else callers.patient(patient)
    found = await statuses(caller, agenda)
    assert found == dict.fromkeys(found, "busy-unavailable")
    assert await chained(caller, agenda) == {"free": 0, "not free": 1, "any other": 1}
    # Whoever may have to write it again reads what was written, and finds as free what is.
    as_written = await statuses(callers.software(), agenda)
    del as_written["_filter"]
    assert as_written == dict.fromkeys(as_written, "free")


async def test_what_can_be_booked_is_free_whoever_shows_it(
    callers: Callers, practice: Practice, camille: str
) -> None:
    agenda = await practice.open_agenda(1)
    for caller in (callers.nobody(), callers.patient(camille)):
        found = await statuses(caller, agenda)
        assert found == dict.fromkeys(found, "free")
        assert await chained(caller, agenda) == {"free": 1, "not free": 0, "any other": 0}


@pytest.mark.usefixtures("clock")
async def test_who_has_read_it_is_told_when_it_is_free_no_more(callers: Callers, practice: Practice) -> None:
    """Its version is the same, so that `If-None-Match` alone would keep it free for ever."""
    agenda = await practice.open_agenda(1)
    path, nobody = f"Slot/{agenda.slots[0]}", callers.nobody()
    read = await nobody.get(path)
    assert (read.status_code, read.json()["status"]) == (200, "free")
    practice.clock.instant = agenda.start + timedelta(seconds=1)
    again = await nobody.send("GET", path, None, {"If-None-Match": read.headers["etag"]})
    assert (again.status_code, again.json()["status"]) == (200, "busy-unavailable")


async def test_a_superseded_version_says_what_was(callers: Callers, practice: Practice, camille: str) -> None:
    """It offers nothing: the history of a slot tells how it came to be taken."""
    agenda = await practice.open_agenda(1)
    answer = await callers.patient(camille).post("Appointment", booked(agenda, camille))
    assert answer.status_code == 201
    history = (await callers.nobody().get(f"Slot/{agenda.slots[0]}/_history")).json()
    assert [entry["resource"]["status"] for entry in history["entry"]] == ["busy", "free"]


async def test_many_who_look_at_once_get_their_own_view(
    callers: Callers, practice: Practice, camille: str
) -> None:
    """Reads of a public type are gathered into one statement: what one may not book stays free to the other."""
    agenda, other = await practice.open_agenda(1), await practice.open_agenda(1)
    camilles = callers.patient(camille)
    assert (await camilles.post("Appointment", booked(other, camille))).status_code == 201
    path = f"Slot/{agenda.slots[0]}"
    looks = [camilles.get(path), callers.nobody().get(path), callers.software().get(path)] * 5
    answers = await asyncio.gather(*looks)
    assert [answer.json()["status"] for answer in answers] == ["busy-unavailable", "free", "free"] * 5
