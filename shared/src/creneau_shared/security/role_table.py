"""The one table of who may do what: role × type × interaction → how far, and what each operation needs. The rights of
a request, the documentation (docs/guides/roles.md) and the expectation of the generated matrix test are all made from it.
A server refuses to be built with a type or an operation that the table does not know.

How far (`Reach`):

    all        every resource of the type
    public     what is open to everybody: the directory, agendas, slots that are not reserved
    own        what is about the persons for whom the caller acts (themselves, and whom they represent)
    practice   what belongs to the organisations for which the caller speaks; of slots and agendas also what is public
    none       nothing
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from creneau_shared.security.principal import Action, Role

Reach = Literal["all", "public", "own", "practice", "none"]
ACTIONS: tuple[Action, ...] = get_args(Action)
STAFF: tuple[Role, ...] = ("practitioner", "secretary", "software")
"""Who speaks for practices."""
CONSUMERS: tuple[Role, ...] = ("public", "patient", "counsellor", "operator")
"""Who takes appointments as a patient does, or only looks."""

_By = Mapping[Role, Mapping[str, Reach]]


def _everybody(reach: Reach) -> dict[Role, dict[str, Reach]]:
    return {role: {"rs": reach} for role in get_args(Role)}


def _staff(**of_actions: Reach) -> dict[Role, dict[str, Reach]]:
    return {role: dict(of_actions) for role in STAFF}


def _and(*several: _By) -> _By:
    """The rows of several tables together; where two say something of the same role and letters, the later one holds."""
    together: dict[Role, dict[str, Reach]] = {}
    for one in several:
        for role, reaches in one.items():
            together.setdefault(role, {}).update(reaches)
    return together


_DIRECTORY = _and(_everybody("public"), _staff(cud="practice"))
_PERSONAL_STAFF = _staff(rs="practice")

_TABLE: Mapping[str, _By] = {
    # What an organisation changes in the directory is its own.
    "Organization": _DIRECTORY,
    "Location": _DIRECTORY,
    "HealthcareService": _DIRECTORY,
    "PractitionerRole": _DIRECTORY,
    "Endpoint": _DIRECTORY,
    "OrganizationAffiliation": _DIRECTORY,
    "Device": _DIRECTORY,
    # SAS keeps its regulators' accounts here (INT_R02): they belong to the regulation and to nobody else.
    "Practitioner": _and(_DIRECTORY, {"regulator": {"cu": "practice"}}),
    "Schedule": _and(_everybody("public"), _staff(cud="practice")),
    "Slot": _and(
        _everybody("public"),
        _staff(rs="practice", cud="practice"),
        # A regulator sees every practice's slots, those kept for unscheduled care among them (SAS INT_R01).
        {"regulator": {"rs": "all"}},
    ),
    "Appointment": _and(
        {"patient": {"cruds": "own"}, "counsellor": {"crus": "own"}}, _staff(cruds="practice")
    ),
    "AppointmentResponse": _and(
        {"patient": {"crus": "own"}, "counsellor": {"crs": "own"}}, _staff(crus="practice")
    ),
    "Patient": _and({"patient": {"crus": "own"}, "counsellor": {"crus": "own"}}, _staff(crus="practice")),
    "RelatedPerson": _and(
        {"patient": {"cruds": "own"}, "counsellor": {"rs": "own"}}, _staff(crus="practice")
    ),
    "Communication": _and({"patient": {"rs": "own"}, "counsellor": {"rs": "own"}}, _PERSONAL_STAFF),
    "Provenance": _staff(crs="practice"),
    "AuditEvent": _and({"patient": {"rs": "own"}}, _PERSONAL_STAFF),
    "Subscription": {},
}


def reach_of(role: Role, resource_type: str, action: Action) -> Reach:
    """How far `role` reaches with `action` into a type; a type that the table does not know is nobody's."""
    if role == "system":
        return "all" if resource_type in _TABLE else "none"
    rows = _TABLE.get(resource_type, {}).get(role, {})
    found: Reach = "none"
    for letters, reach in rows.items():
        if action in letters:
            found = reach
    return found


NEEDED: Mapping[str, str] = {
    **dict.fromkeys(("Appointment", "AppointmentResponse"), "book"),
    **dict.fromkeys(("Patient", "RelatedPerson"), "register"),
    "Provenance": "book",
}
"""What a delegation (of a practice) or a mandate (of a person) must allow for a write; all else takes `manage`."""


def needed(resource_type: str, action: Action) -> str:
    """What one must be allowed on behalf of a practice or a person for `action`."""
    return "see" if action in ("r", "s") else NEEDED.get(resource_type, "manage")


@dataclass(frozen=True, slots=True)
class OperationRow:
    """What an operation needs."""

    right: tuple[str, Action] | None
    """on which type, what; None: see `otherwise`"""
    otherwise: str = ""
    """what stands in for a right, or narrows it"""


OPERATIONS: Mapping[str, OperationRow] = {
    "find": OperationRow(("Slot", "s"), "an appointment to ignore counts only if the caller may read it"),
    "hold": OperationRow(("Appointment", "c")),
    "book": OperationRow(
        ("Appointment", "c"), "an appointment that is changed or replaced must be the caller's"
    ),
    "reschedule": OperationRow(("Appointment", "u")),
    "validate": OperationRow(
        None,
        "open to everybody: what is sent is checked and not kept; of a stored resource it takes reading it",
    ),
    "erase": OperationRow(("Patient", "u"), "the person's own account, or the deployment itself"),
    "everything": OperationRow(("Patient", "r"), "the person's own account, or the deployment itself"),
    "archive": OperationRow(("Patient", "r"), "the person's own account, or the deployment itself"),
    "messages": OperationRow(("Communication", "r"), "with the voucher that booking gives for one person"),
    "invite": OperationRow(
        ("RelatedPerson", "r"),
        "whoever decides about it: the person, who answers for them, a practice that knows them",
    ),
    "accept": OperationRow(
        ("RelatedPerson", "u"), "whoever holds the code of an invitation, with an account of their own"
    ),
    "renounce": OperationRow(("RelatedPerson", "u"), "whoever represents the person"),
}
"""By code (`$find`)."""


def require_told(types: Iterable[str], operations: Iterable[str]) -> None:
    """ValueError for a type, or for an operation (its code), of which the table says nothing."""
    untold = sorted({*types} - {*_TABLE}) + sorted(f"${code}" for code in {*operations} - {*OPERATIONS})
    if untold:
        raise ValueError(f"security/role_table.py does not say who may use {', '.join(untold)}")
