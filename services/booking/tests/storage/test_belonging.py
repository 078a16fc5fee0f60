"""Software that speaks for practices takes the actors of their agendas only, by what the directory says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from services.booking.tests.factories import appointment, ref, schedule, slot, unique
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.domain.refusals.participants import ActorsNotTheirs
from creneau_booking.storage.agendas.belonging import Actors, actors_of
from creneau_shared.errors import CreneauError, Forbidden, Unprocessable
from creneau_shared.fhir.storage.store import Resource, Stored
from creneau_shared.security.rights import OWNER


class Practices:
    """Two organizations with a directory entry of each kind, and an agenda each."""

    def __init__(self, practice: Practice) -> None:
        self.practice = practice
        self.one, self.two = unique("org"), unique("org")
        self.of: dict[str, dict[str, str]] = {}
        self.agendas: dict[str, Agenda] = {}

    async def open(self) -> Practices:
        for organization in (self.one, self.two):
            self.of[organization] = await self._directory(organization)
            self.agendas[organization] = await self.practice.open_agenda(
                practitioner=self.of[organization]["Practitioner"]
            )
            await self.own("schedule", self.agendas[organization].id, organization)
        return self

    async def _directory(self, organization: str) -> dict[str, str]:
        whose = ref(f"Organization/{organization}")
        practitioner = await self.put("Practitioner", active=True)
        role = await self.role(practitioner, organization)
        place = await self.put("Location", managingOrganization=whose)
        offer = await self.put("HealthcareService", providedBy=whose)
        device = f"Device/{unique('appareil')}"
        await self.practice.put(schedule(unique("agenda"), [device, place]))
        return {
            "Practitioner": practitioner,
            "PractitionerRole": role,
            "Location": place,
            "HealthcareService": offer,
            "Device": device,
        }

    async def role(self, practitioner: str, organization: str, **more: object) -> str:
        return await self.put(
            "PractitionerRole",
            **{"active": True, **more},
            practitioner=ref(practitioner),
            organization=ref(f"Organization/{organization}"),
        )

    async def put(self, kind: str, **members: object) -> str:
        return await self.practice.put({"resourceType": kind, "id": unique(kind.lower()), **members})

    async def patient(self) -> str:
        """One whom the first organization knows."""
        patient = await self.practice.new_patient()
        await self.own("patient", patient.removeprefix("Patient/"), self.one)
        return patient

    async def own(self, table: str, id_: str, organization: str) -> None:
        """The row belongs to the organization, as when it is written over the API."""
        await self.practice.database.pool.execute(
            f"UPDATE {table} SET terms = terms || $2::text WHERE id = $1", id_, f"{OWNER}{organization}"
        )

    async def judged(self, references: Sequence[str], slots: Sequence[str] = ()) -> Actors:
        """As the first organization stands to them."""
        async with self.practice.database.connection() as connection:
            return await actors_of(connection, {self.one}, references, slots)

    async def create(self, resource: Resource) -> Stored:
        """By software of the first organization."""
        context = self.practice.context(unique("logiciel"), organizations=[self.one], role="software")
        return await self.practice.create(resource, context)


@pytest.fixture
async def practices(practice: Practice) -> Practices:
    return await Practices(practice).open()


async def test_whose_each_kind_is(practices: Practices) -> None:
    own, others = practices.of[practices.one], practices.of[practices.two]
    nobody = [f"{kind}/{unique('inconnu')}" for kind in own]
    judged = await practices.judged([*own.values(), *others.values(), *nobody])
    assert set(judged.theirs) == set(own.values())
    assert set(judged.foreign) == set(others.values())
    assert set(judged.unknown) == set(nobody)


async def test_a_role_that_has_ended_binds_nobody(practices: Practices) -> None:
    """A locum who has gone; and one whose role says nothing of being active is there."""
    gone = await practices.put("Practitioner")
    await practices.role(gone, practices.one, active=False)
    here = await practices.put("Practitioner")
    await practices.put(
        "PractitionerRole", practitioner=ref(here), organization=ref(f"Organization/{practices.one}")
    )
    judged = await practices.judged([gone, here])
    assert (judged.theirs, judged.foreign) == ((here,), (gone,))


async def test_who_has_an_agenda_takes_all_its_actors(practices: Practices) -> None:
    """A room of somebody else's in one's own agenda, also where the row alone says whose the agenda is."""
    room = practices.of[practices.two]["Location"]
    own = practices.of[practices.one]["Practitioner"]
    lent, owned = unique("agenda"), unique("agenda")
    stranger = f"Practitioner/{unique('prat')}"
    await practices.practice.put(schedule(lent, [own, room]))
    await practices.practice.put(schedule(owned, [stranger]))
    await practices.own("schedule", owned, practices.one)
    slots = []
    for agenda in (lent, owned):
        slots.append(unique("creneau"))
        await practices.practice.put(slot(slots[-1], agenda, practices.agendas[practices.one].start))
    assert set((await practices.judged([room, stranger], slots)).theirs) == {room, stranger, own}
    assert set((await practices.judged([room, stranger])).foreign) == {room, stranger}


async def refused(practices: Practices, resource: Resource, error: type[CreneauError]) -> str | None:
    with pytest.raises(error) as refusal:
        await practices.create(resource)
    return refusal.value.issues[0].details_code


async def test_software_takes_nobody_of_another_practice(practices: Practices) -> None:
    """Neither through its slot, nor beside one's own slot, nor without a slot; nor somebody whom nobody knows."""
    agenda, other = practices.agendas[practices.one], practices.agendas[practices.two]
    theirs = practices.of[practices.two]
    assert (
        await refused(practices, appointment("booked", slots=other.slots[:1]), Forbidden) == "actor-not-yours"
    )
    for actor in theirs.values():
        beside = appointment("booked", slots=agenda.slots[:1], actors=[actor])
        assert await refused(practices, beside, Forbidden) == "actor-not-yours"
        alone = appointment("booked", actors=[actor], start=agenda.start)
        assert await refused(practices, alone, Forbidden) == "actor-not-yours"
    unknown = appointment("booked", slots=agenda.slots[:1], actors=["Practitioner/inconnu"])
    assert await refused(practices, unknown, Unprocessable) == "unknown-actor"
    nobody = appointment("booked", patient=await practices.patient(), start=agenda.start)
    assert await refused(practices, nobody, Forbidden) == "actor-not-yours"
    assert await practices.practice.occupied(theirs["Practitioner"]) == []
    assert await practices.practice.slot_statuses(agenda.slots[:1]) == ["free"]


async def test_software_takes_its_own(practices: Practices) -> None:
    """With a slot and without; then another one of its own joins, but none of the others'."""
    agenda, own = practices.agendas[practices.one], practices.of[practices.one]
    patient = await practices.patient()
    stored = await practices.create(
        appointment("booked", slots=agenda.slots[:1], patient=patient, actors=[*own.values()])
    )
    await practices.create(
        appointment("booked", patient=patient, actors=[own["Practitioner"]], start=agenda.at(30))
    )
    context = practices.practice.context("logiciel", organizations=[practices.one], role="software")
    for actor, allowed in ((practices.of[practices.two]["Device"], False), (own["Location"], True)):
        async with practices.practice.database.transaction() as connection:
            current = await practices.practice.repository.store.lock(connection, stored.id)
            assert current is not None
            resource = practices.practice.repository.resource(current)
            resource["participant"].append({"actor": ref(actor), "status": "accepted"})
            changing = practices.practice.handlers.change(connection, context, current, resource)
            if allowed:
                await changing
            else:
                with pytest.raises(ActorsNotTheirs):
                    await changing


async def test_the_deployments_own_software_is_not_limited(practices: Practices) -> None:
    other = practices.agendas[practices.two]
    await practices.practice.create(appointment("booked", slots=other.slots[:1], actors=["Device/inconnu"]))
