"""A token that is bound to a key or a certificate is worth nothing to who has only the token."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from shared.tests.security.conftest import BASE, NOW, SECRET, FakeIssuer, Holder

from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Database
from creneau_shared.errors import Unauthenticated
from creneau_shared.security.confirmation import Presented
from creneau_shared.security.principal import Principal
from creneau_shared.security.tokens import TokenVerifier
from creneau_shared.security.used_proofs import StoredProofs

NOW_S = int(NOW.timestamp())
DER = b"any bytes: what is compared is their digest"
PEM = quote(
    f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(DER).decode()}\n-----END CERTIFICATE-----\n", safe=""
)
THUMBPRINT = base64.urlsafe_b64encode(hashlib.sha256(DER).digest()).rstrip(b"=").decode()


def came(
    *proofs: str, scheme: str = "dpop", method: str = "GET", path: str = "/fhir/Slot", **headers: str
) -> Presented:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Presented(scheme, method, path, [*((b"dpop", proof.encode()) for proof in proofs), *named])


def through_gateway(
    *proofs: str, request: str = "1", method: str = "GET", path: str = "/fhir/Slot", **own: Any
) -> Presented:
    asked = f"{request} {method} {path}"
    return came(*proofs, x_gateway_secret=SECRET, x_gateway_request=asked, **own)


# -- certificates ------------------------------------------------------------------------------------------------


async def test_a_token_bound_to_a_certificate_needs_it(verifier: TokenVerifier, issuer: FakeIssuer) -> None:
    token = issuer.token(cnf={"x5t#S256": THUMBPRINT})
    right = came(scheme="bearer", x_gateway_secret=SECRET, x_client_certificate=PEM)
    assert (await verifier.verify(token, right)).subject == "camille"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_client_certificate": PEM},
        {"x_client_certificate": PEM, "x_gateway_secret": ""},
        {"x_client_certificate": PEM, "x_gateway_secret": "guessed"},
        {"x_gateway_secret": SECRET},
        {"x_gateway_secret": SECRET, "x_client_certificate": ""},
        {"x_gateway_secret": SECRET, "x_client_certificate": PEM.replace("b", "c")},
        {"x_gateway_secret": SECRET, "x_client_certificate": "%%%"},
    ],
)
async def test_a_certificate_is_the_entrance_s_to_say(
    verifier: TokenVerifier, issuer: FakeIssuer, headers: dict[str, str]
) -> None:
    """None, another, or one that the caller claims to have shown to the entrance."""
    with pytest.raises(Unauthenticated) as refusal:
        await verifier.verify(issuer.token(cnf={"x5t#S256": THUMBPRINT}), came(scheme="bearer", **headers))
    assert 'error="invalid_token"' in refusal.value.headers["WWW-Authenticate"]


@pytest.mark.parametrize("cnf", [{}, "x", {"kid": "1"}, {"jwk": {}}, {"x5t#S256": THUMBPRINT, "kid": "1"}])
async def test_a_binding_that_is_not_understood_is_not_met(
    verifier: TokenVerifier, issuer: FakeIssuer, cnf: object
) -> None:
    right = came(scheme="bearer", x_gateway_secret=SECRET, x_client_certificate=PEM)
    with pytest.raises(Unauthenticated):
        await verifier.verify(issuer.token(cnf=cnf), right)


# -- proofs ------------------------------------------------------------------------------------------------------


async def test_a_proof_opens_the_request_that_it_speaks_of(
    verifier: TokenVerifier, issuer: FakeIssuer
) -> None:
    holder = Holder()
    token = issuer.token(cnf=holder.cnf)
    assert (await verifier.verify(token, came(holder.proof(token)))).subject == "camille"
    asked = holder.proof(token, url=f"{BASE}/Slot?status=free#x")
    await verifier.verify(token, came(asked))
    asked = holder.proof(token, url="HTTPS://Creneau.example:443/fhir/Slot")
    await verifier.verify(token, came(asked))


async def test_a_bound_token_without_its_proof_is_refused(
    verifier: TokenVerifier, issuer: FakeIssuer
) -> None:
    holder = Holder()
    token = issuer.token(cnf=holder.cnf)
    proof = holder.proof(token)
    for presented in (came(), came(proof, scheme="bearer"), came(proof, holder.proof(token))):
        with pytest.raises(Unauthenticated) as refusal:
            await verifier.verify(token, presented)
        assert refusal.value.headers["WWW-Authenticate"].startswith('DPoP error="invalid_token"')


async def test_an_unbound_token_is_no_dpop_token(verifier: TokenVerifier, issuer: FakeIssuer) -> None:
    holder, token = Holder(), issuer.token()
    with pytest.raises(Unauthenticated):
        await verifier.verify(token, came(holder.proof(token)))


WRONG: dict[str, Callable[[Holder, str], str]] = {
    "another method": lambda h, t: h.proof(t, "POST"),
    "another address": lambda h, t: h.proof(t, url=f"{BASE}/Patient"),
    "another host": lambda h, t: h.proof(t, url="https://evil.example/fhir/Slot"),
    "no address": lambda h, t: h.proof(t, htu="https://[::1"),
    "another token": lambda h, t: h.proof(t + "x"),
    "no token": lambda h, t: h.proof(t, ath=...),
    "too old": lambda h, t: h.proof(t, iat=NOW_S - 66),
    "of tomorrow": lambda h, t: h.proof(t, iat=NOW_S + 3600),
    "of no time": lambda h, t: h.proof(t, iat=float("nan")),
    "without time": lambda h, t: h.proof(t, iat=...),
    "no id": lambda h, t: h.proof(t, jti=...),
    "endless id": lambda h, t: h.proof(t, jti="x" * 1000),
    "another key": lambda h, t: Holder().proof(t),
    "not signed by its key": lambda h, t: h.proof(t, signed_by=ECKey.generate_key("P-256")),
    "another type": lambda h, t: h.proof(t, header={"typ": "at+jwt"}),
    "no key": lambda h, t: h.proof(t, header={"jwk": ...}),
    "a private key": lambda h, t: h.proof(t, header={"jwk": h.key.as_dict(private=True)}),
    "unreadable": lambda h, t: "a.b.c",
    "endless": lambda h, t: "a" * 9000,
    "a token": lambda h, t: t,
    "nested without end": lambda h, t: jws.serialize_compact(
        {"typ": "dpop+jwt", "alg": "ES256", "jwk": h.key.as_dict(private=False)}, b"[" * 5000, h.key
    ),
    "a nested key": lambda h, t: h.proof(t, header={"jwk": {"kty": [[]]}}),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_proof_is_refused(
    verifier: TokenVerifier, issuer: FakeIssuer, wrong: Callable[[Holder, str], str]
) -> None:
    holder = Holder()
    token = issuer.token(cnf=holder.cnf)
    with pytest.raises(Unauthenticated) as refusal:
        await verifier.verify(token, came(wrong(holder, token)))
    assert 'DPoP error="invalid_token"' in refusal.value.headers["WWW-Authenticate"]


async def test_a_symmetric_or_endless_key_is_refused(verifier: TokenVerifier, issuer: FakeIssuer) -> None:
    """The caller chooses the key: it must not be one that everybody can sign with, nor one that costs us seconds."""
    holder = Holder()
    symmetric = OctKey.generate_key(256)
    proof = jwt.encode(
        {"typ": "dpop+jwt", "alg": "HS256", "jwk": symmetric.as_dict()}, {"jti": "1"}, symmetric, ["HS256"]
    )
    long_key = RSAKey.generate_key(2048).as_dict(private=False) | {"n": "w" * 5000}
    for wrong in (proof, holder.proof(issuer.token(), header={"jwk": long_key})):
        with pytest.raises(Unauthenticated):
            await verifier.verify(issuer.token(cnf=holder.cnf), came(wrong))


async def test_a_proof_is_good_for_one_request(
    verifier: TokenVerifier, issuer: FakeIssuer, clock: FixedClock
) -> None:
    holder = Holder()
    token = issuer.token(cnf=holder.cnf)
    proof = holder.proof(token)
    await verifier.verify(token, came(proof))
    for moment in (NOW, NOW + timedelta(seconds=60), NOW + timedelta(seconds=66)):
        clock.instant = moment
        with pytest.raises(Unauthenticated):
            await verifier.verify(token, came(proof))


async def test_the_parts_of_one_batch_share_its_proof(verifier: TokenVerifier, issuer: FakeIssuer) -> None:
    """The caller proves what they asked of the entrance; what the gateway makes of it reaches a service as several
    requests. Another request with the same proof is another one, whatever number its caller gives it."""
    holder = Holder()
    token = issuer.token(cnf=holder.cnf)
    proof = holder.proof(token, "POST", BASE)
    batch = {"method": "POST", "path": "/fhir"}
    for path in ("/fhir/Slot", "/fhir/Appointment"):
        presented = through_gateway(proof, request="7", **batch)
        await verifier.verify(token, Presented("dpop", "GET", path, presented.headers))
    with pytest.raises(Unauthenticated):
        await verifier.verify(token, through_gateway(proof, request="8", **batch))
    forged = came(proof, x_gateway_request="7 POST /fhir")
    with pytest.raises(Unauthenticated):
        await verifier.verify(token, forged)


async def test_a_proof_is_used_once_in_all_processes(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer, database: Database, clock: FixedClock
) -> None:
    """Twenty at the same moment, at two processes: one is let in. What is past use is forgotten."""
    processes = [new_verifier(used=StoredProofs(database)) for _ in range(2)]
    holder = Holder()
    token = issuer.token(cnf=holder.cnf)
    shown = came(holder.proof(token))
    tries = [processes[n % 2].verify(token, shown) for n in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(o) for o in outcomes if not isinstance(o, Principal)] == [Unauthenticated] * 19
    clock.instant = NOW + timedelta(seconds=120)
    later = new_verifier(used=StoredProofs(database))
    await later.verify(token, came(holder.proof(token, iat=NOW_S + 120)))
    assert await database.pool.fetchval("SELECT count(*) FROM used_proof") == 1


async def test_the_parts_of_one_request_are_one_in_all_processes(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer, database: Database
) -> None:
    processes = [new_verifier(used=StoredProofs(database)) for _ in range(2)]
    holder = Holder()
    token = issuer.token(cnf=holder.cnf)
    shown = through_gateway(holder.proof(token), request="7")
    await asyncio.gather(*(processes[n % 2].verify(token, shown) for n in range(6)))
