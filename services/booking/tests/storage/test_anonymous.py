"""What is left of an appointment whose patient was erased names nobody who may be that person."""

from __future__ import annotations

import pytest
from services.booking.tests.factories import BASE

from creneau_booking.storage.people.anonymous import ERASED, Anonymiser
from creneau_shared.fhir.storage.store import Resource


def kept_of(actor: Resource) -> Resource:
    appointment = {
        "resourceType": "Appointment",
        "status": "booked",
        "participant": [{"actor": {"reference": "Patient/gone"}}, {"actor": actor, "status": "accepted"}],
    }
    kept = Anonymiser({"Patient/gone"}, BASE).appointment(appointment)
    other: Resource = kept["participant"][1]["actor"]
    return other


@pytest.mark.parametrize(
    "actor",
    [
        {"reference": "https://ailleurs.example/fhir/Patient/12"},
        {"reference": "urn:uuid:0ec0a3de-6b7c-4b3c-9b0a-7b8f0c6a1a11"},
        {"reference": "#p1"},
        {"identifier": {"system": "urn:oid:1.2.250.1.213.1.4.10", "value": "184127654321005"}},
        {"display": "Camille Martin"},
    ],
)
def test_whoever_may_be_the_person_under_another_name_goes_too(actor: Resource) -> None:
    assert kept_of(actor) == ERASED


@pytest.mark.parametrize("reference", ["Practitioner/p-1", f"{BASE}/Practitioner/p-1"])
def test_whoever_is_of_this_base_stays_by_reference_alone(reference: str) -> None:
    assert kept_of({"reference": reference, "display": "Dr Martin"}) == {"reference": reference}
