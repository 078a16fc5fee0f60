"""What somebody writes of themselves can be read again, in JSON and XML, by them and by everybody else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import patient, slot, unique
from services.booking.tests.practice import Agenda

from creneau_shared.fhir.xml import to_xml

XML = "application/fhir+xml"


def nested(levels: int) -> dict[str, Any]:
    """Extensions within each other, so many."""
    extension: dict[str, Any] = {"url": "urn:x", "valueString": "x"}
    for _ in range(levels - 1):
        extension = {"url": "urn:x", "extension": [extension]}
    return extension


def named(*extensions: dict[str, Any]) -> dict[str, Any]:
    """A Patient as an account may write it of itself."""
    return patient(name=[{"family": "Exemple", "extension": list(extensions)}])


async def in_xml(
    callers: Callers, subject: str, path: str, resource: dict[str, Any] | None
) -> httpx.Response:
    """A request that is answered in XML; with a resource, a POST of it in XML."""
    token = callers.issuer.token("patient", subject)
    return await callers.client.request(
        "GET" if resource is None else "POST",
        f"/fhir/{path}",
        content=None if resource is None else to_xml(resource),
        headers={"Authorization": f"Bearer {token}", "Accept": XML, "Content-Type": XML},
    )


async def test_nothing_is_stored_that_is_too_deep_to_be_read(callers: Callers) -> None:
    """XML counts elements where JSON counts objects and lists, and a patch adds to what is there."""
    subject = unique("profond")
    refused = await in_xml(callers, subject, "Patient", named(nested(45)))
    assert refused.status_code == 422
    assert b"Patient.name[0].extension[0]" in refused.content

    written = await in_xml(callers, subject, "Patient", named(nested(43)))
    assert written.status_code == 201, written.text
    account: Caller = callers.patient(subject=subject)
    page = await account.get("Patient")
    [id_] = [entry["resource"]["id"] for entry in page.json()["entry"]]
    assert (await in_xml(callers, subject, "Patient", None)).status_code == 200

    deepest = "/name/0" + "/extension/0" * 43
    added = await account.patch(f"Patient/{id_}", [
        {"op": "remove", "path": f"{deepest}/valueString"},
        {"op": "add", "path": f"{deepest}/extension", "value": [nested(1)]},
    ])  # fmt: skip
    assert (added.status_code, code(added)) == (422, "nesting")


async def test_an_extension_says_by_its_url_what_it_is(callers: Callers) -> None:
    """In XML the url is an attribute, which holds no extensions: who gives these alone made every page in XML a 500."""
    account = callers.patient(subject=unique("compte"))
    beside = {"extension": [{"url": "urn:x", "valueString": "x"}]}
    refused = await account.post("Patient", named({"_url": beside, "valueString": "x"}))
    assert (refused.status_code, code(refused)) == (400, "attribute-extended")


@pytest.mark.parametrize("name", ["start", "end", "status"])
async def test_a_slot_says_when_and_whether(callers: Callers, agenda: Agenda, name: str) -> None:
    """Alone, and in a feed, whose other slots are not to blame."""
    written = slot(unique("nodate"), agenda.id, agenda.at(0))
    del written[name]
    written[f"_{name}"] = {"extension": [{"url": "urn:x", "valueString": "x"}]}
    software = callers.software()
    alone = await software.put(f"Slot/{written['id']}", written)
    fed = await software.post(
        f"Schedule/{agenda.id}/$sync-slots",
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": written}]},
    )
    for answer in (alone, fed):
        assert (answer.status_code, code(answer)) == (422, "value-needed")
