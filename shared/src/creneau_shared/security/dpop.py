"""DPoP (RFC 9449): with each request the caller proves that they hold the key to which their token is bound."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jwt import JWTClaimsRegistry

from creneau_shared.errors import Unauthenticated
from creneau_shared.security.claims import UNREADABLE
from creneau_shared.security.refusal import ALGORITHMS, refused

TYPE = "dpop+jwt"
CLOCK_SKEW_S = 5
PROOF_LENGTH_MAX = 8 * 1024
JTI_LENGTH_MAX = 128
MODULUS_LENGTH_MAX = 700
"""longest modulus of an RSA key, in base64: 4096 bits. The caller chooses the key, and so what it costs to verify"""
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Asked:
    """The request for which a proof must be made. `id`: the entrance's number of it; None if it did not come through."""

    method: str
    url: str
    id: str | None


def bad_proof(diagnostics: str) -> Unauthenticated:
    """The 401 for an invalid proof."""
    return refused("DPoP", diagnostics, scheme="DPoP")


class UsedProofs(Protocol):
    """Remembers proofs for as long as they could be reused, for all processes of a service."""

    async def is_first_use(self, proof: bytes, request: str | None, until: float, now: float) -> bool:
        """Whether this request used the proof first. `request`: the entrance's number of it; None: not known, and equal
        to no other."""


class Proofs:
    """Checks proofs, and that each is used for one request only."""

    def __init__(self, used: UsedProofs, age_max_s: float) -> None:
        self._used = used
        self._age_max_s = age_max_s

    async def check(self, proof: str, token: str, thumbprint: str, asked: Asked, now: float) -> None:
        """Raises Unauthenticated unless the key of this thumbprint made `proof` just now, for this token and request, and
        the proof was not used before. One request may reach a service several times: as parts of a batch, or when the
        entrance retries it."""
        if len(proof) > PROOF_LENGTH_MAX:
            raise bad_proof("the proof is too long")
        key, claims = _verified(proof)
        if key.thumbprint() != thumbprint:
            raise bad_proof("the token is bound to another key")
        identifier = self._check_claims(claims, token, asked, now)
        name = hashlib.sha256(f"{thumbprint} {identifier}".encode()).digest()
        until = claims["iat"] + self._age_max_s + CLOCK_SKEW_S
        if not await self._used.is_first_use(name, asked.id, until, now):
            raise bad_proof("the proof has been used before (jti)")

    def _check_claims(self, claims: Mapping[str, Any], token: str, asked: Asked, now: float) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        registry = JWTClaimsRegistry(
            int(now),
            CLOCK_SKEW_S,
            jti={"essential": True},
            htm={"essential": True, "value": asked.method},
            htu={"essential": True},
            iat={"essential": True},
            ath={"essential": True, "value": digest},
        )
        try:
            registry.validate(dict(claims))
        except JoseError as error:
            raise bad_proof(str(error)) from error
        if now - claims["iat"] > self._age_max_s + CLOCK_SKEW_S:
            raise bad_proof("the proof is too old")
        if _comparable(claims["htu"]) != _comparable(asked.url):
            raise bad_proof("the proof is for another address (htu)")
        identifier: str = claims["jti"]
        if len(identifier) > JTI_LENGTH_MAX:
            raise bad_proof("jti is too long")
        return identifier


def _verified(proof: str) -> tuple[Key, dict[str, Any]]:
    """The public key in the proof, and its claims, after verifying the signature by that key."""
    try:
        header = jws.extract_compact(proof.encode()).headers()
        jwk = header.get("jwk")
        if str(header.get("typ", "")).lower() != TYPE or not isinstance(jwk, dict):
            raise bad_proof("its header must have typ dpop+jwt and the public key as jwk")
        if PRIVATE_MEMBERS & jwk.keys():
            raise bad_proof("its header holds a private or symmetric key")
        if len(str(jwk.get("n", ""))) > MODULUS_LENGTH_MAX or len(str(jwk.get("e", ""))) > 4:
            raise bad_proof("its key is too long")
        key = JWKRegistry.import_key(jwk)
        return key, dict(jwt.decode(proof, key, algorithms=ALGORITHMS).claims)
    except UNREADABLE as error:
        raise bad_proof(f"unreadable or not signed by its key ({type(error).__name__})") from error


def _comparable(url: object) -> tuple[str, str, int | None, str] | None:
    """Scheme, host, port and path of an address, without query and fragment; None for text that is no address."""
    try:
        parts = urlsplit(str(url))
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return parts.scheme, parts.hostname or "", port, unquote(parts.path)
