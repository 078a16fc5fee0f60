"""What the parser understands, refuses and tolerates."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared.tests.search.store import BASE_URL, KNOWN_TYPES, NOW, pairs

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.normal_form import normal_form
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.registry import REGISTRY, parameters_of
from creneau_shared.fhir.search.request import (
    Chain,
    Clause,
    DateValue,
    Limits,
    ReferenceValue,
    SearchRequest,
    StringValue,
    TokenValue,
    clauses_of,
)


def parse(query: str, **options: Any) -> SearchRequest:
    """Parse `Type?query` as written."""
    resource_type, _, rest = query.partition("?")
    return parse_search(
        resource_type, pairs(rest), known_types=KNOWN_TYPES, now=NOW, base_url=BASE_URL, **options
    )


def clause(query: str) -> Clause:
    """The only condition of a query, which is a clause."""
    (condition,) = parse(query).conditions
    assert isinstance(condition, Clause)
    return condition


def test_sas_query_verbatim() -> None:
    """The query that SAS prints, blanks after a comma included (INT_R01)."""
    query = (
        "_include=Slot:schedule&_include:iterate=Schedule:actor&start=ge2021-01-02T10:00:00"
        "&start=le2021-01-06T10:00:00&schedule.actor:Practitioner.identifier="
        "urn:oid:1.2.250.1.71.4.2.1|810101288385, urn:oid:1.2.250.1.71.4.2.1|800001288385,"
        "urn:oid:1.2.250.1.71.4.2.1|810106738385&status=free"
    )
    request = parse_search(
        "Slot", parse_qsl(query), known_types=KNOWN_TYPES, now=NOW, limits=Limits(count_default=1000)
    )
    window, chain, status = request.conditions
    assert isinstance(window, Clause)
    assert isinstance(chain, Chain)
    assert isinstance(status, Clause)
    assert [value.prefix for (value,) in window.groups] == ["ge", "le"]  # type: ignore[union-attr]
    assert window.groups[0][0].low == datetime(2021, 1, 2, 9, tzinfo=UTC)  # type: ignore[union-attr]
    inner = chain.branches[0].condition
    assert isinstance(inner, Chain)
    assert [branch.resource_type for branch in (*chain.branches, *inner.branches)] == [
        "Schedule",
        "Practitioner",
    ]
    identifiers = inner.branches[0].condition
    assert isinstance(identifiers, Clause)
    for number in ("810101288385", "800001288385", "810106738385"):
        assert TokenValue("urn:oid:1.2.250.1.71.4.2.1", number) in identifiers.values
    assert [(i.source, i.iterate) for i in request.includes] == [("Slot", False), ("Schedule", True)]
    assert request.count == 1000
    assert request.issues == ()


def test_cpts_offset_with_a_blank_for_its_plus() -> None:
    """`+02:00` that form decoding turned into ` 02:00` means the same instant."""
    decoded = parse_qsl("start=ge2024-06-12T16:20:00.000+02:00")
    assert decoded == [("start", "ge2024-06-12T16:20:00.000 02:00")]
    (value,) = clause("Slot?" + "=".join(decoded[0])).values
    assert isinstance(value, DateValue)
    assert value.low == datetime(2024, 6, 12, 14, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [TokenValue(None, "a")]),
        ("s|a", [TokenValue("s", "a")]),
        ("|a", [TokenValue("", "a")]),
        ("s|", [TokenValue("s", None)]),
        ("a\\|b", [TokenValue(None, "a|b")]),
        ("s|a\\|b", [TokenValue("s", "a|b")]),
        ("a\\,b,c", [TokenValue(None, "a,b"), TokenValue(None, "c")]),
        ("a\\$\\\\", [TokenValue(None, "a$\\")]),
        ("a, b,,", [TokenValue(None, "a"), TokenValue(None, "b")]),
        ("a\\", [TokenValue(None, "a\\")]),
    ],
)
def test_token_forms_and_escapes(text: str, expected: list[TokenValue]) -> None:
    """R4 search.html: comma is OR, a backslash takes `,` `$` `|` `\\` literally."""
    assert list(clause(f"Slot?identifier={text}").values) == expected


@pytest.mark.parametrize(
    "query",
    [
        "Practitioner?identifier={}",
        "Practitioner?identifier:not={}",
        "PractitionerRole?practitioner:identifier={}",
        "PractitionerRole?practitioner.identifier={}",
    ],
)
def test_a_national_number_is_one_in_all_its_spellings(query: str) -> None:
    spelled = (
        "urn:oid:1.2.250.1.71.4.2.1|899000000016",
        "urn:oid:1.2.250.1.71.4.2.1|99000000016",
        "https://rpps.esante.gouv.fr|99000000016",
        "http://rpps.fr|99000000016",
    )
    meant = {normal_form(parse(query.format(number)).conditions) for number in spelled}
    assert len(meant) == 1
    assert all(repr(number.partition("|")[0]) in text for text in meant for number in spelled)
    as_given = {normal_form(parse(query.format(one), every_spelling=False).conditions) for one in spelled}
    assert len(as_given) == len(spelled)


def test_references() -> None:
    """Bare ids stand for every type that the reference may name; the own base is dropped."""
    assert clause("Slot?schedule=12").values == (ReferenceValue(("Schedule/12",)),)
    assert clause("Schedule?actor:Location=12").values == (ReferenceValue(("Location/12",)),)
    assert len(clause("Schedule?actor=12").values[0].references) == 7  # type: ignore[union-attr]
    assert clause(f"Slot?schedule={BASE_URL}/Schedule/12").values == (ReferenceValue(("Schedule/12",)),)
    assert clause("Slot?schedule=https://other/Schedule/1").values == (
        ReferenceValue(("https://other/Schedule/1",)),
    )


def test_bounds_of_one_date_are_joined_only_where_a_resource_has_it_once() -> None:
    """`requested-period` repeats: each bound may hold for another period."""
    assert len(parse("Appointment?date=ge2026&date=lt2027").conditions) == 1
    assert len(parse("Appointment?date=ge2026&start=lt2027").conditions) == 1
    assert len(parse("Appointment?requested-period=ge2026&requested-period=lt2027").conditions) == 2
    assert len(parse("Appointment?date=ge2026&date:missing=false").conditions) == 2


def test_result_parameters() -> None:
    """_count is cut down and shown as used; _count=0 asks for the total only."""
    request = parse(
        "Slot?_count=5000&_sort=-start,_id&_elements=id,start&_total=accurate&_summary=data&_format=json"
    )
    assert request.count == 1000
    assert [(key.parameter.name, key.descending) for key in request.sort] == [("start", True), ("_id", False)]
    assert request.elements == ("id", "start")
    assert (request.total, request.summary) == ("accurate", "data")
    assert ("_count", "1000") in request.used
    assert ("_format", "json") in request.used
    assert parse("Slot?_count=0").count_only
    assert parse("Slot?_summary=count").count_only


def test_empty_values_are_ignored() -> None:
    """`status=` constrains nothing, and is not among what was used."""
    request = parse("Slot?status=&identifier=,,&start=2026")
    assert [c.parameter.name for c in clauses_of(request.conditions)] == ["start"]
    assert request.used == (("start", "2026"),)


UNKNOWN = [
    # parameters
    ("Slot?colour=blue", ""),
    ("Slot?colour:exact=blue", ""),
    # links and types of chains
    ("Slot?status.name=x", ""),
    ("Slot?schedule.nothing=x", ""),
    ("Slot?schedule.actor:Practitioner.colour=x", ""),
    ("Slot?schedule:Patient.name=x", ""),
    ("Slot?schedule:Nothing.name=x", ""),
    ("Slot?schedule.actor:Device.identifier=x", ""),
    ("Slot?_has:Appointment:slot=x", ""),
    ("Slot?_has:Appointment:patient:status=x", ""),
    ("Slot?_has:Appointment:slot:colour=x", ""),
    ("Slot?_has:Condition:appointment:status=x", ""),
    # includes
    ("Slot?_include=Slot:foo", ""),
    ("Slot?_include=Slot:status", ""),
    ("Slot?_include=Condition:patient", ""),
    ("Slot?_include=Slot:schedule:Condition", ""),
    ("Slot?_include=Slot:foo,Slot:schedule", "_include=Slot:schedule"),
    ("Slot?_revinclude=Condition:patient", ""),
    ("Slot?_revinclude=Appointment:foo", ""),
    ("Slot?_revinclude=*", ""),
    ("Slot?_include:iterate=Condition:patient", ""),
    # keys of _sort
    ("Slot?_sort=colour", ""),
    ("Slot?_sort=-start,colour", "_sort=-start"),
    ("Location?_sort=near", ""),
    # elements
    ("Slot?_elements=colour", ""),
    ("Slot?_elements=start,colour", "_elements=start"),
]


@pytest.mark.parametrize(("query", "used"), UNKNOWN)
def test_names_that_are_not_known(query: str, used: str) -> None:
    """Lenient: left out, told with the parameter, and not in `self`; strict: refused (R4 search.html#errors)."""
    request = parse(query + "&_id=1")
    (issue,) = request.issues
    assert (issue.severity, issue.code, issue.details_code) == ("warning", "not-supported", "ignored")
    assert issue.expression == ("http." + query.partition("?")[2].partition("=")[0],)
    assert issue.fr != issue.en
    assert sorted(f"{name}={text}" for name, text in request.used) == sorted(filter(None, [used, "_id=1"]))
    with pytest.raises(BadRequest) as refused:
        parse(query, strict=True)
    assert refused.value.issues[0].code == "not-supported"
    assert refused.value.issues[0].expression == issue.expression


def test_elements_of_what_is_included_are_known() -> None:
    """`_elements` names elements of whatever the answer holds, a choice without its type."""
    assert parse("Slot?_elements=start,actor&_include=Slot:schedule").issues == ()
    assert parse("Patient?_elements=deceased,id").issues == ()
    (issue,) = parse("Slot?_elements=start,actor").issues
    assert "actor" in issue.fr


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("Slot?start=yesterday", "value"),
        ("Slot?start=2026-02-30", "value"),
        ("Slot?start=gt", "value"),
        ("Slot?start=2026-01-01T10", "value"),
        ("Slot?status=|", "value"),
        ("Slot?status:missing=maybe", "value"),
        ("Slot?status:exact=free", "not-supported"),
        ("Slot?status:in=http://vs", "not-found"),
        ("Slot?service-type:below=urn:unknown|x", "not-found"),
        ("Slot?service-type:above=urn:unknown|", "value"),
        ("Slot?start:in=http://vs", "not-supported"),
        ("Slot?schedule:Practitioner=1", "not-supported"),
        ("Slot?schedule=what is this", "value"),
        ("Slot?schedule:Schedule=Patient/1", "value"),
        ("Slot?_include=schedule", "invalid"),
        ("Slot?_include:later=Slot:schedule", "not-supported"),
        ("Slot?_count=-1", "value"),
        ("Slot?_count=many", "value"),
        ("Slot?_summary=all", "value"),
        ("Slot?_summary=text&_include=Slot:schedule", "invalid"),
        ("Slot?_total=roughly", "value"),
        ("Slot?_filter=status eq", "invalid"),
        ("Slot?_filter:missing=true", "not-supported"),
        ("Slot?_text=...", "value"),
        ("Slot?_text:contains=free", "not-supported"),
        ("Slot?_content=" + "(" * 20 + "a", "too-costly"),
        ("Slot?_list=42", "not-supported"),
        ("Slot?_query=urgent", "not-supported"),
        ("Slot?_containedType=container", "not-supported"),
        ("Slot?_contained=true", "not-supported"),
        ("Location?near=48.8", "value"),
        ("Location?near=91|0", "value"),
        ("Location?near=48|2|5|parsecs", "value"),
        ("Location?near=48|2|50000|km", "value"),
        ("Appointment?priority=high", "value"),
        ("Patient?identifier:of-type=MR|1", "value"),
        ("Appointment?supporting-info:text=x", "not-supported"),
        ("Appointment?supporting-info:exact=x", "not-supported"),
        ("Provenance?target:text=x", "not-supported"),
        ("Provenance?entity:bogus=x", "not-supported"),
        ("AuditEvent?entity:text=x", "not-supported"),
        ("Communication?based-on:text=x", "not-supported"),
        ("Communication?part-of:text=x", "not-supported"),
        ("Slot?schedule.actor:PractitionerRole.practitioner._has:PractitionerRole:practitioner:location.partof.partof.name=x",
         "too-costly"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("strict", [False, True])
def test_what_is_refused(query: str, code: str, strict: bool) -> None:
    """A known parameter with a wrong value or modifier is a 400 that names the parameter, lenient or strict."""
    with pytest.raises(BadRequest) as refused:
        parse(query, strict=strict)
    (issue,) = refused.value.issues
    assert issue.code == code
    assert issue.expression == ("http." + query.partition("?")[2].partition("=")[0],)
    assert issue.fr
    assert issue.en != issue.fr


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("Slot?status=free&status=busy&start=2026", "parameters_max"),
        ("Slot?status=a,b,c", "values_max"),
        ("Slot?status=a,b&service-type=c", "values_total_max"),
        ("Slot?schedule.actor:PractitionerRole.practitioner.name=x", "chain_depth_max"),
        ("Slot?_sort=start,status,_id", "sort_keys_max"),
        ("Slot?_content=a b c", "words_max"),
        ("Slot?_filter=status eq a and status eq b and status eq c", "filter_terms_max"),
        ("Slot?_filter=not (not (not (status eq a)))", "filter_depth_max"),
        ("Slot?status:in=http://hl7.org/fhir/ValueSet/slotstatus", "value_set_codes_max"),
        ("Slot?_include=Slot:schedule,Schedule:actor,Slot:*", "includes_max"),
    ],
)
def test_limits(query: str, limit: str) -> None:
    """Each limit is a setting, and is enforced just beyond it."""
    parse(query)
    with pytest.raises(BadRequest) as refused:
        parse(query, limits=replace(Limits(), **{limit: 2}))
    assert refused.value.issues[0].code == "too-costly"


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x" * 20_000])
def test_unreadable_characters_and_lengths(text: str) -> None:
    """What the database could not even be asked."""
    with pytest.raises(BadRequest):
        parse_search("Patient", [("name", text)], known_types=KNOWN_TYPES, now=NOW)


def test_tolerated_spellings() -> None:
    """BaRS capitals, GP Connect's :recurse, GAP's missing :iterate and its address of a role."""
    assert isinstance(parse("Slot?Schedule.actor:HealthcareService=1").conditions[0], Chain)
    assert clause("Appointment?Identifier=x").parameter.name == "identifier"
    (include,) = parse("Slot?_include:recurse=Slot:schedule").includes
    assert include.iterate
    (include,) = parse("Slot?_include=Schedule:actor").includes
    assert include.iterate
    (chain,) = parse("Slot?schedule.actor:PractitionerRole.address=Paris").conditions
    assert isinstance(chain, Chain)


def test_string_values_are_folded() -> None:
    """Case, accents, ligatures and punctuation do not count."""
    (value,) = clause("Patient?family=L’ŒUVRE--Noël").values
    assert value == StringValue("L’ŒUVRE--Noël", "l oeuvre noel")


def test_approximate_dates_widen_with_distance() -> None:
    """ap: a tenth of the gap between now and the date on both sides."""
    (value,) = clause("Slot?start=ap2026-11-30").values
    assert isinstance(value, DateValue)
    gap = (datetime(2026, 11, 29, 23, tzinfo=UTC) - NOW) / 10
    assert value.low == datetime(2026, 11, 29, 23, tzinfo=UTC) - gap
    assert value.high - value.low == timedelta(days=1) + 2 * gap


_NAMES = sorted({name for parameters in REGISTRY.values() for name in parameters} | {"_has:Slot:schedule"})
_KEYS = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from([*_NAMES, *sorted(KNOWN_TYPES)]), min_size=1, max_size=5).flatmap(
        lambda names: st.lists(
            st.sampled_from([":", ".", ":not.", ":missing", ":exact", "_has:", ""]),
            min_size=len(names),
            max_size=len(names),
        ).map(lambda joints: "".join(a + b for a, b in zip(names, joints, strict=True)))
    ),
    st.sampled_from(
        ["_sort", "_count", "_include", "_revinclude:iterate", "_summary", "_total", "_elements"]
    ),
)
_TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="0123456789-:TZ+. |,\\$egltnapsb", max_size=40),
    st.sampled_from(["Slot:schedule", "Slot:*", "*", "2026-12-01", "-start", "true", "Practitioner/1"]),
)


@settings(max_examples=400)
@given(
    resource_type=st.sampled_from(sorted(REGISTRY)),
    query=st.lists(st.tuples(_KEYS, _TEXTS), max_size=6),
    strict=st.booleans(),
)
def test_nothing_but_our_errors(resource_type: str, query: list[tuple[str, str]], strict: bool) -> None:
    """Whatever a client sends, the answer is a request or a typed refusal, never a crash."""
    with contextlib.suppress(BadRequest):
        parse_search(resource_type, query, known_types=KNOWN_TYPES, now=NOW, strict=strict)


@given(text=_TEXTS)
def test_every_parameter_survives_any_value(text: str) -> None:
    """Each registered parameter of Appointment and Location with any value."""
    for resource_type in ("Appointment", "Location", "Patient"):
        for name in parameters_of(resource_type):
            with contextlib.suppress(BadRequest):
                parse_search(resource_type, [(name, text)], known_types=KNOWN_TYPES, now=NOW)
