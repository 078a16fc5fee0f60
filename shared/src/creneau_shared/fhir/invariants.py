"""The invariants of FHIR R4 of severity error on the types served here and their data types.

Each is a plain function of the element's dict, registered under the type on which R4 states it, or under (type,
element). It returns whether the invariant holds, and must not fail on any content: the validator checks the structure,
so a wrong shape is not reported again here. `ele-1`, `ref-1`, `txt-1` and `txt-2` need more than the element itself;
the validator checks them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from creneau_shared.errors import Issue
from creneau_shared.fhir.bindings import RESOURCE_TYPES
from creneau_shared.fhir.datatypes import parse_interval

Json = dict[str, Any]
Rule = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule, its id in R4, and one sentence in each language that states it."""

    key: str
    fr: str
    en: str
    holds: Rule

    def issue(self, path: str) -> Issue:
        return Issue(
            code="invariant",
            fr=f"{path} ne respecte pas {self.key} : {self.fr}.",
            en=f"{path} breaks {self.key}: {self.en}.",
            expression=(path,),
            details_code=self.key,
        )


_OF_TYPE: Final[dict[str, list[Invariant]]] = {}
_OF_ELEMENT: Final[dict[tuple[str, str], list[Invariant]]] = {}


def of_type(name: str) -> tuple[Invariant, ...]:
    """The invariants stated on a type."""
    return tuple(_OF_TYPE.get(name, ()))


def of_element(type_name: str, element: str) -> tuple[Invariant, ...]:
    """The invariants stated on one element of a type, each item of a list by itself."""
    return tuple(_OF_ELEMENT.get((type_name, element), ()))


def places() -> list[tuple[str, str | None]]:
    """The places with invariants: each type, and each (type, element)."""
    return [*((name, None) for name in _OF_TYPE), *_OF_ELEMENT]


def all_invariants() -> tuple[Invariant, ...]:
    """Every invariant once, in the order of their keys."""
    stated = [
        rule
        for name, element in places()
        for rule in (of_type(name) if element is None else of_element(name, element))
    ]
    return tuple({rule.key: rule for rule in sorted(stated, key=lambda rule: rule.key)}.values())


def _invariant(key: str, *places: str, fr: str, en: str) -> Callable[[Rule], Rule]:
    """Register a rule on each of `places`: `Type` or `Type.element`."""

    def register(rule: Rule) -> Rule:
        for place in places:
            type_name, _, element = place.partition(".")
            invariant = Invariant(key, fr, en, rule)
            if element:
                _OF_ELEMENT.setdefault((type_name, element), []).append(invariant)
            else:
                _OF_TYPE.setdefault(type_name, []).append(invariant)
        return rule

    return register


def _has(value: Any, *names: str) -> bool:
    """Whether one of `names` exists, with a value or only with extensions."""
    return isinstance(value, dict) and any(name in value or f"_{name}" in value for name in names)


def _has_choice(value: Any, group: str) -> bool:
    return isinstance(value, dict) and any(name.lstrip("_").startswith(group) for name in value)


def _objects(value: Any, name: str) -> list[Json]:
    """The objects in the list `name` of `value`; empty when it has another shape."""
    items = value.get(name) if isinstance(value, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _texts(items: list[Json], name: str) -> list[str]:
    return [item[name] for item in items if isinstance(item.get(name), str)]


def _object(value: Any, name: str) -> Json:
    item = value.get(name) if isinstance(value, dict) else None
    return item if isinstance(item, dict) else {}


def _number(value: Json, name: str) -> Decimal | None:
    """The number `name` of `value`; None where there is none."""
    number = value.get(name)
    return Decimal(number) if isinstance(number, int | Decimal) and not isinstance(number, bool) else None


def _unique(values: list[Any]) -> bool:
    return len(values) == len(set(values))


# --- Appointment, AppointmentResponse -------------------------------------------------------------


@_invariant(
    "app-1",
    "AppointmentParticipant",
    fr="un participant a un type ou un acteur",
    en="a participant has a type or an actor",
)
def _app_1(value: Json) -> bool:
    return _has(value, "type", "actor")


@_invariant(
    "app-2",
    "Appointment",
    fr="start et end sont donnés ensemble ou pas du tout",
    en="start and end are given together or not at all",
)
def _app_2(value: Json) -> bool:
    return _has(value, "start") == _has(value, "end")


@_invariant(
    "app-3",
    "Appointment",
    fr="seul un rendez-vous proposed, cancelled ou waitlist peut être sans start ni end",
    en="only a proposed, cancelled or waitlist appointment can be without start and end",
)
def _app_3(value: Json) -> bool:
    if _has(value, "start") and _has(value, "end"):
        return True
    return value.get("status") in ("proposed", "cancelled", "waitlist")


@_invariant(
    "app-4",
    "Appointment",
    fr="cancelationReason ne se donne que pour un rendez-vous cancelled ou noshow",
    en="cancelationReason is given for a cancelled or noshow appointment only",
)
def _app_4(value: Json) -> bool:
    return not _has(value, "cancelationReason") or value.get("status") in ("cancelled", "noshow")


@_invariant(
    "apr-1",
    "AppointmentResponse",
    fr="participantType ou actor est donné",
    en="participantType or actor is given",
)
def _apr_1(value: Json) -> bool:
    return _has(value, "participantType", "actor")


# --- Organization, Patient ------------------------------------------------------------------------


@_invariant(
    "org-1", "Organization", fr="un nom ou un identifiant est donné", en="a name or an identifier is given"
)
def _org_1(value: Json) -> bool:
    return _has(value, "identifier", "name")


@_invariant(
    "org-2",
    "Organization.address",
    fr="l'adresse d'une organisation n'est jamais d'usage home",
    en="an address of an organization is never of use home",
)
@_invariant(
    "org-3",
    "Organization.telecom",
    fr="la coordonnée d'une organisation n'est jamais d'usage home",
    en="a telecom of an organization is never of use home",
)
def _not_home(value: Any) -> bool:
    return not isinstance(value, dict) or value.get("use") != "home"


@_invariant(
    "pat-1",
    "PatientContact",
    fr="un contact a un nom, une coordonnée, une adresse ou une organisation",
    en="a contact has a name, a telecom, an address or an organization",
)
def _pat_1(value: Json) -> bool:
    return _has(value, "name", "telecom", "address", "organization")


# --- Data types -----------------------------------------------------------------------------------


@_invariant(
    "ext-1",
    "Extension",
    fr="une extension a une valeur ou des extensions, jamais les deux",
    en="an extension has a value or extensions, never both",
)
def _ext_1(value: Json) -> bool:
    return _has(value, "extension") != _has_choice(value, "value")


@_invariant("att-1", "Attachment", fr="des données ont un contentType", en="data have a contentType")
def _att_1(value: Json) -> bool:
    return not _has(value, "data") or _has(value, "contentType")


@_invariant("cpt-2", "ContactPoint", fr="une coordonnée a un système", en="a value has a system")
def _cpt_2(value: Json) -> bool:
    return not _has(value, "value") or _has(value, "system")


@_invariant("per-1", "Period", fr="start n'est pas après end", en="start is not after end")
def _per_1(value: Json) -> bool:
    start, end = value.get("start"), value.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    if len(start) == len(end) and start[19:] == end[19:]:
        return start <= end
    try:
        return parse_interval(start)[0] < parse_interval(end)[1]
    except ValueError:
        return True


@_invariant(
    "qty-3",
    "Quantity",
    "Age",
    "Count",
    "Distance",
    "Duration",
    fr="le code d'une unité a son système",
    en="the code of a unit has its system",
)
def _qty_3(value: Json) -> bool:
    return not _has(value, "code") or _has(value, "system")


@_invariant(
    "sqty-1",
    "Range.low",
    "Range.high",
    "SampledData.origin",
    fr="une quantité simple n'a pas de comparateur",
    en="a simple quantity has no comparator",
)
def _sqty_1(value: Any) -> bool:
    return not _has(value, "comparator")


@_invariant("rng-2", "Range", fr="low ne dépasse pas high", en="low is not above high")
def _rng_2(value: Json) -> bool:
    low, high = _object(value, "low"), _object(value, "high")
    if low.get("unit") != high.get("unit") or low.get("code") != high.get("code"):
        return True
    lowest, highest = _number(low, "value"), _number(high, "value")
    return lowest is None or highest is None or lowest <= highest


@_invariant(
    "rat-1",
    "Ratio",
    fr="numérateur et dénominateur vont ensemble, ou une extension les remplace",
    en="numerator and denominator go together, or an extension stands for them",
)
def _rat_1(value: Json) -> bool:
    numerator, denominator = _has(value, "numerator"), _has(value, "denominator")
    return numerator == denominator and (numerator or _has(value, "extension"))


@_invariant(
    "drt-1",
    "Duration",
    fr="le code d'une durée est d'UCUM, avec une valeur",
    en="the code of a duration is of UCUM, with a value",
)
def _drt_1(value: Json) -> bool:
    return not _has(value, "code") or (
        value.get("system") == "http://unitsofmeasure.org" and _has(value, "value")
    )


@_invariant(
    "exp-1", "Expression", fr="expression ou reference est donné", en="expression or reference is given"
)
def _exp_1(value: Json) -> bool:
    return _has(value, "expression", "reference")


@_invariant(
    "drq-1",
    "DataRequirementCodeFilter",
    fr="path ou searchParam, l'un des deux",
    en="either path or searchParam",
)
@_invariant(
    "drq-2",
    "DataRequirementDateFilter",
    fr="path ou searchParam, l'un des deux",
    en="either path or searchParam",
)
def _path_or_search_parameter(value: Json) -> bool:
    return _has(value, "path") != _has(value, "searchParam")


@_invariant("trd-1", "TriggerDefinition", fr="timing ou data, pas les deux", en="timing or data, not both")
def _trd_1(value: Json) -> bool:
    return not (_has(value, "data") and _has_choice(value, "timing"))


@_invariant("trd-2", "TriggerDefinition", fr="une condition suppose data", en="a condition needs data")
def _trd_2(value: Json) -> bool:
    return not _has(value, "condition") or _has(value, "data")


def _repeat(key: str, element: str, needs: str) -> None:
    """Registers a rule on TimingRepeat: `element` only together with `needs`."""

    @_invariant(key, "TimingRepeat", fr=f"{element} suppose {needs}", en=f"{element} needs {needs}")
    def _rule(value: Json) -> bool:
        return not _has(value, element) or _has(value, needs)


_repeat("tim-1", "duration", "durationUnit")
_repeat("tim-2", "period", "periodUnit")
_repeat("tim-6", "periodMax", "period")
_repeat("tim-7", "durationMax", "duration")
_repeat("tim-8", "countMax", "count")


@_invariant("tim-4", "TimingRepeat", fr="duration n'est pas négatif", en="duration is not negative")
def _tim_4(value: Json) -> bool:
    duration = _number(value, "duration")
    return duration is None or duration >= 0


@_invariant("tim-5", "TimingRepeat", fr="period n'est pas négatif", en="period is not negative")
def _tim_5(value: Json) -> bool:
    period = _number(value, "period")
    return period is None or period >= 0


@_invariant(
    "tim-9",
    "TimingRepeat",
    fr="offset suppose when, et when n'est pas C, CM, CD ou CV",
    en="offset needs when, and when is not C, CM, CD or CV",
)
def _tim_9(value: Json) -> bool:
    when = value.get("when")
    return not _has(value, "offset") or (
        isinstance(when, list) and not {"C", "CM", "CD", "CV"} & set(map(str, when))
    )


@_invariant("tim-10", "TimingRepeat", fr="timeOfDay ou when, pas les deux", en="timeOfDay or when, not both")
def _tim_10(value: Json) -> bool:
    return not (_has(value, "timeOfDay") and _has(value, "when"))


# --- Every resource with contained ones -----------------------------------------------------------


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _strings(child)


@_invariant(
    "dom-2",
    "DomainResource.contained",
    fr="une ressource contenue n'en contient pas d'autres",
    en="a contained resource contains no others",
)
def _dom_2(value: Any) -> bool:
    return not _has(value, "contained")


@_invariant(
    "dom-3",
    "DomainResource",
    fr="chaque ressource contenue est désignée par une référence, ou désigne celle qui la contient",
    en="each contained resource is referred to, or refers to the resource that contains it",
)
def _dom_3(value: Json) -> bool:
    contained = _objects(value, "contained")
    if not contained:
        return True
    mentioned = {text for text in _strings(value) if text.startswith("#")}
    return all(f"#{item.get('id')}" in mentioned or "#" in _strings(item) for item in contained)


@_invariant(
    "dom-4",
    "DomainResource.contained",
    fr="une ressource contenue n'a ni meta.versionId ni meta.lastUpdated",
    en="a contained resource has no meta.versionId and no meta.lastUpdated",
)
def _dom_4(value: Any) -> bool:
    return not _has(_object(value, "meta"), "versionId", "lastUpdated")


@_invariant(
    "dom-5",
    "DomainResource.contained",
    fr="une ressource contenue n'a pas d'étiquette de sécurité",
    en="a contained resource has no security label",
)
def _dom_5(value: Any) -> bool:
    return not _has(_object(value, "meta"), "security")


# --- AuditEvent, Parameters, Bundle ---------------------------------------------------------------


@_invariant("sev-1", "AuditEventEntity", fr="name ou query, pas les deux", en="name or query, not both")
def _sev_1(value: Json) -> bool:
    return not (_has(value, "name") and _has(value, "query"))


@_invariant(
    "inv-1",
    "ParametersParameter",
    fr="un paramètre a une valeur, une ressource ou des parties, et une seule de ces choses",
    en="a parameter has a value, a resource or parts, and one of these only",
)
def _inv_1(value: Json) -> bool:
    return [_has_choice(value, "value"), _has(value, "resource"), _has(value, "part")].count(True) == 1


@_invariant(
    "bdl-1",
    "Bundle",
    fr="total ne se donne que pour searchset et history",
    en="total is given for searchset and history only",
)
def _bdl_1(value: Json) -> bool:
    return not _has(value, "total") or value.get("type") in ("searchset", "history")


@_invariant(
    "bdl-2",
    "Bundle",
    fr="entry.search ne se donne que pour searchset",
    en="entry.search is given for searchset only",
)
def _bdl_2(value: Json) -> bool:
    return value.get("type") == "searchset" or not any(
        _has(entry, "search") for entry in _objects(value, "entry")
    )


@_invariant(
    "bdl-3",
    "Bundle",
    fr="entry.request est obligatoire pour batch, transaction et history, interdit ailleurs",
    en="entry.request is required for batch, transaction and history, and forbidden elsewhere",
)
def _bdl_3(value: Json) -> bool:
    wanted = value.get("type") in ("batch", "transaction", "history")
    return all(_has(entry, "request") == wanted for entry in _objects(value, "entry"))


@_invariant(
    "bdl-4",
    "Bundle",
    fr="entry.response est obligatoire pour les réponses et history, interdit ailleurs",
    en="entry.response is required for responses and history, and forbidden elsewhere",
)
def _bdl_4(value: Json) -> bool:
    wanted = value.get("type") in ("batch-response", "transaction-response", "history")
    return all(_has(entry, "response") == wanted for entry in _objects(value, "entry"))


@_invariant(
    "bdl-5",
    "BundleEntry",
    fr="une entrée a une ressource, une requête ou une réponse",
    en="an entry has a resource, a request or a response",
)
def _bdl_5(value: Json) -> bool:
    return _has(value, "resource", "request", "response")


@_invariant(
    "bdl-7",
    "Bundle",
    fr="fullUrl est unique, à moins que meta.versionId ne diffère",
    en="fullUrl is unique, unless meta.versionId differs",
)
def _bdl_7(value: Json) -> bool:
    if value.get("type") == "history":
        return True
    return _unique(
        [
            (entry["fullUrl"], str(_object(_object(entry, "resource"), "meta").get("versionId")))
            for entry in _objects(value, "entry")
            if isinstance(entry.get("fullUrl"), str)
        ]
    )


@_invariant(
    "bdl-8", "BundleEntry", fr="fullUrl ne nomme pas de version", en="fullUrl does not name a version"
)
def _bdl_8(value: Json) -> bool:
    return "/_history/" not in str(value.get("fullUrl", ""))


@_invariant(
    "bdl-9",
    "Bundle",
    fr="un document a un identifiant avec système et valeur",
    en="a document has an identifier with system and value",
)
def _bdl_9(value: Json) -> bool:
    identifier = _object(value, "identifier")
    return value.get("type") != "document" or (_has(identifier, "system") and _has(identifier, "value"))


@_invariant("bdl-10", "Bundle", fr="un document a un timestamp", en="a document has a timestamp")
def _bdl_10(value: Json) -> bool:
    return value.get("type") != "document" or _has(value, "timestamp")


def _first_type(value: Json) -> Any:
    entries = _objects(value, "entry")
    return _object(entries[0], "resource").get("resourceType") if entries else None


@_invariant(
    "bdl-11", "Bundle", fr="un document commence par Composition", en="a document begins with Composition"
)
def _bdl_11(value: Json) -> bool:
    return value.get("type") != "document" or _first_type(value) == "Composition"


@_invariant(
    "bdl-12", "Bundle", fr="un message commence par MessageHeader", en="a message begins with MessageHeader"
)
def _bdl_12(value: Json) -> bool:
    return value.get("type") != "message" or _first_type(value) == "MessageHeader"


# --- Conformance resources ------------------------------------------------------------------------


@_invariant(
    "cpb-1",
    "CapabilityStatement",
    fr="rest, messaging ou document est donné",
    en="rest, messaging or document is given",
)
def _cpb_1(value: Json) -> bool:
    return _has(value, "rest", "messaging", "document")


@_invariant(
    "cpb-2",
    "CapabilityStatement",
    fr="description, software ou implementation est donné",
    en="description, software or implementation is given",
)
def _cpb_2(value: Json) -> bool:
    return _has(value, "description", "software", "implementation")


@_invariant(
    "cpb-3",
    "CapabilityStatement",
    fr="messaging.endpoint ne se donne que pour kind instance",
    en="messaging.endpoint is given for kind instance only",
)
def _cpb_3(value: Json) -> bool:
    return value.get("kind") == "instance" or not any(
        _has(messaging, "endpoint") for messaging in _objects(value, "messaging")
    )


@_invariant(
    "cpb-7",
    "CapabilityStatement",
    fr="un document n'est décrit qu'une fois par profil et mode",
    en="a document is described once for each profile and mode",
)
def _cpb_7(value: Json) -> bool:
    return _unique(
        [(str(item.get("profile")), str(item.get("mode"))) for item in _objects(value, "document")]
    )


@_invariant(
    "cpb-9",
    "CapabilityStatementRest",
    fr="un type de ressource n'est décrit qu'une fois",
    en="a resource type is described once",
)
def _cpb_9(value: Json) -> bool:
    return _unique(_texts(_objects(value, "resource"), "type"))


@_invariant(
    "cpb-12",
    "CapabilityStatementRestResource",
    fr="les noms de searchParam sont uniques",
    en="the names of searchParam are unique",
)
def _cpb_12(value: Json) -> bool:
    return _unique(_texts(_objects(value, "searchParam"), "name"))


@_invariant(
    "cpb-14",
    "CapabilityStatement",
    fr="kind instance suppose implementation",
    en="kind instance needs implementation",
)
def _cpb_14(value: Json) -> bool:
    return value.get("kind") != "instance" or _has(value, "implementation")


@_invariant(
    "cpb-15",
    "CapabilityStatement",
    fr="kind capability suppose software et exclut implementation",
    en="kind capability needs software and excludes implementation",
)
def _cpb_15(value: Json) -> bool:
    return value.get("kind") != "capability" or (
        _has(value, "software") and not _has(value, "implementation")
    )


@_invariant(
    "cpb-16",
    "CapabilityStatement",
    fr="kind requirements exclut software et implementation",
    en="kind requirements excludes software and implementation",
)
def _cpb_16(value: Json) -> bool:
    return value.get("kind") != "requirements" or not _has(value, "software", "implementation")


@_invariant("spd-1", "SearchParameter", fr="xpath suppose xpathUsage", en="xpath needs xpathUsage")
def _spd_1(value: Json) -> bool:
    return not _has(value, "xpath") or _has(value, "xpathUsage")


@_invariant(
    "spd-2",
    "SearchParameter",
    fr="chain ne se donne que pour le type reference",
    en="chain is given for type reference only",
)
def _spd_2(value: Json) -> bool:
    return not _has(value, "chain") or value.get("type") == "reference"


@_invariant(
    "spd-3",
    "SearchParameter",
    fr="comparator ne se donne que pour les types number, date, quantity et special",
    en="comparator is given for types number, date, quantity and special only",
)
def _spd_3(value: Json) -> bool:
    return not _has(value, "comparator") or value.get("type") in ("number", "date", "quantity", "special")


@_invariant("opd-1", "OperationDefinitionParameter", fr="type ou part est donné", en="type or part is given")
def _opd_1(value: Json) -> bool:
    return _has(value, "type", "part")


@_invariant(
    "opd-2",
    "OperationDefinitionParameter",
    fr="searchType ne se donne que pour le type string",
    en="searchType is given for type string only",
)
def _opd_2(value: Json) -> bool:
    return not _has(value, "searchType") or value.get("type") == "string"


@_invariant(
    "opd-3",
    "OperationDefinitionParameter",
    fr="targetProfile ne se donne que pour les types Reference et canonical, ou un type de ressource",
    en="targetProfile is given for types Reference and canonical only, or a resource type",
)
def _opd_3(value: Json) -> bool:
    # R4's text omits the resource types, which its own operations use; R5 and all validators accept them.
    type_name = value.get("type")
    return not _has(value, "targetProfile") or (
        type_name in ("Reference", "canonical") or type_name in RESOURCE_TYPES
    )


def _concept_codes(concepts: list[Json]) -> Iterator[str]:
    for concept in concepts:
        if isinstance(concept.get("code"), str):
            yield concept["code"]
        yield from _concept_codes(_objects(concept, "concept"))


@_invariant("csd-1", "CodeSystem", fr="chaque code n'est défini qu'une fois", en="each code is defined once")
def _csd_1(value: Json) -> bool:
    return all(count == 1 for count in Counter(_concept_codes(_objects(value, "concept"))).values())


@_invariant(
    "vsd-1", "ValueSetComposeInclude", fr="valueSet ou system est donné", en="valueSet or system is given"
)
def _vsd_1(value: Json) -> bool:
    return _has(value, "valueSet", "system")


@_invariant(
    "vsd-2",
    "ValueSetComposeInclude",
    fr="concept et filter supposent system",
    en="concept and filter need system",
)
def _vsd_2(value: Json) -> bool:
    return not _has(value, "concept", "filter") or _has(value, "system")


@_invariant(
    "vsd-3", "ValueSetComposeInclude", fr="concept ou filter, pas les deux", en="concept or filter, not both"
)
def _vsd_3(value: Json) -> bool:
    return not (_has(value, "concept") and _has(value, "filter"))


@_invariant(
    "vsd-6", "ValueSetExpansionContains", fr="code ou display est donné", en="code or display is given"
)
def _vsd_6(value: Json) -> bool:
    return _has(value, "code", "display")


@_invariant(
    "vsd-9",
    "ValueSetExpansionContains",
    fr="sans code, l'entrée est abstract",
    en="without a code, the entry is abstract",
)
def _vsd_9(value: Json) -> bool:
    return _has(value, "code") or value.get("abstract") is True


@_invariant("vsd-10", "ValueSetExpansionContains", fr="un code a son system", en="a code has its system")
def _vsd_10(value: Json) -> bool:
    return not _has(value, "code") or _has(value, "system")
