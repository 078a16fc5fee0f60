"""What the values of an operation's parameter designate."""

from __future__ import annotations

from typing import Any

import pytest

from creneau_shared.fhir.rest.parameters import OperationInput

NUMBER = {"system": "urn:oid:1.2.3", "value": "4"}


@pytest.mark.parametrize(
    ("value", "designated"),
    [
        ({"reference": "https://creneau.example/fhir/Slot/1"}, [{"reference": "Slot/1"}]),
        ({"identifier": NUMBER}, [{"identifier": NUMBER}]),
        (NUMBER, [{"identifier": NUMBER}]),
        ("Slot/1, Slot/2", [{"reference": "Slot/1"}, {"reference": "Slot/2"}]),
        ({"resourceType": "Appointment", "id": "1", "identifier": [NUMBER]}, []),
        (True, []),
    ],
    ids=["literal", "logical", "identifier", "texts", "a resource", "a flag"],
)
def test_references_are_what_designates_a_resource(value: Any, designated: list[dict[str, Any]]) -> None:
    """A resource that is sent is none, whatever it has by the name of an element of Reference."""
    given = OperationInput([("appointment", value)], "https://creneau.example/fhir")
    assert given.references("appointment") == designated
