"""The tokens that the suite itself signs, for people without an account: short-lived, with a patient's rights at most.

They are JWTs like those of the deployment's issuer (RFC 9068), with an issuer of their own. Every service has the public
keys from its settings; only notifications can sign. Whatever such a token claims, its holder is a patient at most: a
leaked key gives no access to a practice or to administration.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from creneau_shared.clock import Clock
from creneau_shared.ids import new_id
from creneau_shared.roles import ACTIONS
from creneau_shared.security.claims import UNREADABLE, TokenRules, check_claims, check_type
from creneau_shared.security.confirmation import Confirmation, Presented
from creneau_shared.security.contact_accounts import ISSUER
from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_shared.security.principal import Principal, Scope
from creneau_shared.security.refusal import refused
from creneau_shared.security.revocation import Revocations
from creneau_shared.type_table import PUBLIC, TYPES, reach_of

ALGORITHM = "ES256"
CLIENT = "creneau-contact"
"""`client_id` of all these tokens; it can revoke all at once (`revoke-tokens client creneau-contact`)"""
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
LIFETIME_MAX_S = 3600.0
"""longest lifetime of a signed token"""


def patient_scopes() -> str:
    """The scopes of a patient: one for each type that a patient can access, with the allowed interactions."""
    letters = {
        name: "".join(action for action in ACTIONS if reach_of("patient", name, action) != "none")
        for name in TYPES
    }
    return " ".join(f"patient/{name}.{allowed}" for name, allowed in letters.items() if allowed)


@dataclass(frozen=True, slots=True)
class OneAppointment:
    """The limit of a token: one Appointment (id), as long as it is this Patient's (id)."""

    id: str
    patient: str

    @property
    def scopes(self) -> str:
        """The scopes in such a token; its rights are narrower still."""
        own = ["patient/Appointment.rus", "patient/AppointmentResponse.c"]
        return " ".join([*own, *(f"patient/{name}.rs" for name in sorted(PUBLIC))])


class OwnTokens:
    """Verifies the suite's tokens. `keys`: a JWK Set (JSON) of public keys; several during a change of keys."""

    def __init__(
        self, keys: Mapping[str, Any], audience: str, clock: Clock, revocations: Revocations | None = None
    ) -> None:
        self._keys = KeySet.import_key_set({"keys": list(keys["keys"])})
        self._names = frozenset(key.kid for key in self._keys.keys)
        self._rules = TokenRules(audience, "at+jwt", LIFETIME_MAX_S)
        self._clock = clock
        self._revocations = revocations
        self._unbound = Confirmation(GatewayHeaders(""), None, "")

    def signed(self, token: str) -> bool:
        """Whether the token names one of these keys; this does not verify it."""
        return _key_named(token.partition(".")[0]) in self._names

    async def verify(self, token: str, presented: Presented) -> Principal:
        """The principal of `token` as presented; raises Unauthenticated if the token is not valid."""
        try:
            decoded = jwt.decode(token, self._keys, algorithms=[ALGORITHM])
        except UNREADABLE as error:
            raise refused("signature", f"{type(error).__name__}: {error}") from error
        now = self._clock.now().timestamp()
        check_type(decoded.header, decoded.claims, self._rules)
        check_claims(decoded.claims, ISSUER, now, self._rules)
        await self._unbound.check(decoded.claims, token, presented, now)
        if self._revocations is not None:
            await self._revocations.check(decoded.claims)
        return _principal(decoded.claims)


@lru_cache(maxsize=256)
def _key_named(header: str) -> str | None:
    """`kid` of a JWT's header; None if unreadable. Cached, as all tokens of a key have the same header."""
    try:
        said = orjson.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except ValueError:
        return None
    name = said.get("kid") if isinstance(said, dict) else None
    return name if isinstance(name, str) else None


def _principal(claims: Mapping[str, Any]) -> Principal:
    """A patient's principal: claims that a patient may not have are ignored. The claim `patient` counts only in a token for
    one appointment, as the patient of that appointment."""
    appointment = _id(claims.get("appointment"))
    if "appointment" in claims and appointment is None:
        raise refused("claims", "the token does not say for which appointment it is")
    scopes = (Scope.parse(word) for word in str(claims.get("scope", "")).split())
    return Principal(
        issuer=ISSUER,
        subject=str(claims["sub"]),
        scopes=tuple(scope for scope in scopes if scope is not None and scope.level == "patient"),
        role="patient",
        client=CLIENT,
        appointment=appointment,
        patient=_id(claims.get("patient")) if appointment is not None else None,
    )


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


class TokenSigner:
    """Signs the suite's tokens. `key`: a private JWK (JSON)."""

    def __init__(self, key: Mapping[str, Any], audience: str) -> None:
        self._key = ECKey.import_key(dict(key))
        self._audience = audience

    def sign(
        self, subject: str, now: datetime, lifetime: timedelta, only: OneAppointment | None = None
    ) -> tuple[str, datetime]:
        """A token for a patient's account, or for one appointment only, and its expiry (whole seconds)."""
        expires = now.replace(microsecond=0) + min(lifetime, timedelta(seconds=LIFETIME_MAX_S))
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": subject,
            "client_id": CLIENT,
            "iat": int(now.timestamp()),
            "exp": int(expires.timestamp()),
            "jti": new_id(),
            "scope": only.scopes if only is not None else patient_scopes(),
        }
        if only is not None:
            claims |= {"appointment": only.id, "patient": only.patient}
        header = {"alg": ALGORITHM, "kid": self._key.kid, "typ": "at+jwt"}
        return jwt.encode(header, claims, self._key), expires


def new_signing_key() -> dict[str, Any]:
    """A new private key (JWK)."""
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    return dict(key.as_dict(private=True))


def public_part(key: Mapping[str, Any]) -> dict[str, Any]:
    """The public part of a key."""
    return dict(ECKey.import_key(dict(key)).as_dict(private=False))
