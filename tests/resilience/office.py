"""A practitioner's office made for one test: agendas with free slots, and a patient who books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from tests.fixtures.local_run import LocalRun, eventually

Resource = dict[str, Any]

VISIT = timedelta(minutes=15)
BATCH = 200
FIRST = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=30)
"""Far enough for reminders to be planned and not sent."""


@dataclass(frozen=True)
class Slot:
    """A free slot: its id and the practitioner's other facts needed to book it."""

    id: str
    agenda: int
    start: datetime

    @property
    def end(self) -> datetime:
        return self.start + VISIT


class Office:
    """One practitioner at one place, with as many agendas as asked for, and one patient."""

    def __init__(self, run: LocalRun, agendas: int = 1) -> None:
        self._run = run
        self.id = f"test-{uuid4().hex[:12]}"
        self.agendas = agendas
        self.practitioner = f"Practitioner/{self.id}"
        self.patient = f"Patient/{self.id}"
        self.email = f"{self.id}@exemple.fr"
        self._made = 0

    async def open(self, **members: Any) -> None:
        """Publish the office, its agendas with these members, and wait until those who write to patients know it."""
        people = [
            _resource("Practitioner", self.id, active=True, name=[{"family": "Épreuve", "given": ["Dr"]}]),
            _resource("Location", self.id, status="active", name="Cabinet de l'Épreuve", mode="instance"),
        ]
        agendas = [{**self._agenda(number), **members} for number in range(self.agendas)]
        await self.put([*people, self._patient(), *agendas])

        async def known() -> bool:
            facts = "SELECT count(*) FROM directory_fact WHERE reference = ANY($1)"
            return bool(await self._run.value("notifications", facts, self._actors()) == 2)

        await eventually(known, "the office's facts in notifications", within_s=120)

    async def free_slots(self, count: int, *, agenda: int = 0, shift: timedelta = timedelta(0)) -> list[Slot]:
        """Publish new free slots that follow each other, each moved by `shift`."""
        first = FIRST + self._made * VISIT
        self._made += count
        return await self._publish(
            [Slot(f"{self.id}-{uuid4().hex[:8]}", agenda, first + n * VISIT + shift) for n in range(count)]
        )

    async def rival_slots(self, count: int) -> list[tuple[Slot, Slot]]:
        """Pairs of slots in two agendas that overlap by a third; different pairs do not."""
        pairs = []
        for number in range(count):
            start = FIRST + (self._made + 2 * number) * VISIT
            pairs.append(
                (
                    Slot(f"{self.id}-{uuid4().hex[:8]}", 0, start),
                    Slot(f"{self.id}-{uuid4().hex[:8]}", 1, start + VISIT * 2 / 3),
                )
            )
        self._made += 2 * count
        await self._publish([slot for pair in pairs for slot in pair])
        return pairs

    def booking(self, slot: Slot) -> Resource:
        """The Appointment to create in a slot."""
        return {
            "resourceType": "Appointment",
            "status": "booked",
            "start": _instant(slot.start),
            "end": _instant(slot.end),
            "slot": [{"reference": f"Slot/{slot.id}"}],
            "participant": [
                {"actor": {"reference": reference}, "status": "accepted"}
                for reference in (self.patient, *self._actors())
            ],
        }

    def _actors(self) -> list[str]:
        return [self.practitioner, f"Location/{self.id}"]

    def _patient(self) -> Resource:
        telecom = [{"system": "email", "value": self.email}]
        return _resource(
            "Patient", self.id, name=[{"family": "Épreuve", "given": ["Camille"]}], telecom=telecom
        )

    def _agenda(self, number: int) -> Resource:
        actors = [{"reference": reference} for reference in self._actors()]
        return _resource("Schedule", f"{self.id}-{number}", active=True, actor=actors)

    async def _publish(self, slots: list[Slot]) -> list[Slot]:
        await self.put(
            [
                _resource(
                    "Slot",
                    slot.id,
                    schedule={"reference": f"Schedule/{self.id}-{slot.agenda}"},
                    status="free",
                    start=_instant(slot.start),
                    end=_instant(slot.end),
                )
                for slot in slots
            ]
        )
        return slots

    async def put(self, resources: list[Resource]) -> None:
        """Publish resources under their ids."""
        headers = {
            "Authorization": f"Bearer {self._run.token('system')}",
            "Content-Type": "application/fhir+json",
            "Prefer": "return=minimal",
        }
        async with httpx.AsyncClient(headers=headers, timeout=120) as client:
            for bundle in _bundles(resources):
                answer = await client.post(f"{self._run.url}/fhir", json=bundle)
                assert answer.status_code == 200, answer.text
                refused = [e for e in answer.json()["entry"] if not e["response"]["status"].startswith("20")]
                assert not refused, refused[:3]


def _bundles(resources: list[Resource]) -> Iterator[Resource]:
    for at in range(0, len(resources), BATCH):
        entries = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
            for r in resources[at : at + BATCH]
        ]
        yield {"resourceType": "Bundle", "type": "batch", "entry": entries}


def _resource(resource_type: str, id_: str, **elements: Any) -> Resource:
    return {"resourceType": resource_type, "id": id_, **elements}


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
