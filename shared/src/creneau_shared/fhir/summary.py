"""Parts of a resource: `_summary` and `_elements` (FHIR R4 search.html#summary, #elements).

The result keeps the mandatory elements and the modifiers of each type in it. It also keeps the contained resources to
which a kept element refers, since a local reference needs its target (ref-1). It is tagged SUBSETTED, so that nobody
takes it for the whole resource.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final, Literal, cast

from creneau_shared.errors import Unprocessable
from creneau_shared.fhir.definitions import ElementDefinition, TypeDefinition, type_definition
from creneau_shared.fhir.json import dumps, loads

SummaryMode = Literal["true", "text", "data"]

SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}

_CODE: Final = SUBSETTED["system"], SUBSETTED["code"]

_ALWAYS: Final = frozenset({"id", "meta"})
"""Elements of a resource that every part of it keeps."""


def require_whole(resource: dict[str, Any]) -> None:
    """Raises Unprocessable for a part of a resource (tagged SUBSETTED): stored, it would take the place of the whole."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    if any((tag.get("system"), tag.get("code")) == _CODE for tag in tags or () if isinstance(tag, dict)):
        raise Unprocessable(
            "Ce contenu n'est qu'une partie de la ressource (étiquette SUBSETTED, lue avec _summary ou _elements) : l'écrire"
            " effacerait le reste. Relisez-la entière, ou envoyez un PATCH.",
            "This is a part of the resource (tag SUBSETTED, read with _summary or _elements): writing it would erase the rest."
            " Read the whole, or send a PATCH.",
            expression=f"{resource.get('resourceType')}.meta.tag",
            details_code="subsetted",
        )


def cut_down(content: bytes, elements: Collection[str], summary: str) -> bytes:
    """A resource's bytes reduced by `_elements` (if there are any), else by `_summary` (`true`, `text` or `data`)."""
    resource = loads(content)
    if elements:
        return dumps(select_elements(resource, frozenset(elements)))
    return dumps(summarise(resource, cast("SummaryMode", summary)))


def summarise(resource: dict[str, Any], mode: SummaryMode) -> dict[str, Any]:
    """Applies `_summary`: `true` keeps the summary elements, `text` narrative and mandatory ones, `data` all but the
    narrative.

    (The search handles `count`, which has no resources, and `false`, which changes nothing.)
    """
    definition = type_definition(resource["resourceType"])
    if mode == "data":
        return _subsetted({name: value for name, value in resource.items() if name != "text"})
    if mode == "text":
        part = _keep(resource, definition, lambda element: element.name == "text", deep=False)
    else:
        part = _keep(resource, definition, lambda element: element.summary, deep=True)
    return _subsetted(_with_contained(part, resource))


def select_elements(resource: dict[str, Any], elements: Collection[str]) -> dict[str, Any]:
    """Applies `_elements`: keeps the top-level elements of these names, the mandatory ones and the modifiers.

    A choice is named without its type (`deceased`). Names that the type does not have are ignored: a search
    over several types names the elements of each.
    """
    definition = type_definition(resource["resourceType"])
    part = _keep(
        resource, definition, lambda element: (element.choice or element.name) in elements, deep=False
    )
    return _subsetted(_with_contained(part, resource))


def _with_contained(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """`part` with the contained resources of `whole` to which it refers, directly or through another of them."""
    contained = {resource.get("id"): resource for resource in whole.get("contained", ())}
    if not contained or "contained" in part:
        return part
    kept: set[str] = set()
    pending = local_references(part)
    while pending:
        named = pending.pop()
        if named in contained and named not in kept:
            kept.add(named)
            pending |= local_references(contained[named])
    if not kept:
        return part
    part["contained"] = [resource for id_, resource in contained.items() if id_ in kept]
    return {name: part[name] for name in whole if name in part}


def local_references(value: Any) -> set[str]:
    """The ids of contained resources to which `value` refers, by Reference (`#s1`), uri or canonical."""
    found: set[str] = set()
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            pending += [child for name, child in node.items() if name not in ("text", "contained")]
        elif isinstance(node, list):
            pending += node
        elif isinstance(node, str) and node.startswith("#"):
            found.add(node[1:])
    return found


def _keep(
    value: dict[str, Any],
    definition: TypeDefinition,
    wanted: Callable[[ElementDefinition], bool],
    *,
    deep: bool,
) -> dict[str, Any]:
    """The properties whose element is wanted, mandatory or a modifier; with `deep`, the same inside each."""
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
    """A complex value in a summary.

    Only backbone elements are reduced. Data types stay whole: readers of a summary need their parts
    (Reference.identifier, Coding.display).
    """
    definition = type_definition(element.type)
    if definition.base != "BackboneElement" or not any(part.summary for part in definition.elements):
        return child
    if isinstance(child, list):
        return [_keep(item, definition, wanted, deep=True) for item in child]
    return _keep(child, definition, wanted, deep=True)


def _subsetted(part: dict[str, Any]) -> dict[str, Any]:
    """`part` with the SUBSETTED tag in a new meta; the original meta, shared with the whole resource, is not changed."""
    meta = dict(part.get("meta") or {})
    tags = [tag for tag in meta.get("tag") or [] if tag.get("code") != SUBSETTED["code"]]
    meta["tag"] = [*tags, dict(SUBSETTED)]
    head = {name: part[name] for name in ("resourceType", "id") if name in part}
    return head | {"meta": meta} | {name: value for name, value in part.items() if name != "meta"}
