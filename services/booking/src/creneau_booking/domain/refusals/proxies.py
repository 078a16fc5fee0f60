"""Refused: representatives: how they are stated, and what they may do in another person's name."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class NoPatientNamed(Refusal):
    """A representative is not of a Patient of this base."""


@dataclass(eq=False)
class UnknownProxyScope(Refusal):
    """There is no such thing that a representative may do; what there is."""

    scope: str
    scopes: tuple[str, ...]


@dataclass(eq=False)
class UnknownProxy(Refusal):
    """The representative (id) is not there, to whoever asks."""

    id: str


@dataclass(eq=False)
class ProxyEnded(Refusal):
    """Nobody is invited to represent by a statement that has ended."""


@dataclass(eq=False)
class ProxyOfAnother(Refusal):
    """A representative would become another Patient's."""


@dataclass(eq=False)
class HidingNotTheirs(Refusal):
    """A representative would hide an appointment from the others."""


@dataclass(eq=False)
class HiddenLate(Refusal):
    """An appointment that may have been seen would be hidden."""


@dataclass(eq=False)
class MayOnlyCancel(Refusal):
    """The representative may cancel, and changes something else."""
