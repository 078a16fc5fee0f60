"""XML Patch (RFC 5261) on the XML form of a resource: `add`, `replace` and `remove`, each with an XPath in
`sel`.

Names without prefix in a selector belong to FHIR's namespace, as with a default namespace in the patch document.
"""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from lxml import etree

from creneau_shared.fhir import xml
from creneau_shared.fhir.narrative import XHTML_NAMESPACE
from creneau_shared.fhir.patch.result import check_count, inapplicable, malformed

SELECTOR_LENGTH_MAX: Final = 1000
"""Longest selector that is read, characters."""

_NAMESPACES: Final = {"f": xml.FHIR_NAMESPACE, "h": XHTML_NAMESPACE}
_OPERATORS: Final = frozenset({"and", "or", "div", "mod"})
_TOKEN: Final = re.compile(
    r"""(?P<literal>"[^"]*"|'[^']*')|(?P<skipped>@?[\w.\-]+(?:::?[\w.\-]+)+|@[\w.\-]+|[\w.\-]+\s*\(|\d[\w.]*)"""
    r"|(?P<name>[A-Za-z_][\w\-]*)"
)


def apply(body: bytes, resource: dict[str, Any]) -> dict[str, Any]:
    """A copy of `resource` changed by the patch document in `body`."""
    operations = list(xml.parse(body))
    check_count(len(operations))
    root = etree.ElementTree(xml.to_element(resource))
    for number, operation in enumerate(operations):
        name = etree.QName(operation).localname
        if name not in ("add", "replace", "remove"):
            raise malformed(
                f"<{name}> n'est ni add, ni replace, ni remove",
                f"<{name}> is neither add, replace nor remove",
                number,
            )
        target = _select(number, operation, root)
        if isinstance(target, etree._Element):
            _on_element(number, name, operation, target)
        else:
            _on_attribute(number, name, operation, target)
    return xml.from_element(root.getroot())


def _select(number: int, operation: etree._Element, root: etree._ElementTree) -> Any:
    """The single element or attribute that `sel` points at."""
    selector = operation.get("sel")
    if not selector or len(selector) > SELECTOR_LENGTH_MAX:
        raise malformed("sel manque ou est trop long", "sel is missing or too long", number)
    namespaces = _NAMESPACES | {
        prefix: uri for prefix, uri in operation.nsmap.items() if isinstance(prefix, str) and prefix
    }
    expression = _prefixed(selector.strip())
    try:
        found = root.xpath(
            expression if expression.startswith("/") else f"/{expression}", namespaces=namespaces
        )
    except etree.XPathError:
        raise malformed(
            f"« {selector} » n'est pas un XPath", f"“{selector}” is not an XPath expression", number
        ) from None
    if not isinstance(found, list) or len(found) != 1:
        count = len(found) if isinstance(found, list) else 0
        raise inapplicable(
            f"« {selector} » désigne {count} nœuds, un seul est attendu",
            f"“{selector}” points at {count} nodes, exactly one is expected",
            number,
        )
    return found[0]


def _prefixed(selector: str) -> str:
    """The selector with FHIR's prefix before each element name that has none."""

    def prefix(match: re.Match[str]) -> str:
        name = match["name"]
        return match[0] if name is None or name in _OPERATORS else f"f:{name}"

    return _TOKEN.sub(prefix, selector)


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


def _on_attribute(number: int, name: str, operation: etree._Element, target: Any) -> None:
    owner = target.getparent() if getattr(target, "is_attribute", False) else None
    if owner is None or name == "add":
        raise malformed(
            "sel doit désigner un élément ou un attribut",
            "sel must point at an element or an attribute",
            number,
        )
    if name == "replace":
        owner.set(target.attrname, (operation.text or "").strip())
    else:
        del owner.attrib[target.attrname]


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
