"""Search over the conformance resources, which are few and in memory: R4's parameters of each type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.parameters import HL7_CANONICAL
from creneau_shared.fhir.search.parse import check_at_most, refuse
from creneau_shared.fhir.search.request import Limits
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.spelling import fold

Query = Sequence[tuple[str, str]]
Kind = Literal["token", "string", "uri", "reference", "composite"]
Criterion = Callable[[Resource], bool]
Fits = Callable[[Sequence[Any]], bool]
"""Whether the values that a resource has for a parameter fulfil it"""

LIMITS: Final = Limits(parameters_max=16)
"""Fewer parameters than the services take: here each goes through all the codes of all code systems."""
NAME_MAX: Final = 512
"""characters of a parameter's name"""


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


def check_limits(query: Query) -> None:
    """BadRequest for a search that asks for more than the services would take of one."""
    check_at_most("*", len(query), LIMITS.parameters_max, "paramètres", "parameters")
    total = 0
    for name, value in query:
        if len(value) > LIMITS.value_characters_max or len(name) > NAME_MAX:
            refuse(name[:64], "Valeur trop longue", "Value too long", "too-long")
        values = value.count(",") + 1
        if name == "_sort":
            check_at_most(name, values, LIMITS.sort_keys_max, "clés de tri", "sort keys")
        else:
            total += values
            check_at_most(name, values, LIMITS.values_max, "valeurs", "values")
    check_at_most("*", total, LIMITS.values_total_max, "valeurs en tout", "values in all")


def criterion(type_: str, name: str, value: str) -> Criterion:
    """Whether a resource of the type fulfils one `name[:modifier]=value`, whose alternatives commas separate.

    BadRequest for a parameter or a modifier that the type does not have, even when it has no resource at all.
    """
    parameter, modifier = _parameter(type_, name)
    fits = _missing(type_, name, value) if modifier == "missing" else _fits(parameter.kind, value, modifier)

    def fulfils(resource: Resource) -> bool:
        return fits([item for path in parameter.paths for item in values_at(resource, path)])

    return fulfils


def _missing(type_: str, name: str, value: str) -> Fits:
    if value not in ("true", "false"):
        raise _refused(type_, name, "true ou false", "true or false")
    return lambda found: bool(found) is (value == "false")


def _fits(kind: Kind, value: str, modifier: str) -> Fits:
    fits = _COMPARE[kind](value.split(","), modifier)
    return (lambda found: not fits(found)) if modifier == "not" else fits


def unknown_names(type_: str, criteria: Query, keys: str) -> list[str]:
    """The unknown names of criteria and `_sort` keys that may be left out, each once. Criteria with `_`, but for includes,
    stay: FHIR gives them a meaning that finds less."""
    named = [name for name, _ in criteria if not name.startswith("_") or name.startswith(_INCLUDES)]
    named += [key.removeprefix("-") for key in keys.split(",") if key]
    return list(dict.fromkeys(name for name in named if name.partition(":")[0] not in PARAMETERS[type_]))


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


def _token(alternatives: Sequence[str], modifier: str = "") -> Fits:
    """`code`, `system|code`, `system|` or `|code`; a code of an element without a system answers to any
    system and to none."""
    wanted: dict[str, set[str | None]] = {}
    for alternative in alternatives:
        system, bar, code = alternative.rpartition("|")
        wanted.setdefault(code, set()).add(system if bar else None)

    def fits(item: Any) -> bool:
        if isinstance(item, dict):
            system, code = item.get("system", ""), item.get("code", "")
        else:
            system, code = "", str(item).lower() if isinstance(item, bool) else str(item)
        return any(
            not isinstance(item, dict) or None in systems or system in systems
            for systems in (wanted.get(code), wanted.get(""))
            if systems
        )

    return lambda found: any(map(fits, found))


def _string(alternatives: Sequence[str], modifier: str) -> Fits:
    if modifier == "exact":
        exact = frozenset(alternatives)
        return lambda found: not exact.isdisjoint(found)
    wanted = tuple(dict.fromkeys(map(fold, alternatives)))

    def fits(item: str) -> bool:
        return any(text in item for text in wanted) if modifier == "contains" else item.startswith(wanted)

    return lambda found: any(fits(fold(str(item))) for item in found)


def _uri(alternatives: Sequence[str], modifier: str) -> Fits:
    wanted = frozenset(alternatives)
    below = tuple(uri.rstrip("/") + "/" for uri in wanted)

    def fits(item: Any) -> bool:
        if item in wanted:
            return True
        if modifier == "below":
            return str(item).startswith(below)
        above = str(item).rstrip("/") + "/"
        return modifier == "above" and any(uri.startswith(above) for uri in wanted)

    return lambda found: any(map(fits, found))


def _reference(alternatives: Sequence[str], modifier: str) -> Fits:
    """A canonical, with its version or without."""
    wanted = frozenset(alternatives)
    return lambda found: any(not wanted.isdisjoint((item, str(item).partition("|")[0])) for item in found)


def _composite(alternatives: Sequence[str], modifier: str) -> Fits:
    """`context-type$value`, both of one usage context."""
    pairs = [
        (_token([kind]), _token([value]))
        for kind, dollar, value in (wanted.partition("$") for wanted in alternatives)
        if dollar
    ]
    return lambda found: any(
        kind([context.get("code", {})]) and value(list(values_at(context, "valueCodeableConcept.coding")))
        for context in found
        for kind, value in pairs
    )


_COMPARE: Final[Mapping[Kind, Callable[[Sequence[str], str], Fits]]] = {
    "token": _token,
    "string": _string,
    "uri": _uri,
    "reference": _reference,
    "composite": _composite,
}
"""From the alternatives and the modifier: whether one of the values that a resource has is one of them. The alternatives are
read once, not for every value."""
