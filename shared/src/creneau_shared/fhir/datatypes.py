"""FHIR R4's primitive types: valid values, the meaning of dates, the parts of references.

Rules: datatypes.html (regular expressions and ranges), search.html#date (a partial date is an interval),
references.html (forms of a literal reference).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final

from creneau_shared.clock import PARIS

STRING_LENGTH_MAX: Final = 1024 * 1024
"""Longest string, in characters (R4: "strings SHALL NOT exceed 1MB in size")."""

DECIMAL_DIGITS_MAX: Final = 40
"""Most significant digits of a decimal (R4 asks for 18 at least)."""

DECIMAL_EXPONENT_MAX: Final = 100
"""Largest power of ten of a decimal, either way."""

INTEGER_MAX: Final = 2**31 - 1
INTEGER_MIN: Final = -(2**31)

CALENDAR_BEGIN: Final = datetime(1, 1, 2, tzinfo=UTC)
CALENDAR_END: Final = datetime(9999, 12, 30, tzinfo=UTC)
"""First and last moment that R4, Python and PostgreSQL can all express, in every zone. A date of R4 beyond them means the
nearer one (many write `9999-12-31` for “for ever”)."""
POINT: Final = timedelta(microseconds=1)
"""The length of an instant: the finest that PostgreSQL keeps."""

_WHOLE_DIGITS: Final = 18
WHOLE_NUMBER_MAX: Final = 10**_WHOLE_DIGITS
"""larger than any count here; fits PostgreSQL's bigint"""

_YEAR = r"(?:[1-9]\d{3}|0(?:[1-9]\d{2}|0(?:[1-9]\d|0[1-9])))"
_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"

_DATE = re.compile(rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY})?)?", re.ASCII)
_DATE_TIME = re.compile(rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY}(?:T{_TIME}{_ZONE})?)?)?", re.ASCII)
_INSTANT = re.compile(rf"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}", re.ASCII)
_TIME_OF_DAY = re.compile(_TIME, re.ASCII)
_VISIBLE = r"[^\s\x00-\x1f\ud800-\udfff\ufffe\uffff]"
_CODE = re.compile(rf"{_VISIBLE}+(?:[ \t\n\r]{_VISIBLE}+)*")
ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""an id, as a whole (R4 datatypes.html#id)"""
_URI = re.compile(rf"{_VISIBLE}+")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
UNWRITABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""a character that XML cannot hold (XML 1.0, production 2)"""


def _is_text(value: Any) -> bool:
    """Whether `value` is a string of R4: not empty nor only blanks (XML would make it empty), at most 1 MB. Of control
    characters only tab, line feed and return; no other character that XML cannot hold."""
    if type(value) is not str or not value or value.isspace() or len(value) > STRING_LENGTH_MAX:
        return False
    return value.isprintable() or UNWRITABLE.search(value) is None


def whole_number(value: Any) -> int | None:
    """The whole number from 0 that a caller wrote in ASCII digits; WHOLE_NUMBER_MAX for a greater one; None for other
    values (Python takes `²` and `٣` for digits; they are refused)."""
    text = "" if isinstance(value, bool) else str(value)
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) <= _WHOLE_DIGITS else WHOLE_NUMBER_MAX


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    match = pattern.fullmatch

    def accepts(value: Any) -> bool:
        return type(value) is str and match(value) is not None and len(value) <= STRING_LENGTH_MAX

    return accepts


def _is_real_day(value: str) -> bool:
    """Whether the day of a well-formed value exists (29 February needs a leap year)."""
    if len(value) < 10 or value[8:10] <= "28":
        return True
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True


def _calendar(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    match = pattern.fullmatch

    def accepts(value: Any) -> bool:
        return type(value) is str and match(value) is not None and _is_real_day(value)

    return accepts


def _between(low: int, high: int) -> Callable[[Any], bool]:
    def accepts(value: Any) -> bool:
        return type(value) is int and low <= value <= high

    return accepts


def _is_boolean(value: Any) -> bool:
    return value is True or value is False


def _is_decimal(value: Any) -> bool:
    if type(value) is int:
        return True
    if not isinstance(value, Decimal) or not value.is_finite():
        return False
    digits = value.as_tuple()
    return len(digits.digits) <= DECIMAL_DIGITS_MAX and abs(int(digits.exponent)) <= DECIMAL_EXPONENT_MAX


def _is_base64(value: Any) -> bool:
    """Whether `value` is base64: R4 allows white space between the groups, and no other character outside the alphabet.

    STRING_LENGTH_MAX does not apply: photos are longer, and the size of the body is limited already.
    """
    if type(value) is not str or not value:
        return False
    try:
        binascii.a2b_base64("".join(value.split()).encode("ascii"), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Primitive:
    """A primitive type: `accepts` tells whether a JSON value is of the type; the other fields describe the type in words."""

    name: str
    json_types: tuple[type, ...]
    accepts: Callable[[Any], bool]
    fr: str
    en: str


def _text_type(name: str, accepts: Callable[[Any], bool], fr: str, en: str) -> Primitive:
    return Primitive(name, (str,), accepts, fr, en)


_TEXT_FR = "du texte, ni vide ni seulement d’espaces, sans caractère de commande"
_TEXT_EN = "text that is neither empty nor only blanks, without control characters"
_URI_FR = "une URI, sans espace"
_URI_EN = "a URI, without blanks"

PRIMITIVES: Final[Mapping[str, Primitive]] = {
    primitive.name: primitive
    for primitive in (
        Primitive(
            "boolean", (bool,), _is_boolean, "true ou false, sans guillemets", "true or false, without quotes"
        ),
        Primitive(
            "integer",
            (int,),
            _between(INTEGER_MIN, INTEGER_MAX),
            "un entier de 32 bits, sans guillemets",
            "a 32-bit integer, without quotes",
        ),
        Primitive(
            "unsignedInt",
            (int,),
            _between(0, INTEGER_MAX),
            "un entier de 0 à 2147483647",
            "an integer from 0 to 2147483647",
        ),
        Primitive(
            "positiveInt",
            (int,),
            _between(1, INTEGER_MAX),
            "un entier de 1 à 2147483647",
            "an integer from 1 to 2147483647",
        ),
        Primitive(
            "decimal",
            (int, Decimal),
            _is_decimal,
            "un nombre décimal, sans guillemets",
            "a decimal number, without quotes",
        ),
        _text_type("string", _is_text, _TEXT_FR, _TEXT_EN),
        _text_type("markdown", _is_text, _TEXT_FR, _TEXT_EN),
        _text_type("uri", _matching(_URI), _URI_FR, _URI_EN),
        _text_type("url", _matching(_URI), _URI_FR, _URI_EN),
        _text_type("canonical", _matching(_URI), _URI_FR, _URI_EN),
        _text_type(
            "code",
            _matching(_CODE),
            "un code, sans espace au début, à la fin ni double",
            "a code, without leading, trailing or double blanks",
        ),
        _text_type(
            "id",
            _matching(ID),
            "un identifiant logique : 1 à 64 lettres sans accent, chiffres, tirets ou points",
            "a logical id: 1 to 64 unaccented letters, digits, hyphens or dots",
        ),
        _text_type("oid", _matching(_OID), "un OID, « urn:oid:1.2.… »", "an OID, “urn:oid:1.2.…”"),
        _text_type(
            "uuid",
            _matching(_UUID),
            "un UUID en minuscules, « urn:uuid:… »",
            "a lower case UUID, “urn:uuid:…”",
        ),
        _text_type("base64Binary", _is_base64, "du base64", "base64"),
        _text_type(
            "instant",
            _calendar(_INSTANT),
            "un instant complet avec secondes et fuseau, comme 2026-03-02T09:00:00+01:00",
            "a full instant with seconds and zone, such as 2026-03-02T09:00:00+01:00",
        ),
        _text_type(
            "dateTime",
            _calendar(_DATE_TIME),
            "une date du calendrier (2026, 2026-03 ou 2026-03-02), ou avec heure, secondes et fuseau "
            "(2026-03-02T09:00:00+01:00)",
            "a calendar date (2026, 2026-03 or 2026-03-02), or with time, seconds and zone "
            "(2026-03-02T09:00:00+01:00)",
        ),
        _text_type(
            "date",
            _calendar(_DATE),
            "une date du calendrier : 2026, 2026-03 ou 2026-03-02",
            "a calendar date: 2026, 2026-03 or 2026-03-02",
        ),
        _text_type(
            "time",
            _matching(_TIME_OF_DAY),
            "une heure avec secondes, comme 09:00:00",
            "a time with seconds, such as 09:00:00",
        ),
    )
}
"""The primitive types of R4, except xhtml (see `narrative`)."""


_QUERY_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+\- ]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


def instant_of(said: str) -> datetime:
    """The moment of a valid instant, or of a dateTime with a time. A leap second counts as the second before it."""
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        moment = datetime.fromisoformat(said.replace(":60", ":59"))
    told = moment.tzinfo is not None and moment.year in (date.min.year, date.max.year)
    return within_calendar(moment) if told else moment


def time_of(said: str) -> time:
    """The time of day of a valid `time`. A leap second counts as the second before it."""
    return time.fromisoformat(said.replace(":60", ":59"))


def exact_instant(moment: datetime) -> str:
    """An instant in UTC, with as many digits of a second as it has."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    whole, _, fraction = text.removesuffix("+00:00").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def instant_to_the_second(moment: datetime) -> str:
    """An instant in UTC, without its fraction of a second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


def parse_interval(value: str, zone: tzinfo = PARIS) -> tuple[datetime, datetime]:
    """The half-open interval [low, high) that a FHIR date, dateTime or instant means, in UTC (FHIR R4 search.html#date).

    Its length is the value's precision: `2026` a year, `2026-03-29` the day in `zone` (23 hours in Paris), a
    time its minute, second, millisecond or microsecond. A value with an offset is read in it, any other in
    `zone`; a time that occurs twice at a clock change is the first of the two. Minutes without seconds are accepted, as in
    a search value. So is a blank in place of the offset's `+`, since form decoding replaces it. A leap second counts as the
    second before it; a date beyond the calendar counts as its first or last moment. Raises ValueError.
    """
    match = _QUERY_DATE.fullmatch(value)
    if match is None:
        raise ValueError(f"not a FHIR date or dateTime: {value!r}")
    return _days(match, zone) if match["hour"] is None else _moment(match, zone)


def _days(match: re.Match[str], zone: tzinfo) -> tuple[datetime, datetime]:
    """The interval of a whole day, month or year: from local midnight to local midnight."""
    year, month, day = int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)
    low = date(year, month, day)
    if match["day"]:
        following = low + timedelta(days=1) if low < date.max else None
    elif match["month"]:
        following = _first_of(year + month // 12, month % 12 + 1)
    else:
        following = _first_of(year + 1, 1)
    return _span(_midnight(low, zone), _midnight(following, zone) if following else CALENDAR_END)


def _first_of(year: int, month: int) -> date | None:
    """The first day of a month; None after the end of the calendar."""
    return date(year, month, 1) if year <= date.max.year else None


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _moment(match: re.Match[str], zone: tzinfo) -> tuple[datetime, datetime]:
    second, fraction = int(match["second"] or 0), (match["fraction"] or "")[:6]
    low = within_calendar(
        datetime(
            int(match["year"]),
            int(match["month"]),
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            59 if second == 60 else second,
            int(fraction.ljust(6, "0")),
            tzinfo=_offset(match["zone"]) if match["zone"] else zone,
        )
    )
    return _span(low, low + _precision(match["second"], fraction))


def _span(low: datetime, high: datetime) -> tuple[datetime, datetime]:
    """The interval as far as the calendar reaches: a point of it at the least."""
    low = within_calendar(low)
    return low, max(min(high, CALENDAR_END).astimezone(UTC), low + POINT)


def within_calendar(moment: datetime) -> datetime:
    """The moment in UTC; beyond the calendar, its first or last moment, which is before its end."""
    return min(max(moment, CALENDAR_BEGIN), CALENDAR_END - POINT).astimezone(UTC)


def _precision(second: str | None, fraction: str) -> timedelta:
    if second is None:
        return timedelta(minutes=1)
    return timedelta(microseconds=10 ** (6 - len(fraction)))


def _offset(text: str) -> tzinfo:
    """`Z`, `+01:00`, or ` 01:00` (a decoded `+`)."""
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError(f"not a zone offset: {text!r}")
    shift = timedelta(hours=hours, minutes=minutes)
    return timezone(-shift if text[0] == "-" else shift)


_LOCAL_REFERENCE = re.compile(
    r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)
_ABSOLUTE_REFERENCE = re.compile(rf"(?P<base>https?://\S+?)/{_LOCAL_REFERENCE.pattern}")
_CONDITIONAL_REFERENCE = re.compile(r"(?P<type>[A-Z][A-Za-z]+)\?(?P<query>\S+)")
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")


@dataclass(frozen=True, slots=True)
class LiteralReference:
    """A `Reference.reference`, taken apart. Fields are None where the form has none.

    `base` is the server of an absolute RESTful URL; `query` that of a conditional reference; `fragment` the
    id of a contained resource (empty for the containing one); `uri` any other absolute URI (`urn:uuid:…`).
    """

    type: str | None = None
    id: str | None = None
    version: str | None = None
    base: str | None = None
    query: str | None = None
    fragment: str | None = None
    uri: str | None = None


def parse_reference(text: str) -> LiteralReference | None:
    """The parts of a literal reference, or None when it has none of the forms of R4 (references.html)."""
    if text.startswith("#"):
        return LiteralReference(fragment=text[1:])
    if match := _LOCAL_REFERENCE.fullmatch(text):
        return LiteralReference(type=match["type"], id=match["id"], version=match["version"])
    if match := _ABSOLUTE_REFERENCE.fullmatch(text):
        return LiteralReference(
            type=match["type"], id=match["id"], version=match["version"], base=match["base"]
        )
    if match := _CONDITIONAL_REFERENCE.fullmatch(text):
        return LiteralReference(type=match["type"], query=match["query"])
    if _ABSOLUTE_URI.fullmatch(text):
        return LiteralReference(uri=text)
    return None
