"""Cursors: where a page ends, sealed, good for one query only.

A place holds the values that the page was sorted by, which may be a name or an INS: nobody on the way can read them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.sql import RowPlace
from creneau_shared.security.sealing import Seal, UnsealableError


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the order of a query, and the total that its first page found (None: not told)."""

    place: RowPlace
    total: int | None = None


def query_digest(
    resource_type: str, pairs: Iterable[tuple[str, str]], seen: Iterable[str] | None = None
) -> bytes:
    """Digest of what a cursor is good for: the query's pairs, except those that may change between pages, and the terms
    that limit what the caller sees (`SearchScope`; None: all). Else a cursor would tell how much another caller sees."""
    kept = [[name, text] for name, text in pairs if name not in ("_count", "_format", "_pretty")]
    asked = [resource_type, kept, *([] if seen is None else [sorted(seen)])]
    return hashlib.sha256(orjson.dumps(asked)).digest()


class CursorCodec:
    """Writes and reads cursors with a secret that all processes of a service share."""

    def __init__(self, secret: str) -> None:
        """An empty secret makes a random one: the cursors then live as long as this process."""
        self._seal = Seal(secret, "cursor")

    def encode(self, cursor: Cursor, digest: bytes) -> str:
        """URL-safe text."""
        values = [_packed(value) for value in cursor.place.values]
        payload = orjson.dumps([values, cursor.place.backward, cursor.total])
        return self._seal.close(payload, digest)

    def decode(self, text: str, digest: bytes) -> Cursor:
        """Raises BadRequest for what was not encoded here for the same query."""
        try:
            values, backward, total = orjson.loads(self._seal.open(text, digest))
        except UnsealableError as error:
            raise BadRequest(
                "Ce lien de page ne vaut pas pour cette recherche ; repartez de la première page",
                "This page link does not belong to this search; start again from the first page",
                expression="http._cursor",
                details_code="cursor",
            ) from error
        return Cursor(RowPlace(tuple(_unpacked(value) for value in values), backward), total)


def _packed(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    if isinstance(value, Decimal):
        return {"d": str(value)}
    if isinstance(value, UUID):
        return {"u": str(value)}
    return value


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    return _UNPACKERS[kind](text)


_UNPACKERS: dict[str, Callable[[str], Any]] = {"t": datetime.fromisoformat, "d": Decimal, "u": UUID}
