"""What the SAS tests are asked about: the official example's graph and our own, stored as publishers would."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from deploy.demo import sas as demo
from deploy.demo.identifiers import rpps

from tests.conformance.builders import Resource
from tests.fixtures.stack import Stack

EXAMPLES = Path(__file__).parents[3] / "shared" / "fhir" / "sas" / "examples"
DIRECTORY_TYPES = (
    "Organization",
    "Location",
    "HealthcareService",
    "Practitioner",
    "PractitionerRole",
    "Device",
)
NATIONAL = "urn:oid:1.2.250.1.71.4.2.1"
VERBATIM = (
    "_include=Slot:schedule&_include:iterate=Schedule:actor&start={start}&start={end}"
    "&schedule.actor:Practitioner.identifier={whom}&status=free"
)
"""The query of the specification (« Critères de recherche »), its values left open."""


@dataclass(frozen=True)
class RawAnswer:
    """An answer to a request whose address went out byte for byte."""

    status: int
    content_type: str
    body: Resource


class Sas:
    """The aggregator: asks as it does, raw addresses included."""

    def __init__(self, stack: Stack) -> None:
        self.base = stack.fhir
        self._entrance = urlsplit(stack.url).netloc
        self._token = stack.token("regulator")

    def get(
        self, query: str, path: str = "/fhir/Slot", accept: str | None = "application/json+fhir"
    ) -> RawAnswer:
        """GET with the query exactly as given: nothing is encoded or put in order on the way."""
        connection = HTTPConnection(self._entrance, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self._token}", **({"Accept": accept} if accept else {})}
            connection.request("GET", f"{path}?{query}", headers=headers)
            answer: HTTPResponse = connection.getresponse()
            body = answer.read().decode("utf-8")
            return RawAnswer(answer.status, answer.getheader("Content-Type", ""), json.loads(body))
        finally:
            connection.close()

    def ask(self, numbers: list[str]) -> Resource:
        """The Bundle for practitioners, from now on."""
        answer = self.get(query(numbers))
        assert answer.status == 200, answer.body
        return answer.body


def query(numbers: list[str], *, start: str | None = None, end: str | None = None) -> str:
    """The verbatim query, percent-encoded as the aggregator does, for four days or for a given window."""
    now = datetime.now(UTC)
    return VERBATIM.format(
        start=f"ge{start or encoded(now)}",
        end=f"le{end or encoded(now + timedelta(days=4))}",
        whom=",".join(f"{NATIONAL}%7C{number}" for number in numbers),
    )


def encoded(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+", "%2B")


def put(client: httpx.Client, stack: Stack, resource: Resource) -> None:
    """Publish one resource under its id; the directory's reach booking as its events would bring them."""
    kind = resource["resourceType"]
    answer = client.put(f"/{kind}/{resource['id']}", json=resource)
    assert answer.status_code in (200, 201), answer.text
    if kind in DIRECTORY_TYPES:
        stack.replicate(answer.json())


@dataclass(frozen=True)
class Official:
    """The official Bundle of individual practitioners with ids and numbers of this run, its dates to come."""

    bundle: Resource
    thomas: str
    """the national number of who has two places, one slot in each"""
    marcel: str
    """that of who has one place, and two slots"""
    first_day: date

    @property
    def numbers(self) -> list[str]:
        return [self.marcel, self.thomas]

    @property
    def window(self) -> dict[str, str]:
        """The window of the official self link, moved like the slots."""
        return {
            "start": f"{self.first_day}T14:19:35.760%2B00:00",
            "end": f"{self.first_day + timedelta(days=2)}T23:59:59.999%2B00:00",
        }

    def resources(self) -> dict[str, Resource]:
        """By `Type/id`, without the narratives that the publisher of the guide put in."""
        return by_name(self.bundle)


def official() -> Official:
    """The official example of two individual practitioners."""
    run = uuid4().hex
    thomas, marcel = (_number(run[at : at + 6]) for at in (0, 6))
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    bundle = transposed(
        "Bundle-ExampleBundlePSIndiv.json",
        run,
        {"810100050075": thomas, "810002673899": marcel},
        {date(2021, 11, 4) + timedelta(days=n): tomorrow + timedelta(days=n) for n in range(3)},
    )
    return Official(bundle, thomas, marcel, tomorrow)


def official_cpts() -> tuple[Resource, str]:
    """The official example of a slot that two CPTS share, its slot of tomorrow; the practitioner's number."""
    run = uuid4().hex
    number = _number(run[:6])
    dates = {date(2024, 6, 12): datetime.now(UTC).date() + timedelta(days=1)}
    return transposed("Bundle-ExampleBundleCPTS2.json", run, {"810002909371": number}, dates), number


def transposed(name: str, run: str, numbers: dict[str, str], dates: dict[date, date]) -> Resource:
    """An official Bundle, every id, number and date exchanged for one of this run; skipped where it is absent."""
    path = EXAMPLES / name
    if not path.exists():
        pytest.skip(f"the official SAS examples are not beside the repository: {path}")
    text = re.sub(r"\bExample(?=[A-Z])", f"sas-{run[:8]}-", path.read_text())
    for old, new in numbers.items():
        text = text.replace(old, new)
    for before, after in dates.items():
        text = text.replace(f"{before}T", f"{after}T")
    bundle: Resource = json.loads(text)
    return bundle


def _number(digits: str) -> str:
    """A national number that nobody has, with its key, from hexadecimal digits of the run."""
    return f"8{rpps(10_000_000 + int(digits, 16))}"


@dataclass(frozen=True)
class Demo:
    """Our own graph of the same shape, stored in the manner of FR Core 2."""

    resources: list[Resource]
    two_places: str
    one_place: str

    def of(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource["resourceType"] == kind]


def demonstration() -> Demo:
    """The demonstration's SAS graph: its slots are of tomorrow."""
    found: list[Resource] = list(demo.graph(datetime.now(UTC)))
    home, _, lungs = demo.posts()
    return Demo(found, f"8{home.professional.rpps}", f"8{lungs.professional.rpps}")


def by_name(bundle: Resource) -> dict[str, Resource]:
    """The resources of a Bundle by `Type/id`, without their narratives."""
    found = (entry["resource"] for entry in bundle["entry"])
    return {f"{r['resourceType']}/{r['id']}": {k: v for k, v in r.items() if k != "text"} for r in found}


def entries(bundle: Resource, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in bundle.get("entry", []) if entry["resource"]["resourceType"] == kind]


def resources(bundle: Resource, kind: str) -> list[Resource]:
    return [entry["resource"] for entry in entries(bundle, kind)]
