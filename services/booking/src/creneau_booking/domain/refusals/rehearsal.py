"""Refused: what booking keeps to rehearse with, and lends to nobody."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class RehearsalApart(Refusal):
    """The rehearsal's agenda and the rehearsal's patient can only be booked with each other."""


@dataclass(eq=False)
class RehearsalKept(Refusal):
    """What booking keeps for its rehearsals is nobody's to write."""

    resource_type: str
