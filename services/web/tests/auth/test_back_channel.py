"""X15: who logs out at the provider is logged out here too, on the provider's signed word and on nothing else."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from services.web.tests.auth.pair import RSA
from services.web.tests.auth.test_routes import Visitor, visitor

from creneau_web.auth.checks import LOGOUT

__all__ = ["visitor"]

STRANGER = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "x"})


async def word(visitor: Visitor, key: RSAKey = RSA, **other: Any) -> str:
    """Pro Santé Connect's word that this visitor's log-in has ended, with some claims changed (None: left out)."""
    id_token = (await visitor.account()).id_token or ""
    said = jwt.decode(id_token, RSA).claims
    now = int(visitor.clock.now().timestamp())
    claims = {
        "iss": said["iss"], "aud": said["aud"], "sid": said["sid"], "iat": now, "exp": now + 120, "jti": "1",
        "events": {LOGOUT: {}}, **other,
    }  # fmt: skip
    header = {"alg": "RS256", "typ": "logout+jwt", "kid": key.kid}
    return jwt.encode(header, {k: v for k, v in claims.items() if v is not None}, key)


async def send(visitor: Visitor, token: str, provider: str = "psc") -> httpx.Response:
    """From the provider's server: no cookie, no Origin."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(visitor.app), base_url="https://site.example"
    ) as own:
        return await own.post(f"/auth/deconnexion/{provider}", data={"logout_token": token})


async def test_the_session_and_no_other_ends(visitor: Visitor) -> None:
    other = visitor.another()
    for one in (visitor, other):
        await one.log_in("psc")
    token = await word(visitor)
    for _ in range(2):  # a word that comes twice is as good
        answer = await send(visitor, token)
        assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, b"", "no-store")
        assert await visitor.session() is None
    assert (await other.account()).name == "Inès BIANCHI"
    assert (await visitor.web.get("/mes-rendez-vous")).headers["location"].startswith("/connexion")
    await other.web.aclose()


async def test_what_is_not_believed_ends_nothing(visitor: Visitor) -> None:
    """Each claim that section 2.6 of the specification asks for, one by one."""
    await visitor.log_in("psc")
    id_token = (await visitor.account()).id_token or ""
    now = int(visitor.clock.now().timestamp())
    wrong = [
        id_token,
        "x",
        "",
        await word(visitor, STRANGER),
        await word(visitor, iss="https://elsewhere.example"),
        await word(visitor, aud="somebody-else"),
        await word(visitor, iat=now - 3600),
        await word(visitor, iat=now + 3600),
        await word(visitor, iat=None),
        await word(visitor, exp=now - 3600),
        await word(visitor, events=None),
        await word(visitor, events={"http://schemas.openid.net/event/else": {}}),
        await word(visitor, nonce="n"),
        await word(visitor, sid=None),
    ]
    for token in wrong:
        answer = await send(visitor, token)
        assert (answer.status_code, orjson.loads(answer.content)) == (400, {"error": "invalid_request"}), (
            token
        )
    assert (await send(visitor, await word(visitor), provider="nobody")).status_code == 400
    assert (await send(visitor, await word(visitor), provider="franceconnect")).status_code == 400
    assert await visitor.session() is not None


@pytest.mark.parametrize("sid", ["another", "' OR 1=1"])
async def test_a_log_in_that_nobody_has_is_no_error(visitor: Visitor, sid: str) -> None:
    await visitor.log_in("psc")
    assert (await send(visitor, await word(visitor, sid=sid))).status_code == 200
    assert await visitor.session() is not None
