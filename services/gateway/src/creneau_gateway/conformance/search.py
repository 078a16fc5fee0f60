"""Search over the conformance resources, which are few and in memory: R4's parameters of each type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.parameters import HL7_CANONICAL
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.spelling import fold

Query = Sequence[tuple[str, str]]
Kind = Literal["token", "string", "uri", "reference", "composite"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter. `paths` are the elements that it looks at; `canonical` its id in R4."""

    name: str
    kind: Kind
    paths: tuple[str, ...]
    canonical: str

    def declaration(self) -> dict[str, str]:
        """How the CapabilityStatement names it."""
        return {"name": self.name, "definition": HL7_CANONICAL + self.canonical, "type": self.kind}


def _shared(name: str, kind: Kind, *paths: str) -> Parameter:
    return Parameter(name, kind, paths or (name,), f"conformance-{name}")


def _own(type_: str, name: str, kind: Kind, *paths: str) -> Parameter:
    return Parameter(name, kind, paths or (name,), f"{type_}-{name}")


_CONTEXT: Final = "context-type-value"
_COMMON: Final = (
    Parameter("_id", "token", ("id",), "Resource-id"),
    _shared("url", "uri"),
    _shared("version", "token"),
    _shared("name", "string"),
    _shared("status", "token"),
    _shared("description", "string"),
    _shared("publisher", "string"),
    _shared("context", "token", "useContext.valueCodeableConcept.coding"),
    _shared("context-type", "token", "useContext.code"),
    _shared(_CONTEXT, "composite", "useContext"),
)
_TITLE: Final = _shared("title", "string")
_ELEMENTS: Final = ("snapshot.element", "differential.element")

PARAMETERS: Final[Mapping[str, Mapping[str, Parameter]]] = {
    type_: {parameter.name: parameter for parameter in (*_COMMON, *more)}
    for type_, more in {
        "SearchParameter": (
            _own("SearchParameter", "base", "token"),
            _own("SearchParameter", "code", "token"),
            _own("SearchParameter", "target", "token"),
            _own("SearchParameter", "type", "token"),
        ),
        "OperationDefinition": (
            _TITLE,
            _own("OperationDefinition", "base", "reference"),
            _own("OperationDefinition", "code", "token"),
            _own("OperationDefinition", "instance", "token"),
            _own("OperationDefinition", "kind", "token"),
            _own("OperationDefinition", "system", "token"),
            _own("OperationDefinition", "type", "token"),
        ),
        "StructureDefinition": (
            _TITLE,
            _own("StructureDefinition", "abstract", "token"),
            _own("StructureDefinition", "base", "reference", "baseDefinition"),
            _own("StructureDefinition", "derivation", "token"),
            _own("StructureDefinition", "ext-context", "token", "context.expression"),
            _own("StructureDefinition", "kind", "token"),
            _own("StructureDefinition", "path", "token", *(f"{part}.path" for part in _ELEMENTS)),
            _own("StructureDefinition", "type", "uri"),
            _own("StructureDefinition", "valueset", "reference", "snapshot.element.binding.valueSet"),
        ),
        "CodeSystem": (
            _TITLE,
            _own("CodeSystem", "code", "token", "concept.code"),
            _own("CodeSystem", "content-mode", "token", "content"),
            _own("CodeSystem", "language", "token", "concept.designation.language"),
            _own("CodeSystem", "system", "uri", "url"),
        ),
        "ValueSet": (
            _TITLE,
            _own("ValueSet", "code", "token", "compose.include.concept.code"),
            _own("ValueSet", "reference", "uri", "compose.include.system"),
        ),
    }.items()
}
"""By type and name."""

_MODIFIERS: Final[Mapping[Kind, frozenset[str]]] = {
    "token": frozenset({"missing", "not"}),
    "string": frozenset({"missing", "exact", "contains"}),
    "uri": frozenset({"missing", "below", "above"}),
    "reference": frozenset({"missing"}),
    "composite": frozenset({"missing"}),
}


_INCLUDES: Final = ("_include", "_revinclude")


def matches(resource: Resource, name: str, value: str) -> bool:
    """Whether a resource fulfils one `name[:modifier]=value`, whose alternatives commas separate.

    BadRequest for a parameter or a modifier that the type does not have.
    """
    parameter, modifier = _parameter(str(resource["resourceType"]), name)
    found = [item for path in parameter.paths for item in values_at(resource, path)]
    if modifier == "missing":
        return bool(found) is (value == "false")
    alternatives = value.split(",")
    if modifier == "not":
        return not any(_has_token(found, wanted) for wanted in alternatives)
    fits = _COMPARE[parameter.kind]
    return any(fits(found, wanted, modifier) for wanted in alternatives)


def unknown_names(type_: str, criteria: Query, keys: str) -> list[str]:
    """The unknown names of criteria and `_sort` keys that may be left out, each once. Criteria with `_`, but for includes,
    stay: FHIR gives them a meaning that finds less."""
    named = [name for name, _ in criteria if not name.startswith("_") or name.startswith(_INCLUDES)]
    named += [key.removeprefix("-") for key in keys.split(",") if key]
    return list(dict.fromkeys(name for name in named if name.partition(":")[0] not in PARAMETERS[type_]))


def check_criteria(type_: str, criteria: Query) -> None:
    """BadRequest for what the type cannot be searched by, even when it has no resource at all."""
    for name, value in criteria:
        _, modifier = _parameter(type_, name)
        if modifier == "missing" and value not in ("true", "false"):
            raise _refused(type_, name, "true ou false", "true or false")


def sorted_by(resources: Sequence[Resource], type_: str, keys: str) -> list[Resource]:
    """`_sort`: by the first value of each parameter, the last key first so that the first one counts most.

    BadRequest for what the type cannot be sorted by. Those without a value come last, whatever the direction.
    """
    ordered = list(resources)
    for key in reversed([key for key in keys.split(",") if key]):
        parameter, modifier = _parameter(type_, key.removeprefix("-"))
        if modifier or parameter.kind == "composite":
            raise _refused(type_, key, "un paramètre simple", "a simple parameter")

        def value(resource: Resource, parameter: Parameter = parameter) -> str | None:
            found = (item for path in parameter.paths for item in values_at(resource, path))
            return next((fold(str(item)) for item in found), None)

        having = [resource for resource in ordered if value(resource) is not None]
        having.sort(key=lambda resource: value(resource) or "", reverse=key.startswith("-"))
        ordered = having + [resource for resource in ordered if value(resource) is None]
    return ordered


def _parameter(type_: str, name: str) -> tuple[Parameter, str]:
    base, _, modifier = name.partition(":")
    parameter = PARAMETERS[type_].get(base)
    if parameter is None:
        known = ", ".join(PARAMETERS[type_])
        raise _refused(type_, name, known, known)
    if modifier and modifier not in _MODIFIERS[parameter.kind]:
        known = ", ".join(f":{word}" for word in sorted(_MODIFIERS[parameter.kind]))
        raise _refused(type_, name, known, known)
    return parameter, modifier


def _refused(type_: str, name: str, fr: str, en: str) -> BadRequest:
    return BadRequest(
        f"{type_} ne se cherche pas par « {name} » ; possible : {fr}.",
        f"{type_} is not searched by “{name}”; possible: {en}.",
        code="not-supported",
        expression=f"http.{name.partition(':')[0]}",
    )


def values_at(value: Any, path: str) -> Iterator[Any]:
    """The values of a dotted path, lists flattened."""
    first, _, rest = path.partition(".")
    below = value.get(first) if isinstance(value, dict) else None
    for item in below if isinstance(below, list) else [below]:
        if item is None:
            continue
        if rest:
            yield from values_at(item, rest)
        else:
            yield item


def _has_token(found: Sequence[Any], wanted: str) -> bool:
    """`code`, `system|code`, `system|` or `|code`; a code of an element without a system answers to any but one."""
    system, bar, code = wanted.rpartition("|")
    for item in found:
        if isinstance(item, dict):
            own_system, own_code = item.get("system", ""), item.get("code")
        else:
            own_system, own_code = "", str(item).lower() if isinstance(item, bool) else str(item)
        if code and own_code != code:
            continue
        if not bar or own_system == system or (system and not isinstance(item, dict)):
            return True
    return False


def _token(found: Sequence[Any], wanted: str, modifier: str) -> bool:
    return _has_token(found, wanted)


def _string(found: Sequence[Any], wanted: str, modifier: str) -> bool:
    if modifier == "exact":
        return wanted in found
    text = fold(wanted)
    folded = (fold(str(item)) for item in found)
    return any(text in item if modifier == "contains" else item.startswith(text) for item in folded)


def _uri(found: Sequence[Any], wanted: str, modifier: str) -> bool:
    if modifier == "below":
        return any(item == wanted or str(item).startswith(wanted.rstrip("/") + "/") for item in found)
    if modifier == "above":
        return any(item == wanted or wanted.startswith(str(item).rstrip("/") + "/") for item in found)
    return wanted in found


def _reference(found: Sequence[Any], wanted: str, modifier: str) -> bool:
    """A canonical, with its version or without."""
    return any(wanted in (item, str(item).partition("|")[0]) for item in found)


def _composite(found: Sequence[Any], wanted: str, modifier: str) -> bool:
    """`context-type$value`, both of one usage context."""
    kind, dollar, value = wanted.partition("$")
    return bool(dollar) and any(
        _has_token([context.get("code", {})], kind)
        and _has_token(list(values_at(context, "valueCodeableConcept.coding")), value)
        for context in found
    )


_COMPARE: Final[Mapping[Kind, Callable[[Sequence[Any], str, str], bool]]] = {
    "token": _token,
    "string": _string,
    "uri": _uri,
    "reference": _reference,
    "composite": _composite,
}
