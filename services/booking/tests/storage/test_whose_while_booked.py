"""An organisation sees every visit in its agendas, also one that is booked at the moment at which the directory says whose the
agenda is: whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from services.booking.tests.api.test_access_rules import waiting_for_a_lock
from services.booking.tests.factories import appointment, ref, unique
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import learn, role_resource

from creneau_booking.domain.refusals.slots import AgendaChangesHands
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.rights import OWNER

Step = Callable[[Connection], Awaitable[object]]


def role_of(organization: str) -> Resource:
    """Somebody who is in one place only."""
    return role_resource(unique("role"), f"Practitioner/{unique('prat')}", organization)


def offer_of(organization: str) -> Resource:
    """An agenda of nobody who is in one place only."""
    members = {"active": True, "providedBy": ref(f"Organization/{organization}")}
    meta = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
    return {"resourceType": "HealthcareService", "id": unique("offre"), "meta": meta, **members}


@pytest.mark.parametrize("said", [role_of, offer_of])
@pytest.mark.parametrize("booked_first", [True, False])
async def test_the_organisation_sees_it(
    fresh: Practice, said: Callable[[str], Resource], *, booked_first: bool
) -> None:
    organization = unique("cabinet")
    actor = said(organization)
    agenda = await fresh.open_agenda(1, practitioner=f"{actor['resourceType']}/{actor['id']}")
    camille = await fresh.new_patient()
    visit = appointment("booked", slots=agenda.slots, patient=camille, start=agenda.start)

    async def book(connection: Connection) -> None:
        await fresh.handlers.create(connection, fresh.context(), visit)

    async def hear(connection: Connection) -> None:
        await learn(fresh, connection, actor)

    async def alone(step: Step) -> None:
        async with fresh.database.transaction() as connection:
            await step(connection)

    steps: tuple[Step, Step] = (book, hear) if booked_first else (hear, book)
    async with fresh.database.transaction() as connection:
        await steps[0](connection)
        other = asyncio.create_task(alone(steps[1]))
        await waiting_for_a_lock(fresh, other)
    try:
        await other
    except AgendaChangesHands:  # the agenda has somebody in one place only since, whom the claim did not take
        await alone(book)
    owner = [f"{OWNER}{organization}"]
    for table in ("schedule", "appointment"):
        terms = await fresh.database.pool.fetchval(f"SELECT terms FROM {table}")
        assert [term for term in terms if term.startswith(OWNER)] == owner, table
    seen = await fresh.database.pool.fetchval(
        "SELECT terms @> $2 FROM patient WHERE id = $1", camille.removeprefix("Patient/"), owner
    )
    assert seen, "and whom it is for"
