"""Answers FHIR's terminology operations from the catalogue (R4 terminology-service.html).

Each function takes plain values and returns the resource that answers; raises NotFound for unknown systems, sets, codes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from creneau_shared.errors import NotFound
from creneau_shared.fhir.outcome import Language
from creneau_shared.fhir.terminology.catalogue import catalogue, value_set_catalogue
from creneau_shared.fhir.terminology.expansion import Member, expansion, sources
from creneau_shared.fhir.terminology.model import CodeSystem, Concept, ValueSet
from creneau_shared.fhir.terminology.resources import value_set_resource
from creneau_shared.spelling import fold

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Coding:
    """A code in a question. `system` None: the client does not name it."""

    system: str | None
    code: str
    display: str | None = None


def code_system(url: str) -> CodeSystem:
    """The code system of a URL, whatever its `|version`; NotFound."""
    found = catalogue().get(url.partition("|")[0])
    if found is None:
        raise NotFound(
            f"Le système de codes {url} n'est pas connu ici.",
            f"The code system {url} is not known here.",
            expression="system",
            details_code="unknown-code-system",
        )
    return found


def value_set(url: str) -> ValueSet:
    """The value set of a canonical URL, whatever its `|version`; NotFound."""
    found = value_set_catalogue().get(url.partition("|")[0])
    if found is None:
        raise NotFound(
            f"Le jeu de valeurs {url} n'est pas connu ici.",
            f"The value set {url} is not known here.",
            expression="url",
            details_code="unknown-value-set",
        )
    return found


def concept_of(system: CodeSystem, code: str) -> Concept:
    """One concept of a code system; NotFound."""
    found = system.concepts.get(code)
    if found is None:
        raise NotFound(
            f"Le code « {code} » n'est pas de {system.url}.",
            f"The code “{code}” is not of {system.url}.",
            expression="code",
            details_code="unknown-code",
        )
    return found


def expand(
    of: ValueSet,
    *,
    now: datetime,
    text: str = "",
    offset: int = 0,
    count: int | None = None,
    active_only: bool = False,
    language: Language = "fr",
    definition: bool = False,
    without: Sequence[str] = (),
) -> Resource:
    """`$expand`: the ValueSet with the codes that match `text`, `count` of them from `offset`.

    A code is found when each word of `text` begins a word of its label (accents and case do not count), or when
    the code itself begins with `text`. `definition`: includes the composition of the value set. `without`: code systems
    whose codes are left out, as canonicals; one in another version than is used leaves out nothing.
    """
    systems, value_sets = sources(of.url)
    left_out = {used.partition("|")[0] for used in systems if {used, used.partition("|")[0]} & set(without)}
    members = [member for member in expansion(of.url) or () if member.system not in left_out]
    finds = _finder(text)
    kept = [member for member in members if finds(member) and not (active_only and member.closed)]
    page = kept[offset:] if count is None else kept[offset : offset + count]
    asked: list[Resource] = []
    paging: Resource = {}
    if offset or count is not None:
        # Only an expansion that is paged has an offset (R4 ValueSet.expansion.offset).
        asked.append({"name": "offset", "valueInteger": offset})
        paging = {"offset": offset}
    if text:
        asked.append({"name": "filter", "valueString": text})
    if count is not None:
        asked.append({"name": "count", "valueInteger": count})
    if active_only:
        asked.append({"name": "activeOnly", "valueBoolean": True})
    if definition:
        asked.append({"name": "includeDefinition", "valueBoolean": True})
    asked += [{"name": "exclude-system", "valueUri": canonical} for canonical in without]
    asked += [{"name": "used-codesystem", "valueUri": canonical} for canonical in systems]
    asked += [{"name": "used-valueset", "valueUri": canonical} for canonical in value_sets]
    content = "|".join((of.url, text, str(active_only), *without))
    expanded: Resource = {
        "identifier": f"urn:uuid:{uuid5(NAMESPACE_URL, content)}",
        "timestamp": now.isoformat(timespec="seconds"),
        "total": len(kept),
        **paging,
    }
    if asked:
        expanded["parameter"] = asked
    if page:
        expanded["contains"] = [_contained(member, language) for member in page]
    whole = value_set_resource(of)
    resource = {name: part for name, part in whole.items() if definition or name != "compose"}
    return resource | {"expansion": expanded}


def _finder(text: str) -> Callable[[Member], bool]:
    """Whether a member is found by `text`, which is read once."""
    wanted = frozenset(fold(text).split())
    code = text.strip().casefold()

    def finds(member: Member) -> bool:
        if not wanted or member.code.casefold().startswith(code):
            return True
        labels = (member.display, label(member.system, member.code, "en") or "")
        return any(
            all(any(word.startswith(part) for word in words) for part in wanted)
            for words in (fold(said).split() for said in labels)
        )

    return finds


def _contained(member: Member, language: Language) -> Resource:
    entry: Resource = {"system": member.system}
    if member.closed:
        entry["inactive"] = True
    return entry | {
        "code": member.code,
        "display": label(member.system, member.code, language) or member.display,
    }


def label(system: str, code: str, language: Language) -> str | None:
    """The label of a code in a language if known in it, else the published label."""
    held = catalogue().get(system)
    concept = held.concepts.get(code) if held else None
    if concept is None:
        return None
    return concept.english if language == "en" and concept.english else concept.display


def lookup(system: CodeSystem, code: str, properties: Collection[str], language: Language) -> Resource:
    """`$lookup`: label and properties of a code; `properties` limits which properties are returned."""
    concept = concept_of(system, code)
    parts: list[Resource] = [{"name": "name", "valueString": system.title or system.name}]
    if system.version:
        parts.append({"name": "version", "valueString": system.version})
    shown = concept.english if language == "en" and concept.english else concept.display
    parts.append({"name": "display", "valueString": shown})
    if concept.english:
        for said, text in (("fr", concept.display), ("en", concept.english)):
            designation = [{"name": "language", "valueCode": said}, {"name": "value", "valueString": text}]
            parts.append({"name": "designation", "part": designation})
    told: list[tuple[str, Resource]] = [("parent", {"valueCode": parent}) for parent in concept.parents]
    told += [("child", {"valueCode": child}) for child in system.children.get(code, ())]
    told.append(("inactive", {"valueBoolean": concept.closed}))
    for name, value in told:
        if not properties or name in properties:
            parts.append(
                {
                    "name": "property",
                    "part": [{"name": "code", "valueCode": name}, {"name": "value", **value}],
                }
            )
    return parameters(parts)


def validate_in_system(system: CodeSystem, coding: Coding, language: Language) -> Resource:
    """`CodeSystem/$validate-code`: whether the code belongs to the system, and the label to the code."""
    concept = system.concepts.get(coding.code)
    if concept is None:
        if system.content == "fragment":
            return _verdict(
                False,
                f"Le code « {coding.code} » n'est pas de la partie de {system.url} qui est tenue ici.",
                f"The code “{coding.code}” is not of the part of {system.url} that is held here.",
                language,
            )
        return _not_in(coding.code, system.url, language)
    return _labelled(coding, concept.display, concept.english, language)


def validate_in_set(of: ValueSet, codings: Iterable[Coding], language: Language) -> Resource:
    """`ValueSet/$validate-code`: whether one of the codings is in the value set."""
    codes = {(member.system, member.code): member for member in expansion(of.url) or ()}
    asked = list(codings)
    for coding in asked:
        found = codes.get((coding.system or "", coding.code))
        if found is not None:
            english = label(found.system, found.code, "en")
            return _labelled(coding, found.display, english, language)
    return _not_in(", ".join(coding.code for coding in asked), of.url, language)


def subsumes(system: CodeSystem, code_a: str, code_b: str) -> Resource:
    """`$subsumes`: the is-a relation between two codes."""
    a, b = concept_of(system, code_a).code, concept_of(system, code_b).code
    if a == b:
        outcome = "equivalent"
    elif b in system.closure(a, upwards=False):
        outcome = "subsumes"
    else:
        outcome = "subsumed-by" if a in system.closure(b, upwards=False) else "not-subsumed"
    return parameters([{"name": "outcome", "valueCode": outcome}])


def _labelled(coding: Coding, display: str, english: str | None, language: Language) -> Resource:
    shown = english if language == "en" and english else display
    labels = {fold(display), fold(english or display)}
    if coding.display is None or fold(coding.display) in labels:
        return parameters(
            [{"name": "result", "valueBoolean": True}, {"name": "display", "valueString": shown}]
        )
    return _verdict(
        False,
        f"Le code « {coding.code} » est connu sous le libellé « {shown} ».",
        f"The code “{coding.code}” is known under the label “{shown}”.",
        language,
        [{"name": "display", "valueString": shown}],
    )


def _not_in(code: str, url: str, language: Language) -> Resource:
    return _verdict(
        False, f"Le code « {code} » n'est pas de {url}.", f"The code “{code}” is not of {url}.", language
    )


def _verdict(result: bool, fr: str, en: str, language: Language, more: Iterable[Resource] = ()) -> Resource:
    return parameters(
        [
            {"name": "result", "valueBoolean": result},
            {"name": "message", "valueString": fr if language == "fr" else en},
            *more,
        ]
    )


def parameters(parts: Iterable[Resource]) -> Resource:
    """A Parameters resource."""
    return {"resourceType": "Parameters", "parameter": list(parts)}
