"""Official examples are accepted and survive XML; the invalid ones derived from them are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
from fhir.resources.R4B import get_fhir_model_class
from lxml import etree
from shared.tests.fhir.official import ROOT, examples, invalid, name, read

from creneau_shared.errors import BadRequest, Unprocessable
from creneau_shared.fhir.validation import check, validate
from creneau_shared.fhir.xml import from_xml, to_xml

pytestmark = [
    pytest.mark.official,
    pytest.mark.skipif(not ROOT.is_dir(), reason=f"the official FHIR examples are not at {ROOT}"),
]

EXPECTED: dict[str, tuple[str, str, str]] = {
    "app-1-participant-without-type-or-actor": ("invariant", "app-1", "Appointment.participant[0]"),
    "app-2-end-without-start": ("invariant", "app-2", "Appointment"),
    "app-3-booked-without-start-end": ("invariant", "app-3", "Appointment"),
    "app-4-cancelationReason-on-booked": ("invariant", "app-4", "Appointment"),
    "appointmentresponse-missing-appointment": (
        "required",
        "missing-element",
        "AppointmentResponse.appointment",
    ),
    "apr-1-no-actor-no-type": ("invariant", "apr-1", "AppointmentResponse"),
    "org-1-no-name-no-identifier": ("invariant", "org-1", "Organization"),
    "org-2-home-address": ("invariant", "org-2", "Organization.address[0]"),
    "org-3-home-telecom": ("invariant", "org-3", "Organization.telecom[0]"),
    "participant-empty-array": ("structure", "empty", "Appointment.participant"),
    "pat-1-contact-without-details": ("invariant", "pat-1", "Patient.contact[0]"),
    "schedule-missing-actor": ("required", "missing-element", "Schedule.actor"),
    "schedule-name-R5-element": ("structure", "unknown-element", "Schedule.name"),
    "slot-bad-status": ("code-invalid", "required-binding", "Slot.status"),
    "slot-missing-schedule": ("required", "missing-element", "Slot.schedule"),
    "start-not-instant-no-timezone": ("value", "type-instant", "Appointment.start"),
    "status-not-in-valueset": ("code-invalid", "required-binding", "Appointment.status"),
    "unknown-element-R5-spelling": ("structure", "unknown-element", "Appointment.cancellationReason"),
}

BUSINESS_RULES = {"slot-end-before-start"}
"""Refused by no rule of R4 itself: what the booking service forbids."""

PER_TYPE_INVARIANTS = {
    "Appointment": {
        "app-1": "participant.all(type.exists() or actor.exists())",
        "app-2": "start.exists() = end.exists()",
        "app-3": "(start.exists() and end.exists()) or (status in ('proposed' | 'cancelled' | 'waitlist'))",
        "app-4": "cancelationReason.exists() implies (status='noshow' or status='cancelled')",
    },
    "AppointmentResponse": {"apr-1": "participantType.exists() or actor.exists()"},
    "Organization": {
        "org-1": "(identifier.count() + name.count()) > 0",
        "org-2": "address.where(use = 'home').empty()",
        "org-3": "telecom.where(use = 'home').empty()",
    },
    "Patient": {
        "pat-1": "contact.all(name.exists() or telecom.exists() or address.exists() or organization.exists())"
    },
}
"""The expressions of the specification, for an evaluator that is not ours."""


@pytest.mark.parametrize("path", examples(), ids=name)
def test_official_example_is_accepted(path: Path) -> None:
    assert [issue.en for issue in validate(read(path))] == []


@pytest.mark.parametrize("path", examples(), ids=name)
def test_official_example_survives_xml(path: Path) -> None:
    """JSON → XML → JSON gives the same resource, narrative compared as XML."""
    resource = read(path)
    assert _canonical(from_xml(to_xml(resource))) == _canonical(resource)


@pytest.mark.parametrize("path", examples(), ids=name)
def test_official_example_is_accepted_by_the_models_too(path: Path) -> None:
    """The oracle: what we accept, fhir.resources accepts."""
    resource = read(path)
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize("path", invalid(), ids=name)
def test_invalid_example_is_refused(path: Path) -> None:
    if path.stem in BUSINESS_RULES:
        assert validate(read(path)) == []
        return
    found = [(issue.code, issue.details_code, issue.expression[0]) for issue in validate(read(path))]
    assert EXPECTED[path.stem] in found
    status = Unprocessable if EXPECTED[path.stem][0] == "invariant" else BadRequest
    with pytest.raises(status):
        check(read(path))


@pytest.mark.parametrize("path", examples() + invalid(), ids=name)
def test_invariants_agree_with_the_specifications_expressions(path: Path) -> None:
    resource = read(path)
    found = {issue.details_code for issue in validate(resource)}
    for key, expression in PER_TYPE_INVARIANTS.get(resource["resourceType"], {}).items():
        holds = fhirpathpy.evaluate(resource, expression) == [True]
        assert holds == (key not in found), key


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: etree.tostring(etree.fromstring(child), method="c14n")
            if name == "div"
            else _canonical(child)
            for name, child in value.items()
        }
    return [_canonical(child) for child in value] if isinstance(value, list) else value
