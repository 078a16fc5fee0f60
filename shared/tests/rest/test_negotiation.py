"""Headers as clients write them: preferences, versions, dates; none of them makes an answer an error of ours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from creneau_shared.errors import BadRequest, NotAcceptable
from creneau_shared.fhir.datatypes import WHOLE_NUMBER_MAX, whole_number
from creneau_shared.fhir.rest.exchange import asked_count, parse_http_date
from creneau_shared.fhir.rest.incoming import read_headers
from creneau_shared.fhir.rest.negotiation import Preference, accepted_format, entity_versions, names_entity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        (12, 12),
        ("9" * 5_000, WHOLE_NUMBER_MAX),
        ("²", None),
        ("٣", None),
        ("", None),
        (" 1", None),
        ("+1", None),
        ("-1", None),
        ("1_0", None),
        ("1.0", None),
        (True, None),
        (None, None),
    ],
)
def test_a_whole_number_is_written_in_digits(text: object, number: int | None) -> None:
    """Superscripts and Arabic digits are no numbers here; one of any length is."""
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["²", "٣", "-1", "x"])
def test_a_count_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        asked_count([("_count", text)], 10, 100)
    assert asked_count([("_count", "9" * 5_000)], 10, 100) == 100


@pytest.mark.parametrize(
    ("accept", "written"),
    [
        ("*/*", "json"),
        ("application/fhir+xml;q=1.0, application/fhir+json;q=0.9", "xml"),
        ("application/fhir+json;q=0, */*", "xml"),
        ("*/*, application/fhir+json;q=0", "xml"),
        ("application/fhir+xml;q=0, application/*;q=0.1", "json"),
        ("application/json, application/fhir+json;q=0", "json"),
        ("application/fhir+json;q=0, application/fhir+xml;q=0, */*", None),
        ("*/*;q=0", None),
    ],
)
def test_a_range_means_what_it_does_not_exclude_by_name(accept: str, written: str | None) -> None:
    if written is not None:
        assert accepted_format(accept, None) == written
        return
    with pytest.raises(NotAcceptable):
        accepted_format(accept, None)


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        (None, Preference()),
        ("return=minimal", Preference("minimal")),
        ("Return=minimal", Preference("minimal")),
        ("return = minimal", Preference("minimal")),
        ('return="minimal"', Preference("minimal")),
        ("return=minimal; foo=bar", Preference("minimal")),
        ("return=minimal, return=representation", Preference("minimal")),
        ("return=nothing, return=minimal", Preference()),
        ("handling=strict, return=OperationOutcome", Preference("OperationOutcome", strict=True)),
        ("handling=lenient, handling=strict", Preference()),
        ("Respond-Async, HANDLING=strict", Preference(strict=True, respond_async=True)),
        (",;=, =x, respond-async", Preference(respond_async=True)),
    ],
)
def test_preferences_as_rfc_7240_writes_them(header: str | None, meant: Preference) -> None:
    """The first of a repeated preference counts; names have no case; values may be quoted, with blanks around the sign."""
    assert Preference.parse(header) == meant


@pytest.mark.parametrize(
    ("header", "versions"),
    [
        ('W/"3"', {3}),
        ('"3"', {3}),
        ("3", {3}),
        (' W/"1" ,"2",W/"3"', {1, 2, 3}),
        (f'W/"{"9" * 5_000}"', {WHOLE_NUMBER_MAX}),
    ],
)
def test_if_match_names_versions(header: str, versions: set[int]) -> None:
    """One, or a list of which one has to match (RFC 9110 13.1.1)."""
    assert entity_versions(header, "If-Match") == versions


@pytest.mark.parametrize(
    "header", ["", "pas une version", 'W/"²"', 'W/"٣"', 'W/"1", W/"x"', 'W/"1",', '*, W/"1"']
)
def test_if_match_that_names_none_is_refused(header: str) -> None:
    with pytest.raises(BadRequest):
        entity_versions(header, "If-Match")


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ('W/"a"', True),
        ('"a"', True),
        ('W/"b", W/"a"', True),
        ("*", True),
        ('W/"b"', False),
        ("", False),
    ],
)
def test_if_none_match_is_a_list_compared_weakly(header: str, named: bool) -> None:
    """RFC 9110 13.1.2."""
    assert names_entity(header, 'W/"a"') is named


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Fri, 31 Dec 9999 23:59:59 -0100", None),
        ("Thu, 99 Foo 99999 99:99:99 GMT", None),
        ("²", None),
    ],
)
def test_a_date_that_no_calendar_has_is_passed_over(text: str, moment: datetime | None) -> None:
    assert parse_http_date(text) == moment


def test_lines_of_one_header_are_one_list() -> None:
    """RFC 9110 5.3: of a header that is a list each line counts; of any other the last."""
    lines = [
        (b"prefer", b"return=minimal"),
        (b"accept", b"application/fhir+xml"),
        (b"prefer", b"handling=strict"),
        (b"x-request-id", b"a"),
        (b"x-request-id", b"b"),
    ]
    assert read_headers(lines) == {
        "prefer": "return=minimal, handling=strict",
        "accept": "application/fhir+xml",
        "x-request-id": "b",
    }
