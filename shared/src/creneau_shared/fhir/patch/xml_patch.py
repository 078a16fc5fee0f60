"""XML Patch (RFC 5261) on the XML form of a resource: `add`, `replace` and `remove`, each with a selector in
`sel` (selector.py)."""

from __future__ import annotations

import copy
from typing import Any

from lxml import etree

from creneau_shared.fhir import xml
from creneau_shared.fhir.patch.result import check_count, inapplicable, malformed
from creneau_shared.fhir.patch.selector import SelectorError, read_selector
from creneau_shared.fhir.paths.effort import Effort


def apply(body: bytes, resource: dict[str, Any]) -> dict[str, Any]:
    """A copy of `resource` changed by the patch document in `body`."""
    operations = list(xml.parse(body))
    check_count(len(operations))
    root, effort = xml.to_element(resource), Effort()
    for number, operation in enumerate(operations):
        name = etree.QName(operation).localname
        if name not in ("add", "replace", "remove"):
            raise malformed(
                f"<{name}> n'est ni add, ni replace, ni remove",
                f"<{name}> is neither add, replace nor remove",
                number,
            )
        target, attribute = _select(number, operation, root, effort)
        if attribute is None:
            _on_element(number, name, operation, target)
        else:
            _on_attribute(number, name, operation, target, attribute)
    return xml.from_element(root)


def _select(
    number: int, operation: etree._Element, root: etree._Element, effort: Effort
) -> tuple[etree._Element, str | None]:
    """The single element that `sel` points at, and its attribute if it points at one."""
    text = operation.get("sel", "")
    namespaces = {prefix: uri for prefix, uri in operation.nsmap.items() if prefix}
    try:
        selector = read_selector(text, namespaces)
    except SelectorError:
        raise malformed(
            "sel n'est pas un chemin de la racine vers un élément ou un attribut, comme"
            " Patient/name[use/@value='usual']/given[1]/@value",
            "sel is not a path from the root to an element or attribute, such as"
            " Patient/name[use/@value='usual']/given[1]/@value",
            number,
        ) from None
    found = selector.select(root, effort)
    if len(found) != 1:
        raise inapplicable(
            f"« {text} » désigne {len(found)} nœuds, un seul est attendu",
            f"“{text}” points at {len(found)} nodes, exactly one is expected",
            number,
        )
    return found[0], selector.attribute


def _on_element(number: int, name: str, operation: etree._Element, target: etree._Element) -> None:
    if name == "add":
        _add(number, operation, target)
        return
    parent = target.getparent()
    if parent is None:
        raise inapplicable("la ressource entière ne se corrige pas ainsi", "not the whole resource", number)
    if name == "replace":
        replacement = _contents(number, operation)
        if len(replacement) != 1:
            raise malformed("replace contient un seul élément", "replace holds a single element", number)
        parent.replace(target, replacement[0])
    else:
        parent.remove(target)


def _add(number: int, operation: etree._Element, target: etree._Element) -> None:
    """Adds children at the end or at the start (`prepend`), siblings (`before`, `after`), or an attribute (`type="@…"`)."""
    attribute = operation.get("type", "")
    if attribute.startswith("@"):
        try:
            target.set(attribute[1:], (operation.text or "").strip())
        except ValueError:
            raise malformed(
                f"« {attribute} » n'est pas le nom d'un attribut",
                f"“{attribute}” is not the name of an attribute",
                number,
            ) from None
        return
    contents = _contents(number, operation)
    position = operation.get("pos", "append")
    parent = target.getparent()
    if position == "append":
        target.extend(contents)
    elif position == "prepend":
        target[0:0] = contents
    elif position in ("before", "after") and parent is not None:
        place = parent.index(target) + (position == "after")
        parent[place:place] = contents
    else:
        raise malformed(f"pos « {position} » est inconnu ici", f"pos “{position}” is unknown here", number)


def _on_attribute(
    number: int, name: str, operation: etree._Element, owner: etree._Element, attribute: str
) -> None:
    if name == "add":
        raise malformed("add attend un élément", "add needs an element", number)
    if name == "replace":
        owner.set(attribute, (operation.text or "").strip())
    else:
        del owner.attrib[attribute]


def _contents(number: int, operation: etree._Element) -> list[etree._Element]:
    """Copies of the elements in an operation; those without a namespace get FHIR's."""
    contents = [copy.deepcopy(child) for child in operation]
    if not contents:
        raise malformed("l'opération ne contient aucun élément", "the operation holds no element", number)
    for child in contents:
        child.tail = None
        for element in child.iter():
            if isinstance(element.tag, str) and not element.tag.startswith("{"):
                element.tag = f"{{{xml.FHIR_NAMESPACE}}}{element.tag}"
    return contents
