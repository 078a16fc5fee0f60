"""Event schemas, open as consumers see them and closed as producers are held to them.

    closed_validator("booking/appointment.booked.v1").validate(data)

raises `jsonschema.ValidationError` on anything missing, malformed or undeclared. How a schema is closed stands
in `shared/contracts/events/README.md`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

EVENTS = Path(__file__).parents[2] / "shared" / "contracts" / "events"
SUFFIX = ".schema.json"

Schema = dict[str, Any]


def event_names() -> list[str]:
    """Every event type's schema by name, such as `booking/appointment.booked.v1`."""
    files = sorted(EVENTS.glob(f"*/*{SUFFIX}"))
    names = [str(file.relative_to(EVENTS)).removesuffix(SUFFIX) for file in files]
    return [name for name in names if name != "booking/appointment.v1"]


def load_schema(name: str) -> Schema:
    """The schema of `name` as it stands in its file."""
    schema: Schema = json.loads((EVENTS / f"{name}{SUFFIX}").read_text())
    return schema


def open_validator(name: str) -> Draft202012Validator:
    """Validates as a consumer does: members that the schema does not name are allowed."""
    return _validator(name, lambda schema, extended: schema)


def closed_validator(name: str) -> Draft202012Validator:
    """Validates as a producer's test must: nothing undeclared may leak onto the bus."""
    return _validator(name, closed)


def closed(schema: Schema, extended: bool = False) -> Schema:
    """`schema` with every object closed, but for those that are open by their own word.

    The root stays open when other schemas extend it (`extended`): they close it themselves.
    """
    result = copy.deepcopy(schema)
    for nested in _object_schemas(result):
        if nested is not result or not extended:
            nested.setdefault("unevaluatedProperties", False)
    return result


def _object_schemas(schema: Any) -> list[Schema]:
    """The schemas of objects in and under `schema`."""
    found: list[Schema] = []
    if isinstance(schema, dict):
        describes_object = isinstance(schema.get("properties"), dict) or "allOf" in schema
        if describes_object and schema.get("additionalProperties") is not True:
            found.append(schema)
        for value in schema.values():
            found += _object_schemas(value)
    elif isinstance(schema, list):
        for item in schema:
            found += _object_schemas(item)
    return found


def _validator(name: str, prepare: Callable[[Schema, bool], Schema]) -> Draft202012Validator:
    base = load_schema("booking/appointment.v1")
    registry: Registry[Schema] = Registry().with_resource(
        base["$id"], Resource.from_contents(prepare(base, True))
    )
    return Draft202012Validator(
        prepare(load_schema(name), False),
        registry=registry,
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
