"""The codes of the national lists (NOS) that the ROR demands, as far as they are known here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import creneau_french


def is_listed(system: str, code: str) -> bool:
    """Whether a list has the code, closed or not. True if the list is not known here, or in part only."""
    known = _whole_lists().get(system)
    return known is None or code in known


@cache
def _whole_lists() -> Mapping[str, frozenset[str]]:
    return {
        row["url"]: frozenset(code for code, *_ in row["concepts"])
        for row in creneau_french.code_systems()
        if row.get("content") != "fragment"
    }
