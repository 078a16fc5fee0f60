"""Which access tokens hold: nothing of another type, issuer, audience or time, and nobody without a proper name."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey
from shared.tests.security.conftest import ISSUER, NOW, FakeIssuer

from creneau_shared.clock import FixedClock
from creneau_shared.errors import CreneauError, Unauthenticated, Unavailable
from creneau_shared.security.claims import TokenRules
from creneau_shared.security.discovery import SILENCE_KEPT_S
from creneau_shared.security.tokens import KEYS_AGE_MAX_S, KEYS_REFRESH_INTERVAL_S, TokenVerifier

NOW_S = int(NOW.timestamp())


async def test_a_token_names_its_principal(verifier: TokenVerifier, issuer: FakeIssuer) -> None:
    principal = await verifier.verify(issuer.token(scope="patient/Slot.rs"))
    assert (principal.issuer, principal.subject) == (ISSUER, "camille")
    assert principal.level("Slot", "r") == "patient"


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": -1},
        {"exp": 0},
        {"exp": True},
        {"exp": "9999999999"},
        {"exp": None},
        {"exp": ...},
        {"exp": 253402300799},
        {"exp": 10**400},
        {"exp": NOW_S + 86_400 + 31},
        {"exp": NOW_S - 31},
        {"iat": NOW_S + 3600},
        {"iat": "yesterday"},
        {"iat": float("nan")},
        {"nbf": NOW_S + 3600},
        {"nbf": float("nan")},
        {"sub": ""},
        {"sub": ...},
        {"sub": 7},
        {"sub": True},
        {"sub": ["camille"]},
        {"sub": "x" * 256},
        {"sub": "a\nb"},
        {"sub": "a\u202eb"},
        {"aud": "elsewhere"},
        {"aud": ...},
        {"aud": [["creneau"]]},
        {"iss": f"{ISSUER}/"},
        {"iss": f"{ISSUER}//"},
        {"iss": [ISSUER]},
        {"iss": ...},
    ],
    ids=lambda claims: ",".join(f"{name}={str(value)[:20]!r}" for name, value in claims.items()),
)
async def test_absurd_claims_are_refused(
    verifier: TokenVerifier, issuer: FakeIssuer, claims: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        await verifier.verify(issuer.token(**claims))
    assert 'error="invalid_token"' in refusal.value.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "said", [{"crit": 5}, {"crit": None}, {"kid": 5}, {"alg": []}, {"typ": {}}, {"zip": "DEF"}, "x"]
)
async def test_whatever_an_unsigned_header_says_the_token_is_refused(
    verifier: TokenVerifier, issuer: FakeIssuer, said: object
) -> None:
    """Anybody can write one."""
    header = {"alg": "ES256", "kid": issuer.key.kid, **said} if isinstance(said, dict) else said
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    with pytest.raises(Unauthenticated):
        await verifier.verify(f"{encoded}.{issuer.token().partition('.')[2]}")


@pytest.mark.parametrize("configured", [ISSUER, f"{ISSUER}/"])
@pytest.mark.parametrize("published", [ISSUER, f"{ISSUER}/"])
async def test_an_issuer_has_one_name(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer, configured: str, published: str
) -> None:
    """Accounts hang on issuer and subject: two spellings would be two people. The issuer's own is the one."""
    issuer.name = published
    verifier = new_verifier(configured)
    assert (await verifier.verify(issuer.token())).issuer == published
    other = ISSUER if published.endswith("/") else f"{ISSUER}/"
    with pytest.raises(Unauthenticated):
        await verifier.verify(issuer.token(iss=other))


async def test_a_discovery_document_of_somebody_else_is_not_believed(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer
) -> None:
    issuer.name = "https://issuer.example/realms/autre"
    with pytest.raises(Unavailable):
        await new_verifier().verify(issuer.token())


def other_key(**changed: Any) -> dict[str, Any]:
    key = ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True).as_dict(private=False)
    return {name: value for name, value in {**key, **changed}.items() if value is not ...}


UNUSABLE: dict[str, Any] = {
    "unknown curve": other_key(crv="brainpoolP256r1"),
    "unknown use": other_key(use="tls"),
    "another operation": other_key(key_ops=["deriveKey"]),
    "no type": other_key(kty=...),
    "unknown type": other_key(kty="AKP"),
    "a list for a type": other_key(kty=["EC"]),
    "off the curve": other_key(x="AAAA"),
    "no base64": other_key(x="é!"),
    "a number for a name": other_key(kid=5),
    "too short": {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
    "text": "x",
    "nothing": None,
}


@pytest.mark.parametrize("beside", [*([name] for name in UNUSABLE), [*UNUSABLE]], ids=", ".join)
async def test_a_key_that_is_not_understood_shuts_nobody_out(
    verifier: TokenVerifier, issuer: FakeIssuer, beside: list[str]
) -> None:
    """RFC 7517, section 5: it is ignored. Tokens of the others hold."""
    issuer.beside = [UNUSABLE[name] for name in beside]
    await verifier.ping()
    assert (await verifier.verify(issuer.token())).subject == "camille"


@pytest.mark.parametrize(
    "said", [{"keys": [*UNUSABLE.values()]}, {"keys": []}, {"keys": None}, {}, [], None, "x"]
)
async def test_without_any_key_the_issuer_is_away(
    verifier: TokenVerifier, issuer: FakeIssuer, said: object
) -> None:
    """Nobody is let in, and nobody is told of a defect here."""
    issuer.keys = said
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token())
    with pytest.raises(Unavailable):
        await verifier.ping()


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "AT+JWT", "JWT", ...])
async def test_access_tokens_of_any_issuer_are_accepted(
    verifier: TokenVerifier, issuer: FakeIssuer, typ: Any
) -> None:
    header = {"typ": typ} if typ is not ... else {"cty": "x"}
    assert (await verifier.verify(issuer.token(header))).subject == "camille"


@pytest.mark.parametrize(
    "typ", ["dpop+jwt", "logout+jwt", "secevent+jwt", "id+jwt", "token-introspection+jwt"]
)
async def test_what_was_signed_for_another_purpose_is_refused(
    verifier: TokenVerifier, issuer: FakeIssuer, typ: str
) -> None:
    with pytest.raises(Unauthenticated):
        await verifier.verify(issuer.token({"typ": typ}))


@pytest.mark.parametrize(
    "mark", [{"at_hash": "x"}, {"c_hash": "x"}, {"events": {}}, {"typ": "ID"}, {"typ": "Refresh"}]
)
async def test_other_tokens_that_say_jwt_are_refused(
    verifier: TokenVerifier, issuer: FakeIssuer, mark: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        await verifier.verify(issuer.token({"typ": "JWT"}, **mark))


async def test_strictly_only_access_tokens_that_say_so(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer
) -> None:
    strict = new_verifier(rules=TokenRules("creneau", "at+jwt"))
    assert (await strict.verify(issuer.token())).subject == "camille"
    with pytest.raises(Unauthenticated):
        await strict.verify(issuer.token({"typ": "JWT"}))


async def test_a_remembered_token_ends_in_time(
    verifier: TokenVerifier, issuer: FakeIssuer, clock: FixedClock
) -> None:
    token = issuer.token()
    await verifier.verify(token)
    clock.instant = NOW + timedelta(seconds=600 + 31)
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_a_header_that_nests_without_end_is_refused(verifier: TokenVerifier) -> None:
    """Before any signature is looked at: a 401, not a 500."""
    header = b'{"alg":"ES256","x":' + b"[" * 9000 + b"]" * 9000 + b"}"
    token = f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.e30.AAAA"
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_introspection_is_asked_and_believed_for_a_while(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer
) -> None:
    verifier = new_verifier(introspection=("creneau-api", "secret", 60.0))
    token = issuer.token()
    for _ in range(3):
        await verifier.verify(token)
    assert len(issuer.introspected) == 1
    assert issuer.introspected[0].startswith("Basic ")
    issuer.active = False
    with pytest.raises(Unauthenticated):
        await verifier.verify(issuer.token(jti="another"))


async def test_without_the_issuer_s_word_nobody_is_let_in(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer
) -> None:
    issuer.active = None
    with pytest.raises(CreneauError) as refusal:
        await new_verifier(introspection=("creneau-api", "secret", 60.0)).verify(issuer.token())
    assert refusal.value.status == 503
    assert "Retry-After" in refusal.value.headers


async def test_a_silent_issuer_is_waited_for_once_and_asked_again_soon(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer
) -> None:
    """Each caller would wait as long as the one before, one after the other."""
    now = 1000.0
    verifier = new_verifier(seconds=lambda: now)
    issuer.silent = True
    answers = await asyncio.gather(
        *(verifier.verify(issuer.token()) for _ in range(7)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Unavailable] * 7
    assert issuer.asked == 1
    issuer.silent = False
    now += SILENCE_KEPT_S
    assert (await verifier.verify(issuer.token())).subject == "camille"


async def test_forged_tokens_do_not_wait_for_a_silent_issuer_one_after_the_other(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer
) -> None:
    now = 1000.0
    verifier = new_verifier(seconds=lambda: now)
    genuine = issuer.token()
    await verifier.verify(genuine)
    now += KEYS_REFRESH_INTERVAL_S
    issuer.silent, asked = True, issuer.asked
    forged = [FakeIssuer().token(jti=str(number)) for number in range(5)]
    answers = await asyncio.gather(*map(verifier.verify, forged), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unauthenticated] * 5
    assert issuer.asked == asked + 1
    assert (await verifier.verify(genuine)).subject == "camille"


@pytest.mark.parametrize("comes", ["the token", "a look at readiness"])
async def test_a_key_that_the_issuer_withdraws_holds_no_longer(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer, comes: str
) -> None:
    """Without a token of another key, and though the token has been verified before. While the issuer is silent what was
    known holds: nobody is sent away for it."""
    now = 1000.0
    verifier = new_verifier(seconds=lambda: now)
    token, stolen = issuer.token(), issuer.key
    await verifier.verify(token)
    now += KEYS_AGE_MAX_S
    issuer.silent = True
    assert (await verifier.verify(token)).subject == "camille"
    await settled(lambda: issuer.asked == 2)
    assert (await verifier.verify(token)).subject == "camille"
    issuer.key, issuer.silent = FakeIssuer().key, False
    now += SILENCE_KEPT_S
    await (verifier.verify(token) if comes == "the token" else verifier.ping())
    await settled(lambda: issuer.asked == 3)
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)
    later = issuer.token(jti="later")
    assert (await verifier.verify(later)).subject == "camille"
    issuer.key = stolen
    with pytest.raises(Unauthenticated):
        await verifier.verify(issuer.token(jti="forged"))
    await verifier.close()


async def settled(condition: Callable[[], bool]) -> None:
    """Lets what goes on beside come to its end."""
    for _ in range(100):
        await asyncio.sleep(0)
    assert condition()
