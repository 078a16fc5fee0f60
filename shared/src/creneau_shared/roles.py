"""The vocabulary of rights: role, action and reach."""

from __future__ import annotations

from typing import Literal, get_args

Action = Literal["c", "r", "u", "d", "s"]
Role = Literal[
    "public",
    "patient",
    "practitioner",
    "secretary",
    "software",
    "regulator",
    "counsellor",
    "operator",
    "system",
]
"""The role of a caller; docs/guides/roles.md says what each may do. `public`: a caller without a token."""
Reach = Literal["all", "public", "own", "practice", "none"]
"""all        every resource of the type
public     what is open to everybody: the directory, agendas, slots that are not reserved
own        what is about the persons for whom the caller acts (themselves, and whom they represent)
practice   what belongs to the organisations for which the caller speaks; of slots and agendas also what is public
none       nothing"""

ACTIONS: tuple[Action, ...] = get_args(Action)
EVERY_ROLE: tuple[Role, ...] = get_args(Role)
STAFF: tuple[Role, ...] = ("practitioner", "secretary", "software")
"""Roles that speak for practices."""
CONSUMERS: tuple[Role, ...] = ("public", "patient", "counsellor", "operator")
"""Roles that take appointments as a patient does, or only look."""
