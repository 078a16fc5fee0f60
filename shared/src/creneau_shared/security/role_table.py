"""The rights by role: role × type × interaction → reach, from the rows of `type_table`, and the needs of each operation.
The rights of a request, the documentation (docs/guides/roles.md) and the expectations of the generated matrix test are
all made from it. A server with a type or an operation that the table lacks cannot be built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from creneau_shared.roles import ACTIONS as ACTIONS
from creneau_shared.roles import CONSUMERS as CONSUMERS
from creneau_shared.roles import STAFF as STAFF
from creneau_shared.roles import Action
from creneau_shared.roles import Reach as Reach
from creneau_shared.type_table import TYPES
from creneau_shared.type_table import reach_of as reach_of


def needed(resource_type: str, action: Action) -> str:
    """The right on behalf of a practice or a person that `action` needs."""
    if action in ("r", "s"):
        return "see"
    row = TYPES.get(resource_type)
    return row.takes if row else "manage"


@dataclass(frozen=True, slots=True)
class OperationRow:
    """The needs of an operation."""

    right: tuple[str, Action] | None
    """the needed access (type, action); None: see `otherwise`"""
    otherwise: str = ""
    """a condition in place of a right, or in addition to it, in words"""
    scope: str | None = None
    """a scope that every role needs"""
    is_open: bool = False
    """for an operation on the base: whether it needs no token, as its data are open to everybody"""


OPERATE = "creneau/operate"
_ALSO_STORED = "for one that is stored, also u of Appointment"
_ALSO_BROUGHT = "for a patient-resource, also r of Patient, and c for one who is not known"

OPERATIONS: Mapping[str, OperationRow] = {
    "find": OperationRow(("Slot", "s"), "an appointment to ignore counts only if the caller may read it"),
    "find-care": OperationRow(("PractitionerRole", "s")),
    "suggest": OperationRow(("PractitionerRole", "s")),
    "prefetch": OperationRow(("Slot", "s")),
    "soonest": OperationRow(("Slot", "s")),
    "hold": OperationRow(("Appointment", "c"), f"{_ALSO_STORED}; {_ALSO_BROUGHT}"),
    "book": OperationRow(
        ("Appointment", "c"),
        f"an appointment that is changed or replaced must be the caller's; {_ALSO_STORED}; {_ALSO_BROUGHT}",
    ),
    "bulk-publish": OperationRow(("Slot", "s"), "open to everybody: what a patient could book", is_open=True),
    "calendar-feed": OperationRow(("Schedule", "u"), "on an agenda of the caller's own practices"),
    "follow-calendar": OperationRow(("Schedule", "u"), "on an agenda of the caller's own practices"),
    "sync-slots": OperationRow(("Slot", "u"), "on an agenda of the caller's own practices; also c of Slot"),
    "reschedule": OperationRow(("Appointment", "u")),
    "wait": OperationRow(
        ("Appointment", "u"), "whoever may move the appointment, by the link of a message too"
    ),
    "confirm": OperationRow(
        ("Appointment", "u"), "the practice whose agenda it is; a patient only a hold of their own"
    ),
    "cancel": OperationRow(("Appointment", "u")),
    "preview-slots": OperationRow(("Schedule", "u"), "the practice's own agendas"),
    "close": OperationRow(
        ("Schedule", "u"),
        "the practice's own agendas, and the appointments in them; to change these, also u of Appointment",
    ),
    "validate": OperationRow(
        None,
        "open to everybody: what is sent is checked and not kept; of a stored resource it takes reading it",
    ),
    "erase": OperationRow(("Patient", "u"), "the person's own account, or the deployment itself"),
    "acting-for": OperationRow(
        ("Patient", "r"), "an account that acts for patients: it is told for whom, and which of them it is"
    ),
    "everything": OperationRow(("Patient", "r"), "the person's own account, or the deployment itself"),
    "archive": OperationRow(("Patient", "r"), "the person's own account, or the deployment itself"),
    "messages": OperationRow(("Communication", "r"), "with the voucher that booking gives for one person"),
    "invite": OperationRow(
        ("RelatedPerson", "r"),
        "whoever decides about it: the person, who answers for them, a practice that registered them or agreed to a visit;"
        " also u of RelatedPerson, but for a counsellor",
    ),
    "accept": OperationRow(
        ("RelatedPerson", "u"), "whoever holds the code of an invitation, with an account of their own"
    ),
    "export": OperationRow(
        ("Organization", "s"), "whoever has a token to come back with; the files have what each may see"
    ),
    "export-file": OperationRow(("Organization", "s"), "what each may see of the directory"),
    "dead-letters": OperationRow(None, "operators: the scope creneau/operate", OPERATE),
    "replay-dead-letter": OperationRow(
        None, "operators: the scope creneau/operate; recorded in the trail", OPERATE
    ),
    "discard-dead-letter": OperationRow(
        None, "operators: the scope creneau/operate; recorded in the trail", OPERATE
    ),
    "send-code": OperationRow(None, "open to everybody"),
    "verify-code": OperationRow(None, "whoever has the code that was sent"),
    "open-link": OperationRow(
        None, "whoever has the link of a message; to act, with one fact about the person"
    ),
    "renew-link": OperationRow(None, "whoever has the link of a message: a new one goes to where it went"),
    "renounce": OperationRow(
        ("RelatedPerson", "u"), "whoever represents the person; also r of RelatedPerson"
    ),
}
"""Code without `$` (`find`) → the needs of the operation."""


def require_told(types: Iterable[str], operations: Iterable[str]) -> None:
    """Raises ValueError for types, or operations (by code), that the table lacks."""
    untold = sorted({*types} - {*TYPES}) + sorted(f"${code}" for code in {*operations} - {*OPERATIONS})
    if untold:
        raise ValueError(
            f"type_table.py and security/role_table.py do not say who may use {', '.join(untold)}"
        )
