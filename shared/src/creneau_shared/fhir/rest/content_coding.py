"""Bodies that a client has compressed (Content-Encoding, RFC 9110 section 8.4), as libraries do above a certain
size. The limit applies after decompression: a small body may hold a large one."""

from __future__ import annotations

import zlib

from creneau_shared.errors import BadRequest, TooLarge, UnsupportedMedia

ACCEPTED = "gzip, deflate"
_GZIP = zlib.MAX_WBITS | 16
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


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
    reader = zlib.decompressobj(_WINDOWS[named])
    try:
        content = reader.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise _unreadable(named) from error
    if len(content) > bytes_max:
        raise too_large
    if not reader.eof or reader.unused_data:
        raise _unreadable(named)
    return content


def _unreadable(coding: str) -> BadRequest:
    return BadRequest(
        f"Le contenu n'est pas du {coding}, comme le dit pourtant Content-Encoding, ou il est tronqué.",
        f"The body is not {coding}, as Content-Encoding says it is, or it is cut short.",
        details_code="content-coding",
    )
