"""What links carry is readable by the service alone: the values that a page ended with, and what was searched by."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest

from creneau_shared.errors import BadRequest
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
