"""uvicorn's HTTP/1.1 with limits for clients that are slow, send without end, or send invalid requests.

The gateway's nginx has limits of its own; these apply to clients that reach a process directly.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from creneau_shared.errors import Issue
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import operation_outcome
from creneau_shared.http.protection import PROTECTION

HEAD_TIMEOUT_S: Final = 15.0
"""longest time from the connection, or from a request's first byte, to the end of its header; the body counts towards the
request's time"""
LINGER_S: Final = 5.0
"""how long the rest of a body may still arrive after its request was answered"""
HEAD_BYTES_MAX: Final = 64 * 1024
"""most bytes of an incomplete request line and header"""

MALFORMED = Issue("structure", "La requête HTTP est illisible.", "The HTTP request is unreadable.")
TOO_SLOW = Issue(
    "timeout",
    f"L'en-tête de la requête n'est pas arrivé en {HEAD_TIMEOUT_S:.0f} s.",
    f"The request's header did not arrive within {HEAD_TIMEOUT_S:.0f} s.",
)
TOO_LONG = Issue(
    "too-long",
    f"L'en-tête de la requête dépasse {HEAD_BYTES_MAX // 1024} Kio.",
    f"The request's header is longer than {HEAD_BYTES_MAX // 1024} KiB.",
)


class PatientProtocol(HttpToolsProtocol):
    """One connection. Its own refusals are OperationOutcomes, sent after the answers to earlier requests."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True
        self._head_bytes = 0
        self._patience: asyncio.TimerHandle | None = None
        self._in_body = False
        self._lingering: asyncio.TimerHandle | None = None
        self._refusal: tuple[int, Issue] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_lingering()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return  # bytes after an unreadable request have no meaning
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse(431, TOO_LONG)
            elif self._patience is None:
                self._wait_for_head()
        elif self._patience is not None:
            self._stop_waiting()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        self._stop_lingering()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and self._idle():
            self._lingering = self.loop.call_later(LINGER_S, self.timeout_keep_alive_handler)
        if self._refusal is not None and self._idle():
            self._refuse(*self._refusal)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, MALFORMED)

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._patience = self.loop.call_later(HEAD_TIMEOUT_S, self._lose_patience)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def _lose_patience(self) -> None:
        self._patience = None
        self._refuse(408, TOO_SLOW)

    def _refuse(self, status: int, issue: Issue) -> None:
        """Sends the refusal after the answers to earlier requests on this connection, then closes it."""
        self._refusal = (status, issue)
        if not self._idle() or self.transport.is_closing():
            return
        self._stop_waiting()
        body = dumps(operation_outcome([issue]))
        head = [
            b"content-type: application/fhir+json; charset=utf-8",
            b"content-length: %d" % len(body),
            b"cache-control: no-store",
            b"connection: close",
            *(b": ".join(header) for header in PROTECTION),
        ]
        self.transport.write(STATUS_LINE[status] + b"\r\n".join([*head, b"", body]))
        self.transport.close()
