"""HEAD is answered wherever GET is, and whatever else is asked of an address is told what can be (RFC 9110 §9.1, §15.5.6)."""

from __future__ import annotations

import pytest

from .conftest import FhirBase, Person
from .test_without_account import TOKEN


@pytest.mark.parametrize("path", ["/", "/aide", "/connexion/code", "/static/icon.svg", "/nulle-part"])
async def test_head_is_get_without_its_body(person: Person, path: str) -> None:
    shown, head = await person.client.get(path), await person.client.head(path)
    assert (head.status_code, head.content) == (shown.status_code, b"")
    for name in ("content-type", "content-length", "cache-control", "content-security-policy"):
        assert head.headers.get(name) == shown.headers.get(name), name


async def test_head_does_once_what_get_does(person: Person, fhir: FhirBase) -> None:
    answer = await person.client.head(f"/rdv/{TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/rdv")
    async with person.app.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM session") == 1
    assert fhir.asked == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/", "GET, HEAD"),
        ("DELETE", "/rdv", "GET, HEAD, POST"),
        ("GET", "/rdv/nouveau-lien/", None),
        ("HEAD", "/mes-proches/inviter", "POST"),
        ("PATCH", "/auth/deconnexion/psc", "POST"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    person: Person, method: str, path: str, allow: str | None
) -> None:
    answer = await person.client.request(method, path)
    assert (answer.status_code == 405) == (allow is not None)
    assert answer.headers.get("allow") == allow
