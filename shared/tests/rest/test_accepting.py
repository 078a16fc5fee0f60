"""What is recorded for later, and what is kept nowhere however it is spelt."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from creneau_shared.fhir.rest.accepting import can_wait
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.security.principal import Principal

BASE = "https://creneau.exemple/fhir"


async def never(call: OperationCall) -> Answer:
    raise AssertionError(call)


INVITE = Operation({"code": "invite", "resource": ["RelatedPerson"], "instance": True}, never, secret=True)
CLOSE = Operation({"code": "close", "resource": ["Schedule"], "instance": True}, never, at_once=True)


@pytest.mark.parametrize(
    ("url", "waits"),
    [
        ("RelatedPerson/1", True),
        ("RelatedPerson/1/$invite", False),
        ("RelatedPerson/1/%24invite", False),
        ("/RelatedPerson/1/$invite/", False),
        ("RelatedPerson/1/$invite?x=1", False),
        ("RelatedPerson/1/$invite#x", False),
        (f"{BASE}/RelatedPerson/1/$invi%74e", False),
        ("https://elsewhere.exemple/RelatedPerson/1", True),
        ("Schedule/1/$close", False),
    ],
)
def test_a_bundle_that_calls_what_is_carried_out_at_once_is_not_recorded(url: str, waits: bool) -> None:
    """The answer of a secret operation, a code that is shown once, would stand in a table for hours. One of several
    transactions would become one long one."""
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "POST", "url": url}}],
    }
    request = FhirRequest(
        method="POST",
        path=(),
        query=[],
        headers={"content-type": "application/fhir+json"},
        body=orjson.dumps(batch),
        principal=Principal("issuer", "somebody"),
        now=datetime(2026, 11, 29, tzinfo=UTC),
        base_url=BASE,
    )
    assert can_wait(request, [INVITE, CLOSE]) is waits
