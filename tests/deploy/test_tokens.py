"""Development tokens, and the issuer that answers for them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from deploy.local.folder import REPOSITORY, Folder
from deploy.local.issuer.app import Registered, create_app
from deploy.local.issuer.grants import CLIENT_SECRET
from deploy.local.issuer.store import Store
from deploy.local.tokens import LIFETIME_S, SCOPES, Issuer
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from creneau_shared.clock import SystemClock


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer.of(Folder(tmp_path))


@pytest.fixture
async def client(issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    key, clock = RSAKey.generate_key(2048), SystemClock()
    app = create_app(
        issuer, key, Registered("http://site.example", "secret"), Store(":memory:", clock), clock
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=issuer.url) as client:
        yield client


async def published_keys(client: httpx.AsyncClient) -> KeySet:
    """As any resource server finds them: from the discovery document."""
    discovery = (await client.get("/.well-known/openid-configuration")).json()
    return KeySet.import_key_set((await client.get(discovery["jwks_uri"])).json())


@pytest.mark.parametrize("role", sorted(SCOPES))
async def test_a_token_is_verified_by_the_published_keys(
    role: str, issuer: Issuer, client: httpx.AsyncClient
) -> None:
    token = jwt.decode(issuer.token(role, "someone"), await published_keys(client), algorithms=["ES256"])
    claims = token.claims
    assert (
        claims["iss"]
        == issuer.url
        == (await client.get("/.well-known/openid-configuration")).json()["issuer"]
    )
    assert (claims["aud"], claims["sub"]) == ("creneau", "someone")
    said = "software" if role == "rehearsal" else role
    assert (claims["creneau_role"], claims["scope"]) == (said, SCOPES[role])
    assert claims["exp"] - claims["iat"] == LIFETIME_S
    assert token.header["kid"] == issuer.key.kid


async def test_the_private_key_is_never_published(client: httpx.AsyncClient) -> None:
    assert all("d" not in key for key in (await client.get("/jwks")).json()["keys"])


def test_the_key_and_the_address_are_kept(tmp_path: Path, issuer: Issuer) -> None:
    """A token made before `make run` holds once it runs, and after a restart."""
    again = Issuer.of(Folder(tmp_path))
    assert (again.url, again.key.kid) == (issuer.url, issuer.key.kid)
    assert Folder(tmp_path).issuer_key.stat().st_mode & 0o077 == 0, "only the owner reads the key"


async def test_the_launch_context_names_the_patient(issuer: Issuer, client: httpx.AsyncClient) -> None:
    keys = await published_keys(client)
    assert jwt.decode(issuer.token("patient", patient="p1"), keys).claims["patient"] == "p1"
    assert "patient" not in jwt.decode(issuer.token("patient"), keys).claims


async def test_client_credentials(client: httpx.AsyncClient) -> None:
    grant = {"grant_type": "client_credentials"}
    answer = await client.post("/token", data=grant, auth=("system", CLIENT_SECRET))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    claims = jwt.decode(answer.json()["access_token"], await published_keys(client)).claims
    assert claims["creneau_role"] == "system"
    in_form = {**grant, "client_id": "operator", "client_secret": CLIENT_SECRET}
    assert (await client.post("/token", data=in_form)).json()["scope"] == SCOPES["operator"]


@pytest.mark.parametrize(("client_id", "secret"), [("system", "wrong"), ("king", CLIENT_SECRET), ("", "")])
async def test_a_wrong_client_gets_no_token(client: httpx.AsyncClient, client_id: str, secret: str) -> None:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    answer = await client.post("/token", data=form)
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


async def test_other_grants_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/token", data={"grant_type": "password"}, auth=("system", CLIENT_SECRET))
    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})


def test_the_command_prints_the_token_and_nothing_else(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "deploy.local.tokens", "practitioner", "dr-martin"]
    environment = {"CRENEAU_FOLDER": str(tmp_path), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(argv, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    key = Issuer.of(Folder(tmp_path)).key
    assert jwt.decode(done.stdout.strip(), key, algorithms=["ES256"]).claims["sub"] == "dr-martin"


def test_no_token_for_an_issuer_that_is_not_ours(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "deploy.local.tokens", "patient"]
    environment = {"CRENEAU_FOLDER": str(tmp_path), "OIDC_ISSUER": "https://issuer.example"}
    done = subprocess.run(argv, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
