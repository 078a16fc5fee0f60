"""The one cookie."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from creneau_web.settings import WebSettings


class SessionCookie:
    """Reads it, sets it, takes it away: HttpOnly, SameSite=Lax (the way back from a log-in is a GET of another site)."""

    def __init__(self, settings: WebSettings) -> None:
        self._name = settings.session_cookie
        self._secure = settings.session_cookie_secure

    def read(self, request: Request) -> str | None:
        return request.cookies.get(self._name)

    def write(self, response: Response, key: str) -> None:
        response.set_cookie(self._name, key, path="/", secure=self._secure, httponly=True, samesite="lax")

    def remove(self, response: Response) -> None:
        response.delete_cookie(self._name, path="/", secure=self._secure, httponly=True, samesite="lax")
