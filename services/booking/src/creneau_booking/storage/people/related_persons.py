"""RelatedPerson ↔ what it states of a person's representative, and the Patient's own side of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from creneau_booking.domain.proxies import SCOPES, Proxy
from creneau_booking.domain.refusals.proxies import NoPatientNamed, UnknownProxyScope
from creneau_shared.clock import PARIS
from creneau_shared.fhir.datatypes import parse_interval
from creneau_shared.fhir.storage.store import Resource

PROXY_SCOPE = "https://creneau.sante.fr/fhir/StructureDefinition/proxy-scope"
"""code, once for each: see, book, cancel, register. What the person lets this RelatedPerson do for them online."""
UNTIL_MAJORITY = "https://creneau.sante.fr/fhir/StructureDefinition/proxy-until-majority"
"""boolean: the end of the period is the Patient's majority; without an end, once it is known. The server's own."""
ACCEPTED_ON = "https://creneau.sante.fr/fhir/StructureDefinition/proxy-accepted-on"
"""instant: when an account took it up by an invitation. The server's own."""
_MAJORITY: Resource = {"url": UNTIL_MAJORITY, "valueBoolean": True}
ROLE_CODE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"


def proxy_of(resource: Resource, base_url: str) -> Proxy:
    """Returns what a valid RelatedPerson states. Raises UnknownProxyScope for an unknown scope, NoPatientNamed for a
    Patient of another base.
    """
    patient = resource["patient"].get("reference", "").removeprefix(base_url.rstrip("/") + "/")
    patient = patient.split("/_history/")[0]
    if not patient.startswith("Patient/"):
        raise NoPatientNamed()
    codes = frozenset(
        str(coding.get("code", ""))
        for concept in resource.get("relationship", ())
        for coding in concept.get("coding", ())
    )
    said = {str(e.get("valueCode", "")) for e in resource.get("extension", ()) if e.get("url") == PROXY_SCOPE}
    if unknown := said - set(SCOPES):
        raise UnknownProxyScope(min(unknown), SCOPES)
    period = resource.get("period", {})
    return Proxy(
        patient=patient.removeprefix("Patient/"),
        relationships=codes,
        scopes=frozenset(said),
        since=_moment(period.get("start"), 0),
        until=_moment(period.get("end"), 1),
        active=resource.get("active", True) is not False,
        ends_at_majority=_has(resource, UNTIL_MAJORITY),
    )


def resource_of(proxy: Proxy, codings: list[dict[str, Any]]) -> Resource:
    """The RelatedPerson that states what a registration implies."""
    period = {
        name: moment.astimezone(PARIS).isoformat()
        for name, moment in (("start", proxy.since), ("end", proxy.until))
        if moment is not None
    }
    return {
        "resourceType": "RelatedPerson",
        "active": True,
        "patient": {"reference": f"Patient/{proxy.patient}"},
        "relationship": [{"coding": codings}],
        **({"period": period} if period else {}),
        "extension": [{"url": PROXY_SCOPE, "valueCode": s} for s in SCOPES if s in proxy.scopes],
    }


PARENT = [{"system": ROLE_CODE, "code": "PRN", "display": "parent"}]
CARER = [{"system": ROLE_CLASS, "code": "CAREGIVER", "display": "caregiver"}]


def with_majority(resource: Resource, end: datetime | None, *, awaited: bool = False) -> Resource:
    """Returns the RelatedPerson with a period that ends with the Patient's majority; None: its own period stays. `awaited`: the
    majority is its end once the birth date is known.

    A period's end is its last day: the day before the majority.
    """
    rest = _without(resource, UNTIL_MAJORITY)
    if end is None:
        return _with(rest, _MAJORITY) if awaited else rest
    last = end.astimezone(PARIS).date() - timedelta(days=1)
    period = {**resource.get("period", {}), "end": last.isoformat()}
    return _with({**rest, "period": period}, _MAJORITY)


def with_acceptance_of(resource: Resource, current: Resource | None) -> Resource:
    """Returns the RelatedPerson with the acceptance of the stored one, whatever it says itself."""
    said = [e for e in (current or {}).get("extension", ()) if e.get("url") == ACCEPTED_ON]
    return _with(_without(resource, ACCEPTED_ON), *said)


def accepted(resource: Resource, now: datetime) -> Resource:
    """Returns the RelatedPerson as an account has accepted it."""
    return _with(
        _without(resource, ACCEPTED_ON),
        {"url": ACCEPTED_ON, "valueInstant": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
    )


def renounced(resource: Resource) -> Resource:
    """Returns the RelatedPerson as no longer representing the Patient."""
    return {**resource, "active": False}


def _has(resource: Resource, url: str) -> bool:
    return any(e.get("url") == url for e in resource.get("extension", ()))


def _without(resource: Resource, url: str) -> Resource:
    extensions = [e for e in resource.get("extension", ()) if e.get("url") != url]
    rest = {name: value for name, value in resource.items() if name != "extension"}
    return {**rest, "extension": extensions} if extensions else rest


def _with(resource: Resource, *extensions: Resource) -> Resource:
    if not extensions:
        return resource
    return {**resource, "extension": [*resource.get("extension", ()), *extensions]}


def _moment(text: str | None, end: int) -> datetime | None:
    """The first or, for an end, the last moment that a date names."""
    return parse_interval(text, PARIS)[end] if text else None
