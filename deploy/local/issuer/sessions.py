"""What is done with a session that has begun: ask who it is (`userinfo`), end it (`end_session`, `revoke`)."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from deploy.local.issuer import pages
from deploy.local.issuer.answers import NO_STORE, RefusedError, form_of, private
from deploy.local.issuer.clients import authenticated, presented
from deploy.local.issuer.provider import Provider


class SessionEndpoints:
    """The endpoints of one dialect."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def routes(self) -> list[Route]:
        path = self._provider.dialect.path
        return [
            Route(f"{path}/userinfo", self.userinfo, methods=["GET", "POST"]),
            Route(f"{path}/end_session", self.end_session, methods=["GET", "POST"]),
            Route(f"{path}/revoke", self.revoke, methods=["POST"]),
        ]

    async def userinfo(self, request: Request) -> Response:
        """Claims of the person, as JSON or as a signed JWT (OpenID Connect Core, section 5.3)."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        session = self._provider.session_of(token) if scheme.lower() == "bearer" else None
        if session is None:
            headers = {**NO_STORE, "WWW-Authenticate": 'Bearer error="invalid_token"'}
            return Response(status_code=401, headers=headers)
        claims = self._provider.userinfo(session)
        if not self._provider.dialect.signed_userinfo:
            return private(claims)
        provider = self._provider
        times = {"iat": provider.now, "exp": provider.now + int(provider.lifetimes.id_token)}
        signed = provider.sign({**claims, "iss": provider.issuer, "aud": session.client, **times})
        return Response(signed, media_type="application/jwt", headers=NO_STORE)

    async def end_session(self, request: Request) -> Response:
        """RP-initiated log-out 1.0. Without the ID token nobody is logged out: anybody could send people here."""
        given = dict(request.query_params) if request.method == "GET" else await form_of(request)
        claims = self._provider.verified(given.get("id_token_hint", ""))
        client = self._provider.clients.get(str(claims["aud"])) if claims else None
        uri = given.get("post_logout_redirect_uri", "")
        if claims is None or client is None or (uri and not client.may_end_at(uri)):
            return pages.refusal(pages.NO_SESSION)
        self._provider.store.end_session(str(claims.get("sid", "")))
        if not uri:
            return pages.ended()
        state = f"?{urlencode({'state': given['state']})}" if given.get("state") else ""
        return RedirectResponse(f"{uri}{state}", 303, headers=NO_STORE)

    async def revoke(self, request: Request) -> Response:
        """RFC 7009: the session of the token ends. A token that is not known is answered in the same way."""
        form = await form_of(request)
        id_, secret = presented(request.headers.get("authorization", ""), form)
        client = authenticated(self._provider.clients, id_, secret)
        if client is None:
            return RefusedError("invalid_client", 401).response()
        token = form.get("token", "")
        refresh = self._provider.store.read("refresh", token)
        session = self._provider.session(refresh.session) if refresh else self._provider.session_of(token)
        if session is not None and session.client == client.id:
            self._provider.store.end_session(session.name)
        return Response(status_code=200, headers=NO_STORE)
