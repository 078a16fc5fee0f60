"""Every official R4 example of every type that is served is accepted and comes back as it was."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import canonicalize

import httpx
import pytest

from creneau_shared.fhir.json import loads
from tests.conformance.builders import JSON, XML
from tests.fixtures.broker import REPOSITORY

EXAMPLES = REPOSITORY.parent / "shared" / "fhir" / "r4"
ORDER = (
    *(
        "Organization",
        "Endpoint",
        "Location",
        "Practitioner",
        "HealthcareService",
        "PractitionerRole",
        "Patient",
    ),
    *("RelatedPerson", "Schedule", "Slot", "Appointment", "AppointmentResponse"),
)
"""What another refers to stands before it."""

pytestmark = pytest.mark.official


def _examples() -> list[Path]:
    return [path for name in ORDER for path in sorted(EXAMPLES.glob(f"{name}/*.json"))]


def _known(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource without what a server gives (id stays: it is the client's)."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    rest = {name: value for name, value in resource.items() if name != "meta"}
    return {**rest, "meta": meta} if meta else rest


def _semantic(resource: dict[str, Any]) -> dict[str, Any]:
    """The same with its narrative in canonical XML: entities, quotes and the order of attributes mean nothing."""
    known = _known(resource)
    if "text" in known:
        div = re.sub(
            r"&(?!amp;|lt;|gt;|quot;|apos;)\w+;",
            lambda entity: html.unescape(entity[0]),
            known["text"]["div"],
        )
        known["text"] = {**known["text"], "div": canonicalize(div, strip_text=False)}
    return known


def test_every_type_with_examples_is_covered(shared_folder: Path, system: httpx.Client) -> None:
    """A type that is served and has examples must be in ORDER."""
    served = {resource["type"] for resource in system.get("/metadata").json()["rest"][0]["resource"]}
    with_examples = {path.name for path in (shared_folder / "fhir" / "r4").iterdir() if path.is_dir()}
    assert served & with_examples <= set(ORDER)
    assert _examples()


@pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="the official examples are not beside the repository (../shared)"
)
@pytest.mark.parametrize("path", _examples(), ids=lambda path: path.stem)
def test_official_example_round_trips(system: httpx.Client, path: Path) -> None:
    """Accepted by PUT, equal in JSON; equal again after a way through XML and back."""
    content = path.read_bytes()
    original = loads(content)
    address = f"/{original['resourceType']}/{original['id']}"

    stored = system.put(address, content=content, headers={"Content-Type": JSON})
    assert stored.status_code in (200, 201), stored.text
    assert _known(loads(system.get(address).content)) == _known(original)

    as_xml = system.get(address, headers={"Accept": XML})
    assert as_xml.headers["Content-Type"].startswith(XML)
    again = system.put(address, content=as_xml.content, headers={"Content-Type": XML})
    assert again.status_code == 200, again.text
    assert _semantic(loads(system.get(address).content)) == _semantic(original)
