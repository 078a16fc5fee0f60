"""GenericTable: the SearchTable of the tables that `fhir.storage.tables.resource_tables` declares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from creneau_shared.database.conditions import FALSE, TRUE, all_of, any_of
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.bearers import bears
from creneau_shared.fhir.search.layout import (
    NARROW,
    SEPARATOR,
    STRING_INDEX_CHARACTERS,
    beginning_of,
    key_of,
    table_name,
)
from creneau_shared.fhir.search.name_words import (
    START,
    found_by_words,
    found_in_any_order,
    readings,
    same_saint,
    spellings,
)
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.registry import StorageNeeds, storage_needs
from creneau_shared.fhir.search.request import (
    Clause,
    Condition,
    DateValue,
    MissingValue,
    NearValue,
    NumberValue,
    OfTypeValue,
    ReferenceValue,
    SortKey,
    StringValue,
    Together,
    TokenValue,
    UriValue,
    Value,
    WordsValue,
)
from creneau_shared.fhir.search.sql import Arguments, Columns, Selection, SortValue, Walk
from creneau_shared.fhir.search.terms import bounded, escape, token_term
from creneau_shared.fhir.search.words import string_query


def literal(text: str) -> str:
    """A constant of the code as an SQL literal, so that the planner knows it."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class GenericTable:
    """Rows with `terms` and side tables; `needs` says which side tables there are."""

    resource_type: str
    name: str
    needs: StorageNeeds
    default_sort: tuple[SortKey, ...] = ()

    key_type = "bigint"

    @classmethod
    def of(cls, resource_type: str, default_sort: tuple[SortKey, ...] = ()) -> GenericTable:
        """The table of a type under its usual name, with all that its parameters need."""
        return cls(resource_type, table_name(resource_type), storage_needs(resource_type), default_sort)

    def source(self, alias: str) -> str:
        return f"{self.name} AS {alias}"

    def columns(self, alias: str) -> Columns:
        return Columns(
            key=f"{alias}.key",
            id=f"{alias}.id",
            version=f"{alias}.version",
            last_updated=f"{alias}.last_updated",
            content=f"{alias}.content",
        )

    def live(self, alias: str) -> str:
        return f"NOT {alias}.deleted"

    def predicate(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        parameter = clause.parameter
        if parameter.name == "_id":
            return _id_predicate(clause, alias, arguments)
        if parameter.name == "_lastUpdated":
            return _column_predicate(clause, f"{alias}.last_updated", arguments)
        if parameter.full_text:
            return words_condition(clause, f"{alias}.words", arguments)
        if clause.modifier == "missing":
            return self._missing(clause, alias, arguments)
        if clause.modifier == "text" or parameter.type == "string":
            return self._strings(clause, alias, arguments)
        if parameter.type == "date":
            return self._side("date", clause, date_condition, alias, arguments)
        if parameter.type in ("number", "quantity"):
            return self._side("number", clause, number_condition, alias, arguments)
        if parameter.type == "special":
            return any_of(_near(value, alias, arguments) for value in clause.values_as(NearValue))
        if clause.modifier == "below":
            return self._below(clause, alias, arguments)
        found = self._bears(clause_terms(clause), alias, arguments)
        return f"NOT {found}" if clause.modifier == "not" else found

    def refers_to(self, parameter: SearchParameter, selection: Selection, alias: str) -> str:
        target = selection.table
        start = f"{parameter.index_name}={target.resource_type}/"
        key = key_of(start) if self._narrow else start
        of_selected = f" || {target.columns(selection.alias).id}"
        return f"{alias}.terms && ARRAY({selection.select(literal(key or start) + of_selected)})"

    def referred_ids(self, parameter: SearchParameter, target_type: str, selection: Selection) -> str:
        start = f"{parameter.index_name}={target_type}/"
        selected = selection.select(
            f"substr(t, {len(start) + 1})", f"unnest({self._terms(selection.alias)}) AS t"
        )
        return f"{selected} AND starts_with(t, {literal(start)})"

    def has_id(self, ids: str, alias: str) -> str:
        return f"{alias}.id IN ({ids})"

    def bears_no_other(self, terms: Mapping[str, tuple[str, ...]], alias: str, arguments: Arguments) -> str:
        """Returns the condition that no term of the row is hidden from the caller. `terms`: the beginning of a term
        (`actor=`) → the terms with that beginning that the caller may see."""
        known = arguments.add([term for own in terms.values() for term in own], "text[]")
        named = any_of(f"starts_with(term, {literal(name)})" for name in terms)
        return (
            f"NOT EXISTS (SELECT FROM unnest({alias}.terms) AS term WHERE {named} AND term <> ALL({known}))"
        )

    def bears(self, terms: Sequence[str], alias: str, arguments: Arguments) -> str:
        ids = [term.removeprefix("_id=") for term in terms if term.startswith("_id=")]
        others = [term for term in terms if not term.startswith("_id=")]
        ways = [self._bears(others, alias, arguments)] if others else []
        if ids:
            ways.append(f"{alias}.id = ANY({arguments.add(ids, 'text[]')})")
        return any_of(ways)

    def references(self, parameters: Iterable[SearchParameter], alias: str) -> str:
        starts = dict.fromkeys(f"{parameter.index_name}=" for parameter in parameters)
        wanted = any_of(f"starts_with(t, {literal(start)})" for start in starts)
        return f"ARRAY(SELECT t FROM unnest({self._terms(alias)}) AS t WHERE {wanted})"

    def sort_value(self, key: SortKey, alias: str, arguments: Arguments) -> SortValue:
        parameter, descending = key.parameter, key.descending
        if parameter.name == "_id":
            return SortValue(f"{alias}.id", "text", nullable=False, descending=descending)
        if parameter.name == "_lastUpdated":
            return SortValue(f"{alias}.last_updated", "timestamptz", nullable=False, descending=descending)
        # Of several values, the first in the order asked for (FHIR R4 search.html#sort).
        first = "max" if descending else "min"
        kind = _side_kind(parameter)
        if kind in _ORDERED_COLUMNS:
            column, sql_type = _ORDERED_COLUMNS[kind]
            expression = (
                f"(SELECT {first}({column.format(row='o')}) FROM {self.name}_{kind} AS o "
                f"WHERE o.key = {alias}.key AND o.parameter = {literal(parameter.index_name)})"
            )
            if parameter.type == "string" and self._narrow:
                of_traits = _strings_of(alias, parameter.index_name)
                expression = f"coalesce((SELECT {first}({column.format(row='o')}) FROM {of_traits} AS o), {expression})"
            return SortValue(expression, sql_type, descending=descending)
        start = f"{parameter.index_name}="
        expression = (
            f'(SELECT {first}(substr(t, {len(start) + 1}) COLLATE "C") FROM unnest({self._terms(alias)}) AS t '
            f"WHERE starts_with(t, {literal(start)})"
            + (" AND strpos(t, '|') = 0)" if parameter.type == "token" else ")")
        )
        return SortValue(expression, "text", descending=descending)

    def walk(
        self, key: SortKey, conditions: Sequence[Condition], alias: str, arguments: Arguments
    ) -> Walk | None:
        parameter, descending = key.parameter, key.descending
        kind = _side_kind(parameter)
        if kind not in _ORDERED_COLUMNS or parameter.name == "_lastUpdated":
            return None
        if parameter.type == "string" and self._narrow:
            return None
        column, sql_type = _ORDERED_COLUMNS[kind]
        side, row = f"{self.name}_{kind}", f"{alias}_sort"
        value = column.format(row=row)
        where = [f"{row}.key = {alias}.key", f"{row}.parameter = {literal(parameter.index_name)}"]
        if parameter.type == "string" or parameter.repeats:
            # The row of the first value in the order asked for; of equal values, the first by place (ctid).
            other, before = column.format(row="other"), ">" if descending else "<"
            where.append(
                f"NOT EXISTS (SELECT FROM {side} AS other WHERE other.key = {row}.key "
                f"AND other.parameter = {row}.parameter AND ({other} {before} {value} "
                f"OR ({other} = {value} AND other.ctid < {row}.ctid)))"
            )
        answered = [c for c in conditions if _bounds(c, parameter)]
        for clause in answered:
            where += [
                any_of(date_condition(value, parameter, arguments, row) for value in group)
                for group in clause.groups_as(DateValue)
            ]
        absent = (
            f"NOT EXISTS (SELECT FROM {side} AS {row} WHERE {all_of(where[:2])})" if not answered else None
        )
        return Walk(
            source=f"{side} AS {row}",
            where=all_of(where),
            value=SortValue(value, sql_type, nullable=False, descending=descending),
            absent=absent,
            rest=tuple(c for c in conditions if c not in answered),
        )

    def distance(self, near: NearValue, alias: str, arguments: Arguments) -> str:
        point = _point(near, arguments)
        return f"earth_distance(ll_to_earth({alias}.latitude, {alias}.longitude), {point})"

    @property
    def _narrow(self) -> bool:
        return self.resource_type in NARROW

    def _terms(self, alias: str) -> str:
        """All terms of a row, indexed or not."""
        return f"({alias}.traits || {alias}.terms)" if self._narrow else f"{alias}.terms"

    def _bears(self, terms: Sequence[str], alias: str, arguments: Arguments) -> str:
        """Condition: the row bears one of the terms. For a narrow type, the index finds the candidates."""
        spelled = [bounded(term) for term in terms]
        keys = [key_of(term) for term in spelled] if self._narrow else spelled
        wanted = arguments.add(spelled, "text[]")
        if keys == spelled:
            named = len(spelled) > 1 and all(term.startswith("identifier=") for term in spelled)
            return f"({bears(wanted, f'{alias}.terms')})" if named else f"({alias}.terms && {wanted})"
        known = [key for key in keys if key is not None]
        bearing = f"{self._terms(alias)} && {wanted}"
        beginnings = [b for term in spelled if (b := beginning_of(term)) is not None]
        if beginnings:
            bearing = (
                f"({bearing} OR EXISTS (SELECT FROM unnest({self._terms(alias)}) AS t,"
                f" unnest({arguments.add(beginnings, 'text[]')}) AS b WHERE starts_with(t, b)))"
            )
        if len(known) < len(keys):
            return f"({bearing})"
        return f"({alias}.terms && {arguments.add(known, 'text[]')} AND {bearing})"

    def _below(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        name = clause.parameter.index_name
        uris = [f"{name}={value.uri}" for value in clause.values_as(UriValue)]
        starts = arguments.add([uri.rstrip("/") + "/%" for uri in map(_like, uris)], "text[]")
        same = arguments.add(uris, "text[]")
        return (
            f"({self._bears([name], alias, arguments)} AND EXISTS (SELECT 1 FROM unnest({self._terms(alias)}) AS t "
            f"WHERE t = ANY({same}) OR t LIKE ANY({starts})))"
        )

    def _missing(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        wanted = {value.missing for value in clause.values_as(MissingValue)}
        if len(wanted) == 2:
            return TRUE
        present = self._bears([clause.parameter.index_name], alias, arguments)
        return f"NOT {present}" if True in wanted else present

    def _check(self, parameter: SearchParameter, kind: str) -> None:
        has = {"string": self.needs.strings, "date": self.needs.dates, "number": self.needs.numbers}[kind]
        if not has:
            raise BadRequest(
                f"La recherche par {parameter.name} n’est pas prise en charge pour {self.resource_type}",
                f"Searching {self.resource_type} by {parameter.name} is not supported",
                code="not-supported",
                expression=f"http.{parameter.name}",
            )

    def _strings(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        self._check(clause.parameter, "string")
        if clause.modifier in (None, "contains") and found_by_words(
            self.resource_type, clause.parameter.name
        ):
            return self._names(clause, alias, arguments)
        name = clause.parameter.index_name + (":text" if clause.modifier == "text" else "")
        ways = [
            _string_condition(value, clause.modifier, arguments) for value in clause.values_as(StringValue)
        ]
        found = f"SELECT x.key FROM {self.name}_string AS x WHERE x.parameter = {literal(name)} AND {any_of(ways)}"
        if self._narrow:
            found = f"{found} UNION ALL {self._among_traits(name, clause, any_of(ways), arguments)}"
        return f"{alias}.key IN ({found})"

    def _among_traits(self, name: str, clause: Clause, condition: str, arguments: Arguments) -> str:
        """SELECT of the keys of rows with a matching string among their traits; by the index of their words, if a word of
        each value is known."""
        values = clause.values_as(StringValue)
        queries = [
            string_query(value.folded, None if clause.modifier == "text" else clause.modifier)
            for value in values
        ]
        known = [f"({query})" for query in queries if query is not None]
        where = [f"EXISTS (SELECT FROM {_strings_of('narrow', name)} AS x WHERE {condition})"]
        if len(known) == len(queries):
            where.insert(0, f"narrow.words @@ {arguments.add(' | '.join(known), 'text')}::tsquery")
        return f"SELECT narrow.key FROM {self.name} AS narrow WHERE {all_of(where)}"

    def _names(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        """Condition of a clause on names, which are found from each word on. A union, so that each way uses its index."""
        values = clause.values_as(StringValue)
        ways = [
            self._name(clause, asked, arguments) for value in values for asked in self._asked(clause, value)
        ]
        return f"{alias}.key IN ({' UNION ALL '.join(ways)})"

    def _asked(self, clause: Clause, value: StringValue) -> list[list[str]]:
        """Ways to read a name as phrases that must all be found."""
        if clause.modifier is None and found_in_any_order(self.resource_type, clause.parameter.name):
            return [asked for asked in readings(value.folded) if asked] or [[value.folded]]
        return [[value.folded]]

    def _spellings(self, clause: Clause, phrase: str) -> Sequence[str]:
        if clause.modifier is None:
            return spellings(self.resource_type, clause.parameter.name, phrase)
        return tuple(dict.fromkeys((phrase, same_saint(phrase))))

    def _name(self, clause: Clause, asked: Sequence[str], arguments: Arguments) -> str:
        """SELECT of the keys of rows with such a name. All phrases must match, wherever in the name they stand."""
        name = clause.parameter.index_name
        stored = f"ANY(ARRAY[{literal(name)}, {literal(name + START)}])"
        first, *others = (
            f"{row}.parameter = {stored} AND "
            + any_of(
                _begins(spelling, arguments, row)
                if clause.modifier is None
                else f"{row}.value LIKE {arguments.add(f'%{_like(spelling)}%', 'text')}"
                for spelling in self._spellings(clause, phrase)
            )
            if phrase
            else FALSE
            for row, phrase in ((f"x{number}", phrase) for number, phrase in enumerate(asked))
        )
        also = [
            f"EXISTS (SELECT FROM {self.name}_string AS x{number} WHERE x{number}.key = x0.key AND {other})"
            for number, other in enumerate(others, 1)
        ]
        return f"SELECT x0.key FROM {self.name}_string AS x0 WHERE {all_of([first, *also])}"

    def _side(
        self,
        kind: str,
        clause: Clause,
        condition: Callable[[Any, SearchParameter, Arguments], str],
        alias: str,
        arguments: Arguments,
    ) -> str:
        self._check(clause.parameter, kind)
        groups = all_of(
            any_of(condition(value, clause.parameter, arguments) for value in group)
            for group in clause.groups
        )
        stored = literals(stored_names(clause))
        return (
            f"{alias}.key IN (SELECT x.key FROM {self.name}_{kind} AS x "
            f"WHERE x.parameter {stored} AND {groups})"
        )

    def fulfils_together(self, together: Together, alias: str, arguments: Arguments) -> str:
        """Condition: one occurrence of the element fulfils all the clauses."""
        where = [f"o.item ->> 'of' = {literal(together.occurrence)}"]
        where += [_within(clause, arguments) for clause in together.clauses]
        return f"EXISTS (SELECT FROM jsonb_array_elements({alias}.occurrences) AS o (item) WHERE {all_of(where)})"

    def at_or_below(self, parameter: SearchParameter, top: Selection, child: Selection, alias: str) -> str:
        """Condition: the row is one of `top`, or refers through `parameter`, at any distance, to one of them. All rows on
        the way fulfil `child`. A circle of references comes to an end."""
        start = literal(f"{parameter.index_name}={self.resource_type}/")
        row = child.alias
        return (
            f"{alias}.key IN (WITH RECURSIVE tree (key, id) AS ("
            f"{top.select(f'{top.alias}.key, {top.alias}.id')} UNION "
            f"SELECT below.key, below.id FROM tree CROSS JOIN LATERAL (SELECT {row}.key, {row}.id"
            f" FROM {self.source(row)} WHERE {row}.terms @> ARRAY[{start} || tree.id] AND {child.where}) AS below"
            ") SELECT tree.key FROM tree)"
        )


def literals(texts: Sequence[str]) -> str:
    """`= 'a'` or `IN ('a', 'b')`: constants of the code, so that the planner knows them."""
    if len(texts) == 1:
        return f"= {literal(texts[0])}"
    return f"IN ({', '.join(map(literal, texts))})"


def stored_names(clause: Clause) -> list[str]:
    """The names under which the clause's values stand in its side table; the name of a quantity includes its unit."""
    name = clause.parameter.index_name
    values = (value for group in clause.groups for value in group)
    return list(dict.fromkeys(_stored_name(name, value) for value in values))


def _stored_name(name: str, value: Value) -> str:
    return f"{name}|{value.unit}" if isinstance(value, NumberValue) and value.unit is not None else name


def _within(clause: Clause, arguments: Arguments) -> str:
    """The clause's condition on one occurrence, `o.item` (`search.index`)."""
    kind = clause.parameter.type
    if kind not in ("date", "number", "quantity"):
        return f"o.item -> 'terms' ?| {arguments.add(clause_terms(clause), 'text[]')}"
    if kind == "date":
        column, types = "dates", "low timestamptz, high timestamptz"
        groups = all_of(
            any_of(date_condition(value, clause.parameter, arguments) for value in group)
            for group in clause.groups_as(DateValue)
        )
    else:
        column, types = "numbers", "value numeric"
        groups = all_of(
            any_of(number_condition(value, clause.parameter, arguments) for value in group)
            for group in clause.groups_as(NumberValue)
        )
    return (
        f"EXISTS (SELECT FROM jsonb_to_recordset(o.item -> '{column}') AS x (parameter text, {types})"
        f" WHERE x.parameter {literals(stored_names(clause))} AND {groups})"
    )


def date_condition(value: DateValue, parameter: SearchParameter, arguments: Arguments, row: str = "x") -> str:
    """The prefix's condition on the columns `low` and `high` of `row`."""
    if parameter.instant:
        return instant_condition(value, f"{row}.low", arguments)
    if value.prefix in _ONE_BOUND:
        condition, bound = _ONE_BOUND[value.prefix]
        return f"{row}.{condition} {arguments.add(getattr(value, bound), 'timestamptz')}"
    low, high = (arguments.add(bound, "timestamptz") for bound in (value.low, value.high))
    return _TWO_BOUNDS[value.prefix].format(x=row, low=low, high=high)


_ONE_BOUND = {
    "gt": ("high >", "high"),
    "lt": ("low <", "low"),
    "sa": ("low >=", "high"),
    "eb": ("high <=", "low"),
}
_TWO_BOUNDS = {
    # Some parts follow from the others: they give an index range its other end.
    "eq": "({x}.low >= {low} AND {x}.low < {high} AND {x}.high <= {high})",
    "ne": "({x}.low < {low} OR {x}.high > {high})",
    "ge": "({x}.high > {low} AND ({x}.low >= {low} OR {x}.high > {high}))",
    "le": "({x}.low < {high} AND ({x}.low < {low} OR {x}.high <= {high}))",
    "ap": "({x}.low < {high} AND {x}.high > {low})",
    "po": "({x}.low < {high} AND {x}.high > {low})",
    "co": "({x}.low <= {low} AND {x}.high >= {high})",
}


def instant_condition(value: DateValue, expression: str, arguments: Arguments) -> str:
    """The prefix's condition on a point in time, `expression`."""
    bound = {
        "gt": value.high,
        "sa": value.high,
        "le": value.high,
        "lt": value.low,
        "eb": value.low,
        "ge": value.low,
    }
    operator = {"gt": ">=", "sa": ">=", "ge": ">=", "lt": "<", "eb": "<", "le": "<"}
    if value.prefix in bound:
        return f"{expression} {operator[value.prefix]} {arguments.add(bound[value.prefix], 'timestamptz')}"
    low, high = (arguments.add(end, "timestamptz") for end in (value.low, value.high))
    if value.prefix == "ne":
        return f"({expression} < {low} OR {expression} >= {high})"
    return f"({expression} >= {low} AND {expression} < {high})"


def instants_condition(clause: Clause, expression: str, arguments: Arguments) -> str:
    """The clause's condition on a point in time, `expression`."""
    return all_of(
        any_of(instant_condition(value, expression, arguments) for value in group)
        for group in clause.groups_as(DateValue)
    )


def number_condition(value: NumberValue, parameter: SearchParameter, arguments: Arguments) -> str:
    """The prefix's condition on the column `x.value`; for a quantity, on the rows of its unit."""
    compared = _number_condition(value, arguments)
    if value.unit is None:
        return compared
    name = _stored_name(parameter.index_name, value)
    return f"(x.parameter = {literal(name)} AND {compared})"


def _number_condition(value: NumberValue, arguments: Arguments) -> str:
    operator = {"gt": ">", "sa": ">", "ge": ">=", "lt": "<", "eb": "<", "le": "<="}
    if value.prefix in operator:
        return f"x.value {operator[value.prefix]} {arguments.add(value.number, 'numeric')}"
    low, high = (arguments.add(end, "numeric") for end in (value.low, value.high))
    if value.prefix == "ne":
        return f"(x.value < {low} OR x.value >= {high})"
    return f"(x.value >= {low} AND x.value < {high})"


def words_condition(clause: Clause, column: str, arguments: Arguments, *, in_order: bool = True) -> str:
    """Condition: `column`, a tsvector, has the words of one of the values (`_text`, `_content`). Unless `in_order`, the
    words of a phrase may stand anywhere."""
    query = " | ".join(f"({value.query})" for value in clause.values_as(WordsValue))
    if not in_order:
        query = query.replace(" <-> ", " & ")
    return f"{column} @@ {arguments.add(query, 'text')}::tsquery"


def clause_terms(clause: Clause) -> list[str]:
    """The terms of which a row must bear one, for a token, reference or uri clause."""
    name = clause.parameter.index_name
    if clause.modifier == "identifier":
        name = f"{name}:identifier"
    return [bounded(term) for value in clause.values for term in _value_terms(name, clause.modifier, value)]


def _value_terms(name: str, modifier: str | None, value: Value) -> list[str]:
    if isinstance(value, TokenValue):
        return [token_term(name, value.system, value.code)]
    if isinstance(value, ReferenceValue):
        return [f"{name}={reference}" for reference in value.references]
    if isinstance(value, OfTypeValue):
        return [f"{name}:of-type={escape(value.system)}|{escape(value.code)}|{escape(value.value)}"]
    if isinstance(value, UriValue):
        return [f"{name}={uri}" for uri in (_ancestors(value.uri) if modifier == "above" else [value.uri])]
    raise TypeError(f"no terms for {value!r}")


def _ancestors(uri: str) -> list[str]:
    """`http://a/b/c` → itself, `http://a/b`, `http://a` (:above)."""
    start, separator, path = uri.partition("://")
    parts = path.split("/")
    return [uri] + [start + separator + "/".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]


def _strings_of(alias: str, name: str) -> str:
    """FROM item: the strings among a row's traits, as rows of a side table."""
    bar = f"E'\\x{ord(SEPARATOR):02x}'"
    value, exact = (f"split_part(t, {bar}, {place})" for place in (2, 3))
    return (
        f"(SELECT {value} AS value, {exact} AS exact FROM unnest({alias}.traits) AS t"
        f" WHERE starts_with(t, {literal(name)} || {bar}))"
    )


_ORDERED_COLUMNS = {
    "string": (f"left({{row}}.value, {STRING_INDEX_CHARACTERS})", "text"),
    "date": ("{row}.low", "timestamptz"),
    "number": ("{row}.value", "numeric"),
}
"""Type of parameter → the expression that orders the index of its side table, and its SQL type."""


def _side_kind(parameter: SearchParameter) -> str:
    """The side table of the parameter's values, if there is one: quantities stand among the numbers."""
    return "number" if parameter.type == "quantity" else parameter.type


def _bounds(condition: Condition, parameter: SearchParameter) -> TypeGuard[Clause]:
    """Whether the condition bounds the parameter's only date, so that its row in the side table answers it."""
    return (
        isinstance(condition, Clause)
        and condition.parameter.index_name == parameter.index_name
        and parameter.type == "date"
        and condition.modifier is None
        and not parameter.repeats
    )


def _id_predicate(clause: Clause, alias: str, arguments: Arguments) -> str:
    if clause.modifier == "missing":
        return TRUE if MissingValue(False) in clause.values else FALSE
    if clause.modifier in ("text", "of-type"):
        return FALSE
    tokens = [value for value in clause.values if isinstance(value, TokenValue)]
    ids = [value.code for value in tokens if value.system is None]
    found = f"{alias}.id = ANY({arguments.add(ids, 'text[]')})"
    return f"NOT {found}" if clause.modifier == "not" else found


def _column_predicate(clause: Clause, expression: str, arguments: Arguments) -> str:
    if clause.modifier == "missing":
        return TRUE if MissingValue(False) in clause.values else FALSE
    return instants_condition(clause, expression, arguments)


def _like(text: str) -> str:
    """`text` taken literally within LIKE."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _after(prefix: str) -> str:
    """The least string greater than every string that starts with `prefix`, in the order of code points."""
    last = ord(prefix[-1])
    following = 0xE000 if last == 0xD7FF else last + 1
    return prefix[:-1] + chr(following) if last < 0x10FFFF else prefix + prefix[-1]


def _indexed(column: str) -> str:
    """The part of a string that the ordered index holds."""
    return f"left({column}, {STRING_INDEX_CHARACTERS})"


def _string_condition(value: StringValue, modifier: str | None, arguments: Arguments) -> str:
    if modifier == "exact":
        same = arguments.add(value.folded[:STRING_INDEX_CHARACTERS], "text")
        return f"({_indexed('x.value')} = {same} AND x.exact = {arguments.add(value.text, 'text')})"
    if not value.folded:
        return FALSE
    if modifier in _ORDERED:
        return _ordered_string(value, modifier, arguments)
    if modifier == "ends":
        return f"x.value LIKE {arguments.add(f'%{_like(value.folded)}', 'text')}"
    if modifier == "contains":
        return f"x.value LIKE {arguments.add(f'%{_like(value.folded)}%', 'text')}"
    return _begins(value.folded, arguments, "x")


def _begins(folded: str, arguments: Arguments, row: str) -> str:
    """Condition: the column `value` of `row` begins with `folded`, by a range of the index."""
    start = folded[:STRING_INDEX_CHARACTERS]
    low, high = arguments.add(start, "text"), arguments.add(_after(start), "text")
    conditions = [f"{_indexed(f'{row}.value')} >= {low}", f"{_indexed(f'{row}.value')} < {high}"]
    if len(folded) > len(start):
        conditions.append(f"starts_with({row}.value, {arguments.add(folded, 'text')})")
    return all_of(conditions)


_ORDERED = {"equal": "=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def _ordered_string(value: StringValue, modifier: str, arguments: Arguments) -> str:
    """Compares by code points. The indexed part of the string decides, unless it is the same on both sides."""
    start = arguments.add(value.folded[:STRING_INDEX_CHARACTERS], "text")
    whole = f"x.value {_ORDERED[modifier]} {arguments.add(value.folded, 'text')}"
    indexed = _ORDERED[modifier] if modifier == "equal" else _ORDERED[modifier][0] + "="
    return f"({_indexed('x.value')} {indexed} {start} AND {whole})"


def _point(near: NearValue, arguments: Arguments) -> str:
    """The point as a scalar query: computed once, even by a plan that does not know the values."""
    latitude = arguments.add(near.latitude, "double precision")
    return f"(SELECT ll_to_earth({latitude}, {arguments.add(near.longitude, 'double precision')}))"


def _near(near: NearValue, alias: str, arguments: Arguments) -> str:
    """Condition: near the point. The index finds a box, and the distance cuts its corners off."""
    point, metres = _point(near, arguments), arguments.add(near.distance_m, "double precision")
    place = f"ll_to_earth({alias}.latitude, {alias}.longitude)"
    return (
        f"({alias}.latitude IS NOT NULL AND earth_box({point}, {metres}) @> {place} "
        f"AND earth_distance({place}, {point}) <= {metres})"
    )
