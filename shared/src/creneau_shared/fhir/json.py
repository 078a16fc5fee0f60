"""FHIR JSON: bytes to resource and back, without loss.

A resource is a plain `dict`. A JSON number that is not a plain integer becomes a `decimal.Decimal`, so that
1.10 leaves as 1.10: FHIR R4 (json.html) forbids that a decimal loses its precision.
"""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

import orjson

from creneau_shared.errors import BadRequest

NESTING_MAX: Final = 100
"""Deepest nesting of objects and arrays in a body. FHIR's own examples stay under 30; stored resources are limited by
the lower `validation.NESTING_MAX`."""

_INTEGER_DIGITS_MAX: Final = 18
"""An integer of more digits becomes a Decimal: it can still be a FHIR decimal, and fits no 64-bit integer."""


def loads(content: bytes) -> dict[str, Any]:
    """The JSON object in `content` (UTF-8, a byte order mark is tolerated): a stored resource, or a service's answer.

    Raises BadRequest (issue code `structure`) that says where: not UTF-8, not JSON, not an object, a repeated
    property, NaN or Infinity, half of a surrogate pair.
    """
    return _as_object(_read(content))


def loads_sent(body: bytes) -> dict[str, Any]:
    """The JSON object that a client sent; as `loads`, and BadRequest for nesting beyond NESTING_MAX."""
    return _as_object(loads_any_sent(body))


def _as_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise unreadable(
            "Le corps doit être un objet JSON, avec sa propriété resourceType.",
            "The body must be a JSON object, with its resourceType property.",
        )
    return value


def text_of(body: bytes) -> str:
    """The text of a body in UTF-8; a byte order mark is tolerated. Raises BadRequest (`structure`) that says where."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(
            f"Le corps n'est pas du texte UTF-8 : l'octet {error.start + 1} n'y a pas de sens.",
            f"The body is not UTF-8 text: byte {error.start + 1} makes no sense in it.",
        ) from None


def loads_any_sent(body: bytes) -> Any:
    """The JSON value that a client sent, an object or not (a JSON Patch is an array); otherwise as `loads_sent`."""
    value = _read(body)
    if body.count(b"{") + body.count(b"[") > NESTING_MAX and depth(value) > NESTING_MAX:
        raise _too_deep()
    return value


def _read(body: bytes) -> Any:
    text = text_of(body)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise unreadable(
            f"Le corps n'est pas du JSON : erreur à la ligne {error.lineno}, colonne {error.colno}.",
            f"The body is not JSON: error at line {error.lineno}, column {error.colno}.",
            diagnostics=error.msg,
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if b"\\u" in body:
        _refuse_lone_surrogates(value)
    return value


def dumps(resource: Any) -> bytes:
    """`resource` as compact UTF-8 JSON; a Decimal keeps all its digits."""
    return orjson.dumps(resource, default=_fragment)


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} has no place in a FHIR resource")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise unreadable(
            f"La propriété « {repeated} » est donnée deux fois dans le même objet.",
            f"The property “{repeated}” is given twice in the same object.",
        )
    return result


def number(text: str) -> int | Decimal:
    """The value of a JSON number: an int when it is written as one, else a Decimal with all its digits."""
    return _decimal(text) if any(mark in text for mark in ".eE") else _integer(text)


def _integer(text: str) -> int | Decimal:
    if len(text) > _INTEGER_DIGITS_MAX or text == "-0":
        return Decimal(text)
    return int(text)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise unreadable(
            "Un nombre du corps a un exposant démesuré.",
            "A number in the body has an exponent out of all range.",
        ) from None


def _refuse_constant(name: str) -> NoReturn:
    raise unreadable(
        f"« {name} » n'est pas un nombre que JSON connaît.", f"“{name}” is not a number that JSON knows."
    )


_DECODER: Final = json.JSONDecoder(
    parse_float=_decimal,
    parse_int=_integer,
    parse_constant=_refuse_constant,
    object_pairs_hook=_object,
)


def depth(value: Any) -> int:
    """How deep objects and arrays are nested in `value`, without recursion."""
    levels = 0
    level = [value] if isinstance(value, dict | list) else []
    while level:
        levels += 1
        children: list[Any] = []
        for item in level:
            children.extend(item.values() if isinstance(item, dict) else item)
        level = [child for child in children if isinstance(child, dict | list)]
    return levels


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        dumps(value)
    except TypeError:
        raise unreadable(
            "Une chaîne du corps contient la moitié d'un caractère (échappement \\uD800 à \\uDFFF isolé).",
            "A string in the body holds half of a character (a lone \\uD800 to \\uDFFF escape).",
        ) from None


def _too_deep() -> BadRequest:
    return unreadable(
        f"Le corps est imbriqué sur plus de {NESTING_MAX} niveaux.",
        f"The body is nested more than {NESTING_MAX} levels deep.",
    )


def unreadable(fr: str, en: str, diagnostics: str | None = None) -> BadRequest:
    """The error for an unreadable body."""
    return BadRequest(fr, en, code="structure", diagnostics=diagnostics)
