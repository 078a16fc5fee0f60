"""The input of an operation, read leniently: the guides' own examples contradict their declared types.

`valueUri`, `valueUrl`, `valueString`, `valueId`, `valueCode` and `valueReference` are all understood where one of
them is meant; on GET, the parameters of the address are the input. What no text of an address can say (a Timing, a resource)
stands in the links that an operation gives as the part of a Parameters resource that says it (`part_text`).

An operation takes as many values as a search does (`Limits`), since it looks each of them up or searches by it: BadRequest
(too-costly) beyond.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.json import dumps, loads_sent
from creneau_shared.fhir.rest.exchange import FhirRequest, json_object
from creneau_shared.fhir.rest.operation import OperationCall
from creneau_shared.fhir.search.parse import check_at_most
from creneau_shared.fhir.search.request import Limits
from creneau_shared.fhir.search.terms import relative_reference
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.validation import check

_LIMITS = Limits()
_PARTS = ('{"resource":', '{"value')
"""How texts of `part_text` begin"""


GENERAL = frozenset({"_format", "_pretty", "_count", "_summary", "_elements"})
"""Parameters that every call may have"""


def known_names(definition: Resource, *others: str) -> frozenset[str]:
    """Returns the parameter names that an operation knows: its own, `others`, and those that every call may have."""
    own = {one["name"] for one in definition["parameter"] if one["use"] == "in"}
    return frozenset({*own, *others, *GENERAL})


class OperationInput:
    """The named values that an operation was called with; `base_url`: the base at which it was called."""

    def __init__(self, entries: Iterable[tuple[str, Any]], base_url: str = "") -> None:
        self._entries = list(entries)
        self._base_url = base_url

    @staticmethod
    def of(
        call: OperationCall,
        *,
        bare: str | None = None,
        also: Collection[str] = (),
        read_as: Callable[[Resource], Resource] = lambda resource: resource,
    ) -> OperationInput:
        """The input of a call; a body that is no Parameters is the value of the parameter `bare`. `read_as` turns each
        given resource that a guide writes against R4 into what R4 demands, before it is checked. BadRequest for a parameter
        that is given more often than the OperationDefinition allows, of which only the first would be heard, for more
        parameters than a search may have values, and for a name that an operation which changes something does not know:
        neither the definition nor `also` (other spellings) has it, and what is misspelt must not count as not said."""
        request = call.request
        entries: list[tuple[str, Any]] = [
            _entry(part) if (part := _part_in_link(request, name, text)) else (name, text)
            for name, text in request.query
        ]
        if request.method == "POST" and (request.body.strip() or request.parsed is not None):
            resource = request.resource()
            if resource.get("resourceType") == "Parameters":
                resource = _each_read_as(resource, read_as)
                check(resource, "Parameters")
                entries += [_entry(json_object(part)) for part in resource.get("parameter", ())]
            elif bare is not None:
                entries.append((bare, read_as(resource)))
            else:
                raise BadRequest(
                    "Cette opération attend une ressource Parameters.",
                    "This operation takes a Parameters resource.",
                    code="structure",
                )
        check_at_most("*", len(entries), _LIMITS.values_total_max, "paramètres", "parameters")
        given = OperationInput(entries, request.base_url)
        given.refuse_repeated(call.definition)
        if call.definition.get("affectsState"):
            given.refuse_unknown(known_names(call.definition, *also), f"${call.definition['code']}")
        return given

    @staticmethod
    def in_body(call: OperationCall) -> OperationInput:
        """The input that stands in the body alone: what is in an address would be kept in logs."""
        return OperationInput.of(replace(call, request=replace(call.request, query=[])))

    def refuse_repeated(self, definition: Resource) -> None:
        """BadRequest for a parameter that is given more often than an OperationDefinition allows (`max`)."""
        most = {p["name"]: int(p["max"]) for p in definition.get("parameter", ()) if _is_limited(p)}
        often = Counter(_plain(name) for name, _ in self._entries)
        for name in sorted(name for name in most if often[name] > most[name]):
            fr, en = (
                ("qu'une fois", "once")
                if most[name] == 1
                else (f"que {most[name]} fois", f"{most[name]} times")
            )
            raise BadRequest(
                f"« {name} » ne se donne {fr}.",
                f"“{name}” is given {en} at most.",
                code="structure",
                expression=parameter_named(name),
            )

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self._entries)

    def unknown(self, known: Collection[str]) -> list[str]:
        """The names that are not known; `name.identifier` and `name:identifier` are known with their name."""
        return sorted(name for name in self.names if name not in known and _plain(name) not in known)

    def refuse_unknown(self, known: Collection[str], operation: str) -> None:
        """BadRequest for a name that the operation does not know: the nearest known one is told."""
        for name in self.unknown(known):
            near = get_close_matches(name, known, 1)
            raise BadRequest(
                f"Le paramètre « {name} » n'est pas connu de {operation}."
                + "".join(f" Vouliez-vous dire « {one} » ?" for one in near),
                f"{operation} does not know the parameter “{name}”."
                + "".join(f" Did you mean “{one}”?" for one in near),
                code="not-supported",
                expression=f"http.{name}",
                details_code="unknown-parameter",
            )

    def all(self, *names: str) -> list[Any]:
        """The values under any of these names, in the order given."""
        return [value for name, value in self._entries if name in names]

    def first(self, *names: str) -> Any | None:
        return next(iter(self.all(*names)), None)

    def only(self, *names: str) -> Any | None:
        """The value under these names, which are spellings of one parameter; None without one. BadRequest if they say
        different things, of which only the first would be heard."""
        said = self.all(*names)
        if any(one != said[0] for one in said):
            raise BadRequest(
                f"« {names[0]} » ne se donne qu'une fois, sous un seul de ses noms.",
                f"“{names[0]}” is given once at most, under one of its names.",
                code="structure",
                expression=f"Parameters.parameter.where(name='{names[0]}')",
            )
        return next(iter(said), None)

    def flag(self, *names: str) -> bool | None:
        """The first value under any of these names, `true` or `false`, in letters of any case; None without one.
        BadRequest for anything else, which would otherwise count as no although yes may be meant."""
        name, value = next((entry for entry in self._entries if entry[0] in names), ("", None))
        if value is None or value == "":
            return None
        said = str(value).strip().lower()
        if said not in ("true", "false"):
            raise BadRequest(
                f"« {name} » attend true ou false ; reçu « {value} ».",
                f"“{name}” takes true or false; got “{value}”.",
                code="value",
                expression=f"http.{name}",
            )
        return said == "true"

    def texts(self, *names: str) -> list[str]:
        """Values that are words: a GET may join several with commas."""
        found: list[str] = []
        for value in self.all(*names):
            if isinstance(value, str):
                found += [part.strip() for part in value.split(",") if part.strip()]
        _check_few(names[0], len(found))
        return found

    def references(self, *names: str) -> list[Resource]:
        """Values that designate a resource, as FHIR References: literal, those within this base as `Type/id`, or logical
        (identifier only). An Identifier alone is understood, too, and a search's spellings: `system|value`, and
        `name.identifier` or `name:identifier` with any value."""
        return [reference for some in self.alternatives(*names) for reference in some]

    def alternatives(self, *names: str) -> list[list[Resource]]:
        """As `references`, grouped by the value that gives them (joined by commas)."""
        found = [self._designated(name, value) for name, value in self._entries if _plain(name) in names]
        _check_few(names[0], sum(map(len, found)))
        return [some for some in found if some]

    async def naming(
        self, names: Collection[str], known_as: Callable[[str, Resource], Awaitable[Resource]]
    ) -> OperationInput:
        """The input with each Reference under these names replaced by the result of `known_as` (name, Reference); resources
        stay as they are."""
        designated = {
            place: self._designated(name, value)
            for place, (name, value) in enumerate(self._entries)
            if _plain(name) in names and "resourceType" not in json_object(value)
        }
        _check_few("*", sum(map(len, designated.values())))
        entries: list[tuple[str, Any]] = []
        for place, (name, value) in enumerate(self._entries):
            if place in designated:
                entries += [(_plain(name), await known_as(_plain(name), one)) for one in designated[place]]
            else:
                entries.append((name, value))
        return OperationInput(entries, self._base_url)

    def _designated(self, name: str, value: Any) -> list[Resource]:
        """The References in one value: one, or several joined by commas; a resource is none."""
        if isinstance(value, dict):
            return [] if "resourceType" in value else [self._as_reference(value)]
        if not isinstance(value, str):
            return []
        parts = [part.strip() for part in value.split(",") if part.strip()]
        return [self._as_reference(_reference(part, _plain(name) != name)) for part in parts]

    def _as_reference(self, value: Resource) -> Resource:
        literal = value.get("reference")
        if isinstance(literal, str):
            return {**value, "reference": relative_reference(literal, self._base_url)}
        return {"identifier": value} if isinstance(value.get("value"), str) else value

    def codes(self, *names: str) -> list[str]:
        """Values that are codes, as search tokens `system|code` or `code`; a text may join several with commas."""
        found: list[str] = []
        for value in self.all(*names):
            if isinstance(value, str):
                found.append(value)
                continue
            for coding in json_object(value).get("coding", [value]):
                system, code = json_object(coding).get("system"), json_object(coding).get("code")
                if isinstance(code, str) and code:
                    found.append(f"{system}|{code}" if system else str(code))
        _check_few(names[0], sum(text.count(",") + 1 for text in found))
        return found

    def resource(self, resource_type: str, *names: str) -> Resource | None:
        """The first value that is an object; BadRequest unless it is a resource of this type."""
        return next(iter(self.resources(resource_type, *names)), None)

    def resources(self, resource_type: str, *names: str) -> list[Resource]:
        """The values that are objects, in the order given; BadRequest unless all are resources of this type."""
        found = [value for value in self.all(*names) if isinstance(value, dict)]
        if any(value.get("resourceType") != resource_type for value in found):
            raise BadRequest(
                f"Une ressource {resource_type} est attendue ici.",
                f"A {resource_type} resource is expected here.",
                code="structure",
                expression="Parameters.parameter",
            )
        return found


def parameter_named(name: str) -> str:
    """The FHIRPath of a parameter of an operation, for the `expression` of an issue about it."""
    return f"Parameters.parameter.where(name='{name}')"


def part_text(**value: Any) -> str:
    """A value as a link says it that no text says: `valueTiming={…}`, `resource={…}`. The link must be sealed."""
    return dumps(value).decode()


def _part_in_link(request: FhirRequest, name: str, text: str) -> Resource | None:
    """The part of a Parameters resource that a value in one of this service's sealed links says (`part_text`); None for any
    other text. It is checked as one that is sent, because an address may mix what is sealed with what is not."""
    if not (request.sealed and text.startswith(_PARTS)):
        return None
    part = {"name": name, **loads_sent(text.encode())}
    check({"resourceType": "Parameters", "parameter": [part]}, "Parameters")
    return part


def _is_limited(parameter: Resource) -> bool:
    """Whether a parameter of an OperationDefinition is given so often at most, as a number says (not `*`)."""
    return parameter["use"] == "in" and str(parameter["max"]).isdigit()


def _check_few(name: str, values: int) -> None:
    """BadRequest for more values than one parameter of a search may have."""
    check_at_most(name, values, _LIMITS.values_max, "valeurs", "values")


def _plain(name: str) -> str:
    """The name of a parameter without the suffix that says that its value is an identifier."""
    return name.removesuffix(".identifier").removesuffix(":identifier")


def _reference(text: str, by_identifier: bool) -> Resource:
    """The Reference that a search writes as an id, or as `system|value`."""
    system, bar, value = text.rpartition("|")
    if not bar and not by_identifier:
        return {"reference": text}
    return {"identifier": {"system": system, "value": value} if system else {"value": value}}


def _each_read_as(parameters: Resource, read_as: Callable[[Resource], Resource]) -> Resource:
    parts = parameters.get("parameter")
    if not isinstance(parts, list):
        return parameters  # to be refused by the check
    read = [
        {**part, "resource": read_as(part["resource"])}
        if isinstance(part, dict) and isinstance(part.get("resource"), dict)
        else part
        for part in parts
    ]
    return {**parameters, "parameter": read}


def _entry(part: Resource) -> tuple[str, Any]:
    value = part.get("resource")
    if value is None:
        value = next((v for key, v in part.items() if key.startswith("value")), None)
    return str(part.get("name", "")), value
