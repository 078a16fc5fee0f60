"""Seals what a link carries and nobody on its way may read. Cursors hold the values that a page ended with. A search comes
in a body (`POST _search`, an entry of a Bundle) so that no address tells its criteria.

Addresses are logged by proxies, kept by browsers and sent on as referrers. So a link carries such values sealed:
AES-256-GCM under a key that only the service has, each tied to what it was sealed for. Values of a query are deflated
first: lists of ids are long, and whoever follows the link sends it as an address.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from creneau_shared.errors import BadRequest
from creneau_shared.security.sealing import Seal, UnsealableError

MARK = "~sealed."
"""What a sealed value in a query begins with."""
READABLE = frozenset(
    {
        "_count", "_cursor", "_elements", "_format", "_include", "_include:iterate", "_include:recurse",
        "_lastUpdated", "_maxresults", "_pretty", "_revinclude", "_revinclude:iterate", "_revinclude:recurse",
        "_score", "_since", "_sort", "_summary", "_total", "_type",
    }
)  # fmt: skip
"""Parameters that say how to answer and name nobody: they stay as they are."""

Pairs = Iterable[tuple[str, str]]


class QuerySeal:
    """Seals the values of a query, parameter by parameter: the link still says which were understood, in order."""

    def __init__(self, secret: str) -> None:
        self._seal = Seal(secret, "query")

    def close(self, pairs: Pairs) -> list[tuple[str, str]]:
        """The pairs, with every value sealed that may tell whom or what was searched for."""
        return [
            (
                name,
                text
                if name in READABLE or not text
                else MARK + self._seal.close(zlib.compress(text.encode()), name.encode()),
            )
            for name, text in pairs
        ]

    def open(self, pairs: Pairs) -> list[tuple[str, str]]:
        """The pairs as they were; BadRequest for a seal that this service did not make."""
        return [(name, self._opened(name, text) if text.startswith(MARK) else text) for name, text in pairs]

    def _opened(self, name: str, text: str) -> str:
        try:
            return zlib.decompress(self._seal.open(text.removeprefix(MARK), name.encode())).decode()
        except (UnsealableError, zlib.error) as error:
            raise BadRequest(
                "Ce lien ne vaut plus ; refaites la recherche.",
                "This link is no longer good; search again.",
                expression=f"http.{name}",
                details_code="cursor",
            ) from error


def is_sealed(pairs: Pairs) -> bool:
    """Whether some value of the query is sealed."""
    return any(text.startswith(MARK) for _, text in pairs)
