"""The tokens that the suite signs itself: whatever they say, they make nobody more than a patient."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import ValidationError

from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Database
from creneau_shared.errors import Unauthenticated
from creneau_shared.fhir.rest.packing import packed_principal, unpacked_principal
from creneau_shared.security.confirmation import Presented
from creneau_shared.security.contact_accounts import ISSUER, ContactAccounts
from creneau_shared.security.issuers import Issuers
from creneau_shared.security.own_tokens import (
    CLIENT,
    OneAppointment,
    OwnTokens,
    TokenSigner,
    new_signing_key,
    public_part,
)
from creneau_shared.security.revocation import Revocations, revoke
from creneau_shared.security.tokens import TokenVerifier
from creneau_shared.settings import ServiceSettings
from creneau_shared.type_table import PUBLIC

from .conftest import NOW, FakeIssuer

KEY = new_signing_key()
HOUR = timedelta(hours=1)
ODD = f"{urlsafe_b64encode(json.dumps({'alg': 'ES256', 'kid': KEY['kid'], 'crit': 5}).encode()).decode()}.e30.AA"


def forged(key: dict[str, Any] | None = None, typ: str = "at+jwt", **claims: Any) -> str:
    """A token of whoever has a key."""
    signing = ECKey.import_key(key or KEY)
    now = int(NOW.timestamp())
    said = {"iss": ISSUER, "aud": "creneau", "sub": "somebody", "iat": now, "exp": now + 600, **claims}
    return jwt.encode({"alg": "ES256", "kid": signing.kid, "typ": typ}, said, signing)


@pytest.fixture
def issuers(verifier: TokenVerifier, clock: FixedClock) -> Issuers:
    return Issuers(verifier, OwnTokens({"keys": [public_part(KEY)]}, "creneau", clock))


async def test_a_signed_token_is_a_patient_s(issuers: Issuers) -> None:
    token, expires = TokenSigner(KEY, "creneau").sign("somebody", NOW, HOUR)
    principal = await issuers.verify(token)
    assert (principal.issuer, principal.subject, principal.role) == (ISSUER, "somebody", "patient")
    assert expires == NOW + HOUR
    assert principal.level("Patient", "c") == "patient"
    assert principal.level("Location", "c") is None


async def test_a_key_that_got_out_makes_nobody_more(issuers: Issuers) -> None:
    """Neither role, practice, professional, person nor breadth is believed of such a token."""
    token = forged(
        creneau_role="system",
        scope="system/*.cruds user/Patient.rs creneau/operate patient/Slot.rs",
        creneau_organizations=["cabinet-1"],
        creneau_practitioner="dr-martin",
        SubjectNameID="899700000001",
        patient="12",
        creneau_for="Patient/12",
        creneau_mandate="m",
    )
    principal = await issuers.verify(token)
    assert principal.role == "patient"
    assert [(s.level, s.resource_type) for s in principal.scopes] == [("patient", "Slot")]
    assert (principal.flags, principal.organizations) == (frozenset(), frozenset())
    assert (principal.patient, principal.practitioner, principal.national_id) == (None, None, None)
    assert (principal.acting_for, principal.mandate) == (None, None)


async def test_a_token_for_one_appointment_is_for_nothing_else(issuers: Issuers) -> None:
    """Of its rights, see test_rights; here, that nothing of the limit is lost on the way, nor in what waits."""
    only = OneAppointment("visit-1", "12")
    token, _ = TokenSigner(KEY, "creneau").sign("message/1", NOW, HOUR, only)
    principal = await issuers.verify(token)
    assert (principal.appointment, principal.patient) == ("visit-1", "12")
    assert {s.resource_type for s in principal.scopes} == {"Appointment", "AppointmentResponse", *PUBLIC}
    assert unpacked_principal(json.loads(json.dumps(packed_principal(principal)))) == principal
    # Whoever leaves the limit out, or makes it unreadable, has no more by it.
    for appointment in ("", None, 12, "a b"):
        with pytest.raises(Unauthenticated):
            await issuers.verify(forged(appointment=appointment, patient="12"))
    assert (await issuers.verify(forged(patient="12"))).patient is None


async def test_the_deployment_s_issuer_limits_nobody_so(issuers: Issuers, issuer: FakeIssuer) -> None:
    """`appointment` in a token of its own is a claim that we do not know."""
    assert (await issuers.verify(issuer.token(appointment="visit-1"))).appointment is None


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"iss": "https://issuer.example/realms/sante"}, "claims"),
        ({"aud": "another"}, "claims"),
        ({"exp": int(NOW.timestamp()) - 60}, "claims"),
        ({"exp": int(NOW.timestamp()) + 7200}, "exp"),
        ({"typ": "JWT"}, "type"),
        ({"cnf": {"jkt": "x"}}, "DPoP"),
    ],
)
async def test_what_is_not_signed_for_here_does_not_hold(
    issuers: Issuers, what: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        await issuers.verify(forged(**what))
    assert reason in (refusal.value.issues[0].diagnostics or "") + str(refusal.value.headers)


async def test_neither_issuer_signs_for_the_other(issuers: Issuers, issuer: FakeIssuer) -> None:
    """Of the deployment's issuer the key decides, not what the token says; an unknown key is nobody's."""
    assert (await issuers.verify(issuer.token())).subject == "camille"
    for token in (issuer.token(iss=ISSUER), forged(new_signing_key()), "no token", "e30.e30.", ODD):
        with pytest.raises(Unauthenticated):
            await issuers.verify(token)


async def test_a_token_under_our_key_s_name_must_be_signed_by_it(
    issuers: Issuers, issuer: FakeIssuer
) -> None:
    with pytest.raises(Unauthenticated):
        await issuers.verify(issuer.token({"typ": "at+jwt", "kid": KEY["kid"]}, iss=ISSUER))


async def test_it_is_no_proof_of_possession(issuers: Issuers) -> None:
    token, _ = TokenSigner(KEY, "creneau").sign("somebody", NOW, HOUR)
    with pytest.raises(Unauthenticated):
        await issuers.verify(token, Presented(scheme="dpop"))


async def test_both_keys_hold_while_one_takes_the_other_s_place(clock: FixedClock) -> None:
    old, new = KEY, new_signing_key()
    issuers = Issuers(None, OwnTokens({"keys": [public_part(old), public_part(new)]}, "creneau", clock))
    for key in (old, new):
        token, _ = TokenSigner(key, "creneau").sign("somebody", NOW, HOUR)
        assert (await issuers.verify(token)).subject == "somebody"


async def test_all_of_them_can_be_taken_back_at_once(database: Database, clock: FixedClock) -> None:
    async with database.connection() as connection:
        await revoke(
            connection, "client", CLIENT, issued_before=NOW + HOUR, needed_until=NOW + timedelta(days=1)
        )
    own = OwnTokens({"keys": [public_part(KEY)]}, "creneau", clock, Revocations(database, 5.0))
    token, _ = TokenSigner(KEY, "creneau").sign("somebody", NOW, HOUR)
    with pytest.raises(Unauthenticated, match="session"):
        await Issuers(None, own).verify(token)


def test_a_private_key_is_refused_where_public_ones_are_meant() -> None:
    """Else every service could sign."""
    make: Callable[..., ServiceSettings] = ServiceSettings
    with pytest.raises(ValidationError):
        make(database_url="postgresql://h/d", contact_keys=json.dumps({"keys": [KEY]}))
    assert make(database_url="postgresql://h/d", contact_keys=json.dumps({"keys": [public_part(KEY)]}))


@pytest.mark.parametrize(
    ("kind", "one", "other", "same"),
    [
        ("email", "Camille@Exemple.test", " mailto:camille@exemple.test", True),
        ("email", "camille@exemple.test", "camille+b@exemple.test", False),
        ("phone", "06 39 98 00 01", "+33 (0)6 39 98 00 01", True),
        ("phone", "0692 00 00 01", "+262692000001", True),
    ],
)
def test_spellings_of_one_contact_are_one_account(kind: Any, one: str, other: str, same: bool) -> None:
    accounts = ContactAccounts("a secret")
    assert accounts.subject(kind, one) is not None
    assert (accounts.subject(kind, one) == accounts.subject(kind, other)) is same
    assert accounts.subject(kind, one) != ContactAccounts("another").subject(kind, one)
    assert ContactAccounts("").subject(kind, one) is None


def test_an_issuer_s_account_has_proven_nothing() -> None:
    """A subject that happens to be the same says nothing under another issuer."""
    accounts = ContactAccounts("a secret")
    subject = accounts.subject("email", "camille@exemple.test")
    assert subject
    assert accounts.is_proven(ISSUER, subject, "email", "Camille@exemple.test")
    assert not accounts.is_proven("https://issuer.example", subject, "email", "camille@exemple.test")
    assert not accounts.is_proven(ISSUER, subject, "email", "sacha@exemple.test")
