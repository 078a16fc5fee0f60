"""The one table of the resource types of the whole base: who serves a type, whether it is public, to which compartments
it belongs. Routes, access, compartments and descriptions are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

ServiceName = Literal["booking", "directory", "notifications"]
SERVICE_NAMES: tuple[ServiceName, ...] = get_args(ServiceName)


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One type. `compartments`: by which parameters a resource is in the compartment of an owner's type
    (compartmentdefinition-{patient,relatedperson,practitioner,device}.json)."""

    name: str
    service: ServiceName
    public: bool = False
    """who offers what, where, and when there is room"""
    personal: tuple[str, ...] = ()
    """by which parameters a resource belongs to a person, where that decides who may see it; none: to nobody"""
    compartments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_ACTOR = dict.fromkeys(("Patient", "RelatedPerson", "Practitioner", "Device"), ("actor",))

TYPES: Mapping[str, ResourceType] = {
    row.name: row
    for row in (
        ResourceType("Organization", "directory", public=True),
        ResourceType("Location", "directory", public=True),
        ResourceType("HealthcareService", "directory", public=True),
        ResourceType("Practitioner", "directory", public=True),
        ResourceType(
            "PractitionerRole", "directory", public=True, compartments={"Practitioner": ("practitioner",)}
        ),
        ResourceType("Endpoint", "directory", public=True),
        ResourceType("OrganizationAffiliation", "directory", public=True),
        # What a practice works with; one that is a patient's own is refused (`creneau_directory.handlers`).
        ResourceType("Device", "directory", public=True),
        ResourceType("Schedule", "booking", public=True, compartments=_ACTOR),
        ResourceType("Slot", "booking", public=True),
        ResourceType("Appointment", "booking", personal=("patient",), compartments=_ACTOR),
        ResourceType("AppointmentResponse", "booking", personal=("patient",), compartments=_ACTOR),
        ResourceType("Patient", "booking", personal=("_id",)),
        ResourceType(
            "RelatedPerson", "booking", personal=("patient",), compartments={"Patient": ("patient",)}
        ),
        ResourceType("Provenance", "booking"),
        # Each service has a trail of its own; the gateway reads them as one.
        ResourceType("AuditEvent", "booking", personal=("patient",)),
        ResourceType(
            "Communication",
            "notifications",
            personal=("subject", "recipient"),
            compartments={
                "Patient": ("subject", "sender", "recipient"),
                "Practitioner": ("sender", "recipient"),
            },
        ),
        ResourceType("Subscription", "notifications"),
    )
}

PUBLIC = frozenset(row.name for row in TYPES.values() if row.public)
COMPARTMENT: Mapping[str, tuple[str, ...]] = {
    row.name: row.personal for row in TYPES.values() if row.personal
}
"""The types that are about a person, and the parameters by which a resource is about one."""


def compartment_parameters(owner: str) -> Mapping[str, tuple[str, ...]]:
    """The types that can be searched in the compartment of an owner's type, and by which parameters."""
    return {row.name: row.compartments[owner] for row in TYPES.values() if owner in row.compartments}
