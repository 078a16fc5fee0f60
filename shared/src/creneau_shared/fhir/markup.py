"""Detects XML that is much more expensive to parse than its length suggests, before it is parsed."""

from __future__ import annotations

import re
from typing import Final

ATTRIBUTES_MAX: Final = 256
"""Most attributes of one element: the parser compares each with every other, so 28,000 of them take seconds."""

_ATTRIBUTE: Final = re.compile(r"=\s*[\"']")


def has_crowded_element(text: str) -> bool:
    """Whether some element of this XML has more than ATTRIBUTES_MAX attributes.

    An attribute's value cannot hold `<`, so the text between two `<` holds one start tag at most.
    """
    return any(
        part.count("=") > ATTRIBUTES_MAX and len(_ATTRIBUTE.findall(part)) > ATTRIBUTES_MAX
        for part in text.split("<")
    )
