"""Checks what comes back from a provider, before anything of it is believed. Pure.

OpenID Connect Core 1.0, sections 3.1.3.7 and 5.3.2; RFC 9207.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from creneau_shared.security.refusal import ALGORITHMS
from creneau_web.auth.failure import LoginError

Claims = dict[str, Any]

LOGOUT = "http://schemas.openid.net/event/backchannel-logout"

_EIDAS = re.compile(r"eidas([1-3])\Z")
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


class UnknownKeyError(LoginError):
    """A token is signed by none of the known keys: the provider may have a new one."""

    def __init__(self) -> None:
        super().__init__("untrusted", "not signed by a key that the provider publishes")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to state: issuer, client, nonce, level. `now`: Unix seconds; `skew_s`: seconds."""

    issuer: str
    client_id: str
    nonce: str
    level: str
    now: float
    skew_s: float


def signed_claims(token: str, keys: KeySet) -> tuple[Claims, str]:
    """The claims of a JWT that one of `keys` has signed, and by which algorithm."""
    try:
        decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
    except (JoseError, ValueError, TypeError, KeyError):
        raise UnknownKeyError from None
    return dict(decoded.claims), str(decoded.header["alg"])


def check_id_token(claims: Mapping[str, Any], algorithm: str, access_token: str, expected: Expected) -> None:
    """Raises LoginError unless the provider made the token for this client, now, for this log-in, at the level asked for."""
    _check_parties(claims, expected)
    if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= 255:
        raise LoginError("untrusted", "sub")
    if _number(claims, "exp") <= expected.now - expected.skew_s:
        raise LoginError("untrusted", "exp")
    if _number(claims, "iat") > expected.now + expected.skew_s:
        raise LoginError("untrusted", "iat")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), expected.nonce.encode()):
        raise LoginError("untrusted", "nonce")
    if "at_hash" in claims and claims["at_hash"] != half_hash(access_token, algorithm):
        raise LoginError("untrusted", "at_hash")
    if not is_sure_enough(str(claims.get("acr", "")), expected.level):
        raise LoginError("level", "acr")


def check_signed_userinfo(claims: Mapping[str, Any], expected: Expected) -> None:
    """Raises LoginError unless a signed userinfo is the provider's, for this client, and not expired."""
    _check_parties(claims, expected)
    if "exp" in claims and _number(claims, "exp") <= expected.now - expected.skew_s:
        raise LoginError("untrusted", "exp of userinfo")


def check_logout_token(claims: Mapping[str, Any], expected: Expected, *, longest_s: float) -> str:
    """Returns the log-in (`session_name`) that a provider says has ended (OpenID Connect Back-Channel Logout 1.0, section
    2.6). Raises LoginError unless the token is the provider's, for this client, of now. `longest_s`: its greatest age.

    The token has to name the log-in: one with the person alone, which the pages do not ask for, is refused. A token that
    comes twice ends nothing more, so `jti` need not be remembered.
    """
    _check_parties(claims, expected)
    made = _number(claims, "iat")
    if not -longest_s - expected.skew_s <= made - expected.now <= expected.skew_s:
        raise LoginError("untrusted", "iat")
    if "exp" in claims and _number(claims, "exp") <= expected.now - expected.skew_s:
        raise LoginError("untrusted", "exp")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT), dict):
        raise LoginError("untrusted", "events")
    if "nonce" in claims:
        raise LoginError("untrusted", "nonce")
    found = session_name(claims)
    if found is None:
        raise LoginError("untrusted", "sid")
    return found


def session_name(claims: Mapping[str, Any]) -> str | None:
    """Hash (hexadecimal) of the provider's name and its id of a log-in (`sid`); None without one. Kept beside a session, it
    says nothing of anybody."""
    sid = claims.get("sid")
    if not isinstance(sid, str) or not sid:
        return None
    return hashlib.sha256(f"{claims.get('iss')}\n{sid}".encode()).hexdigest()


def check_same_person(id_token: Mapping[str, Any], userinfo: Mapping[str, Any]) -> None:
    """Raises LoginError unless both have the same `sub`."""
    if userinfo.get("sub") != id_token["sub"]:
        raise LoginError("untrusted", "sub of userinfo")


def is_sure_enough(level: str, asked: str) -> bool:
    """Whether a level (`acr`) is one of those asked for, or a higher one of eIDAS. If none is asked for, any will do."""
    wanted = asked.split()
    if not wanted or level in wanted:
        return True
    reached = _EIDAS.match(level)
    lowest = min((int(found[1]) for word in wanted if (found := _EIDAS.match(word))), default=None)
    return reached is not None and lowest is not None and int(reached[1]) >= lowest


def half_hash(token: str, algorithm: str) -> str:
    """`at_hash`: the first half of the hash that goes with the algorithm of the signature, in base64url."""
    digest = _HASHES.get(algorithm[-3:], hashlib.sha512)(token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _check_parties(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise LoginError("untrusted", "iss")
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in several:
        raise LoginError("untrusted", "aud")
    if (len(several) > 1 or "azp" in claims) and claims.get("azp") != expected.client_id:
        raise LoginError("untrusted", "azp")


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise LoginError("untrusted", name)
    return value
