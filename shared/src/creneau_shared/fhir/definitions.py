"""The elements of every FHIR R4 type, read from the model metadata of `fhir.resources.R4B`.

The models themselves are never instantiated: they convert values, and a resource must leave as it came in.
Types are read at first use. Differences of R4B from R4 are corrected from `bindings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final, Literal, get_args, get_origin

from fhir.resources.R4B import fhirtypes, get_fhir_model_class
from fhir.resources.R4B.domainresource import DomainResource
from fhir.resources.R4B.element import Element
from fhir.resources.R4B.resource import Resource

from creneau_shared.fhir.bindings import (
    CHOICES_WITH_META,
    CORRECTED_CODES,
    MODIFIERS,
    R4B_ONLY_TYPES,
    RESOURCE_TYPES,
)

Kind = Literal["primitive", "xhtml", "complex", "resource"]

_PRIMITIVE_OF_CONSTRAINT: Final[Mapping[str, str]] = {
    "Base64Binary": "base64Binary",
    "Canonical": "canonical",
    "Code": "code",
    "Date": "date",
    "DateTime": "dateTime",
    "Decimal": "decimal",
    "Id": "id",
    "Instant": "instant",
    "Integer": "integer",
    "Markdown": "markdown",
    "Oid": "oid",
    "PositiveInt": "positiveInt",
    "String": "string",
    "Time": "time",
    "UnsignedInt": "unsignedInt",
    "Uri": "uri",
    "Url": "url",
    "UuidVersion": "uuid",
    "Xhtml": "xhtml",
}


class UnknownTypeError(LookupError):
    """FHIR R4 has no type of this name."""


@dataclass(frozen=True, slots=True)
class ElementDefinition:
    """One element of a type.

    `name` is the JSON property (of a choice, one per type: `deceasedBoolean`); `type` the FHIR type of its
    value, for a backbone element the path in one word (`AppointmentParticipant`), for any resource
    `Resource`; `choice` the group of a choice type without `[x]` (`deceased`); `codes` those of a required
    binding, None when any code will do; `targets` the resource types that a reference may have, empty when
    any.
    """

    name: str
    kind: Kind
    type: str
    min: int = 0
    is_list: bool = False
    choice: str | None = None
    codes: frozenset[str] | None = None
    targets: tuple[str, ...] = ()
    summary: bool = False
    modifier: bool = False


@dataclass(frozen=True)
class TypeDefinition:
    """A type with its elements in the order of the specification (the order of XML).

    `base` is the kind of type: `DomainResource`, `Resource`, `BackboneElement` or `Element`.
    """

    name: str
    base: Literal["DomainResource", "Resource", "BackboneElement", "Element"]
    elements: tuple[ElementDefinition, ...]
    required_choices: frozenset[str]

    @property
    def is_resource(self) -> bool:
        return self.base in ("DomainResource", "Resource")

    @cached_property
    def attributes(self) -> frozenset[str]:
        """The elements that are attributes in XML, and so have no extensions (R4 xml.html, extensibility.html)."""
        if self.is_resource:
            return frozenset()
        return frozenset({"id", "url"} if self.name == "Extension" else {"id"})

    @cached_property
    def by_name(self) -> Mapping[str, ElementDefinition]:
        """The elements by JSON property."""
        return {element.name: element for element in self.elements}

    @cached_property
    def choices(self) -> Mapping[str, tuple[ElementDefinition, ...]]:
        """The elements of each choice group, by the group's name without `[x]`."""
        groups: dict[str, tuple[ElementDefinition, ...]] = {}
        for element in self.elements:
            if element.choice is not None:
                groups[element.choice] = (*groups.get(element.choice, ()), element)
        return groups


def is_resource_type(name: str) -> bool:
    """Whether R4 has a concrete resource type of this name that can be read and written here."""
    return name in RESOURCE_TYPES and hasattr(fhirtypes, f"{name}Type")


@cache
def type_definition(name: str) -> TypeDefinition:
    """The definition of a resource type, data type or backbone element; raises UnknownTypeError."""
    if name in R4B_ONLY_TYPES:
        raise UnknownTypeError(name)
    try:
        model = get_fhir_model_class(name)
    except ValueError:
        raise UnknownTypeError(name) from None
    if issubclass(model, Resource) and name not in RESOURCE_TYPES:
        raise UnknownTypeError(name)
    fields = {field.alias or key: field for key, field in model.model_fields.items()}
    read = (_element(name, alias, fields[alias]) for alias in model.elements_sequence())
    elements = tuple(element for element in read if element.type not in R4B_ONLY_TYPES)
    elements += tuple(
        ElementDefinition(f"{group}Meta", "complex", "Meta", choice=group)
        for owner, group in sorted(CHOICES_WITH_META)
        if owner == name
    )
    extras: list[Any] = [field.json_schema_extra or {} for field in fields.values()]
    required_choices = frozenset(
        str(extra["one_of_many"]) for extra in extras if extra.get("one_of_many_required")
    )
    return TypeDefinition(name, _base(model, elements), elements, required_choices)


def _base(
    model: type[Any], elements: tuple[ElementDefinition, ...]
) -> Literal["DomainResource", "Resource", "BackboneElement", "Element"]:
    if issubclass(model, DomainResource):
        return "DomainResource"
    if issubclass(model, Resource):
        return "Resource"
    if not issubclass(model, Element):
        raise UnknownTypeError(model.__name__)
    if any(element.name == "modifierExtension" for element in elements):
        return "BackboneElement"
    return "Element"


def _element(owner: str, name: str, field: Any) -> ElementDefinition:
    extra: Mapping[str, Any] = field.json_schema_extra or {}
    is_list, leaf = _unwrap(field.annotation)
    kind, type_name = _value_type(leaf)
    codes = CORRECTED_CODES.get((owner, name), extra.get("enum_values")) if type_name == "code" else None
    targets = tuple(extra.get("enum_reference_types", ())) if type_name == "Reference" else ()
    required = field.is_required() or extra.get("element_required", False)
    return ElementDefinition(
        name=name,
        kind=kind,
        type=type_name,
        min=1 if required else 0,
        is_list=is_list,
        choice=extra.get("one_of_many"),
        codes=frozenset(codes) if codes is not None else None,
        targets=() if "Resource" in targets else targets,
        summary=extra.get("summary_element_property", False),
        modifier=name in ("implicitRules", "modifierExtension") or name in MODIFIERS.get(owner, ()),
    )


def _unwrap(annotation: Any) -> tuple[bool, Any]:
    """(is a list, the innermost type) of `Optional[List[Optional[X]]]` in any of its spellings."""
    is_list = False
    while not hasattr(annotation, "__metadata__"):
        arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
        if not arguments:
            break
        is_list = is_list or get_origin(annotation) is list
        annotation = arguments[0]
    return is_list, annotation


def _value_type(leaf: Any) -> tuple[Kind, str]:
    if leaf is bool:
        return "primitive", "boolean"
    for constraint in getattr(leaf, "__metadata__", ()):
        primitive = _PRIMITIVE_OF_CONSTRAINT.get(type(constraint).__name__)
        if primitive is not None:
            return ("xhtml" if primitive == "xhtml" else "primitive"), primitive
    name = leaf.__name__.removesuffix("Type")
    return ("resource" if name == "Resource" else "complex"), name
