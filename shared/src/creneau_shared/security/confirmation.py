"""`cnf` (RFC 7800): a token bound to a key can be used only by the holder of that key.

`x5t#S256` (RFC 8705): the TLS client certificate with which the request came to the entrance. `jkt` (RFC 9449): a DPoP
proof. A token with an unknown kind of binding is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from creneau_shared.security.dpop import Asked, Proofs, bad_proof
from creneau_shared.security.gateway_headers import GatewayHeaders, Handed
from creneau_shared.security.refusal import refused

CERTIFICATE_THUMBPRINT = "x5t#S256"
KEY_THUMBPRINT = "jkt"
UNDERSTOOD = frozenset({CERTIFICATE_THUMBPRINT, KEY_THUMBPRINT})

BASE_PATH = "/fhir"


@dataclass(frozen=True, slots=True)
class Presented:
    """The request that presented a token, and its scheme (`bearer`, `dpop`). `headers`: as in ASGI."""

    scheme: str = "bearer"
    method: str = ""
    path: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()


class Confirmation:
    """Checks the bindings of a token against its request. Without `proofs`, tokens bound to a key (`jkt`) are refused."""

    def __init__(self, gateway: GatewayHeaders, proofs: Proofs | None, public_base_url: str) -> None:
        self._gateway = gateway
        self._proofs = proofs
        self._base = public_base_url.rstrip("/")

    async def check(self, claims: Mapping[str, Any], token: str, presented: Presented, now: float) -> None:
        """Raises Unauthenticated unless the request fulfils every binding of the token."""
        bound = claims.get("cnf")
        if bound is None:
            if presented.scheme == "dpop":
                raise bad_proof("the token is not bound to a key: send it as Bearer")
            return
        if not isinstance(bound, dict) or not bound or bound.keys() - UNDERSTOOD:
            raise refused("cnf", "the token is bound to something that is not understood here")
        if KEY_THUMBPRINT not in bound and presented.scheme == "dpop":
            raise bad_proof("the token is not bound to a key: send it as Bearer")
        handed = self._gateway.read(presented.headers)
        if CERTIFICATE_THUMBPRINT in bound:
            _check_certificate(bound[CERTIFICATE_THUMBPRINT], handed)
        if KEY_THUMBPRINT in bound:
            await self._check_proof(str(bound[KEY_THUMBPRINT]), token, presented, handed, now)

    async def _check_proof(
        self, thumbprint: str, token: str, presented: Presented, handed: Handed | None, now: float
    ) -> None:
        if self._proofs is None:
            raise bad_proof("no proof can be checked here")
        if presented.scheme != "dpop":
            raise bad_proof("the token is bound to a key: send it as DPoP with a proof")
        proofs = [value.decode("latin-1") for name, value in presented.headers if name == b"dpop"]
        if len(proofs) != 1:
            raise bad_proof("exactly one DPoP header is needed")
        method, path, identifier = presented.method, presented.path, None
        if handed is not None and handed.method and handed.path:
            method, path, identifier = handed.method, handed.path, handed.id
        url = f"{self._base}{path.removeprefix(BASE_PATH)}"
        await self._proofs.check(proofs[0], token, thumbprint, Asked(method, url, identifier), now)


def _check_certificate(thumbprint: object, handed: Handed | None) -> None:
    shown = certificate_thumbprint(handed.certificate) if handed and handed.certificate else ""
    if not shown or not hmac.compare_digest(shown.encode(), str(thumbprint).encode()):
        raise refused("cnf", "the token is bound to a TLS client certificate that did not come with it")


def certificate_thumbprint(escaped_pem: str) -> str:
    """`x5t#S256` of a certificate (percent-encoded PEM): base64url of the SHA-256 of its DER; empty when unreadable."""
    pem = unquote(escaped_pem)
    body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END CERTIFICATE-----")[0]
    try:
        der = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode() if der else ""
