"""Refusals: use of the rehearsal's agenda and patient by others."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class RehearsalApart(Refusal):
    """The rehearsal's agenda and the rehearsal's patient can only be booked with each other."""


@dataclass(eq=False)
class RehearsalKept(Refusal):
    """Nobody may write the resources of the rehearsal."""

    resource_type: str
