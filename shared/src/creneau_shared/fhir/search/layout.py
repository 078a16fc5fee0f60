"""The layout that the tables of a type (`storage.tables`) and the searches over them share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

STRING_INDEX_CHARACTERS = 64
"""Characters of a string that the ordered index holds: an index entry cannot be as long as a string."""


def table_name(resource_type: str) -> str:
    """`PractitionerRole` → `practitioner_role`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", resource_type).lower()


NARROW = frozenset({"Appointment", "Communication"})
"""Types that are written far more often than they are searched by anything but owner, participants and time. The index
holds only some of their terms (`is_key`). The others stand in `traits`, without an index, and are checked in the rows that
were found."""

_ALSO = {"practitioner=": "actor=", "location=": "actor=", "subject=Patient/": "patient=Patient/"}
"""Beginning of a term → the beginning under which the index of a narrow type holds it."""
_PAIRS = frozenset({"identifier", "_tag", "_security", "_profile"})
"""Parameters whose terms with a bar (system and value) select few rows, so that the index holds them."""
SEPARATOR = "\x1f"
"""Separates the parts of a trait that is a string: parameter, folded, exact."""


def is_key(term: str) -> bool:
    """Whether the index of a narrow type holds the term. Old rows may have more terms in it, and no traits."""
    name, equals, value = term.partition("=")
    if name.startswith("~"):
        return True
    if not equals or value.endswith("|") or term.startswith(tuple(_ALSO)):
        return False
    return "|" not in value or name.partition(":")[0] in _PAIRS or name.endswith(":identifier")


def beginning_of(term: str) -> str | None:
    """The common beginning of the terms that imply this one: `status=` for `status` (it has a value), `status=s|` for
    itself (some code of the system). None: only the term itself implies it."""
    if "=" not in term:
        return f"{term}="
    return term if term.endswith("|") and not term.endswith("\\|") else None


def keys_and_others(terms: Iterable[str]) -> tuple[list[str], list[str]]:
    """A row's terms: those that the index of a narrow type holds, and the others, without those that another implies."""
    keys: list[str] = []
    others: list[tuple[str, str | None]] = []
    beginnings: set[str] = set()
    for term in terms:
        key, own, told = _read(term)
        if key:
            keys.append(term)
        else:
            others.append((term, own))
        beginnings.update(told)
    return keys, [term for term, own in others if own not in beginnings]


@lru_cache(maxsize=16_384)
def _read(term: str) -> tuple[bool, str | None, tuple[str, ...]]:
    """Whether a term is a key, its `beginning_of`, and the beginnings that it implies (`status=` and `status=s|` for
    `status=s|booked`). Cached, since most rows have the same terms."""
    name, equals, value = term.partition("=")
    system, bar, code = value.partition("|")
    told: tuple[str, ...] = (f"{name}=",) if equals else ()
    if bar and code and not system.endswith("\\"):
        told = (*told, f"{name}={system}|")
    return is_key(term), beginning_of(term), told


def key_of(term: str) -> str | None:
    """The key that every row of a narrow type with this term has: the term itself, or a less specific one; None without."""
    if is_key(term):
        return term
    name, _, value = term.partition("=")
    for start, as_ in _ALSO.items():
        if term.startswith(start):
            return as_ + term.removeprefix(start)
    system, bar, code = value.partition("|")
    if bar and code and not system.endswith("\\") and is_key(f"{name}={code}"):
        return f"{name}={code}"
    return None
