"""Checks 6.6.18 and 6.6.19 of the ROR: who asks, and what each sees of contacts and of sensitive units."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from services.directory.tests.conftest import Directory, opened
from services.directory.tests.ror import R200, R283, ROR, concept, offer, patients, said
from services.directory.tests.test_directory import unique

from creneau_directory.domain.ror.visibility import EVERYBODY, Viewer, seen_by
from creneau_directory.views import ROR_HEADERS
from creneau_shared.database.migrations import find_migrations, migrate


def telecom(number: str, level: str) -> dict[str, Any]:
    return {
        "extension": [
            said("ror-telecom-communication-channel", valueCodeableConcept=concept(R200, "2")),
            said("ror-telecom-confidentiality-level", valueCodeableConcept=concept(R283, level)),
        ],
        "system": "phone",
        "value": number,
    }


def contact(number: str, level: str) -> dict[str, Any]:
    inner = [
        said("ror-confidentiality-level", valueCodeableConcept=concept(R283, level)),
        {"url": "purposeContact", "valueCodeableConcept": concept("urn:r287", "06")},
        {"url": "name", "valueString": f"Accueil {number}"},
    ]
    return {"url": f"{ROR}ror-healthcareservice-contact", "extension": inner}


async def entered(directory: Directory, *, sensitive: bool) -> tuple[str, str]:
    """An organisation, and its offer with contacts of three levels: their ids."""
    practice, service = unique("org"), unique("offre")
    answer = await directory.put({"resourceType": "Organization", "id": practice, "name": "Centre"})
    assert answer.status_code == 201, answer.text
    resource = offer(
        service, f"52/{service}", "437", patients(0, 99),
        sensitive=sensitive, name=f"Unité {service}",
        providedBy={"reference": f"Organization/{practice}"},
        telecom=[telecom("0100000001", "1"), telecom("0100000002", "2"), telecom("0100000003", "3")],
        extension=[contact("libre", "1"), contact("restreint", "2")],
    )  # fmt: skip
    answer = await directory.put(resource)
    assert answer.status_code == 201, answer.text
    return practice, service


def as_(directory: Directory, who: str, practice: str = "other") -> dict[str, str]:
    """The Authorization of a caller."""
    token = {
        "own": lambda: directory.staff(practice),
        "professional": lambda: directory.staff("some-practice"),
        "patient": lambda: directory.staff(creneau_role="patient", scope="patient/*.rs user/*.rs"),
        "system": lambda: directory.staff(creneau_role="system"),
        "nobody": lambda: "",
    }[who]()
    return {"Authorization": f"Bearer {token}"} if token else {"Authorization": ""}


async def numbers(directory: Directory, path: str, headers: dict[str, str]) -> str:
    answer = await directory.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


async def every_page(directory: Directory, path: str, headers: dict[str, str]) -> str:
    """The same of a Bundle and of those that follow it."""
    text = await numbers(directory, path, headers)
    following = [link["url"] for link in orjson.loads(text).get("link", ()) if link["relation"] == "next"]
    for url in following:
        text += await every_page(directory, "/fhir" + url.partition("/fhir")[2], headers)
    return text


@pytest.mark.parametrize(
    "value", [{"valueCodeableConcept": {"text": "confidentiel"}}, {"valueInteger": 1}, {}]
)
def test_6_6_19_a_level_that_nobody_can_read_is_the_organisations_own(value: dict[str, Any]) -> None:
    """Said in words alone, also in what claims no profile."""
    stated = telecom("0100000001", "1")
    stated["extension"][1] = said("ror-telecom-confidentiality-level", **value)
    organization = {
        "resourceType": "Organization",
        "id": "o",
        "telecom": [telecom("0100000002", "1"), stated],
    }
    for viewer in (EVERYBODY, Viewer(cares=True)):
        assert [one["value"] for one in seen_by(viewer, organization)["telecom"]] == ["0100000002"]
    assert seen_by(Viewer(organizations=frozenset({"o"})), organization) == organization


@pytest.mark.parametrize(
    ("who", "levels"),
    [("nobody", "1"), ("patient", "1"), ("professional", "12"), ("own", "123"), ("system", "123")],
)
async def test_6_6_19_contacts_by_their_level(directory: Directory, who: str, levels: str) -> None:
    """Read, searched, included, in a history: a contact is shown to those who may see its level, to nobody else."""
    practice, service = await entered(directory, sensitive=False)
    headers = as_(directory, who, practice)
    for path in (
        f"/fhir/HealthcareService/{service}",
        f"/fhir/HealthcareService/{service}/_history/1",
        f"/fhir/HealthcareService/{service}/_history",
        f"/fhir/HealthcareService?_id={service}",
        f"/fhir/Organization?_id={practice}&_revinclude=HealthcareService:organization",
    ):
        text = await numbers(directory, path, headers)
        assert {level for level in "123" if f"010000000{level}" in text} == set(levels), path
        assert ("Accueil restreint" in text) is ("2" in levels), path


async def test_6_6_19_a_confidential_contact_is_found_by_nobody_and_told_to_nobody(
    directory: Directory,
) -> None:
    """Neither by its words nor in the events, which others show to everybody."""
    _, service = await entered(directory, sensitive=False)
    assert await directory.ids("HealthcareService", _content="restreint", _id=service) == []
    assert await directory.ids("HealthcareService", _content="libre", _id=service) == [service]
    [told] = await directory.told(f"HealthcareService/{service}")
    assert told is not None
    assert b"0100000001" in told
    assert b"0100000002" not in told


@pytest.mark.parametrize(
    ("who", "sees"),
    [("nobody", False), ("patient", False), ("professional", False), ("own", True), ("system", True)],
)
async def test_6_6_19_sensitive_units(directory: Directory, who: str, sees: bool) -> None:
    """To all but the entitled: its id and nothing else, found by no search, led to by no include and no chain."""
    practice, service = await entered(directory, sensitive=True)
    headers = as_(directory, who, practice)
    role: dict[str, Any] = {
        "resourceType": "PractitionerRole",
        "id": unique("role"),
        "healthcareService": [{"reference": f"HealthcareService/{service}"}],
    }
    await directory.put(role)
    for path in (
        f"/fhir/HealthcareService?_id={service}",
        f"/fhir/HealthcareService?name=Unité {service}",
        f"/fhir/Organization?_id={practice}&_revinclude=HealthcareService:organization",
        f"/fhir/PractitionerRole?_id={role['id']}&_include=PractitionerRole:service",
    ):
        text = await numbers(directory, path, headers)
        assert (f'"name":"Unité {service}"' in text) is sees, path
        assert (f'"id":"{service}"' in text) is sees, path
    chained = await numbers(directory, f"/fhir/PractitionerRole?service.name=Unité {service}", headers)
    assert (role["id"] in chained) is sees
    read = orjson.loads(await numbers(directory, f"/fhir/HealthcareService/{service}", headers))
    assert ("name" in read) is sees
    assert read["id"] == service
    if not sees:
        assert set(read) == {"resourceType", "id", "meta", "extension"}
    past = await numbers(directory, f"/fhir/HealthcareService/{service}/_history", headers)
    assert (f"Unité {service}" in past) is sees


async def test_6_6_19_a_sensitive_unit_is_told_without_what_it_does(directory: Directory) -> None:
    """Other services learn whose it is, no more."""
    practice, service = await entered(directory, sensitive=True)
    [told] = await directory.told(f"HealthcareService/{service}")
    resource = orjson.loads(told or b"null")["resource"]
    assert resource["providedBy"] == {"reference": f"Organization/{practice}"}
    assert not {"name", "specialty", "telecom", "characteristic"} & set(resource)


async def test_6_6_18_where_it_is_demanded_the_ror_knows_who_asks(postgres_server: Any) -> None:
    """With ROR_HEADERS_REQUIRED: 401 without a token, 403 that names what is missing of the four headers, then the answer."""
    url = postgres_server.create_database("directory_ror_headers")
    leading_there = (
        "Device?_include=Device:organization",
        "Device?organization.name=Urgences",
        "Endpoint?_revinclude=Organization:endpoint",
        "OrganizationAffiliation?_include=OrganizationAffiliation:primary-organization",
    )
    await migrate(find_migrations("creneau_directory"), url)
    async with opened(url, ror_headers_required=True) as directory:
        answer = await directory.client.get("/fhir/HealthcareService", headers={"Authorization": ""})
        assert answer.status_code == 401, answer.text
        answer = await directory.client.get("/fhir/HealthcareService", headers={ROR_HEADERS[0]: "CU22"})
        assert answer.status_code == 403
        assert ROR_HEADERS[3] in answer.json()["issue"][0]["details"]["text"]
        said = dict(
            zip(
                ROR_HEADERS,
                ("CU22", "1.2.250.1.213.1.6.1.66", "AUTOMATE", "1.2.250.1.213.1.1.4.6"),
                strict=True,
            )
        )
        assert (await directory.client.get("/fhir/HealthcareService", headers=said)).status_code == 200
        for path in leading_there:
            unknown = await directory.client.get(f"/fhir/{path}", headers={"Authorization": ""})
            assert unknown.status_code == 401, path
            assert (await directory.client.get(f"/fhir/{path}", headers=said)).status_code == 200, path
        made = await directory.client.post(
            "/fhir/HealthcareService", json={"resourceType": "HealthcareService", "name": "Urgences"}
        )
        address = f"/fhir/HealthcareService/{made.json()['id']}"
        for by_id in (address, f"{address}/_history/1", f"{address}/_history"):
            assert (await directory.client.get(by_id, headers={"Authorization": ""})).status_code == 401, (
                by_id
            )
            assert (await directory.client.get(by_id)).status_code == 403, by_id
            assert (await directory.client.get(by_id, headers=said)).status_code == 200, by_id


async def test_6_6_19_no_condition_asks_what_a_sensitive_unit_is(directory: Directory) -> None:
    """A conditional interaction designates what its caller's search finds: otherwise its answer would tell another practice
    what it may not read."""
    practice, service = await entered(directory, sensitive=True)
    stranger, own = as_(directory, "professional"), as_(directory, "own", practice)
    guess = {"_id": service, "name": f"Unité {service}", "specialty": "437"}
    wrong = {**guess, "specialty": "999"}
    change = [{"op": "add", "path": "/comment", "value": "fermé le lundi"}]

    async def asked(method: str, query: dict[str, str], body: Any, headers: dict[str, str]) -> int:
        kind = {"Content-Type": "application/json-patch+json"} if method == "PATCH" else {}
        content = orjson.dumps(body) if body is not None else None
        answer = await directory.client.request(
            method, "/fhir/HealthcareService", params=query, content=content, headers={**headers, **kind}
        )
        return answer.status_code

    assert (
        await asked("PATCH", guess, change, stranger) == await asked("PATCH", wrong, change, stranger) == 404
    )
    assert await asked("DELETE", guess, None, stranger) == await asked("DELETE", wrong, None, stranger) == 204
    assert await asked("PATCH", guess, change, own) == 200


async def test_6_6_19_what_becomes_sensitive_was_so(directory: Directory) -> None:
    """Earlier versions tell no more of a unit than the present one may: it is declared so because it never ought to have
    been shown."""
    practice, service = await entered(directory, sensitive=False)
    before = (await directory.client.get(f"/fhir/HealthcareService/{service}")).json()
    flag = f"{ROR}ror-healthcareservice-sensitive-unit"
    extension = [{**one, "valueBoolean": True} if one["url"] == flag else one for one in before["extension"]]
    answer = await directory.put({**before, "extension": extension})
    assert answer.status_code == 200, answer.text
    for who, sees in (("nobody", False), ("professional", False), ("own", True), ("system", True)):
        for path in (
            f"/fhir/HealthcareService/{service}/_history/1",
            f"/fhir/HealthcareService/{service}/_history",
            "/fhir/HealthcareService/_history?_count=500",
            "/fhir/_history?_count=500",
        ):
            text = await every_page(directory, path, as_(directory, who, practice))
            assert (f"Unité {service}" in text) is sees, (who, path)
            assert f'"id":"{service}"' in text


async def test_6_6_19_checking_a_sensitive_unit_tells_nothing_of_it(directory: Directory) -> None:
    """`$validate` of what is stored judges what its caller may read of it."""
    practice, whole = await entered(directory, sensitive=True)
    bare = unique("offre")
    flag = said("ror-healthcareservice-sensitive-unit", valueBoolean=True)
    unit = {
        "resourceType": "HealthcareService",
        "id": bare,
        "extension": [flag],
        "providedBy": {"reference": f"Organization/{practice}"},
    }
    assert (await directory.put(unit)).status_code == 201

    async def judged(id_: str, who: str) -> list[str]:
        path = f"/fhir/HealthcareService/{id_}/$validate?profile={ROR}ror-healthcareservice"
        outcome = orjson.loads(await numbers(directory, path, as_(directory, who, practice)))
        return sorted(str(issue.get("expression")) for issue in outcome["issue"])

    for stranger in ("nobody", "professional"):
        assert await judged(whole, stranger) == await judged(bare, stranger)
    assert await judged(whole, "own") != await judged(bare, "own")


@pytest.mark.parametrize(
    ("who", "levels"),
    [("nobody", "1"), ("patient", "1"), ("professional", "12"), ("own", "1234"), ("system", "1234")],
)
async def test_a_contact_that_becomes_confidential_was_so(
    directory: Directory, who: str, levels: str
) -> None:
    """What the present version withholds, or one in between withheld, earlier versions tell to nobody either, however it was
    written; what is open again is open."""
    practice, service = unique("org"), unique("offre")
    await directory.put({"resourceType": "Organization", "id": practice, "name": "Centre"})

    async def says(*telecoms: dict[str, Any], contacts: str, **more: Any) -> None:
        resource = offer(
            service, f"52/{service}", "437", patients(0, 99), sensitive=False, name=f"Unité {service}",
            providedBy={"reference": f"Organization/{practice}"},
            telecom=list(telecoms), extension=[contact("restreint", contacts)], **more,
        )  # fmt: skip
        answer = await directory.put(resource)
        assert answer.status_code in (200, 201), answer.text

    plain = {**telecom("01 00 00 00 03", "1"), "use": "work"}
    open_ones = [telecom(f"010000000{level}", "1") for level in "124"]
    await says(*open_ones, plain, contacts="1")
    await says(*(telecom(f"010000000{level}", level) for level in "1234"), contacts="2")
    # Level 4 is no longer said at all; of the first nothing was ever withheld, and the second is withheld now.
    await says(
        telecom("0100000001", "1"), telecom("0100000002", "2"), telecom("0100000003", "3"), contacts="2"
    )
    for path in (
        f"/fhir/HealthcareService/{service}/_history/1",
        f"/fhir/HealthcareService/{service}/_history/2",
        f"/fhir/HealthcareService/{service}/_history",
        "/fhir/HealthcareService/_history?_count=500",
    ):
        text = (await numbers(directory, path, as_(directory, who, practice))).replace(
            "01 00 00 00 0", "010000000"
        )
        found = {level for level in "1234" if f'010000000{level}"' in text and service in text}
        if "?" not in path:
            assert found == set(levels), path
            assert ("Accueil restreint" in text) is ("2" in levels), path
    await says(telecom("0100000002", "1"), contacts="1")
    text = await numbers(
        directory, f"/fhir/HealthcareService/{service}/_history/1", as_(directory, who, practice)
    )
    assert "0100000002" in text, "open again"
    assert "Accueil restreint" in text, "open again"


async def test_a_sensitive_unit_that_is_deleted_stays_one(directory: Directory) -> None:
    """Its versions from before it was declared so, too."""
    _, service = await entered(directory, sensitive=False)
    before = (await directory.client.get(f"/fhir/HealthcareService/{service}")).json()
    flag = f"{ROR}ror-healthcareservice-sensitive-unit"
    extension = [{**one, "valueBoolean": True} if one["url"] == flag else one for one in before["extension"]]
    assert (await directory.put({**before, "extension": extension})).status_code == 200
    assert (await directory.client.delete(f"/fhir/HealthcareService/{service}")).status_code == 204
    for version in ("", "/1", "/2"):
        text = await numbers_or_gone(directory, f"/fhir/HealthcareService/{service}/_history{version}")
        assert f"Unité {service}" not in text


async def numbers_or_gone(directory: Directory, path: str) -> str:
    return (await directory.client.get(path, headers=as_(directory, "nobody"))).text


async def test_what_becomes_sensitive_is_told_without_what_it_did(directory: Directory) -> None:
    """The event by which others learn of the change has taken the place of the one that said more (a compacted topic)."""
    _, service = await entered(directory, sensitive=False)
    before = (await directory.client.get(f"/fhir/HealthcareService/{service}")).json()
    flag = f"{ROR}ror-healthcareservice-sensitive-unit"
    for value, open_ in ((True, False), (False, True)):
        extension = [
            {**one, "valueBoolean": value} if one["url"] == flag else one for one in before["extension"]
        ]
        assert (await directory.put({**before, "extension": extension})).status_code == 200
        told = orjson.loads((await directory.told(f"HealthcareService/{service}"))[-1] or b"null")["resource"]
        assert ("name" in told) is open_
