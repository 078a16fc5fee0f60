"""The elements of a resource that a path points at: where each is kept, so that it can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from creneau_shared.fhir.definitions import (
    ElementDefinition,
    TypeDefinition,
    is_resource_type,
    type_definition,
)
from creneau_shared.fhir.paths.effort import Effort
from creneau_shared.fhir.paths.grammar import Index, Name, OfType, Step, Where


@dataclass(frozen=True, slots=True)
class Node:
    """One element: the item `index` (None: the only one) of the element `definition` of `owner`.

    The root has no definition and is its owner.
    """

    owner: dict[str, Any]
    definition: ElementDefinition | None
    index: int | None = None

    @property
    def value(self) -> Any:
        """The JSON value; None for a primitive that has only extensions."""
        if self.definition is None:
            return self.owner
        return _item(self.owner.get(self.definition.name), self.index)

    @property
    def is_primitive(self) -> bool:
        return self.definition is not None and self.definition.kind == "primitive"

    def type(self) -> TypeDefinition | None:
        """The definition of what may stand below this node, None when nothing may."""
        if self.is_primitive:
            return type_definition("Element")
        if self.definition is None or self.definition.kind == "resource":
            name = self.value.get("resourceType") if isinstance(self.value, dict) else None
            return type_definition(name) if isinstance(name, str) and is_resource_type(name) else None
        return None if self.definition.kind == "xhtml" else type_definition(self.definition.type)

    def content(self, create: bool = False) -> dict[str, Any] | None:
        """The object that holds the children; for a primitive, the object with its id and extensions."""
        if not self.is_primitive or self.definition is None:
            return self.value if isinstance(self.value, dict) else None
        beside = f"_{self.definition.name}"
        found = _item(self.owner.get(beside), self.index)
        if found is None and create:
            found = {}
            if self.index is None:
                self.owner[beside] = found
            else:
                length = len(self.owner[self.definition.name])
                self.owner.setdefault(beside, [None] * length)[self.index] = found
        return found if isinstance(found, dict) else None


def _item(value: Any, index: int | None) -> Any:
    if index is None:
        return value
    return value[index] if isinstance(value, list) and index < len(value) else None


def select(resource: dict[str, Any], steps: tuple[Step, ...], effort: Effort) -> list[Node]:
    """The nodes of `resource` that a path points at; its first name may be the type of the resource.

    Raises TooMuchEffortError.
    """
    root = Node(resource, None)
    if steps[0] == Name(str(resource.get("resourceType"))):
        steps = steps[1:]
    return _follow([root], steps, effort)


def _follow(nodes: list[Node], steps: tuple[Step, ...], effort: Effort) -> list[Node]:
    for step in steps:
        effort.spend(len(nodes))
        match step:
            case Name(name):
                nodes = [child for node in nodes for child in children(node, name, effort)]
            case Index(index):
                nodes = nodes[index : index + 1 or None]
            case OfType(type_name):
                nodes = [node for node in nodes if _type_name(node) == type_name]
            case Where(conditions):
                nodes = [node for node in nodes if all(_equals(node, *each, effort) for each in conditions)]
    return nodes


def children(node: Node, name: str, effort: Effort) -> Iterator[Node]:
    """The elements `name` below a node: each item of a list, a choice under its name with or without type."""
    content, definition = node.content(), node.type()
    if content is None or definition is None:
        return
    element = definition.by_name.get(name)
    for candidate in (element,) if element else definition.choices.get(name, ()):
        values, beside = content.get(candidate.name), content.get(f"_{candidate.name}")
        if candidate.is_list:
            lists = [found for found in (values, beside) if isinstance(found, list)]
            length = max(map(len, lists), default=0)
            effort.spend(length)
            for index in range(length):
                yield Node(content, candidate, index)
        elif values is not None or beside is not None:
            yield Node(content, candidate)


def _type_name(node: Node) -> str:
    if node.is_primitive and node.definition is not None:
        return node.definition.type
    definition = node.type()
    return definition.name if definition is not None else ""


def _equals(node: Node, path: tuple[Step, ...], literal: Any, effort: Effort) -> bool:
    found = [child.value for child in _follow([node], path, effort)]
    if len(found) != 1 or isinstance(found[0], bool) != isinstance(literal, bool):
        return False
    value = found[0]
    if isinstance(value, int | Decimal) != isinstance(literal, int | Decimal):
        return False
    return bool(value == literal)
