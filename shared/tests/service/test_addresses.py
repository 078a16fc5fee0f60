"""What is said of an address that leads nowhere."""

from __future__ import annotations

import pytest
from shared.tests.service.small import Small


@pytest.mark.parametrize(
    ("address", "instead"),
    [
        ("Patient/1/AuditEvent", "AuditEvent?patient=Patient/1"),
        ("Patient/1/Provenance", "Provenance?patient=Patient/1"),
        ("Patient/1/Provenance/_search", "Provenance?patient=Patient/1"),
        ("Practitioner/1/Provenance", "Provenance?agent=Practitioner/1"),
        ("Device/1/Patient", None),
        ("Patient/1/Observation", None),
    ],
)
async def test_a_search_below_a_resource_that_is_not_offered_says_so(
    small: Small, address: str, instead: str | None
) -> None:
    """And claims nothing of R4's compartments; it says which search there is, also below a type of another service."""
    method = "POST" if address.endswith("_search") else "GET"
    said = await small.system.ask(method, address)
    (issue,) = said.resource["issue"]
    assert (said.status, issue["code"]) == (404, "not-supported")
    text = issue["details"]["text"]
    assert "is not searched below" in text
    assert text.endswith(f" Search {instead} instead." if instead else "here.")
