"""The pages and the development issuer with each other, in each of its three dialects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from deploy.local.folder import Folder
from deploy.local.tokens import Issuer
from services.web.tests.auth.pair import NAMES, SITE, Both, issuer_app, login_settings

from creneau_shared.clock import FixedClock
from creneau_shared.errors import Unauthenticated
from creneau_shared.security.tokens import TokenVerifier
from creneau_web.auth.failure import LoginError
from creneau_web.auth.login import Login
from creneau_web.login_settings import LoginSettings


def settings(issuer: Issuer, **other: str) -> LoginSettings:
    return LoginSettings(**login_settings(issuer, **other))  # type: ignore[arg-type]


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    clock = FixedClock(datetime.now(UTC))
    issuer = Issuer.of(Folder(tmp_path))
    transport = httpx.ASGITransport(issuer_app(issuer, clock))
    login = Login(settings(issuer), clock, transport)
    async with httpx.AsyncClient(transport=transport, base_url=issuer.url) as http:
        yield Both(issuer, http, login, clock, transport)


def with_settings(both: Both, **other: str) -> Both:
    """The same issuer, and pages that were told something else."""
    login = Login(settings(both.issuer, **other), both.clock, both.transport)
    return Both(both.issuer, both.http, login, both.clock, both.transport)


async def test_a_patient_by_the_deployments_issuer(both: Both) -> None:
    identity = (await both.log_in("issuer")).identity
    assert identity.name == "Camille MARTIN"
    assert (identity.role, identity.level) == ("patient", "eidas1")
    assert (identity.birth_date, identity.sex) == (date(1988, 5, 14), "female")
    assert (identity.birth_place, identity.birth_country) == ("35238", "99100")
    assert identity.email == "camille.martin@exemple.fr"


async def test_a_citizen_by_franceconnect(both: Both) -> None:
    identity = (await both.log_in("franceconnect")).identity
    assert identity.given_names == ("Yvonne", "Thi", "Mai")
    assert (identity.family_name, identity.usual_name) == ("NGUYEN", "LEFORT")
    assert identity.name == "Yvonne LEFORT"
    assert (identity.birth_place, identity.birth_country) == ("", "99243")
    assert (identity.provider, identity.role) == ("franceconnect", "patient")


async def test_a_professional_by_pro_sante_connect(both: Both) -> None:
    identity = (await both.log_in("psc")).identity
    assert identity.national_id == "899000000069"
    assert identity.name == "Inès BIANCHI"
    assert identity.usual_name == "", "preferred_username is no name there"
    first, second = identity.exercises
    assert (first.profession, first.specialty) == (second.profession, second.specialty)
    assert first.place == "Centre de santé du Grand Chêne"
    assert first.finess
    assert second.siret
    assert first.structure != second.structure


async def test_staff_of_the_deployments_issuer(both: Both) -> None:
    doctor = (await both.log_in("issuer", "oceane-payet")).identity
    assert (doctor.role, doctor.practitioner) == ("practitioner", "demo-payet-26")
    assert doctor.national_id == "899000000267"
    secretary = (await both.log_in("issuer", "sophie-garnier")).identity
    assert (secretary.role, secretary.organizations) == ("secretary", ("demo-rennes-14",))


@pytest.mark.parametrize("name", NAMES)
async def test_whoever_logs_in_gets_a_token_that_the_services_accept_and_keeps_it_fresh(
    both: Both, name: str
) -> None:
    done = await both.log_in(name)
    verifier = TokenVerifier(both.issuer.url, "creneau", both.clock, both.http)
    principal = await verifier.verify(done.tokens.access_token)
    assert principal.role == done.identity.role
    assert principal.client == "creneau-web"
    with pytest.raises(Unauthenticated):
        await verifier.verify(done.tokens.id_token)
    both.clock.advance(timedelta(minutes=14, seconds=30))
    assert both.login.is_due(done.tokens)
    renewed = await both.login.renew(done.tokens)
    assert renewed is not None
    assert renewed.access_token != done.tokens.access_token
    assert (await verifier.verify(renewed.access_token)).subject == principal.subject


@pytest.mark.parametrize("name", NAMES)
async def test_logging_out_ends_it_here_and_at_the_provider(both: Both, name: str) -> None:
    done = await both.log_in(name)
    url = await both.login.end(name, done.tokens)
    assert url is not None
    assert await both.login.renew(done.tokens) is None, "the refresh token was given back"
    answer = await both.http.get(url)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, f"{SITE}/")


@pytest.mark.parametrize("name", NAMES)
async def test_a_code_serves_once(both: Both, name: str) -> None:
    pending, returned = await both.go(name)
    done = await both.login.complete(pending, returned)
    with pytest.raises(LoginError, match="invalid_grant"):
        await both.login.complete(pending, returned)
    if name == "issuer":
        assert await both.login.renew(done.tokens) is None, "who sent it twice has ended the session"


@pytest.mark.parametrize("name", NAMES)
async def test_a_code_that_was_stolen_is_worth_nothing_in_another_log_in(both: Both, name: str) -> None:
    """Somebody else's code in one's own return: the verifier does not fit."""
    _, stolen = await both.go(name)
    mine, _ = await both.go(name)
    with pytest.raises(LoginError, match="invalid_grant"):
        await both.login.complete(mine, stolen)


@pytest.mark.parametrize("name", NAMES)
async def test_nor_with_its_verifier_for_the_nonce_is_another(both: Both, name: str) -> None:
    theirs, stolen = await both.go(name)
    mine, _ = await both.go(name)
    with pytest.raises(LoginError, match="nonce"):
        await both.login.complete(mine.model_copy(update={"verifier": theirs.verifier}), stolen)


async def test_franceconnect_cannot_vouch_for_more_than_it_is(both: Both) -> None:
    """Asked for eidas2, it gives what it has; nobody is let in by that."""
    other = with_settings(both, franceconnect_level="eidas2")
    with pytest.raises(LoginError) as failed:
        await other.log_in("franceconnect")
    assert failed.value.reason == "level"


async def test_a_wrong_secret_lets_nobody_in(both: Both) -> None:
    other = with_settings(both, oidc_client_secret="x")
    with pytest.raises(LoginError, match="invalid_client"):
        await other.log_in("issuer")
