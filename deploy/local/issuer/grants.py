"""`/token`: tokens for codes, refresh tokens, client credentials and other providers' ID tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.local.issuer.answers import RefusedError, form_of, private
from deploy.local.issuer.clients import Client, authenticated, presented
from deploy.local.issuer.people import Person
from deploy.local.issuer.provider import Provider, Session
from deploy.local.issuer.scopes import granted
from deploy.local.tokens import LIFETIME_S, SCOPES

CLIENT_SECRET = "development"  # noqa: S105 - public: it opens nothing but this machine's own test data

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a name
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name

Answer = dict[str, Any]


class TokenEndpoint:
    """The endpoint of one dialect. `trusted`: the providers whose ID tokens are exchanged for tokens of this one."""

    def __init__(self, provider: Provider, trusted: Sequence[Provider] = ()) -> None:
        self._provider = provider
        self._trusted = {other.issuer: other for other in trusted}

    def routes(self) -> list[Route]:
        return [Route(f"{self._provider.dialect.path}/token", self.answer, methods=["POST"])]

    @property
    def grants(self) -> list[str]:
        """The grants that are known here."""
        more = ["client_credentials", EXCHANGE] if self._trusted else []
        refresh = [] if self._provider.dialect.opaque_tokens else ["refresh_token"]
        return ["authorization_code", *refresh, *more]

    async def answer(self, request: Request) -> Response:
        form = await form_of(request)
        try:
            return private(self._granted(request, form))
        except RefusedError as refused:
            return refused.response()

    def _granted(self, request: Request, form: Mapping[str, str]) -> Answer:
        grant = form.get("grant_type", "")
        if grant not in self.grants:
            raise RefusedError("unsupported_grant_type")
        id_, secret = presented(request.headers.get("authorization", ""), form)
        if grant == "client_credentials":
            return self._of_a_client(id_, secret)
        client = authenticated(self._provider.clients, id_, secret)
        if client is None:
            raise RefusedError("invalid_client", 401)
        match grant:
            case "authorization_code":
                return self._for_a_code(client, form)
            case "refresh_token":
                return self._again(client, form)
            case _:
                return self._for_an_id_token(client, form)

    def _of_a_client(self, role: str, secret: str) -> Answer:
        if role not in SCOPES or not hmac.compare_digest(secret.encode(), CLIENT_SECRET.encode()):
            raise RefusedError("invalid_client", 401)
        token = self._provider.deployment.token(role)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": LIFETIME_S,
            "scope": SCOPES[role],
        }

    def _for_a_code(self, client: Client, form: Mapping[str, str]) -> Answer:
        """Takes a code once. A second sender is not its owner: the code's session ends, with its tokens."""
        store = self._provider.store
        kept = store.use("code", form.get("code", ""))
        if kept is not None and kept.used_s is not None:
            store.end_session(kept.session)
        if kept is None or kept.value["client"] != client.id:
            raise RefusedError("invalid_grant", description="the code is unknown or too old")
        if form.get("redirect_uri", "") != kept.value["uri"]:
            raise RefusedError("invalid_grant", description="redirect_uri is not that of the request")
        challenge = _challenge(form.get("code_verifier", ""))
        if not hmac.compare_digest(challenge, kept.value["challenge"]):
            raise RefusedError("invalid_grant", description="the verifier does not fit the challenge")
        session = self._provider.session(kept.session)
        if session is None:
            raise RefusedError("invalid_grant", description="the code was used before")
        return self._tokens(session, with_id_token=True)

    def _again(self, client: Client, form: Mapping[str, str]) -> Answer:
        """Rotates the refresh token: for one use, or a few in a short time, as the first answer may be lost."""
        provider = self._provider
        kept = provider.store.use("refresh", form.get("refresh_token", ""))
        session = provider.session(kept.session) if kept else None
        if kept is None or session is None or session.client != client.id:
            raise RefusedError("invalid_grant", description="the refresh token does not hold")
        if kept.used_s is not None and kept.used_s > provider.lifetimes.refresh_again:
            provider.store.end_session(kept.session)
            raise RefusedError("invalid_grant", description="the refresh token was used before")
        return self._tokens(session, with_id_token="openid" in session.scope.split())

    def _for_an_id_token(self, client: Client, form: Mapping[str, str]) -> Answer:
        """RFC 8693: an ID token of another provider gives a session here. It must be for the same application: a token for
        another application says nothing about the user of this one."""
        if form.get("subject_token_type") != ID_TOKEN:
            raise RefusedError("invalid_request", description="subject_token_type must be an ID token")
        if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise RefusedError("invalid_request", description="only access tokens are given")
        other, claims = self._vouched(form.get("subject_token", ""))
        if claims.get("aud") != f"{client.id}-{other.dialect.name}" or claims["exp"] <= self._provider.now:
            raise RefusedError("invalid_grant", description="the ID token is old, or for another client")
        (role,) = other.dialect.roles
        subject = str(claims["sub"])
        rpps = subject.rpartition(":")[2].removeprefix("8") if role == "practitioner" else ""
        session = self._provider.begin(
            Person(subject, role, rpps=rpps),
            client.id,
            subject=f"{other.dialect.name}:{subject}",
            scope=granted(form.get("scope", ""), role),
            level=str(claims.get("acr", "")),
            nonce="",
        )
        return {**self._tokens(session, with_id_token=False), "issued_token_type": ACCESS_TOKEN}

    def _vouched(self, token: str) -> tuple[Provider, dict[str, Any]]:
        for other in self._trusted.values():
            claims = other.verified(token)
            if claims is not None:
                return other, claims
        raise RefusedError("invalid_grant", description="nobody who is trusted has signed the ID token")

    def _tokens(self, session: Session, *, with_id_token: bool) -> Answer:
        provider = self._provider
        access = provider.access_token(session)
        answer: Answer = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(provider.lifetimes.access_token),
            "scope": session.scope,
        }
        if with_id_token:
            answer["id_token"] = provider.id_token(session, access)
        if "refresh_token" in self.grants:
            answer["refresh_token"] = provider.store.keep(
                "refresh", {}, provider.lifetimes.session, session.name
            )
        return answer


def _challenge(verifier: str) -> str:
    """S256 (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
