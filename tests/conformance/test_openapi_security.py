"""The API description says of each address whether it needs a token, and the service agrees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from creneau_shared.ids import new_id
from tests.fixtures.stack import Stack

SERVICES = ("booking", "directory", "notifications")


def calls(description: dict[str, Any]) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    for path, methods in description["paths"].items():
        for method, call in methods.items():
            yield path, method, call["security"]


@pytest.mark.parametrize("service", SERVICES)
def test_addresses_are_as_open_as_they_are_said_to_be(stack: Stack, service: str) -> None:
    """401 without a token exactly where the description demands one, before anything else is looked at."""
    base = stack.service_url(service)
    wrong = []
    with httpx.Client(base_url=f"{base}/fhir") as client:
        for path, method, security in calls(client.get(f"{base}/openapi.json").json()):
            address = path.replace("{id}", new_id()).replace("{vid}", "1")
            body: dict[str, Any] = (
                {"json": {"resourceType": "Parameters"}} if method in ("post", "put", "patch") else {}
            )
            if path.endswith("_search"):
                body = {"data": {"_count": "1"}}
            answer = client.request(method.upper(), address, **body)
            if (answer.status_code == 401) == ({} in security) and path != "/":
                wrong.append(f"{method.upper()} {path}: {answer.status_code}, described as {security}")
    assert not wrong, "\n".join(wrong)
