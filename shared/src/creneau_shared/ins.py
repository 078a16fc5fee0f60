"""The national identity number (INS) of a person, in whichever spelling people and software write it."""

from __future__ import annotations

import re

INS_SYSTEMS = frozenset(f"urn:oid:1.2.250.1.213.1.4.{number}" for number in (8, 9, 10, 11))
"""INS-NIR, INS-NIA, and the NIR for tests and demonstrations (INS reference, FR Core patient-ins)."""


def plain_ins(value: str) -> str:
    """The stored form of the number: without blanks, its letter (Corsica) a capital."""
    return re.sub(r"\s", "", value).upper()
