"""Every refusal of the directory's rules, as facts. How each is told (status, FHIRPath, French, English):
`creneau_directory.words`. Indexes are those of the entry's own elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from creneau_directory.domain.professionals import ReliedOn
from creneau_directory.domain.ror.capacities import StaleCapacity
from creneau_directory.domain.ror.facets import FacetFault
from creneau_shared.refusal import Refusal

AccountFault = Literal[
    "activity",
    "name",
    "family",
    "given",
    "telecom",
    "means",
    "email",
    "identifier",
    "system",
    "value",
    "type",
    "uuid",
]
"""What an account does not say as it must."""


@dataclass(frozen=True, slots=True)
class WrongNumber:
    """An identifier's value is no number of its national register."""

    index: int
    value: str
    register: str


@dataclass(frozen=True, slots=True)
class UnknownZone:
    """A stated time zone (index of the extension) that there is not."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class PatientsDevice:
    """A device is a patient's, and everybody reads the directory."""


@dataclass(frozen=True, slots=True)
class DiscriminatingText:
    """A text (element) turns people away for how their care is paid."""

    element: str


@dataclass(frozen=True, slots=True)
class WrongCommune:
    """What stands (element) in the place of a commune's INSEE code is none."""

    element: str
    code: str


EntryFault = (
    WrongNumber
    | UnknownZone
    | PatientsDevice
    | DiscriminatingText
    | WrongCommune
    | FacetFault
    | StaleCapacity
)


@dataclass(eq=False)
class EntryUnfit(Refusal):
    """An entry says what cannot be so, or has no place here."""

    resource_type: str
    faults: tuple[EntryFault, ...]


@dataclass(eq=False)
class StillNamed(Refusal):
    """Other entries (references) name the one that is to be deleted."""

    resource_type: str
    id: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountLacks:
    """Where in a regulator's account something is missing or wrong (element of Practitioner), and what."""

    element: str
    fault: AccountFault


@dataclass(eq=False)
class AccountUnfit(Refusal):
    """A regulator's account says too little, or the wrong thing."""

    lacks: tuple[AccountLacks, ...]


@dataclass(eq=False)
class RegulatorKnown(Refusal):
    """Another account (id) bears the number."""

    other: str


@dataclass(eq=False)
class ProfessionalNotTheirs(Refusal):
    """A practice gives a role to a professional (id) who is not its own."""

    person: str


@dataclass(eq=False)
class WholeNotTheirs(Refusal):
    """A practice says that it is a part of an organisation (id) for which it does not speak."""

    whole: str


@dataclass(eq=False)
class PartsIdNotTheirs(Refusal):
    """A practice gives a part of itself an id that may be another organisation's."""

    id: str


@dataclass(eq=False)
class ReliedOnByOthers(Refusal):
    """A practice changes of a professional (id) who works for another one too what it is by that they speak for it
    (elements)."""

    person: str
    elements: tuple[ReliedOn, ...]


@dataclass(eq=False)
class OwnNumbersChanged(Refusal):
    """A professional changes the national numbers by which they are known themselves."""


@dataclass(eq=False)
class RorHeadersMissing(Refusal):
    """Headers (names) by which the ROR knows who asks are missing."""

    names: tuple[str, ...]
