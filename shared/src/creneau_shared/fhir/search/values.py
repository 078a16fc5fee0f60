"""One search value, from text to its type (FHIR R4 search.html, sections on each parameter type)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import cast

from creneau_shared.fhir.datatypes import CALENDAR_BEGIN, CALENDAR_END, parse_interval
from creneau_shared.fhir.national import commune_position
from creneau_shared.fhir.search.coded import UnknownCodesError, hierarchy_tokens, value_set_tokens
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.quantities import in_common_unit
from creneau_shared.fhir.search.request import (
    DateValue,
    Limits,
    MissingValue,
    NearValue,
    NumberValue,
    OfTypeValue,
    Prefix,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
    Value,
    WordsValue,
)
from creneau_shared.fhir.search.terms import identifier_key, relative_reference
from creneau_shared.fhir.search.words import WordsError, words_query
from creneau_shared.fhir.text import contact_key, string_key
from creneau_shared.national_numbers import spellings
from creneau_shared.spelling import fold

CONTACTS = frozenset({"telecom", "email", "phone", "contact"})
"""parameters whose values are contact points"""
_BLANK_FOR_PLUS = re.compile(r"(^|\|) (?=[1-9])", re.ASCII)
_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[\d+\-.])")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LOCAL = re.compile(r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(/_history/[A-Za-z0-9\-.]{1,64})?")
_NUMBER = re.compile(r"[+-]?\d{1,32}(\.\d{1,32})?([eE][+-]?\d{1,2})?", re.ASCII)
_ESCAPED = re.compile(r"\\([\\,$|])")

_METRES = {
    "": 1000.0,
    "km": 1000.0,
    "m": 1.0,
    "cm": 0.01,
    "[mi_us]": 1609.347,
    "mi_us": 1609.347,
    "[mi_i]": 1609.344,
    "mi": 1609.344,
    "[nmi_i]": 1852.0,
}
"""UCUM units of length (and their usual misspellings); kilometres when none is given."""


class BadValueError(ValueError):
    """The text is not a value of its parameter: what is wrong, in French and in English, and an issue code."""

    def __init__(self, fr: str, en: str, code: str = "value") -> None:
        self.fr = fr
        self.en = en
        self.code = code
        super().__init__(en)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is needed to read values: the zone of local dates, now, the server's own base, the known types."""

    zone: tzinfo
    now: datetime
    base_url: str
    known_types: Collection[str]
    limits: Limits
    every_spelling: bool = True
    """whether an identifier is meant in every spelling of its number, and not as it is given alone"""


def split(text: str, separator: str) -> list[str]:
    r"""Split at each `separator` that no backslash escapes; the escapes stay for `unescape`."""
    if "\\" not in text:
        return text.split(separator)
    parts = [""]
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            parts[-1] += text[position : position + 2]
            position += 2
            continue
        if character == separator:
            parts.append("")
        else:
            parts[-1] += character
        position += 1
    return parts


def unescape(text: str) -> str:
    r"""`\,` `\$` `\|` `\\` → `,` `$` `|` `\`; any other backslash stays."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def read_clause_values(
    parameter: SearchParameter,
    modifier: str | None,
    target: str | None,
    texts: Iterable[str],
    reading: Reading,
) -> tuple[str | None, tuple[Value, ...]]:
    """The alternatives that `texts` give, each once, and the modifier with which they are compared.

    `target` is the type that stands in the place of a reference's modifier. For a token, :in, :not-in, :above and
    :below become codes that are compared plainly. Raises BadValueError.
    """
    values: dict[Value, None] = {}
    if parameter.type != "token" or modifier not in _CODED:
        for text in texts:
            value = read_value(parameter, modifier or target, text, reading)
            in_all = reading.every_spelling and _is_identifier(parameter, modifier)
            values |= dict.fromkeys(_spelled(value) if in_all else (value,))
        return modifier, tuple(values)
    for text in texts:
        values |= dict.fromkeys(_coded(parameter, modifier, text, reading))
    most = reading.limits.value_set_codes_max
    if len(values) > most:
        raise BadValueError(f"Plus de {most} codes", f"More than {most} codes", "too-costly")
    return _CODED[modifier], tuple(values)


def _is_identifier(parameter: SearchParameter, modifier: str | None) -> bool:
    return modifier == "identifier" or (parameter.name == "identifier" and modifier in (None, "not"))


def _spelled(value: Value) -> Iterable[Value]:
    """An identifier in every spelling of its number; any other value alone."""
    if not isinstance(value, TokenValue) or not value.system or not value.code:
        return (value,)
    return [TokenValue(system, number) for system, number in spellings(value.system, value.code)]


_CODED = {"in": None, "not-in": "not", "above": None, "below": None}
"""Modifiers that stand for codes, and how those are compared."""


def _coded(parameter: SearchParameter, modifier: str, text: str, reading: Reading) -> Iterable[TokenValue]:
    try:
        if modifier in ("in", "not-in"):
            tokens = value_set_tokens(unescape(text), reading.base_url)
        else:
            tokens = hierarchy_tokens(_code(parameter, text), modifier)
    except UnknownCodesError as error:
        raise BadValueError(error.fr, error.en, "not-found") from None
    return (_implied(parameter, token) for token in tokens)


def _code(parameter: SearchParameter, text: str) -> TokenValue:
    """A code, in the system that the element implies when there is one."""
    token = _token(text)
    if not token.code:
        raise BadValueError("Un code manque", "A code is missing")
    if token.system is None and parameter.code_system is not None:
        return TokenValue(parameter.code_system, token.code)
    return token


def read_value(parameter: SearchParameter, modifier: str | None, text: str, reading: Reading) -> Value:
    """Read one value (still escaped, blanks around it removed). Raises BadValueError."""
    if modifier == "missing":
        return _missing(text)
    if modifier == "text":
        return StringValue(unescape(text), fold(unescape(text)))
    if modifier == "of-type":
        return _of_type(text)
    if modifier == "identifier":
        return _token(text)
    if parameter.full_text:
        return _words(parameter, unescape(text), reading)
    if parameter.type == "reference":
        return _reference(parameter, modifier, unescape(text), reading)
    return _READERS[parameter.type](parameter, text, reading)


def _words(parameter: SearchParameter, text: str, reading: Reading) -> WordsValue:
    try:
        return WordsValue(
            words_query(text, narrative=parameter.name == "_text", words_max=reading.limits.words_max)
        )
    except WordsError as error:
        raise BadValueError(error.fr, error.en, error.code) from None


def _missing(text: str) -> MissingValue:
    if text not in ("true", "false"):
        raise BadValueError("La valeur attendue est true ou false", "The value must be true or false")
    return MissingValue(text == "true")


def _of_type(text: str) -> OfTypeValue:
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts[1:]):
        raise BadValueError(
            "La valeur attendue est système|code|valeur", "The value must be system|code|value"
        )
    return OfTypeValue(*parts)


def _token(text: str) -> TokenValue:
    system, bar, code = text.partition("|")
    if "\\" in text:
        system, *rest = split(text, "|")
        bar, code = ("|", "|".join(rest)) if rest else ("", "")
    if not bar:
        return TokenValue(None, unescape(system))
    if not system and not code:
        raise BadValueError("Un système ou un code manque", "A system or a code is missing")
    return TokenValue(unescape(system), unescape(code) or None)


def with_plus(text: str) -> str:
    """Restores the `+` before a telephone number's country: in an address, a `+` that is not encoded becomes a blank."""
    return _BLANK_FOR_PLUS.sub(r"\1+", text)


def _read_token(parameter: SearchParameter, text: str, reading: Reading) -> TokenValue:
    value = _implied(parameter, _token(text))
    if parameter.name in CONTACTS and value.code is not None:
        return TokenValue(value.system, contact_key(value.code))
    if (parameter.base, parameter.name) == ("Patient", "identifier") and value.code is not None:
        return TokenValue(value.system, identifier_key(value.system, value.code))
    return value


def _implied(parameter: SearchParameter, value: TokenValue) -> TokenValue:
    """The value without the system that the element implies, as it is indexed."""
    if parameter.code_system is None or value.system not in ("", parameter.code_system):
        return value
    if value.code is None:
        raise BadValueError("Un code manque", "A code is missing")
    return TokenValue(None, value.code)


def _read_string(parameter: SearchParameter, text: str, reading: Reading) -> StringValue:
    plain = unescape(text)
    return StringValue(plain, string_key(parameter.name)(plain))


def _prefixed(text: str) -> tuple[Prefix, str]:
    match = _PREFIX.match(text)
    return (cast(Prefix, match[1]), text[2:]) if match else ("eq", text)


def _read_date(parameter: SearchParameter, text: str, reading: Reading) -> DateValue:
    prefix, date = _prefixed(unescape(text))
    try:
        low, high = parse_interval(date, reading.zone)
    except ValueError:
        raise BadValueError(
            f"« {text} » n’est pas une date FHIR (AAAA[-MM[-JJ[Thh:mm[:ss][zone]]]])",
            f"'{text}' is not a FHIR date (YYYY[-MM[-DD[Thh:mm[:ss][zone]]]])",
        ) from None
    if prefix == "ap":
        low, high = _approximately(low, high, reading.now)
    return DateValue(prefix, low, high)


def _approximately(low: datetime, high: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Widened on both sides by a tenth of the gap between now and the date (FHIR R4 search.html#prefix)."""
    gap = max(low - now, now - high, timedelta()) / 10
    try:
        widened = low - gap
    except OverflowError:
        widened = CALENDAR_BEGIN
    try:
        return widened, high + gap
    except OverflowError:
        return widened, CALENDAR_END


def number_interval(number: Decimal) -> tuple[Decimal, Decimal]:
    """The interval by the significant figures: `100` → [99.5, 100.5), `100.00` → [99.995, 100.005), `1e2` → [50, 150)."""
    exponent = number.as_tuple().exponent
    half = Decimal(5).scaleb(int(exponent) - 1)
    return number - half, number + half


def _read_number(parameter: SearchParameter, text: str, reading: Reading) -> NumberValue:
    prefix, number = _prefixed(text)
    try:
        value = Decimal(number) if _NUMBER.fullmatch(number) else None
    except InvalidOperation:
        value = None
    if value is None:
        raise BadValueError(f"« {text} » n’est pas un nombre", f"'{text}' is not a number")
    low, high = number_interval(value)
    if prefix == "ap":
        tenth = abs(value) / 10
        low, high = min(low, value - tenth), max(high, value + tenth)
    return NumberValue(prefix, value, low, high)


def _read_quantity(parameter: SearchParameter, text: str, reading: Reading) -> NumberValue:
    """Reads `[prefix]number`, `number|system|code` or `number||code` into the common unit of its kind."""
    number, *unit = (unescape(part).strip() for part in split(text, "|"))
    value = _read_number(parameter, number, reading)
    if len(unit) > 2 or (unit and not unit[-1]):
        raise BadValueError(
            "La valeur attendue est nombre|système|unité", "The value must be number|system|units"
        )
    if not unit and parameter.unit is None:
        return value
    system, code = (unit[0], unit[1]) if len(unit) == 2 else ("", unit[0] if unit else str(parameter.unit))
    name, exact = in_common_unit(value.number, system, code)
    low, high = (in_common_unit(bound, system, code)[1] for bound in (value.low, value.high))
    return NumberValue(value.prefix, exact, low, high, name)


def _read_uri(parameter: SearchParameter, text: str, reading: Reading) -> UriValue:
    return UriValue(unescape(text))


def _read_near(parameter: SearchParameter, text: str, reading: Reading) -> NearValue:
    parts = [part.strip() for part in text.split("|")]
    numbers = [_NUMBER.fullmatch(part) for part in parts[:3]]
    has_distance = len(parts) > 2 and parts[2] != ""
    if not 2 <= len(parts) <= 4 or not all(numbers[:2]) or (has_distance and not numbers[2]):
        raise BadValueError(
            "La valeur attendue est latitude|longitude|distance|unité",
            "The value must be latitude|longitude|distance|units",
        )
    latitude, longitude = float(parts[0]), float(parts[1])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise BadValueError(
            "La latitude va de -90 à 90, la longitude de -180 à 180",
            "Latitude goes from -90 to 90, longitude from -180 to 180",
        )
    unit = parts[3] if len(parts) == 4 else ""
    if unit not in _METRES:
        raise BadValueError(f"Unité inconnue : « {unit} »", f"Unknown unit: '{unit}'")
    distance = float(parts[2]) * _METRES[unit] if has_distance else reading.limits.near_default_m
    if not 0 <= distance <= reading.limits.near_max_m:
        most = reading.limits.near_max_m / 1000
        raise BadValueError(f"La distance va de 0 à {most:g} km", f"The distance goes from 0 to {most:g} km")
    return NearValue(latitude, longitude, distance)


def _read_special(parameter: SearchParameter, text: str, reading: Reading) -> NearValue:
    if parameter.name != "near-insee-code":
        return _read_near(parameter, text, reading)
    code, *distance = (part.strip() for part in text.split("|"))
    position = commune_position(code)
    if position is None:
        raise BadValueError(
            f"« {code} » n’est pas le code INSEE d’une commune dont la position est connue",
            f"'{code}' is not the INSEE code of a commune whose position is known",
        )
    latitude, longitude = position
    return _read_near(parameter, "|".join((str(latitude), str(longitude), *distance)), reading)


def _reference(
    parameter: SearchParameter, modifier: str | None, text: str, reading: Reading
) -> ReferenceValue:
    reference = relative_reference(text, reading.base_url)
    if _ID.fullmatch(reference):
        types = [modifier] if modifier else reference_types(parameter, reading.known_types)
        return ReferenceValue(tuple(f"{resource_type}/{reference}" for resource_type in types))
    match = _LOCAL.fullmatch(reference)
    if match and modifier and match["type"] != modifier:
        raise BadValueError(
            f"La référence ne désigne pas un(e) {modifier}", f"The reference does not name a {modifier}"
        )
    if match is None and ":" not in reference:
        raise BadValueError(
            "La valeur attendue est un id, Type/id ou une URL", "The value must be an id, Type/id or a URL"
        )
    return ReferenceValue((reference,))


def reference_types(parameter: SearchParameter, known_types: Collection[str]) -> list[str]:
    """The types that the reference may name; for a reference to anything, all the types there are."""
    if "Resource" in parameter.targets:
        return sorted(known_types)
    return list(parameter.targets)


_READERS: dict[str, Callable[[SearchParameter, str, Reading], Value]] = {
    "token": _read_token,
    "string": _read_string,
    "date": _read_date,
    "number": _read_number,
    "quantity": _read_quantity,
    "uri": _read_uri,
    "special": _read_special,
}
