"""Nothing in the directory is left naming what is no longer there."""

from __future__ import annotations

from typing import Any

import pytest
from services.directory.tests.conftest import Directory
from services.directory.tests.test_practices import MORE, a_number, code, unique

from creneau_shared.fhir.storage.store import Resource

NAMED = [
    ("Organization", "Organization", {"partOf": "{}"}),
    ("Organization", "PractitionerRole", {"organization": "{}"}),
    ("Organization", "Location", {"managingOrganization": "{}"}),
    ("Organization", "OrganizationAffiliation", {"participatingOrganization": "{}"}),
    ("Organization", "Device", {"owner": "{}"}),
    ("Practitioner", "PractitionerRole", {"practitioner": "{}"}),
    ("Location", "PractitionerRole", {"location": ["{}"]}),
    ("Location", "HealthcareService", {"location": ["{}"]}),
    ("Location", "Location", {"partOf": "{}"}),
    ("Location", "Device", {"location": "{}"}),
    ("HealthcareService", "PractitionerRole", {"healthcareService": ["{}"]}),
    ("Endpoint", "Organization", {"endpoint": ["{}"]}),
]


def naming(members: dict[str, Any], reference: str) -> dict[str, Any]:
    def filled(value: Any) -> Any:
        return [filled(one) for one in value] if isinstance(value, list) else {"reference": reference}

    return {element: filled(value) for element, value in members.items()}


@pytest.mark.parametrize(("kind", "other", "members"), NAMED, ids=lambda value: str(value)[:40])
async def test_what_others_name_is_not_deleted(
    directory: Directory, kind: str, other: str, members: dict[str, Any]
) -> None:
    """409 that names them; it can be deleted once they are gone, or name another."""
    named = {"resourceType": kind, "id": unique("nomme"), **MORE.get(kind, {"name": "Exemple"})}
    if kind == "Practitioner":
        named["name"] = [{"family": "Exemple"}]
    assert (await directory.put(named)).status_code == 201
    naming_it = naming(members, f"{kind}/{named['id']}")
    names = {"resourceType": other, "id": unique("nommant"), **MORE.get(other, {}), **naming_it}
    if other == "Organization":
        names["name"] = "Exemple"
    assert (await directory.put(names)).status_code == 201
    told = len(await directory.told(f"{kind}/{named['id']}"))
    refused = await directory.client.delete(f"/fhir/{kind}/{named['id']}")
    assert (refused.status_code, code(refused)) == (409, "still-named")
    assert f"{other}/{names['id']}" in refused.json()["issue"][0]["details"]["text"]
    assert len(await directory.told(f"{kind}/{named['id']}")) == told
    assert (await directory.client.get(f"/fhir/{kind}/{named['id']}")).status_code == 200
    assert (await directory.client.delete(f"/fhir/{other}/{names['id']}")).status_code == 204
    assert (await directory.client.delete(f"/fhir/{kind}/{named['id']}")).status_code == 204


async def test_both_go_in_one_transaction_the_one_that_names_first(directory: Directory) -> None:
    person = {"resourceType": "Practitioner", "id": unique("prat"), "name": [{"family": "Exemple"}]}
    role = {
        "resourceType": "PractitionerRole",
        "id": unique("role"),
        "practitioner": {"reference": f"Practitioner/{person['id']}"},
    }
    for resource in (person, role):
        assert (await directory.put(resource)).status_code == 201
    urls = [f"PractitionerRole/{role['id']}", f"Practitioner/{person['id']}"]
    entry = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    answer = await directory.client.post(
        "/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entry}
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("kept", "named"),
    [
        ("http://rpps.fr|{}", "https://rpps.esante.gouv.fr|{}"),
        ("http://rpps.fr|{}", "urn:oid:1.2.250.1.71.4.2.1|8{}"),
        ("urn:oid:1.2.250.1.71.4.2.1|8{}", "http://rpps.fr|{}"),
    ],
)
async def test_a_professional_is_found_by_every_spelling_of_their_number(
    directory: Directory, kept: str, named: str
) -> None:
    number = a_number()
    (system, value), (asked, said) = (text.format(number).split("|") for text in (kept, named))
    person = {"resourceType": "Practitioner", "id": unique("prat"), "name": [{"family": "Exemple"}]}
    person["identifier"] = [{"system": system, "value": value}]
    assert (await directory.put(person)).status_code == 201
    found = await directory.client.get("/fhir/Practitioner", params={"identifier": f"{asked}|{said}"})
    assert [entry["resource"]["id"] for entry in found.json()["entry"]] == [person["id"]]
    role: Resource = {"resourceType": "PractitionerRole", "id": unique("exercice")}
    role["practitioner"] = {"identifier": {"system": asked, "value": said}}
    kept_role = (await directory.put(role)).json()
    assert kept_role["practitioner"]["reference"] == f"Practitioner/{person['id']}"
