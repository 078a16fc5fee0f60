"""One of several known words, out of text that may say anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Word = TypeVar("Word")


def one_of(known: Iterable[Word], said: object) -> Word | None:
    """The one of the known words that was said; None if it is none of them. `known`: as a Literal's `get_args` gives them."""
    return next((word for word in known if word == said), None)
