"""FHIR Appointment ⇄ the domain's appointment: the line behind which nothing knows FHIR.

`facts` reads what the rules need; `said` puts it back over the resource that it came from, whose other elements stay.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from creneau_booking.domain.appointment import (
    CANCELLATION_REASONS,
    Appointment,
    Cancellation,
    Code,
    CounterProposal,
    Participant,
)
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.storage.mapping import series as series_mapper
from creneau_shared.fhir.datatypes import exact_instant, instant_of
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
OVERBOOKING_REASON = "https://creneau.sante.fr/fhir/StructureDefinition/overbooking-reason"
"""extension (string): why a practice puts an appointment where another one is"""
COUNTER_PROPOSAL = "https://creneau.sante.fr/fhir/StructureDefinition/counter-proposal"
"""extension on an appointment: another time (`start`, `end`) that a participant (`by`) proposes in an answer (`response`)"""
CANCELLED_BY = "https://creneau.sante.fr/fhir/StructureDefinition/cancelled-by"
"""extension (code: patient, provider, system) on a cancelled appointment"""
CANCELLATION_DATE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.cancellationDate"
NOTE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.note"
"""extension (Annotation): what the person who cancels says to the other side"""
REPLACED_BY = "https://creneau.sante.fr/fhir/StructureDefinition/replaced-by"
"""extension (Reference) on a cancelled appointment: the one that was made in its place (R5 `replaces`, the other way)"""
OURS = frozenset(
    {
        HELD_UNTIL,
        WAITING_SINCE,
        CANCELABLE_UNTIL,
        RESCHEDULABLE_UNTIL,
        COUNTER_PROPOSAL,
        CANCELLED_BY,
        CANCELLATION_DATE,
        REPLACED_BY,
    }
)
"""extensions that only the server writes, whatever is sent"""

REPLACES = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.replaces"

DOUBLE_BOOKING_REASON = "https://creneau.sante.fr/fhir/StructureDefinition/double-booking-reason"
"""extension (string) on an appointment: why its patient may have another one at that time"""

WITH_GAP = "https://creneau.sante.fr/fhir/StructureDefinition/appointment-with-gap"
"""extension (boolean) on an appointment of a practice: its slots need not follow each other"""
UNANSWERED_CODE = "prov"
UNANSWERED: Resource = {
    "coding": [{"system": CANCELLATION_REASONS, "code": UNANSWERED_CODE}],
    "text": "Le cabinet n'a pas répondu dans le délai. / The practice did not answer in time.",
}
"""reason to cancel an appointment that waited for its practice"""

WORDS = "text|"
"""prefix of the text of a concept without a coding"""


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
        hidden=_is_hidden(appointment),
        double_booking_reason=_extension(appointment, DOUBLE_BOOKING_REASON, "valueString"),
        overbooking_reason=_extension(appointment, OVERBOOKING_REASON, "valueString"),
        held_until=_instant(_extension(appointment, HELD_UNTIL, "valueInstant")),
        counter=_counter(appointment),
        cancellation=_cancellation(appointment),
        replaces=_replaced(appointment),
        with_gap=_extension(appointment, WITH_GAP, "valueBoolean") is True,
        occurrence=series_mapper.occurrence_of(appointment),
        replaced_by=_appointment_of(appointment, REPLACED_BY),
        waiting_since=_instant(_extension(appointment, WAITING_SINCE, "valueInstant")),
        cancelation_reason=next(
            (c.get("code") for c in reason.get("coding", ()) if c.get("system") == CANCELLATION_REASONS), None
        ),
        visit=visit_of(appointment),
        referred=any(r.get("reference") or r.get("identifier") for r in appointment.get("basedOn", ())),
    )


def said(appointment: Appointment, resource: Resource) -> Resource:
    """Returns `resource` with the facts of `appointment`: its status, times, participants, hold, the appointment that it
    replaces, and the label that hides it."""
    written = {**resource, "status": appointment.status, "participant": _participants(appointment)}
    if appointment.hidden:
        written = labelled(written)
    for name, moment in (("start", appointment.start), ("end", appointment.end)):
        if moment is not None and _instant(resource.get(name)) != moment:
            written[name] = exact_instant(moment)
    extensions = [e for e in resource.get("extension", ()) if e.get("url") not in OURS]
    extensions += _of_cancellation(appointment, extensions)
    if appointment.held_until is not None:
        extensions.append({"url": HELD_UNTIL, "valueInstant": fhir_instant(appointment.held_until)})
    if appointment.waiting_since is not None:
        extensions.append({"url": WAITING_SINCE, "valueInstant": exact_instant(appointment.waiting_since)})
    if (counter := appointment.counter) is not None:
        parts = [
            {"url": "response", "valueReference": {"reference": f"AppointmentResponse/{counter.response}"}},
            {"url": "by", "valueReference": {"reference": counter.by}},
            {"url": "start", "valueInstant": exact_instant(counter.start)},
            {"url": "end", "valueInstant": exact_instant(counter.end)},
        ]
        extensions.append({"url": COUNTER_PROPOSAL, "extension": parts})
    if appointment.replaces is not None and appointment.replaces != _replaced(resource):
        reference = {"reference": f"Appointment/{appointment.replaces}"}
        extensions.append({"url": REPLACES, "valueReference": reference})
    rest = {name: value for name, value in written.items() if name != "extension"}
    whole = {**rest, "extension": extensions} if extensions else rest
    return (
        whole
        if appointment.occurrence is None
        else series_mapper.with_occurrence(whole, appointment.occurrence)
    )


def lasting(resource: Resource, before: Resource) -> Resource:
    """Returns a next version whose `minutesDuration` is the length of its time, if that is another than in the version
    `before` and the sender states the old minutes again. Other minutes stay: a visit may be shorter than its time."""
    minutes = resource.get("minutesDuration")
    if minutes is None or minutes != before.get("minutesDuration"):
        return resource
    length, had = _length(resource), _length(before)
    if length is None or had is None or length == had:
        return resource
    rest = {name: value for name, value in resource.items() if name != "minutesDuration"}
    whole, left = divmod(length, timedelta(minutes=1))
    return rest if left else {**rest, "minutesDuration": whole}


def _length(appointment: Resource) -> timedelta | None:
    start, end = (_instant(appointment.get(name)) for name in ("start", "end"))
    return None if start is None or end is None else end - start


def labelled(resource: Resource) -> Resource:
    """The Appointment with the label that hides it from whoever represents its patient."""
    if _is_hidden(resource):
        return resource
    meta = resource.get("meta", {})
    label = {"system": CONFIDENTIALITY, "code": HIDDEN}
    return {**resource, "meta": {**meta, "security": [*meta.get("security", ()), label]}}


def _is_hidden(appointment: Resource) -> bool:
    return any(
        label.get("system") == CONFIDENTIALITY and label.get("code") == HIDDEN
        for label in appointment.get("meta", {}).get("security", ())
    )


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


def _extension(appointment: Resource, url: str, value: str) -> Any:
    for extension in appointment.get("extension", ()):
        if extension.get("url") == url:
            return extension.get(value)
    return None


def _counter(appointment: Resource) -> CounterProposal | None:
    found: Resource | None = next(
        (e for e in appointment.get("extension", ()) if e.get("url") == COUNTER_PROPOSAL), None
    )
    if found is None:
        return None
    parts = {part.get("url"): part for part in found.get("extension", ())}
    response, by = (parts.get(n, {}).get("valueReference", {}).get("reference") for n in ("response", "by"))
    start, end = (_instant(parts.get(name, {}).get("valueInstant")) for name in ("start", "end"))
    if not response or not by or start is None or end is None:
        return None
    return CounterProposal(response.removeprefix("AppointmentResponse/"), by, start, end)


def with_reason_in_code(resource: Resource) -> tuple[Resource, str | None]:
    """Returns a cancelled resource with the reason as a code alone, and the text of the reason. The text is for readers, and
    becomes a note to the other side."""
    reason = resource.get("cancelationReason")
    if resource.get("status") != "cancelled" or not isinstance(reason, dict) or "text" not in reason:
        return resource, None
    code = {name: value for name, value in reason.items() if name != "text"}
    rest = {name: value for name, value in resource.items() if name != "cancelationReason"}
    return rest | ({"cancelationReason": code} if code else {}), str(reason["text"])


def without_ours(resource: Resource) -> Resource:
    """Returns an appointment without the extensions `OURS`."""
    extensions = [e for e in resource.get("extension", ()) if e.get("url") not in OURS]
    rest = {name: value for name, value in resource.items() if name != "extension"}
    return {**rest, "extension": extensions} if extensions else rest


def _of_cancellation(appointment: Appointment, said: list[Resource]) -> list[Resource]:
    """Returns the extensions of a cancellation: who, when, a note that `said` does not have yet, and the replacement."""
    found: list[Resource] = []
    if (cancellation := appointment.cancellation) is not None:
        found.append({"url": CANCELLATION_DATE, "valueDateTime": fhir_instant(cancellation.at)})
        found.append({"url": CANCELLED_BY, "valueCode": cancellation.by})
        note = {"time": fhir_instant(cancellation.at), "text": cancellation.note}
        known = [e.get("valueAnnotation", {}).get("text") for e in said if e.get("url") == NOTE]
        if cancellation.note is not None and cancellation.note not in known:
            found.append({"url": NOTE, "valueAnnotation": note})
    if appointment.replaced_by is not None:
        reference = {"reference": f"Appointment/{appointment.replaced_by}"}
        found.append({"url": REPLACED_BY, "valueReference": reference})
    return found


def _cancellation(appointment: Resource) -> Cancellation | None:
    at = _instant(_extension(appointment, CANCELLATION_DATE, "valueDateTime"))
    by = _extension(appointment, CANCELLED_BY, "valueCode")
    if at is None or by not in ("patient", "provider", "system"):
        return None
    return Cancellation(at, by)


def _replaced(appointment: Resource) -> str | None:
    return _appointment_of(appointment, REPLACES)


def _appointment_of(appointment: Resource, url: str) -> str | None:
    """The id of the Appointment that an extension refers to."""
    reference = str((_extension(appointment, url, "valueReference") or {}).get("reference", ""))
    return reference.removeprefix("Appointment/") if reference.startswith("Appointment/") else None


def visit_of(resource: Resource) -> dict[str, frozenset[str]]:
    """Returns what an Appointment or a Slot is for, as codes (`system|code`). A text without a code counts as a code of
    its own."""
    found = {}
    for element in SAID_BY_SLOT:
        said = resource.get(element, ())
        concepts = [said] if isinstance(said, dict) else said
        if concepts:
            found[element] = frozenset(code for concept in concepts for code in _codes(concept))
    return found


def offered(slot: Resource) -> dict[str, frozenset[str]]:
    """Returns what a Slot is for: codes with their system, and without it for clients that leave it out."""
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
    """Writes an instant in UTC and whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


def _instant(text: str | None) -> datetime | None:
    return instant_of(text) if text else None
