"""FHIR XML (R4 xml.html): bytes to resource and back, by the same definitions as JSON.

A JSON property is an XML element, in the order of the specification; a primitive's value is its `value`
attribute; `id` (except of a resource) and `Extension.url` are attributes. A decimal keeps its digits.
Narrative comes back as equal XHTML, not always as the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from lxml import etree

from creneau_shared.errors import BadRequest
from creneau_shared.fhir import json
from creneau_shared.fhir.datatypes import UNWRITABLE
from creneau_shared.fhir.definitions import (
    ElementDefinition,
    TypeDefinition,
    is_resource_type,
    type_definition,
)
from creneau_shared.fhir.markup import ATTRIBUTES_MAX, has_crowded_element
from creneau_shared.fhir.narrative import XHTML_NAMESPACE

FHIR_NAMESPACE: Final = "http://hl7.org/fhir"

_DEPTH_MAX: Final = json.NESTING_MAX // 2
"""Deepest nesting of elements in a document: each is up to two levels of JSON, an object in a list."""

_DEFAULT_NAMESPACE: Final[Any] = {None: FHIR_NAMESPACE}
_SCHEMA_INSTANCE: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_JSON_INTEGER: Final = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)


def parse(body: bytes) -> etree._Element:
    """The root element of an XML document in UTF-8, without DTD, entities or network.

    Raises BadRequest (issue code `structure`) with the line.
    """
    text = json.text_of(body)
    if "<!DOCTYPE" in text:
        raise json.unreadable("Une DTD n'est pas admise.", "A DTD is not admitted.")
    if has_crowded_element(text):
        raise json.unreadable(
            f"Un élément a plus de {ATTRIBUTES_MAX} attributs.",
            f"An element has more than {ATTRIBUTES_MAX} attributes.",
        )
    parser = etree.XMLParser(
        # The encoding in the XML declaration must not change the text that was just checked.
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(text.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        raise json.unreadable(
            f"Le corps n'est pas du XML bien formé : erreur à la ligne {line}.",
            f"The body is not well-formed XML: error at line {line}.",
            diagnostics=error.msg,
        ) from None


def from_xml(body: bytes) -> dict[str, Any]:
    """The resource in an XML document; raises BadRequest with the line of content that is not FHIR.

    The result is well typed, but not validated: `validation` checks cardinalities, codes and rules.
    """
    return from_element(parse(body))


def from_element(root: etree._Element) -> dict[str, Any]:
    """The resource that an element such as `<Appointment xmlns="http://hl7.org/fhir">` is."""
    return _Reader().resource(root, 1)


class _Reader:
    """Elements to properties."""

    def resource(self, element: etree._Element, depth: int) -> dict[str, Any]:
        name = self.name_of(element)
        if not is_resource_type(name):
            raise _at(
                element,
                f"<{name}> n'est pas un type de ressource de FHIR R4",
                f"<{name}> is not a resource type of FHIR R4",
            )
        attributes = {
            attribute for attribute in map(str, element.attrib) if not attribute.startswith(_SCHEMA_INSTANCE)
        }
        if attributes:
            raise self.unknown_attribute(element, min(attributes))
        result: dict[str, Any] = {"resourceType": name}
        self.children(element, type_definition(name), result, depth)
        return result

    def children(
        self, element: etree._Element, definition: TypeDefinition, into: dict[str, Any], depth: int
    ) -> None:
        if depth > _DEPTH_MAX:
            raise _at(element, "l'imbrication est trop profonde", "the nesting is too deep")
        self.no_text(element, element.text)
        for child in element:
            self.no_text(element, child.tail)
            name = self.name_of(child)
            known = definition.by_name.get(name)
            if known is None or known.name in definition.attributes:
                raise _at(
                    child,
                    f"<{name}> n'est pas un élément de {definition.name} en FHIR R4",
                    f"<{name}> is not an element of {definition.name} in FHIR R4",
                )
            self.child(child, known, into, depth)

    def child(
        self, element: etree._Element, definition: ElementDefinition, into: dict[str, Any], depth: int
    ) -> None:
        """Puts one child into the object: as the value of a property, or as one more item of a list."""
        value, extension = self.value(element, definition, depth)
        name = definition.name
        if not definition.is_list:
            if name in into or f"_{name}" in into:
                raise _at(element, f"<{name}> est répété", f"<{name}> is repeated")
            if value is not None:
                into[name] = value
            if extension:
                into[f"_{name}"] = extension
            return
        if definition.kind != "primitive":
            into.setdefault(name, []).append(value)
            return
        # The lists of values and of extensions grow in step; a list is not written until it has content.
        values, extensions = into.get(name), into.get(f"_{name}")
        count = len(values if values is not None else extensions or ())
        if values is None and value is not None:
            values = into[name] = [None] * count
        if extensions is None and extension is not None:
            extensions = into[f"_{name}"] = [None] * count
        if values is not None:
            values.append(value)
        if extensions is not None:
            extensions.append(extension)

    def value(
        self, element: etree._Element, definition: ElementDefinition, depth: int
    ) -> tuple[Any, dict[str, Any] | None]:
        """(value, id and extensions of a primitive)."""
        if definition.kind == "xhtml":
            return _narrative_text(element), None
        if definition.kind == "resource":
            inner = list(element)
            if len(inner) != 1:
                raise _at(element, "une seule ressource est attendue", "a single resource is expected")
            self.no_text(element, element.text)
            return self.resource(inner[0], depth + 1), None
        if definition.kind == "primitive":
            beside: dict[str, Any] = {}
            self.attributes(element, {"id", "value"}, beside)
            text = beside.pop("value", None)
            self.children(element, type_definition("Element"), beside, depth + 1)
            return (None if text is None else _typed(element, definition.type, text)), beside or None
        result: dict[str, Any] = {}
        type_ = type_definition(definition.type)
        self.attributes(element, type_.attributes, result)
        self.children(element, type_, result, depth + 1)
        return result, None

    def attributes(self, element: etree._Element, allowed: Collection[str], into: dict[str, Any]) -> None:
        for key, text in element.attrib.items():
            name = str(key)
            if name not in allowed:
                raise self.unknown_attribute(element, name)
            into[name] = str(text)

    def unknown_attribute(self, element: etree._Element, name: str) -> BadRequest:
        tag = etree.QName(element).localname
        return _at(element, f"<{tag}> n'a pas d'attribut {name}", f"<{tag}> has no attribute {name}")

    def name_of(self, element: etree._Element) -> str:
        """The local name of an element of FHIR's namespace (or of XHTML: the narrative)."""
        if not isinstance(element.tag, str):
            raise _at(element, "une entité n'est pas admise", "an entity is not admitted")
        name = etree.QName(element)
        expected = XHTML_NAMESPACE if name.localname == "div" else FHIR_NAMESPACE
        if name.namespace != expected:
            raise _at(
                element,
                f"<{name.localname}> doit être de l'espace de noms {expected}",
                f"<{name.localname}> must be of the namespace {expected}",
            )
        return name.localname

    def no_text(self, element: etree._Element, text: str | bytes | None) -> None:
        if text and text.strip():
            tag = etree.QName(element).localname
            raise _at(
                element,
                f"<{tag}> contient du texte ; une valeur s'écrit dans l'attribut value",
                f"<{tag}> holds text; a value is written in the attribute value",
            )


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _integer(text: str) -> int:
    if _JSON_INTEGER.fullmatch(text) is None:
        raise ValueError(text)
    return int(text)


def _decimal(text: str) -> Any:
    if _JSON_NUMBER.fullmatch(text) is None:
        raise ValueError(text)
    return json.number(text)


_TYPED: Final[Mapping[str, Callable[[str], Any]]] = {
    "boolean": _boolean,
    "integer": _integer,
    "unsignedInt": _integer,
    "positiveInt": _integer,
    "decimal": _decimal,
}


def _typed(element: etree._Element, primitive: str, text: str) -> Any:
    """The JSON value of a `value` attribute."""
    convert = _TYPED.get(primitive, str)
    try:
        return convert(text)
    except (KeyError, ValueError):
        tag = etree.QName(element).localname
        raise _at(
            element,
            f"la valeur de <{tag}> n'est pas du type {primitive}",
            f"the value of <{tag}> is not of type {primitive}",
            code="value",
        ) from None


def _narrative_text(element: etree._Element) -> str:
    """The `<div>` with its namespace, and no declaration of the surrounding document."""
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    etree.cleanup_namespaces(alone)
    return etree.tostring(alone, encoding="unicode")


def to_xml(resource: dict[str, Any]) -> bytes:
    """The resource as an XML document in UTF-8, on one line.

    Raises ValueError for elements without definition: the resource must have been validated. Older stored resources may
    have a character that XML cannot hold; it is written as U+FFFD.
    """
    return etree.tostring(to_element(resource), encoding="UTF-8", xml_declaration=True)


def to_element(resource: dict[str, Any]) -> etree._Element:
    """The resource as an element of FHIR's namespace."""
    name = resource["resourceType"]
    root = etree.Element(f"{{{FHIR_NAMESPACE}}}{name}", nsmap=_DEFAULT_NAMESPACE)
    _write(root, resource, type_definition(name), {"resourceType"})
    return root


def _write(
    parent: etree._Element, value: dict[str, Any], definition: TypeDefinition, written: set[str]
) -> None:
    """The properties of `value` as attributes and children of `parent`; `written` are done already."""
    attributes = definition.attributes
    for element in definition.elements:
        name, beside = element.name, f"_{element.name}"
        if name not in value and beside not in value:
            continue
        written |= {name, beside}
        if name in attributes:
            # In older stored resources, the attribute may have only extensions, which are refused today.
            if name in value:
                parent.set(name, _writable(value[name]))
        elif element.kind == "primitive":
            for item, extension in _pairs(value.get(name), value.get(beside)):
                _write_primitive(parent, name, item, extension)
        else:
            for item in value[name] if element.is_list else [value[name]]:
                _write_child(parent, element, item)
    unknown = value.keys() - written
    if unknown:
        raise ValueError(f"{definition.name} has no element {min(unknown)}")


def _pairs(values: Any, extensions: Any) -> list[tuple[Any, Any]]:
    """Each value of a primitive element with its extension."""
    if not isinstance(values, list) and not isinstance(extensions, list):
        return [(values, extensions)]
    length = len(values if values is not None else extensions)
    return list(zip(values or [None] * length, extensions or [None] * length, strict=True))


def _write_primitive(parent: etree._Element, name: str, value: Any, extension: Any) -> None:
    child = etree.SubElement(parent, f"{{{FHIR_NAMESPACE}}}{name}")
    if extension is not None:
        _write(child, extension, type_definition("Element"), set())
    if value is not None:
        child.set("value", str(value).lower() if isinstance(value, bool) else _writable(str(value)))


def _writable(text: str) -> str:
    return text if text.isprintable() else UNWRITABLE.sub("\ufffd", text)


def _write_child(parent: etree._Element, definition: ElementDefinition, value: Any) -> None:
    if definition.kind == "xhtml":
        # As UTF-8 bytes, so that an XML declaration in the text with another encoding has no effect.
        parent.append(etree.fromstring(value.encode(), etree.XMLParser(encoding="utf-8")))
        return
    child = etree.SubElement(parent, f"{{{FHIR_NAMESPACE}}}{definition.name}")
    if definition.kind == "resource":
        child.append(to_element(value))
    else:
        _write(child, value, type_definition(definition.type), set())


def _at(element: etree._Element, fr: str, en: str, code: str = "structure") -> BadRequest:
    line = element.sourceline or 1
    return BadRequest(f"Ligne {line} : {fr}.", f"Line {line}: {en}.", code=code)
