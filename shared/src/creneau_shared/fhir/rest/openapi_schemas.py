"""JSON schemas of FHIR types for the OpenAPI description, from the definitions that also check resources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from creneau_shared.fhir.definitions import ElementDefinition, type_definition

Schema = dict[str, Any]

_DATE = r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_ZONE = r"(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])"

PRIMITIVES: dict[str, Schema] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "decimal": {"type": "number"},
    "string": {"type": "string", "minLength": 1},
    "markdown": {"type": "string", "minLength": 1},
    "xhtml": {"type": "string", "minLength": 1},
    "uri": {"type": "string", "pattern": r"^\S+$"},
    "url": {"type": "string", "pattern": r"^\S+$"},
    "canonical": {"type": "string", "pattern": r"^\S+$"},
    "code": {"type": "string", "pattern": r"^[^\s]+(\s[^\s]+)*$"},
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
    "oid": {"type": "string", "pattern": r"^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$"},
    "uuid": {"type": "string", "pattern": r"^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
    "base64Binary": {"type": "string", "contentEncoding": "base64"},
    "instant": {"type": "string", "pattern": rf"^[0-9]{{4}}-(0[1-9]|1[0-2])-[0-9]{{2}}T{_CLOCK}{_ZONE}$"},
    "dateTime": {"type": "string", "pattern": rf"^{_DATE}(T{_CLOCK}{_ZONE})?$"},
    "date": {"type": "string", "pattern": rf"^{_DATE}$"},
    "time": {"type": "string", "pattern": rf"^{_CLOCK}$"},
}
"""FHIR R4 datatypes.html#primitive."""

RESOURCE: Schema = {
    "type": "object",
    "description": "A FHIR R4 resource.",
    "required": ["resourceType"],
    "properties": {"resourceType": {"type": "string"}, "id": PRIMITIVES["id"]},
}
EXTENSION: Schema = {
    "type": "object",
    "description": "An extension: a URL, and a value or extensions within it.",
    "required": ["url"],
    "properties": {"url": PRIMITIVES["uri"]},
}


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def schemas_of(types: Iterable[str]) -> dict[str, Schema]:
    """A schema for each of the types and for each type that they are made of, by name."""
    schemas: dict[str, Schema] = {"Resource": RESOURCE, "Extension": EXTENSION}
    pending = list(types)
    while pending:
        name = pending.pop()
        if name in schemas:
            continue
        definition = type_definition(name)
        schemas[name] = _schema(name)
        pending += [element.type for element in definition.elements if element.kind == "complex"]
    return dict(sorted(schemas.items()))


def _schema(name: str) -> Schema:
    definition = type_definition(name)
    properties = {element.name: _element(element) for element in definition.elements}
    required = [element.name for element in definition.elements if element.min and element.choice is None]
    if definition.is_resource:
        properties = {"resourceType": {"const": name}, **properties}
        required = ["resourceType", *required]
    schema: Schema = {
        "type": "object",
        "properties": properties,
        # `_birthDate`: the extensions of a primitive value
        "patternProperties": {"^_[a-z]": {}},
        "additionalProperties": False,
    }
    return {**schema, "required": required} if required else schema


def _element(element: ElementDefinition) -> Schema:
    value = _value(element)
    return {"type": "array", "minItems": 1, "items": value} if element.is_list else value


def _value(element: ElementDefinition) -> Schema:
    if element.kind == "complex":
        return reference(element.type)
    if element.kind == "resource":
        return reference("Resource")
    if element.codes is not None:
        return {"enum": sorted(element.codes)}
    return PRIMITIVES[element.type]
