"""What only our own operations ask of slots: conditions that no element of a slot says and no client may name, as search
parameters of `SlotTable`.

- `FOUND_BY`: the slot's kind is found by one of these terms. They are what the slot says, else its Schedule, else the roles
  and offers that the Schedule names (the table `found_by`, which triggers keep).
- `AT_PLACE`: the slot is of an agenda of one of these Locations (`storage.agendas.by_actor`).
- `RECEIVED_IN`: it is of an agenda of a person alone who is received there in one of these PractitionerRoles.
"""

from __future__ import annotations

from collections.abc import Iterable

from creneau_shared.fhir.search.parameters import ParameterType, SearchParameter
from creneau_shared.fhir.search.request import Clause, UriValue


def _computed(name: str, kind: ParameterType, *targets: str) -> SearchParameter:
    return SearchParameter(name, kind, "Slot", "", "", "", targets=targets, computed=True)


FOUND_BY = _computed("found-by", "uri")
AT_PLACE = _computed("at-place", "reference", "Location")
RECEIVED_IN = _computed("received-in", "reference", "PractitionerRole")


def found_by(terms: Iterable[str]) -> Clause:
    """Returns the condition that a slot's kind is found by one of these terms (`specialty=SM54`)."""
    return Clause(FOUND_BY, None, (tuple(UriValue(term) for term in terms),))
