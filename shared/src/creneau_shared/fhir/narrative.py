"""Narrative: which content may be stored, and which may be shown.

`problem` checks a narrative that a client sends (FHIR R4 narrative.html, invariants txt-1 and txt-2); an accepted one is
stored byte for byte. Showing it must run nothing and load nothing from outside: a load tells a foreign server who reads
whose record, and when. A link may lead outside, since a person chooses to follow it. `sanitise` prepares a narrative of
any origin for an HTML page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import nh3
from lxml import etree

from creneau_shared.fhir.bindings import words
from creneau_shared.fhir.markup import ATTRIBUTES_MAX, has_crowded_element

XHTML_NAMESPACE: Final = "http://www.w3.org/1999/xhtml"

TAGS: Final[frozenset[str]] = words(
    """
    a abbr acronym address area b bdo big blockquote br caption center cite code col colgroup dd dfn div
    dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li map ol p pre q s samp small span strike strong sub sup
    table tbody td tfoot th thead tr tt u ul var
    """
)
"""XHTML elements that a narrative may have (txt-1)."""

ATTRIBUTES: Final[frozenset[str]] = words(
    """
    abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char
    charoff charset cite class color colspan compact coords dir frame headers height href hreflang id
    lang longdesc name noshade nowrap rel rev rowspan rules scope shape span src start style summary
    tabindex title type usemap valign value vspace hspace width
    """
)
"""Attributes that these elements may have; none can run code."""

_LINKS: Final = frozenset({"href", "longdesc", "cite", "usemap"})
_SAFE_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel", "urn", "cid", "fhir", "ftp"})


_LOADS: Final = re.compile(
    r"(?<![a-z-])(?:url|src|image|-webkit-image-set|image-set|cross-fade|-webkit-cross-fade|element|paint|attr)\("
    r"|@|expression\(|javascript:|behavior:|-moz-binding"
)
"""the ways in which a style sheet can load or run something, without blanks and in lower case"""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a narrative is refused: the rule's id and half a sentence in both languages."""

    rule: str
    fr: str
    en: str


_INSTRUCTION: Final = Problem(
    "txt-1",
    "ni déclaration XML, ni entité, ni instruction de traitement n'y ont leur place",
    "neither an XML declaration nor entities nor processing instructions have a place in it",
)


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )


def problem(div: str) -> Problem | None:
    """The reason why `div` is no FHIR narrative; None if it is one."""
    if "<!DOCTYPE" in div or "<!ENTITY" in div:
        return Problem("txt-1", "une DTD n'y a pas sa place", "a DTD has no place in it")
    if has_crowded_element(div):
        return Problem(
            "txt-1",
            f"un élément y a plus de {ATTRIBUTES_MAX} attributs",
            f"an element has more than {ATTRIBUTES_MAX} attributes in it",
        )
    try:
        root = etree.fromstring(div.encode("utf-8"), _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        detail = str(error).partition(", line")[0]
        return Problem(
            "txt-1", f"ce n'est pas du XHTML bien formé ({detail})", f"not well-formed XHTML ({detail})"
        )
    if root.tag != f"{{{XHTML_NAMESPACE}}}div":
        return Problem(
            "txt-1",
            f'un seul élément <div xmlns="{XHTML_NAMESPACE}"> est attendu',
            f'a single element <div xmlns="{XHTML_NAMESPACE}"> is expected',
        )
    if div.removeprefix("\ufeff").startswith("<?xml"):
        return _INSTRUCTION
    for element in (*root.itersiblings(preceding=True), *root.iter(), *root.itersiblings()):
        if found := _element_problem(element):
            return found
    if not "".join(map(str, root.itertext())).strip() and root.find(f".//{{{XHTML_NAMESPACE}}}img") is None:
        return Problem("txt-2", "le texte est vide", "the text is empty")
    return None


def _element_problem(element: etree._Element) -> Problem | None:
    if isinstance(element, etree._Comment):
        return None
    if not isinstance(element.tag, str):
        return _INSTRUCTION
    name = etree.QName(element)
    if name.namespace != XHTML_NAMESPACE or name.localname not in TAGS:
        return Problem(
            "txt-1",
            f"l'élément <{name.localname}> y est interdit",
            f"the element <{name.localname}> is not allowed in it",
        )
    for attribute, value in element.attrib.items():
        text = str(value)
        local = etree.QName(str(attribute)).localname
        if local not in ATTRIBUTES or not _harmless(local, text):
            return Problem(
                "txt-1",
                f"l'attribut {local} y est interdit ainsi",
                f"the attribute {local} is not allowed like this",
            )
    return None


def is_safe_link(target: str) -> bool:
    """Whether following `target` cannot run code: it is relative, an image in data:, or of a harmless scheme."""
    compact = _as_browsers_read(target)
    scheme, colon, rest = compact.partition(":")
    if not colon or any(mark in scheme for mark in "/?#"):
        return True
    return scheme in _SAFE_SCHEMES or (
        scheme == "data" and rest.startswith("image/") and "svg" not in rest[:12]
    )


def _as_browsers_read(address: str) -> str:
    """The address in lower case, without the blanks and control characters that browsers ignore."""
    return "".join(character for character in address if character > " ").lower()


def is_own_image(source: str) -> bool:
    """Whether an image comes with the narrative or from the resource's own server: by data:, a fragment (a contained
    resource), cid: or a relative path. `//host/`, in any form that browsers accept, is outside."""
    compact = _as_browsers_read(source)
    scheme, colon, _ = compact.partition(":")
    if colon and not any(mark in scheme for mark in "/?#"):
        return scheme in ("data", "cid") and is_safe_link(source)
    return not compact.startswith(("/", "\\"))


def _harmless(attribute: str, value: str) -> bool:
    if attribute == "src":
        return is_own_image(value)
    if attribute == "style":
        return _is_plain_style(value)
    return attribute not in _LINKS or is_safe_link(value)


def _is_plain_style(style: str) -> bool:
    """Whether a style loads nothing (url(), image-set(), src() …, @import) and, in old browsers, runs nothing. Escapes are
    refused, since they could hide any of these."""
    compact = "".join(style.split()).lower()
    return "\\" not in compact and not _LOADS.search(compact)


def sanitise(div: str) -> str:
    """`div` made safe to insert into an HTML page: only the tags above, no styles, no foreign images."""
    return nh3.clean(
        div,
        tags=set(TAGS - {"img", "map", "area", "center"}),
        attributes={
            "*": {"class", "dir", "lang", "title"},
            "a": {"href"},
            "td": {"colspan", "rowspan"},
            "th": {"colspan", "rowspan", "scope"},
        },
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer nofollow",
    )
