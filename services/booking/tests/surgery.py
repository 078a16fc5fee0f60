"""Two practices side by side: each with a professional, an agenda of its own, and what the directory says of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.booking.tests.factories import BASE, ref, schedule, unique
from services.booking.tests.practice import Practice

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.messaging.directory_replica import RESOURCE_CHANGED
from creneau_booking.topics import DIRECTORY
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.messaging.events import ReceivedEvent


@dataclass(frozen=True)
class Surgery:
    """One practice. References within the base; `slots` are ids, in order."""

    organization: str
    practitioner: str
    role: str
    agenda: str
    start: datetime
    slots: tuple[str, ...]


def role_resource(id_: str, practitioner: str, organization: str, **more: object) -> Resource:
    return {
        "resourceType": "PractitionerRole",
        "id": id_,
        "meta": {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"},
        "active": True,
        "practitioner": ref(practitioner),
        "organization": ref(f"Organization/{organization}"),
        **more,
    }


async def hear(practice: Practice, resource: Resource) -> None:
    """What the directory says of a resource reaches booking."""
    async with practice.database.transaction() as connection:
        await learn(practice, connection, resource)


async def learn(practice: Practice, connection: Connection, resource: Resource) -> None:
    """The same in a transaction that goes on."""
    key = f"{resource['resourceType']}/{resource['id']}"
    event = ReceivedEvent(
        topic=DIRECTORY,
        key=key,
        type=RESOURCE_CHANGED,
        subject=key,
        source="/creneau/directory",
        data={"resource": resource},
        partition=0,
        offset=0,
        raw=b'{"resource":' + dumps(resource) + b"}",
    )
    await practice.replica().apply(connection, event)


async def open_surgery(
    practice: Practice, count: int = 3, *, known: bool = True, **slot_members: Any
) -> Surgery:
    """A practice with `count` free slots from a week from now on; `known`: the directory has said who works there."""
    organization, practitioner = unique("cabinet"), f"Practitioner/{unique('prat')}"
    role = f"PractitionerRole/{unique('role')}"
    if known:
        await hear(practice, role_resource(role.partition("/")[2], practitioner, organization))
    agenda = unique("agenda")
    async with practice.database.transaction() as connection:
        store = ScheduleStore(BASE)
        await store.create(connection, practice.context(), schedule(agenda, [practitioner, role]), agenda)
    opened = await practice.fill(agenda, count, **slot_members)
    return Surgery(organization, practitioner, role, agenda, *opened)
