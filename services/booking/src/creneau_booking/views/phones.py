"""French telephone numbers as they are dialled from anywhere."""

from __future__ import annotations

import re

_OVERSEAS = {
    "0262": "262",
    "0263": "262",
    "0692": "262",
    "0693": "262",
    "0639": "262",
    "0590": "590",
    "0690": "590",
    "0691": "590",
    "0594": "594",
    "0694": "594",
    "0596": "596",
    "0696": "596",
    "0697": "596",
}
"""Country code by the first digits of a national number (Arcep); everything else is 33."""
_NATIONAL = re.compile(r"0[1-9][0-9]{8}", re.ASCII)
_INTERNATIONAL = re.compile(r"\+(33|262|590|594|596)[1-9][0-9]{8}", re.ASCII)


def international(number: str) -> str | None:
    """`+33XXXXXXXXX` (or 262, 590, 594, 596) for a French number however it is written; None for any other."""
    digits = re.sub(r"\(0\)|[\s.\-/()]", "", number)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if _NATIONAL.fullmatch(digits):
        digits = f"+{_OVERSEAS.get(digits[:4], '33')}{digits[1:]}"
    return digits if _INTERNATIONAL.fullmatch(digits) else None
