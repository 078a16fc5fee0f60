"""Tokens as the API takes them: bound ones with their proof, and none that was taken back."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey
from services.booking.tests.client import serving
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import BASE, unique
from services.booking.tests.issuer import running_issuer
from services.booking.tests.practice import Practice

from creneau_booking.app import create_app
from creneau_booking.settings import BookingSettings
from creneau_shared.commands import take_back


def proof(key: ECKey, token: str, method: str, path: str, at: datetime) -> str:
    claims = {
        "jti": unique("preuve"),
        "htm": method,
        "htu": f"{BASE}/{path}",
        "iat": int(at.timestamp()),
        "ath": base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode(),
    }
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, claims, key, default_type=None)


async def test_a_stolen_bound_token_opens_nothing(practice: Practice) -> None:
    """The API itself, over HTTP: the token alone is refused, in whatever scheme; with its proof it is let in, once."""
    key = ECKey.generate_key("P-256")
    async with running_issuer() as issuer:
        settings = settings_for(str(practice.settings.database_url), issuer.url)
        token = issuer.token("patient", unique("citoyen"), cnf={"jkt": key.thumbprint()})
        async with serving(create_app(settings, practice.clock)) as client:

            async def ask(scheme: str, **headers: str) -> httpx.Response:
                return await client.get(
                    "/fhir/Appointment", headers={"Authorization": f"{scheme} {token}", **headers}
                )

            shown = proof(key, token, "GET", "Appointment", practice.clock.now())
            for answer in (await ask("Bearer"), await ask("DPoP"), await ask("Bearer", DPoP=shown)):
                assert answer.status_code == 401
                assert 'error="invalid_token"' in answer.headers["www-authenticate"]
                assert answer.json()["resourceType"] == "OperationOutcome"
            assert (await ask("DPoP", DPoP=shown)).status_code == 200
            assert (await ask("DPoP", DPoP=shown)).status_code == 401


async def test_the_operator_s_word_ends_a_session(practice: Practice) -> None:
    """`revoke-tokens` of the command line, while the service runs and knows the token."""
    citizen = unique("citoyen")
    async with running_issuer() as issuer:
        given = settings_for(str(practice.settings.database_url), issuer.url)
        settings = BookingSettings(**{**given.model_dump(), "revocation_refresh_s": 0.0})
        token, other = issuer.token("patient", citizen), issuer.token("patient", unique("citoyen"))
        async with serving(create_app(settings, practice.clock)) as client:

            async def status(of: str) -> int:
                answer = await client.get("/fhir/Appointment", headers={"Authorization": f"Bearer {of}"})
                return answer.status_code

            assert await status(token) == 200
            await take_back(settings, "test", "subject", citizen, practice.clock.now())
            assert (await status(token), await status(other)) == (401, 200)
