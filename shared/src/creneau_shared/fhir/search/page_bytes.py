"""How large a page is: it ends once it has so many bytes, and its `next` link leads on, whatever `_count` says. A server may
answer fewer than `_count` (FHIR R4 http.html#paging), and a page is in memory several times until it is sent.

Statements read no more than that, and `fitting` alone says where the page ends: after the resource that makes it full.
"""

from __future__ import annotations

from collections.abc import Iterable

PAGE_BYTES_MAX = 8 * 1024 * 1024
WHOLE_BYTES_MAX = 4 * PAGE_BYTES_MAX
"""of an answer that joins pages, before its last one"""


def within(statement: str, columns: str) -> str:
    """The `columns` of the rows of a statement that make a page, and of one more that tells that there is another. The
    statement gives rows in the order of the page, `content` (text or bytea) among them."""
    # A window without an order takes the rows as they come. The content of what is left out is never read.
    return (
        f"SELECT {columns} FROM (SELECT *, coalesce(sum(octet_length(content))"
        " OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING), 0) AS before"
        f" FROM ({statement}) AS rows) AS page WHERE before < {PAGE_BYTES_MAX}"
    )


def fitting(contents: Iterable[bytes | None], room: int = 0) -> int:
    """How many of these resources, in their order, a page takes; `room`: bytes that are on it already."""
    taken, size = 0, room
    for content in contents:
        if size >= PAGE_BYTES_MAX:
            break
        taken, size = taken + 1, size + len(content or b"")
    return taken
