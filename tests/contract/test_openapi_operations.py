"""The OpenAPI descriptions say of the operations by which methods, with what and by which status they are answered, as the
router and the handlers have it: a client that is generated from them can call each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy import contracts


def described(service: str, path: str) -> dict[str, Any]:
    """The calls at one path, of the checked-in description: it is what the code gives (test_generated)."""
    text = (contracts.CONTRACTS / "openapi" / f"{service}.json").read_text(encoding="utf-8")
    return dict(json.loads(text)["paths"][path])


def headers(call: dict[str, Any]) -> set[str]:
    return {one["$ref"].rpartition("/")[2] for one in call["parameters"] if "$ref" in one}


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("booking", "/$bulk-publish"),
        ("booking", "/$dead-letters"),
        ("directory", "/$export"),
        ("directory", "/$export-file"),
    ],
)
def test_what_changes_nothing_is_asked_by_get_too(service: str, path: str) -> None:
    assert set(described(service, path)) == {"get", "post"}


@pytest.mark.parametrize("path", ["/$replay-dead-letter", "/$discard-dead-letter"])
def test_what_changes_something_is_asked_by_post_alone(path: str) -> None:
    assert set(described("booking", path)) == {"post"}


@pytest.mark.parametrize("path", ["/$export", "/Practitioner/$export"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_bulk_data_is_answered_later_whatever_is_preferred(path: str, method: str) -> None:
    assert set(described("directory", path)[method]["responses"]) == {"202", "default"}


@pytest.mark.parametrize("code", ["$hold", "$book", "$wait"])
def test_what_makes_an_appointment_says_that_it_does(code: str) -> None:
    for path in (f"/Appointment/{code}", f"/Appointment/{{id}}/{code}"):
        assert {"200", "201", "202"} <= set(described("booking", path)["post"]["responses"])


@pytest.mark.parametrize("code", ["$hold", "$book", "$wait", "$cancel", "$confirm", "$reschedule"])
def test_what_may_be_sent_twice_says_by_which_header(code: str) -> None:
    assert "Idempotency-Key" in headers(described("booking", f"/Appointment/{code}")["post"])


def test_erasure_may_be_sent_twice() -> None:
    assert "Idempotency-Key" in headers(described("booking", "/Patient/{id}/$erase")["post"])


@pytest.mark.parametrize("path", ["/Schedule/{id}/$sync-slots", "/RelatedPerson/{id}/$invite"])
def test_what_is_kept_nowhere_is_not_answered_later(path: str) -> None:
    call = described("booking", path)["post"]
    assert "202" not in call["responses"]
    assert "Prefer" not in headers(call)


def test_an_agenda_is_synchronised_by_lines() -> None:
    content = described("booking", "/Schedule/{id}/$sync-slots")["post"]["requestBody"]["content"]
    assert set(content) == {"application/fhir+json", "application/fhir+xml", "application/fhir+ndjson"}
