"""Resources without the person that they were about: only what is named here stays, whatever a client has sent.

A list of what is taken away would miss what nobody has thought of; each function makes the resource anew from the
coded and timed elements that are the practice's record.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from creneau_booking.storage.mapping.appointment import relative
from creneau_shared.fhir.storage.store import Resource

ERASED = {"display": "Patient effacé"}
"""Stand-in for a person who was erased."""

_META = ("versionId", "lastUpdated", "profile", "security")
_OF_APPOINTMENT = (
    "resourceType",
    "id",
    "status",
    "start",
    "end",
    "minutesDuration",
    "created",
    "priority",
)
_CODED = ("serviceCategory", "serviceType", "specialty", "appointmentType", "cancelationReason")
_OF_RESPONSE = ("resourceType", "id", "participantStatus", "start", "end")
_OF_PROVENANCE = ("resourceType", "id", "recorded")
_HERE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")
"""a reference within this base"""


class Anonymiser:
    """Takes the people `gone` (references such as `Patient/12`) out of resources that name them."""

    def __init__(self, gone: Set[str], base_url: str, *, leaving: bool = False) -> None:
        """`leaving`: the appointments go on, and they have declined."""
        self._gone = gone
        self._base_url = base_url
        self._leaving = leaving

    def appointment(self, resource: Resource) -> Resource:
        """Returns the appointment as the practice's agenda has it; unchanged if it names none of them."""
        if not any(self._is_gone(p.get("actor")) for p in resource["participant"]):
            return resource
        kept = _kept(resource, _OF_APPOINTMENT, _CODED)
        if "slot" in resource:
            kept["slot"] = [self._reference(slot) for slot in resource["slot"]]
        kept["participant"] = [self._participant(p) for p in resource["participant"]]
        return kept

    def response(self, resource: Resource) -> Resource:
        """The answer of somebody else to such an appointment: without their words."""
        kept = _kept(resource, _OF_RESPONSE, ())
        kept["appointment"] = self._reference(resource["appointment"])
        if "actor" in resource:
            kept["actor"] = self._person(resource["actor"])
        if "participantType" in resource:
            kept["participantType"] = _several(resource["participantType"])
        return kept

    def provenance(self, resource: Resource) -> Resource:
        """Who changed such an appointment: without reasons in words, signatures and names."""
        kept = _kept(resource, _OF_PROVENANCE, ("activity",))
        kept["target"] = [self._reference(target) for target in resource["target"]]
        kept["agent"] = [self._agent(agent) for agent in resource["agent"]]
        return kept

    def _participant(self, participant: Resource) -> Resource:
        kept: Resource = {
            name: participant[name] for name in ("required", "status", "period") if name in participant
        }
        if "type" in participant:
            kept["type"] = _several(participant["type"])
        if self._leaving and self._is_gone(participant.get("actor")):
            kept["status"] = "declined"
        return _said({"actor": self._person(participant.get("actor")), **kept})

    def _agent(self, agent: Resource) -> Resource:
        kept: Resource = {"who": self._person(agent["who"])}
        if "type" in agent:
            kept["type"] = _codes(agent["type"])
        return _said(kept)

    def _person(self, reference: Any) -> Resource:
        """Returns the reference to somebody of this base who stays. A name or a number alone, or a record of another server,
        may be the person's: not kept."""
        text = reference.get("reference") if isinstance(reference, dict) else None
        if not isinstance(text, str) or self._is_gone(reference):
            return dict(ERASED)
        return self._reference(reference) if _HERE.fullmatch(relative(text, self._base_url)) else dict(ERASED)

    def _reference(self, reference: Resource) -> Resource:
        """Returns the bare reference, unless it is empty or leads to a contained resource."""
        text = str(reference.get("reference", ""))
        return {"reference": text} if text and not text.startswith("#") else dict(ERASED)

    def _is_gone(self, reference: Any) -> bool:
        text = reference.get("reference") if isinstance(reference, dict) else None
        return isinstance(text, str) and relative(text, self._base_url) in self._gone


def _kept(resource: Resource, names: tuple[str, ...], coded: tuple[str, ...]) -> Resource:
    kept = {name: resource[name] for name in names if name in resource}
    if "meta" in resource:
        kept["meta"] = {name: resource["meta"][name] for name in _META if name in resource["meta"]}
        if "security" in kept["meta"]:
            kept["meta"]["security"] = [_coding(coding) for coding in kept["meta"]["security"]]
    for name in coded:
        value = resource.get(name)
        if isinstance(value, list):
            kept[name] = _several(value)
        elif value is not None:
            kept[name] = _codes(value)
    return _said(kept)


def _several(concepts: list[Resource]) -> list[Resource]:
    return [kept for concept in concepts if (kept := _codes(concept))]


def _said(resource: Resource) -> Resource:
    """Returns the resource without empty elements, which FHIR does not have."""
    return {name: value for name, value in resource.items() if value not in ([], {})}


def _codes(concept: Resource) -> Resource:
    """A CodeableConcept's codes, without the words beside them; empty where words are all it has."""
    codings = [kept for coding in concept.get("coding", ()) if (kept := _coding(coding))]
    return {"coding": codings} if codings else {}


def _coding(coding: Resource) -> Resource:
    return {name: coding[name] for name in ("system", "code") if name in coding}
