"""From a resource to its search entries: the terms and side rows that `fhir.storage.tables` documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, NamedTuple

from creneau_shared.clock import PARIS
from creneau_shared.fhir.paths.extraction import Path, compile_expression, referenced_type
from creneau_shared.fhir.search.dates import value_interval
from creneau_shared.fhir.search.layout import NARROW, SEPARATOR, keys_and_others
from creneau_shared.fhir.search.name_words import START, found_by_words, text_starts
from creneau_shared.fhir.search.occurrences import Occurrence, occurrences_of, within
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.quantities import in_common_unit, unit_of
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.terms import bounded, escape, relative_reference
from creneau_shared.fhir.search.words import has_words, words_vector
from creneau_shared.fhir.text import contact_key, string_key
from creneau_shared.national_numbers import without_blanks
from creneau_shared.spelling import fold


class StringEntry(NamedTuple):
    """A row of `<type>_string`."""

    parameter: str
    value: str
    exact: str


class DateEntry(NamedTuple):
    """A row of `<type>_date`: `[low, high)`."""

    parameter: str
    low: datetime
    high: datetime


class NumberEntry(NamedTuple):
    """A row of `<type>_number`."""

    parameter: str
    value: Decimal


class Position(NamedTuple):
    """Degrees, WGS 84."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class IndexEntries:
    """Everything by which one resource can be found. No entry stands twice; the order is stable."""

    terms: list[str]
    strings: list[StringEntry]
    dates: list[DateEntry]
    numbers: list[NumberEntry]
    position: Position | None
    words: str = ""
    """the text of a tsvector (`words.words_vector`)"""
    traits: list[str] = field(default_factory=list)
    """what a narrow type is searched by beside its index (`layout.NARROW`): its terms then are keys only"""
    occurrences: list[Occurrence] = field(default_factory=list)
    """occurrences of the elements in which several parameters must hold together"""


@dataclass(slots=True)
class _Collector:
    base_url: str
    zone: tzinfo
    terms: dict[str, None] = field(default_factory=dict)
    strings: dict[StringEntry, None] = field(default_factory=dict)
    dates: dict[DateEntry, None] = field(default_factory=dict)
    numbers: dict[NumberEntry, None] = field(default_factory=dict)
    position: Position | None = None


_Emit = Callable[[_Collector, Any], None]


def index_resource(
    resource_type: str, resource: Mapping[str, Any], base_url: str = "", zone: tzinfo = PARIS
) -> IndexEntries:
    """The entries of a resource (a dict in FHIR JSON shape, already validated).

    `base_url` is the FHIR base without a trailing slash: absolute references below it count as relative ones.
    `zone` holds for dates without one. A value that cannot be read (an invalid date) gives no entry.
    """
    collector = _collected(resource_type, resource, base_url, zone)
    for name, term in _DEFAULTS.get(resource_type, ()):
        if name not in collector.terms:
            collector.terms[name] = collector.terms[term] = None
    entries = IndexEntries(
        terms=_terms(collector),
        strings=list(collector.strings),
        dates=list(collector.dates),
        numbers=list(collector.numbers),
        position=collector.position,
        words=words_vector(resource),
        occurrences=_occurrences(resource_type, resource, base_url, zone),
    )
    return _narrowed(entries) if resource_type in NARROW else entries


def _narrowed(entries: IndexEntries) -> IndexEntries:
    """Keeps only keys among the terms, and the rest among the traits. A string whose words are indexed (almost every one)
    is found by them."""
    keys, others = keys_and_others(entries.terms)
    strings: list[StringEntry] = []
    for entry in entries.strings:
        if has_words(entries.words, entry.value):
            others.append(SEPARATOR.join(entry))
        else:
            strings.append(entry)
    return replace(entries, terms=keys, strings=strings, traits=others)


def terms_of(resource_type: str, part: Mapping[str, Any], base_url: str = "") -> list[str]:
    """The terms alone that some of a resource's elements give it."""
    return _terms(_collected(resource_type, part, base_url, PARIS))


def _collected(resource_type: str, resource: Mapping[str, Any], base_url: str, zone: tzinfo) -> _Collector:
    collector = _Collector(base_url, zone)
    plan = _plan(resource_type)
    for element, value in resource.items():
        for path, emits in plan.get(element, ()):
            for found in path.values(value):
                for emit in emits:
                    emit(collector, found)
    return collector


def _occurrences(
    resource_type: str, resource: Mapping[str, Any], base_url: str, zone: tzinfo
) -> list[Occurrence]:
    found: list[Occurrence] = []
    for name, root, plan in _occurrence_plans(resource_type):
        for occurrence in root.values(resource.get(root.element, ())):
            collector = _Collector(base_url, zone)
            for path, emits in plan:
                for value in path.values(occurrence.get(path.element, ())):
                    for emit in emits:
                        emit(collector, value)
            found.append(
                {
                    "of": name,
                    "terms": _terms(collector),
                    "numbers": [{"parameter": e.parameter, "value": str(e.value)} for e in collector.numbers],
                    "dates": [
                        {"parameter": e.parameter, "low": e.low.isoformat(), "high": e.high.isoformat()}
                        for e in collector.dates
                    ],
                }
            )
    return found


@cache
def _occurrence_plans(
    resource_type: str,
) -> tuple[tuple[str, Path, tuple[tuple[Path, tuple[_Emit, ...]], ...]], ...]:
    """For each element: its expression, the path to its occurrences, and what to look for in each."""
    plans = []
    for name, parameters in occurrences_of(resource_type).items():
        [root] = compile_expression(name)
        inner = [
            (path, (_emitter(parameter, path),))
            for parameter in map(within, parameters.values())
            for path in compile_expression(parameter.expression)
        ]
        plans.append((name, root, tuple(inner)))
    return tuple(plans)


def _terms(collector: _Collector) -> list[str]:
    return [bounded(term) for term in collector.terms]


_DEFAULTS = {"Patient": (("deceased", "deceased=false"),)}
"""Terms that a resource gets when it lacks the element: `exists() and …` is false then, not absent."""


@cache
def _plan(resource_type: str) -> Mapping[str, tuple[tuple[Path, tuple[_Emit, ...]], ...]]:
    """Element of the resource → what to look for in it. `_id` and `_lastUpdated` are columns; full text has no element."""
    routes: dict[str, tuple[Path, dict[str, _Emit]]] = {}
    for parameter in parameters_of(resource_type).values():
        if parameter.name in ("_id", "_lastUpdated") or not parameter.expression:
            continue
        for path in compile_expression(parameter.expression):
            _, emits = routes.setdefault(path.route, (path, {}))
            emits.setdefault(parameter.index_name, _emitter(parameter, path))
    plan: dict[str, tuple[tuple[Path, tuple[_Emit, ...]], ...]] = {}
    for path, emits in routes.values():
        plan[path.element] = (*plan.get(path.element, ()), (path, tuple(emits.values())))
    return plan


def _emitter(parameter: SearchParameter, path: Path) -> _Emit:
    name = parameter.index_name
    if parameter.type == "token":
        return _contact(name) if path.element in ("telecom", "contact") else _token(name)
    if parameter.type == "string":
        if found_by_words(parameter.base, parameter.name):
            return _name(name)
        return _string(name, string_key(name))
    if parameter.type == "date":
        return _date(name, instant=parameter.instant)
    if parameter.type == "reference":
        return _reference(name, path.target)
    if parameter.type == "uri":
        return _uri(name)
    if parameter.type == "special":
        return _position(name)
    return _quantity(name, parameter.unit) if parameter.type == "quantity" else _number(name)


def _text_of(name: str) -> Callable[[_Collector, Any], None]:
    parameter = f"{name}:text"

    def emit(collector: _Collector, text: Any) -> None:
        if isinstance(text, str) and text:
            collector.terms[name] = None
            collector.strings[StringEntry(parameter, fold(text), text)] = None

    return emit


def _token(name: str) -> _Emit:
    text = _text_of(name)
    add_pair, add_identifier = _pair(name, ""), _identifier(name, "")
    add_identifier_type = _identifier_type(name)

    def emit(collector: _Collector, value: Any) -> None:
        if isinstance(value, str):
            collector.terms[name] = None
            collector.terms[f"{name}={escape(value)}"] = None
        elif isinstance(value, bool):
            collector.terms[name] = None
            collector.terms[f"{name}={'true' if value else 'false'}"] = None
        elif isinstance(value, dict):
            if "coding" in value or "text" in value:
                text(collector, value.get("text"))
                for coding in value.get("coding", ()):
                    emit(collector, coding)
            elif "value" in value:
                add_identifier(collector, value.get("system"), value["value"])
                add_identifier_type(collector, value)
                text(collector, value.get("type", {}).get("text"))
            else:
                add_pair(collector, value.get("system"), value.get("code"))
                text(collector, value.get("display"))

    return emit


def _pair(name: str, modifier: str) -> Callable[[_Collector, Any, Any], None]:
    """Writes the four forms of system and code."""
    start = f"{name}{modifier}="

    def add(collector: _Collector, system: Any, code: Any) -> None:
        if not isinstance(code, str):
            return
        code = escape(code)
        collector.terms[name] = None
        collector.terms[start + code] = None
        if isinstance(system, str):
            system = escape(system)
            collector.terms[f"{start}{system}|{code}"] = None
            collector.terms[f"{start}{system}|"] = None
        else:
            collector.terms[f"{start}|{code}"] = None

    return add


def _identifier(name: str, modifier: str) -> Callable[[_Collector, Any, Any], None]:
    """Writes the four forms as they stand, and those of a national number without its blanks."""
    add_pair = _pair(name, modifier)

    def add(collector: _Collector, system: Any, value: Any) -> None:
        add_pair(collector, system, value)
        if isinstance(system, str) and isinstance(value, str) and " " in value:
            add_pair(collector, system, without_blanks(system, value))

    return add


def _identifier_type(name: str) -> Callable[[_Collector, Mapping[str, Any]], None]:
    def add(collector: _Collector, identifier: Mapping[str, Any]) -> None:
        for coding in identifier.get("type", {}).get("coding", ()):
            system, code = escape(coding.get("system", "")), escape(coding.get("code", ""))
            if code:
                term = f"{name}:of-type={system}|{code}|{escape(identifier['value'])}"
                collector.terms[term] = None

    return add


def _contact(name: str) -> _Emit:
    start = f"{name}="

    def emit(collector: _Collector, contact: Any) -> None:
        value = contact.get("value") if isinstance(contact, dict) else None
        if not isinstance(value, str):
            return
        key = escape(contact_key(value))
        collector.terms[name] = None
        collector.terms[start + key] = None
        for qualifier in (contact.get("system"), contact.get("use")):
            if isinstance(qualifier, str):
                collector.terms[f"{start}{qualifier}|{key}"] = None
                collector.terms[f"{start}{qualifier}|"] = None

    return emit


_TEXT_PARTS = frozenset(
    (
        "text",
        "family",
        "given",
        "prefix",
        "suffix",
        "line",
        "city",
        "district",
        "state",
        "postalCode",
        "country",
    )
)
"""What a HumanName and an Address are made of; use and period are no text."""


def _parts(value: Any) -> list[str]:
    """The texts of a string, a HumanName or an Address."""
    if isinstance(value, str):
        return [value]
    texts: list[str] = []
    if isinstance(value, dict):
        for part, content in value.items():
            if part in _TEXT_PARTS:
                texts += [content] if isinstance(content, str) else content
    return texts


def _string(name: str, key: Callable[[str], str]) -> _Emit:
    def emit(collector: _Collector, value: Any) -> None:
        for text in _parts(value):
            collector.terms[name] = None
            collector.strings[StringEntry(name, key(text), text)] = None

    return emit


def _name(name: str) -> _Emit:
    """Indexes a string that is found from each of its words on."""
    comparable = string_key(name)
    whole = _string(name, comparable)

    def emit(collector: _Collector, value: Any) -> None:
        whole(collector, value)
        for text in _parts(value):
            for start in text_starts(comparable(text)):
                collector.strings[StringEntry(name + START, start, "")] = None

    return emit


def _date(name: str, *, instant: bool) -> _Emit:
    def emit(collector: _Collector, value: Any) -> None:
        try:
            covered = value_interval(value, collector.zone, instant=instant)
        except ValueError:
            return
        if covered is not None:
            collector.terms[name] = None
            collector.dates[DateEntry(name, *covered)] = None

    return emit


def _number(name: str) -> _Emit:
    def emit(collector: _Collector, value: Any) -> None:
        number = value.get("value") if isinstance(value, dict) else value
        try:
            entry = NumberEntry(name, Decimal(str(number)))
        except InvalidOperation:
            return
        collector.terms[name] = None
        collector.numbers[entry] = None

    return emit


def _quantity(name: str, default: str | None) -> _Emit:
    """Indexes a quantity by its number, and by its number in the common unit of its kind."""
    plain = _number(name)

    def emit(collector: _Collector, value: Any) -> None:
        plain(collector, value)
        unit = unit_of(value, default) if isinstance(value, dict) else None
        if unit is None:
            return
        try:
            common, number = in_common_unit(Decimal(str(value.get("value"))), *unit)
        except InvalidOperation:
            return
        collector.numbers[NumberEntry(f"{name}|{common}", number)] = None

    return emit


def _reference(name: str, target: str | None) -> _Emit:
    add_identifier = _identifier(name, ":identifier")

    def emit(collector: _Collector, value: Any) -> None:
        if isinstance(value, str):
            _add_literal(collector, name, value)
            return
        if not isinstance(value, dict) or (target and referenced_type(value) != target):
            return
        collector.terms[name] = None
        literal = value.get("reference")
        if isinstance(literal, str):
            _add_literal(collector, name, literal)
        identifier = value.get("identifier")
        if isinstance(identifier, dict):
            add_identifier(collector, identifier.get("system"), identifier.get("value"))

    return emit


def _add_literal(collector: _Collector, name: str, literal: str) -> None:
    collector.terms[name] = None
    if literal.startswith("#"):
        return
    reference = relative_reference(literal, collector.base_url)
    collector.terms[f"{name}={reference}"] = None
    for separator in ("/_history/", "|"):
        unversioned, found, _ = reference.partition(separator)
        if found:
            collector.terms[f"{name}={unversioned}"] = None


def _uri(name: str) -> _Emit:
    def emit(collector: _Collector, value: Any) -> None:
        if isinstance(value, str):
            collector.terms[name] = None
            collector.terms[f"{name}={value}"] = None

    return emit


def _position(name: str) -> _Emit:
    def emit(collector: _Collector, value: Any) -> None:
        if isinstance(value, dict) and "latitude" in value and "longitude" in value:
            collector.terms[name] = None
            collector.position = Position(float(value["latitude"]), float(value["longitude"]))

    return emit
