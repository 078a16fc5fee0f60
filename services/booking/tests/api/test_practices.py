"""What a practice sees and changes is its own: its agendas, their appointments, and the patients who have one."""

from __future__ import annotations

import base64
from uuid import uuid4

import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    appointment,
    for_professionals,
    parameters,
    patient,
    ref,
    schedule,
    slot,
    unique,
)
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import Surgery, hear, open_surgery, role_resource

from creneau_shared.fhir.storage.store import Resource


async def someone(callers: Callers) -> tuple[Caller, str]:
    """A person with an account of their own, and their Patient."""
    caller = callers.patient()
    answer = await caller.post("Patient", patient())
    return caller, f"Patient/{answer.json()['id']}"


async def booked(caller: Caller, surgery: Surgery, who: str, index: int = 0) -> Resource:
    wanted = appointment("booked", slots=surgery.slots[index : index + 1], patient=who)
    answer = await caller.post(
        "Appointment/$book", parameters(appt_resource={**wanted, "status": "proposed"})
    )
    assert answer.status_code in (200, 201), answer.text
    found: Resource = answer.json()
    return found["entry"][0]["resource"] if found["resourceType"] == "Bundle" else found


async def ids(caller: Caller, path: str) -> list[str]:
    answer = await caller.get(path)
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", ())
    return [entry["resource"]["id"] for entry in entries if entry.get("search", {}).get("mode") != "outcome"]


async def test_a_practice_sees_the_appointments_of_its_agendas_and_their_patients(
    callers: Callers, practice: Practice
) -> None:
    """From the booking on, by every way of looking; the practice next door sees neither, by none of them."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    camille, who = await someone(callers)
    us, them = callers.staff(ours.organization), callers.staff(theirs.organization)
    assert (await us.get(who)).status_code == 404  # not yet
    id_ = (await booked(camille, ours, who))["id"]
    for path in (f"Appointment/{id_}", f"Appointment/{id_}/_history/1", f"Appointment/{id_}/_history", who):
        assert (await us.get(path)).status_code == 200, path
        assert (await them.get(path)).status_code == 404, path
    for path, found in (
        (f"Appointment?_id={id_}", [id_]),
        (f"Patient?_has:Appointment:patient:_id={id_}", [who.partition("/")[2]]),
        (f"{who}/Appointment", [id_]),
        ("Appointment/_history?_count=500", [id_]),
        (f"Appointment?patient.name=Exemple&_id={id_}", [id_]),
    ):
        assert await ids(us, path) == found, path
        assert await ids(them, path) == [], path


async def test_a_practice_changes_what_is_its_own_and_nothing_else(
    callers: Callers, practice: Practice
) -> None:
    """An appointment of another answers like one that is not there; an agenda of another, which all may read, by 403."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    camille, who = await someone(callers)
    id_ = (await booked(camille, ours, who))["id"]
    them = callers.staff(theirs.organization)
    off = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    for path in (f"Appointment/{id_}", f"Appointment/{unique('inconnu')}"):
        assert (await them.patch(path, off)).status_code == 404
    for path, resource in (
        (f"Schedule/{ours.agenda}", schedule(ours.agenda, [ours.practitioner], active=False)),
        (f"Slot/{ours.slots[1]}", slot(ours.slots[1], ours.agenda, ours.start, status="busy-unavailable")),
    ):
        answer = await them.put(path, resource)
        assert (answer.status_code, code(answer)) == (403, "not-yours"), path
    new = slot("", ours.agenda, ours.start)
    answer = await them.post("Slot", {n: v for n, v in new.items() if n != "id"})
    assert (answer.status_code, code(answer)) == (403, "not-yours")
    answer = await callers.staff(ours.organization).patch(f"Appointment/{id_}", off)
    assert answer.status_code == 200
    assert await practice.slot_statuses(ours.slots[:1]) == ["free"]


async def test_an_agenda_names_ones_own_people_only(callers: Callers, practice: Practice) -> None:
    """With another's professional in an agenda of one's own, their time could be taken."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    us = callers.staff(ours.organization, role="software")
    for actors, status, said in (
        ([ours.role, ours.practitioner], 201, ""),
        ([ours.role, theirs.practitioner], 403, "not-yours"),
        ([theirs.role], 403, "not-yours"),
        ([ours.role, "Practitioner/nobody-knows"], 422, "unknown-actor"),
        (["PractitionerRole/nobody-knows"], 422, "unknown-actor"),
    ):
        body = {n: v for n, v in schedule("", actors).items() if n != "id"}
        answer = await us.post("Schedule", body)
        assert answer.status_code == status, answer.text
        assert status == 201 or code(answer) == said
        assert (answer.headers.get("Retry-After") == "1") == (said == "unknown-actor"), (
            "the directory's word is on its way"
        )


async def test_a_device_is_whose_agenda_it_is_in(callers: Callers, practice: Practice) -> None:
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    scanner = f"Device/{unique('irm')}"
    mine = {n: v for n, v in schedule("", [ours.role, scanner]).items() if n != "id"}
    assert (await callers.staff(ours.organization).post("Schedule", mine)).status_code == 201
    stolen = {n: v for n, v in schedule("", [theirs.role, scanner]).items() if n != "id"}
    answer = await callers.staff(theirs.organization).post("Schedule", stolen)
    assert (answer.status_code, code(answer)) == (403, "not-yours")


@pytest.mark.parametrize("beside", [True, False], ids=["with a role", "alone"])
async def test_an_agenda_is_not_taken_over_by_entering_a_device_that_it_names(
    callers: Callers, practice: Practice, beside: bool
) -> None:
    """Everybody reads which devices an agenda names; one that the directory does not have yet can be entered by anybody, who
    would see whoever comes there."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    us, them = callers.staff(ours.organization), callers.staff(theirs.organization)
    scanner = f"Device/{unique('irm')}"
    said = {n: v for n, v in schedule("", [*([ours.role] if beside else []), scanner]).items() if n != "id"}
    agenda = f"Schedule/{(await us.post('Schedule', said)).json()['id']}"
    who = f"Patient/{(await us.post('Patient', patient('Yann'))).json()['id']}"
    free = {n: v for n, v in slot("", agenda.partition("/")[2], ours.start).items() if n != "id"}
    taken = (await us.post("Slot", free)).json()["id"]
    visit = await us.post("Appointment", appointment("booked", slots=[taken], patient=who, start=ours.start))
    assert visit.status_code == 201, visit.text
    meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
    claimed = {"resourceType": "Device", "id": scanner.partition("/")[2], "meta": meta}
    await hear(practice, {**claimed, "owner": ref(f"Organization/{theirs.organization}")})
    role = role_resource(ours.role.partition("/")[2], ours.practitioner, ours.organization)
    await hear(practice, {**role, "meta": {**meta, "versionId": "2"}})
    for path in (f"Appointment/{visit.json()['id']}", who):
        assert [(await one.get(path)).status_code for one in (us, them)] == [200, 404], path
    closed = {**(await us.get(agenda)).json(), "active": False}
    assert [(await one.put(agenda, closed)).status_code for one in (them, us)] == [403, 200]
    assert (await them.get(who)).status_code == 404
    another = {**claimed, "id": unique("irm"), "owner": ref(f"Organization/{theirs.organization}")}
    await hear(practice, another)
    taking = {**closed, "actor": [*closed["actor"], ref(f"Device/{another['id']}")]}
    assert (await us.put(agenda, taking)).status_code == 403, "nor is theirs taken so"


async def test_an_agenda_of_a_person_alone_is_not_joined_by_giving_them_a_role(
    callers: Callers, practice: Practice
) -> None:
    """Whoever entered a professional gives them a role at their own practice, and nobody is asked: the agenda stays that of the
    practice that opened it, whoever writes it and whatever the directory says again, as long as the person works there."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    us, them = callers.staff(ours.organization), callers.staff(theirs.organization)
    said = {n: v for n, v in schedule("", [ours.practitioner]).items() if n != "id"}
    agenda = f"Schedule/{(await us.post('Schedule', said)).json()['id']}"
    who = f"Patient/{(await us.post('Patient', patient('Yann'))).json()['id']}"
    free = {n: v for n, v in slot("", agenda.partition("/")[2], ours.start).items() if n != "id"}
    taken = (await us.post("Slot", free)).json()["id"]
    visit = await us.post("Appointment", appointment("booked", slots=[taken], patient=who, start=ours.start))
    assert visit.status_code == 201, visit.text
    seen = (f"Appointment/{visit.json()['id']}", who)

    async def see() -> list[list[int]]:
        return [[(await one.get(path)).status_code for path in seen] for one in (us, them)]

    await hear(practice, role_resource(unique("role"), ours.practitioner, theirs.organization))
    assert await see() == [[200, 200], [404, 404]]
    for writer in (us, callers.software()):
        again = await writer.put(agenda, {**(await us.get(agenda)).json(), "comment": unique("note")})
        assert again.status_code == 200, again.text
        assert await see() == [[200, 200], [404, 404]]
    refused = await them.put(agenda, {**(await them.get(agenda)).json(), "active": False})
    assert refused.status_code == 403
    role = role_resource(ours.role.partition("/")[2], ours.practitioner, ours.organization)
    for version, active in (("2", False), ("3", True)):
        await hear(practice, {**role, "meta": {**role["meta"], "versionId": version}, "active": active})
        visible = [(await one.get(seen[0])).status_code for one in (us, them)]
        assert visible == ([200, 404] if active else [404, 200]), "it goes with the person who leaves"


async def test_a_practice_books_for_its_own_patients(callers: Callers, practice: Practice) -> None:
    """Whom it registered, or who has been there. Naming somebody's Patient in an appointment opens no record."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    us, them = callers.staff(ours.organization), callers.staff(theirs.organization)
    mine = f"Patient/{(await us.post('Patient', patient('Yann'))).json()['id']}"
    wanted = appointment("booked", slots=ours.slots[:1], patient=mine, start=ours.start)
    assert (await us.post("Appointment", wanted)).status_code == 201
    for stranger in (mine, f"Patient/{unique('inconnu')}"):
        wanted = appointment("booked", slots=theirs.slots[:1], patient=stranger, start=theirs.start)
        answer = await them.post("Appointment", wanted)
        assert (answer.status_code, code(answer)) == (422, "unknown-patient")
    assert (await them.get(mine)).status_code == 404
    assert await practice.slot_statuses(theirs.slots[:1]) == ["free"]


async def test_slots_for_professionals_are_the_practices_and_the_regulators(
    callers: Callers, practice: Practice
) -> None:
    """To everybody else they do not exist: in searches, reads and histories."""
    ours, theirs = (
        await open_surgery(practice, 1, meta=for_professionals()),
        await open_surgery(practice, 1),
    )
    who_sees = {
        "us": (callers.staff(ours.organization), True),
        "the regulator": (callers.staff(role="regulator"), True),
        "the neighbour": (callers.staff(theirs.organization), False),
        "a secretary of nobody": (callers.staff(), False),
        "a patient": (callers.patient(), False),
        "the public": (callers.nobody(), False),
    }
    for name, (caller, sees) in who_sees.items():
        found = await ids(caller, f"Slot?schedule={ours.agenda}&status=free,busy")
        assert found == (list(ours.slots) if sees else []), name
        for path in (
            f"Slot/{ours.slots[0]}",
            f"Slot/{ours.slots[0]}/_history",
            f"Slot/{ours.slots[0]}/_history/1",
        ):
            assert (await caller.get(path)).status_code == (200 if sees else 404), (name, path)


async def test_without_a_practice_a_secretary_is_one_of_the_public(
    callers: Callers, practice: Practice
) -> None:
    ours = await open_surgery(practice)
    secretary = callers.staff()
    assert (await secretary.get(f"Schedule/{ours.agenda}")).status_code == 200
    for path in ("Appointment", "Patient", "RelatedPerson", "AppointmentResponse"):
        answer = await secretary.get(path)
        assert (answer.status_code, code(answer)) == (403, "no-practice")
    agenda = {name: value for name, value in schedule("", [ours.role]).items() if name != "id"}
    assert (await secretary.post("Schedule", agenda)).status_code == 403


async def test_who_a_professional_is_tells_for_whom_they_work(callers: Callers, practice: Practice) -> None:
    """By the directory's roles, as long as they hold: a locum's ends with its period."""
    ours = await open_surgery(practice)
    camille, who = await someone(callers)
    id_ = (await booked(camille, ours, who))["id"]
    locum = f"Practitioner/{unique('remplacant')}"
    await practice.put({"resourceType": "Practitioner", "id": locum.partition("/")[2], "active": True})
    doctor = callers.staff(role="practitioner", creneau_practitioner=locum)
    assert (await doctor.get(f"Appointment/{id_}")).status_code == 403
    held = role_resource(unique("role"), locum, ours.organization, period={"end": "2026-12-31"})
    await hear(practice, held)
    assert (await doctor.get(f"Appointment/{id_}")).status_code == 200
    over = {**held, "meta": {**held["meta"], "versionId": "2"}, "period": {"end": "2026-11-01"}}
    await hear(practice, over)
    assert (await doctor.get(f"Appointment/{id_}")).status_code == 403


async def delegated(practice: Practice, by: str, to: str, *codes: str) -> None:
    """One organisation (id) lets another act for it: its own word, which the other is not asked about."""
    system = "https://creneau.sante.fr/fhir/CodeSystem/delegation"
    await hear(
        practice,
        {
            "resourceType": "OrganizationAffiliation",
            "id": unique("delegation"),
            "meta": {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"},
            "active": True,
            "period": {"start": "2026-01-01", "end": "2027-01-01"},
            "organization": ref(f"Organization/{by}"),
            "participatingOrganization": ref(f"Organization/{to}"),
            "code": [{"coding": [{"system": system, "code": c}]} for c in codes],
        },
    )


@pytest.mark.parametrize(
    ("codes", "sees", "books"), [(["see"], 200, 403), (["book"], 200, 201), (["own"], 404, 403)]
)
async def test_a_secretariat_acts_by_delegation(
    callers: Callers, practice: Practice, codes: list[str], sees: int, books: int
) -> None:
    """What the practice has delegated, and no more; a code that there is not delegates nothing."""
    ours, secretariat = await open_surgery(practice), unique("secretariat")
    camille, who = await someone(callers)
    id_ = (await booked(camille, ours, who))["id"]
    await delegated(practice, ours.organization, secretariat, *codes)
    desk = callers.staff(secretariat)
    assert (await desk.get(f"Appointment/{id_}")).status_code == sees
    wanted = appointment("booked", slots=ours.slots[1:2], patient=who, start=ours.start.replace(minute=20))
    assert (await desk.post("Appointment", wanted)).status_code == books
    answer = await desk.put(f"Schedule/{ours.agenda}", schedule(ours.agenda, [ours.role], active=False))
    assert answer.status_code == 403, "agendas are not for the secretariat to close"


async def test_an_agenda_of_a_role_that_comes_later_is_its_practices(
    callers: Callers, practice: Practice
) -> None:
    """Booking hears of the role after the agenda was published and booked: from then on the practice sees all of it."""
    ours = await open_surgery(practice, known=False)
    camille, who = await someone(callers)
    id_ = (await booked(camille, ours, who))["id"]
    us = callers.staff(ours.organization)
    assert (await us.get(f"Appointment/{id_}")).status_code == 404
    await hear(practice, role_resource(ours.role.partition("/")[2], ours.practitioner, ours.organization))
    assert (await us.get(f"Appointment/{id_}")).status_code == 200
    assert (await us.get(who)).status_code == 200


async def test_a_counsellor_acts_for_one_person_under_a_mandate(callers: Callers, practice: Practice) -> None:
    """For whom the token names, if it says by what right; for nobody else, and never by having registered them."""
    ours = await open_surgery(practice)
    _, who = await someone(callers)
    yann, stranger = await someone(callers)
    id_ = (await booked(yann, ours, stranger))["id"]
    with_camille = callers.counsellor(who)
    assert (await with_camille.get(who)).status_code == 200
    await booked(with_camille, ours, who, 1)
    assert (await with_camille.get(f"Appointment/{id_}")).status_code == 404
    assert (await with_camille.get(stranger)).status_code == 404
    for alone in (callers.counsellor(None), callers.counsellor(who, mandate=None)):
        assert (await alone.get(who)).status_code == 404
        new = await alone.post("Patient", patient("Solenn"))
        assert new.status_code == 201
        assert (await alone.get(f"Patient/{new.json()['id']}")).status_code == 404


async def test_every_version_is_judged_by_whose_it_was(callers: Callers, practice: Practice) -> None:
    """An appointment that was first given to the wrong person: neither sees the other's part of its history."""
    ours = await open_surgery(practice)
    camille, who = await someone(callers)
    yann, other = await someone(callers)
    wanted = appointment("booked", slots=ours.slots[:1], patient=other, start=ours.start)
    id_ = (await callers.software().post("Appointment", wanted)).json()["id"]
    current = (await callers.software().get(f"Appointment/{id_}")).json()
    corrected = {**current, "participant": [{"actor": ref(who), "status": "accepted"}]}
    assert (await callers.software().put(f"Appointment/{id_}", corrected)).status_code == 200
    assert await ids(camille, f"Appointment/{id_}/_history") == [id_]
    for caller, seen in ((camille, {1: 404, 2: 200}), (yann, {1: 200, 2: 404})):
        for version, status in seen.items():
            assert (await caller.get(f"Appointment/{id_}/_history/{version}")).status_code == status
    for caller, versions in ((camille, ["2"]), (yann, ["1"])):
        for path in (
            f"Appointment/{id_}/_history",
            "Appointment/_history",
            f"Appointment/{id_}/_history?_at=2026",
        ):
            bundle = (await caller.get(path)).json()
            shown = [
                e["resource"]["meta"]["versionId"]
                for e in bundle.get("entry", ())
                if e["resource"]["id"] == id_
            ]
            assert shown == versions, path
    assert (await yann.get(f"Appointment/{id_}")).status_code == 404
    assert await ids(yann, f"Appointment?_id={id_}") == []


async def test_the_same_key_of_two_clients_is_two_keys(callers: Callers, practice: Practice) -> None:
    """An Idempotency-Key is one account's through one client: another's is another request."""
    subject, key = unique("citoyen"), unique("cle")
    tokens = [callers.issuer.token("patient", subject, None, client_id=client) for client in ("a", "a", "b")]
    answers = [
        await Caller(callers.client, token).post("Patient", patient("Camille"), idempotency_key=key)
        for token in tokens
    ]
    first, again, other = (answer.json()["id"] for answer in answers)
    assert first == again
    assert other != first


async def of_two_practices(practice: Practice) -> tuple[Surgery, Surgery, str]:
    """Two practices, and a professional (id) with a role in each."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    who = ours.practitioner.partition("/")[2]
    meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
    await hear(practice, {"resourceType": "Practitioner", "id": who, "meta": meta, "active": True})
    await hear(practice, role_resource(unique("role"), ours.practitioner, theirs.organization))
    return ours, theirs, who


class TestTheTrailOfWhoWorksForTwoPractices:
    """A professional of two practices, whose token names neither: each sees what was done with its own, and only that."""

    @pytest.mark.parametrize("named", [False, True], ids=["by their roles", "a token that names both"])
    async def test_only_the_practice_whose_data_it_was_sees_it(
        self, callers: Callers, practice: Practice, named: bool
    ) -> None:
        ours, theirs, who = await of_two_practices(practice)
        organizations = (ours.organization, theirs.organization) if named else ()
        both = callers.staff(*organizations, role="practitioner", creneau_practitioner=who)
        camille, patient_ = await someone(callers)
        id_ = (await booked(camille, ours, patient_))["id"]
        comment = [{"op": "add", "path": "/comment", "value": "salle 2"}]
        asked = {
            "read": lambda: both.get(f"Appointment/{id_}"),
            "vread": lambda: both.get(f"Appointment/{id_}/_history/1"),
            "history-instance": lambda: both.get(f"Appointment/{id_}/_history"),
            "search-type": lambda: both.get(f"Appointment?_id={id_}"),
            "patch": lambda: both.patch(f"Appointment/{id_}", comment),
        }
        for ask in asked.values():
            assert (await ask()).status_code == 200
        for surgery, seen in ((ours, set(asked)), (theirs, set())):
            staff = callers.staff(surgery.organization)
            path = f"AuditEvent?entity=Appointment/{id_}&agent=Practitioner/{who}&_count=50"
            events = [entry["resource"] for entry in (await staff.get(path)).json().get("entry", ())]
            assert {event["subtype"][0]["code"] for event in events} == seen
            assert theirs.organization not in str(events), "nor whom else they work for"
        whole = await callers.software().get(
            f"AuditEvent?patient={patient_}&agent=Practitioner/{who}&_count=50"
        )
        assert ours.organization in whole.text
        assert theirs.organization not in whole.text

    @pytest.mark.parametrize("named", [False, True], ids=["by their roles", "a token that names both"])
    async def test_of_one_look_at_both_each_is_told_its_own(
        self, callers: Callers, practice: Practice, named: bool
    ) -> None:
        """Neither the other's patient, nor that they work there, nor what was asked of it; the people are told all the same."""
        ours, theirs, who = await of_two_practices(practice)
        organizations = (ours.organization, theirs.organization) if named else ()
        both = callers.staff(*organizations, role="practitioner", creneau_practitioner=who)
        told = {}
        for surgery in (ours, theirs):
            account, patient_ = await someone(callers)
            told[surgery.organization] = (patient_, (await booked(account, surgery, patient_))["id"])
        asked = ",".join(patient_ for patient_, _ in told.values())
        assert len(await ids(both, f"Appointment?patient={asked}&_include=Appointment:patient")) == 4
        for organization, (patient_, id_) in told.items():
            [other] = set(told) - {organization}
            foreign = (other, told[other][0].partition("/")[2], told[other][1])
            query = f"agent=Practitioner/{who}&subtype=search-type"
            trail = (await callers.staff(organization).get(f"AuditEvent?{query}")).json()
            [event] = [entry["resource"] for entry in trail["entry"]]
            assert {e["what"]["reference"] for e in event["entity"] if "what" in e} == {
                f"Appointment/{id_}",
                patient_,
            }
            assert base64.b64decode(event["entity"][0]["query"]).decode() == (
                "GET Appointment?patient=…&_include=…"
            )
            assert not any(one in str(event) for one in foreign)
            found = f"AuditEvent?patient={foreign[1]}&{query}"
            assert await ids(callers.staff(organization), found) == []
            assert await ids(callers.software(), f"AuditEvent?patient={patient_}&{query}") == [event["id"]]

    async def test_of_what_both_have_each_is_told_by_itself(
        self, callers: Callers, practice: Practice
    ) -> None:
        """A Patient of both is looked at once: neither learns of the other by that."""
        ours, theirs, who = await of_two_practices(practice)
        both = callers.staff(role="practitioner", creneau_practitioner=who)
        account, patient_ = await someone(callers)
        for index, surgery in enumerate((ours, theirs)):
            await booked(account, surgery, patient_, index)
        assert (await both.get(patient_)).status_code == 200
        for surgery, other in ((ours, theirs), (theirs, ours)):
            path = f"AuditEvent?entity={patient_}&agent=Practitioner/{who}&subtype=read"
            trail = (await callers.staff(surgery.organization).get(path)).json()
            [event] = [entry["resource"] for entry in trail["entry"]]
            assert surgery.organization in str(event)
            assert other.organization not in str(event)

    async def test_what_touched_nobodys_data_is_for_neither(
        self, callers: Callers, practice: Practice
    ) -> None:
        """A search that finds nothing does not tell one that they work for the other."""
        ours, theirs, who = await of_two_practices(practice)
        both = callers.staff(role="practitioner", creneau_practitioner=who)
        assert await ids(both, f"Appointment?_id={unique('rien')}") == []
        for surgery in (ours, theirs):
            assert (
                await ids(callers.staff(surgery.organization), f"AuditEvent?agent=Practitioner/{who}") == []
            )


async def test_a_delegation_hides_nothing_of_the_trail(callers: Callers, practice: Practice) -> None:
    """What a practice's own professional asks and does not find is its to see, whoever has delegated something to it."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    await delegated(practice, theirs.organization, ours.organization, "book")
    who = ours.practitioner.partition("/")[2]
    meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
    await hear(practice, {"resourceType": "Practitioner", "id": who, "meta": meta, "active": True})
    doctor = callers.staff(role="practitioner", creneau_practitioner=who)
    assert await ids(doctor, f"Appointment?_id={unique('rien')}") == []
    for surgery, told in ((ours, 1), (theirs, 0)):
        found = await ids(callers.staff(surgery.organization), f"AuditEvent?agent=Practitioner/{who}")
        assert len(found) == told


async def test_a_secretariat_sees_all_that_it_did_and_each_practice_what_was_for_it(
    callers: Callers, practice: Practice
) -> None:
    """One look at the visits of two practices that have delegated theirs."""
    secretariat, told = await open_surgery(practice), {}
    for surgery in (await open_surgery(practice), await open_surgery(practice)):
        await delegated(practice, surgery.organization, secretariat.organization, "book")
        account, patient_ = await someone(callers)
        await booked(account, surgery, patient_)
        told[surgery.organization] = patient_
    asked = callers.staff(secretariat.organization)
    assert len(await ids(asked, f"Appointment?patient={','.join(told.values())}")) == 2
    trail = f"AuditEvent?agent=Organization/{secretariat.organization}&subtype=search-type"
    for organization, patient_ in told.items():
        answer = await callers.staff(organization).get(trail)
        [event] = [entry["resource"] for entry in answer.json()["entry"]]
        assert patient_ in str(event)
        assert not any(other in str(event) for one, other in told.items() if one != organization)
        assert not any(one in str(event) for one in told if one != organization)
    assert len(await ids(callers.staff(secretariat.organization), trail)) == 2


class TestWhoWorksForTwoPractices:
    """A token that names neither does not say for which of them something is written. A practice states by itself that somebody
    works for it: if what they write became its own for that, it would see whomever they register elsewhere."""

    @pytest.fixture
    async def two(self, callers: Callers, practice: Practice) -> tuple[Surgery, Surgery, Caller]:
        """A doctor's practice; one that has entered a professional with the doctor's public number, and a role; the doctor,
        who logs in by their number."""
        ours, theirs = await open_surgery(practice), await open_surgery(practice)
        rpps = f"{uuid4().int % 10**11:011d}"
        numbers = [{"system": "https://rpps.esante.gouv.fr", "value": rpps}]
        for surgery in (ours, theirs):
            id_ = surgery.practitioner.partition("/")[2]
            meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
            said = {"resourceType": "Practitioner", "id": id_, "meta": meta, "identifier": numbers}
            await hear(practice, said)
        return ours, theirs, callers.staff(role="practitioner", SubjectNameID=f"8{rpps}")

    async def test_a_patient_is_of_the_one_that_is_named(
        self, callers: Callers, two: tuple[Surgery, Surgery, Caller]
    ) -> None:
        """By the resource, or by the token; somebody whom neither names is not registered."""
        ours, theirs, doctor = two
        us, them = (callers.staff(one.organization) for one in (ours, theirs))
        wanted = appointment("proposed", slots=ours.slots[:1], start=ours.start)
        booking = parameters(appt_resource=wanted, patient_resource=patient("Yann"))
        for answer in (
            await doctor.post("Patient", patient("Yann")),
            await doctor.post("Appointment/$book", booking),
        ):
            assert (answer.status_code, code(answer)) == (403, "no-practice"), answer.text
            assert "managingOrganization" in answer.text
        kept = {"managingOrganization": ref(f"Organization/{ours.organization}")}
        named = await doctor.post("Patient", {**patient("Yann"), **kept})
        narrowed = callers.staff(
            ours.organization, role="practitioner", creneau_practitioner=ours.practitioner.partition("/")[2]
        )
        for answer in (named, await narrowed.post("Patient", patient("Solenn"))):
            assert answer.status_code == 201, answer.text
            who = f"Patient/{answer.json()['id']}"
            assert [(await one.get(who)).status_code for one in (doctor, us, them)] == [200, 200, 404]

    async def test_what_is_said_of_a_patient_is_for_whose_they_are(
        self, callers: Callers, two: tuple[Surgery, Surgery, Caller]
    ) -> None:
        ours, theirs, doctor = two
        camille, who = await someone(callers)
        await booked(camille, ours, who)
        stated = f"Provenance/{(await doctor.post('Provenance', provenance(who))).json()['id']}"
        for surgery, status in ((ours, 200), (theirs, 404)):
            assert (await callers.staff(surgery.organization).get(stated)).status_code == status

    async def test_a_part_of_the_other_is_no_second_practice(
        self, callers: Callers, practice: Practice, two: tuple[Surgery, Surgery, Caller]
    ) -> None:
        """Who works in a hospital and in a unit of it writes for the hospital."""
        ours, theirs, doctor = two
        meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
        part_of = ref(f"Organization/{theirs.organization}")
        unit = {"resourceType": "Organization", "id": ours.organization, "meta": meta, "partOf": part_of}
        await hear(practice, unit)
        answer = await doctor.post("Patient", patient("Yann"))
        assert answer.status_code == 201, answer.text


class TestADelegationMakesNothingOnesOwn:
    """A practice delegates by its own word, and the other is not asked: if what the other writes became its own, it would see
    whomever they register."""

    @pytest.fixture(params=["book", "manage"])
    async def two(
        self, request: pytest.FixtureRequest, callers: Callers, practice: Practice
    ) -> tuple[Surgery, Surgery]:
        """A practice that acts, and one that has delegated to it."""
        acting, delegating = await open_surgery(practice), await open_surgery(practice)
        await delegated(practice, delegating.organization, acting.organization, request.param)
        return acting, delegating

    async def test_who_is_registered_is_known_to_who_registers_them(
        self, callers: Callers, two: tuple[Surgery, Surgery]
    ) -> None:
        acting, delegating = (callers.staff(one.organization) for one in two)
        who = f"Patient/{(await acting.post('Patient', patient('Yann'))).json()['id']}"
        said = {"resourceType": "RelatedPerson", "patient": ref(who)}
        carer = f"RelatedPerson/{(await acting.post('RelatedPerson', said)).json()['id']}"
        stated = f"Provenance/{(await acting.post('Provenance', provenance(who))).json()['id']}"
        for path in (who, f"{who}/_history/1", carer, stated):
            assert (await acting.get(path)).status_code == 200, path
            assert (await delegating.get(path)).status_code == 404, path

    async def test_a_record_is_kept_by_the_practice_that_it_names(
        self, callers: Callers, practice: Practice, two: tuple[Surgery, Surgery]
    ) -> None:
        """If the author speaks for it: a secretariat registers for whom the call is. Naming somebody else's opens nothing."""
        stranger = await open_surgery(practice)
        acting, delegating, other = (callers.staff(one.organization) for one in (*two, stranger))
        for named, keeps in ((two[1], delegating), (two[0], acting), (stranger, acting)):
            managing = {"managingOrganization": ref(f"Organization/{named.organization}")}
            new = await acting.post("Patient", {**patient("Yann"), **managing})
            assert new.status_code == 201, new.text
            who = f"Patient/{new.json()['id']}"
            assert (await acting.get(who)).status_code == 200, "by the delegation, where it is not theirs"
            for caller in (delegating, other):
                assert (await caller.get(who)).status_code == (200 if caller is keeps else 404)

    async def test_who_is_registered_by_a_booking_is_known_to_whose_agenda_it_is(
        self, callers: Callers, practice: Practice, two: tuple[Surgery, Surgery]
    ) -> None:
        """And to no other practice that has delegated something to the same secretariat."""
        third = await open_surgery(practice)
        await delegated(practice, third.organization, two[0].organization, "book")
        acting, delegating, other = (callers.staff(one.organization) for one in (*two, third))
        wanted = appointment("proposed", slots=two[1].slots[:1], start=two[1].start)
        booking = parameters(appt_resource=wanted, patient_resource=patient("Yann"))
        answer = await acting.post("Appointment/$book", booking)
        assert answer.status_code == 201, answer.text
        visit = answer.json()
        actors = [p["actor"].get("reference", "") for p in visit["participant"]]
        [who] = [actor for actor in actors if actor.startswith("Patient/")]
        stated = await acting.post("Provenance", provenance(f"Appointment/{visit['id']}"))
        for path in (who, f"Appointment/{visit['id']}", f"Provenance/{stated.json()['id']}"):
            for caller, status in ((acting, 200), (delegating, 200), (other, 404)):
                assert (await caller.get(path)).status_code == status, path

    async def test_what_is_said_of_a_patient_of_both_is_said_by_one(
        self, callers: Callers, practice: Practice, two: tuple[Surgery, Surgery]
    ) -> None:
        """Both know the person; what one of them states is not for the other to read."""
        camille, who = await someone(callers)
        for index, surgery in enumerate(two):
            await booked(camille, surgery, who, index)
        acting, delegating = (callers.staff(one.organization) for one in two)
        stated = f"Provenance/{(await acting.post('Provenance', provenance(who))).json()['id']}"
        assert (await acting.get(stated)).status_code == 200
        assert (await delegating.get(stated)).status_code == 404

    async def test_an_agenda_of_nobody_known_is_who_keeps_its(
        self, callers: Callers, two: tuple[Surgery, Surgery]
    ) -> None:
        acting, delegating = (callers.staff(one.organization) for one in two)
        said = {n: v for n, v in schedule("", [f"Device/{unique('irm')}"]).items() if n != "id"}
        kept = (await acting.post("Schedule", said)).json()
        path = f"Schedule/{kept['id']}"
        assert (await delegating.put(path, kept)).status_code == 403
        assert (await acting.put(path, kept)).status_code == 200


def provenance(target: str) -> Resource:
    return {
        "resourceType": "Provenance",
        "target": [ref(target)],
        "recorded": "2026-11-16T08:00:00Z",
        "agent": [{"who": {"display": "Accueil"}}],
    }
