"""Forms sent to the endpoints, and answers of those that programs call (RFC 6749, sections 5.1 and 5.2)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

NO_STORE = {"Cache-Control": "no-store"}


class RefusedError(Exception):
    """A request that is refused; `error` is the code of the specification."""

    def __init__(self, error: str, status: int = 400, description: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.description = description

    def response(self) -> Response:
        challenge = {"WWW-Authenticate": 'Basic realm="creneau"'} if self.status == 401 else {}
        body = {"error": self.error}
        if self.description:
            body["error_description"] = self.description
        return JSONResponse(body, self.status, headers=NO_STORE | challenge)


def private(body: dict[str, Any]) -> Response:
    """JSON without caching."""
    return JSONResponse(body, headers=NO_STORE)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form (application/x-www-form-urlencoded); the last value of a repeated field."""
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
