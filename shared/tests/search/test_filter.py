"""`_filter`: its grammar, its limits, and that it finds what plain parameters find."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared.tests.search.conftest import HELD
from shared.tests.search.store import BASE_URL, CODEC, KNOWN_TYPES, NOW, Store

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.execute import search
from creneau_shared.fhir.search.filter import (
    OPERATORS,
    Comparison,
    Filter,
    FilterError,
    Logic,
    Negation,
    Step,
    parse_filter,
    print_filter,
)
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import And, Chain, Clause, Condition, Not, Or, SearchRequest

LIMITS: dict[str, int] = {"terms_max": 500, "depth_max": 100}


def read(text: str) -> Filter:
    return parse_filter(text, **LIMITS)


def compare(path: str, operator: str, value: str) -> Comparison:
    return Comparison(tuple(Step(name) for name in path.split(".")), operator, value)


A, B, C = (compare(name, "eq", "1") for name in "abc")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ('name co "pet"', compare("name", "co", "pet")),
        ("birthdate ge 2014-10-10", compare("birthdate", "ge", "2014-10-10")),
        ("code eq http://loinc.org|1234-5", compare("code", "eq", "http://loinc.org|1234-5")),
        ('subject.name co "pet"', compare("subject.name", "co", "pet")),
        (r'a eq "\"\\\u00e9 )]"', compare("a", "eq", '"\\é )]')),
        ("a eq 1 and b eq 1 and c eq 1", Logic("and", (A, B, C))),
        ("a eq 1 or b eq 1 and c eq 1", Logic("and", (Logic("or", (A, B)), C))),
        ("a eq 1 or (b eq 1 and c eq 1)", Logic("or", (A, Logic("and", (B, C))))),
        ("(a eq 1 and b eq 1) and c eq 1", Logic("and", (Logic("and", (A, B)), C))),
        ("not (a eq 1)", Negation(A)),
        ("not(a eq 1) or not b eq 1", Logic("or", (Negation(A), Negation(B)))),
        ("((a eq 1))", A),
        (" a  eq\t1 ", A),
        ("not eq 1", None),
        (
            "a[b eq 1 or c eq 1].c.d pr true",
            Comparison((Step("a", None, Logic("or", (B, C))), Step("c"), Step("d")), "pr", "true"),
        ),
        (
            "actor:Practitioner.family sw x",
            Comparison((Step("actor", "Practitioner"), Step("family")), "sw", "x"),
        ),
    ],
)
def test_grammar(text: str, tree: Filter | None) -> None:
    """The examples of the specification; from left to right, neither `and` nor `or` binding tighter."""
    if tree is None:
        with pytest.raises(FilterError):
            read(text)
    else:
        assert read(text) == tree


_NAMES = st.from_regex(r"[a-z_][a-z0-9-]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("and", "or", "not")
)
_VALUES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)


def _tests(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    middle = st.builds(Step, _NAMES, st.none() | st.just("Patient"), st.none() | inner)
    path = st.builds(lambda steps, last: (*steps, Step(last)), st.lists(middle, max_size=2), _NAMES)
    return st.builds(Comparison, path, st.sampled_from(sorted(OPERATORS)), _VALUES)


_TREES: st.SearchStrategy[Filter] = st.recursive(
    _tests(st.nothing()),
    lambda inner: st.one_of(
        _tests(inner),
        st.builds(Negation, inner),
        st.builds(Logic, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@given(_TREES)
@settings(max_examples=120)
def test_what_is_printed_is_read_as_the_same(tree: Filter) -> None:
    """Every tree has its text."""
    assert read(print_filter(tree)) == tree


_GARBAGE = st.one_of(
    st.text(max_size=40),
    st.text(alphabet='ab ()[]."\\:eqandortno 19-|\ud800\x00', max_size=40),
    st.lists(
        st.sampled_from(["not", "(", ")", "and", "or", "status", "eq", "patient", "[", "]", ".", '"x', '"\\u0000"',
                         '"\\ud800"', "date", "2026", "in", "pr", "true", "_filter", "near", "co", " "]),
        max_size=12,
    ).map(" ".join),
)  # fmt: skip


@given(_GARBAGE)
@settings(max_examples=400)
def test_garbage_is_a_bad_request(text: str) -> None:
    """Whatever is written: understood, or refused with a 400."""
    with contextlib.suppress(BadRequest):
        parse("Appointment", text)


def parse(kind: str, text: str) -> Any:
    return parse_search(kind, [("_filter", text)], known_types=KNOWN_TYPES, now=NOW, base_url=BASE_URL)


@pytest.mark.parametrize(
    ("text", "position", "code"),
    [
        ("", 0, ""),
        ("status", 7, "invalid"),
        ("status is booked", 8, "invalid"),
        ("status eq", 10, "invalid"),
        ("status eq booked date", 18, "invalid"),
        ("(status eq booked", 18, "invalid"),
        ("status eq booked and colour eq red", 22, "not-supported"),
        ("patient.colour eq red", 9, "not-supported"),
        ("patient[colour eq red].family eq x", 9, "not-supported"),
        ("patient[family eq x] eq y", 22, "invalid"),
        ("status.code eq x", 1, "invalid"),
        ("status gt booked", 1, "not-supported"),
        ("date sw 2026", 1, "not-supported"),
        ("status eq booked and date gt demain", 22, "value"),
        ("status pr perhaps", 1, "value"),
        ("status in http://nowhere", 1, "not-found"),
        ("actor:Organization.name eq x", 1, "invalid"),
        ('status eq "a', 11, "invalid"),
        ("(" * 17 + "status eq a", 18, "too-costly"),
        (" and ".join(["status eq a"] * 65), 1025, "too-costly"),
        ("actor.organization.partof.partof.partof.partof.name eq x", 1, "too-costly"),
    ],
)
def test_errors_say_where(text: str, position: int, code: str) -> None:
    """The character is told, and the parameter, in both languages."""
    if not text:
        assert parse("Appointment", text).conditions == ()
        return
    with pytest.raises(BadRequest) as refused:
        parse("Appointment", text)
    (issue,) = refused.value.issues
    assert (issue.code, issue.expression) == (code, ("http._filter",))
    assert f"caractère {position} " in issue.fr
    assert f"character {position}:" in issue.en


SAME = [
    ("Appointment", "status eq booked", "status=booked"),
    ("Appointment", "status ne booked", "status:not=booked"),
    ("Appointment", "not (status eq booked)", "status:not=booked"),
    ("Appointment", "status eq booked or status eq cancelled", "status=booked,cancelled"),
    ("Appointment", "status pr true", "status:missing=false"),
    ("Appointment", "reason-code pr false", "reason-code:missing=true"),
    ("Appointment", "date ge 2026-12-01 and date lt 2026-12-02", "date=ge2026-12-01&date=lt2026-12-02"),
    ("Appointment", "date ne 2026-12-01", "date=ne2026-12-01"),
    ("Appointment", "patient re Patient/1", "patient=Patient/1"),
    ("Appointment", "patient ne Patient/1", "_filter=not (patient re Patient/1)"),
    ("Appointment", "patient.family sw ma", "patient.family=ma"),
    ("Appointment", "_lastUpdated ge 2026 and _id ne x", "_lastUpdated=ge2026&_id:not=x"),
    ("Slot", "schedule.actor:Practitioner.family eq MARTIN", "schedule.actor:Practitioner.family=martin"),
    ("Slot", "schedule.actor re Practitioner/p1", "schedule.actor=Practitioner/p1"),
    ("Slot", "status in http://hl7.org/fhir/ValueSet/slotstatus", "status:missing=false"),
    ("Slot", "status ni http://hl7.org/fhir/ValueSet/slotstatus", "status:missing=true"),
    ("Slot", "start sa 2026-12-01 and (status eq free)", "start=sa2026-12-01&status=free"),
    ("Practitioner", 'family co "arti"', "family:contains=arti"),
    ("Practitioner", 'family sw "mart"', "family=mart"),
    ("Practitioner", 'family ew "tin"', "family:contains=tin&family:contains=mar"),
    ("Practitioner", 'name eq "Martin" or family eq "martin"', "family=martin"),
    ("Practitioner", "family ge m and family lt n", "family=m"),
    ("Practitioner", "family gt martin and family le martin", "_id=none"),
    ("Practitioner", "family eq mart", "_id=none"),
    ("PractitionerRole", "practitioner[family eq martin].active eq true", "practitioner.family=martin&practitioner.active=true"),
    ("PractitionerRole", "location.near eq 48.85|2.35|50|km", "location.near=48.85|2.35|50|km"),
    ("Location", "near eq 48.85|2.35|50|km or name sw x", "near=48.85|2.35|50|km"),
    ("Practitioner", "_content co martin", "_content=martin"),
    ("Schedule", "date po 2026-12-03", "date=ap2026-12-03"),
    ("Schedule", "date co 2026-12-03", "date=le2026-12-03&date=ge2026-12-03"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "plain"), SAME)
async def test_it_finds_what_plain_parameters_find(graph: Store, kind: str, text: str, plain: str) -> None:
    """Each operator for each type of parameter that it applies to."""
    found = sorted(row.id for row in (await graph.result(f"{kind}?_filter={text}&_count=500")).matches)
    expected = sorted(row.id for row in (await graph.result(f"{kind}?{plain}&_count=500")).matches)
    assert found == expected


async def test_the_comparison_compares_something(graph: Store) -> None:
    """Most of the queries above find some and not all."""
    telling = 0
    for kind, text, _ in SAME:
        some = len((await graph.result(f"{kind}?_filter={text}&_count=500")).matches)
        telling += 0 < some < len((await graph.result(f"{kind}?_count=500")).matches)
    assert telling >= len(SAME) // 2, telling


_CRITERIA = {
    "Appointment": ["status=booked", "status=cancelled", "patient=Patient/1", "date=ge2026-12-02", "patient.family=m"],
    "Practitioner": ["family=martin", "active=true", "name:contains=a", "_id=p1", "_content=martin"],
    "Slot": ["status=free", "start=ge2026-12-02", "schedule.actor:Practitioner.family=martin", "service-type:missing=true"],
}  # fmt: skip


def _trees(kind: str) -> st.SearchStrategy[Any]:
    """Random trees over the criteria, by their numbers."""
    leaves = st.sampled_from(range(len(_CRITERIA[kind])))
    return st.recursive(
        leaves.map(lambda n: ("leaf", n)),
        lambda inner: st.one_of(
            st.tuples(st.just("not"), inner),
            st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
        ),
        max_leaves=6,
    )


@given(data=st.data(), kind=st.sampled_from(sorted(_CRITERIA)))
@settings(max_examples=60)
async def test_logic_is_set_logic(graph: Store, data: st.DataObject, kind: str) -> None:
    """AND, OR and NOT of conditions are intersection, union and complement of what each finds alone."""
    tree: Any = data.draw(_trees(kind))
    everything = frozenset(await graph.ids(f"{kind}?_count=500"))
    alone = [frozenset(await graph.ids(f"{kind}?{query}&_count=500")) for query in _CRITERIA[kind]]
    own = [
        parse_search(kind, [tuple(query.split("=", 1))], known_types=KNOWN_TYPES, now=NOW).conditions[0]  # type: ignore[list-item]
        for query in _CRITERIA[kind]
    ]

    def condition(node: Any) -> Condition:
        if node[0] == "leaf":
            leaf: Condition = own[node[1]]
            return leaf
        if node[0] == "not":
            return Not(condition(node[1]))
        return (And if node[0] == "and" else Or)(tuple(map(condition, node[1])))

    def members(node: Any) -> frozenset[str]:
        if node[0] == "leaf":
            found: frozenset[str] = alone[node[1]]
            return found
        if node[0] == "not":
            return everything - members(node[1])
        parts = list(map(members, node[1]))
        return frozenset.intersection(*parts) if node[0] == "and" else frozenset.union(*parts)

    assert await _found(graph, kind, condition(tree)) == members(tree)


async def _found(store: Store, kind: str, condition: Condition) -> frozenset[str]:

    request = SearchRequest(kind, conditions=(condition,), count=500)
    result = await search(store.connection, store.catalog, request, cursor_codec=CODEC)
    return frozenset(row.id for row in result.matches)


@pytest.mark.parametrize("kind", sorted(HELD))
async def test_every_parameter_and_operator_runs(graph: Store, kind: str) -> None:
    """Whatever the parser lets through, PostgreSQL understands, alone and as one of two ways."""
    values = [
        "a",
        "2026-12-01",
        "5",
        "true",
        "Patient/1",
        "48|2|1|km",
        "http://hl7.org/fhir/ValueSet/slotstatus",
    ]
    ran = 0
    for name in parameters_of(kind):
        for operator in sorted(OPERATORS):
            for value in values:
                try:
                    request = parse(kind, f"{name} {operator} {value}")
                except BadRequest:
                    continue
                await _found(graph, kind, request.conditions[0])
                await _found(graph, kind, Or((request.conditions[0], Not(request.conditions[0]))))
                ran += 1
                break
    assert ran > len(parameters_of(kind))


def test_what_all_must_hold_stands_beside_the_rest() -> None:
    """So that bounds are joined into one range, and policies see the window that is asked for."""
    conditions = parse("Slot", "start ge 2026-12-01 and start lt 2026-12-02 and status eq free").conditions
    assert [type(c) for c in conditions] == [Clause, Clause]
    assert len(conditions[0].groups) == 2
    nested = parse("Slot", "schedule.actor re Practitioner/1 or status eq free").conditions
    assert isinstance(nested[0], Or)
    assert isinstance(nested[0].conditions[0], Chain)
