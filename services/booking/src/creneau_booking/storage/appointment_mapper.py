"""FHIR Appointment ⇄ the domain's appointment: the line behind which nothing knows FHIR.

`facts` reads what the rules need; `said` puts it back over the resource that it came from, whose other elements stay.
"""

from __future__ import annotations

from datetime import UTC, datetime

from creneau_booking.domain.appointment import CANCELLATION_REASONS, Appointment, Code, Participant
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.storage.store import Resource

CONFIDENTIALITY = "https://creneau.sante.fr/fhir/CodeSystem/confidentiality"
HIDDEN = "HIDDEN-FROM-PROXIES"
"""label (meta.security) of an appointment that a person's representatives are not shown"""

HELD_UNTIL = "https://creneau.sante.fr/fhir/StructureDefinition/held-until"
"""extension (instant) on an appointment: until when, pending, it keeps its slots"""

WAITING_SINCE = "https://creneau.sante.fr/fhir/StructureDefinition/waiting-since"
"""extension (instant) on an appointment that waits, or is offered to one that did: since when"""

CANCELABLE_UNTIL = "https://creneau.sante.fr/fhir/StructureDefinition/cancelable-until"
RESCHEDULABLE_UNTIL = "https://creneau.sante.fr/fhir/StructureDefinition/reschedulable-until"
"""extensions (instant) on an appointment that a patient reads: until when they may cancel or move it; never stored"""
OURS = frozenset({HELD_UNTIL, WAITING_SINCE, CANCELABLE_UNTIL, RESCHEDULABLE_UNTIL})
"""extensions that only the server says, whatever is sent"""

REPLACES = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.replaces"

DOUBLE_BOOKING_REASON = "https://creneau.sante.fr/fhir/StructureDefinition/double-booking-reason"
"""extension (string) on an appointment whose patient may have another one at that time: why"""

WORDS = "text|"
"""before what a concept without a coding says"""


def relative(reference: str, base_url: str) -> str:
    """A reference within the base as `Type/id`; others as they are."""
    return reference.removeprefix(base_url.rstrip("/") + "/").split("/_history/")[0]


def slot_ids(appointment: Resource, base_url: str) -> tuple[str, ...]:
    """The ids of the slots that the appointment names."""
    references = (relative(slot.get("reference", ""), base_url) for slot in appointment.get("slot", ()))
    return tuple(dict.fromkeys(r.removeprefix("Slot/") for r in references if r.startswith("Slot/")))


def facts(appointment: Resource, base_url: str, *, id_: str | None = None, version: int = 1) -> Appointment:
    """The facts of a valid Appointment resource."""
    reason = appointment.get("cancelationReason", {})
    codings = [
        coding for concept in appointment.get("serviceType", ()) for coding in concept.get("coding", ())
    ]
    return Appointment(
        id=id_ or appointment.get("id", ""),
        version=version,
        status=appointment["status"],
        start=_instant(appointment.get("start")),
        end=_instant(appointment.get("end")),
        slots=slot_ids(appointment, base_url),
        participants=tuple(_participant(p, base_url) for p in appointment["participant"]),
        service_type=tuple(Code(c.get("system"), c.get("code")) for c in codings),
        hidden=any(
            label.get("system") == CONFIDENTIALITY and label.get("code") == HIDDEN
            for label in appointment.get("meta", {}).get("security", ())
        ),
        double_booking_reason=_extension(appointment, DOUBLE_BOOKING_REASON, "valueString"),
        held_until=_instant(_extension(appointment, HELD_UNTIL, "valueInstant")),
        replaces=_replaced(appointment),
        waiting_since=_instant(_extension(appointment, WAITING_SINCE, "valueInstant")),
        cancelation_reason=next(
            (c.get("code") for c in reason.get("coding", ()) if c.get("system") == CANCELLATION_REASONS), None
        ),
        visit=visit_of(appointment),
    )


def said(appointment: Appointment, resource: Resource) -> Resource:
    """`resource` with the facts of `appointment`: its status, times, company, hold, and which one it replaces."""
    written = {**resource, "status": appointment.status, "participant": _participants(appointment)}
    for name, moment in (("start", appointment.start), ("end", appointment.end)):
        if moment is not None and _instant(resource.get(name)) != moment:
            written[name] = exact_instant(moment)
    extensions = [e for e in resource.get("extension", ()) if e.get("url") not in OURS]
    if appointment.held_until is not None:
        extensions.append({"url": HELD_UNTIL, "valueInstant": fhir_instant(appointment.held_until)})
    if appointment.waiting_since is not None:
        extensions.append({"url": WAITING_SINCE, "valueInstant": exact_instant(appointment.waiting_since)})
    if appointment.replaces is not None and appointment.replaces != _replaced(resource):
        reference = {"reference": f"Appointment/{appointment.replaces}"}
        extensions.append({"url": REPLACES, "valueReference": reference})
    rest = {name: value for name, value in written.items() if name != "extension"}
    return {**rest, "extension": extensions} if extensions else rest


def _participant(participant: Resource, base_url: str) -> Participant:
    reference = participant.get("actor", {}).get("reference")
    return Participant(
        reference=relative(reference, base_url) if reference else None,
        status=participant["status"],
        description=participant,
    )


def _participants(appointment: Appointment) -> list[Resource]:
    found = []
    for p in appointment.participants:
        actor = (
            {} if "actor" in p.description or p.reference is None else {"actor": {"reference": p.reference}}
        )
        found.append({**actor, **p.description, "status": p.status})
    return found


def _extension(appointment: Resource, url: str, value: str) -> str | None:
    return next((e.get(value) for e in appointment.get("extension", ()) if e.get("url") == url), None)


def _replaced(appointment: Resource) -> str | None:
    named: Resource = next((e for e in appointment.get("extension", ()) if e.get("url") == REPLACES), {})
    reference = str(named.get("valueReference", {}).get("reference", ""))
    return reference.removeprefix("Appointment/") if reference.startswith("Appointment/") else None


def visit_of(resource: Resource) -> dict[str, frozenset[str]]:
    """What an Appointment or a Slot is for, as codes (`system|code`); what is only said in words counts as a code of
    its own."""
    found = {}
    for element in SAID_BY_SLOT:
        said = resource.get(element, ())
        concepts = [said] if isinstance(said, dict) else said
        if concepts:
            found[element] = frozenset(code for concept in concepts for code in _codes(concept))
    return found


def offered(slot: Resource) -> dict[str, frozenset[str]]:
    """What a Slot is for: codes with their system and, for whoever leaves it out, without."""
    return {
        element: codes | {code.partition("|")[2] for code in codes if not code.startswith(WORDS)} - {""}
        for element, codes in visit_of(slot).items()
    }


def _codes(concept: Resource) -> list[str]:
    codings = concept.get("coding")
    if not codings:
        return [f"{WORDS}{concept.get('text', '')}"]
    return [f"{c['system']}|{c.get('code', '')}" if "system" in c else c.get("code", "") for c in codings]


def fhir_instant(moment: datetime) -> str:
    """An instant as we write it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
