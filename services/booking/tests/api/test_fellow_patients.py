"""An appointment of several patients: each of them reads that another comes, and nowhere who it is; what they send back as
they read it changes nothing of the other."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, ref
from services.booking.tests.practice import Practice

from creneau_shared.fhir.storage.store import Resource

NAMES = ("Camille", "Dominique")


@dataclass
class Couple:
    """Two people with one visit, each named in it with their name; and how the first of them calls."""

    first: str
    second: str
    visit: str
    practitioner: str
    own: Caller
    other: Caller
    software: Caller

    async def stored(self) -> Resource:
        content: Resource = (await self.software.get(self.visit)).json()
        return content


@pytest.fixture
async def couple(callers: Callers, practice: Practice) -> Couple:
    agenda = await practice.open_agenda()
    first, second = [
        await practice.new_patient(name=[{"family": "Exemple", "given": [name]}]) for name in NAMES
    ]
    software = callers.software()
    people = [
        {
            "actor": {
                **ref(who),
                "display": f"{name} Exemple",
                "identifier": {"system": "urn:x", "value": number},
            },
            "status": "accepted",
        }
        for who, name, number in zip((second, first), reversed(NAMES), ("second", "first"), strict=True)
    ]
    asked = appointment("booked", slots=agenda.slots[:1], start=agenda.start)
    asked |= {
        "participant": [
            *people,
            {"actor": {"display": "Interprète"}, "status": "accepted"},
            {"actor": ref(agenda.practitioner), "status": "accepted"},
        ],
        "comment": f"{NAMES[1]} a mal",
        "description": "Couple",
        "patientInstruction": "À jeun.",
        "reasonCode": [{"text": f"fatigue de {NAMES[1]}"}],
        "identifier": [{"system": "urn:rdv", "value": f"{second}-1"}],
        "supportingInformation": [{"display": NAMES[1]}],
        "extension": [{"url": "https://logiciel.exemple.fr/note", "valueString": NAMES[1]}],
        "text": {
            "status": "additional",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{" et ".join(NAMES)}</div>',
        },
    }
    made = await software.post("Appointment", asked)
    assert made.status_code == 201, made.text
    visit = f"Appointment/{made.json()['id']}"
    return Couple(
        first, second, visit, agenda.practitioner, callers.patient(first), callers.patient(second), software
    )


def names_the_other(answer: httpx.Response, couple: Couple) -> bool:
    return NAMES[1] in answer.text or couple.second.removeprefix("Patient/") in answer.text


def matches(answer: httpx.Response) -> list[Resource]:
    entries = answer.json().get("entry", ())
    return [entry["resource"] for entry in entries if entry["search"]["mode"] == "match"]


@pytest.mark.parametrize(
    "path",
    [
        "{visit}",
        "{visit}/_history",
        "{visit}/_history/1",
        "Appointment?_id={id}",
        "Appointment?patient={first}&_include=Appointment:patient",
        "Appointment/_history",
        "{first}/$everything",
        "{first}/$archive",
    ],
)
async def test_nobody_reads_who_else_comes(couple: Couple, path: str) -> None:
    id_ = couple.visit.removeprefix("Appointment/")
    answer = await couple.own.get(path.format(visit=couple.visit, id=id_, first=couple.first))
    assert answer.status_code == 200, answer.text
    assert id_ in answer.text
    assert not names_the_other(answer, couple), answer.text


@pytest.mark.parametrize(
    "path",
    [
        "Appointment?patient={second}",
        "Appointment?patient=Patient/nobody,{second}",
        "Appointment?actor={second}",
        "Appointment?actor={second_id}",
        "{first}/Appointment?actor={second}",
        "{second}/Appointment",
        "Appointment?actor={second}/_history/1",
        "Appointment?_filter=actor eq {second}",
        "Appointment?_id={id}&_filter=not (status eq cancelled) and patient eq {second}",
        "Appointment?patient.given=Dominique",
        "Appointment?actor:Patient._id={second_id}",
        "Appointment?patient._has:Appointment:patient:patient={second}",
        "Slot?_has:Appointment:slot:patient={second}",
        "Patient?_id={first_id}&_has:Appointment:patient:actor={second}",
        "Appointment?_content=Dominique",
        "Appointment?_text=Dominique",
        "{first}/Appointment?_content=Dominique",
        "Slot?_has:Appointment:slot:_content=Dominique",
        "Appointment?actor:identifier=urn:x|second",
        "Appointment?identifier=urn:rdv|{second}-1",
        "Appointment?description=Couple",
        "Appointment?_filter=description co a",
        "Slot?_has:Appointment:slot:description=Couple",
        "Appointment?patient:identifier=urn:x|second",
    ],
)
async def test_nobody_finds_by_a_guess_who_else_comes(couple: Couple, path: str) -> None:
    guess = path.format(
        first=couple.first,
        first_id=couple.first.removeprefix("Patient/"),
        second=couple.second,
        second_id=couple.second.removeprefix("Patient/"),
        id=couple.visit.removeprefix("Appointment/"),
    )
    answer = await couple.own.get(guess)
    assert answer.status_code == 200, answer.text
    assert matches(answer) == []
    if "_history" not in guess:
        assert matches(await couple.software.get(guess)) != []


@pytest.mark.parametrize("key", ["patient", "-patient", "actor", "-actor", "description", "-identifier"])
async def test_whom_one_does_not_see_gives_no_order(couple: Couple, key: str) -> None:
    """The shared visit would come before or after one's own as the other's id does: neither the order nor the page says."""
    answer = await couple.own.get("Appointment", _sort=f"{key},date")
    assert answer.status_code == 200, answer.text
    (said,) = [entry["resource"] for entry in answer.json()["entry"] if entry["search"]["mode"] == "outcome"]
    assert f"{key.removeprefix('-')} ne trie pas pour vous" in said["issue"][0]["details"]["text"]
    own = next(link["url"] for link in answer.json()["link"] if link["relation"] == "self")
    assert own.endswith("_sort=date")
    whole = await couple.software.get("Appointment", _sort=key)
    assert whole.json()["link"][0]["url"].endswith(f"_sort={key}")


async def test_words_find_the_visits_of_oneself_alone(couple: Couple, practice: Practice) -> None:
    """Nothing of them is anybody else's."""
    agenda = await practice.open_agenda()
    asked = appointment("booked", slots=agenda.slots[:1], start=agenda.start, comment="Genou gauche")
    asked["participant"] = [{"actor": ref(couple.first), "status": "accepted"}]
    gone = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    assert (await couple.software.patch(couple.visit, gone)).status_code == 200
    made = await couple.software.post("Appointment", asked)
    assert made.status_code == 201, made.text
    found = await couple.own.get("Appointment?_content=genou")
    assert [one["id"] for one in matches(found)] == [made.json()["id"]]


async def test_people_still_find_their_visits_by_themselves_and_by_whom_they_see(couple: Couple) -> None:
    for asked in (
        f"patient={couple.first}",
        f"actor={couple.second},{couple.first}",
        f"actor={couple.practitioner}",
        "patient:missing=false",
        f"_filter=not (patient eq {couple.second})",
    ):
        found = matches(await couple.own.get(f"Appointment?{asked}"))
        assert [entry["id"] for entry in found] == [couple.visit.removeprefix("Appointment/")], asked


async def test_that_another_comes_is_said_in_their_place(couple: Couple) -> None:
    read = (await couple.own.get(couple.visit)).json()
    somebody, own, interpreter, _ = read["participant"]
    assert somebody == {"actor": {"type": "Patient", "display": "Autre patient"}, "status": "accepted"}
    assert own["actor"]["reference"] == couple.first
    assert interpreter["actor"] == {"display": "Interprète"}
    assert [label["code"] for label in read["meta"]["security"]] == ["REDACTED"]
    stored = await couple.stored()
    assert NAMES[1] in str(stored["participant"])
    assert "security" not in stored["meta"]


async def test_the_answer_to_ones_own_answer_tells_no_more(couple: Couple) -> None:
    answers = [{"op": "replace", "path": "/participant/1/status", "value": "tentative"}]
    patched = await couple.own.patch(couple.visit, answers)
    assert patched.status_code == 200, patched.text
    assert not names_the_other(patched, couple), patched.text
    stored = await couple.stored()
    assert [p["status"] for p in stored["participant"]] == ["accepted", "tentative", "accepted", "accepted"]
    assert stored["participant"][0]["actor"]["reference"] == couple.second


async def test_what_is_sent_back_as_it_was_read_leaves_everybody_where_they_were(couple: Couple) -> None:
    before = await couple.stored()
    read = (await couple.own.get(couple.visit)).json()
    put = await couple.own.put(couple.visit, read)
    assert put.status_code == 200, put.text
    assert not names_the_other(put, couple), put.text
    after = await couple.stored()
    assert {**after, "meta": None} == {**before, "meta": None}
    assert "security" not in after["meta"]


async def test_what_the_visit_is_and_what_to_do_is_for_all(couple: Couple) -> None:
    """Whatever may be the other's alone, why they come and what anybody wrote, is not."""
    read, stored = (await couple.own.get(couple.visit)).json(), await couple.stored()
    assert read["patientInstruction"] == "À jeun."
    hidden = {
        "comment",
        "description",
        "reasonCode",
        "identifier",
        "supportingInformation",
        "extension",
        "text",
    }
    assert stored.keys() - read.keys() == hidden


async def test_the_trail_of_one_does_not_name_the_other(couple: Couple) -> None:
    """Who shares a visit acts for nobody else, and is a patient without a name in the other's trail."""
    assert (await couple.own.get(couple.visit)).status_code == 200
    theirs = await couple.other.get(f"{couple.second}/$everything?_type=AuditEvent")
    assert theirs.status_code == 200, theirs.text
    events = [entry["resource"] for entry in theirs.json()["entry"]]
    [[reader]] = [one["agent"] for one in events if one["subtype"][0]["code"] == "read"]
    assert reader["requestor"]
    assert reader.keys() == {"role", "requestor"}
    assert NAMES[0] not in theirs.text
    assert couple.first.removeprefix("Patient/") not in theirs.text


async def test_a_patch_asks_nothing_of_what_is_not_shown(couple: Couple) -> None:
    actor = f"{NAMES[1]} Exemple"
    guess = [{"op": "test", "path": "/participant/0/actor/display", "value": actor}]
    assert (await couple.own.patch(couple.visit, guess)).status_code == 422
    copied = [{"op": "copy", "from": "/participant/0/actor/display", "path": "/comment"}]
    refused = await couple.own.patch(couple.visit, copied)
    assert (refused.status_code, code(refused)) == (403, "element-not-yours"), refused.text
    assert not names_the_other(refused, couple)


async def test_nobody_takes_another_out_by_what_they_cannot_see(couple: Couple) -> None:
    read = (await couple.own.get(couple.visit)).json()
    for left in (read["participant"][1:], [read["participant"][1], read["participant"][1]]):
        put = await couple.own.put(couple.visit, {**read, "participant": left})
        assert put.status_code in (403, 422), put.text
    assert (await couple.stored())["participant"][0]["actor"]["reference"] == couple.second
