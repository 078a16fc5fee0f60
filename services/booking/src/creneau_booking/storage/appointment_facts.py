"""FHIR Appointment → the domain's appointment: the line behind which nothing knows FHIR."""

from __future__ import annotations

from datetime import UTC, datetime

from creneau_booking.domain.appointment import CANCELLATION_REASONS, Appointment, Code, Participant
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_shared.fhir.storage.store import Resource

CONFIDENTIALITY = "https://creneau.sante.fr/fhir/CodeSystem/confidentiality"
HIDDEN = "HIDDEN-FROM-PROXIES"
"""label (meta.security) of an appointment that a person's representatives are not shown"""

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
        participants=tuple(
            Participant(
                reference=relative(participant["actor"]["reference"], base_url)
                if "reference" in participant.get("actor", {})
                else None,
                status=participant["status"],
            )
            for participant in appointment["participant"]
        ),
        service_type=tuple(Code(c.get("system"), c.get("code")) for c in codings),
        hidden=any(
            label.get("system") == CONFIDENTIALITY and label.get("code") == HIDDEN
            for label in appointment.get("meta", {}).get("security", ())
        ),
        double_booking_reason=next(
            (
                e.get("valueString")
                for e in appointment.get("extension", ())
                if e.get("url") == DOUBLE_BOOKING_REASON
            ),
            None,
        ),
        cancelation_reason=next(
            (c.get("code") for c in reason.get("coding", ()) if c.get("system") == CANCELLATION_REASONS), None
        ),
        visit=visit_of(appointment),
    )


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
