"""Bodies that a client has compressed (Content-Encoding, RFC 9110 section 8.4), as libraries do above a certain
size. The limit applies after decompression: a small body may hold a large one."""

from __future__ import annotations

import zlib

from creneau_shared.errors import BadRequest, TooLarge, UnsupportedMedia

ACCEPTED = "gzip, deflate"
_GZIP = zlib.MAX_WBITS | 16
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}
PIECE_BYTES = 4096
"""read at once: zlib copies what is left of a piece after each member, and a body may have a member every 20 bytes"""


def decoded(coding: str, body: bytes, too_large: TooLarge, bytes_max: int) -> bytes:
    """The body as it was before `coding` (a Content-Encoding) was applied; `too_large` when it is longer than
    `bytes_max`, UnsupportedMedia for a coding that is not read here, BadRequest when the body is not in it."""
    named = coding.strip().lower()
    if named in ("", "identity") or not body:
        return body
    if named not in _WINDOWS:
        raise UnsupportedMedia(
            f"Codage de contenu inconnu ici : « {coding} ». Envoyez le contenu tel quel, ou en {ACCEPTED}.",
            f"Content coding not known here: “{coding}”. Send the body as it is, or in {ACCEPTED}.",
            headers={"Accept-Encoding": ACCEPTED},
            details_code="content-coding",
        )
    try:
        content = _read(body, named, bytes_max)
    except zlib.error as error:
        raise _unreadable(named) from error
    if len(content) > bytes_max:
        raise too_large
    return content


def _read(body: bytes, coding: str, bytes_max: int) -> bytes:
    """The content, at most one byte more than `bytes_max`; zlib.error when the body is not in its coding or cut short. A gzip
    is one or more members, whose contents follow each other (RFC 1952 2.2)."""
    reader = zlib.decompressobj(_WINDOWS[coding])
    contents, room = [], bytes_max + 1
    for start in range(0, len(body), PIECE_BYTES):
        piece = body[start : start + PIECE_BYTES]
        while piece and room:
            if reader.eof and coding == "deflate":
                raise zlib.error("something follows the stream")
            if reader.eof:
                reader = zlib.decompressobj(_WINDOWS[coding])
            contents.append(reader.decompress(piece, room))
            room -= len(contents[-1])
            piece = reader.unused_data
    if room and not reader.eof:
        raise zlib.error("the stream has no end")
    return b"".join(contents)


def _unreadable(coding: str) -> BadRequest:
    return BadRequest(
        f"Le contenu n'est pas du {coding}, comme le dit pourtant Content-Encoding, ou il est tronqué.",
        f"The body is not {coding}, as Content-Encoding says it is, or it is cut short.",
        details_code="content-coding",
    )
