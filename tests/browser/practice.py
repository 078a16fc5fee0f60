"""The other side: what a practice's software does with a visit, over the API alone."""

from __future__ import annotations

from typing import Any

import httpx
from deploy.local.folder import Folder
from deploy.local.tokens import Issuer

ANSWER_S = 60.0


class Practice:
    """The software of all practices of a running system."""

    def __init__(self, site: str, folder: Folder) -> None:
        token = Issuer.of(folder).token("system", "practice-of-the-browser-tests")
        headers = {"Authorization": f"Bearer {token}"}
        self._base = httpx.Client(base_url=f"{site}/fhir", headers=headers, timeout=ANSWER_S)

    def proposes_another_time(self, appointment: str) -> None:
        """One of its agenda's free times, beside the one that stands."""
        visit = self._read(f"/Appointment/{appointment}")
        free = self._read(f"/Slot?schedule={self._agenda(visit)}&status=free&_sort=-start&_count=1")["entry"][
            0
        ]["resource"]
        actors = [p["actor"]["reference"] for p in visit["participant"]]
        self._send(
            "/AppointmentResponse",
            {
                "resourceType": "AppointmentResponse",
                "appointment": {"reference": f"Appointment/{appointment}"},
                "actor": {"reference": next(a for a in actors if a.startswith("Practitioner"))},
                "participantStatus": "tentative",
                "start": free["start"],
                "end": free["end"],
            },
        )

    def closes_the_day_of(self, appointment: str, reason: str) -> None:
        """The visit goes to another day."""
        visit = self._read(f"/Appointment/{appointment}")
        day = visit["start"][:10]
        said = {"start": {"valueDateTime": day}, "end": {"valueDateTime": day}, "reason": {"valueString": reason},
                "confirm": {"valueBoolean": True}}  # fmt: skip
        parameters = [{"name": name, **value} for name, value in said.items()]
        self._send(f"/{self._agenda(visit)}/$close", {"resourceType": "Parameters", "parameter": parameters})

    def cancels(self, appointment: str, reason: str) -> None:
        words = {"name": "reason", "valueCodeableConcept": {"text": reason}}
        self._send(
            f"/Appointment/{appointment}/$cancel", {"resourceType": "Parameters", "parameter": [words]}
        )

    def _agenda(self, visit: dict[str, Any]) -> str:
        return str(self._read(f"/{visit['slot'][0]['reference']}")["schedule"]["reference"])

    def _read(self, path: str) -> Any:
        return self._base.get(path).raise_for_status().json()

    def _send(self, path: str, body: dict[str, Any]) -> None:
        self._base.post(path, json=body).raise_for_status()
