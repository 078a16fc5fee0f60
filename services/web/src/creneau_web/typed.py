"""Limits of what people type. A field is taken whole, so that a page can show it again and say beside it that it is too
long."""

from __future__ import annotations

from collections.abc import Mapping

TYPED_MAX = 10_000
"""characters that are taken of one field; more was not typed by a person"""

NAME_MAX = 100
EMAIL_MAX = 254
PHONE_MAX = 60
CODE_MAX = 200
TOO_LONG = "form.problem.long"


def too_long(typed: Mapping[str, str], most: Mapping[str, int]) -> dict[str, str]:
    """Field → key of the sentence, for each that is longer than it may be. `most`: field → characters."""
    return {name: TOO_LONG for name, characters in most.items() if len(typed[name]) > characters}
