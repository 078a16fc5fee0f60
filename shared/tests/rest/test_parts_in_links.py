"""What no text of an address says, in the links that an operation gives: read back as it was sent, and checked anew."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from creneau_shared.errors import CreneauError
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.operation import OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, part_text
from creneau_shared.security.principal import ANONYMOUS

TIMING = {"repeat": {"dayOfWeek": ["mon"], "timeOfDay": ["09:00:00"]}}


def a_get(text: str, *, sealed: bool) -> OperationCall:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    request = FhirRequest("GET", ("Slot", "$x"), [("timing", text)], {}, b"", ANONYMOUS, now, "http://a/fhir")
    request.sealed = sealed
    service: Any = None
    return OperationCall(service, request, None, None, {})


def test_a_part_is_what_it_was() -> None:
    given = OperationInput.of(a_get(part_text(valueTiming=TIMING), sealed=True))
    assert given.all("timing") == [TIMING]
    born = {"resourceType": "Patient", "birthDate": "2016-05-01"}
    given = OperationInput.of(a_get(part_text(resource=born), sealed=True))
    assert given.resource("Patient", "timing") == born


@pytest.mark.parametrize("text", ["{", "{a}", '{"a": 1}', "Rennes"])
def test_any_other_text_stays_one(text: str) -> None:
    assert OperationInput.of(a_get(text, sealed=True)).all("timing") == [text]


def test_an_address_that_somebody_wrote_has_texts_alone() -> None:
    """R4: what is no simple value comes in a body."""
    text = part_text(valueTiming=TIMING)
    assert OperationInput.of(a_get(text, sealed=False)).all("timing") == [text]


@pytest.mark.parametrize("repeat", [{"dayOfWeek": 5}, {"dayOfWeek": ["someday"]}, {"unheard": 1}])
def test_what_is_put_beside_a_seal_is_checked(repeat: dict[str, object]) -> None:
    with pytest.raises(CreneauError):
        OperationInput.of(a_get(part_text(valueTiming={"repeat": repeat}), sealed=True))
