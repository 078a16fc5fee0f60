"""French telephone numbers in international form, by the numbering plans that `phonenumbers` knows."""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import NumberParseException

from creneau_shared.contact_points import in_its_department

_SENT = re.compile(r"\+(33|262|590|594|596)[1-9][0-9]{8}")
"""The numbers that the SAS takes"""
_EXTENSION = re.compile(r"\bpostes?\b", re.IGNORECASE)


def international(number: str) -> str | None:
    """Returns `+33XXXXXXXXX` (or 262, 590, 594, 596) for a French number, however it is written; None for any other."""
    try:
        read = phonenumbers.parse(_EXTENSION.sub("ext.", number), "FR")
    except NumberParseException:
        return None
    read = in_its_department(read)
    dialled = f"+{read.country_code}{read.national_number}"
    return dialled if _SENT.fullmatch(dialled) else None
