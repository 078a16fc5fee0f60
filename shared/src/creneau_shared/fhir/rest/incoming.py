"""What comes in with a request, read within its limits: the query, a search form, the body. For every process that
answers HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from creneau_shared.errors import BadRequest, TooLarge, UnsupportedMedia
from creneau_shared.fhir.rest.content_coding import decoded
from creneau_shared.limits.callers import Standing

Receive = Callable[[], Awaitable[dict[str, Any]]]
Pairs = list[tuple[str, str]]

QUERY_PARAMETERS_MAX = 200
LISTS = frozenset({"accept", "accept-language", "if-match", "if-none-match", "prefer"})
"""those headers whose values are lists, among the headers that the code reads"""
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Longest bodies, bytes: without a token, with a patient's, with another; of one resource, whoever sends it; and of a
    feed of all the slots of an agenda (`$sync-slots`)."""

    anonymous: int
    patient: int
    others: int
    resource: int
    feed: int = 0

    def bytes_max(self, standing: Standing, path: Sequence[str]) -> int:
        """The longest body of a request to the path. Bundles and bodies for `$validate` may be longer than a resource."""
        of_caller = {"anonymous": self.anonymous, "patient": self.patient}.get(standing, self.others)
        if path and path[-1] == "$sync-slots" and standing not in ("anonymous", "patient"):
            return max(of_caller, self.feed)
        takes_bundles = not path or path[-1] == "$validate"
        return of_caller if takes_bundles else min(of_caller, self.resource)


def read_headers(lines: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers of a request by their names, in lower case as ASGI has them. Several lines of a list header are joined
    (RFC 9110 5.3); of any other header, the last line counts."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in lines}
    if len(headers) < len(lines):
        for listed in LISTS.intersection(headers):
            said = [value for name, value in lines if name == listed.encode()]
            headers[listed] = b", ".join(said).decode("latin-1")
    return headers


def declared_bytes(headers: Mapping[str, str]) -> int:
    """The length that a request says its body has; 0 when it says none."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def read_query(raw: bytes) -> Pairs:
    """The parameters of an address; BadRequest when they are unreadable or too many."""
    if not raw:
        return []
    try:
        return parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=QUERY_PARAMETERS_MAX
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise BadRequest(
            f"Les paramètres de la requête sont illisibles, ou plus nombreux que {QUERY_PARAMETERS_MAX}.",
            f"The request's parameters are unreadable, or more than {QUERY_PARAMETERS_MAX}.",
            diagnostics=str(error),
        ) from error


def read_form(headers: Mapping[str, str], body: bytes) -> Pairs:
    """The parameters in the body of a POST _search (FHIR R4 http.html#search); UnsupportedMedia when it is no form."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and media != FORM:
        raise UnsupportedMedia(
            f"_search attend un formulaire : Content-Type: {FORM}.",
            f"_search takes a form: Content-Type: {FORM}.",
        )
    return read_query(body.replace(b"\r\n", b""))


async def read_body(headers: Mapping[str, str], receive: Receive, bytes_max: int) -> bytes:
    """The whole body, decompressed; TooLarge as soon as it is longer, BadRequest when the client leaves before its end."""
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return b""
    if declared_bytes(headers) > bytes_max:
        raise _too_large(bytes_max)
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("La requête a été interrompue.", "The request was cut short.", code="incomplete")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise _too_large(bytes_max)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return decoded(headers.get("content-encoding", ""), b"".join(chunks), _too_large(bytes_max), bytes_max)


def _too_large(bytes_max: int) -> TooLarge:
    limit = bytes_max // 1024
    return TooLarge(
        f"Le contenu dépasse {limit} Kio, le plus qui soit accepté de vous à cette adresse ; découpez-le en plusieurs requêtes.",
        f"The body is longer than {limit} KiB, the most that is taken from you at this address; split it over several requests.",
        details_code="body-too-large",
    )
