"""Primitive types, dates as intervals, and the forms of a reference."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from creneau_shared.fhir.datatypes import (
    PRIMITIVES,
    LiteralReference,
    instant_of,
    instant_to_the_second,
    parse_interval,
    parse_reference,
    time_of,
)

VALID: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [0, -2147483648, 2147483647],
    "unsignedInt": [0, 2147483647],
    "positiveInt": [1],
    "decimal": [0, 1, Decimal("1.10"), Decimal("-0.5"), Decimal("1E+10")],
    "string": ["x", " x ", "a\nb\tc", "é😀"],
    "uri": ["urn:oid:1.2", "http://a.example/é", "x"],
    "code": ["a", "a b"],
    "id": ["a", "A-1.b", "x" * 64],
    "oid": ["urn:oid:1.2.250.1"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "base64Binary": ["AAAA", "QUI=", "AA AA\nBBBB"],
    "instant": ["2026-03-02T09:00:00Z", "2026-03-02T09:00:00.123+01:00", "2016-12-31T23:59:60Z"],
    "dateTime": ["2026", "2026-03", "2026-03-02", "2024-02-29T00:00:00+14:00"],
    "date": ["2026", "2026-03", "2024-02-29"],
    "time": ["00:00:00", "23:59:59.5"],
}

INVALID: dict[str, list[Any]] = {
    "boolean": ["true", 1, 0, None],
    "integer": ["1", True, 2147483648, Decimal("1.0"), Decimal("-0"), 1.0],
    "unsignedInt": [-1],
    "positiveInt": [0],
    "decimal": ["1", True, Decimal("NaN"), Decimal("1E+999"), Decimal("1." + "0" * 60), 1.5],
    "string": ["", " ", "\n\t", "\u00a0", "a\x00b", "\x1b", "\ud800", 1, None],
    "uri": ["", "a b", "a\nb", "a\x01"],
    "code": ["", " a", "a ", "a  b"],
    "id": ["", "x" * 65, "a_b", "é"],
    "oid": ["1.2.3", "urn:oid:3.1", "urn:oid:1.02"],
    "uuid": ["urn:uuid:C757873D-EC9A-4326-A141-556F43239520", "c757873d-ec9a-4326-a141-556f43239520"],
    "base64Binary": ["", "A", "AA=A", "é", "AAA*"],
    "instant": [
        "2026-03-02T09:00:00",
        "2026-03-02T09:00Z",
        "2026-03-02",
        "2026-02-29T00:00:00Z",
        "2026-03-02T24:00:00Z",
    ],
    "dateTime": ["2026-03-02T09:00:00", "2026-13", "2026-02-30", "26", "2026-03-02T09:00:00+15:00", "0000"],
    "date": ["2023-02-29", "2026-00", "2026-3-2", "2026-03-02T00:00:00Z", "２０２６"],
    "time": ["09:00", "24:00:00", "09:00:00Z"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in VALID.items() for value in values]
)
def test_valid_value_is_accepted(name: str, value: Any) -> None:
    assert PRIMITIVES[name].accepts(value)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in INVALID.items() for value in values]
)
def test_invalid_value_is_refused(name: str, value: Any) -> None:
    assert not PRIMITIVES[name].accepts(value)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("2026", "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        ("2026-12", "2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        ("2026-07-14", "2026-07-14T00:00:00+02:00", "2026-07-15T00:00:00+02:00"),
        ("2026-03-02T09:00", "2026-03-02T09:00:00+01:00", "2026-03-02T09:01:00+01:00"),
        ("2026-03-02T09:00:00Z", "2026-03-02T09:00:00+00:00", "2026-03-02T09:00:01+00:00"),
        ("2026-03-02T09:00:00.5-04:00", "2026-03-02T13:00:00.5+00:00", "2026-03-02T13:00:00.6+00:00"),
        ("2026-03-02T09:00:00 01:00", "2026-03-02T08:00:00+00:00", "2026-03-02T08:00:01+00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59+00:00", "2017-01-01T00:00:00+00:00"),
    ],
)
def test_interval_by_precision(value: str, low: str, high: str) -> None:
    assert parse_interval(value) == (utc(low), utc(high))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-03-30", 24)])
def test_day_in_paris_has_the_length_of_its_clock(day: str, hours: int) -> None:
    low, high = parse_interval(day)
    assert high - low == timedelta(hours=hours)


@pytest.mark.parametrize(
    "value", ["9999", "9999-12", "9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"]
)
@pytest.mark.parametrize("zone", ["Europe/Paris", "America/Cayenne", "Pacific/Noumea"])
def test_for_ever_is_no_overflow(value: str, zone: str) -> None:
    """`9999-12-31` is how many systems end what does not end: it lies after everything, in every zone."""
    low, high = parse_interval(value, ZoneInfo(zone))
    assert utc("2999-01-01T00:00:00Z") < low < high


@pytest.mark.parametrize("value", ["0001", "0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_since_ever_is_no_overflow(value: str) -> None:
    low, high = parse_interval(value)
    assert low < high < utc("1000-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-03-02T09:00:00.5+01:00", "2026-03-02T08:00:00.5+00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59+00:00"),
        ("2016-12-31T18:59:60.25-05:00", "2016-12-31T23:59:59.25+00:00"),
    ],
)
def test_instant(said: str, meant: str) -> None:
    """Every instant that the validation lets through is a moment: R4 has leap seconds, our clocks do not."""
    assert PRIMITIVES["instant"].accepts(said)
    assert instant_of(said) == utc(meant)


def test_every_time_of_day_is_one() -> None:
    assert PRIMITIVES["time"].accepts("23:59:60.5")
    assert [time_of(said) for said in ("09:00:00", "23:59:60.5")] == [time(9), time(23, 59, 59, 500_000)]


@pytest.mark.parametrize("said", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_instant_beyond_the_calendar_is_told_in_every_zone(said: str) -> None:
    assert PRIMITIVES["instant"].accepts(said)
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        instant_of(said).astimezone(ZoneInfo(zone))


def test_zone_of_the_caller() -> None:
    low, _ = parse_interval("2026-03-02", ZoneInfo("Indian/Reunion"))
    assert low == utc("2026-03-02T00:00:00+04:00")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "2026-13",
        "2026-02-30",
        "yesterday",
        "2026-03-02T25:00",
        "2026-03-02T09:00:00+99:00",
        "0000",
    ],
)
def test_no_interval(value: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_interval(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", LiteralReference(type="Patient", id="1")),
        ("Patient/1/_history/2", LiteralReference(type="Patient", id="1", version="2")),
        (
            "https://a.example/fhir/Slot/x",
            LiteralReference(type="Slot", id="x", base="https://a.example/fhir"),
        ),
        ("Patient?identifier=a|b", LiteralReference(type="Patient", query="identifier=a|b")),
        ("#p", LiteralReference(fragment="p")),
        ("#", LiteralReference(fragment="")),
        ("urn:uuid:0199", LiteralReference(uri="urn:uuid:0199")),
        ("Patient 1", None),
        ("1", None),
        ("patient/1", None),
    ],
)
def test_reference_forms(text: str, expected: LiteralReference | None) -> None:
    assert parse_reference(text) == expected


def test_an_instant_to_the_second_is_in_utc_and_never_later_than_it_was() -> None:
    moment = datetime(2026, 3, 29, 10, 0, 59, 999_999, tzinfo=ZoneInfo("Europe/Paris"))
    assert instant_to_the_second(moment) == "2026-03-29T08:00:59Z"
