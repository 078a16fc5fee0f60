"""Parts of a resource: `_summary` and `_elements` (FHIR R4 search.html#summary, #elements).

What is returned keeps the mandatory elements and the modifiers of each type that it shows and is tagged
SUBSETTED, so that nobody takes it for the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final, Literal, cast

from creneau_shared.fhir.definitions import ElementDefinition, TypeDefinition, type_definition
from creneau_shared.fhir.json import dumps, loads

SummaryMode = Literal["true", "text", "data"]

SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}

_ALWAYS: Final = frozenset({"id", "meta"})
"""Elements of a resource that stay in every part of it."""


def cut_down(content: bytes, elements: Collection[str], summary: str) -> bytes:
    """A resource's bytes as `_elements` (when there are any) or `_summary` (`true`, `text` or `data`) wants them."""
    resource = loads(content)
    if elements:
        return dumps(select_elements(resource, frozenset(elements)))
    return dumps(summarise(resource, cast("SummaryMode", summary)))


def summarise(resource: dict[str, Any], mode: SummaryMode) -> dict[str, Any]:
    """`_summary`: `true` the summary elements, `text` narrative and mandatory ones, `data` all but the
    narrative.

    (`count` has no resources and `false` changes nothing: both are the search's business.)
    """
    definition = type_definition(resource["resourceType"])
    if mode == "data":
        part = {name: value for name, value in resource.items() if name != "text"}
    elif mode == "text":
        part = _keep(resource, definition, lambda element: element.name == "text", deep=False)
    else:
        part = _keep(resource, definition, lambda element: element.summary, deep=True)
    return _subsetted(part)


def select_elements(resource: dict[str, Any], elements: Collection[str]) -> dict[str, Any]:
    """`_elements`: the top-level elements of these names, beside the mandatory and the modifiers.

    A choice is named without its type (`deceased`). Names that the type does not have are ignored: a search
    over several types names the elements of each.
    """
    definition = type_definition(resource["resourceType"])
    return _subsetted(
        _keep(resource, definition, lambda element: (element.choice or element.name) in elements, deep=False)
    )


def _keep(
    value: dict[str, Any],
    definition: TypeDefinition,
    wanted: Callable[[ElementDefinition], bool],
    *,
    deep: bool,
) -> dict[str, Any]:
    """The properties whose element is wanted, mandatory or a modifier; with `deep` inside them too."""
    kept: dict[str, Any] = {}
    for name, child in value.items():
        element = definition.by_name.get(name.removeprefix("_"))
        if element is None:
            if name == "resourceType":
                kept[name] = child
            continue
        always = definition.is_resource and element.name in _ALWAYS
        if (
            always
            or element.min
            or element.modifier
            or element.choice in definition.required_choices
            or wanted(element)
        ):
            inside = (
                deep and element.name != "meta" and element.kind == "complex" and not name.startswith("_")
            )
            kept[name] = _inside(child, element, wanted) if inside else child
    return kept


def _inside(child: Any, element: ElementDefinition, wanted: Callable[[ElementDefinition], bool]) -> Any:
    """A complex value of a summary.

    Only backbone elements are cut: a data type is the summary's unit, and the parts of some
    (Reference.identifier, Coding.display) are what a summary is read for.
    """
    definition = type_definition(element.type)
    if definition.base != "BackboneElement" or not any(part.summary for part in definition.elements):
        return child
    if isinstance(child, list):
        return [_keep(item, definition, wanted, deep=True) for item in child]
    return _keep(child, definition, wanted, deep=True)


def _subsetted(part: dict[str, Any]) -> dict[str, Any]:
    """`part` with the tag, in the place of meta; the meta that it shares with the whole stays as it was."""
    meta = dict(part.get("meta") or {})
    tags = [tag for tag in meta.get("tag") or [] if tag.get("code") != SUBSETTED["code"]]
    meta["tag"] = [*tags, dict(SUBSETTED)]
    head = {name: part[name] for name in ("resourceType", "id") if name in part}
    return head | {"meta": meta} | {name: value for name, value in part.items() if name != "meta"}
