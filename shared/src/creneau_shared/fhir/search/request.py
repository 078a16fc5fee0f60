"""A search as it was understood: typed, frozen, without any trace of HTTP or SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeVar

from creneau_shared.errors import Issue
from creneau_shared.fhir.search.parameters import SearchParameter

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "co", "po"]
"""How a date or number is compared. Only a `_filter` has `co` (the target contains the value) and `po` (overlaps)."""
Summary = Literal["true", "text", "data", "count", "false"]
TotalMode = Literal["default", "none", "estimate", "accurate"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one search may ask for. Beyond a limit: 400 too-costly, except counts, which are cut down."""

    parameters_max: int = 64
    """parameters of one query, result parameters included"""
    values_max: int = 256
    """comma-separated values of one parameter"""
    values_total_max: int = 1_024
    """values of all the parameters together"""
    value_characters_max: int = 16_384
    """characters of one parameter's value, all its comma-separated values together"""
    chain_depth_max: int = 4
    """links of a chain, forward and reverse together"""
    sort_keys_max: int = 4
    includes_max: int = 32
    """_include and _revinclude parameters together"""
    include_rounds_max: int = 5
    """how far :iterate goes from the matches"""
    included_max: int = 5_000
    """resources that are included in one page"""
    count_default: int = 20
    count_max: int = 1_000
    """matches on one page; a larger _count is cut down"""
    total_counted_max: int = 5_000
    """most matches that are counted for a total that was not asked for"""
    words_max: int = 64
    """words of one expression of _text or _content"""
    filter_terms_max: int = 64
    """comparisons of one _filter"""
    filter_depth_max: int = 16
    """parentheses and brackets within one another in a _filter"""
    value_set_codes_max: int = 10_000
    """codes of the value set or hierarchy that one :in, :not-in, :above or :below stands for"""
    sorted_whole_max: int = 5_000
    """matches that are sorted as a whole; more are read in the order of an index, where there is one (`pages`)"""
    near_default_m: float = 20_000.0
    """distance of `near` when none is given, metres"""
    near_max_m: float = 500_000.0
    """widest distance of `near`, metres"""


@dataclass(frozen=True, slots=True)
class TokenValue:
    """`code` (system None: any), `system|code`, `|code` (system "": none), `system|` (code None: any)."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class OfTypeValue:
    """An identifier by the coding of its type and its value (:of-type)."""

    system: str
    code: str
    value: str


@dataclass(frozen=True, slots=True)
class StringValue:
    """As written, and folded for comparison (a phonetic key for `phonetic`)."""

    text: str
    folded: str


@dataclass(frozen=True, slots=True)
class DateValue:
    """Compares with the interval `[low, high)`; for `ap` the interval is already widened."""

    prefix: Prefix
    low: datetime
    high: datetime


@dataclass(frozen=True, slots=True)
class NumberValue:
    """eq, ne and ap compare with `[low, high)` around `number`, the others with `number` itself."""

    prefix: Prefix
    number: Decimal
    low: Decimal
    high: Decimal
    unit: str | None = None
    """the common unit (`quantities`) of a quantity; None: compared by its number alone"""


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """The literal references that match: `Type/id`, one for each possible type of a bare id, or a URL."""

    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UriValue:
    """A uri, compared character by character."""

    uri: str


@dataclass(frozen=True, slots=True)
class NearValue:
    """Within `distance_m` metres of a point (degrees, WGS 84)."""

    latitude: float
    longitude: float
    distance_m: float


@dataclass(frozen=True, slots=True)
class WordsValue:
    """Words to look for, as the text of a tsquery (`words.words_query`)."""

    query: str


@dataclass(frozen=True, slots=True)
class MissingValue:
    """:missing: whether the element is to be absent."""

    missing: bool


Value = (
    TokenValue
    | OfTypeValue
    | StringValue
    | DateValue
    | NumberValue
    | ReferenceValue
    | UriValue
    | NearValue
    | WordsValue
    | MissingValue
)


V = TypeVar("V")


def _of_kind(value: Value, kind: type[V]) -> V:
    if not isinstance(value, kind):
        raise TypeError(f"a {kind.__name__} is wanted here, and this is a {type(value).__name__}")
    return value


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition on the searched resource's own parameter.

    `groups` is a conjunction of alternatives: each group holds when one of its values does. There is one
    group, except for dates that a resource has once only, whose bounds (`start=ge…&start=lt…`) are joined.
    `modifier` is None, missing, exact, contains, not, text, identifier, of-type, above or below (a type given
    to a reference and the codes that :in, :not-in, :above and :below of a token stand for are already part of its
    values), or, of a string in a `_filter`, equal, ends, gt, lt, ge or le (in the order of code points).
    """

    parameter: SearchParameter
    modifier: str | None
    groups: tuple[tuple[Value, ...], ...]

    @property
    def values(self) -> tuple[Value, ...]:
        """The alternatives of a clause with one group."""
        return self.groups[0]

    def values_as(self, kind: type[V]) -> tuple[V, ...]:
        """The alternatives of a clause with one group, as values of the kind that the parameter's type implies."""
        (group,) = self.groups_as(kind)
        return group

    def groups_as(self, kind: type[V]) -> tuple[tuple[V, ...], ...]:
        """The groups, as values of the kind that the parameter's type implies; TypeError when the parser made others."""
        return tuple(tuple(_of_kind(value, kind) for value in group) for group in self.groups)


@dataclass(frozen=True, slots=True)
class Branch:
    """One type that a chain may go through, and what must hold there."""

    resource_type: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Chain:
    """`parameter.…`: the referenced resource fulfils one of the branches."""

    parameter: SearchParameter
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:Type:reference:…`: one resource of that type refers here and fulfils all the conditions."""

    parameter: SearchParameter
    conditions: tuple[Condition, ...]

    @property
    def resource_type(self) -> str:
        """The type that refers here."""
        return self.parameter.base


@dataclass(frozen=True, slots=True)
class And:
    """All of the conditions hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of the conditions holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Together:
    """One occurrence of an element fulfils all of the clauses, which are also conditions of their own beside this."""

    occurrence: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Above:
    """The resource, or one above it by way of the reference `parameter`, fulfils the condition."""

    parameter: SearchParameter
    condition: Condition


Condition = Clause | Chain | Has | And | Or | Not | Together | Above


@dataclass(frozen=True, slots=True)
class Include:
    """`_include` (or, `reverse`, `_revinclude`) of the resources that `parameters` of `source` refer to.

    `where` narrows the resources that a `reverse` one includes; the query string cannot say it, a profile's
    view can.
    """

    source: str
    parameters: tuple[SearchParameter, ...]
    target: str | None = None
    iterate: bool = False
    reverse: bool = False
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of `_sort`."""

    parameter: SearchParameter
    descending: bool = False


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A whole search. `used` are the query's pairs that were understood, for link[self] and for cursors."""

    resource_type: str
    conditions: tuple[Condition, ...] = ()
    includes: tuple[Include, ...] = ()
    sort: tuple[SortKey, ...] = ()
    count: int = 20
    summary: Summary = "false"
    elements: tuple[str, ...] = ()
    total: TotalMode = "default"
    at_least: bool = False
    """whether each page must tell how many matches there are at least, if there is no total"""
    cursor: str | None = None
    issues: tuple[Issue, ...] = ()
    used: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)

    @property
    def count_only(self) -> bool:
        """Whether only the total is asked for (_summary=count, _count=0)."""
        return self.summary == "count" or self.count == 0


def near_of(request: SearchRequest) -> NearValue | None:
    """The point that the results are sorted around when no other order is asked for."""
    for clause in clauses_of(request.conditions):
        for value in clause.values:
            if isinstance(value, NearValue):
                return value
    return None


def clauses_of(conditions: tuple[Condition, ...]) -> Iterator[Clause]:
    """The conditions on the resource itself."""
    return (condition for condition in conditions if isinstance(condition, Clause))


def every_clause_of(conditions: tuple[Condition, ...]) -> Iterator[Clause]:
    """The conditions on the resource itself, and those of them that a `_filter` joins by and, or, not."""
    for condition in conditions:
        if isinstance(condition, Clause):
            yield condition
        elif isinstance(condition, And | Or):
            yield from every_clause_of(condition.conditions)
        elif isinstance(condition, Not):
            yield from every_clause_of((condition.condition,))


def asked_of(request: SearchRequest) -> Iterator[tuple[str, Clause]]:
    """Every clause with the type of resource that it is about, those within chains too."""
    return _asked_of(request.resource_type, request.conditions)


def _asked_of(resource_type: str, conditions: Iterable[Condition]) -> Iterator[tuple[str, Clause]]:
    for condition in conditions:
        if isinstance(condition, Clause):
            yield resource_type, condition
        elif isinstance(condition, Together):
            yield from ((resource_type, clause) for clause in condition.clauses)
        elif isinstance(condition, And | Or):
            yield from _asked_of(resource_type, condition.conditions)
        elif isinstance(condition, Not | Above):
            yield from _asked_of(resource_type, (condition.condition,))
        elif isinstance(condition, Has):
            yield from _asked_of(condition.resource_type, condition.conditions)
        else:
            for branch in condition.branches:
                yield from _asked_of(branch.resource_type, (branch.condition,))
