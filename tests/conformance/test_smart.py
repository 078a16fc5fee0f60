"""SMART App Launch: an application that knows nothing but the base finds out how to get a token, and gets one."""

from __future__ import annotations

import httpx
import pytest
from deploy.local.issuer import CLIENT_SECRET

from creneau_shared.type_table import SERVICE_NAMES
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
    assert first["grant_types_supported"] == ["client_credentials"], (
        "nobody logs in at the development issuer"
    )
    assert "authorization_endpoint" not in first
    assert "client-confidential-symmetric" in first["capabilities"]


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
