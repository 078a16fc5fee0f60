"""What a principal may do with a resource type, and which resources of it they may see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from creneau_shared.errors import Forbidden, Unauthenticated
from creneau_shared.security.principal import Action, Principal

PatientIds = Callable[[Principal], Awaitable[frozenset[str]]]
"""Resolves a principal to the Patients they act for (themselves, their children, whom they represent)."""

Reach = Literal["all", "own", "none"]

COMPARTMENT: dict[str, tuple[str, ...]] = {
    "Patient": ("_id",),
    "RelatedPerson": ("patient",),
    "Appointment": ("patient",),
    "AppointmentResponse": ("patient",),
    "Communication": ("subject", "recipient"),
}
"""FHIR's patient compartment, for the types that a patient may reach: by which parameters a resource belongs to
a patient (compartmentdefinition-patient.json). Schedule is in the compartment by definition, but an agenda is
public."""

CLOSED_TO_PATIENTS = frozenset({"AuditEvent", "Provenance", "Subscription"})
PUBLIC = frozenset(
    {
        "Organization",
        "Location",
        "HealthcareService",
        "Practitioner",
        "PractitionerRole",
        "Endpoint",
        "Schedule",
        "Slot",
    }
)
"""Public information: who offers what, where, and when there is room."""


@dataclass(frozen=True, slots=True)
class Access:
    """What one request may do: decided once, before anything is read."""

    principal: Principal
    patient_ids: frozenset[str] | None
    """None: not limited to a patient compartment"""

    def sees(self, resource_type: str, terms: frozenset[str]) -> bool:
        """Whether a resource with these search terms lies in what the request may see."""
        required = self.required_terms(resource_type)
        return required is None or not terms.isdisjoint(required)

    def required_terms(self, resource_type: str) -> tuple[str, ...] | None:
        """The terms of which a resource must have one; None: no limit."""
        if self.patient_ids is None or resource_type not in COMPARTMENT:
            return None
        return terms_of(resource_type, self.patient_ids)


def terms_of(resource_type: str, patient_ids: Iterable[str]) -> tuple[str, ...]:
    """The search terms by which a resource belongs to one of these patients."""
    return tuple(
        f"{parameter}={patient}" if parameter == "_id" else f"{parameter}=Patient/{patient}"
        for parameter in COMPARTMENT[resource_type]
        for patient in sorted(patient_ids)
    )


class AccessPolicy:
    """Decides from a principal's scopes (SMART v2) and the patient compartment."""

    def __init__(self, patient_ids: PatientIds, *, anonymous_read: bool) -> None:
        self._patient_ids = patient_ids
        self.anonymous_read = anonymous_read
        """whether public information is open to callers without a token"""

    async def access(self, principal: Principal, resource_type: str, action: Action) -> Access:
        """The access that `principal` has for `action`; Unauthenticated or Forbidden when they have none."""
        if self.anonymous_read and action in ("r", "s") and resource_type in PUBLIC:
            return Access(
                principal,
                frozenset() if principal.anonymous else await self._limit(principal, resource_type, action),
            )
        if principal.anonymous:
            raise Unauthenticated(
                "Identifiez-vous pour accéder à cette information.",
                "Log in to reach this information.",
                headers={"WWW-Authenticate": 'Bearer realm="Creneau"'},
            )
        level = principal.level(resource_type, action)
        if level is None or (level == "patient" and not _open_to_patients(resource_type, action)):
            raise Forbidden(
                f"Votre jeton ne permet pas cette action sur {resource_type}.",
                f"Your token does not allow this action on {resource_type}.",
                diagnostics=f"needs a scope such as patient/{resource_type}.{action} or user/{resource_type}.{action}",
            )
        return Access(principal, await self._limit(principal, resource_type, action))

    async def patients(self, principal: Principal) -> frozenset[str]:
        """The Patients that the principal acts for."""
        return await self._patient_ids(principal)

    def reach(self, principal: Principal) -> Mapping[str, Reach]:
        """How far a search may lead into each type: to all of it, to the patients' own, or not at all."""
        return _reach(principal, self.anonymous_read)

    async def _limit(self, principal: Principal, resource_type: str, action: Action) -> frozenset[str] | None:
        if principal.level(resource_type, action) in ("user", "system"):
            return None
        return await self._patient_ids(principal)


def _open_to_patients(resource_type: str, action: Action) -> bool:
    """Public types are the practices' to write; what is about others' work is closed."""
    if resource_type in CLOSED_TO_PATIENTS:
        return False
    return action in ("r", "s") or resource_type in COMPARTMENT


@lru_cache(maxsize=4096)
def _reach(principal: Principal, anonymous_read: bool) -> Mapping[str, Reach]:
    reach: dict[str, Reach] = {}
    for resource_type in (*PUBLIC, *COMPARTMENT, *CLOSED_TO_PATIENTS):
        level = principal.level(resource_type, "s")
        if resource_type in PUBLIC and (anonymous_read or level is not None):
            reach[resource_type] = "all"
        elif level is None or (level == "patient" and resource_type in CLOSED_TO_PATIENTS):
            reach[resource_type] = "none"
        else:
            reach[resource_type] = "own" if level == "patient" else "all"
    return reach


async def launch_patient(principal: Principal) -> frozenset[str]:
    """The Patient of the SMART launch context, for a service that keeps no accounts of its own."""
    return frozenset({principal.patient} if principal.patient else ())
