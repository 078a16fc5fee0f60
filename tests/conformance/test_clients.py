"""Three independent clients against the running gateway: each creates, searches, pages, includes, updates with a stale
version, patches and deletes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import fhirpy
import pytest
import requests
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.organization import Organization
from fhirclient.models.schedule import Schedule
from fhirclient.models.slot import Slot
from fhirclient.server import FHIRServer
from fhirpy.base.exceptions import MultipleResourcesFound, ResourceNotFound

from tests.conformance.builders import JSON_PATCH, SYSTEM, next_day, organization, schedule, slot, unique
from tests.fixtures.broker import REPOSITORY
from tests.fixtures.stack import Stack

JS = Path(__file__).parent / "js"
MODULES = REPOSITORY / ".creneau" / "conformance-js"
STEPS = ("create", "search", "page", "include", "update with a stale version", "patch", "delete")


def test_fhirpy(stack: Stack) -> None:
    def client(**headers: str) -> Any:
        authorization = f"Bearer {stack.token('system')}"
        return fhirpy.SyncFHIRClient(stack.fhir, authorization=authorization, extra_headers=headers or None)

    value, plain = unique(), client()
    parent = plain.resource("Organization", **organization(value))
    parent.save()
    child = plain.resource("Organization", **organization(value, partOf=parent.to_reference()))
    child.save()
    assert (child["meta"]["versionId"], child.id != parent.id) == ("1", True)

    search = plain.resources("Organization").search(identifier=f"{SYSTEM}|{value}")
    assert search.count() == 2
    assert [o.id for o in search.limit(1).fetch_all()] == [parent.id, child.id], "page by page"
    bundle = (
        plain.resources("Organization").search(_id=child.id).include("Organization", "partof").fetch_raw()
    )
    assert {e["search"]["mode"]: e["resource"]["id"] for e in bundle["entry"]} == {
        "match": child.id,
        "include": parent.id,
    }

    child["name"] = "Deuxième"
    child.save()
    assert child["meta"]["versionId"] == "2"
    stale = client(**{"If-Match": 'W/"1"'})
    with pytest.raises(MultipleResourcesFound):  # what fhirpy calls every 412
        stale.resource("Organization", **child.serialize()).save()
    operations = [{"op": "replace", "path": "/name", "value": "Corrigé"}]
    patched = client(**{"Content-Type": JSON_PATCH}).execute(
        f"Organization/{child.id}", method="patch", data=operations
    )
    assert patched["name"] == "Corrigé"

    child.delete()
    with pytest.raises(ResourceNotFound):
        plain.reference("Organization", child.id).to_resource()


def test_fhirclient(stack: Stack) -> None:
    server = FHIRServer(None, base_uri=stack.fhir)
    server.session.headers["Authorization"] = f"Bearer {stack.token('system')}"
    assert server.capabilityStatement.fhirVersion == "4.0.1"

    agenda = Schedule(schedule(f"Practitioner/{unique()}"))
    agenda_id = agenda.create(server)["id"]
    day = next_day()
    for hour in range(3):
        body = slot(agenda_id, day.replace(hour=8 + hour))
        assert Slot(body).create(server)["meta"]["versionId"] == "1"

    own = {"schedule": f"Schedule/{agenda_id}"}
    slots = list(Slot.where(own).perform_resources_iter(server))
    assert [s.start.isostring[11:13] for s in slots] == ["08", "09", "10"]
    pages = list(Slot.where({**own, "_count": "2"}).perform_iter(server))
    assert [len(page.entry) for page in pages] == [2, 1]
    with_agenda = list(Slot.where(own).include("schedule").perform_resources_iter(server))
    assert [r.id for r in with_agenda if r.resource_type == "Schedule"] == [agenda_id]

    stored = Organization.read(Organization(organization()).create(server)["id"], server)
    stored.partOf = FHIRReference({"display": "Groupe fictif"})
    assert stored.update(server)["meta"]["versionId"] == "2"
    server.session.headers["If-Match"] = 'W/"1"'
    with pytest.raises(requests.HTTPError, match="412"):
        stored.update(server)
    server.session.headers["If-Match"] = 'W/"2"'
    address = f"{stack.fhir}/{stored.relativePath()}"
    patched = server.session.patch(
        address,
        json=[{"op": "replace", "path": "/name", "value": "Corrigé"}],
        headers={"Content-Type": JSON_PATCH},
    )
    assert (patched.status_code, patched.json()["name"]) == (200, "Corrigé")
    del server.session.headers["If-Match"]
    stored.delete(server)
    with pytest.raises(requests.HTTPError, match="410"):
        Organization.read(stored.id, server)


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """The JavaScript client's packages, installed once and kept in `.creneau` until the lock changes."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("the JavaScript client needs node and npm, which are not installed here")
    lock = (JS / "package-lock.json").read_bytes()
    folder = MODULES / hashlib.sha256(lock).hexdigest()[:16]
    if (folder / "node_modules").is_dir():
        return folder
    draft = folder.with_name(f"{folder.name}.{unique()}")
    draft.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(JS / name, draft)
    argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(argv, cwd=draft, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        shutil.rmtree(draft)
        pytest.skip(f"the JavaScript client cannot be installed here: {done.stderr.strip()[-300:]}")
    try:
        draft.rename(folder)
    except OSError:  # another run was quicker
        shutil.rmtree(draft)
    return folder


def test_fhir_kit_client(stack: Stack, node_modules: Path) -> None:
    program = shutil.copy(JS / "client.mjs", node_modules)
    argv = ["node", str(program), stack.fhir, stack.token("system")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"ok {step}" for step in STEPS]
