"""From a query's pairs to a SearchRequest (FHIR R4 search.html; tolerances of SAS, GAP, BaRS, GP Connect)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import NoReturn, cast, get_args

from creneau_shared.clock import PARIS
from creneau_shared.errors import BadRequest, Issue
from creneau_shared.fhir.definitions import type_definition
from creneau_shared.fhir.search.filter import FilterError, parse_filter
from creneau_shared.fhir.search.filter_conditions import FilterReader
from creneau_shared.fhir.search.occurrences import joined
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.registry import find_parameter, parameters_of
from creneau_shared.fhir.search.request import (
    Above,
    And,
    Branch,
    Chain,
    Clause,
    Condition,
    Has,
    Include,
    Limits,
    SearchRequest,
    SortKey,
    Summary,
    TotalMode,
)
from creneau_shared.fhir.search.values import (
    CONTACTS,
    BadValueError,
    Reading,
    read_clause_values,
    reference_types,
    split,
    with_plus,
)

CURSOR_PARAMETER = "_cursor"

_REFUSED = {
    "_list": (
        "Le paramètre _list n’est pas pris en charge : aucune ressource List n’est servie",
        "The parameter _list is not supported: no List resources are served",
    ),
    "_query": (
        "Le paramètre _query n’est pas pris en charge : aucune requête nommée n’existe",
        "The parameter _query is not supported: there are no named queries",
    ),
    "_contained": (
        "Les ressources contenues ne se cherchent pas : _contained ne peut valoir que false",
        "Contained resources are not searched: _contained can only be false",
    ),
    "_containedType": (
        "Les ressources contenues ne se cherchent pas : _containedType n’est pas pris en charge",
        "Contained resources are not searched: _containedType is not supported",
    ),
}
"""Parameters of R4 that are not offered; ignoring those that narrow the result would mislead."""

_TRANSPORT = frozenset({"_format", "_pretty"})
"""Parameters that say how to answer, not what: left to the HTTP layer, kept in the links."""

_ALIASES = {
    ("PractitionerRole", "address"): "location.address",
    ("PractitionerRole", "name"): "practitioner.name",
    ("Slot", "earliestStart"): "start",
    ("Slot", "latestStart"): "start",
    ("Appointment", "earliestStart"): "start",
    ("Appointment", "latestStart"): "start",
}
"""Names that GAP uses and no parameter has → the parameters that GAP's own table means."""
_BOUNDS = {"earliestStart": "ge", "latestStart": "le"}
"""The prefix of a date under such a name when it has none."""
_PREFIXED = re.compile(r"\s*[a-z]{2}[0-9]")


def parse_search(
    resource_type: str,
    pairs: Sequence[tuple[str, str]],
    *,
    known_types: Collection[str],
    now: datetime,
    strict: bool = False,
    zone: tzinfo = PARIS,
    base_url: str = "",
    limits: Limits | None = None,
    gives_order: Callable[[SearchParameter], bool] = lambda _: True,
    every_spelling: bool = True,
) -> SearchRequest:
    """Understand the decoded `pairs` of a query on `resource_type`.

    `known_types` are the types of the whole system; `strict` (Prefer: handling=strict) refuses names that are not known,
    which are otherwise ignored and reported in `issues`; `zone` holds for dates without one; `now` is what `ap` approximates
    from; `gives_order`: whether a parameter may sort for the caller, which that of an element that they are not always shown
    does not; `every_spelling`: identifiers are meant in every spelling of their numbers. Raises BadRequest with an issue that
    names the parameter.

    Names are everything before `=` except the modifier and, after it, the parameters and types of an include, the
    keys of `_sort` and the elements of `_elements`. A modifier is never ignored (FHIR R4 search.html#modifiers: a
    server SHALL reject one that it does not support), nor is a value that its parameter does not take.
    """
    reading = Reading(
        zone=zone,
        now=now,
        base_url=base_url,
        known_types=known_types,
        limits=limits or Limits(),
        every_spelling=every_spelling,
    )
    return _Parser(resource_type, reading, strict=strict, gives_order=gives_order).parse(pairs)


def understands(resource_type: str, name: str, text: str, *, known_types: Collection[str]) -> bool:
    """Whether some part of one pair of a query is known for the type. True for a wrong value: its parameter is known."""
    whenever = datetime.fromtimestamp(0, UTC)
    try:
        return bool(parse_search(resource_type, [(name, text)], known_types=known_types, now=whenever).used)
    except BadRequest:
        return True


def has_element(resource_type: str, name: str) -> bool:
    """Whether the type has the element; a choice is named with or without its type."""
    definition = type_definition(resource_type)
    return name in definition.by_name or name in definition.choices


class _UnknownNameError(Exception):
    """A name in the query is unknown here: which, in French and in English."""

    def __init__(self, fr: str, en: str) -> None:
        self.fr = fr
        self.en = en
        super().__init__(en)


def refuse(name: str, fr: str, en: str, code: str = "invalid") -> NoReturn:
    """Raise the 400 that names the query parameter."""
    raise BadRequest(fr, en, code=code, expression=f"http.{name}")


def check_at_most(name: str, number: int, most: int, fr: str, en: str) -> None:
    """Raise the 400 that tells which limit the query parameter is over."""
    if number > most:
        refuse(name, f"Trop de {fr} : au plus {most}", f"Too many {en}: at most {most}", "too-costly")


@dataclass
class _Parser:
    resource_type: str
    reading: Reading
    strict: bool
    gives_order: Callable[[SearchParameter], bool] = lambda _: True
    conditions: list[Condition] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    sort: list[SortKey] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    values_total: int = 0

    def parse(self, pairs: Sequence[tuple[str, str]]) -> SearchRequest:
        limits = self.reading.limits
        check_at_most("*", len(pairs), limits.parameters_max, "paramètres", "parameters")
        for name, text in pairs:
            self._check_text(name, text)
            if text.strip():
                self._pair(name, text)
        summary = cast(Summary, self._choice("_summary", get_args(Summary), "false"))
        if summary == "text" and self.includes:
            refuse(
                "_summary",
                "_summary=text ne va pas avec des inclusions",
                "_summary=text does not go with includes",
            )
        return SearchRequest(
            resource_type=self.resource_type,
            conditions=joined(_join_bounds(self.conditions)),
            includes=tuple(self.includes),
            sort=tuple(self.sort),
            count=self._count(),
            summary=summary,
            elements=self._elements(),
            total=cast(TotalMode, self._choice("_total", ("none", "estimate", "accurate"), "default")),
            cursor=self.results.get(CURSOR_PARAMETER),
            issues=tuple(self.issues),
            used=tuple(self.used),
            limits=limits,
        )

    def _check_text(self, name: str, text: str) -> None:
        """BadRequest for what PostgreSQL cannot store (NUL and lone surrogates), and for what is too long."""
        for part in (name, text):
            if "\x00" in part or (not part.isascii() and any("\ud800" <= c <= "\udfff" for c in part)):
                raise BadRequest(
                    "La requête contient des caractères illisibles", "The query holds unreadable characters"
                )
        if len(text) > self.reading.limits.value_characters_max or len(name) > 512:
            refuse(name[:64], "Valeur trop longue", "Value too long", "too-long")

    def _pair(self, name: str, text: str) -> None:
        start, _, modifier = name.partition(":")
        if start in ("_include", "_revinclude"):
            self._include(name, start, modifier, text)
        elif name == "_sort":
            self._sort(text)
        elif name in ("_count", "_summary", "_elements", "_total"):
            self.results[name] = text.strip()
            if name in ("_summary", "_total"):
                self.used.append((name, text))
        elif name == CURSOR_PARAMETER:
            self.results[name] = text
        elif name in _TRANSPORT or (name, text) == ("_contained", "false"):
            self.used.append((name, text))
        elif start in _REFUSED:
            refuse(name, *_REFUSED[start], "not-supported")
        else:
            self._search_parameter(name, text)

    def _search_parameter(self, name: str, text: str) -> None:
        try:
            condition = self._condition(self.resource_type, name, name, text, depth=0)
        except _UnknownNameError as unknown:
            self._ignore(name, unknown)
            return
        if condition is not None:
            # The parts of an And stand beside the other conditions, where bounds are joined and policies look.
            self.conditions += condition.conditions if isinstance(condition, And) else (condition,)
            self.used.append((name, text))

    def _ignore(self, name: str, unknown: _UnknownNameError) -> None:
        """Handles an unknown name in the parameter `name`: refused when strict, otherwise left out and reported."""
        if self.strict:
            refuse(name, unknown.fr, unknown.en, "not-supported")
        self.issues.append(
            Issue(
                "not-supported",
                f"{unknown.fr} ; ignoré",
                f"{unknown.en}; ignored",
                expression=(f"http.{name}",),
                severity="warning",
                details_code="ignored",
            )
        )

    def _condition(self, base: str, key: str, name: str, text: str, depth: int) -> Condition | None:
        """The condition that `key` (what is left of `name`) sets on resources of type `base`."""
        most = self.reading.limits.chain_depth_max
        check_at_most(name, depth, most, "maillons dans la chaîne", "links in the chain")
        if key.startswith("_has:"):
            return self._has(base, key, name, text, depth)
        link, dot, rest = key.partition(".")
        code, _, modifier = link.partition(":")
        parameter = find_parameter(base, code)
        if parameter is None:
            alias = _ALIASES.get((base, code))
            if alias is None:
                raise _UnknownNameError(
                    f"Paramètre inconnu pour {base} : {name}", f"Unknown parameter for {base}: {name}"
                )
            if code in _BOUNDS and not _PREFIXED.match(text):
                text = _BOUNDS[code] + text.lstrip()
            return self._condition(base, alias + key[len(code) :], name, text, depth)
        if parameter.name == "_filter" and link == code:
            return self._filter(base, name, text)
        if dot:
            return self._chain(parameter, modifier, rest, name, text, depth)
        return self._clause(parameter, modifier or None, name, text)

    def _clause(
        self, parameter: SearchParameter, modifier: str | None, name: str, text: str
    ) -> Clause | Above | None:
        modifier, target = self._modifier(parameter, modifier, name)
        if modifier == "above" and parameter.climbs is not None:
            plain = self._clause(parameter, None, name, text)
            return None if plain is None else above(parameter, plain)
        written = split(text, ",")
        if parameter.name in CONTACTS:
            written = [with_plus(part) for part in written]
        texts = [part for part in map(str.strip, written) if part]
        if not texts:
            return None
        limits = self.reading.limits
        self.values_total += len(texts)
        check_at_most(name, len(texts), limits.values_max, "valeurs", "values")
        check_at_most(name, self.values_total, limits.values_total_max, "valeurs en tout", "values in all")
        try:
            modifier, values = read_clause_values(parameter, modifier, target, texts, self.reading)
        except BadValueError as error:
            refuse(name, f"{name} : {error.fr}", f"{name}: {error.en}", error.code)
        return Clause(parameter, modifier, (values,))

    def _filter(self, base: str, name: str, text: str) -> Condition:
        limits = self.reading.limits
        try:
            tree = parse_filter(text, terms_max=limits.filter_terms_max, depth_max=limits.filter_depth_max)
            return FilterReader(self.reading).condition(base, tree)
        except FilterError as error:
            refuse(
                name,
                f"{name}, caractère {error.position} : {error.fr}",
                f"{name}, character {error.position}: {error.en}",
                error.code,
            )

    def _modifier(
        self, parameter: SearchParameter, modifier: str | None, name: str
    ) -> tuple[str | None, str | None]:
        """The modifier and, for a reference, the type that stands in its place."""
        if modifier is None or modifier in _written(parameter.modifiers):
            return modifier, None
        if parameter.type == "reference" and parameter.allows_target(modifier):
            return None, modifier
        refuse(
            name,
            f"Le modificateur :{modifier} n’est pas pris en charge pour {parameter.name}",
            f"The modifier :{modifier} is not supported for {parameter.name}",
            "not-supported",
        )

    def _chain(
        self, parameter: SearchParameter, target: str, rest: str, name: str, text: str, depth: int
    ) -> Chain | None:
        if parameter.type != "reference":
            raise _UnknownNameError(
                f"{name} : {parameter.name} n’est pas une référence",
                f"{name}: {parameter.name} is not a reference",
            )
        branches: list[Branch] = []
        unknown: _UnknownNameError | None = None
        for resource_type in self._chain_types(parameter, target, name):
            try:
                condition = self._condition(resource_type, rest, name, text, depth + 1)
            except _UnknownNameError as error:
                unknown = error
                continue
            if condition is None:
                return None
            branches.append(Branch(resource_type, condition))
        if not branches:
            raise unknown or _UnknownNameError(
                f"{name} : {parameter.name} ne mène à aucun type connu",
                f"{name}: {parameter.name} leads to no known type",
            )
        return Chain(parameter, tuple(branches))

    def _chain_types(self, parameter: SearchParameter, target: str, name: str) -> list[str]:
        if not target:
            known = self.reading.known_types
            return [t for t in reference_types(parameter, known) if t in known]
        if not parameter.allows_target(target):
            raise _UnknownNameError(
                f"{name} : {parameter.name} ne vise pas {target}",
                f"{name}: {parameter.name} does not refer to {target}",
            )
        self._check_type(target)
        return [target]

    def _check_type(self, resource_type: str) -> None:
        if resource_type not in self.reading.known_types or not parameters_of(resource_type):
            raise _UnknownNameError(f"Type inconnu : {resource_type}", f"Unknown type: {resource_type}")

    def _has(self, base: str, key: str, name: str, text: str, depth: int) -> Has | None:
        parts = key.split(":", 3)
        if len(parts) != 4 or not parts[3]:
            raise _UnknownNameError(
                f"{name} n’a pas la forme _has:Type:référence:paramètre",
                f"{name} is not of the form _has:Type:reference:parameter",
            )
        _, source, code, rest = parts
        self._check_type(source)
        parameter = find_parameter(source, code)
        if parameter is None or not parameter.includable or not parameter.allows_target(base):
            raise _UnknownNameError(
                f"{source} n’a pas de référence {code} vers {base}",
                f"{source} has no reference {code} to {base}",
            )
        condition = self._condition(source, rest, name, text, depth + 1)
        return None if condition is None else Has(parameter, (condition,))

    def _include(self, name: str, kind: str, modifier: str, text: str) -> None:
        if modifier not in ("", "iterate", "recurse"):
            refuse(
                name,
                f"Le modificateur :{modifier} n’est pas pris en charge",
                f"The modifier :{modifier} is not supported",
                "not-supported",
            )
        understood: list[str] = []
        for value in filter(None, map(str.strip, split(text, ","))):
            try:
                self.includes.append(
                    self._one_include(name, value, reverse=kind == "_revinclude", iterate=bool(modifier))
                )
                understood.append(value)
            except _UnknownNameError as unknown:
                self._ignore(name, unknown)
        most = self.reading.limits.includes_max
        check_at_most(name, len(self.includes), most, "inclusions", "includes")
        self._use(name, understood)

    def _use(self, name: str, understood: Sequence[str]) -> None:
        """Records the known values of a parameter as used."""
        if understood:
            self.used.append((name, ",".join(understood)))

    def _one_include(self, name: str, value: str, *, reverse: bool, iterate: bool) -> Include:
        source, colon, rest = value.partition(":")
        code, _, target = rest.partition(":")
        target = "" if target == "*" else target
        if value == "*":
            if not reverse:
                return Include(self.resource_type, _references(self.resource_type), None, iterate)
            raise _UnknownNameError(
                "_revinclude demande un type : Type:paramètre ou Type:*",
                "_revinclude needs a type: Type:parameter or Type:*",
            )
        if not colon or not code:
            refuse(name, "La forme attendue est Type:paramètre", "Expected Type:parameter")
        self._check_type(source)
        if target:
            self._check_type(target)
        parameters = _references(source) if code == "*" else (_include_parameter(source, code),)
        if not reverse and source != self.resource_type:
            # Only an included resource can be of another type: GAP and ROR leave :iterate out.
            iterate = True
        return Include(source, parameters, target or None, iterate, reverse)

    def _sort(self, text: str) -> None:
        understood: list[str] = []
        for key in map(str.strip, text.split(",")):
            code = key.removeprefix("-")
            if not code:
                continue
            parameter = find_parameter(self.resource_type, code)
            if parameter is not None and not self.gives_order(parameter):
                closed = (f"{code} ne trie pas pour vous", f"{code} does not sort for you")
                self._ignore("_sort", _UnknownNameError(*closed))
                continue
            if parameter is None or not parameter.sortable:
                self._ignore("_sort", _UnknownNameError(f"Tri inconnu : {code}", f"Unknown sort: {code}"))
                continue
            self.sort.append(SortKey(parameter, key.startswith("-")))
            understood.append(key)
        self._use("_sort", understood)
        most = self.reading.limits.sort_keys_max
        check_at_most("_sort", len(self.sort), most, "clés de tri", "sort keys")

    def _elements(self) -> tuple[str, ...]:
        """The elements asked for that the searched type, or a type that is included with it, has."""
        asked = [e for e in map(str.strip, self.results.get("_elements", "").split(",")) if e]
        if not asked:
            return ()
        types = {self.resource_type}
        for include in self.includes:
            known = self.reading.known_types
            types |= {include.source, *(t for p in include.parameters for t in reference_types(p, known))}
        understood: list[str] = []
        for element in asked:
            if any(has_element(resource_type, element) for resource_type in types):
                understood.append(element)
            else:
                unknown = _UnknownNameError(f"Élément inconnu : {element}", f"Unknown element: {element}")
                self._ignore("_elements", unknown)
        self._use("_elements", understood)
        return tuple(understood)

    def _count(self) -> int:
        limits = self.reading.limits
        text = self.results.get("_count")
        if text is None:
            return limits.count_default
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            refuse(
                "_count",
                "_count attend un entier positif ou nul",
                "_count must be an integer, 0 or more",
                "value",
            )
        count = min(int(text), limits.count_max)
        self.used.append(("_count", str(count)))
        return count

    def _choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        value = self.results.get(name, default)
        if value != default and value not in allowed:
            choices = ", ".join(allowed)
            refuse(name, f"{name} attend : {choices}", f"{name} must be one of: {choices}", "value")
        return value


def above(parameter: SearchParameter, condition: Condition) -> Above:
    """The condition that a resource or one above it fulfils `condition`."""
    reference = find_parameter(parameter.base, str(parameter.climbs))
    assert reference is not None
    return Above(reference, condition)


@cache
def _written(codes: tuple[str, ...]) -> frozenset[str]:
    """Modifiers as a query writes them (FHIR R4 search.html#token); `type` stands for the names of types."""
    return frozenset("of-type" if code == "ofType" else code for code in codes if code != "type")


def _include_parameter(source: str, code: str) -> SearchParameter:
    """The reference `code` of a type, which an include follows."""
    parameter = find_parameter(source, code)
    if parameter is None or not parameter.includable:
        raise _UnknownNameError(
            f"{source} n’a pas de référence {code} à inclure", f"{source} has no reference {code} to include"
        )
    return parameter


def _references(resource_type: str) -> tuple[SearchParameter, ...]:
    return tuple(p for p in parameters_of(resource_type).values() if p.includable)


def _join_bounds(conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """Join the bounds of a date that a resource has once: one range of one index instead of two halves."""
    joined: list[Condition] = []
    places: dict[str, int] = {}
    for condition in conditions:
        if (
            isinstance(condition, Clause)
            and condition.parameter.type == "date"
            and not condition.parameter.repeats
            and condition.modifier is None
        ):
            place = places.setdefault(condition.parameter.index_name, len(joined))
            if place < len(joined):
                before = cast(Clause, joined[place])
                joined[place] = Clause(before.parameter, None, before.groups + condition.groups)
                continue
        joined.append(condition)
    return tuple(joined)
