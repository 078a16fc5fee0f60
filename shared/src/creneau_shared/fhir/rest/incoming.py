"""What comes in with a request, read within its limits: the query, a search form, the body. For every process that
answers HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from creneau_shared.errors import BadRequest, TooLarge, UnsupportedMedia

Receive = Callable[[], Awaitable[dict[str, Any]]]
Pairs = list[tuple[str, str]]

QUERY_PARAMETERS_MAX = 200
FORM = "application/x-www-form-urlencoded"


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
    """The whole body; TooLarge as soon as it is longer, BadRequest when the client leaves before its end."""
    declared = headers.get("content-length", "0")
    if declared == "0" and "transfer-encoding" not in headers:
        return b""
    if declared.isdigit() and int(declared) > bytes_max:
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
    return b"".join(chunks)


def _too_large(bytes_max: int) -> TooLarge:
    limit = bytes_max // 1024
    return TooLarge(
        f"Le contenu dépasse {limit} Kio ; découpez-le en plusieurs requêtes.",
        f"The body is longer than {limit} KiB; split it over several requests.",
    )
