"""RelatedPerson ↔ what it states of a person's representative, and the Patient's own side of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from creneau_booking.domain.proxies import EVERYTHING, RESPONSIBLE, SCOPES, Proxy
from creneau_shared.clock import PARIS
from creneau_shared.errors import Issue, Unprocessable
from creneau_shared.fhir.datatypes import parse_interval
from creneau_shared.fhir.storage.store import Resource

PROXY_SCOPE = "https://creneau.sante.fr/fhir/StructureDefinition/proxy-scope"
"""code, once for each: see, book, cancel. What the person lets this RelatedPerson do for them online."""
ROLE_CODE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"


def proxy_of(resource: Resource, base_url: str) -> Proxy:
    """What a valid RelatedPerson states; Unprocessable for a scope that there is not, or a Patient of another base."""
    patient = resource["patient"].get("reference", "").removeprefix(base_url.rstrip("/") + "/")
    patient = patient.split("/_history/")[0]
    if not patient.startswith("Patient/"):
        raise _refused(
            "RelatedPerson.patient désigne un Patient d'ici (Patient/<id>).",
            "RelatedPerson.patient names a Patient of this base (Patient/<id>).",
            "RelatedPerson.patient",
        )
    codes = frozenset(
        str(coding.get("code", ""))
        for concept in resource.get("relationship", ())
        for coding in concept.get("coding", ())
    )
    said = {str(e.get("valueCode", "")) for e in resource.get("extension", ()) if e.get("url") == PROXY_SCOPE}
    if unknown := said - set(SCOPES):
        raise _refused(
            f"proxy-scope vaut « {min(unknown)} » ; valeurs possibles : {', '.join(SCOPES)}.",
            f"proxy-scope is “{min(unknown)}”; possible values: {', '.join(SCOPES)}.",
            "RelatedPerson.extension",
        )
    period = resource.get("period", {})
    return Proxy(
        patient=patient.removeprefix("Patient/"),
        relationships=codes,
        may=_may(codes, frozenset(said)),
        since=_moment(period.get("start"), 0),
        until=_moment(period.get("end"), 1),
        active=resource.get("active", True) is not False,
    )


def _may(relationships: frozenset[str], said: frozenset[str]) -> frozenset[str]:
    """What they may do who are so related. All the scopes of somebody who answers for the person are everything, as when
    none is said: else what a registration states would take something away when it is written back unchanged."""
    if relationships & RESPONSIBLE and said in (frozenset(), frozenset(SCOPES)):
        return EVERYTHING
    return said or frozenset({"see"})


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
        "extension": [{"url": PROXY_SCOPE, "valueCode": s} for s in SCOPES if s in proxy.may],
    }


PARENT = [{"system": ROLE_CODE, "code": "PRN", "display": "parent"}]
CARER = [{"system": ROLE_CLASS, "code": "CAREGIVER", "display": "caregiver"}]


def _moment(text: str | None, end: int) -> datetime | None:
    """The first or, for an end, the last moment that a date names."""
    return parse_interval(text, PARIS)[end] if text else None


def _refused(fr: str, en: str, expression: str) -> Unprocessable:
    return Unprocessable(issues=[Issue("value", fr, en, (expression,), details_code="proxy")])
