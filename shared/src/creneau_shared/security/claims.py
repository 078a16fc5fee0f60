"""Checks the claims of an access token: type, issuer, audience, times and subject. Pure functions."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from creneau_shared.security.refusal import refused

UNREADABLE = (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, RecursionError)
"""what joserfc raises for a text that is no valid JWT here, whatever its header has"""
CLOCK_SKEW_S = 30
SUBJECT_LENGTH_MAX = 255
"""OpenID Connect Core, section 2"""

ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
PLAIN_TYPES = frozenset({"", "jwt", "application/jwt"})

MARKS_OF_OTHERS = ("at_hash", "c_hash", "s_hash", "events")
"""claims that only ID tokens (OpenID Connect Core) and event tokens such as logout tokens (RFC 8417) have"""
KINDS_OF_OTHERS = frozenset({"ID", "Refresh", "Offline", "Logout"})
"""Keycloak's values of the claim `typ` in tokens that are no access tokens"""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """The rules for accepting tokens."""

    audience: str
    types: Literal["any", "at+jwt"] = "any"
    """`at+jwt`: only tokens with this `typ` (RFC 9068); `any`: also tokens with `JWT` or no `typ`"""
    lifetime_max_s: float = 86_400


def check_type(header: Mapping[str, Any], claims: Mapping[str, Any], rules: TokenRules) -> None:
    """Refuses tokens that the same key signed for another purpose: ID, logout and refresh tokens, proofs."""
    stated = header.get("typ", "")
    stated = stated.lower() if isinstance(stated, str) else "?"
    if stated in ACCESS_TOKEN_TYPES:
        return
    if rules.types == "at+jwt" or stated not in PLAIN_TYPES:
        raise refused("type", "the token is no access token (typ at+jwt)")
    if any(mark in claims for mark in MARKS_OF_OTHERS) or claims.get("typ") in KINDS_OF_OTHERS:
        raise refused("type", "an ID, refresh or logout token is no access token")


def check_claims(claims: Mapping[str, Any], issuer: str, now: float, rules: TokenRules) -> float:
    """Checks issuer, audience, times and subject; returns the instant (Unix seconds) until which the token is valid."""
    registry = JWTClaimsRegistry(
        int(now),
        CLOCK_SKEW_S,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": rules.audience},
        exp={"essential": True},
        sub={"essential": True},
    )
    try:
        registry.validate(dict(claims))
    except JoseError as error:
        raise refused("claims", str(error)) from error
    expires = claims["exp"]
    if expires > int(now) + int(rules.lifetime_max_s) + CLOCK_SKEW_S:
        raise refused("exp", "the token lives longer than is accepted here")
    subject = claims["sub"]
    if len(subject) > SUBJECT_LENGTH_MAX or any(unicodedata.category(c)[0] == "C" for c in subject):
        raise refused("sub", "the token's subject is too long or holds control characters")
    return float(expires)
