"""Resources of fictional people and places for the conformance tests, and short ways to store them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import httpx

Resource = dict[str, Any]

SYSTEM = "https://example.org/fictional"
JSON = "application/fhir+json"
XML = "application/fhir+xml"
JSON_PATCH = "application/json-patch+json"

_days = count(30)


def unique() -> str:
    """A value that no other test has."""
    return uuid4().hex


def patient(value: str | None = None, **more: Any) -> Resource:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": SYSTEM, "value": value or unique()}],
        "name": [{"family": "Fictive", "given": ["Camille"]}],
        **more,
    }


def organization(value: str | None = None, **more: Any) -> Resource:
    return {
        "resourceType": "Organization",
        "identifier": [{"system": SYSTEM, "value": value or unique()}],
        "name": "Maison de santé fictive",
        **more,
    }


def location(**more: Any) -> Resource:
    return {"resourceType": "Location", "name": "Cabinet fictif", **more}


def practitioner(value: str | None = None, **more: Any) -> Resource:
    return {
        "resourceType": "Practitioner",
        "identifier": [{"system": SYSTEM, "value": value or unique()}],
        "name": [{"family": "Fictif", "given": ["Dominique"]}],
        **more,
    }


def regulator(value: str | None = None, **more: Any) -> Resource:
    """An account as the SAS platform sends it (INT_R02)."""
    kind = {"coding": [{"system": "http://interopsante.org/fhir/CodeSystem/fr-v2-0203", "code": "INTRN"}]}
    return {
        "resourceType": "Practitioner",
        "meta": {"source": "urn:oid:1.2.250.1.213.3.6"},
        "identifier": [{"type": kind, "system": "urn:oid:1.2.250.1.213.3.6", "value": value or str(uuid4())}],
        "active": True,
        "name": [{"family": "Fictif", "given": ["Dominique"]}],
        "telecom": [{"system": "email", "value": "dominique@exemple.fr"}],
        **more,
    }


def schedule(actor: str, **more: Any) -> Resource:
    return {"resourceType": "Schedule", "active": True, "actor": [{"reference": actor}]} | more


def slot(schedule_id: str, start: datetime, minutes: int = 20, status: str = "free", **more: Any) -> Resource:
    return {
        "resourceType": "Slot",
        "schedule": {"reference": f"Schedule/{schedule_id}"},
        "status": status,
        "start": instant(start),
        "end": instant(start + timedelta(minutes=minutes)),
        **more,
    }


def appointment(patient_id: str, slot_resource: Resource, status: str = "booked", **more: Any) -> Resource:
    return {
        "resourceType": "Appointment",
        "status": status,
        "slot": [{"reference": f"Slot/{slot_resource['id']}"}],
        "start": slot_resource["start"],
        "end": slot_resource["end"],
        "participant": [{"actor": {"reference": f"Patient/{patient_id}"}, "status": "accepted"}],
        **more,
    }


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def next_day() -> datetime:
    """Eight in the morning (UTC) of a day to come that no other caller in this run was given."""
    day = datetime.now(UTC).date() + timedelta(days=next(_days))
    return datetime(day.year, day.month, day.day, 8, tzinfo=UTC)


def created(client: httpx.Client, resource: Resource, **headers: str) -> Resource:
    """The resource as the server has stored it."""
    answer = client.post(f"/{resource['resourceType']}", json=resource, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def issue(answer: httpx.Response) -> Resource:
    """The first issue of the OperationOutcome that an answer must be."""
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome", body
    return dict(body["issue"][0])


def resources(answer: httpx.Response, mode: str = "match") -> list[Resource]:
    """The resources of a searchset, of one mode."""
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", [])
    return [entry["resource"] for entry in entries if entry["search"]["mode"] == mode]


def ids(answer: httpx.Response, mode: str = "match") -> list[str]:
    return [resource["id"] for resource in resources(answer, mode)]


def link(answer: httpx.Response, relation: str) -> str | None:
    links = {entry["relation"]: entry["url"] for entry in answer.json().get("link", [])}
    return links.get(relation)


@dataclass
class Agenda:
    """A Schedule with slots of its own."""

    client: httpx.Client
    practitioner: str
    schedule: Resource
    day: datetime

    @classmethod
    def create(cls, client: httpx.Client, **more: Any) -> Agenda:
        who = f"Practitioner/{unique()}"
        return cls(client, who, created(client, schedule(who, **more)), next_day())

    @property
    def id(self) -> str:
        return str(self.schedule["id"])

    def slot(self, number: int = 0, **more: Any) -> Resource:
        """A stored slot: the twenty minutes of that number after the day's first."""
        start = self.day + timedelta(minutes=20 * number)
        return created(self.client, slot(self.id, start, **more))
