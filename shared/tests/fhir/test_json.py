"""JSON: nothing is lost on the way in and out, and nothing ambiguous comes in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_shared.errors import BadRequest
from creneau_shared.fhir import json


@pytest.mark.parametrize("text", ["1.10", "0.0", "-0.50", "100.000", "1.0E+10", "123456789012345678.90"])
def test_decimal_keeps_its_digits(text: str) -> None:
    """FHIR forbids losing the precision of a decimal: 1.10 is not 1.1."""
    assert json.dumps(json.loads(f'{{"value":{text}}}'.encode())) == f'{{"value":{text}}}'.encode()


def test_exponent_keeps_value_and_precision() -> None:
    value = json.loads(b'{"value":1E5}')["value"]
    assert value == Decimal("1E5")
    assert json.loads(json.dumps({"value": value}))["value"].as_tuple() == Decimal("1E5").as_tuple()


def test_integer_beyond_64_bits_survives() -> None:
    assert json.dumps(json.loads(b'{"value":123456789012345678901234567890}')) == (
        b'{"value":123456789012345678901234567890}'
    )


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_decimal_survives(value: Decimal) -> None:
    again = json.loads(json.dumps({"value": value}))["value"]
    assert Decimal(again) == value
    assert Decimal(again).as_tuple().exponent == value.as_tuple().exponent or value == 0


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"a":1,"a":2}', "twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b"[]", "object"),
        (b'"text"', "object"),
        (b'{"a":', "line 1"),
        (b'{\n"a" 1}', "line 2"),
        (b'{"a":"\xff"}', "byte 7"),
        (b'{"a":"\\ud800"}', "half of a character"),
        (b"", "line 1"),
        (b'{"a":1} x', "column 9"),
        (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", "nested"),
        (b"[" * 100_000, "nested"),
    ],
)
def test_unreadable_body_says_why(body: bytes, word: str) -> None:
    with pytest.raises(BadRequest) as caught:
        json.loads_sent(body)
    (issue,) = caught.value.issues
    assert issue.code == "structure"
    assert word in issue.en
    assert issue.fr


def test_byte_order_mark_is_tolerated() -> None:
    assert json.loads(b'\xef\xbb\xbf{"a":"\xc3\xa9"}') == {"a": "é"}


def test_wide_body_is_not_deep() -> None:
    """The nesting limit counts levels, not brackets."""
    body = json.dumps({"a": [{"b": [index]} for index in range(500)]})
    assert len(json.loads_sent(body)["a"]) == 500


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_survives(value: Any) -> None:
    assert json.loads(json.dumps({"value": value} if _fits(value) else {})) == (
        {"value": value} if _fits(value) else {}
    )


def _fits(value: Any) -> bool:
    """orjson writes ints of 64 bits; larger ones come in as Decimal."""
    if isinstance(value, dict | list):
        return all(map(_fits, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int) or abs(value) < 2**63
