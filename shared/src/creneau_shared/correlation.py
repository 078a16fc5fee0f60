"""The id that follows one request through logs, events and answers (`X-Request-Id`, `X-Correlation-Id`)."""

from __future__ import annotations

import re
from contextvars import ContextVar

from creneau_shared.ids import new_id

_current: ContextVar[str | None] = ContextVar("correlation id", default=None)
_ACCEPTABLE = re.compile(rb"^[A-Za-z0-9._:\-]{1,128}\Z")

Headers = list[tuple[bytes, bytes]]


def correlation_id() -> str | None:
    """The correlation id of the request or event in hand; None outside any."""
    return _current.get()


def set_correlation_id(value: str | None) -> None:
    """Sets the correlation id for work outside an HTTP request, such as handling an event."""
    _current.set(value)


def begin(request_id: bytes | None, given: bytes | None) -> Headers:
    """Takes the caller's id when it is acceptable, else makes one. Returns the headers that repeat it in the answer."""
    named = request_id is not None and _ACCEPTABLE.match(request_id) is not None
    if given is not None and _ACCEPTABLE.match(given):
        value = given
    else:
        value = request_id if named and request_id is not None else new_id().encode()
    _current.set(value.decode())
    echoed = request_id if named and request_id is not None else value
    return [(b"x-request-id", echoed), (b"x-correlation-id", value)]
