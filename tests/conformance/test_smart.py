"""SMART App Launch: an application that knows nothing but the base finds out how to get a token, and gets one."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from deploy.local.issuer.grants import CLIENT_SECRET

from creneau_shared.type_table import SERVICE_NAMES
from tests.deploy.issuer.browser import VERIFIER, challenge
from tests.fixtures.stack import Stack

ADDRESS = "/.well-known/smart-configuration"


def bases(stack: Stack) -> list[str]:
    """Of the whole (below the base and at the root), and each service's own."""
    return [stack.fhir, stack.url, *(f"{stack.service_url(name)}/fhir" for name in SERVICE_NAMES)]


def test_every_base_tells_the_same(stack: Stack) -> None:
    answers = [httpx.get(f"{base}{ADDRESS}") for base in bases(stack)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    first, *others = (answer.json() for answer in answers)
    assert all(other == first for other in others)
    assert first["issuer"] == stack.issuer.url
    assert {"authorization_code", "client_credentials"} <= set(first["grant_types_supported"])
    assert first["code_challenge_methods_supported"] == ["S256"]
    assert {"launch-standalone", "client-public", "client-confidential-symmetric"} <= set(
        first["capabilities"]
    )


def test_the_statement_points_at_it_and_a_token_got_by_it_opens_what_is_closed(stack: Stack) -> None:
    security = httpx.get(f"{stack.fhir}/metadata").json()["rest"][0]["security"]
    assert {service["coding"][0]["code"] for service in security["service"]} == {"OAuth", "SMART-on-FHIR"}
    address = security["description"].rpartition(" ")[2]
    told = httpx.get(address).json()
    assert "user/*.cruds" in told["scopes_supported"]
    form = {"grant_type": "client_credentials", "client_id": "system", "client_secret": CLIENT_SECRET}
    token = httpx.post(told["token_endpoint"], data=form).json()["access_token"]
    closed = f"{stack.fhir}/Patient?_count=0"
    assert httpx.get(closed).status_code == 401
    assert httpx.get(closed, headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize("path", ["/.well-known/nothing", "/fhir/.well-known/nothing"])
def test_other_well_known_addresses_are_not_there(stack: Stack, path: str) -> None:
    answer = httpx.get(f"{stack.url}{path}")
    assert answer.status_code == 404
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_person_logs_in_by_what_the_base_tells_and_registers(stack: Stack) -> None:
    """A frontend that knows nothing but the base, and is registered nowhere: a public client of this machine."""
    told = httpx.get(f"{stack.fhir}{ADDRESS}").json()
    back = "http://127.0.0.1:3000/callback"
    asked = {
        "response_type": "code",
        "client_id": "frontend",
        "redirect_uri": back,
        "scope": "openid patient/Patient.crus",
        "state": "s",
        "code_challenge": challenge(VERIFIER),
        "code_challenge_method": "S256",
    }
    page = httpx.get(told["authorization_endpoint"], params=asked)
    found = re.search(r'name="request" value="([^"]+)"', page.text)
    assert found
    chosen = {"request": found[1], "given": "Ange", "family": "Essai"}
    returned = httpx.post(told["authorization_endpoint"], data=chosen).headers["location"]
    assert returned.startswith(f"{back}?")
    code = parse_qs(urlsplit(returned).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "client_id": "frontend",
        "code": code,
        "redirect_uri": back,
        "code_verifier": VERIFIER,
    }
    tokens = httpx.post(told["token_endpoint"], data=form).json()
    assert tokens["scope"] == "openid patient/Patient.crus"
    patient = {"resourceType": "Patient", "name": [{"family": "Essai"}], "telecom": [
        {"system": "email", "value": "ange@exemple.fr"}]}  # fmt: skip
    answer = httpx.post(
        f"{stack.fhir}/Patient", json=patient, headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert answer.status_code == 201, answer.text
    not_asked_for = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert httpx.get(f"{stack.fhir}/Appointment", headers=not_asked_for).status_code == 403
    with_id_token = {"Authorization": f"Bearer {tokens['id_token']}"}
    assert httpx.get(f"{stack.fhir}/Patient", headers=with_id_token).status_code == 401
