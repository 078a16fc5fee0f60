"""Every refusal of the directory's rules, as facts. The words of each (status, FHIRPath, French, English) are in
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
"""the part of an account that is missing or wrong"""


@dataclass(frozen=True, slots=True)
class WrongNumber:
    """The value of an identifier is not a valid number of its national register."""

    index: int
    value: str
    register: str


@dataclass(frozen=True, slots=True)
class UnknownZone:
    """A stated time zone (index of the extension) does not exist."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class PatientsDevice:
    """A device belongs to a patient; it has no place in the directory, which is public."""


@dataclass(frozen=True, slots=True)
class DiscriminatingText:
    """A text (element) turns people away for how their care is paid."""

    element: str


@dataclass(frozen=True, slots=True)
class WrongCommune:
    """The text given as a commune's INSEE code (element) is not a code."""

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
    """An entry has contents that are wrong, or that have no place in the directory."""

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
    """A fault in a regulator's account: the element of Practitioner, and what is missing or wrong there."""

    element: str
    fault: AccountFault


@dataclass(eq=False)
class AccountUnfit(Refusal):
    """A regulator's account has missing or wrong elements."""

    lacks: tuple[AccountLacks, ...]


@dataclass(eq=False)
class RegulatorKnown(Refusal):
    """Another account (id) bears the number."""

    other: str


@dataclass(eq=False)
class PartOfItself(Refusal):
    """An entry would lie in itself, through the entry (reference) of which it says that it is a part."""

    whole: str


@dataclass(eq=False)
class ProfessionalKnown(Refusal):
    """Another entry in use (id of the Practitioner) bears the national number."""

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
    """A practice changes elements that decide rights, of a professional (id) who also works for another practice."""

    person: str
    elements: tuple[ReliedOn, ...]


@dataclass(eq=False)
class OwnNumbersChanged(Refusal):
    """A professional changes their own national numbers."""


@dataclass(eq=False)
class RorHeadersMissing(Refusal):
    """Headers (names) by which the ROR identifies the caller are missing."""

    names: tuple[str, ...]
