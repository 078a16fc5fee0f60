"""What links carry is readable by the service alone: the values that a page ended with, and what was searched by."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from uuid import uuid4

import pytest

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.bundle import ADDRESS_CHARACTERS_MAX, query_url
from creneau_shared.fhir.search.cursor import Cursor, CursorCodec, query_digest
from creneau_shared.fhir.search.sealing import MARK, QuerySeal, is_sealed
from creneau_shared.fhir.search.sql import RowPlace

DIGEST = query_digest("Patient", [("_sort", "identifier")])
PLACE = Cursor(RowPlace(("269054958815780", 12)), 3)


def test_a_cursor_does_not_tell_the_value_that_the_page_ended_with() -> None:
    text = CursorCodec("secret").encode(PLACE, DIGEST)
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert b"2690549588157" not in raw
    assert CursorCodec("secret").decode(text, DIGEST) == PLACE, "another process of the service reads it"


def test_a_cursor_is_good_for_its_service_and_query_only() -> None:
    text = CursorCodec("secret").encode(PLACE, DIGEST)
    for codec, digest in (
        (CursorCodec("another"), DIGEST),
        (CursorCodec(""), DIGEST),
        (CursorCodec("secret"), query_digest("Patient", [("_sort", "family")])),
    ):
        with pytest.raises(BadRequest):
            codec.decode(text, digest)


def test_a_closed_query_says_its_parameters_in_order_and_no_value() -> None:
    pairs = [
        ("family", "Canari"),
        ("_sort", "family"),
        ("_has:Appointment:patient:date", "2026"),
        ("_count", "5"),
    ]
    closed = QuerySeal("secret").close(pairs)
    assert [name for name, _ in closed] == [name for name, _ in pairs]
    assert [text for _, text in closed if not text.startswith(MARK)] == ["family", "5"]
    assert is_sealed(closed)
    assert not is_sealed(pairs)
    assert QuerySeal("secret").open(closed) == pairs


def test_the_agendas_of_a_search_that_came_in_a_body_fit_into_the_address_of_its_next_page() -> None:
    """Three parameters of as many values as one may have. What is longer still is refused where there is a next page."""
    agendas = [",".join(f"Schedule/{uuid4()}" for _ in range(256)) for _ in range(3)]
    pairs = [*(("schedule", text) for text in agendas), ("start", "ge2026"), ("_cursor", "x" * 200)]
    url = query_url("https://creneau.example/fhir/Slot", QuerySeal("secret").close(pairs))
    assert len(url) < ADDRESS_CHARACTERS_MAX
    endless = [("name", "".join(map(chr, range(0x1000, 0x5000))))]
    closed = QuerySeal("secret").close(endless)
    assert query_url("https://creneau.example/fhir/Slot", closed), "on one page, and found by it"
    with pytest.raises(BadRequest) as refused:
        query_url("https://creneau.example/fhir/Slot", [*closed, ("_cursor", "x")])
    assert refused.value.issues[0].code == "too-costly"


def test_a_sealed_value_is_good_for_its_parameter_only() -> None:
    ((_, sealed),) = QuerySeal("secret").close([("family", "Canari")])
    for seal, name, text in (
        (QuerySeal("secret"), "given", sealed),
        (QuerySeal("another"), "family", sealed),
        (QuerySeal("secret"), "family", sealed[:-2]),
        (QuerySeal("secret"), "family", MARK),
        (QuerySeal("secret"), "family", MARK + "é"),
    ):
        with pytest.raises(BadRequest):
            seal.open([(name, text)])
