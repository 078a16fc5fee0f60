"""FHIR's terminology operations: their OperationDefinitions, and the reading of a call's parameters.

`ValueSet/$expand`, `ValueSet/$validate-code`, `CodeSystem/$lookup`, `CodeSystem/$validate-code` and
`CodeSystem/$subsumes`, at the level of the type and, where R4 has it, of an instance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from creneau_shared.errors import BadRequest, NotFound
from creneau_shared.fhir.datatypes import whole_number
from creneau_shared.fhir.outcome import Language
from creneau_shared.fhir.terminology import questions
from creneau_shared.fhir.terminology.catalogue import catalogue, value_set_catalogue
from creneau_shared.fhir.terminology.expansion import sources
from creneau_shared.fhir.terminology.model import CodeSystem, ValueSet
from creneau_shared.fhir.terminology.questions import Coding

Resource = dict[str, Any]
Entries = Sequence[tuple[str, Any]]
Published = TypeVar("Published", CodeSystem, ValueSet)

HL7: Final = "http://hl7.org/fhir/OperationDefinition/"
IGNORED: Final = frozenset({"_format", "_pretty"})
CODE_MAX: Final = 1_000_000
"""largest offset or count that is read"""
TEXT_MAX: Final = 1_000
"""longest text of a question, characters: codes, labels and canonicals are shorter"""
ENTRIES_MAX: Final = 256
"""most parameters of a question"""


@dataclass(frozen=True)
class Call:
    """One invocation. `entries`: the named values of the address or of the Parameters in the body."""

    type: str
    id: str | None
    entries: Entries
    language: Language
    now: datetime

    def first(self, name: str) -> Any | None:
        """The first value of a parameter."""
        return next((value for key, value in self.entries if key == name), None)

    def text(self, name: str) -> str | None:
        """A string value; BadRequest when the value is no string or too long."""
        value = self.first(name)
        return _text(name, value) or None if value is not None else None

    def texts(self, name: str) -> list[str]:
        """All string values of a parameter that repeats; BadRequest when one is no string or too long."""
        return [_text(name, value) for key, value in self.entries if key == name]

    def required(self, name: str) -> str:
        """As `text`; BadRequest when the parameter is missing."""
        value = self.text(name)
        if value is None:
            raise BadRequest(
                f"Le paramètre {name} est obligatoire.",
                f"The parameter {name} is required.",
                code="required",
                expression=name,
            )
        return value

    def number(self, name: str) -> int | None:
        """A whole number from 0."""
        value = self.first(name)
        if value is None or value == "":
            return None
        number = whole_number(value)
        if number is None or number > CODE_MAX:
            raise _wrong(name, "un entier à partir de 0", "a whole number from 0")
        return number

    def flag(self, name: str) -> bool:
        """A boolean; False when the parameter is missing."""
        value = self.first(name)
        if value not in (None, True, False, "true", "false"):
            raise _wrong(name, "true ou false", "true or false")
        return value in (True, "true")

    def shown_in(self) -> Language:
        """The language of the labels: `displayLanguage`, or that of the request."""
        said = self.text("displayLanguage")
        return self.language if said is None else "en" if said.startswith("en") else "fr"

    def codings(self) -> list[Coding]:
        """The codings of the question: `code` with `system`, a `coding`, or a `codeableConcept`."""
        concept, coding, code = self.first("codeableConcept"), self.first("coding"), self.text("code")
        if isinstance(concept, dict):
            found = [_coding(part) for part in concept.get("coding", ())]
        elif coding is not None:
            found = [_coding(coding)]
        elif code is not None:
            found = [Coding(self.text("system"), code, self.text("display"))]
        else:
            found = []
        if not found:
            raise BadRequest(
                "Dites le code : code et system, coding, ou codeableConcept.",
                "Say the code: code and system, coding, or codeableConcept.",
                code="required",
                expression="code",
            )
        return found


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "un texte", "a text")
    if len(value) > TEXT_MAX:
        raise _too_costly(name, f"{TEXT_MAX} caractères", f"{TEXT_MAX} characters")
    return value


def _coding(value: Any) -> Coding:
    """A Coding, from JSON or from `system|code` in a GET."""
    if isinstance(value, str):
        system, _, code = value.rpartition("|")
        return Coding(system or None, code)
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        raise _wrong("coding", "un Coding avec son code", "a Coding with its code")
    return Coding(value.get("system"), value["code"], value.get("display"))


def _wrong(name: str, fr: str, en: str) -> BadRequest:
    return BadRequest(
        f"Le paramètre {name} attend {fr}.",
        f"The parameter {name} takes {en}.",
        code="value",
        expression=name,
    )


def _too_costly(name: str, fr: str, en: str) -> BadRequest:
    return BadRequest(
        f"Le paramètre {name} attend au plus {fr}.",
        f"The parameter {name} takes {en} at most.",
        code="too-costly",
        expression=name,
    )


def _value_set(call: Call) -> ValueSet:
    """The value set of the instance, or of `url`; NotFound when another version is requested than is held."""
    if call.id is not None:
        found = next((v for v in value_set_catalogue().values() if v.id == call.id), None)
        if found is None:
            raise _unknown(call)
    else:
        url = call.required("url")
        found = _held(questions.value_set(url), url.partition("|")[2], "url")
    return _held(found, call.text("valueSetVersion"), "valueSetVersion")


def _code_system(call: Call, url: str | None, name: str = "system") -> CodeSystem:
    """The code system of the instance, or of a URL; BadRequest when neither is given, NotFound when another version is
    requested than is held."""
    if call.id is not None:
        found = next((s for s in catalogue().values() if s.id == call.id), None)
        if found is None:
            raise _unknown(call)
    else:
        url = url or call.required("system")
        found = _held(questions.code_system(url), url.partition("|")[2], name)
    return _held(found, call.text("version"), "version")


def _held(found: Published, asked: str | None, name: str) -> Published:
    """What is held, in one version; NotFound when another version is requested by the parameter `name`."""
    if asked and asked != found.version:
        details = "unknown-code-system" if isinstance(found, CodeSystem) else "unknown-value-set"
        raise _another_version(found.url, asked, found.version, name, details)
    return found


def _another_version(url: str, asked: str, held: str | None, name: str, details: str) -> NotFound:
    return NotFound(
        f"{url} n'est pas tenu ici dans la version {asked}, mais dans celle-ci : {held or '–'}.",
        f"{url} is not held here in version {asked}, but in this one: {held or '–'}.",
        expression=name,
        details_code=details,
    )


def _require_systems(call: Call, of: ValueSet) -> None:
    """NotFound when a code system of the value set is requested in another version than is held."""
    held = dict(canonical.partition("|")[::2] for canonical in sources(of.url)[0])
    for name in _SYSTEM_VERSIONS:
        for canonical in call.texts(name):
            url, _, asked = canonical.partition("|")
            if asked and asked != held.get(url, asked):
                raise _another_version(url, asked, held[url], name, "unknown-code-system")


def _unknown(call: Call) -> NotFound:
    return NotFound(f"{call.type}/{call.id} n'existe pas.", f"{call.type}/{call.id} does not exist.")


def _expand(call: Call) -> Resource:
    of = _value_set(call)
    _require_systems(call, of)
    return questions.expand(
        of,
        now=call.now,
        text=call.text("filter") or "",
        offset=call.number("offset") or 0,
        count=call.number("count"),
        active_only=call.flag("activeOnly"),
        language=call.shown_in(),
        definition=call.flag("includeDefinition"),
        without=call.texts("exclude-system"),
    )


def _lookup(call: Call) -> Resource:
    coding = call.codings()[0]
    properties = {str(value) for name, value in call.entries if name == "property"}
    system = _code_system(call, coding.system)
    return questions.lookup(system, coding.code, properties, call.shown_in())


def _validate_in_system(call: Call) -> Resource:
    codings = call.codings()
    call.flag("abstract")
    url = call.text("url")
    system = _code_system(call, url or codings[0].system, "url" if url else "system")
    own = next((coding for coding in codings if coding.system in (None, system.url)), None)
    if own is None:
        raise BadRequest(
            f"Aucun des codes donnés n'est de {system.url}.",
            f"None of the codes given is of {system.url}.",
            expression="coding",
        )
    return questions.validate_in_system(system, own, call.shown_in())


def _validate_in_set(call: Call) -> Resource:
    codings = call.codings()
    if call.first("code") is not None:
        system = call.required("system")
        if call.text("systemVersion") is not None:
            _held(questions.code_system(system), call.text("systemVersion"), "systemVersion")
    call.flag("abstract")
    return questions.validate_in_set(_value_set(call), codings, call.shown_in())


def _subsumes(call: Call) -> Resource:
    a, b = call.first("codingA"), call.first("codingB")
    if a is not None and b is not None:
        first, second = _coding(a), _coding(b)
        if first.system != second.system:
            raise BadRequest(
                "codingA et codingB doivent être du même système.",
                "codingA and codingB must be of the same system.",
                expression="codingB",
            )
        system = _code_system(call, first.system)
        return questions.subsumes(system, first.code, second.code)
    system = _code_system(call, call.text("system"))
    return questions.subsumes(system, call.required("codeA"), call.required("codeB"))


@dataclass(frozen=True)
class TerminologyOperation:
    """One operation: its OperationDefinition and the function that answers it."""

    definition: Resource
    ask: Callable[[Call], Resource]

    def answer(self, call: Call) -> Resource:
        """The resource that answers; BadRequest for a parameter that the definition does not have, and for too many."""
        if len(call.entries) > ENTRIES_MAX:
            raise _too_costly("parameter", f"{ENTRIES_MAX} valeurs", f"{ENTRIES_MAX} values")
        known = {part["name"] for part in self.definition["parameter"] if part["use"] == "in"}
        for name, _ in call.entries:
            if name not in known and name not in IGNORED:
                raise BadRequest(
                    f"Paramètre inconnu : {name}. Paramètres possibles : {', '.join(sorted(known))}.",
                    f"Unknown parameter: {name}. Possible parameters: {', '.join(sorted(known))}.",
                    code="not-supported",
                    expression=name,
                )
        return self.ask(call)


def _in(*names_and_types: str, many: Sequence[str] = ()) -> list[Resource]:
    """Input parameters from `name:type`."""
    pairs = (text.split(":") for text in names_and_types)
    return [
        {"name": name, "use": "in", "min": 0, "max": "*" if name in many else "1", "type": type_}
        for name, type_ in pairs
    ]


def _out(name: str, type_: str, minimum: int, maximum: str = "1") -> Resource:
    return {"name": name, "use": "out", "min": minimum, "max": maximum, "type": type_}


def _parts(name: str, *parts: Resource) -> Resource:
    return {"name": name, "use": "out", "min": 0, "max": "*", "part": list(parts)}


def _definition(
    type_: str, code: str, title: str, inputs: list[Resource], outputs: list[Resource], *, instance: bool
) -> Resource:
    return {
        "resourceType": "OperationDefinition",
        "id": f"{type_}-{code}",
        "url": f"{HL7}{type_}-{code}",
        "version": "4.0.1",
        "name": "".join(word.title() for word in code.split("-")),
        "title": title,
        "status": "active",
        "kind": "operation",
        "affectsState": False,
        "code": code,
        "resource": [type_],
        "system": False,
        "type": True,
        "instance": instance,
        "parameter": [*inputs, *outputs],
    }


_ASKED = ("code:code", "system:uri", "display:string", "coding:Coding", "codeableConcept:CodeableConcept")
_OF_VERDICT = ("displayLanguage:code", "abstract:boolean")
_WITHOUT_EFFECT = ("date:dateTime",)
"""a parameter of R4 that changes no answer here. Nor do `abstract` and, of `$expand`, `designation`,
`includeDesignations`, `excludeNested` and similar: one version of each system and value set is held, flat, without
abstract codes, with one label for each code"""
_SYSTEM_VERSIONS = ("system-version", "check-system-version", "force-system-version")
"""parameters of `$expand` that name the version of a code system (`system|version`)"""
_VERDICT = [_out("result", "boolean", 1), _out("message", "string", 0), _out("display", "string", 0)]

_ALL: Final = (
    TerminologyOperation(
        _definition(
            "ValueSet",
            "expand",
            "Codes d'un jeu de valeurs / Codes of a value set",
            _in(
                "url:uri",
                "valueSetVersion:string",
                "filter:string",
                "offset:integer",
                "count:integer",
                "activeOnly:boolean",
                "displayLanguage:code",
                "includeDefinition:boolean",
                *_WITHOUT_EFFECT,
                "includeDesignations:boolean",
                "designation:string",
                "excludeNested:boolean",
                "excludeNotForUI:boolean",
                "excludePostCoordinated:boolean",
                "exclude-system:canonical",
                *(f"{name}:canonical" for name in _SYSTEM_VERSIONS),
                many=("designation", "exclude-system", *_SYSTEM_VERSIONS),
            ),
            [_out("return", "ValueSet", 1)],
            instance=True,
        ),
        _expand,
    ),
    TerminologyOperation(
        _definition(
            "ValueSet",
            "validate-code",
            "Code d'un jeu de valeurs ? / Code of a value set?",
            _in(
                "url:uri",
                "valueSetVersion:string",
                *_ASKED,
                "systemVersion:string",
                *_OF_VERDICT,
                *_WITHOUT_EFFECT,
            ),
            _VERDICT,
            instance=True,
        ),
        _validate_in_set,
    ),
    TerminologyOperation(
        _definition(
            "CodeSystem",
            "lookup",
            "Ce qui est su d'un code / What is known of a code",
            _in(
                "code:code",
                "system:uri",
                "version:string",
                "coding:Coding",
                "displayLanguage:code",
                "property:code",
                *_WITHOUT_EFFECT,
                many=("property",),
            ),
            [
                _out("name", "string", 1),
                _out("version", "string", 0),
                _out("display", "string", 1),
                _parts("designation", _out("language", "code", 0), _out("value", "string", 1)),
                _parts("property", _out("code", "code", 1), _out("value", "Element", 0)),
            ],
            instance=False,
        ),
        _lookup,
    ),
    TerminologyOperation(
        _definition(
            "CodeSystem",
            "validate-code",
            "Code d'un système ? / Code of a system?",
            _in("url:uri", *_ASKED, "version:string", *_OF_VERDICT, *_WITHOUT_EFFECT),
            _VERDICT,
            instance=True,
        ),
        _validate_in_system,
    ),
    TerminologyOperation(
        _definition(
            "CodeSystem",
            "subsumes",
            "Un code en comprend-il un autre ? / Does one code contain another?",
            _in(
                "codeA:code", "codeB:code", "system:uri", "version:string", "codingA:Coding", "codingB:Coding"
            ),
            [_out("outcome", "code", 1)],
            instance=True,
        ),
        _subsumes,
    ),
)

OPERATIONS: Final[Mapping[tuple[str, str], TerminologyOperation]] = {
    (operation.definition["resource"][0], operation.definition["code"]): operation for operation in _ALL
}
"""(resource type, code) → operation."""
