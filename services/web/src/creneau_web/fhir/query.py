"""Parameters of a search, in their order; a name may come several times."""

from __future__ import annotations

from collections.abc import Sequence

Query = Sequence[tuple[str, str]]
