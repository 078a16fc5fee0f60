"""The waiting list over the FHIR base: what somebody waits for, what is offered to them, and their answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from creneau_web.care.model import Professional
from creneau_web.fhir.client import Fhir
from creneau_web.fhir.values import entries, extension, instant, instant_in
from creneau_web.visits.reading import PRACTICES_SIDE, ids

_OURS = "https://creneau.sante.fr/fhir/StructureDefinition/"
SINCE, TIMES, HELD_UNTIL = f"{_OURS}waiting-since", f"{_OURS}waiting-times", f"{_OURS}held-until"
REPLACES = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.replaces"
PARTS = ("morning", "afternoon", "evening")
LISTED = "50"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One request on the waiting list, or what is offered to it."""

    id: str
    status: str
    """of the Appointment"""
    patient: str | None
    """id of the Patient"""
    whom: str | None
    """the professional, as the request names them"""
    role: str | None
    """id of their PractitionerRole"""
    since: datetime | None
    until: datetime | None
    """until when an offer is kept; None: nothing is offered"""
    start: datetime | None
    times: tuple[str, ...]
    """parts of the day that will do; none: all"""
    replaces: str | None
    """id of the Appointment that would be given up"""
    etag: str | None
    waits: bool
    """whether it is on the list at all, with or without an offer"""
    practice_agreed: bool
    """whether the practice has agreed to what is offered, before the patient has answered"""

    @property
    def is_offer(self) -> bool:
        return self.until is not None

    def is_answered(self, status: str) -> bool:
        """Whether this answer (as of `answer`) stands already. What is accepted is `pending` where the practice has still to
        agree."""
        if status == "booked":
            return not self.waits and self.status in (status, "pending")
        return self.status == status


def waiting_of(appointment: Mapping[str, Any], etag: str | None = None) -> Waiting:
    """What an Appointment that waits says. Pure."""
    actors = [p.get("actor", {}) for p in appointment.get("participant", ())]
    references = [str(actor.get("reference", "")) for actor in actors]
    named = (a.get("display") for a in actors if "Patient/" not in str(a.get("reference", "")))
    replaced = (extension(appointment, REPLACES) or {}).get("valueReference", {}).get("reference", "")
    said = [e for e in appointment.get("extension", ()) if e.get("url") == TIMES]
    status, since = appointment["status"], instant_in(appointment, SINCE)
    offered = status == "pending" and since is not None
    return Waiting(
        id=appointment["id"],
        status=status,
        patient=next(iter(ids(references, "Patient")), None),
        whom=next((name for name in named if name), None),
        role=next(iter(ids(references, "PractitionerRole")), None),
        since=since,
        until=instant_in(appointment, HELD_UNTIL) if offered else None,
        start=instant(appointment["start"]) if "start" in appointment else None,
        times=tuple(e["valueCode"] for e in said if e.get("valueCode") in PARTS),
        replaces=replaced.removeprefix("Appointment/") or None,
        etag=etag or _version(appointment),
        waits=status == "waitlist" or offered,
        practice_agreed=offered and _has_agreed(appointment),
    )


async def waiting(fhir: Fhir, id_: str) -> Waiting:
    """One request. RefusedError (404) for somebody else's."""
    read = await fhir.read("Appointment", id_)
    return waiting_of(read.resource, read.etag)


async def all_waiting(fhir: Fhir, patient: str | None) -> list[Waiting]:
    """Requests of everybody, or of one patient: what is offered first, then the longest on the list."""
    whose = [("patient", f"Patient/{patient}")] if patient else []
    query = [("status", "waitlist,pending"), ("_count", LISTED), *whose]
    found = entries(await fhir.search_privately("Appointment", query), "Appointment")
    waits = [one for one in map(waiting_of, found) if one.waits]
    return sorted(
        waits, key=lambda one: (not one.is_offer, one.since.timestamp() if one.since else 0.0, one.id)
    )


async def join(
    fhir: Fhir,
    patient: str,
    professional: Professional,
    *,
    times: Sequence[str],
    until: date | None,
    key: str,
) -> None:
    """Wait for a time of this professional. RefusedError: 422 when too many wait already."""
    said: list[dict[str, Any]] = [{"url": TIMES, "valueCode": part} for part in PARTS if part in times]
    role = {"reference": f"PractitionerRole/{professional.id}", "display": professional.name}
    await fhir.create(
        {
            "resourceType": "Appointment",
            "status": "waitlist",
            **({"requestedPeriod": [{"end": until.isoformat()}]} if until else {}),
            **({"extension": said} if said else {}),
            "participant": [
                {"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"},
                {"actor": role, "status": "needs-action"},
            ],
        },
        key=key,
    )


async def join_for_earlier(
    fhir: Fhir, visit: str, *, times: Sequence[str], until: date | None, key: str
) -> None:
    """Wait for an earlier time of a visit (id), by a link too. RefusedError: 422 when it has begun, or stands no more."""
    said: list[dict[str, Any]] = [{"name": "times", "valueCode": part} for part in PARTS if part in times]
    if until:
        said.append({"name": "until", "valueDate": until.isoformat()})
    await fhir.operation(f"Appointment/{visit}/$wait", said, key=key)


async def waits_for_earlier(fhir: Fhir, visit: str, patient: str | None) -> Waiting | None:
    """The request for an earlier time of a visit (id), with an offer or without."""
    return next((one for one in await all_waiting(fhir, patient) if one.replaces == visit), None)


async def answer(fhir: Fhir, shown: Waiting, status: str) -> Waiting:
    """Accept (`booked`), refuse (`waitlist`) or leave (`cancelled`) what was shown. Returns what stands then. RefusedError:
    412 when it has changed meanwhile, 422 when the offer has ended."""
    change = {"op": "replace", "path": "/status", "value": status}
    answered = await fhir.patch("Appointment", shown.id, [change], etag=shown.etag)
    return waiting_of(answered.resource, answered.etag)


def _has_agreed(appointment: Mapping[str, Any]) -> bool:
    """Whether everybody of the practice has accepted; who has not been asked yet is tentative."""
    theirs = [
        p.get("status")
        for p in appointment.get("participant", ())
        if str(p.get("actor", {}).get("reference", "")).startswith(PRACTICES_SIDE)
    ]
    return bool(theirs) and all(status == "accepted" for status in theirs)


def _version(appointment: Mapping[str, Any]) -> str | None:
    version = appointment.get("meta", {}).get("versionId")
    return f'W/"{version}"' if version else None
