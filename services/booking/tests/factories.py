"""Resources for the tests: an agenda with slots, patients, appointments. All persons are invented."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from creneau_booking.storage.mapping.visibility import SLOT_TYPE_SYSTEM
from creneau_shared.fhir.storage.store import Resource

BASE = "http://127.0.0.1:8080/fhir"
NOW = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
SLOT_LENGTH = timedelta(minutes=20)
CONSULTATION = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "cabinet"}
    ]
}
VIDEO = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"}]}
GENERAL = {"coding": [{"system": "urn:oid:1.2.250.1.213.2.28", "code": "SM54"}]}
SKIN = {"coding": [{"system": "urn:oid:1.2.250.1.213.2.28", "code": "SM15"}]}


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid4().hex[:12]}"


def utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def schedule(id_: str, actors: Sequence[str], **more: Any) -> Resource:
    return {
        "resourceType": "Schedule",
        "id": id_,
        "active": True,
        "actor": [{"reference": actor} for actor in actors],
        **more,
    }


def slot(
    id_: str, agenda: str, start: datetime, length: timedelta = SLOT_LENGTH, status: str = "free", **more: Any
) -> Resource:
    return {
        "resourceType": "Slot",
        "id": id_,
        "schedule": {"reference": f"Schedule/{agenda}"},
        "serviceType": [CONSULTATION],
        "specialty": [GENERAL],
        "status": status,
        "start": utc(start),
        "end": utc(start + length),
        **more,
    }


def for_professionals() -> Resource:
    """`meta` of a slot that patients may not book (TRE_R314)."""
    return {"security": [{"system": SLOT_TYPE_SYSTEM, "code": "PRO"}]}


def appointment(
    status: str,
    *,
    slots: Sequence[str] = (),
    patient: str | None = None,
    actors: Sequence[str] = (),
    start: datetime | None = None,
    length: timedelta = SLOT_LENGTH,
    **more: Any,
) -> Resource:
    people = [*([patient] if patient else []), *actors]
    times = {"start": utc(start), "end": utc(start + length)} if start else {}
    return {
        "resourceType": "Appointment",
        "status": status,
        **times,
        **({"slot": [{"reference": f"Slot/{id_}"} for id_ in slots]} if slots else {}),
        "participant": [{"actor": {"reference": p}, "status": "accepted"} for p in people]
        or [{"actor": {"display": "à désigner"}, "status": "needs-action"}],
        **more,
    }


def patient(given: str = "Camille", **more: Any) -> Resource:
    return {
        "resourceType": "Patient",
        "active": True,
        "name": [{"family": "Exemple", "given": [given]}],
        "telecom": [{"system": "email", "value": f"{given.lower()}@exemple.fr"}],
        **more,
    }


def parameters(**values: Any) -> Resource:
    """A Parameters resource: `appt_resource` → `appt-resource`; a list repeats its name."""
    parts: list[Resource] = []
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            parts += [{"name": name.replace("_", "-") if name[0] != "_" else name, **_typed(one)}]
    return {"resourceType": "Parameters", **({"parameter": parts} if parts else {})}


def _typed(value: Any) -> Resource:
    if isinstance(value, dict):
        return {"resource": value} if "resourceType" in value else {"valueReference": value}
    return (
        {"valueDateTime": value} if isinstance(value, str) and value[:3] == "202" else {"valueString": value}
    )


def ref(reference: str) -> Resource:
    return {"reference": reference}
