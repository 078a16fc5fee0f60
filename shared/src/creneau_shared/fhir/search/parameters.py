"""Search parameters: what a client may search by, and where in a resource the values stand.

The FHIRPath expression is the single source: `fhir.paths` compiles it to an extractor, `index.py` writes what
that extracts, `parse.py` reads the client's values by the parameter's type, `published.py` publishes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from creneau_shared.fhir.bindings import RESOURCE_TYPES

ParameterType = Literal["token", "string", "date", "reference", "uri", "quantity", "number", "special"]

OWN_CANONICAL = "https://creneau.sante.fr/fhir/SearchParameter/"
HL7_CANONICAL = "http://hl7.org/fhir/SearchParameter/"

FULL_TEXT = frozenset({"_text", "_content"})
"""The parameters that look for words, wherever in a resource they stand."""

ANY_TYPE = "Resource"
"""The target of a reference that may name a resource of any type."""

_OF_STORED = ("text", "ofType")
"""modifiers that look at what is stored beside a code"""
_MODIFIERS: Mapping[ParameterType, tuple[str, ...]] = {
    "token": ("missing", "text", "not", "in", "not-in", "above", "below", "ofType"),
    "string": ("missing", "exact", "contains"),
    "date": ("missing",),
    "reference": ("missing", "type", "identifier"),
    "uri": ("missing", "above", "below"),
    "quantity": ("missing",),
    "number": ("missing",),
    "special": ("missing",),
}


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one resource type.

    `base` is the type that it searches; `targets` the types that a reference may name (`("Resource",)`: any);
    `code_system` the system that a `code` or boolean element implies; `instant` says that a date is always a
    point in time; `repeats` that one resource may carry several dates or numbers for it; `same_as` names the
    parameter under whose name it is indexed, when both have the same expression; `computed` says that no element
    holds the value: it is computed when it is asked for; `occurrence` is the expression of a repeating element, in one
    occurrence of which all its parameters hold together; `unit` is the unit of a quantity that names none;
    `climbs` names the reference (`partof`) to the resource above: with `:above`, the resource or one above it
    fulfils the condition (ROR); `without` are modifiers of its kind that it does not take, since the type's table
    does not store what they need.
    """

    name: str
    type: ParameterType
    base: str
    expression: str
    url: str
    description: str
    targets: tuple[str, ...] = ()
    code_system: str | None = None
    instant: bool = False
    repeats: bool = False
    same_as: str | None = None
    computed: bool = False
    occurrence: str | None = None
    unit: str | None = None
    climbs: str | None = None
    without: frozenset[str] = frozenset()

    @property
    def includable(self) -> bool:
        """Whether `_include` may follow it: a reference that is stored."""
        return self.type == "reference" and not self.computed

    @property
    def modifiers(self) -> tuple[str, ...]:
        """The codes of the modifiers that it takes (search-modifier-code)."""
        if self.full_text or self.name == "_filter":
            return ()
        climbing = ("above",) if self.climbs and "above" not in _MODIFIERS[self.type] else ()
        without = self.without.union(_OF_STORED if self.computed else ())
        return tuple(m for m in _MODIFIERS[self.type] if m not in without) + climbing

    @property
    def full_text(self) -> bool:
        """Whether it looks for words instead of the value of an element."""
        return self.name in FULL_TEXT

    @property
    def sortable(self) -> bool:
        """Whether `_sort` may name it: a place, a filter and a text have no order."""
        return self.type != "special" and not self.full_text

    @property
    def index_name(self) -> str:
        """The name under which its entries stand."""
        return self.same_as or self.name

    def allows_target(self, resource_type: str) -> bool:
        """Whether the reference may name a resource of this type."""
        if ANY_TYPE in self.targets:
            return resource_type in RESOURCE_TYPES
        return resource_type in self.targets
