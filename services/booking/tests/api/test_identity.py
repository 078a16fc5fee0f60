"""Who somebody is: one registration for an INS, stated by staff; and who answers for an address."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from services.booking.tests.client import Caller, code, reason
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, patient, unique
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import open_surgery
from tests.contract.closing import closed_validator

from creneau_booking.domain.identity import ins_of
from creneau_booking.handlers.people import patients
from creneau_booking.handlers.people.patients import tell_all_contacts, tell_changed_contacts
from creneau_shared.fhir.storage.store import Resource

TEST_INS = "urn:oid:1.2.250.1.213.1.4.10"
REAL_INS = "urn:oid:1.2.250.1.213.1.4.8"


def ins(value: str | None = None, system: str = TEST_INS, **more: Any) -> Resource:
    """An identifier of the range of tests."""
    return {"system": system, "value": value or new_value(), "use": "official", **more}


def new_value() -> str:
    """A number, without its key, that is nobody's: it names no month of birth."""
    return "20000" + str(int(unique("x").rpartition("-")[2], 16)).zfill(15)[-8:]


def key_of(number: str) -> str:
    return f"{97 - int(number) % 97:02d}"


# -- one registration --------------------------------------------------------------------------------------------


async def test_it_is_found_as_it_is_typed(callers: Callers, practice: Practice) -> None:
    """With blanks and with a small letter, in a search, through a chain (IHE ITI-118), in a condition and in an operation; the
    number of another system is what it is."""
    software, number = callers.software(), "1" + new_value()[1:5] + "2A" + new_value()[-6:]
    own = {"system": "urn:ipp", "value": unique("a b")}
    made = await software.post("Patient", patient(identifier=[ins(number), own]))
    assert made.status_code == 201, made.text
    who, typed = (
        f"Patient/{made.json()['id']}",
        f"{number[:1]} {number[1:3]} {number[3:5]} {number[5:].lower()}",
    )
    agenda = await practice.open_agenda()
    named = {
        "name": "patient-reference",
        "valueReference": {"identifier": {"system": TEST_INS, "value": typed}},
    }
    proposal = {"name": "appointment-reference", "valueString": f"Appointment/proposal.{agenda.slots[0]}"}
    booked = await software.post(
        "Appointment/$book", {"resourceType": "Parameters", "parameter": [proposal, named]}
    )
    assert booked.status_code == 200, booked.text
    for name, kind in (("identifier", "Patient"), ("patient.identifier", "Appointment")):
        found = (await software.get(kind, **{name: f"{TEST_INS}|{typed}"})).json()
        assert len(found.get("entry", ())) == 1, (name, found)
    for value, count in ((own["value"], 1), (own["value"].upper(), 0)):
        assert (
            len((await software.get("Patient", identifier=f"urn:ipp|{value}")).json().get("entry", ()))
            == count
        )
    again = await software.post(
        "Patient", patient(identifier=[ins(number)]), If_None_Exist=f"identifier={TEST_INS}|{typed}"
    )
    assert (again.status_code, again.json()["id"]) == (200, who.partition("/")[2])


async def test_a_second_registration_is_led_to_the_first(callers: Callers) -> None:
    """However it is written: with its key, with blanks."""
    software, value = callers.software(), new_value()
    first = await software.post("Patient", patient(identifier=[ins(value)]))
    assert first.status_code == 201, first.text
    for spelled in (value, f"{value[:1]} {value[1:]}", f"{value}{key_of(value)}"):
        again = await software.post("Patient", patient("Yann", identifier=[ins(spelled)]))
        assert (again.status_code, code(again)) == (409, "ins-registered-already")
        assert again.json()["issue"][0]["diagnostics"] == f"Patient/{first.json()['id']}"
        assert value not in again.text


async def test_an_ins_is_kept_as_it_is_searched(callers: Callers) -> None:
    """Typed or pasted with blanks (of every kind) and a small letter, it is found by its characters."""
    software, value = callers.software(), f"200002A{new_value()[7:]}"
    key = key_of(f"2000019{value[7:]}")
    typed = f" {value[:1]} {value[1:7].lower()}\u00a0{value[7:]} {key}"
    created = await software.post("Patient", patient(identifier=[ins(typed)]))
    assert created.status_code == 201, created.text
    assert created.json()["identifier"][0]["value"] == value + key
    found = await software.get(f"Patient?identifier={TEST_INS}|{value}{key}")
    assert [entry["resource"]["id"] for entry in found.json()["entry"]] == [created.json()["id"]]


@pytest.mark.parametrize(
    "wrong",
    [
        "2",
        "200000000001",
        "20000000000012",
        "2000000000001234",
        "9000000000001",
        "0000000000001",
        "200002C000001",
        "2000A2B000001",
        "2-0000-00-000-001",
        "２０００００００００００１",
        "2000000000001" + "00",
        "2000000000001" + "98",
    ],
)
@pytest.mark.parametrize("system", [TEST_INS, REAL_INS])
async def test_what_can_be_nobodys_ins_is_refused(callers: Callers, system: str, wrong: str) -> None:
    """Of another length, with other characters, or with the key of another number; nothing of it is said again."""
    practice = secretary(callers, unique("cabinet"))
    core: Resource = {
        "meta": {"profile": ["https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient"]}
    }
    for more in ({}, core):
        number = {"system": "urn:example:local", "value": wrong}
        refused = await practice.post("Patient", patient(identifier=[number, ins(wrong, system)], **more))
        assert (refused.status_code, code(refused)) == (422, "identifier-key"), refused.text
        assert refused.json()["issue"][0]["expression"] == ["Patient.identifier[1].value"]
        assert "INS" in reason(refused)
        assert len(wrong) < 12 or wrong not in refused.text


async def test_what_stood_before_the_rule_hinders_nobody(callers: Callers, practice: Practice) -> None:
    """A person changes their own words, a practice too, while the wrong number stands there; a new one is judged."""
    id_ = (await practice.new_patient(identifier=[ins("255069999900002")])).removeprefix("Patient/")
    path, software = f"Patient/{id_}", callers.software()
    mine = callers.patient(path)
    current = (await mine.get(path)).json()
    assert (await mine.put(path, {**current, "birthDate": "1990-01-01"})).status_code == 200
    current = (await software.get(path)).json()
    assert (await software.put(path, {**current, "gender": "female"})).status_code == 200
    again = await software.put(path, {**current, "identifier": [ins("255069999900003")]})
    assert (again.status_code, code(again)) == (422, "identifier-key")


async def test_the_deployment_is_told_of_a_key_that_does_not_hold(callers: Callers) -> None:
    """What it takes over by FR Core, whose own example breaks its key; whoever claims no register has mistyped."""
    profile = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient"
    number, software = f"{new_value()}00", callers.software()
    refused = await software.post("Patient", patient(identifier=[ins(number)]))
    assert (refused.status_code, code(refused)) == (422, "identifier-key")
    taken = await software.post("Patient", patient(identifier=[ins(number)], meta={"profile": [profile]}))
    assert taken.status_code == 201, taken.text
    assert taken.headers["Warning"] == '199 - "identifier[0]: key of INS does not hold"'


async def test_of_many_at_once_one_registers(callers: Callers) -> None:
    """Whatever process they reach: the key of a table decides."""
    body = patient(identifier=[ins(), ins()])
    reverse = {**body, "identifier": body["identifier"][::-1]}
    software = callers.software()
    answers = await asyncio.gather(*(software.post("Patient", reverse if n % 2 else body) for n in range(30)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 29]


async def test_an_ins_is_not_moved_to_a_second_person_either(callers: Callers) -> None:
    software, value = callers.software(), new_value()
    await software.post("Patient", patient(identifier=[ins(value)]))
    other = (await software.post("Patient", patient("Yann"))).json()
    path = f"Patient/{other['id']}"
    for answer in (
        await software.put(path, {**other, "identifier": [ins(value)]}),
        await software.patch(path, [{"op": "add", "path": "/identifier", "value": [ins(value)]}]),
    ):
        assert (answer.status_code, code(answer)) == (409, "ins-registered-already")
    assert (await software.get(path)).json() == other


def secretary(callers: Callers, organization: str) -> Caller:
    """Who speaks for one practice, and sees no other's patients."""
    token = callers.issuer.token(
        "practice", unique("secretaire"), creneau_role="secretary", creneau_organizations=[organization]
    )
    return Caller(callers.client, token)


async def test_another_practice_learns_that_there_is_a_registration_and_no_more(callers: Callers) -> None:
    number, here, elsewhere = ins(), unique("cabinet"), unique("cabinet")
    first = await secretary(callers, here).post("Patient", patient(identifier=[number]))
    assert first.status_code == 201, first.text
    id_ = first.json()["id"]
    for organization, told in ((here, True), (elsewhere, False)):
        again = await secretary(callers, organization).post("Patient", patient(identifier=[number]))
        assert (again.status_code, code(again)) == (409, "ins-registered-already")
        assert (id_ in again.text) is told


async def test_an_ins_is_free_again_once_nobody_holds_it(callers: Callers) -> None:
    """Taken off, out of use, or deleted; and whoever comes back finds it taken."""
    software, number = callers.software(), ins()
    holder = (await software.post("Patient", patient(identifier=[number]))).json()
    assert (await software.put(f"Patient/{holder['id']}", {**holder, "active": False})).status_code == 200
    second = (await software.post("Patient", patient(identifier=[number]))).json()
    back = await software.put(f"Patient/{holder['id']}", {**holder, "active": True})
    assert back.status_code == 409
    without = {name: value for name, value in second.items() if name != "identifier"}
    assert (await software.put(f"Patient/{second['id']}", without)).status_code == 200
    third = (await software.post("Patient", patient(identifier=[number]))).json()
    assert (await software.delete(f"Patient/{third['id']}")).status_code == 204
    assert (await software.put(f"Patient/{holder['id']}", {**holder, "active": True})).status_code == 200


async def test_the_same_digits_of_another_system_are_another_ins(callers: Callers) -> None:
    software, value = callers.software(), new_value()
    for system in (TEST_INS, "urn:oid:1.2.250.1.213.1.4.11", "urn:example:local"):
        answer = await software.post("Patient", patient(identifier=[ins(value, system)]))
        assert answer.status_code == 201, answer.text
    assert ins_of(patient(identifier=[ins(value, "urn:example:local")])) == frozenset()


async def test_no_ins_stands_in_the_table(callers: Callers, practice: Practice) -> None:
    value = new_value()
    await callers.software().post("Patient", patient(identifier=[ins(value)]))
    dump = await practice.database.pool.fetchval("SELECT string_agg(t::text, ' ') FROM patient_ins t")
    assert value not in dump
    assert value.encode().hex() not in dump


# -- a patient's account -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", [TEST_INS, REAL_INS, "urn:example:local"])
async def test_an_account_states_no_number_and_learns_of_none(callers: Callers, system: str) -> None:
    """Registered or not, the answer is the same: nobody asks who is here by registering them."""
    known = ins(system=system)
    await callers.software().post("Patient", patient(identifier=[known]))
    answers = [
        await callers.patient(subject=unique("citoyen")).post("Patient", patient(identifier=[number]))
        for number in (known, ins(system=system))
    ]
    assert [(answer.status_code, code(answer)) for answer in answers] == [(403, "stated-by-staff")] * 2
    assert answers[0].json()["issue"] == answers[1].json()["issue"]
    assert answers[0].json()["issue"][0]["expression"] == ["Patient.identifier"]


@pytest.fixture
async def camille(practice: Practice) -> str:
    """A Patient that her practice registered, with her INS."""
    return await practice.new_patient(identifier=[ins()])


async def changed(callers: Callers, reference: str, **members: Any) -> httpx.Response:
    """What the patient's own account is answered when it puts these members."""
    caller = callers.patient(reference)
    current = (await caller.get(reference)).json()
    return await caller.put(reference, {**current, **members})


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("identifier", []),
        ("identifier", [{"system": TEST_INS, "value": "255069999900002"}]),
        ("active", False),
        ("deceasedBoolean", True),
        ("link", [{"other": {"reference": "Patient/x"}, "type": "seealso"}]),
        ("managingOrganization", {"reference": "Organization/x"}),
        ("generalPractitioner", [{"reference": "Practitioner/x"}]),
    ],
)
async def test_an_account_changes_nothing_of_the_practices_words(
    callers: Callers, camille: str, element: str, value: Any
) -> None:
    before = (await callers.patient(camille).get(camille)).json()
    if value == []:
        path = [{"op": "remove", "path": f"/{element}"}]
        answer = await callers.patient(camille).patch(camille, path)
    else:
        answer = await changed(callers, camille, **{element: value})
    assert (answer.status_code, code(answer)) == (403, "stated-by-staff"), answer.text
    assert answer.json()["issue"][0]["expression"] == [f"Patient.{element}"]
    assert (await callers.patient(camille).get(camille)).json() == before


async def test_an_account_corrects_an_address_that_is_none_and_a_practice_keeps_what_it_has(
    callers: Callers, camille: str
) -> None:
    """Who types it is there to correct it; the record of a hospital is what it is, and says so with its messages."""
    wrong = [
        {"system": "phone", "value": "01 99 00 00 01"},
        {"system": "email", "value": "camille martin@exemple.fr"},
    ]
    refused = [
        await changed(callers, camille, telecom=wrong),
        await callers.patient(subject=unique("citoyen")).post("Patient", patient(telecom=wrong)),
    ]
    assert [(answer.status_code, code(answer)) for answer in refused] == [(422, "no-email-address")] * 2
    assert refused[0].json()["issue"][0]["expression"] == ["Patient.telecom[1].value"]
    for system in ("phone", "sms"):
        for value in ("06", "abc", "+33", "00000000000000000000", "secretariat@exemple.fr"):
            answer = await changed(callers, camille, telecom=[{"system": system, "value": value}])
            assert (answer.status_code, code(answer)) == (422, "no-phone-number"), value
            assert answer.json()["issue"][0]["expression"] == ["Patient.telecom[0].value"]
    pasted = [
        {"system": "email", "value": " mailto:camille@exemple.fr\u200b"},
        {"system": "phone", "value": "tel:06.39.98.00.01"},
        {"system": "fax", "value": "au secrétariat"},
    ]
    assert (await changed(callers, camille, telecom=pasted)).status_code == 200
    kept = await callers.software().post("Patient", patient(telecom=wrong))
    assert kept.status_code == 201
    assert kept.json()["telecom"] == wrong
    mine = f"Patient/{kept.json()['id']}"
    assert (await changed(callers, mine, birthDate="1990-01-01")).status_code == 200, (
        "what stood there before"
    )


async def test_an_account_labels_nothing(callers: Callers, camille: str) -> None:
    tag = {"security": [{"system": "urn:x", "code": "x"}]}
    assert (await changed(callers, camille, meta=tag)).status_code == 403
    created = await callers.patient(subject=unique("citoyen")).post("Patient", patient(meta=tag))
    assert created.status_code == 403


async def test_an_account_changes_its_own_words(callers: Callers, camille: str) -> None:
    answer = await changed(
        callers,
        camille,
        name=[{"family": "Autre", "given": ["Camille"]}],
        telecom=[{"system": "email", "value": "nouvelle@exemple.fr"}],
        birthDate="1990-02-03",
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["identifier"]


# -- who answers for an address ----------------------------------------------------------------------------------


async def told(practice: Practice, reference: str) -> Resource:
    """The last that was told of how the patient is reached, held against the contract."""
    rows = await practice.database.pool.fetch(
        "SELECT data FROM outbox WHERE key = $1 ORDER BY position DESC LIMIT 1", reference
    )
    data: Resource = orjson.loads(rows[0]["data"])
    closed_validator("booking/contact.changed.v1").validate(data)
    return data


MAIL = {"system": "email", "value": "camille@exemple.fr"}
PHONE = {"system": "phone", "value": "06 39 98 00 01"}


async def test_what_an_account_gives_nobody_answers_for(callers: Callers, practice: Practice) -> None:
    caller = callers.patient(subject=unique("citoyen"))
    created = await caller.post("Patient", patient(telecom=[MAIL, PHONE]))
    data = await told(practice, f"Patient/{created.json()['id']}")
    assert (data["emailVouched"], data["phoneVouched"]) == (False, False)


async def test_what_a_practice_gives_it_answers_for(callers: Callers, practice: Practice) -> None:
    created = await callers.software().post("Patient", patient(telecom=[MAIL]))
    data = await told(practice, f"Patient/{created.json()['id']}")
    assert data["emailVouched"] is True
    assert "phoneVouched" not in data


async def test_a_practice_that_saves_again_answers_for_nothing_new(
    callers: Callers, practice: Practice
) -> None:
    """It answers for what it adds, not for what it repeats, however it is spelled; nor does changing something else."""
    account = callers.patient(subject=unique("citoyen"))
    created = (await account.post("Patient", patient(telecom=[MAIL, PHONE]))).json()
    path, software = f"Patient/{created['id']}", callers.software()
    again = [
        {**MAIL, "value": "Camille@Exemple.FR", "use": "home"},
        {**PHONE, "value": "+33 6 39 98 00 01"},
    ]
    await software.put(path, {**created, "telecom": again, "generalPractitioner": [{"display": "Dr X"}]})
    data = await told(practice, path)
    assert (data["emailVouched"], data["phoneVouched"]) == (False, False)
    await software.put(path, {**created, "telecom": [{**MAIL, "value": "verifiee@exemple.fr"}, PHONE]})
    data = await told(practice, path)
    assert (data["emailVouched"], data["phoneVouched"]) == (True, False)


async def test_an_account_that_changes_the_address_answers_for_itself(
    callers: Callers, practice: Practice
) -> None:
    """The new address is nobody's; the one that the practice had given stays answered for, for this Patient only."""
    reference = f"Patient/{(await callers.software().post('Patient', patient(telecom=[MAIL]))).json()['id']}"
    await changed(callers, reference, telecom=[{**MAIL, "value": "etrangere@exemple.fr"}])
    assert (await told(practice, reference))["emailVouched"] is False
    await changed(callers, reference, telecom=[MAIL])
    assert (await told(practice, reference))["emailVouched"] is True
    other = await callers.patient(subject=unique("citoyen")).post("Patient", patient(telecom=[MAIL]))
    assert (await told(practice, f"Patient/{other.json()['id']}"))["emailVouched"] is False


async def test_whoever_proved_a_contact_by_a_code_has_it_vouched_for(
    callers: Callers, practice: Practice
) -> None:
    """The one that they proved, however it is spelled, in each record of theirs; nothing else that they give."""
    contact = f"{unique('camille')}@exemple.fr"
    caller = callers.by_code("email", contact)
    telecom = [{**MAIL, "value": contact.upper()}, PHONE]
    created = await caller.post("Patient", patient(telecom=telecom))
    assert created.status_code == 201, created.text
    path = f"Patient/{created.json()['id']}"
    data = await told(practice, path)
    assert (data["emailVouched"], data["phoneVouched"]) == (True, False)
    again = callers.by_code("email", contact.title())
    current = (await again.get(path)).json()
    assert current["id"] == created.json()["id"], "the same contact, the same account"
    other = [{**MAIL, "value": "etrangere@exemple.fr"}, PHONE]
    assert (await again.put(path, {**current, "telecom": other})).status_code == 200
    assert (await told(practice, path))["emailVouched"] is False
    child = await again.post("Patient", patient("Lou", telecom=telecom))
    assert (await told(practice, f"Patient/{child.json()['id']}"))["emailVouched"] is True


async def test_a_telephone_number_is_proven_in_whatever_spelling(
    callers: Callers, practice: Practice
) -> None:
    caller = callers.by_code("phone", "+33639980001")
    created = await caller.post("Patient", patient(telecom=[MAIL, PHONE]))
    data = await told(practice, f"Patient/{created.json()['id']}")
    assert (data["emailVouched"], data["phoneVouched"]) == (False, True)


async def test_a_counsellor_answers_for_the_address_and_not_for_the_identity(
    callers: Callers, practice: Practice
) -> None:
    """They sit beside the person, whose address they have seen; they have no INSi."""
    id_ = (await callers.patient(subject=unique("citoyen")).post("Patient", patient())).json()["id"]
    claims = {
        "creneau_role": "counsellor",
        "creneau_for": id_,
        "creneau_mandate": "m1",
        "scope": "user/*.cruds",
    }
    caller = Caller(callers.client, callers.issuer.token("practice", unique("conseil"), **claims))
    path = f"Patient/{id_}"
    current = (await caller.get(path)).json()
    changed = await caller.put(path, {**current, "telecom": [{**MAIL, "value": "vue@exemple.fr"}]})
    assert changed.status_code == 200, changed.text
    assert (await told(practice, path))["emailVouched"] is True
    refused = await caller.put(path, {**changed.json(), "identifier": [ins()]})
    assert (refused.status_code, code(refused)) == (403, "stated-by-staff")


async def test_deleting_a_patient_forgets_who_answered(callers: Callers, practice: Practice) -> None:
    software = callers.software()
    id_ = (await software.post("Patient", patient(telecom=[MAIL]))).json()["id"]
    await software.delete(f"Patient/{id_}")
    kept = await practice.database.pool.fetchval(
        "SELECT count(*) FROM vouched_address WHERE patient_id = $1", id_
    )
    assert kept == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ({"text": "x" * 10_000}, "x" * 200),
        ({"text": "Eve\r\nBcc: victim@example.org"}, "Eve Bcc: victim@example.org"),
        ({"family": "a" * 10_000, "given": ["b" * 10_000]}, "b" * 200),
        ({"given": ["Camille"]}, "Camille"),
    ],
)
async def test_names_on_the_bus_are_bounded(
    callers: Callers, practice: Practice, name: Resource, expected: str
) -> None:
    created = await callers.patient(subject=unique("citoyen")).post("Patient", patient() | {"name": [name]})
    assert created.status_code == 201, created.text
    assert (await told(practice, f"Patient/{created.json()['id']}"))["name"] == expected


async def test_every_contact_can_be_told_again(fresh: Practice) -> None:
    """After an upgrade: what was told before nobody knew who answers for an address."""
    handed = [await fresh.new_patient() for _ in range(3)]
    removed = await fresh.new_patient()
    await fresh.database.pool.execute(
        "UPDATE patient SET content = NULL, deleted = true WHERE id = $1", removed.removeprefix("Patient/")
    )
    assert await tell_all_contacts(fresh.database, fresh.settings.contact_rules, fresh.clock.now()) == 3
    for reference in handed:
        assert (await told(fresh, reference))["emailVouched"] is False


async def test_a_number_that_ends_between_booking_and_reminder_is_told_when_it_ends(fresh: Practice) -> None:
    """A reminder that leaves next week goes to the number in use next week; each end is told once."""
    until = (fresh.clock.now() + timedelta(days=3)).isoformat()
    old = {"system": "sms", "value": "06 39 98 00 01", "period": {"end": until}}
    new = {"system": "sms", "value": "06 39 98 00 02", "period": {"start": until}}
    handed = await fresh.new_patient(telecom=[old, new])

    async def look() -> int:
        return await tell_changed_contacts(fresh.database, fresh.settings.contact_rules, fresh.clock.now())

    await tell_all_contacts(fresh.database, fresh.settings.contact_rules, fresh.clock.now())
    assert ((await told(fresh, handed))["phone"], await look()) == (old["value"], 0)
    fresh.clock.advance(timedelta(days=4))
    assert ((await told(fresh, handed))["phone"], await look()) == (old["value"], 1)
    assert ((await told(fresh, handed))["phone"], await look()) == (new["value"], 0)


async def test_what_a_process_of_the_version_before_writes_is_not_missed(
    fresh: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It puts down no reminder: before a worker begins, and while it runs. The worker does, and nobody is told early."""
    monkeypatch.setattr(patients, "LOOKED_AT_TOGETHER", 1)
    until = (fresh.clock.now() + timedelta(days=3)).isoformat()
    old = {"system": "sms", "value": "06 39 98 00 01", "period": {"end": until}}
    new = {"system": "sms", "value": "06 39 98 00 02", "period": {"start": until}}
    handed = [await fresh.new_patient(telecom=[old, new])]
    await fresh.new_patient()
    fresh.clock.advance(timedelta(days=1))
    worker = fresh.jobs()
    assert await worker.tell_contacts() == 0
    handed.append(await fresh.new_patient(telecom=[old, new]))
    fresh.clock.advance(timedelta(minutes=1))
    assert await worker.tell_contacts() == 0
    fresh.clock.advance(timedelta(days=3))
    assert await worker.tell_contacts() == 2
    assert [(await told(fresh, reference))["phone"] for reference in handed] == [new["value"]] * 2
    assert await worker.tell_contacts() == 0


async def test_whoever_writes_a_patient_whose_number_ends_waits_for_nobody(fresh: Practice) -> None:
    """The job passes by whom somebody is writing, and looks again; what it tells is never older than what was written."""
    ends = (fresh.clock.now() + timedelta(days=3)).isoformat()
    handed = await fresh.new_patient(
        telecom=[{"system": "sms", "value": "06 39 98 00 01", "period": {"end": ends}}]
    )
    await tell_all_contacts(fresh.database, fresh.settings.contact_rules, fresh.clock.now())
    fresh.clock.advance(timedelta(days=4))
    async with fresh.database.transaction() as connection:
        await connection.execute(
            "SELECT FROM patient WHERE id = $1 FOR UPDATE", handed.removeprefix("Patient/")
        )
        job = tell_changed_contacts(fresh.database, fresh.settings.contact_rules, fresh.clock.now())
        assert await asyncio.create_task(job) == 0
    assert await tell_changed_contacts(fresh.database, fresh.settings.contact_rules, fresh.clock.now()) == 1
    assert "phone" not in await told(fresh, handed)


async def test_an_official_ins_is_of_a_validated_identity(callers: Callers) -> None:
    """Check 6.7.14: a provisional identity (PROV) has none; once validated it may."""
    reliability = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability"

    def stated(status: str) -> Resource:
        coding = {
            "system": "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0445",
            "code": status,
        }
        part = {"url": "identityStatus", "valueCoding": coding}
        return patient(identifier=[ins()], extension=[{"url": reliability, "extension": [part]}])

    software = callers.software()
    refused = await software.post("Patient", stated("PROV"))
    assert (refused.status_code, code(refused)) == (422, "ins-unverified")
    assert (await software.post("Patient", stated("VALI"))).status_code == 201


@pytest.mark.parametrize("way", ["create", "conditional", "book"])
async def test_a_professional_at_a_patients_app_registers_nobody(
    callers: Callers, practice: Practice, way: str
) -> None:
    """Such an app acts for persons, and a professional for none: what they state of a stranger would be the deployment's word,
    and the INS kept from the practice that registers the person."""
    surgery, value = await open_surgery(practice), new_value()
    said = patient(identifier=[ins(value)])
    scope = "user/Appointment.cruds patient/Patient.crus" if way == "book" else "patient/*.cruds"
    doctor = callers.staff(surgery.organization, role="practitioner", scope=scope)
    if way == "create":
        answer = await doctor.post("Patient", said)
    elif way == "conditional":
        answer = await doctor.put(f"Patient?identifier={TEST_INS}|{value}", said)
    else:
        wanted = appointment("proposed", slots=surgery.slots[:1])
        asked = parameters(appt_resource=wanted, patient_resource=said)
        answer = await doctor.post("Appointment/$book", asked)
    assert answer.status_code == 403, answer.text
    registered = await callers.staff(unique("cabinet")).post("Patient", said)
    assert registered.status_code == 201, registered.text
