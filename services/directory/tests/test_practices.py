"""What an organisation may change of the directory is its own."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from services.directory.tests.conftest import Directory
from services.directory.tests.regulators import account
from stdnum import luhn

from creneau_directory.domain.identifiers import RPPS, RPPS_OF_BEFORE
from creneau_shared.national_numbers import NATIONAL_PERSON, OF_PERSONS
from creneau_shared.security.memberships import numbers_named

OWN = {
    "Location": "managingOrganization",
    "HealthcareService": "providedBy",
    "PractitionerRole": "organization",
    "Endpoint": "managingOrganization",
    "Device": "owner",
    "OrganizationAffiliation": "organization",
}
MORE: dict[str, dict[str, Any]] = {
    "Endpoint": {
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "hl7-fhir-rest",
        },
        "payloadType": [{"text": "agenda"}],
        "address": "https://agenda.example/fhir",
    },
}


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid4().hex[:12]}"


def code(answer: httpx.Response) -> str:
    return str(answer.json()["issue"][0]["details"]["coding"][0]["code"])


async def practice(directory: Directory) -> str:
    """A new organisation, which its own software enters."""
    id_ = unique("cabinet")
    answer = await directory.put(
        {"resourceType": "Organization", "id": id_, "name": "Cabinet"}, directory.staff(id_)
    )
    assert answer.status_code == 201
    return id_


def entry(kind: str, organization: str, **more: Any) -> dict[str, Any]:
    owner = {OWN[kind]: {"reference": f"Organization/{organization}"}}
    return {"resourceType": kind, "id": unique("entree"), **MORE.get(kind, {}), **owner, **more}


@pytest.mark.parametrize("kind", sorted(OWN))
async def test_entries_belong_to_the_organisation_that_they_name(directory: Directory, kind: str) -> None:
    """Created, changed and deleted by it; not by another, nor given to or taken from another."""
    ours, theirs = await practice(directory), await practice(directory)
    mine = entry(kind, ours)
    assert (await directory.put(mine, directory.staff(ours))).status_code == 201
    for token, resource in (
        (directory.staff(theirs), {**mine, OWN[kind]: {"reference": f"Organization/{theirs}"}}),
        (directory.staff(ours), {**mine, OWN[kind]: {"reference": f"Organization/{theirs}"}}),
        (directory.staff(ours), entry(kind, theirs)),
        (directory.staff(), mine),
    ):
        answer = await directory.put(resource, token)
        assert answer.status_code == 403, answer.text
    path, headers = f"/fhir/{kind}/{mine['id']}", {"Authorization": f"Bearer {directory.staff(theirs)}"}
    assert (await directory.client.delete(path, headers=headers)).status_code == 403
    assert (await directory.client.get(path, headers=headers)).status_code == 200, "everybody may read it"
    headers = {"Authorization": f"Bearer {directory.staff(ours)}"}
    assert (await directory.client.delete(path, headers=headers)).status_code == 204


async def test_an_organisation_opens_parts_of_itself_and_speaks_for_them(directory: Directory) -> None:
    ours, theirs = await practice(directory), await practice(directory)
    part = unit(f"{ours}.unite", ours)
    assert (await directory.put(part, directory.staff(theirs))).status_code == 403
    for status in (201, 200):
        assert (await directory.put(part, directory.staff(ours))).status_code == status
    assert (await directory.put(entry("Location", part["id"]), directory.staff(ours))).status_code == 201
    alien = {"resourceType": "Organization", "id": unique("autre"), "name": "Autre"}
    assert (await directory.put(alien, directory.staff(ours))).status_code == 403


def unit(id_: str, whole: str) -> dict[str, Any]:
    """An organisation that says that it is a part of another."""
    part_of = {"reference": f"Organization/{whole}"}
    return {"resourceType": "Organization", "id": id_, "name": "Unité", "partOf": part_of}


class TestWhoSaysThatSomethingIsAPart:
    """Whoever speaks for the whole writes for its parts as well: an organisation that joined another by its own word would see
    whomever that one registers."""

    async def test_is_whoever_speaks_for_the_whole(self, directory: Directory) -> None:
        ours, theirs = await practice(directory), await practice(directory)
        new = unique("cabinet")
        for joining, token in (
            (unit(theirs, ours), directory.staff(theirs)),
            (unit(new, ours), directory.staff(new)),
            ({**unit(theirs, ours), "partOf": {"identifier": await numbered(directory, ours)}}, None),
        ):
            answer = await directory.put(joining, token or directory.staff(theirs))
            assert (answer.status_code, code(answer)) == (403, "not-yours"), answer.text
            assert answer.json()["issue"][0]["expression"] == ["Organization.partOf"]
        assert (await directory.put(unit(theirs, ours), directory.staff(ours, theirs))).status_code == 200

    async def test_the_part_goes_on_writing_its_own_entry_and_leaves(self, directory: Directory) -> None:
        ours, theirs = await practice(directory), await practice(directory)
        assert (await directory.put(unit(theirs, ours))).status_code == 200
        renamed = {**unit(theirs, ours), "name": "Autre"}
        for said in (renamed, without(renamed, "partOf")):
            assert (await directory.put(said, directory.staff(theirs))).status_code == 200
        assert (await directory.put(renamed, directory.staff(theirs))).status_code == 403, "nor again"


async def numbered(directory: Directory, organization: str) -> dict[str, Any]:
    """A number that an organisation gets, by which others may name it."""
    number = {"system": LOCAL, "value": unique("n")}
    said = {"resourceType": "Organization", "id": organization, "name": "Cabinet", "identifier": [number]}
    assert (await directory.put(said)).status_code == 200
    return number


class TestTheIdOfAPart:
    """A token may name an organisation that the directory does not have yet: who claimed its id as a part of theirs would
    speak for it."""

    async def test_is_not_anybody_elses(self, directory: Directory) -> None:
        """Neither by its address, nor by a search that finds nothing, nor in a transaction; nor one that only begins alike."""
        ours = await practice(directory)
        us = directory.staff(ours)
        headers = {"Authorization": f"Bearer {us}"}
        for claimed in (unique("cabinet"), f"{ours}1", f"{ours}-1", ours[:-1]):
            part = unit(claimed, ours)
            put = {"resource": part, "request": {"method": "PUT", "url": f"Organization/{claimed}"}}
            for answer in (
                await directory.put(part, us),
                await directory.client.put(
                    f"/fhir/Organization?identifier={claimed}", json=part, headers=headers
                ),
                await directory.client.post(
                    "/fhir",
                    json={"resourceType": "Bundle", "type": "transaction", "entry": [put]},
                    headers=headers,
                ),
            ):
                assert (answer.status_code, code(answer)) == (403, "not-yours"), answer.text
                assert "POST" in answer.text
                assert answer.json()["issue"][0]["expression"][-1].endswith("id")
            whose = await directory.put(entry("Location", claimed), us)
            assert whose.status_code == 403, "nor do they speak for it"

    async def test_is_the_servers(self, directory: Directory) -> None:
        """Posted alone or in a transaction."""
        ours = await practice(directory)
        headers = {"Authorization": f"Bearer {directory.staff(ours)}"}
        part = without(unit("", ours), "id")
        post = {
            "fullUrl": f"urn:uuid:{uuid4()}",
            "resource": part,
            "request": {"method": "POST", "url": "Organization"},
        }
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [post]}
        alone = await directory.client.post("/fhir/Organization", json=part, headers=headers)
        assert alone.status_code == 201, alone.text
        answer = await directory.client.post("/fhir", json=bundle, headers=headers)
        assert answer.status_code == 200, answer.text
        place = entry("Location", alone.json()["id"])
        assert (await directory.put(place, directory.staff(ours))).status_code == 201

    async def test_is_one_that_the_token_names(self, directory: Directory) -> None:
        ours, named = await practice(directory), unique("unite")
        assert (await directory.put(unit(named, ours), directory.staff(ours, named))).status_code == 201

    async def test_stays_theirs_when_the_entry_is_deleted(self, directory: Directory) -> None:
        ours, theirs = await practice(directory), await practice(directory)
        headers = {"Authorization": f"Bearer {directory.staff(theirs)}"}
        path = f"/fhir/Organization/{theirs}"
        assert (await directory.client.delete(path, headers=headers)).status_code == 204
        assert (await directory.put(unit(theirs, ours), directory.staff(ours))).status_code == 403


async def test_a_professional_is_bound_by_themselves_or_by_whom_entered_them(directory: Directory) -> None:
    """With a role for somebody else's professional, a practice could take that person's time."""
    ours, theirs = await practice(directory), await practice(directory)
    person = {"resourceType": "Practitioner", "id": unique("prat"), "name": [{"family": "Exemple"}]}
    assert (await directory.put(person, directory.staff(ours))).status_code == 201
    bound = {"practitioner": {"reference": f"Practitioner/{person['id']}"}}
    assert (
        await directory.put(entry("PractitionerRole", ours, **bound), directory.staff(ours))
    ).status_code == 201
    answer = await directory.put(entry("PractitionerRole", theirs, **bound), directory.staff(theirs))
    assert (answer.status_code, code(answer)) == (403, "not-yours")
    renamed = {**person, "name": [{"family": "Autre"}]}
    assert (await directory.put(renamed, directory.staff(theirs))).status_code == 403
    themselves = directory.staff(theirs, creneau_role="practitioner", creneau_practitioner=person["id"])
    assert (await directory.put(entry("PractitionerRole", theirs, **bound), themselves)).status_code == 201
    assert (await directory.put(renamed, themselves)).status_code == 200


@pytest.mark.parametrize(
    "over",
    [{"period": {"end": "2026-10-31"}}, {"active": False}, None],
    ids=["ended", "not in use", "deleted"],
)
async def test_whom_a_professional_has_left_gives_them_no_role_again(
    directory: Directory, over: dict[str, Any] | None
) -> None:
    """Neither that one nor another: it is theirs to come back. What stays over is the practice's to put right."""
    ours, theirs = await practice(directory), await practice(directory)
    person = {"resourceType": "Practitioner", "id": unique("prat"), "name": [{"family": "Exemple"}]}
    assert (await directory.put(person, directory.staff(ours))).status_code == 201
    themselves = directory.staff(theirs, creneau_role="practitioner", creneau_practitioner=person["id"])
    them = directory.staff(theirs)
    bound = {"practitioner": {"reference": f"Practitioner/{person['id']}"}}
    role = entry("PractitionerRole", theirs, **bound)
    assert (await directory.put(role, themselves)).status_code == 201
    extended = {**role, "period": {"end": "2027-12-31"}}
    assert (await directory.put(extended, them)).status_code == 200, "as long as they work there"
    if over is None:
        path = f"/fhir/PractitionerRole/{role['id']}"
        headers = {"Authorization": f"Bearer {themselves}"}
        assert (await directory.client.delete(path, headers=headers)).status_code == 204
    else:
        assert (await directory.put({**role, **over}, themselves)).status_code == 200
        corrected = {**role, **over, "telecom": [{"system": "phone", "value": "01 99 00 00 01"}]}
        assert (await directory.put(corrected, them)).status_code == 200
    for again in (role, extended, entry("PractitionerRole", theirs, **bound)):
        answer = await directory.put(again, them)
        assert (answer.status_code, code(answer)) == (403, "not-yours"), answer.text
    assert (await directory.put(role, themselves)).status_code in (200, 201)


async def delegated(directory: Directory, by: str, to: str, code_: str) -> None:
    """One organisation (id) lets another act for it: its own word, which the other is not asked about."""
    coding = {"system": "https://creneau.sante.fr/fhir/CodeSystem/delegation", "code": code_}
    said = {"participatingOrganization": {"reference": f"Organization/{to}"}, "code": [{"coding": [coding]}]}
    answer = await directory.put(
        entry("OrganizationAffiliation", by, active=True, **said), directory.staff(by)
    )
    assert answer.status_code == 201, answer.text


async def test_whom_a_practice_enters_is_not_of_those_that_delegate_to_it(directory: Directory) -> None:
    """They could change the person's entry, and who has its number speaks for where the person works."""
    ours, theirs = await practice(directory), await practice(directory)
    await delegated(directory, theirs, ours, "manage")
    person = {"resourceType": "Practitioner", "id": unique("prat"), "name": [{"family": "Exemple"}]}
    assert (await directory.put(person, directory.staff(ours))).status_code == 201
    renamed = {**person, "name": [{"family": "Autre"}]}
    assert (await directory.put(renamed, directory.staff(theirs))).status_code == 403
    assert (await directory.put(renamed, directory.staff(ours))).status_code == 200
    place = entry("Location", theirs)
    assert (await directory.put(place, directory.staff(ours))).status_code == 201, "what they delegated"
    assert (await directory.put(place, directory.staff(theirs))).status_code == 200


async def test_who_works_for_two_practices_says_for_which_they_enter_somebody(directory: Directory) -> None:
    """One of the two may have stated by itself that they work for it, by an entry with their number."""
    ours, theirs, number = await practice(directory), await practice(directory), a_number()
    bearing = {"resourceType": "Practitioner", "identifier": [{"system": RPPS, "value": number}]}
    doctor = directory.staff(creneau_role="practitioner", SubjectNameID=f"8{number}")
    for one, status in ((ours, 201), (theirs, 403)):
        entered = {**bearing, "id": unique("prat")}
        works = {"practitioner": {"reference": f"Practitioner/{entered['id']}"}}
        assert (await directory.put(entered)).status_code == 201, "as it was before each number had one entry"
        assert (await directory.put(entry("PractitionerRole", one, **works))).status_code == 201
        answer = await directory.put({"resourceType": "Practitioner", "id": unique("prat")}, doctor)
        assert answer.status_code == status, answer.text
    assert code(answer) == "no-practice"
    assert (await directory.put(entry("Location", ours), doctor)).status_code == 201, "which names it"


def entered_as(system: str, value: str, **more: Any) -> dict[str, Any]:
    numbered = [{"system": system, "value": value}]
    return {"resourceType": "Practitioner", "id": unique("prat"), "identifier": numbered, **more}


class TestOneEntryForAProfessional:
    """A national number means one entry in use: with a second, it would mean neither, the log-in of the person would be
    refused, and whoever enters one would choose where they work."""

    @pytest.mark.parametrize("system", [RPPS, NATIONAL_PERSON, RPPS_OF_BEFORE])
    async def test_a_second_one_is_refused_and_told_the_first(
        self, directory: Directory, system: str
    ) -> None:
        """By another practice and the same, in any spelling; its own is written again as ever."""
        ours, theirs, number = await practice(directory), await practice(directory), a_number()
        first = entered_as(RPPS, number)
        assert (await directory.put(first, directory.staff(ours))).status_code == 201
        for one in (ours, theirs):
            refused = await directory.put(entered_as(system, number), directory.staff(one))
            assert (refused.status_code, code(refused)) == (409, "professional-known"), refused.text
            assert f"Practitioner/{first['id']}" in refused.text
        renamed = {**first, "name": [{"family": "Exemple"}]}
        assert (await directory.put(renamed, directory.staff(ours))).status_code == 200

    async def test_of_two_at_once_one_is_entered(self, directory: Directory) -> None:
        one, number = await practice(directory), a_number()
        said = [entered_as(RPPS if n % 2 else NATIONAL_PERSON, number) for n in range(6)]
        answers = await asyncio.gather(*(directory.put(each, directory.staff(one)) for each in said))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]

    async def test_one_out_of_use_gives_way_and_does_not_come_back(self, directory: Directory) -> None:
        ours, theirs, number = await practice(directory), await practice(directory), a_number()
        gone = entered_as(RPPS, number, active=False)
        assert (await directory.put(gone, directory.staff(ours))).status_code == 201
        assert (await directory.put(entered_as(RPPS, number), directory.staff(theirs))).status_code == 201
        again = await directory.put({**gone, "active": True}, directory.staff(ours))
        assert (again.status_code, code(again)) == (409, "professional-known")

    async def test_two_of_before_are_lived_with(self, directory: Directory) -> None:
        """The deployment itself may enter a second one; who entered the first still writes it."""
        ours, number = await practice(directory), a_number()
        first = entered_as(RPPS, number)
        assert (await directory.put(first, directory.staff(ours))).status_code == 201
        assert (await directory.put(entered_as(RPPS, number))).status_code == 201
        renamed = {**first, "name": [{"family": "Exemple"}]}
        assert (await directory.put(renamed, directory.staff(ours))).status_code == 200


class TestWhatOthersRelyOn:
    """By a professional's national number, and by whether they are active, it is told who speaks for each practice where they
    work: whoever entered them is one of these at most."""

    async def working_at(
        self, directory: Directory, *practices: str, entered_by: str, **said: Any
    ) -> dict[str, Any]:
        """A professional, entered by one practice, with a role at each of these."""
        numbers = [{"system": RPPS, "value": a_number()}, {"system": LOCAL, "value": unique("n")}]
        person = {
            "resourceType": "Practitioner",
            "id": unique("prat"),
            "active": True,
            "identifier": numbers,
            "name": [{"family": "Exemple"}],
        }
        assert (await directory.put(person, directory.staff(entered_by))).status_code == 201
        for one in practices:
            role = entry(
                "PractitionerRole", one, practitioner={"reference": f"Practitioner/{person['id']}"}, **said
            )
            assert (await directory.put(role)).status_code == 201
        return person

    async def patched(
        self, directory: Directory, path: str, token: str, *operations: object
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json-patch+json"}
        return await directory.client.patch(f"/fhir/{path}", json=operations, headers=headers)

    @pytest.mark.parametrize("system", sorted(OF_PERSONS))
    async def test_a_number_is_not_added_by_whoever_entered_them(
        self, directory: Directory, system: str
    ) -> None:
        """Its bearer would speak for the other practice. By no way of writing: whole, in part, found, or in a transaction."""
        ours, theirs = await practice(directory), await practice(directory)
        person = await self.working_at(directory, ours, theirs, entered_by=theirs)
        them, path = directory.staff(theirs), f"Practitioner/{person['id']}"
        another = {"system": system, "value": a_number()}
        changed = {**person, "identifier": [*person["identifier"], another]}
        put = {"resource": changed, "request": {"method": "PUT", "url": path}}
        headers = {"Authorization": f"Bearer {them}"}
        condition = f"identifier={person['identifier'][1]['value']}"
        for answer in (
            await directory.put(changed, them),
            await self.patched(
                directory, path, them, {"op": "add", "path": "/identifier/-", "value": another}
            ),
            await directory.client.put(f"/fhir/Practitioner?{condition}", json=changed, headers=headers),
            await directory.client.post(
                "/fhir",
                json={"resourceType": "Bundle", "type": "transaction", "entry": [put]},
                headers=headers,
            ),
        ):
            assert (answer.status_code, code(answer)) == (403, "not-yours"), answer.text
            assert answer.json()["issue"][0]["expression"][-1].endswith("identifier")

    async def test_nor_are_they_made_inactive_or_deleted(self, directory: Directory) -> None:
        """At the other practice they would speak for nobody any more."""
        ours, theirs = await practice(directory), await practice(directory)
        person = await self.working_at(directory, ours, entered_by=theirs)
        them, path = directory.staff(theirs), f"Practitioner/{person['id']}"
        for answer in (
            await directory.put({**person, "active": False}, them),
            await self.patched(directory, path, them, {"op": "replace", "path": "/active", "value": False}),
        ):
            assert (answer.status_code, code(answer)) == (403, "not-yours"), answer.text
            assert answer.json()["issue"][0]["expression"] == ["Practitioner.active"]
        answer = await directory.client.delete(f"/fhir/{path}", headers={"Authorization": f"Bearer {them}"})
        assert (answer.status_code, code(answer)) == (409, "still-named")

    async def test_everything_else_stays_theirs_to_say(self, directory: Directory) -> None:
        ours, theirs = await practice(directory), await practice(directory)
        person = await self.working_at(directory, ours, entered_by=theirs)
        local = {"system": LOCAL, "value": unique("n")}
        said = {
            **person,
            "identifier": [{**person["identifier"][0], "use": "official"}, local],
            "name": [{"family": "Autre"}],
        }
        del said["active"]  # who says nothing of it is active
        assert (await directory.put(said, directory.staff(theirs))).status_code == 200

    @pytest.mark.parametrize(
        ("role", "status"),
        [
            ({"period": {"start": "2026-12-01"}}, 403),
            ({"period": {"end": "2026-11-30"}}, 403),
            ({"period": {"end": "2026-10-31"}}, 200),
            ({"active": False}, 200),
        ],
        ids=["to come", "not over", "over", "not in use"],
    )
    async def test_as_long_as_they_work_for_others(
        self, directory: Directory, role: dict[str, Any], status: int
    ) -> None:
        ours, theirs = await practice(directory), await practice(directory)
        person = await self.working_at(directory, ours, entered_by=theirs, **role)
        corrected = {**person, "identifier": [{"system": RPPS, "value": a_number()}]}
        assert (await directory.put(corrected, directory.staff(theirs))).status_code == status

    async def test_who_speaks_for_all_of_them_corrects_it(self, directory: Directory) -> None:
        """And the deployment itself."""
        ours, theirs = await practice(directory), await practice(directory)
        person = await self.working_at(directory, ours, theirs, entered_by=theirs)
        for token in (directory.staff(ours, theirs), None):
            corrected = {**person, "identifier": [{"system": RPPS, "value": a_number()}]}
            assert (await directory.put(corrected, token)).status_code == 200

    @pytest.mark.parametrize("claim", ["creneau_practitioner", "SubjectNameID"])
    async def test_nobody_changes_their_own_number(self, directory: Directory, claim: str) -> None:
        """With another's they would let that person speak for where they work, and go on when they have left."""
        ours = await practice(directory)
        person = await self.working_at(directory, ours, entered_by=ours)
        who = person["id"] if claim == "creneau_practitioner" else f"8{person['identifier'][0]['value']}"
        themselves = directory.staff(ours, creneau_role="practitioner", **{claim: who})
        another = {"system": RPPS, "value": a_number()}
        for numbers in ([*person["identifier"], another], [another], []):
            said = {**person, "identifier": numbers} if numbers else without(person, "identifier")
            answer = await directory.put(said, themselves)
            assert (answer.status_code, code(answer)) == (403, "not-yours"), answer.text
        renamed = {**person, "name": [{"family": "Autre"}]}
        assert (await directory.put(renamed, themselves)).status_code == 200

    async def test_who_has_a_role_before_an_entry_is_entered_by_none_but_those_for_whom_they_work(
        self, directory: Directory
    ) -> None:
        """A role may name who is not entered yet: whoever enters them says who speaks for that practice."""
        ours, theirs = await practice(directory), await practice(directory)
        id_ = unique("prat")
        role = entry("PractitionerRole", ours, practitioner={"reference": f"Practitioner/{id_}"})
        assert (await directory.put(role)).status_code == 201
        person = {
            "resourceType": "Practitioner",
            "id": id_,
            "identifier": [{"system": RPPS, "value": a_number()}],
        }
        answer = await directory.put(person, directory.staff(theirs))
        assert (answer.status_code, code(answer)) == (403, "not-yours")
        assert (await directory.put(person, directory.staff(ours))).status_code == 201

    def test_all_numbers_are_relied_on_by_which_a_token_finds_somebody(self) -> None:
        systems = {system for system, _ in numbers_named("899000000016")}
        assert {NATIONAL_PERSON, RPPS, "http://rpps.fr"} <= systems <= OF_PERSONS


LOCAL = "https://acme.example/annuaire"


def a_number() -> str:
    """An RPPS that nobody bears."""
    digits = f"1{uuid4().int % 10**9:09d}"
    return digits + luhn.calc_check_digit(digits)


def without(resource: dict[str, Any], element: str) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != element}


async def test_the_regulation_keeps_its_regulators(directory: Directory) -> None:
    """SAS INT_R02: it writes its own accounts, and nobody else's professionals."""
    ours = await practice(directory)
    regulation = directory.staff(creneau_role="regulator")
    person = account(unique("regulateur"))
    assert (await directory.put(person, regulation)).status_code == 201
    assert (await directory.put({**person, "active": False}, regulation)).status_code == 200
    assert (await directory.put({**person, "active": True}, directory.staff(ours))).status_code == 403
    doctor = {"resourceType": "Practitioner", "id": unique("prat"), "name": [{"family": "Exemple"}]}
    assert (await directory.put(doctor, directory.staff(ours))).status_code == 201
    assert (await directory.put({**doctor, "active": False}, regulation)).status_code == 403


async def test_a_patients_own_device_is_not_for_the_directory(directory: Directory) -> None:
    """Everybody reads it: what a person wears is nobody's business."""
    ours = await practice(directory)
    worn = entry("Device", ours, patient={"reference": "Patient/1"})
    answer = await directory.put(worn, directory.staff(ours))
    assert (answer.status_code, code(answer)) == (422, "patients-device")


class TestWhoIsNamedByANumber:
    """An identifier alone names whoever bears it, with all that follows from naming them."""

    SYSTEM = "https://acme.example/annuaire"

    async def bearer(
        self, directory: Directory, kind: str, token: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """An entry with a number of its own: how another may name it."""
        number = {"system": self.SYSTEM, "value": unique("n")}
        resource = {"resourceType": kind, "id": unique("porteur"), "identifier": [number], **more}
        answer = await directory.put(resource, token)
        assert answer.status_code == 201, answer.text
        return {"identifier": number, "reference": f"{kind}/{resource['id']}"}

    async def test_is_named_by_their_reference_too(self, directory: Directory) -> None:
        organization = await self.bearer(directory, "Organization", name="Cabinet")
        place = await self.bearer(directory, "Location", name="Lieu")
        doctor = await self.bearer(directory, "Practitioner")
        told = {"practitioner": doctor, "organization": organization, "location": [place]}
        role = {
            "resourceType": "PractitionerRole",
            "id": unique("role"),
            "practitioner": by_number(doctor),
            "organization": by_number(organization),
            "location": [by_number(place)],
        }
        for status in (201, 200):
            answer = await directory.put(role)
            assert answer.status_code == status, answer.text
            assert {name: answer.json()[name] for name in told} == told
        id_ = doctor["reference"].partition("/")[2]
        for path in (f"practitioner={id_}", f"practitioner.identifier={doctor['identifier']['value']}"):
            found = await directory.client.get(f"/fhir/PractitionerRole?{path}")
            assert [one["resource"]["id"] for one in found.json()["entry"]] == [role["id"]]

    async def test_a_stranger_is_given_no_role(self, directory: Directory) -> None:
        """With one their time could be taken, whether they are named by id or by number."""
        ours, theirs = await practice(directory), await practice(directory)
        doctor = await self.bearer(directory, "Practitioner", directory.staff(theirs))
        for named in (doctor, by_number(doctor)):
            answer = await directory.put(
                entry("PractitionerRole", ours, practitioner=named), directory.staff(ours)
            )
            assert answer.status_code == 403, answer.text

    async def test_what_nobody_bears_or_several_do_stays_as_it_is(self, directory: Directory) -> None:
        ours = await practice(directory)
        one, other = [await self.bearer(directory, "Practitioner", directory.staff(ours)) for _ in range(2)]
        other_id = other["reference"].partition("/")[2]
        twin = {"resourceType": "Practitioner", "id": other_id, "identifier": [one["identifier"]]}
        assert (await directory.put(twin, directory.staff(ours))).status_code == 200
        for number in (
            one["identifier"],
            {"system": self.SYSTEM, "value": unique("n")},
            {"value": unique("n")},
        ):
            named = {"identifier": number}
            answer = await directory.put(
                entry("PractitionerRole", ours, practitioner=named), directory.staff(ours)
            )
            assert answer.json()["practitioner"] == named


def by_number(named: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if name != "reference"}
