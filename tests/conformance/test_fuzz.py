"""Malformed and well-formed nonsense never gives a 5xx: the running system, fuzzed from its own OpenAPI description.

A few examples of each operation in `make test`; `make fuzz` takes more (CRENEAU_FUZZ_EXAMPLES). A failing example is
shown with the request that shows it.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.fixtures.stack import Stack

EXAMPLES = int(os.environ.get("CRENEAU_FUZZ_EXAMPLES", "1"))
"""of each operation, well-formed and malformed each"""
STRINGS = EXAMPLES * 200
"""of the search grammar"""
SERVICES = ("booking", "directory", "notifications")

quick = settings(
    database=None,
    derandomize="CRENEAU_FUZZ_EXAMPLES" not in os.environ,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def accepted(status: int) -> bool:
    """501 is what R4 asks for where `$something` is no operation of ours; every other 5xx is a fault."""
    return status < 500 or status == 501


@pytest.mark.timeout(0)
@pytest.mark.parametrize("service", SERVICES)
def test_no_request_of_the_description_gives_a_5xx(stack: Stack, service: str) -> None:
    description = httpx.get(f"{stack.service_url(service)}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(description)
    counts: Counter[int] = Counter()
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {stack.token('system')}"
        found = list(schema.get_all_operations())
        operations = [result.ok() for result in found if isinstance(result, Ok)]
        assert len(operations) == len(found), "every operation of the description is understood"
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _fuzz(operation.as_strategy(mode), session, stack.fhir, counts)
    print(
        f"\n{service}: {sum(counts.values())} requests to {len(operations)} operations, {dict(sorted(counts.items()))}"
    )
    assert counts[200], "well-formed requests were sent"
    assert counts[400], "malformed requests were sent"


def _fuzz(cases: Any, session: requests.Session, base_url: str, counts: Counter[int]) -> None:
    @settings(quick, max_examples=EXAMPLES)
    @given(case=cases)
    def run(case: Any) -> None:
        answer = case.call(base_url=base_url, session=session, timeout=30)
        counts[answer.status_code] += 1
        assert accepted(answer.status_code), f"{case.as_curl_command()}\n{answer.text}"

    run()


def words(text: str) -> st.SearchStrategy[str]:
    """One of the words of a text, or nothing."""
    return st.sampled_from(["", *text.split()])


NAMES = words(
    "start status schedule schedule.actor schedule.actor:Practitioner.name identifier _id end near date name"
    " _has:Appointment:slot:status _include _include:iterate _revinclude _sort _count _elements _lastUpdated"
    " _summary _total _tag _profile _cursor service-type patient.identifier entity actor _filter _text _content _format"
    " bookable bookable-by _at _since _type url context-type-value filter system code codeA codeB offset count"
)
MODIFIERS = words(":missing :exact :contains :not :text :identifier :of-type :below :above :in :not-in")
GRAMMAR = st.text(st.sampled_from("$,|\\:.*+-%&=?;/ \t\n\0éÀ𝔘\u202e0129TZgelt_has"), max_size=40)
AWKWARD = words(
    "ge2026-13-45 9999-12-31 0000 ap1-1-1 ap9999 2026-01-01T25:00 48|2|9e999|km NaN|NaN 1e400 true | a|b|c \\ Slot/"
    " xml http://hl7.org/fhir/ValueSet/slotstatus status#eq#busy#and#(start#ge#2026#or#not#schedule.actor#pr#true)"
    " http:// Slot:schedule:* *:* 10000-01-01 0001-01-01T00:00:00+14:00 9999-12-31T23:59:59-14:00"
)
VALUES = st.one_of(
    st.text(max_size=60), GRAMMAR, AWKWARD, st.builds("{}{}".format, AWKWARD, st.just("x" * 9_000))
)
PAIRS = st.lists(
    st.tuples(st.one_of(st.builds("{}{}".format, NAMES, MODIFIERS), GRAMMAR), VALUES), max_size=6
)


@pytest.mark.timeout(0)
def test_no_search_gives_a_5xx(system: httpx.Client) -> None:
    """Whatever stands in the parameters of a search, a history or an operation, in the address or in a form."""
    counts: Counter[int] = Counter()
    searched = (
        *("Slot", "Appointment", "Location", "Patient", "Practitioner", "AuditEvent", "Provenance"),
        *("StructureDefinition", "ValueSet"),
    )
    asked = "_history Slot/_history AuditEvent/none metadata ValueSet/$expand CodeSystem/$lookup CodeSystem/$subsumes"
    kinds = st.sampled_from(("", *searched, *searched, *asked.split()))

    @settings(quick, max_examples=STRINGS)
    @given(kind=kinds, pairs=PAIRS, by_form=st.booleans())
    def run(kind: str, pairs: list[tuple[str, str]], by_form: bool) -> None:
        text = str(httpx.QueryParams(tuple((name, value.replace("#", " ")) for name, value in pairs)))
        if by_form and kind in searched:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = system.post(f"/{kind}/_search", content=text, headers=headers)
        else:
            answer = system.get(f"/{kind}?{text}")
        counts[answer.status_code] += 1
        assert accepted(answer.status_code), f"{kind}?{text}\n{answer.text}"

    run()
    print(f"\nsearch: {sum(counts.values())} requests, {dict(sorted(counts.items()))}")


@pytest.mark.timeout(0)
@pytest.mark.parametrize("content_type", ["application/fhir+json", "application/fhir+xml", "text/plain"])
def test_no_body_gives_a_5xx(system: httpx.Client, content_type: str) -> None:
    """Bytes that are anything but a resource, and resources cut short or with one byte changed."""
    counts: Counter[int] = Counter()
    sound = {
        "application/fhir+json": b'{"resourceType":"Patient","name":[{"family":"Fictive"}],"birthDate":"1980-02-03"}',
        "application/fhir+xml": b'<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>',
        "text/plain": b"bonjour",
    }[content_type]
    broken = st.tuples(st.integers(0, len(sound) - 1), st.binary(max_size=3)).map(
        lambda change: sound[: change[0]] + change[1] + sound[change[0] + len(change[1]) :]
    )
    cut = st.integers(0, len(sound)).map(lambda end: sound[:end])
    methods = st.sampled_from(
        (("POST", "/Patient"), ("PUT", "/Patient/fuzz"), ("PATCH", "/Patient/fuzz"), ("POST", ""))
    )

    @settings(quick, max_examples=STRINGS // 3)
    @given(body=st.one_of(st.binary(max_size=200), broken, cut), call=methods)
    def run(body: bytes, call: tuple[str, str]) -> None:
        answer = system.request(*call, content=body, headers={"Content-Type": content_type})
        counts[answer.status_code] += 1
        assert accepted(answer.status_code), f"{call} {body!r}\n{answer.text}"

    run()
    print(f"\nbodies of {content_type}: {sum(counts.values())} requests, {dict(sorted(counts.items()))}")
