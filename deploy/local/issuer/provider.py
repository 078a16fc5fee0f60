"""One dialect at work: its sessions, and the tokens that it signs in them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from creneau_shared.clock import Clock
from deploy.local.issuer.clients import Client
from deploy.local.issuer.dialects import Claims, Dialect
from deploy.local.issuer.people import Person
from deploy.local.issuer.store import Store
from deploy.local.tokens import AUDIENCE, Issuer


@dataclass(frozen=True)
class Lifetimes:
    """How long what is given out holds, seconds."""

    request: float = 1800.0
    """from the page of people to the choice of one"""
    code: float = 60.0
    id_token: float = 300.0
    access_token: float = 900.0
    session: float = 12 * 3600.0
    refresh_again: float = 30.0
    """how long a used refresh token is still accepted: its answer may have been lost"""


@dataclass(frozen=True)
class Session:
    """Somebody who has logged in through a client."""

    name: str
    person: Person
    client: str
    subject: str
    scope: str
    level: str
    nonce: str
    since: int


@dataclass(frozen=True)
class Provider:
    """A dialect with what it needs. `deployment`: signs the tokens for /fhir."""

    dialect: Dialect
    deployment: Issuer
    clients: Mapping[str, Client]
    store: Store
    clock: Clock
    lifetimes: Lifetimes

    @property
    def issuer(self) -> str:
        return self.dialect.issuer(self.deployment.url)

    @property
    def now(self) -> int:
        return int(self.clock.now().timestamp())

    def begin(self, person: Person, client: str, **said: str) -> Session:
        """A session; `said`: `subject`, `scope`, `level`, `nonce`."""
        value = {"person": person.as_dict(), "client": client, "since": self.now, **said}
        return _session(self.store.begin_session(value, self.lifetimes.session), value)

    def session(self, name: str) -> Session | None:
        """A session that has not ended."""
        value = self.store.session(name)
        return None if value is None else _session(name, value)

    def access_token(self, session: Session) -> str:
        """A token for /fhir and `userinfo`; in the other dialects an opaque one, for `userinfo`."""
        if self.dialect.opaque_tokens:
            return self.store.keep("access", {}, self.lifetimes.access_token, session.name)
        return self.deployment.token_of(
            session.person.holder(session.subject),
            lifetime_s=int(self.lifetimes.access_token),
            more={"client_id": session.client, "sid": session.name, "scope": session.scope},
        )

    def session_of(self, access_token: str) -> Session | None:
        """The session of an access token, while both are valid."""
        if self.dialect.opaque_tokens:
            kept = self.store.read("access", access_token)
            return self.session(kept.session) if kept else None
        claims = self.verified(access_token)
        if claims is None or claims.get("aud") != AUDIENCE or claims.get("exp", 0) <= self.now:
            return None
        return self.session(str(claims.get("sid", "")))

    def id_token(self, session: Session, access_token: str) -> str:
        """Who has logged in, how, and when (OpenID Connect Core, section 2)."""
        claims = {
            "iss": self.issuer,
            "aud": session.client,
            "sub": session.subject,
            "iat": self.now,
            "exp": self.now + int(self.lifetimes.id_token),
            "auth_time": session.since,
            "acr": session.level,
            "sid": session.name,
            "at_hash": half_hash(access_token),
        }
        return self.sign(claims | ({"nonce": session.nonce} if session.nonce else {}))

    def userinfo(self, session: Session) -> Claims:
        """Claims about the person of a session."""
        scopes = frozenset(session.scope.split())
        return {"sub": session.subject, **self.dialect.claims(session.person, scopes)}

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A signed JWT with these claims."""
        key, algorithm = self.dialect.key, self.dialect.algorithm
        return jwt.encode({"alg": algorithm, "kid": key.kid, "typ": "JWT"}, dict(claims), key)

    def verified(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that this dialect signed, even if expired; None for any other."""
        try:
            keys = KeySet([self.dialect.key])
            claims = jwt.decode(token, keys, algorithms=[self.dialect.algorithm]).claims
        except (JoseError, ValueError):
            return None
        return dict(claims) if claims.get("iss") == self.issuer else None


def _session(name: str, value: Mapping[str, Any]) -> Session:
    facts = {key: value[key] for key in ("client", "subject", "scope", "level", "nonce", "since")}
    return Session(name, Person.from_dict(value["person"]), **facts)


def half_hash(token: str) -> str:
    """`at_hash`: the first half of the SHA-256, in base64url (OpenID Connect Core, section 3.1.3.6)."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).rstrip(b"=").decode()
