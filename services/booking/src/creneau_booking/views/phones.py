"""French telephone numbers in international form, by the numbering plans that `phonenumbers` knows."""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType

_FRANCE = 33
_OVERSEAS = ("RE", "YT", "GP", "GF", "MQ")
_OF_A_PLACE = (
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
)
_SENT = re.compile(r"\+(33|262|590|594|596)[1-9][0-9]{8}")
"""The numbers that the SAS takes"""
_EXTENSION = re.compile(r"\bpostes?\b", re.IGNORECASE)


def international(number: str) -> str | None:
    """Returns `+33XXXXXXXXX` (or 262, 590, 594, 596) for a French number, however it is written; None for any other."""
    try:
        read = phonenumbers.parse(_EXTENSION.sub("ext.", number), "FR")
    except NumberParseException:
        return None
    if read.country_code == _FRANCE:
        read = _overseas(read) or read
    dialled = f"+{read.country_code}{read.national_number}"
    return dialled if _SENT.fullmatch(dialled) else None


def _overseas(read: PhoneNumber) -> PhoneNumber | None:
    """Returns the number as that of the overseas department to whose plan it belongs (toll-free numbers are in every plan)
    or with whose country code it begins (0590 …: Guadeloupe). None for a metropolitan number."""
    for region in _OVERSEAS:
        there = phonenumbers.parse(f"0{read.national_number}", region)
        begins_so = str(there.national_number).startswith(str(there.country_code))
        if begins_so or phonenumbers.number_type(there) in _OF_A_PLACE:
            return there
    return None
