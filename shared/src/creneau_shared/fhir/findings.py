"""The findings of the validator: one function for each kind, which makes one Issue in both languages.

A sentence names the element, the found value and the expected one. The found value is quoted, shortened, only if it is
a code, a date, a number or a reference: free text may hold personal data, which must not appear in a log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from creneau_shared.errors import Issue
from creneau_shared.fhir.bindings import LATER_SPELLINGS, words
from creneau_shared.fhir.datatypes import Primitive

QUOTED_MAX: Final = 60
"""Longest part of a found value that a sentence quotes, in characters."""

_CODES_LISTED_MAX: Final = 12
_QUOTED_TYPES: Final = words(
    """
    code date dateTime instant time id uri url canonical oid uuid integer positiveInt unsignedInt
    decimal
    """
)


def quote(value: Any) -> str:
    """`value` as a sentence shows it: short, on one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= QUOTED_MAX else text[: QUOTED_MAX - 1] + "…"


def unknown_element(path: str, name: str, type_name: str, known: Iterable[str]) -> Issue:
    meant = LATER_SPELLINGS.get(type_name, {}).get(name)
    if meant is None:
        meant = next(iter(get_close_matches(name, known, n=1, cutoff=0.75)), None)
    shown = quote(name)
    return Issue(
        code="structure",
        fr=f"« {shown} » n'est pas un élément de {type_name} en FHIR R4"
        + (f" ; l'élément s'appelle « {meant} »." if meant else "."),
        en=f"“{shown}” is not an element of {type_name} in FHIR R4"
        + (f"; the element is called “{meant}”." if meant else "."),
        expression=(path,),
        details_code="unknown-element",
    )


def missing(path: str) -> Issue:
    return Issue(
        code="required",
        fr=f"{path} est obligatoire et manque.",
        en=f"{path} is required and missing.",
        expression=(path,),
        details_code="missing-element",
    )


def no_value(path: str) -> Issue:
    """A required element that has only extensions, where the value itself is needed."""
    return Issue(
        code="not-supported",
        fr=f"{path} n'a que des extensions : ici, il lui faut une valeur.",
        en=f"{path} has extensions alone: here it needs a value.",
        expression=(path,),
        details_code="value-needed",
    )


def attribute_extended(path: str) -> Issue:
    """Extensions on an element that is an attribute in XML."""
    return Issue(
        code="structure",
        fr=f"{path} est un attribut en XML : il a une valeur, et ni id ni extension.",
        en=f"{path} is an attribute in XML: it has a value, and neither id nor extension.",
        expression=(path,),
        details_code="attribute-extended",
    )


def null(path: str) -> Issue:
    return Issue(
        code="structure",
        fr=f"{path} vaut null : un élément sans valeur s'omet.",
        en=f"{path} is null: an element without a value is left out.",
        expression=(path,),
        details_code="null",
    )


_EMPTY_NAMES: Final[Mapping[type, tuple[str, str]]] = {
    list: ("une liste", "array"),
    dict: ("un objet", "object"),
    str: ("un texte", "text"),
}


def empty(path: str, value: Any) -> Issue:
    fr, en = _EMPTY_NAMES[type(value)]
    return Issue(
        code="structure",
        fr=f"{path} est {fr} vide : un élément sans contenu s'omet.",
        en=f"{path} is an empty {en}: an element without content is left out.",
        expression=(path,),
        details_code="empty",
    )


def nothing_but_id(path: str) -> Issue:
    return Issue(
        code="invariant",
        fr=f"{path} n'a ni valeur ni contenu : un id seul ne suffit pas.",
        en=f"{path} has neither value nor content: an id alone will not do.",
        expression=(path,),
        details_code="ele-1",
    )


_JSON_NAMES: Final[Mapping[type, tuple[str, str]]] = {
    bool: ("un booléen", "a boolean"),
    int: ("un nombre", "a number"),
    Decimal: ("un nombre", "a number"),
    float: ("un nombre", "a number"),
    str: ("une chaîne", "a string"),
    list: ("une liste", "an array"),
    dict: ("un objet", "an object"),
}


def wrong_shape(path: str, value: Any, wanted: type) -> Issue:
    """The JSON type is not the one expected (dict: an object, list: an array)."""
    found_fr, found_en = _JSON_NAMES.get(type(value), ("une valeur", "a value"))
    wanted_fr, wanted_en = _JSON_NAMES[wanted]
    return Issue(
        code="structure",
        fr=f"{path} est {found_fr} ; {wanted_fr} est attendu{'e' if wanted_fr.startswith('une') else ''}.",
        en=f"{path} is {found_en}; {wanted_en} is expected.",
        expression=(path,),
        details_code="json-type",
    )


def wrong_value(path: str, value: Any, primitive: Primitive) -> Issue:
    """The value is not of the primitive type: another JSON type (`structure`), or the wrong form (`value`)."""
    if value is None:
        return null(path)
    if value == "":
        return empty(path, value)
    right_json_type = type(value) in primitive.json_types
    found_fr, found_en = _JSON_NAMES.get(type(value), ("une valeur", "a value"))
    if right_json_type:
        shown = quote(value) if primitive.name in _QUOTED_TYPES else None
        found_fr = f"« {shown} »" if shown else "un texte inacceptable"
        found_en = f"“{shown}”" if shown else "unacceptable text"
    return Issue(
        code="value" if right_json_type else "structure",
        fr=f"{path} est {found_fr} ; attendu ({primitive.name}) : {primitive.fr}.",
        en=f"{path} is {found_en}; expected ({primitive.name}): {primitive.en}.",
        expression=(path,),
        details_code=f"type-{primitive.name}" if right_json_type else "json-type",
    )


def wrong_code(path: str, value: str, codes: Iterable[str]) -> Issue:
    ordered = sorted(codes)
    listed = ", ".join(ordered) if len(ordered) <= _CODES_LISTED_MAX else None
    meant = next(iter(get_close_matches(value, ordered, n=1, cutoff=0.6)), None)
    fr, en = (f" ; codes possibles : {listed}", f"; possible codes: {listed}") if listed else ("", "")
    if not listed and meant:
        fr, en = f" ; peut-être « {meant} »", f"; perhaps “{meant}”"
    return Issue(
        code="code-invalid",
        fr=f"{path} a le code « {quote(value)} », qui n'est pas de la liste obligatoire{fr}.",
        en=f"{path} has the code “{quote(value)}”, which is not of the required list{en}.",
        expression=(path,),
        details_code="required-binding",
    )


def several_choices(path: str, names: Iterable[str]) -> Issue:
    listed = ", ".join(names)
    return Issue(
        code="structure",
        fr=f"{path} ne peut avoir qu'un type de valeur ; trouvés : {listed}.",
        en=f"{path} can have one type of value only; found: {listed}.",
        expression=(path,),
        details_code="choice",
    )


def nothing_beside(path: str, name: str) -> Issue:
    return Issue(
        code="structure",
        fr=f"_{name} ne contient que des null à côté de {path} : sans id ni extension, il s'omet.",
        en=f"_{name} holds nothing but null beside {path}: without an id or an extension, it is left out.",
        expression=(path,),
        details_code="null",
    )


def unmatched_arrays(path: str, name: str) -> Issue:
    return Issue(
        code="structure",
        fr=f"{path} : « {name} » et « _{name} » doivent avoir la même longueur, null là où rien n'est donné.",
        en=f"{path}: “{name}” and “_{name}” must be of the same length, null where nothing is given.",
        expression=(path,),
        details_code="primitive-arrays",
    )


def no_resource_type(path: str) -> Issue:
    return Issue(
        code="structure",
        fr=f"{path} n'a pas de resourceType : le type de la ressource est inconnu.",
        en=f"{path} has no resourceType: the type of the resource is unknown.",
        expression=(path,),
        details_code="resource-type",
    )


def unknown_resource_type(path: str, name: Any) -> Issue:
    return Issue(
        code="structure",
        fr=f"{path} est d'un type de ressource inconnu : « {quote(name)} ».",
        en=f"{path} is of an unknown resource type: “{quote(name)}”.",
        expression=(path,),
        details_code="resource-type",
    )


def other_resource_type(found: str, expected: str) -> Issue:
    return Issue(
        code="invalid",
        fr=f"La ressource est de type {found} ; {expected} est attendu.",
        en=f"The resource is of type {found}; {expected} is expected.",
        expression=(found,),
        details_code="resource-type",
    )


def modifier_extension(path: str, url: Any) -> Issue:
    named = f" ({quote(url)})" if isinstance(url, str) else ""
    return Issue(
        code="extension",
        fr=f"{path} : cette extension modificatrice n'est pas comprise ici{named}, la ressource est refusée.",
        en=f"{path}: this modifier extension is not understood here{named}, so the resource is refused.",
        expression=(path,),
        details_code="modifier-extension",
    )


def implicit_rules(path: str) -> Issue:
    return Issue(
        code="not-supported",
        fr=f"{path} : aucune règle implicite n'est comprise ici, la ressource est refusée.",
        en=f"{path}: no implicit rules are understood here, so the resource is refused.",
        expression=(path,),
        details_code="implicit-rules",
    )


def narrative(path: str, fr: str, en: str, rule: str) -> Issue:
    return Issue(
        code="invalid", fr=f"{path} : {fr}.", en=f"{path}: {en}.", expression=(path,), details_code=rule
    )


def malformed_reference(path: str, text: str) -> Issue:
    return Issue(
        code="value",
        fr=f"{path} est « {quote(text)} » ; attendu : Type/id, une URL absolue, urn:uuid:… ou #id.",
        en=f"{path} is “{quote(text)}”; expected: Type/id, an absolute URL, urn:uuid:… or #id.",
        expression=(path,),
        details_code="reference-form",
    )


def conditional_reference(path: str, text: str) -> Issue:
    return Issue(
        code="value",
        fr=f"{path} est « {quote(text)} » : une référence conditionnelle suppose une transaction.",
        en=f"{path} is “{quote(text)}”: a conditional reference needs a transaction.",
        expression=(path,),
        details_code="reference-form",
    )


def wrong_target(path: str, found: str, targets: Iterable[str]) -> Issue:
    listed = ", ".join(targets)
    return Issue(
        code="value",
        fr=f"{path} désigne une ressource {quote(found)} ; attendu : {listed}.",
        en=f"{path} points to a {quote(found)} resource; expected: {listed}.",
        expression=(path,),
        details_code="reference-target",
    )


def dangling_fragment(path: str, text: str) -> Issue:
    return Issue(
        code="invariant",
        fr=f"{path} est « {quote(text)} », mais aucune ressource contenue n'a cet id.",
        en=f"{path} is “{quote(text)}”, but no contained resource has this id.",
        expression=(path,),
        details_code="ref-1",
    )


def too_deep(path: str, maximum: int) -> Issue:
    shown = quote(path)
    return Issue(
        code="too-long",
        fr=f"{shown} est imbriqué trop profondément : une ressource a {maximum} niveaux d'éléments au plus.",
        en=f"{shown} is nested too deeply: a resource has {maximum} levels of elements at the most.",
        expression=(path,),
        details_code="nesting",
    )


def and_more(maximum: int) -> Issue:
    return Issue(
        code="incomplete",
        severity="information",
        fr=f"D'autres problèmes ne sont pas listés : l'examen s'arrête au {maximum}e.",
        en=f"Further problems are not listed: the check stops at number {maximum}.",
        details_code="more-issues",
    )
