"""Tokens that are bound to a key, through the whole system: nginx, the gateway process, the services."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.fixtures.stack import Stack


class Holder:
    """A caller whose token is bound to a key of theirs."""

    def __init__(self, stack: Stack) -> None:
        self.fhir = stack.fhir
        self.key = ECKey.generate_key("P-256")
        plain = stack.token("system")
        claims = {**jwt.decode(plain, stack.issuer.key).claims, "cnf": {"jkt": self.key.thumbprint()}}
        header = {"alg": "ES256", "kid": stack.issuer.key.kid, "typ": "at+jwt"}
        self.token = jwt.encode(header, claims, stack.issuer.key)

    def headers(self, method: str, path: str, scheme: str = "DPoP") -> dict[str, str]:
        digest = hashlib.sha256(self.token.encode()).digest()
        claims = {
            "jti": str(uuid4()),
            "htm": method,
            "htu": f"{self.fhir}{path}",
            "iat": int(time.time()),
            "ath": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        }
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.as_dict(private=False)}
        proof = jwt.encode(header, claims, self.key, default_type=None)
        return {"Authorization": f"{scheme} {self.token}", "DPoP": proof}


@pytest.fixture
def holder(stack: Stack) -> Holder:
    return Holder(stack)


def batch(*addresses: str) -> dict[str, Any]:
    entries = [{"request": {"method": "GET", "url": address}} for address in addresses]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


def statuses(answer: httpx.Response) -> list[str]:
    """Of the parts of a batch, or of the whole when that was refused."""
    if answer.status_code != 200:
        return [str(answer.status_code)]
    return [entry["response"]["status"][:3] for entry in answer.json()["entry"]]


@pytest.mark.parametrize(
    "path", ["/Appointment", "/Organization", "/Communication", "/AuditEvent", "/_history"]
)
def test_a_proof_opens_each_service_once(holder: Holder, path: str) -> None:
    """Also where the gateway process asks several services on behalf of one request."""
    headers = holder.headers("GET", path)
    assert httpx.get(f"{holder.fhir}{path}", headers=headers).status_code == 200
    other = {"_count": "1"}  # another query is the same address to a proof
    assert httpx.get(f"{holder.fhir}{path}", headers=headers, params=other).status_code == 401
    stolen = {"Authorization": f"Bearer {holder.token}"}
    assert httpx.get(f"{holder.fhir}{path}", headers=stolen).status_code == 401


def test_the_proof_of_a_batch_holds_for_its_parts(holder: Holder) -> None:
    """Several parts, of several services; and neither the same proof again, nor one for a part, opens the batch."""
    bundle = batch("Appointment?_count=1", "Appointment?_count=2", "Communication?_count=1")
    headers = holder.headers("POST", "")
    assert statuses(httpx.post(holder.fhir, json=bundle, headers=headers)) == ["200"] * 3
    assert "200" not in statuses(httpx.post(holder.fhir, json=bundle, headers=headers))
    for wrong in (holder.headers("GET", "/Appointment"), holder.headers("POST", "", scheme="Bearer")):
        assert "200" not in statuses(httpx.post(holder.fhir, json=bundle, headers=wrong))


def test_who_goes_past_the_entrance_cannot_speak_for_it(stack: Stack, holder: Holder) -> None:
    """A service that is reached directly believes no certificate, address or number of a request."""
    used = holder.headers("GET", "/Appointment")
    forged = {"X-Gateway-Secret": "guessed", "X-Gateway-Request": "1 GET /fhir/Appointment"}
    url = f"{stack.service_url('booking')}/fhir/Appointment"
    assert [httpx.get(url, headers=used | forged).status_code for _ in range(2)] == [200, 401]
