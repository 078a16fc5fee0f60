"""Who bears an identifier, and which of them is meant where only one can be: SQL over the `terms` of a type's table.

A national number has several spellings (`terms.identifier_terms`), and one person may have two entries, each under one of
them. Whoever bears the identifier as it was given is meant before whoever bears another spelling of its number.
"""

from __future__ import annotations

from collections.abc import Iterable


def bears(terms: str, column: str = "terms") -> str:
    """Condition: the row bears one of the `terms` (SQL, a text[]), of which nearly nobody bears one. They stand in a SELECT so
    that PostgreSQL does not guess, from many spellings of a number, that most rows bear one."""
    return f"{column} && (SELECT {terms})"


def as_given(terms: str) -> str:
    """Expression: whether the row bears the first of the `terms` (SQL, a text[]): the identifier as it was given."""
    return f"({terms})[1] = ANY(terms)"


def meant(bearers: Iterable[tuple[str, bool]]) -> list[str]:
    """Of these bearers (id; whether of the identifier as it was given), the ids of those who are meant."""
    known = list(bearers)
    given = [id_ for id_, is_given in known if is_given]
    return given or [id_ for id_, _ in known]
