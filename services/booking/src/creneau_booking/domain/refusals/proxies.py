"""Refusals: how representatives are stated, and what they may do in another person's name."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class NoPatientNamed(Refusal):
    """A RelatedPerson does not name a Patient of this base."""


@dataclass(eq=False)
class UnknownProxyScope(Refusal):
    """The scope of a representative is unknown; `scopes`: the known ones."""

    scope: str
    scopes: tuple[str, ...]


@dataclass(eq=False)
class UnknownProxy(Refusal):
    """The representative (id) does not exist for the caller."""

    id: str


@dataclass(eq=False)
class ProxyEnded(Refusal):
    """An invitation for a RelatedPerson that has ended."""


@dataclass(eq=False)
class ProxyOfAnother(Refusal):
    """A change of RelatedPerson.patient."""


@dataclass(eq=False)
class HidingNotTheirs(Refusal):
    """A representative, not the person, would hide an appointment from representatives."""


@dataclass(eq=False)
class HiddenLate(Refusal):
    """An appointment that representatives may have seen would be hidden."""


@dataclass(eq=False)
class MayOnlyCancel(Refusal):
    """The representative may cancel, and changes something else."""
