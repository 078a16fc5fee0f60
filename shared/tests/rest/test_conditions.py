"""If-None-Exist: the forms in which clients send it are one condition; what searches elsewhere is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.conditions import asked_condition
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.security.principal import ANONYMOUS

BASE = "https://creneau.example/fhir"


def condition(text: str | None) -> list[tuple[str, str]] | None:
    headers = {"host": "localhost:8080"} | ({} if text is None else {"if-none-exist": text})
    request = FhirRequest(
        method="POST",
        path=("Patient",),
        query=[],
        headers=headers,
        body=b"",
        principal=ANONYMOUS,
        now=datetime(2026, 11, 28, tzinfo=UTC),
        base_url=BASE,
    )
    query = asked_condition(request, "Patient")
    return None if query is None else parse_qsl(query)


@pytest.mark.parametrize("value", ["urn:test|12", "urn%3Atest%7C12"])
@pytest.mark.parametrize(
    "before",
    [
        "",
        "?",
        "Patient?",
        "/Patient?",
        f"{BASE}/Patient?",
        f" {BASE}/Patient/?",
        "http://localhost:8080/fhir/Patient?",
        "https://localhost:8080/fhir/Patient?",
    ],
)
def test_every_form_of_a_condition_is_the_same(before: str, value: str) -> None:
    assert condition(f"{before}identifier={value}&active=true") == [
        ("identifier", "urn:test|12"),
        ("active", "true"),
    ]


def test_without_the_header_there_is_no_condition() -> None:
    assert condition(None) is None


def test_an_address_within_a_value_is_no_address_of_the_search() -> None:
    """The system of an identifier may have a question mark, or be the address of another server."""
    said = "identifier=https://elsewhere.example/Patient?list|12"
    assert condition(said) == [("identifier", "https://elsewhere.example/Patient?list|12")]


@pytest.mark.parametrize(
    "text",
    [
        "Practitioner?identifier=urn:test|12",
        f"{BASE}/Practitioner?identifier=urn:test|12",
        f"{BASE}/Patient/12?identifier=urn:test|12",
        f"{BASE}2/Patient?identifier=urn:test|12",
        "https://elsewhere.example/fhir/Patient?identifier=urn:test|12",
        "//elsewhere.example/fhir/Patient?identifier=urn:test|12",
        "https://elsewhere.example/fhir/Patient",
    ],
)
def test_what_searches_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        condition(text)
    (issue,) = refused.value.issues
    assert (issue.details_code, issue.expression) == ("condition-elsewhere", ("http.If-None-Exist",))
