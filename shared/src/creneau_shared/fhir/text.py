"""Makes values comparable for FHIR search: strings, postal codes, telephone numbers and addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from creneau_shared.postal_codes import postal_code_beginning, whole_postal_code
from creneau_shared.spelling import fold, phonetic


def postal_key(text: str) -> str:
    """One spelling of a postal code or of its beginning (`97 4` → `974`); other text is folded."""
    return postal_code_beginning(text) or fold(text)


def address_key(text: str) -> str:
    """A part of an address: a postal code in its one spelling, anything else folded."""
    return whole_postal_code(text) or fold(text)


def string_key(parameter: str) -> Callable[[str], str]:
    """The function that makes texts comparable for the string parameter of this name."""
    return _KEYS.get(parameter, fold)


_KEYS: Mapping[str, Callable[[str], str]] = {
    "phonetic": phonetic,
    "address": address_key,
    "address-postalcode": postal_key,
}

_PHONE = re.compile(r"\+?[\d\s.()/-]{6,}")
_FRENCH_NATIONAL = re.compile(r"0[1-9]\d{8}")
_NOT_DIGIT = re.compile(r"\D+")


def contact_key(value: str) -> str:
    """One spelling of a contact point: e-mail addresses in lower case, French numbers as +33….

    FHIR R4 search.html#token leaves ContactPoint matching to the server.
    """
    value = value.strip()
    if not _PHONE.fullmatch(value):
        return value.lower()
    digits = _NOT_DIGIT.sub("", value.replace("(0)", ""))
    if value.startswith("+"):
        return "+" + digits
    if digits.startswith("00"):
        return "+" + digits[2:]
    if _FRENCH_NATIONAL.fullmatch(digits):
        return "+33" + digits[1:]
    return digits
