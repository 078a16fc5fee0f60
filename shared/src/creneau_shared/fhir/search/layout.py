"""What the tables of a type (`storage.tables`) and the searches over them agree on."""

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
"""Types that are written far more often than they are searched by anything but whose they are, who takes part and when:
an index holds what tells few of them apart (`is_key`), and the rest of what they are searched by stands beside it, in
`traits`, to be looked at in those that were found."""

_ALSO = {"practitioner=": "actor=", "location=": "actor=", "subject=Patient/": "patient=Patient/"}
"""How terms begin, and as what the index of a narrow type holds them."""
_PAIRS = frozenset({"identifier", "_tag", "_security", "_profile"})
"""Parameters whose terms with a bar (system and value) tell few apart."""
SEPARATOR = "\x1f"
"""Within a trait that is a string: parameter, folded, exact."""


def is_key(term: str) -> bool:
    """Whether the index of a narrow type holds the term. Old rows may have more terms in it, and no traits."""
    name, equals, value = term.partition("=")
    if name.startswith("~"):
        return True
    if not equals or value.endswith("|") or term.startswith(tuple(_ALSO)):
        return False
    return "|" not in value or name.partition(":")[0] in _PAIRS or name.endswith(":identifier")


def beginning_of(term: str) -> str | None:
    """How the terms begin of which each tells as much as this one: `status=` of `status` (there is one), `status=s|` of
    itself (some code of the system); None: only the term itself does."""
    if "=" not in term:
        return f"{term}="
    return term if term.endswith("|") and not term.endswith("\\|") else None


def keys_and_others(terms: Iterable[str]) -> tuple[list[str], list[str]]:
    """Of a row's terms, those that the index of a narrow type holds, and the others but for those of which another tells."""
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
    """Of a term, kept since most rows have the same: whether it is a key, how it begins, and the beginnings that it tells of
    (`status=` and `status=s|` of `status=s|booked`)."""
    name, equals, value = term.partition("=")
    system, bar, code = value.partition("|")
    told: tuple[str, ...] = (f"{name}=",) if equals else ()
    if bar and code and not system.endswith("\\"):
        told = (*told, f"{name}={system}|")
    return is_key(term), beginning_of(term), told


def key_of(term: str) -> str | None:
    """A key that every row of a narrow type has that has the term: the term itself, or one that tells less."""
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
