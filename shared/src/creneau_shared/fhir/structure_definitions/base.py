"""StructureDefinitions of R4's own types, from the definitions that validation walks.

The canonical is HL7's, and HL7's definition is the authority; the served ones state which elements this server knows and
checks under that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

from creneau_shared.fhir.bindings import DATA_TYPES
from creneau_shared.fhir.definitions import ElementDefinition, TypeDefinition, type_definition
from creneau_shared.fhir.invariants import Invariant, of_element, of_type
from creneau_shared.fhir.structure_definitions.expressions import EXPRESSIONS

Resource = dict[str, Any]

HL7: Final = "http://hl7.org/fhir/StructureDefinition/"
FHIR_VERSION: Final = "4.0.1"
PUBLISHER: Final = "Créneau"

_FHIR_TYPE: Final = HL7 + "structuredefinition-fhir-type"
_SYSTEM_STRING: Final = "http://hl7.org/fhirpath/System.String"
_INHERITED: Final = frozenset(
    {"id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension"}
)
_MODIFIER_REASON: Final = (
    "Cet élément change le sens de ceux qui l'entourent."
    " / This element changes the meaning of those around it."
)


@cache
def bindings() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """(strength, value set) of the elements of each type, as R4 binds them."""
    found = orjson.loads((files(__package__) / "data" / "bindings.json").read_bytes())
    return {
        type_: {name: (strength, url) for name, (strength, url) in elements.items()}
        for type_, elements in found.items()
    }


@cache
def base_definition(name: str) -> Resource:
    """The StructureDefinition of a resource type or complex data type of R4; not to be changed."""
    definition = type_definition(name)
    elements = list(_elements(definition))
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": HL7 + name,
        "version": FHIR_VERSION,
        "name": name,
        "status": "active",
        "publisher": PUBLISHER,
        "description": (
            f"{name} de FHIR R4 : les éléments que ce serveur connaît et vérifie sous ce nom. La définition qui fait"
            f" foi est celle de HL7.\n\n{name} of FHIR R4: the elements that this server knows and checks under this"
            " name. The definition that counts is HL7's."
        ),
        "fhirVersion": FHIR_VERSION,
        "kind": "resource" if definition.is_resource else "complex-type",
        "abstract": False,
        "type": name,
        "baseDefinition": HL7 + definition.base,
        "derivation": "specialization",
        "snapshot": {"element": elements},
        "differential": {"element": [e for e in elements if not _is_inherited(e["path"])]},
    }


@cache
def data_types_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """The complex data types that these types use, directly or not."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        for element in type_definition(name).elements:
            if element.kind == "complex" and element.type not in seen:
                seen.add(element.type)
                waiting.append(element.type)
    return tuple(sorted(seen & DATA_TYPES))


def _is_inherited(path: str) -> bool:
    return path.rpartition(".")[2] in _INHERITED


def _elements(definition: TypeDefinition) -> Iterator[Resource]:
    """The snapshot: the type itself, then its elements with those of its backbone elements."""
    name = definition.name
    root = _element(name, f"{name}, type de FHIR R4.", 0, "*")
    yield root | _constraints(of_type(name))
    yield from _children(definition, name, {})


def _children(definition: TypeDefinition, path: str, placed: dict[str, str]) -> Iterator[Resource]:
    """The elements below `path`; `placed`: backbone type → the path where it stands, for elements that reuse it."""
    done: set[str] = set()
    for element in definition.elements:
        if element.choice is None:
            yield from _single(definition, element, f"{path}.{element.name}", placed)
        elif element.choice not in done:
            done.add(element.choice)
            yield _choice(definition, element.choice, f"{path}.{element.choice}[x]")


def _single(
    definition: TypeDefinition, element: ElementDefinition, path: str, placed: dict[str, str]
) -> Iterator[Resource]:
    row = _element(path, _said(path), element.min, "*" if element.is_list else "1")
    inner = element.kind == "complex" and element.type not in DATA_TYPES
    if inner and element.type in placed:
        yield row | {"contentReference": f"#{placed[element.type]}"} | _flags(element)
        return
    row["type"] = [_type(definition, element)]
    rules = of_element(definition.name, element.name)
    if inner:
        rules += of_type(element.type)
    yield row | _constraints(rules) | _flags(element) | _binding(definition.name, element.name)
    if inner:
        placed[element.type] = path
        yield from _children(type_definition(element.type), path, placed)


def _choice(definition: TypeDefinition, group: str, path: str) -> Resource:
    members = definition.choices[group]
    row = _element(path, _said(path), int(group in definition.required_choices), "1")
    row["type"] = [_type(definition, member) for member in members]
    bound = next(
        (found for member in members if (found := _binding(definition.name, member.name))),
        {},
    )
    return row | _flags(members[0]) | bound


def _element(path: str, definition: str, min_: int, max_: str) -> Resource:
    return {
        "id": path,
        "path": path,
        "definition": definition,
        "min": min_,
        "max": max_,
        "base": {"path": path, "min": min_, "max": max_},
    }


def _said(path: str) -> str:
    return f"{path}, élément de FHIR R4."


def _type(definition: TypeDefinition, element: ElementDefinition) -> Resource:
    if element.name == "id" or (definition.name == "Extension" and element.name == "url"):
        said = "uri" if element.name == "url" else "string"
        return {"extension": [{"url": _FHIR_TYPE, "valueUrl": said}], "code": _SYSTEM_STRING}
    if element.kind == "resource":
        return {"code": "Resource"}
    if element.kind == "complex" and element.type not in DATA_TYPES:
        return {"code": type_definition(element.type).base}
    if element.targets:
        return {"code": element.type, "targetProfile": [HL7 + target for target in element.targets]}
    return {"code": element.type}


def _flags(element: ElementDefinition) -> Resource:
    flags: Resource = {}
    if element.modifier:
        flags |= {"isModifier": True, "isModifierReason": _MODIFIER_REASON}
    if element.summary:
        flags["isSummary"] = True
    return flags


def _binding(type_name: str, element: str) -> Resource:
    strength, value_set = bindings().get(type_name, {}).get(element, (None, None))
    return {"binding": {"strength": strength, "valueSet": value_set}} if strength else {}


def _constraints(rules: tuple[Invariant, ...]) -> Resource:
    if not rules:
        return {}
    return {
        "constraint": [
            {
                "key": rule.key,
                "severity": "error",
                "human": f"{rule.fr} / {rule.en}",
                "expression": EXPRESSIONS[rule.key],
            }
            for rule in rules
        ]
    }
