"""FHIRPath Patch (FHIR R4 fhirpatch.html): Parameters whose operations add, insert, delete, replace, move."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from creneau_shared.errors import CreneauError
from creneau_shared.fhir.definitions import ElementDefinition, TypeDefinition, type_definition
from creneau_shared.fhir.patch.result import check_count, inapplicable, malformed
from creneau_shared.fhir.paths.effort import Effort
from creneau_shared.fhir.paths.elements import Node, select
from creneau_shared.fhir.paths.grammar import Name, PathError, Step, parse_path

Item = tuple[Any, Any]
"""(value, id and extensions of a primitive): one item of an element."""


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation: its parts by name, its errors, and what it looks at."""

    number: int
    parts: Mapping[str, dict[str, Any]]
    effort: Effort

    def malformed(self, fr: str, en: str) -> CreneauError:
        return malformed(fr, en, self.number)

    def inapplicable(self, fr: str, en: str, path: str | None = None) -> CreneauError:
        return inapplicable(fr, en, self.number, path)

    def text(self, name: str) -> str:
        value = next(_values(self.parts.get(name, {})), (None, None))[1]
        if not isinstance(value, str):
            raise self.malformed(f"la partie {name} manque", f"the part {name} is missing")
        return value

    def number_of(self, name: str) -> int:
        value = next(_values(self.parts.get(name, {})), (None, None))[1]
        if type(value) is not int or value < 0:
            raise self.malformed(
                f"la partie {name} doit être un entier, 0 au moins",
                f"the part {name} must be an integer, 0 at least",
            )
        return value

    def path(self) -> tuple[Step, ...]:
        text = self.text("path")
        try:
            return parse_path(text)
        except PathError as error:
            at = error.position + 1
            raise self.malformed(
                f"le chemin n'est pas compris à partir du caractère {at}",
                f"the path is not understood from character {at} on",
            ) from None

    def items(self, owner: dict[str, Any], element: ElementDefinition) -> list[Item]:
        """The items of an element; one item if it does not repeat."""
        found = _items(owner, element)
        self.effort.spend(len(found))
        return found

    def value(self) -> dict[str, Any]:
        part = self.parts.get("value")
        if part is None:
            raise self.malformed("la partie value manque", "the part value is missing")
        return part


def apply(parameters: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    """A copy of `resource` changed by the operations in `parameters`, in their order."""
    if parameters.get("resourceType") != "Parameters":
        raise malformed(
            "un correctif FHIRPath est une ressource Parameters", "a FHIRPath patch is a Parameters resource"
        )
    operations = _dicts(parameters.get("parameter"))
    check_count(len(operations))
    result, effort = copy.deepcopy(resource), Effort()
    for number, parameter in enumerate(operations):
        if parameter.get("name") != "operation":
            raise malformed("seul « operation » est attendu", "only “operation” is expected", number)
        parts = {str(part.get("name")): part for part in _dicts(parameter.get("part"))}
        operation = _Operation(number, parts, effort)
        perform = _PERFORM.get(operation.text("type"))
        if perform is None:
            raise operation.malformed(
                f"type doit être parmi {', '.join(_PERFORM)}", f"type must be one of {', '.join(_PERFORM)}"
            )
        perform(operation, result)
    return result


def _add(operation: _Operation, resource: dict[str, Any]) -> None:
    """Adds the element `name` to the element at `path`: one more item of a list, or an element that is absent."""
    parent = _the_one(operation, resource, operation.path())
    content, definition = parent.content(create=True), parent.type()
    if content is None or definition is None:
        raise operation.inapplicable("rien ne peut être ajouté là", "nothing can be added there")
    element, item = _resolve(operation, definition, operation.text("name"), operation.value())
    items = operation.items(content, element)
    taken = items or any(
        operation.items(content, other) for other in definition.choices.get(element.choice or "", ())
    )
    if taken and not element.is_list:
        raise operation.inapplicable(f"{element.name} existe déjà", f"{element.name} exists already")
    _store(content, element, [*items, item])


def _insert(operation: _Operation, resource: dict[str, Any]) -> None:
    """Inserts an item into the list at `path`, at the place `index`."""
    content, element, definition = _list_at(operation, resource)
    items = operation.items(content, element)
    index = operation.number_of("index")
    if index > len(items):
        raise operation.inapplicable(
            f"la liste n'a que {len(items)} éléments", f"the list has {len(items)} items only"
        )
    _, item = _resolve(operation, definition, element.name, operation.value())
    items.insert(index, item)
    _store(content, element, items)


def _delete(operation: _Operation, resource: dict[str, Any]) -> None:
    """Deletes the one element at `path`; does nothing if there is none."""
    nodes = select(resource, operation.path(), operation.effort)
    if not nodes:
        return
    node = _single(operation, nodes)
    element = _not_root(operation, node)
    items = operation.items(node.owner, element)
    del items[node.index or 0]
    _store(node.owner, element, items)


def _replace(operation: _Operation, resource: dict[str, Any]) -> None:
    """Replaces the one element at `path`, which must exist; a choice may change its type."""
    node = _the_one(operation, resource, operation.path())
    element = _not_root(operation, node)
    part = operation.value()
    if element.choice is None:
        item = _item_for(operation, element, part)
        items = operation.items(node.owner, element)
        items[node.index or 0] = item
        _store(node.owner, element, items)
        return
    siblings = _siblings(operation, resource, node)
    chosen, item = _resolve(operation, siblings, element.choice, part)
    _store(node.owner, element, [])
    _store(node.owner, chosen, [item])


def _move(operation: _Operation, resource: dict[str, Any]) -> None:
    """Moves an item of the list at `path` from `source` to `destination`."""
    content, element, _ = _list_at(operation, resource)
    items = operation.items(content, element)
    source, destination = operation.number_of("source"), operation.number_of("destination")
    if max(source, destination) >= len(items):
        raise operation.inapplicable(
            f"la liste n'a que {len(items)} éléments", f"the list has {len(items)} items only"
        )
    items.insert(destination, items.pop(source))
    _store(content, element, items)


_PERFORM: Final[Mapping[str, Callable[[_Operation, dict[str, Any]], None]]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


# Places


def _single(operation: _Operation, nodes: list[Node]) -> Node:
    path = operation.text("path")
    if not nodes:
        raise operation.inapplicable(f"{path} ne désigne rien", f"{path} points at nothing", path)
    if len(nodes) > 1:
        raise operation.inapplicable(
            f"{path} désigne {len(nodes)} éléments, un seul est permis",
            f"{path} points at {len(nodes)} elements, only one is allowed",
            path,
        )
    return nodes[0]


def _the_one(operation: _Operation, resource: dict[str, Any], steps: tuple[Step, ...]) -> Node:
    return _single(operation, select(resource, steps, operation.effort) if steps else [Node(resource, None)])


def _not_root(operation: _Operation, node: Node) -> ElementDefinition:
    if node.definition is None:
        raise operation.inapplicable("la ressource entière ne se corrige pas ainsi", "not the whole resource")
    return node.definition


def _list_at(
    operation: _Operation, resource: dict[str, Any]
) -> tuple[dict[str, Any], ElementDefinition, TypeDefinition]:
    """(owner, element, type of the owner) of a path that names a whole list."""
    steps = operation.path()
    last = steps[-1]
    parent = _the_one(operation, resource, steps[:-1])
    content, definition = parent.content(create=True), parent.type()
    element = definition.by_name.get(last.name) if definition and isinstance(last, Name) else None
    if content is None or definition is None or element is None or not element.is_list:
        path = operation.text("path")
        raise operation.inapplicable(f"{path} n'est pas une liste", f"{path} is not a list", path)
    return content, element, definition


def _siblings(operation: _Operation, resource: dict[str, Any], node: Node) -> TypeDefinition:
    """The type of the object that holds `node`."""
    parent = _the_one(operation, resource, operation.path()[:-1])
    content, definition = parent.content(), parent.type()
    if content is not node.owner or definition is None:
        path = operation.text("path")
        raise operation.inapplicable(
            f"{path} doit nommer l'élément à choix", f"{path} must name the choice element", path
        )
    return definition


# Items


def _items(owner: dict[str, Any], element: ElementDefinition) -> list[Item]:
    """The items of an element; one item if it does not repeat."""
    values, beside = owner.get(element.name), owner.get(f"_{element.name}")
    if not element.is_list:
        return [] if values is None and beside is None else [(values, beside)]
    values, beside = values or [], beside or []
    length = max(len(values), len(beside))
    padded = (list(items) + [None] * (length - len(items)) for items in (values, beside))
    return list(zip(*padded, strict=True))


def _store(owner: dict[str, Any], element: ElementDefinition, items: list[Item]) -> None:
    """Writes items back; removes a property that has no content left."""
    for name, found in (
        (element.name, [value for value, _ in items]),
        (f"_{element.name}", [beside for _, beside in items]),
    ):
        if all(item is None for item in found):
            owner.pop(name, None)
        else:
            owner[name] = found if element.is_list else found[0]


# Values


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _values(part: Mapping[str, Any]) -> Any:
    """(suffix, value) of the `value[x]` of a part: at most one pair."""
    return ((name[5:], value) for name, value in part.items() if name.startswith("value") and name != "value")


def _resolve(
    operation: _Operation, definition: TypeDefinition, name: str, part: dict[str, Any]
) -> tuple[ElementDefinition, Item]:
    """The element `name` of a type and the item that `part` gives it; the value's type decides a choice."""
    element = definition.by_name.get(name)
    if element is None and name in definition.choices:
        suffix = next((suffix for suffix, _ in _values(part)), "")
        element = definition.by_name.get(f"{name}{suffix}")
    if element is None:
        raise operation.inapplicable(
            f"{definition.name} n'a pas d'élément {name} de ce type",
            f"{definition.name} has no element {name} of this type",
        )
    return element, _item_for(operation, element, part)


def _item_for(operation: _Operation, element: ElementDefinition, part: dict[str, Any]) -> Item:
    for suffix, value in _values(part):
        return copy.deepcopy(value), copy.deepcopy(part.get(f"_value{suffix}"))
    for name in part:
        if name.startswith("_value"):
            return None, copy.deepcopy(part[name])
    if isinstance(part.get("resource"), dict):
        return copy.deepcopy(part["resource"]), None
    if part.get("part") and element.kind == "complex":
        return _from_parts(operation, type_definition(element.type), _dicts(part["part"])), None
    raise operation.malformed(
        f"aucune valeur n'est donnée pour {element.name}", f"no value is given for {element.name}"
    )


def _from_parts(
    operation: _Operation, definition: TypeDefinition, parts: list[dict[str, Any]]
) -> dict[str, Any]:
    """An element without a type of its own (a BackboneElement), given part by part."""
    result: dict[str, Any] = {}
    for part in parts:
        element, item = _resolve(operation, definition, str(part.get("name")), part)
        items = _items(result, element)
        if items and not element.is_list:
            raise operation.malformed(f"{element.name} est donné deux fois", f"{element.name} is given twice")
        _store(result, element, [*items, item])
    return result
