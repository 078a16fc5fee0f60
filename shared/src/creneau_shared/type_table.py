"""The one table of the resource types of the whole base. Everything else that depends on the type is made from its rows:

    routes       nginx (deploy/gateway/routes.py), the gateway's batches, searches and metadata
    access       who may do what (security/role_table.py, rights.py), the regulation's and the development tokens
    compartments which compartment searches there are, and in which service
    the trail    which accesses are recorded
    caches       which answers may be cached

A new type is a row here, its search parameters (fhir/search/registry.py, as FHIR has them), and its service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from creneau_shared.roles import EVERY_ROLE, STAFF, Action, Reach, Role

ServiceName = Literal["booking", "directory", "notifications"]
SERVICE_NAMES: tuple[ServiceName, ...] = get_args(ServiceName)

Allowance = Literal["book", "register", "manage"]
"""The right that a practice's delegation or a person's mandate must include for a write."""
Share = Literal["whole", "shared", "nothing"]
"""What representatives of a person see of the resources about that person."""
Reaches = Mapping[Role, Mapping[str, Reach]]
"""Role → letters of interactions → reach. Missing entries are `none`; `system` reaches all."""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One type."""

    name: str
    service: ServiceName
    reaches: Reaches = field(default_factory=dict)
    public: bool = False
    """public information: who offers what care, where, and when there are free slots"""
    partly: bool = False
    """of a public type: only resources with the internal term `~public` are open to everybody"""
    personal: tuple[str, ...] = ()
    """search parameters by which a resource belongs to a person, if this decides who may see it; empty: to nobody"""
    share: Share = "shared"
    takes: Allowance = "manage"
    compartments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """owner's type → search parameters by which a resource is in the owner's compartment
    (compartmentdefinition-{patient,relatedperson,practitioner,device}.json)"""
    trail: bool = False
    """the trail: each service keeps its own, the gateway reads them as one; reading it is not recorded"""


def _everybody(reach: Reach) -> Reaches:
    return {role: {"rs": reach} for role in EVERY_ROLE}


def _staff(**of_actions: Reach) -> Reaches:
    return {role: dict(of_actions) for role in STAFF}


def _and(*several: Reaches) -> Reaches:
    """Combines several; for the same role and letters the later one wins."""
    together: dict[Role, dict[str, Reach]] = {}
    for one in several:
        for role, reaches in one.items():
            together.setdefault(role, {}).update(reaches)
    return together


_ACTOR = dict.fromkeys(("Patient", "RelatedPerson", "Practitioner", "Device"), ("actor",))
# An organisation changes only its own resources in the directory.
_DIRECTORY = _and(_everybody("public"), _staff(cud="practice"))

TYPES: Mapping[str, ResourceType] = {
    row.name: row
    for row in (
        ResourceType("Organization", "directory", _DIRECTORY, public=True),
        ResourceType("Location", "directory", _DIRECTORY, public=True),
        ResourceType("HealthcareService", "directory", _DIRECTORY, public=True),
        ResourceType(
            "Practitioner",
            "directory",
            # SAS keeps its regulators' accounts here (INT_R02); they belong to the regulation only.
            _and(_DIRECTORY, {"regulator": {"cu": "practice"}}),
            public=True,
        ),
        ResourceType(
            "PractitionerRole",
            "directory",
            _DIRECTORY,
            public=True,
            compartments={"Practitioner": ("practitioner",)},
        ),
        ResourceType("Endpoint", "directory", _DIRECTORY, public=True),
        ResourceType("OrganizationAffiliation", "directory", _DIRECTORY, public=True),
        # Devices of practices; a patient's own device is refused (`creneau_directory.handlers`).
        ResourceType("Device", "directory", _DIRECTORY, public=True),
        ResourceType(
            "Schedule",
            "booking",
            _and(_everybody("public"), _staff(cud="practice")),
            public=True,
            compartments=_ACTOR,
        ),
        ResourceType(
            "Slot",
            "booking",
            _and(
                _everybody("public"),
                _staff(rs="practice", cud="practice"),
                # A regulator sees every practice's slots, those kept for unscheduled care among them (SAS INT_R01).
                {"regulator": {"rs": "all"}},
            ),
            public=True,
            partly=True,
        ),
        ResourceType(
            "Appointment",
            "booking",
            _and({"patient": {"cruds": "own"}, "counsellor": {"crus": "own"}}, _staff(cruds="practice")),
            personal=("patient",),
            takes="book",
            compartments=_ACTOR,
        ),
        ResourceType(
            "AppointmentResponse",
            "booking",
            _and({"patient": {"crus": "own"}, "counsellor": {"crs": "own"}}, _staff(crus="practice")),
            personal=("patient",),
            takes="book",
            compartments=_ACTOR,
        ),
        ResourceType(
            "Patient",
            "booking",
            _and({"patient": {"crus": "own"}, "counsellor": {"crus": "own"}}, _staff(crus="practice")),
            personal=("_id",),
            share="whole",
            takes="register",
        ),
        ResourceType(
            "RelatedPerson",
            "booking",
            _and({"patient": {"cruds": "own"}, "counsellor": {"rs": "own"}}, _staff(crus="practice")),
            personal=("patient",),
            share="whole",
            takes="register",
            compartments={"Patient": ("patient",)},
        ),
        ResourceType("Provenance", "booking", _staff(crs="practice"), takes="book"),
        ResourceType(
            "AuditEvent",
            "booking",
            _and({"patient": {"rs": "own"}}, _staff(rs="practice")),
            personal=("patient",),
            share="nothing",
            trail=True,
        ),
        ResourceType(
            "Communication",
            "notifications",
            _and({"patient": {"rs": "own"}, "counsellor": {"rs": "own"}}, _staff(rs="practice")),
            personal=("subject", "recipient"),
            compartments={
                "Patient": ("subject", "sender", "recipient"),
                "Practitioner": ("sender", "recipient"),
            },
        ),
    )
}

PUBLIC = frozenset(row.name for row in TYPES.values() if row.public)
COMPARTMENT: Mapping[str, tuple[str, ...]] = {
    row.name: row.personal for row in TYPES.values() if row.personal
}
"""The types that are about a person, and the parameters by which a resource is about one."""
RECORDED = frozenset(row.name for row in TYPES.values() if row.personal and not row.trail)
"""The types whose accesses the trail records. The trail itself is not one: it would grow by being read."""
COMPARTMENT_PARAMETERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    owner: {row.name: row.compartments[owner] for row in TYPES.values() if owner in row.compartments}
    for owner in sorted({owner for row in TYPES.values() for owner in row.compartments})
}
"""Owner's type → the types that can be searched in its compartment → the parameters."""

OPERATION_ADDRESSES: Mapping[str, ServiceName] = {
    "$bulk-publish": "booking",
    "$export": "directory",
    "$export-file": "directory",
    "$send-code": "notifications",
    "$verify-code": "notifications",
    "Appointment/$open-link": "notifications",
    "Appointment/$renew-link": "notifications",
}
"""Operations on the base, or on a type of another service → the service that has them. They cannot stand in a Bundle."""


def reach_of(role: Role, resource_type: str, action: Action) -> Reach:
    """The reach of `role` with `action` on a type; `none` for a type that is not in the table."""
    row = TYPES.get(resource_type)
    if row is None:
        return "none"
    if role == "system":
        return "all"
    found: Reach = "none"
    for letters, reach in row.reaches.get(role, {}).items():
        if action in letters:
            found = reach
    return found


def types_of(service: ServiceName) -> tuple[str, ...]:
    """The types that are routed to a service."""
    return tuple(row.name for row in TYPES.values() if row.service == service)
