"""An issuer in memory, and tokens of it as a test wants them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Database
from creneau_shared.security.confirmation import Confirmation
from creneau_shared.security.dpop import Proofs, UsedProofs
from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_shared.security.revocation import revoked_token_table
from creneau_shared.security.tokens import TokenVerifier
from creneau_shared.security.used_proofs import used_proof_table

NOW = datetime(2026, 11, 28, 8, 0, tzinfo=UTC)
ISSUER = "https://issuer.example/realms/sante"
BASE = "https://creneau.example/fhir"
SECRET = "the deployment's"


class FakeIssuer:
    """Publishes its keys, answers introspection as `active` says, and counts how often it was asked."""

    def __init__(self, name: str = ISSUER) -> None:
        self.name = name
        self.key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        self.beside: list[Any] = []
        """what stands before the key in the set"""
        self.keys: object = ...
        """the answer in place of a set of keys"""
        self.active: bool | None = True
        self.introspected: list[str] = []
        self.silent = False
        """its packets are dropped"""
        self.asked = 0
        """how often for its document"""

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(NOW.timestamp())
        full = {"iss": self.name, "aud": "creneau", "sub": "camille", "iat": now, "exp": now + 600, **claims}
        kept = {name: value for name, value in full.items() if value is not ...}
        given = {"alg": "ES256", "kid": self.key.kid, **(header or {"typ": "at+jwt"})}
        return jwt.encode(given, kept, self.key, default_type=None)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/jwks"):
            keys = {"keys": [*self.beside, self.key.as_dict(private=False)]}
            return httpx.Response(200, json=keys if self.keys is ... else self.keys)
        if request.url.path.endswith("/introspect"):
            self.introspected.append(request.headers["authorization"])
            return (
                httpx.Response(500)
                if self.active is None
                else httpx.Response(200, json={"active": self.active})
            )
        self.asked += 1
        if self.silent:
            raise httpx.ConnectTimeout("no answer", request=request)
        base = "https://issuer.example"
        document = {
            "issuer": self.name,
            "jwks_uri": f"{base}/jwks",
            "introspection_endpoint": f"{base}/introspect",
        }
        return httpx.Response(200, json=document)

    @property
    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.answer))


class RememberedHere:
    """The proofs that one test has used."""

    def __init__(self) -> None:
        self.used: dict[bytes, str | None] = {}

    async def is_first_use(self, proof: bytes, request: str | None, until: float, now: float) -> bool:
        if proof in self.used:
            return request is not None and self.used[proof] == request
        self.used[proof] = request
        return True


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def database(new_database: Callable[..., str]) -> AsyncIterator[Database]:
    """A database with the tables that tokens need."""
    async with Database(new_database(), size=4, statement_timeout_s=60, name="test") as opened:
        for table in (revoked_token_table, used_proof_table):
            ddl = CreateTable(table(MetaData())).compile(dialect=postgresql.dialect())
            await opened.pool.execute(str(ddl))
        yield opened


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def new_verifier(issuer: FakeIssuer, clock: FixedClock) -> Callable[..., TokenVerifier]:
    """Call it for a verifier as a process of ours has it; named arguments go to TokenVerifier."""

    def make(name: str = ISSUER, used: UsedProofs | None = None, **own: Any) -> TokenVerifier:
        proofs = Proofs(used or RememberedHere(), 60)
        confirmation = Confirmation(GatewayHeaders(SECRET), proofs, BASE)
        return TokenVerifier(name, "creneau", clock, issuer.client, confirmation=confirmation, **own)

    return make


@pytest.fixture
def verifier(new_verifier: Callable[..., TokenVerifier]) -> TokenVerifier:
    return new_verifier()


class Holder:
    """Who holds a key that tokens are bound to, and makes DPoP proofs with it."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256")

    @property
    def cnf(self) -> dict[str, str]:
        return {"jkt": self.key.thumbprint()}

    def proof(
        self,
        token: str,
        method: str = "GET",
        url: str = f"{BASE}/Slot",
        *,
        header: dict[str, Any] | None = None,
        signed_by: ECKey | None = None,
        **claims: Any,
    ) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        full = {
            "jti": str(uuid4()),
            "htm": method,
            "htu": url,
            "iat": int(NOW.timestamp()),
            "ath": digest,
            **claims,
        }
        kept = {name: value for name, value in full.items() if value is not ...}
        merged = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.as_dict(private=False), **(header or {})}
        given = {name: value for name, value in merged.items() if value is not ...}
        return jwt.encode(given, kept, signed_by or self.key, default_type=None)
